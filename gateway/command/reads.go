package command

import (
	"fmt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// readsJSON is which files of the target a script opened for reading.
type readsJSON struct {
	Files      int    `json:"files"`
	SHA256     string `json:"sha256"`         // of the names, a NUL after each, in the order of their bytes
	More       uint64 `json:"more,omitempty"` // opens of other files, once the list was full
	MoreSHA256 string `json:"more_sha256,omitempty"`
	// List is there where it is asked for. A name that is not UTF-8 is shown as text with escapes.
	List []string `json:"list,omitempty"`
}

// reads tells which files a session's script has opened so far, their names where they are asked for; nil for none.
func (v *Verbs) reads(s journal.Session, names bool) (*readsJSON, error) {
	r, list, err := v.Sessions.Reads(s)
	if r == nil {
		return nil, err
	}
	out := &readsJSON{Files: r.Files, SHA256: r.SHA256, More: r.More, MoreSHA256: r.MoreSHA256}
	if !names {
		return out, nil // the digest is known, whatever became of the list
	}
	for _, name := range list {
		shown, _ := exactText(name)
		out.List = append(out.List, shown)
	}
	return out, err
}

// reads prints how many files were read, or all of them.
func (p *page) reads(r *readsJSON, names bool) {
	_, _ = fmt.Fprintf(p.w, "files read: %d (sha256 of the list %s)\n", r.Files, r.SHA256)
	if r.More > 0 {
		_, _ = fmt.Fprintf(p.w, "  and %d opens of other files, which the list has no room for (sha256 of their names %s)\n", r.More, r.MoreSHA256)
	}
	if names {
		for _, name := range r.List {
			_, _ = fmt.Fprintf(p.w, "  %s\n", render.Line(name))
		}
	}
}
