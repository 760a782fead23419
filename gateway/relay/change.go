package relay

import (
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/pkg/sftp"

	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// upload is a file that a client writes. It is kept in memory; when it is closed, a human is asked.
type upload struct {
	r      *relay
	name   string // the client's
	target targets.Target
	tree   *tree // of its own
	path   string
	file   *os.File
	broken error // the transfer did not come to its end
	closed bool
	done   func() // gives its place back
}

// Filewrite opens a file for writing.
func (h handlers) Filewrite(r *sftp.Request) (_ io.WriterAt, err error) {
	defer h.guard(&err)
	flags, want := syscall.O_RDWR, r.Pflags()
	for _, f := range []struct {
		set  bool
		flag int
	}{{want.Creat, syscall.O_CREAT}, {want.Trunc, syscall.O_TRUNC}, {want.Excl, syscall.O_EXCL}} {
		if f.set {
			flags |= f.flag
		}
	}
	mode := uint32(newFileMode)
	if r.AttrFlags().Permissions {
		mode = r.Attributes().Mode & 0o777
	}
	return h.write(r.Filepath, flags, mode)
}

// newFileMode is that of a new file where the client does not say.
const newFileMode = 0o644

// write begins an upload, by the client's name for the file.
func (h handlers) write(file string, flags int, mode uint32) (*upload, error) {
	target, name, err := h.split(file)
	switch {
	case err != nil || target == nil || name == "/":
		return nil, syscall.EACCES
	}
	done, err := h.begin(file)
	if err != nil {
		return nil, err
	}
	u, err := h.newUpload(target, name, flags, mode)
	if err != nil {
		done()
		return nil, err
	}
	u.name, u.done = path.Clean("/"+file), done
	h.mu.Lock()
	h.uploads[u.name] = u
	h.mu.Unlock()
	return u, nil
}

// begin takes a place for a change: of the client's, and of its identity's. EAGAIN where there is none.
func (r *relay) begin(name string) (done func(), err error) {
	if !take(r.changes) {
		r.notice("%s: %d changes of yours are under way on this connection, and no more may be", render.Line(name), maxChanges)
		return nil, syscall.EAGAIN
	}
	back, ok := r.o.Upload()
	if !ok {
		give(r.changes)
		r.notice("%s: too many changes of yours are under way or wait for a human (limits.uploads_per_identity, limits.uploads): try again later; list, and cancel ID",
			render.Line(name))
		return nil, syscall.EAGAIN
	}
	return func() {
		give(r.changes)
		back()
	}, nil
}

func (h handlers) newUpload(target targets.Target, name string, flags int, mode uint32) (*upload, error) {
	t, err := h.newTree(target)
	if err != nil {
		return nil, err
	}
	file, err := t.view.Open(name, flags, mode)
	if err != nil {
		t.close()
		return nil, err
	}
	fd, err := file.Descriptor(syscall.O_RDWR)
	canonical := file.Path()
	_ = file.Close()
	if err != nil {
		t.close()
		return nil, err
	}
	return &upload{
		r: h.relay, target: target, tree: t, path: canonical, file: os.NewFile(uintptr(fd), "upload"), // #nosec G115 -- a descriptor
	}, nil
}

// WriteAt implements io.WriterAt. EFBIG beyond the limit.
func (u *upload) WriteAt(p []byte, off int64) (int, error) {
	if limit := u.r.o.MaxFile; off < 0 || limit > 0 && off+int64(len(p)) > limit {
		u.TransferError(syscall.EFBIG)
		u.r.notice("%s is larger than %d bytes (limits.write)", render.Line(u.name), limit)
		return 0, syscall.EFBIG
	}
	return u.file.WriteAt(p, off)
}

// TransferError is how the library says that the client left in the middle.
func (u *upload) TransferError(err error) {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	if u.broken == nil {
		u.broken = err
	}
}

// Close asks a human about what was written. The client waits meanwhile.
func (u *upload) Close() (err error) {
	defer u.r.guard(&err)
	u.r.mu.Lock()
	if u.closed {
		u.r.mu.Unlock()
		return nil
	}
	u.closed = true
	if u.r.uploads[u.name] == u {
		delete(u.r.uploads, u.name)
	}
	broken := u.broken
	u.r.mu.Unlock()
	defer u.done()
	defer u.tree.close()
	if cerr := u.file.Close(); broken == nil {
		broken = cerr
	}
	if broken != nil {
		return broken // half a file is nobody's
	}
	return u.r.ask(u.tree, "sftp: put "+u.name)
}

// ask brings what a view holds before a human, and lets the client see what came of it.
func (r *relay) ask(t *tree, summary string) error {
	changes := t.view.Changes()
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		if r.o.Policy(t.target.Name()).Decide(c.Path) != vfs.Visible {
			return syscall.EACCES // nobody changes what they cannot see
		}
	}
	shown := render.Line(summary)
	queued := func(why string) { r.notice("%s: %s", shown, render.Line(why)) }
	err := r.o.Ask(r.ctx, Change{Target: t.target, Summary: summary, View: t.view, Base: t.base, Queued: queued, Told: func(id string) {
		r.notice("%s waits for a human as session %s; it goes on when somebody runs: show %s, and the approve line that this ends with (or: reject %s)", shown, id, id, id)
	}})
	r.mu.Lock()
	mine := r.trees[t.target.Name()]
	r.mu.Unlock()
	if mine != nil {
		mine.refresh()
	}
	if err != nil {
		r.notice("%s was not made: %s", shown, render.Line(err.Error()))
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return errno
		}
		return syscall.EACCES
	}
	return nil
}

