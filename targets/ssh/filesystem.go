package ssh

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
	"shannot-gateway/targets/ssh/sftp"
)

// fileSystem is a target's for one change, over SFTP. The protocol has no exchange of names and no identity of a file: what a
// change replaces is looked at immediately before.
type fileSystem struct {
	ctx  context.Context
	sftp *sftp.Client
}

var _ change.FS = (*fileSystem)(nil)

// directory makes sure that a path leads to a directory without links.
func (fs *fileSystem) directory(dir string) error {
	real, look := fs.sftp.StartRealpath(fs.ctx, dir), fs.sftp.StartLstat(fs.ctx, dir)
	a, err := look.Wait(fs.ctx)
	if err == nil && a.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = canonical(fs.ctx, real, dir)
	}
	if missing(err) || errors.Is(err, syscall.ELOOP) {
		return change.NoDirectory(dir, err)
	}
	return err
}

// Look implements change.FS.
func (fs *fileSystem) Look(name string, hash bool) (change.Seen, error) {
	s, err := state(fs.ctx, fs.sftp, name, hash)
	return change.Seen{State: s}, err
}

// Still implements change.FS. Without a look at the content, size and time of the last change decide.
func (fs *fileSystem) Still(name string, seen change.Seen, thorough bool) (bool, error) {
	s, err := state(fs.ctx, fs.sftp, name, thorough && seen.State != nil && seen.State.Hashed)
	return err == nil && s.Same(seen.State), err
}

// Rename implements change.FS: the protocol's own rename replaces nothing.
func (fs *fileSystem) Rename(from, to string) error {
	err := fs.sftp.Rename(fs.ctx, from, to)
	if err == nil || missing(err) || fs.sftp.Err() != nil {
		return err
	}
	if _, look := fs.sftp.Lstat(fs.ctx, to); look == nil {
		return fmt.Errorf("%w: %w", syscall.EEXIST, err)
	}
	return err
}

// Place implements change.FS. Rename never asks for it.
func (fs *fileSystem) Place(string, string) error { return syscall.EOPNOTSUPP }

// Exchange implements change.FS.
func (fs *fileSystem) Exchange(string, string) error { return errors.ErrUnsupported }

// Replace implements change.FS.
func (fs *fileSystem) Replace(from, to string) error { return fs.sftp.Replace(fs.ctx, from, to) }

// Remove implements change.FS.
func (fs *fileSystem) Remove(name string) error { return fs.sftp.Remove(fs.ctx, name) }

// RemoveDir implements change.FS. The protocol has no word for a directory that is not empty.
func (fs *fileSystem) RemoveDir(name string) error {
	err := fs.sftp.Rmdir(fs.ctx, name)
	if err == nil || missing(err) || fs.sftp.Err() != nil {
		return err
	}
	if entries, look := fs.sftp.ReadDir(fs.ctx, name); look == nil && len(entries) > 0 {
		return fmt.Errorf("%w: %w", syscall.ENOTEMPTY, err)
	}
	return err
}

// undoTime is how long a step back may take after its caller has left.
const undoTime = 30 * time.Second

// Undoing implements change.FS.
func (fs *fileSystem) Undoing() (undo change.FS, release func()) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(fs.ctx), undoTime)
	return &fileSystem{ctx: ctx, sftp: fs.sftp}, cancel
}

// Discard implements change.FS. What cannot be removed any more, Sweep finds.
func (fs *fileSystem) Discard(temp string) error {
	if fs.sftp.Err() != nil {
		return nil // by another connection
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(fs.ctx), undoTime)
	defer cancel()
	err := fs.sftp.Remove(ctx, temp)
	if err == nil || missing(err) {
		return nil
	}
	if fs.sftp.Rmdir(ctx, temp) == nil {
		return nil
	}
	return fmt.Errorf("remove %s: %w", temp, err)
}

// Sync implements change.FS, as far as the server has fsync@openssh.com.
func (fs *fileSystem) Sync(dir string) error {
	if !fs.sftp.Has(sftp.Fsync) {
		return nil
	}
	if h, err := fs.sftp.Open(fs.ctx, dir, sftp.OpenRead, 0); err == nil {
		_ = fs.sftp.Fsync(fs.ctx, h)
		fs.sftp.Forget(h)
	}
	return nil
}

// newFile is a file under a temporary name, with the writes that were not answered yet.
type newFile struct {
	fs     *fileSystem
	name   string
	h      sftp.Handle
	sent   int64
	under  []sftp.Future[struct{}]
	closed bool
}

// NewFile implements change.FS.
func (fs *fileSystem) NewFile(temp string) (change.File, error) {
	h, err := fs.sftp.Open(fs.ctx, temp, sftp.OpenWrite|sftp.OpenNew, 0o600)
	if err != nil {
		return nil, err
	}
	return &newFile{fs: fs, name: temp, h: h}, nil
}

