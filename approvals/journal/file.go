package journal

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"syscall"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/render"
)

// Exact is a byte string, such as a path. Its JSON is text where it is UTF-8, else an object with base64, so that what
// is recorded is the same to the byte.
type Exact string

// MarshalJSON encodes the string without losing a byte.
func (e Exact) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(e)) {
		return json.Marshal(string(e))
	}
	return json.Marshal(struct {
		B64 []byte `json:"b64"`
	}{[]byte(e)})
}

// UnmarshalJSON decodes either form.
func (e *Exact) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return json.Unmarshal(text, (*string)(e))
	}
	var exact struct {
		B64 []byte `json:"b64"`
	}
	err := json.Unmarshal(text, &exact)
	*e = Exact(exact.B64)
	return err
}

// File is everything about a change of a file that a human is shown and that the digest covers. It is stored when the
// Operation is created, and exactly it is made.
type File struct {
	Op     Kind
	Target string
	RunAs  string // user on the target with whose rights it is made
	Path   Exact  // absolute, with every link resolved
	To     Exact  `json:",omitempty"` // a renamed file's new name, a link's text
	// Mode, UID and GID are what the file is to have, where the operation sets them: Perms says so.
	Perms    bool   `json:",omitempty"`
	Mode     uint32 `json:",omitempty"` // permission bits
	UID, GID uint32 `json:",omitempty"`
	// Mtime is for touch and write; zero means the moment when it is made.
	Mtime  time.Time `json:",omitzero"`
	Size   int64     `json:",omitempty"` // bytes, of a write
	SHA256 string    `json:",omitempty"` // hex, of a write's content, which is kept as a blob
	// Was is what must still be at Path, nil for nothing; WasTo the same for a rename's To.
	Was, WasTo *FileState `json:",omitempty"`
	// Kept says that the contents of Was and WasTo are kept, so that the change can be undone; Lost says in words why
	// they are not. Neither is in the digest.
	Kept bool   `json:",omitempty"`
	Lost string `json:",omitempty"`
}

// FileState is targets.State as the journal has it.
type FileState struct {
	Mode     uint32 // st_mode: type and permission bits
	UID, GID uint32
	Size     int64     `json:",omitempty"`
	Mtime    time.Time `json:",omitzero"`
	Link     Exact     `json:",omitempty"`
	SHA256   string    `json:",omitempty"` // hex; "" where the content was too large, or not for the account to read
}

// Kind is the operation's kind.
func (f *File) Kind() Kind { return f.Op }

// after is what is at Path, and for a rename at To, once the change was made.
func (f *File) after() (at, to *FileState) {
	perm := func(s *FileState) *FileState {
		if s == nil {
			return nil
		}
		c := *s
		c.Mode, c.UID, c.GID = s.Mode&syscall.S_IFMT|f.Mode&0o7777, f.UID, f.GID
		return &c
	}
	switch f.Op {
	case Write:
		return &FileState{Mode: syscall.S_IFREG | f.Mode&0o7777, UID: f.UID, GID: f.GID, Size: f.Size, SHA256: f.SHA256}, nil
	case Mkdir:
		return &FileState{Mode: syscall.S_IFDIR | f.Mode&0o7777, UID: f.UID, GID: f.GID}, nil
	case Symlink:
		return &FileState{Mode: syscall.S_IFLNK | 0o777, UID: f.UID, GID: f.GID, Link: f.To}, nil
	case Rename:
		return nil, f.Was
	case Chmod, Chown:
		return perm(f.Was), nil
	case Touch:
		return f.Was, nil
	default: // nothing of the kind for the others
	}
	return nil, nil // delete, rmdir
}

// blobs lists the content that the record names.
func (f *File) blobs() (names []string) {
	if f.Op == Write && f.SHA256 != "" {
		names = append(names, f.SHA256)
	}
	if f.Kept {
		for _, s := range []*FileState{f.Was, f.WasTo} {
			if s != nil && s.SHA256 != "" {
				names = append(names, s.SHA256)
			}
		}
	}
	return names
}

// Clone is a copy that shares nothing with f.
func (f *File) Clone() *File {
	c := *f
	c.Was, c.WasTo = f.Was.Clone(), f.WasTo.Clone()
	return &c
}

