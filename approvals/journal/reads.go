package journal

// Reads says which files of the target a session's script opened for reading, each once, however often and by whichever of
// its runs. The files of the interpreter itself are not among them.
type Reads struct {
	Files int // in the list
	// SHA256 is the list's, in hex: the names as they were opened, links resolved, in the order of their bytes, a NUL after
	// each. List is the list where it is short; else it is kept as content of that name.
	SHA256 string
	List   []byte `json:",omitempty"`
	// More is how often other files were opened, once the list was full, and MoreSHA256 the SHA-256 of their names in the
	// order in which they were opened, a NUL after each. A run that goes on from an earlier one begins with that one's.
	More       uint64 `json:",omitempty"`
	MoreSHA256 string `json:",omitempty"`
	// Lost says why the list is not kept, though its digest is known.
	Lost string `json:",omitempty"`
}

// Same reports whether both say the same of the files that were opened.
func (r *Reads) Same(o *Reads) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r.SHA256 == o.SHA256 && r.More == o.More && r.MoreSHA256 == o.MoreSHA256
}

// Blob is the name of the content that is the list, "" where there is none.
func (r *Reads) Blob() string {
	if r == nil || len(r.List) > 0 || r.Lost != "" {
		return ""
	}
	return r.SHA256
}