// Filecmd makes, removes and renames, and sets attributes.
func (h handlers) Filecmd(r *sftp.Request) (err error) {
	defer h.guard(&err)
	if r.Method == "Setstat" {
		if done, err := h.setUpload(r); done {
			return err
		}
	}
	return h.change(r)
}

// PosixRename is a rename that replaces.
func (h handlers) PosixRename(r *sftp.Request) (err error) {
	defer h.guard(&err)
	return h.change(r)
}

// setUpload sets attributes of a file that the client is uploading.
func (h handlers) setUpload(r *sftp.Request) (done bool, err error) {
	h.mu.Lock()
	u := h.uploads[path.Clean("/"+r.Filepath)]
	h.mu.Unlock()
	if u == nil {
		return false, nil
	}
	if r.AttrFlags().Size {
		size := int64(min(r.Attributes().Size, 1<<62)) // #nosec G115 -- bounded
		if h.o.MaxFile > 0 {
			size = min(size, h.o.MaxFile)
		}
		if err := u.file.Truncate(size); err != nil {
			return true, err
		}
	}
	return true, setAttributes(u.tree.view, u.path, r)
}

func setAttributes(view *vfs.Session, name string, r *sftp.Request) error {
	flags, a := r.AttrFlags(), r.Attributes()
	if flags.UidGid {
		if err := view.Chown(name, int(a.UID), int(a.GID), false); err != nil {
			return err
		}
	}
	if flags.Permissions {
		if err := view.Chmod(name, a.Mode&0o7777, false); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return view.Utimes(name, time.Unix(int64(a.Atime), 0), time.Unix(int64(a.Mtime), 0), false)
	}
	return nil
}

// change makes a change in a view of its own and asks about it.
func (h handlers) change(r *sftp.Request) error {
	where := r.Filepath
	if r.Method == "Symlink" { // of which the library has the text there
		where = r.Target
	}
	target, name, err := h.split(where)
	if err != nil || target == nil || name == "/" {
		return syscall.EACCES
	}
	done, err := h.begin(r.Filepath)
	if err != nil {
		return err
	}
	defer done()
	t, err := h.newTree(target)
	if err != nil {
		return err
	}
	defer t.close()
	summary := "sftp: " + strings.ToLower(r.Method) + " " + r.Filepath
	if r.Target != "" {
		summary += " " + r.Target
	}
	if err := h.apply(t.view, r, target, name); err != nil {
		h.explain(summary, err)
		return err
	}
	return h.ask(t, summary)
}

// explain tells in words why a change cannot be made, where the client knows no more than that it failed.
func (r *relay) explain(summary string, err error) {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM): // which the protocol has
	case errors.Is(err, syscall.EXDEV):
		r.notice("%s cannot be done: a file keeps its target, and a directory its name", render.Line(summary))
	default:
		r.notice("%s cannot be done: %s", render.Line(summary), render.Line(err.Error()))
	}
}

// renameNoReplace is RENAME_NOREPLACE of renameat2(2).
const renameNoReplace = 1

func (h handlers) apply(view *vfs.Session, r *sftp.Request, target targets.Target, name string) error {
	switch r.Method {
	case "Setstat":
		if r.AttrFlags().Size {
			if err := view.Truncate(name, int64(min(r.Attributes().Size, 1<<62))); err != nil { // #nosec G115 -- bounded
				return err
			}
		}
		return setAttributes(view, name, r)
	case "Mkdir":
		mode := uint32(0o755)
		if r.AttrFlags().Permissions {
			mode = r.Attributes().Mode & 0o7777
		}
		return view.Mkdir(name, mode)
	case "Rmdir":
		return view.Rmdir(name)
	case "Remove":
		return view.Unlink(name)
	case "Rename", "PosixRename":
		other, to, err := h.split(r.Target)
		switch {
		case err != nil || other == nil || to == "/":
			return syscall.EACCES
		case other != target:
			return syscall.EXDEV
		case r.Method == "Rename":
			return view.Rename(name, to, renameNoReplace)
		}
		return view.Rename(name, to, 0)
	case "Symlink":
		return view.Symlink(r.Filepath, name)
	}
	return syscall.EOPNOTSUPP
}
