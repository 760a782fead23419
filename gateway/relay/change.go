package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// upload is a file that a client writes. It is kept in memory; when it is closed, a human is asked.
type upload struct {
	r        *relay
	name     string // the client's
	target   targets.Target
	tree     *tree // of its own
	path     string
	file     *os.File
	readable bool
	append   bool   // what is written goes to the end, wherever the client says
	broken   error  // the transfer did not come to its end
	sealed   bool   // it is what a human is asked about
	closed   bool   // a human is asked
	done     func() // gives its place back
}

// write begins an upload, by the client's name for the file.
func (r *relay) write(file string, flags int, mode uint32) (*upload, error) {
	target, name, err := r.split(file)
	switch {
	case err != nil || target == nil || name == "/":
		return nil, syscall.EACCES
	}
	done, err := r.begin(file)
	if err != nil {
		return nil, err
	}
	u, err := r.newUpload(target, name, flags, mode)
	if recorded := r.recordChanged(file, target, name, flags, u, err); recorded != nil {
		if err == nil {
			u.drop()
		}
		err = recorded
	}
	if err != nil {
		done()
		return nil, err
	}
	u.name, u.done = path.Clean("/"+file), done
	r.mu.Lock()
	r.uploads[u.name] = u
	r.mu.Unlock()
	return u, nil
}

// recordChanged tells of a file that is opened to be changed, where the client may read what it holds.
func (r *relay) recordChanged(file string, target targets.Target, name string, flags int, u *upload, refused error) error {
	switch {
	case flags&syscall.O_TRUNC != 0:
		return nil
	case refused != nil:
		if flags&syscall.O_CREAT != 0 { // nothing need be there
			return nil
		}
		return r.record(file, target, name, name, refused)
	}
	st, err := u.file.Stat()
	if err != nil || st.Size() == 0 {
		return err
	}
	return r.record(file, target, name, u.path, nil)
}

// uploading is the file that this client uploads under a name, nil for none.
func (r *relay) uploading(name string) *upload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.uploads[path.Clean("/"+name)]
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

func (r *relay) newUpload(target targets.Target, name string, flags int, mode uint32) (*upload, error) {
	t, err := r.newTree(target)
	if err != nil {
		return nil, err
	}
	file, err := t.view.Open(name, flags, mode)
	if err != nil {
		t.close()
		return nil, err
	}
	canonical := file.Path()
	if err := r.changeable(target, canonical); err != nil {
		_ = file.Close()
		t.close()
		return nil, err
	}
	r.explainScratch(name, canonical)
	fd, err := file.Descriptor(syscall.O_RDWR)
	_ = file.Close()
	if err != nil {
		t.close()
		return nil, err
	}
	return &upload{
		r: r, target: target, tree: t, path: canonical, file: os.NewFile(uintptr(fd), "upload"), // #nosec G115 -- a descriptor
	}, nil
}

// changeable refuses at once what nobody would be asked about: a client may never look at how its upload ended.
func (r *relay) changeable(target targets.Target, name string) error {
	err := r.o.Changeable(target, name)
	if err == nil {
		return nil
	}
	r.notice("%s cannot be changed: %s", render.Line(name), render.Line(err.Error()))
	return err
}

// explainScratch says once that a script does not see what is sent to the target's own directory of the same name.
func (r *relay) explainScratch(names ...string) {
	for _, dir := range r.o.Scratch {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/") }) {
			r.private.Do(func() {
				r.notice("%s of the target is not the %s of a script, which is the script's own and vanishes with it: send a script of several files as a "+
					"zip application (python3 -m zipapp), and data to run -c CODE on stdin", render.Line(dir), render.Line(dir))
			})
		}
	}
}

// WriteAt implements io.WriterAt. EFBIG beyond the limit, and after that.
func (u *upload) WriteAt(p []byte, off int64) (int, error) {
	u.r.mu.Lock()
	broken := u.broken
	u.r.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	if u.append {
		end, err := u.file.Seek(0, io.SeekEnd)
		if err != nil {
			return 0, err
		}
		off = end
	}
	if limit := u.r.o.MaxFile; off < 0 || limit > 0 && off+int64(len(p)) > limit {
		return 0, u.tooLarge()
	}
	return u.file.WriteAt(p, off)
}

// tooLarge ends an upload that does not fit.
func (u *upload) tooLarge() error {
	limit := u.r.o.MaxFile
	err := refused(syscall.EFBIG, fmt.Sprintf("larger than %d bytes (limits.write)", limit))
	u.TransferError(err)
	u.r.notice("%s is larger than %d bytes (limits.write)", render.Line(u.name), limit)
	return err
}

// describe is an upload as its client sees it, which no one else does.
func (u *upload) describe() (vfs.Info, error) {
	found, err := u.tree.view.Lstat(u.path)
	if err != nil {
		return vfs.Info{}, err
	}
	st, err := u.file.Stat()
	if err != nil {
		return vfs.Info{}, err
	}
	found.Size = st.Size()
	return found, nil
}