// Clone is a copy that shares nothing with f, nil of nil.
func (f *FileState) Clone() *FileState {
	if f == nil {
		return nil
	}
	c := *f
	return &c
}

// Digest returns the hex SHA-256 that an approval of this change names. See docs/digest.md.
func (f *File) Digest() string { return SHA256Hex(f.canonical()) }

// fileVersion begins the encoding of a file operation.
const fileVersion = "shannot file v1"

func (f *File) canonical() []byte {
	e := encoder{}
	e.str(fileVersion)
	e.fields(f.fields())
	return e.b
}

// fields are all that the digest covers, in order. Each needs a detail that covers it: see File.Details.
func (f *File) fields() []field {
	var rights []string
	if f.Perms {
		rights = []string{octal(f.Mode), number(int64(f.UID)), number(int64(f.GID))}
	}
	return []field{
		text("op", string(f.Op)),
		text("target", f.Target),
		text("user", f.RunAs),
		text("path", string(f.Path)),
		text("to", string(f.To)),
		list("rights", rights),
		text("mtime", moment(f.Mtime)),
		text("size", number(f.Size)),
		text("sha256", f.SHA256),
		state("before", f.Was),
		state("to_before", f.WasTo),
	}
}

// encoder makes the canonical encoding: see digestVersion.
type encoder struct{ b []byte }

func (e *encoder) str(s string) {
	e.b = binary.BigEndian.AppendUint64(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) fields(fields []field) {
	for _, f := range fields {
		f.put(e)
	}
}

func (e *encoder) list(l []string) {
	e.b = binary.BigEndian.AppendUint64(e.b, uint64(len(l)))
	for _, s := range l {
		e.str(s)
	}
}

// state is an empty list for nothing. The time counts only where there is no hash.
func (e *encoder) state(s *FileState) {
	if s == nil {
		e.list(nil)
		return
	}
	at := ""
	if s.Mode&syscall.S_IFMT == syscall.S_IFREG && s.SHA256 == "" {
		at = moment(s.Mtime)
	}
	e.list([]string{octal(s.Mode), number(int64(s.UID)), number(int64(s.GID)), number(s.Size), string(s.Link), s.SHA256, at})
}

func octal(n uint32) string { return strconv.FormatUint(uint64(n), 8) }
func number(n int64) string { return strconv.FormatInt(n, 10) }

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Summary is the change in one line, safe to print.
func (f *File) Summary() render.Text {
	path := render.Argv([]string{string(f.Path)})
	to := render.Argv([]string{string(f.To)})
	switch f.Op {
	case Write:
		what := "new file"
		if f.Was != nil {
			what = "replaces a file"
			if f.Was.Mode&syscall.S_IFMT != syscall.S_IFREG {
				what = "replaces a link"
			}
		}
		return render.Format("write %s (%s, %d bytes)", path, what, f.Size)
	case Rename:
		if f.WasTo != nil {
			return render.Format("rename %s to %s, which is replaced", path, to)
		}
		return render.Format("rename %s to %s", path, to)
	case Symlink:
		return render.Format("symlink %s -> %s", path, to)
	case Chmod:
		return render.Format("chmod %04o %s", f.Mode, path)
	case Chown:
		return render.Format("chown %d:%d %s", f.UID, f.GID, path)
	default: // nothing of the kind for the others
	}
	return render.Format("%s %s", f.Op, path)
}

// Before is what was at each path of the change.
func (f *File) Before() map[string]*FileState {
	b := map[string]*FileState{string(f.Path): f.Was}
	if f.Op == Rename {
		b[string(f.To)] = f.WasTo
	}
	return b
}

// After is what is at each path of the change once it was made.
func (f *File) After() map[string]*FileState {
	at, to := f.after()
	a := map[string]*FileState{string(f.Path): at}
	if f.Op == Rename {
		a[string(f.To)] = to
	}
	return a
}

// Footprint is about what the change takes in the journal, in bytes.
func (f *File) Footprint() int { return 512 + len(f.Path) + len(f.To) }

// LargeWrite is from how many bytes on a write carries a warning.
const LargeWrite = 5 << 20
