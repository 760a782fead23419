package approvals

import (
	"fmt"
	"io"
	"syscall"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// Detail is one named fact about an operation, safe to print.
type Detail struct {
	Name  string
	Value render.Text
}

// Details are all facts of a change that its digest covers, and whether it can be undone: for whoever shows it.
func (f *File) Details() []Detail {
	var out []Detail
	add := func(name string, format string, args ...any) {
		out = append(out, Detail{name, render.Text(fmt.Sprintf(format, args...))})
	}
	path := func(p Exact) render.Text { return render.Argv([]string{string(p)}) }
	add("path", "%s", path(f.Path))
	switch f.Op {
	case targets.Rename:
		add("new name", "%s", path(f.To))
	case targets.Symlink:
		add("leads to", "%s", path(f.To))
	}
	add("as user", "%s on %s", render.Line(f.RunAs), render.Line(f.Target))
	add("before", "%s", f.Was.words())
	if f.Op == targets.Rename {
		add("new name", "before: %s", f.WasTo.words())
	}
	at, to := f.after()
	if f.Op == targets.Rename {
		add("after", "nothing; the new name: %s", to.words())
	} else {
		add("after", "%s", at.words())
	}
	if f.Perms && f.Was != nil {
		if old := f.Was.Mode & 0o7777; old != f.Mode && f.Op != targets.Symlink {
			add("mode", "%04o -> %04o", old, f.Mode)
		}
		if f.Was.UID != f.UID || f.Was.GID != f.GID {
			add("owner", "%d:%d -> %d:%d", f.Was.UID, f.Was.GID, f.UID, f.GID)
		}
	}
	if f.Op == targets.Touch {
		when := "the moment when it is made"
		if !f.Mtime.IsZero() {
			when = moment(f.Mtime)
		}
		add("time", "last change: %s", render.Line(when))
	}
	if f.Op == targets.Write && !f.Mtime.IsZero() {
		add("time", "last change: %s", render.Line(moment(f.Mtime)))
	}
	if f.Op == targets.Write && f.Size > largeWrite {
		add("warning", "large: %.1f MiB are written", float64(f.Size)/(1<<20))
	}
	switch {
	case f.Lost != "":
		add("rollback", "not possible: %s", render.Line(f.Lost))
	case f.Kept:
		add("rollback", "possible: what is there before is kept")
	}
	return out
}

// words says what a state is, in one line.
func (s *FileState) words() render.Text {
	if s == nil {
		return "nothing"
	}
	owner := fmt.Sprintf("mode %04o, owner %d:%d", s.Mode&0o7777, s.UID, s.GID)
	switch s.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		sha := "content not read"
		if s.SHA256 != "" {
			sha = "sha256 " + string(render.Line(s.SHA256))
		}
		return render.Text(fmt.Sprintf("file, %d bytes, %s, %s", s.Size, owner, sha))
	case syscall.S_IFDIR:
		return render.Text("directory, " + owner)
	case syscall.S_IFLNK:
		return "link to " + render.Argv([]string{string(s.Link)})
	}
	return render.Text("a device, FIFO or socket, " + owner)
}

// Diff compares what a file holds with what a change writes; context is diff.Compare's. ok is false where the change
// writes no content or what is there before was not kept; both are in Details.
func (m *Manager) Diff(f *File, context int) (d diff.Diff, ok bool, err error) {
	if m.config.Blobs == nil || f.Op != targets.Write && f.Op != targets.Delete {
		return d, false, nil
	}
	var before, after []byte
	if s := f.Was; s != nil && s.Mode&syscall.S_IFMT == syscall.S_IFREG {
		if !f.Kept {
			return d, false, nil
		}
		if before, err = m.content(s.SHA256); err != nil {
			return d, false, err
		}
	}
	if f.Op == targets.Write {
		if after, err = m.content(f.SHA256); err != nil {
			return d, false, err
		}
	}
	return diff.Compare(before, after, context), true, nil
}

// content reads a blob for a diff: of a large one only so much that it is known to be large.
func (m *Manager) content(sha string) ([]byte, error) {
	r, size, err := m.config.Blobs.OpenBlob(sha)
	if err != nil {
		return nil, fmt.Errorf("read kept content: %w", err)
	}
	defer func() { _ = r.Close() }()
	if size > diff.MaxText {
		return make([]byte, diff.MaxText+1), nil
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read kept content: %w", err)
	}
	return content, nil
}