// content is what was written so far, for the client that wrote it. EBADF where it is an upload no more.
func (u *upload) content() (*os.File, error) {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	if u.r.uploads[u.name] != u {
		return nil, syscall.EBADF
	}
	raw, err := u.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	failed := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if failed != nil || err != nil {
		return nil, errors.Join(failed, err)
	}
	return os.NewFile(uintptr(fd), "upload"), nil // #nosec G115 -- a descriptor
}

// set sets attributes of an upload. EBUSY where a human has been asked about it already.
func (u *upload) set(a sftpwire.Attributes) error {
	u.r.mu.Lock()
	sealed, broken := u.sealed || u.closed, u.broken
	u.r.mu.Unlock()
	switch {
	case sealed:
		return refused(syscall.EBUSY, "it waits for a human as it is")
	case broken != nil:
		return broken
	}
	if a.Flags&sftpwire.AttrSize != 0 {
		if limit := u.r.o.MaxFile; a.Size > 1<<62 || limit > 0 && a.Size > uint64(limit) { // #nosec G115 -- not negative
			return u.tooLarge()
		}
		if err := u.file.Truncate(int64(a.Size)); err != nil { // #nosec G115 -- bounded
			return err
		}
	}
	return setAttributes(u.tree.view, u.path, a, true)
}

// seal keeps an upload as it is: its client has closed it, and a human will be asked.
func (u *upload) seal() {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	u.sealed = true
}

// TransferError says that the transfer did not come to its end. The first reason stays.
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
	broken := u.broken
	u.r.mu.Unlock()
	defer u.forget()
	if broken != nil {
		return broken // half a file is nobody's
	}
	return u.r.ask(u.tree, "sftp: put "+u.name)
}

// forget drops an upload that was made or not.
func (u *upload) forget() {
	u.r.mu.Lock()
	defer u.r.mu.Unlock()
	if u.r.uploads[u.name] == u {
		delete(u.r.uploads, u.name)
	}
	u.drop()
	u.done()
}

// drop ends what an upload holds, but for its place.
func (u *upload) drop() {
	_ = u.file.Close()
	u.tree.close()
}

// ask brings what a view holds before a human, and lets the client see what came of it.
func (r *relay) ask(t *tree, summary string) error {
	changes := t.view.Changes()
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		if err := r.changeable(t.target, c.Path); err != nil {
			return err
		}
	}
	shown := render.Line(summary)
	var session string
	err := r.o.Ask(r.ctx, Change{
		Target: t.target, Summary: summary, View: t.view, Base: t.base,
		Queued: func(why string) { r.notice("%s: %s", shown, render.Line(why)) },
		Told: func(id string) {
			session = id
			r.notice("%s waits for a human as session %s; it goes on when somebody runs: show %s, and the approve line that this ends with (or: reject %s)", shown, id, id, id)
		},
	})
	r.mu.Lock()
	mine := r.trees[t.target.Name()]
	r.mu.Unlock()
	if mine != nil {
		mine.refresh()
	}
	if err == nil {
		return nil
	}
	r.notice("%s ended: %s", shown, render.Line(err.Error()))
	errno := syscall.EACCES
	errors.As(err, &errno)
	text := render.Line(err.Error()).String()
	if session != "" {
		text = "session " + session + ": " + text
	}
	return refused(errno, text)
}

// setAttributes sets what a client gave, but for the size.
func setAttributes(view *vfs.Session, name string, a sftpwire.Attributes, follow bool) error {
	if a.Flags&sftpwire.AttrOwner != 0 {
		if err := view.Chown(name, int(a.UID), int(a.GID), follow); err != nil {
			return err
		}
	}
	if a.Flags&sftpwire.AttrPermissions != 0 {
		if err := view.Chmod(name, a.Mode&0o7777, follow); err != nil {
			return err
		}
	}
	if a.Flags&sftpwire.AttrTimes != 0 {
		return view.Utimes(name, time.Unix(int64(a.Atime), 0), time.Unix(int64(a.Mtime), 0), follow)
	}
	return nil
}

// edit is a change of one path.
type edit struct {
	verb  string
	name  string // the client's
	other string // where it leads to, where there is one: as the client gave it
	do    func(view *vfs.Session, name string) error
}

// edit makes a change in a view of its own and asks about it.
func (r *relay) edit(e edit) error {
	if err := context.Cause(r.ctx); err != nil {
		return err // its client is gone
	}
	target, name, err := r.split(e.name)
	if err != nil || target == nil || name == "/" {
		return syscall.EACCES
	}
	done, err := r.begin(e.name)
	if err != nil {
		return err
	}
	defer done()
	t, err := r.newTree(target)
	if err != nil {
		return err
	}
	defer t.close()
	summary := "sftp: " + e.verb + " " + e.name
	if e.other != "" {
		summary += " " + e.other
	}
	if err := e.do(t.view, name); err != nil {
		r.explain(summary, err)
		return err
	}
	return r.ask(t, summary)
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