// writesAhead is how many pieces of a new file are under way at once.
const writesAhead = 32

// Write implements change.File. It waits for the answers to earlier writes alone.
func (f *newFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:min(len(p), n+sftp.MaxWrite)]
		f.under = append(f.under, f.fs.sftp.StartWrite(f.fs.ctx, f.h, f.sent, piece))
		f.sent += int64(len(piece))
		n += len(piece)
		if err := f.settle(writesAhead); err != nil {
			return n, err
		}
	}
	return n, nil
}

// settle waits until no more than most writes are under way.
func (f *newFile) settle(most int) error {
	for len(f.under) > most {
		if _, err := f.under[0].Wait(f.fs.ctx); err != nil {
			return err
		}
		f.under = f.under[1:]
	}
	return nil
}

// Finish implements change.File.
func (f *newFile) Finish(a change.Attributes) error {
	ctx, c := f.fs.ctx, f.fs.sftp
	if err := f.settle(0); err != nil {
		return err
	}
	if err := f.own(a); err != nil {
		return err
	}
	if !a.Mtime.IsZero() {
		if err := c.Fsetstat(ctx, f.h, timesOf(a.Mtime)); err != nil {
			return fmt.Errorf("set the time of %s: %w", f.name, err)
		}
	}
	if c.Has(sftp.Fsync) {
		if err := c.Fsync(ctx, f.h); err != nil {
			return err
		}
	}
	f.closed = true
	return c.CloseHandle(ctx, f.h)
}

// Close implements change.File.
func (f *newFile) Close() error {
	if !f.closed {
		f.closed = true
		f.fs.sftp.Forget(f.h)
	}
	return nil
}

// own gives an open file its owner, where that differs, and its mode: in this order, since the kernel clears
// set-user-ID bits with a change of owner.
func (f *newFile) own(want change.Attributes) error {
	ctx, c := f.fs.ctx, f.fs.sftp
	a, err := c.StartFstat(ctx, f.h).Wait(ctx)
	if err != nil {
		return err
	}
	if a.UID != want.UID || a.GID != want.GID {
		if err := c.Fsetstat(ctx, f.h, sftp.SetOwner(want.UID, want.GID)); err != nil {
			return fmt.Errorf("give %s to %d:%d: %w", f.name, want.UID, want.GID, err)
		}
	}
	if err := c.Fsetstat(ctx, f.h, sftp.SetMode(want.Mode)); err != nil {
		return err
	}
	a, err = c.StartFstat(ctx, f.h).Wait(ctx)
	if err == nil && (a.Mode&0o7777 != want.Mode || a.UID != want.UID || a.GID != want.GID) {
		err = fmt.Errorf("set the mode %04o and the owner %d:%d: %w", want.Mode, want.UID, want.GID, syscall.EPERM)
	}
	return err
}

// timesOf sets both times of a file to a moment, as far as the protocol has it: from 1970 to 2106, in whole seconds.
func timesOf(at time.Time) sftp.Set {
	seconds := uint32(min(max(at.Unix(), 0), 1<<32-1)) // #nosec G115 -- bounded
	return sftp.SetTimes(seconds, seconds)
}

// NewLink implements change.FS. It gives the link its owner, where that differs.
func (fs *fileSystem) NewLink(temp, text string, want change.Attributes) error {
	if err := fs.sftp.Symlink(fs.ctx, text, temp); err != nil {
		return err
	}
	a, err := fs.sftp.Lstat(fs.ctx, temp)
	if err != nil || a.UID == want.UID && a.GID == want.GID {
		return err
	}
	if err := fs.sftp.Lsetstat(fs.ctx, temp, sftp.SetOwner(want.UID, want.GID)); err != nil {
		return fmt.Errorf("give %s to %d:%d: %w", temp, want.UID, want.GID, err)
	}
	return nil
}

// NewDir implements change.FS. Who may write beside it may put a link in its place at any moment, so that its owner and mode
// are set where no link is followed.
func (fs *fileSystem) NewDir(temp string, want change.Attributes) error {
	if err := fs.sftp.Mkdir(fs.ctx, temp, 0o700); err != nil {
		return err
	}
	made, err := fs.sftp.Lstat(fs.ctx, temp)
	if err != nil {
		return err
	}
	return fs.ownDir(temp, made, want)
}

// ownDir gives a directory that was looked at its owner, where that differs, and its mode.
func (fs *fileSystem) ownDir(name string, look sftp.Attributes, want change.Attributes) error {
	h, err := fs.hold(name, look)
	if err != nil {
		return err
	}
	defer h.Close()
	if look.UID != want.UID || look.GID != want.GID {
		if err := h.Chown(want.UID, want.GID); err != nil {
			return fmt.Errorf("give %s to %d:%d: %w", name, want.UID, want.GID, err)
		}
	}
	return h.Chmod(want.Mode)
}

