package journal

import (
	"fmt"
	"syscall"

	"shannot-gateway/approvals/render"
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
	case Rename:
		add("new name", "%s", path(f.To))
	case Symlink:
		add("leads to", "%s", path(f.To))
	}
	add("as user", "%s on %s", render.Line(f.RunAs), render.Line(f.Target))
	add("before", "%s", f.Was.words())
	if f.Op == Rename {
		add("new name", "before: %s", f.WasTo.words())
	}
	at, to := f.after()
	if f.Op == Rename {
		add("after", "nothing; the new name: %s", to.words())
	} else {
		add("after", "%s", at.words())
	}
	if f.Perms && f.Was != nil {
		if old := f.Was.Mode & 0o7777; old != f.Mode && f.Op != Symlink {
			add("mode", "%04o -> %04o", old, f.Mode)
		}
		if f.Was.UID != f.UID || f.Was.GID != f.GID {
			add("owner", "%d:%d -> %d:%d", f.Was.UID, f.Was.GID, f.UID, f.GID)
		}
	}
	if f.Op == Touch {
		when := "the moment when it is made"
		if !f.Mtime.IsZero() {
			when = moment(f.Mtime)
		}
		add("time", "last change: %s", render.Line(when))
	}
	if f.Op == Write && !f.Mtime.IsZero() {
		add("time", "last change: %s", render.Line(moment(f.Mtime)))
	}
	if f.Op == Write && f.Size > LargeWrite {
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