// heldFile is a file by its handle where it can be opened, else by name.
type heldFile struct {
	isLink bool
	set    func(sftp.Set) error
	look   func() (sftp.Attributes, error)
	let    func()
}

// holdTries is how often a file is looked at that changes between a look and the next: directories do, where files come and go.
const holdTries = 5

// Hold implements change.FS. The file is looked at once more: somebody may have put another one in its place.
func (fs *fileSystem) Hold(name string, seen change.Seen) (change.Held, error) {
	var err error
	for range holdTries {
		var a sftp.Attributes
		if a, err = fs.again(name, seen); err != nil {
			break
		}
		var h *heldFile
		if h, err = fs.hold(name, a); err == nil {
			return h, nil
		}
		if !errors.Is(err, syscall.ELOOP) {
			break
		}
	}
	if missing(err) || errors.Is(err, syscall.ELOOP) {
		err = fmt.Errorf("%w: %s was changed at this moment", targets.ErrConflict, name)
	}
	return nil, err
}

// again looks once more at what Look has seen. ELOOP where it is something else by now.
func (fs *fileSystem) again(name string, seen change.Seen) (sftp.Attributes, error) {
	a, err := fs.sftp.Lstat(fs.ctx, name)
	if err != nil {
		return a, err
	}
	now, err := describe(a)
	if err == nil && now.IsLink() {
		now.Link, err = fs.sftp.Readlink(fs.ctx, name)
	}
	if err == nil && !now.Same(seen.State) {
		err = syscall.ELOOP
	}
	return a, err
}

// hold holds what was looked at. ELOOP where the name leads to something else by now. What cannot be opened is changed by name:
// without following a link, where the server can.
func (fs *fileSystem) hold(name string, look sftp.Attributes) (*heldFile, error) {
	h := &heldFile{isLink: look.Mode&syscall.S_IFMT == syscall.S_IFLNK, let: func() {}}
	h.look = func() (sftp.Attributes, error) { return fs.sftp.Lstat(fs.ctx, name) }
	h.set = func(s sftp.Set) error { return fs.sftp.Setstat(fs.ctx, name, s) }
	if h.isLink || fs.sftp.Has(sftp.Lsetstat) {
		h.set = func(s sftp.Set) error { return fs.sftp.Lsetstat(fs.ctx, name, s) }
	}
	if kind := look.Mode & syscall.S_IFMT; kind != syscall.S_IFREG && kind != syscall.S_IFDIR {
		return h, nil // opening a device, a pipe or a socket means something
	}
	handle, err := fs.sftp.Open(fs.ctx, name, sftp.OpenRead, 0)
	if missing(err) {
		return nil, err
	}
	if err != nil {
		return h, fs.sftp.Err()
	}
	opened, named, real := fs.sftp.StartFstat(fs.ctx, handle), fs.sftp.StartLstat(fs.ctx, name), fs.sftp.StartRealpath(fs.ctx, name)
	a, err := opened.Wait(fs.ctx)
	now, err2 := named.Wait(fs.ctx)
	err = errors.Join(err, err2, canonical(fs.ctx, real, name))
	if err == nil && (!a.Same(look) || !now.Same(look)) {
		err = syscall.ELOOP
	}
	if err != nil {
		fs.sftp.Forget(handle)
		return nil, err
	}
	h.set = func(s sftp.Set) error { return fs.sftp.Fsetstat(fs.ctx, handle, s) }
	h.look = func() (sftp.Attributes, error) { return fs.sftp.StartFstat(fs.ctx, handle).Wait(fs.ctx) }
	h.let = func() { fs.sftp.Forget(handle) }
	return h, nil
}

// Chown implements change.Held.
func (h *heldFile) Chown(uid, gid uint32) error { return h.set(sftp.SetOwner(uid, gid)) }

// Chmod implements change.Held.
func (h *heldFile) Chmod(mode uint32) error {
	if err := h.set(sftp.SetMode(mode)); err != nil {
		return err
	}
	a, err := h.look()
	if err == nil && a.Mode&0o7777 != mode {
		err = syscall.EPERM
	}
	return err
}

// Touch implements change.Held. The protocol sets no times of a link.
func (h *heldFile) Touch(at time.Time) error {
	if h.isLink {
		return syscall.EINVAL
	}
	if at.IsZero() {
		at = time.Now()
	}
	return h.set(timesOf(at))
}

// Sync implements change.Held. The server does it in its own time.
func (h *heldFile) Sync() error { return nil }

// Close implements change.Held.
func (h *heldFile) Close() { h.let() }
