package ssh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sftp"
)

var _ targets.FileTarget = (*Target)(nil)

// errnoOf keeps an error's words and makes sure that it has an errno: EHOSTUNREACH, ETIMEDOUT and EPROTO for the
// connection's failures, EIO for what has none.
func errnoOf(err error) error {
	var e syscall.Errno
	var unreachable *UnreachableError
	switch {
	case err == nil, errors.Is(err, targets.ErrConflict):
		return err
	case errors.As(err, &unreachable):
		return fmt.Errorf("%w: %w", syscall.EHOSTUNREACH, err)
	case errors.Is(err, sftp.ErrTimeout):
		return fmt.Errorf("%w: %w", syscall.ETIMEDOUT, err)
	case errors.Is(err, sftp.ErrProtocol):
		return fmt.Errorf("%w: %w", syscall.EPROTO, err)
	case errors.Is(err, sftp.ErrEnded):
		return fmt.Errorf("%w: %w", syscall.ECONNRESET, err)
	case errors.As(err, &e):
		return err
	}
	return fmt.Errorf("%w: %w", syscall.EIO, err)
}

// State describes what is at a path.
func (t *Target) State(ctx context.Context, name string) (*targets.State, error) {
	if !targets.CleanPath(name) {
		return nil, syscall.EINVAL
	}
	s, err := asking(ctx, t.pool, func(r *relay) (*targets.State, error) { return state(ctx, r.Client, name, true) })
	return s, errnoOf(err)
}

// state describes what is at a path, nil for nothing. ELOOP where a directory on the way is a link.
func state(ctx context.Context, c *sftp.Client, name string, hash bool) (*targets.State, error) {
	dir, look := c.StartRealpath(ctx, path.Dir(name)), c.StartLstat(ctx, name)
	a, err := look.Wait(ctx)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := canonical(ctx, dir, path.Dir(name)); err != nil {
		return nil, err
	}
	s, err := describe(a)
	if err != nil {
		return nil, err
	}
	switch {
	case s.IsLink():
		s.Link, err = c.Readlink(ctx, name)
	case s.IsRegular() && hash:
		s, err = hashed(ctx, c, name, a)
	}
	return s, err
}

func missing(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}

func describe(a sftp.Attributes) (*targets.State, error) {
	info, err := sftp.Info(a)
	if err != nil {
		return nil, err
	}
	s := &targets.State{Mode: info.Mode, UID: info.UID, GID: info.GID, Mtime: info.Mtime}
	if s.IsRegular() {
		s.Size = info.Size
	}
	return s, nil
}

// hashed reads a regular file for its hash.
func hashed(ctx context.Context, c *sftp.Client, name string, look sftp.Attributes) (*targets.State, error) {
	h, a, err := openSame(ctx, c, name, look)
	if err != nil {
		return nil, err
	}
	defer c.Forget(h)
	s, err := describe(a)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, readFrom(ctx, c, h, 0, s.Size))
	if err != nil {
		return nil, err
	}
	after, err := c.StartFstat(ctx, h).Wait(ctx)
	if err != nil {
		return nil, err
	}
	if n != s.Size || !after.Same(a) {
		return nil, fmt.Errorf("%w: it is being written (%d bytes now)", targets.ErrConflict, after.Size)
	}
	sum.Sum(s.SHA256[:0])
	s.Hashed = true
	return s, nil
}

// openSame opens the file that was looked at, and no other that a link leads to.
func openSame(ctx context.Context, c *sftp.Client, name string, look sftp.Attributes) (sftp.Handle, sftp.Attributes, error) {
	info, err := sftp.Info(look)
	if err == nil {
		err = readable(info)
	}
	if err != nil {
		return "", look, err
	}
	h, err := c.Open(ctx, name, sftp.OpenRead, 0)
	if err != nil {
		return "", look, err
	}
	opened, named, real := c.StartFstat(ctx, h), c.StartLstat(ctx, name), c.StartRealpath(ctx, name)
	a, err := sameFile(ctx, opened, named, real, name)
	if err != nil {
		c.Forget(h)
	}
	return h, a, err
}

// Content opens a regular file for reading.
func (t *Target) Content(ctx context.Context, name string) (io.ReadCloser, *targets.State, error) {
	if !targets.CleanPath(name) {
		return nil, nil, syscall.EINVAL
	}
	r, err := t.pool.relay(ctx)
	if err != nil {
		return nil, nil, errnoOf(err)
	}
	look, err := r.Lstat(ctx, name)
	var h sftp.Handle
	if err == nil {
		h, look, err = openSame(ctx, r.Client, name, look)
	}
	var s *targets.State
	if err == nil {
		if s, err = describe(look); err != nil {
			r.Forget(h)
		}
	}
	if err != nil {
		t.pool.giveBack(r)
		return nil, nil, errnoOf(err)
	}
	return &contentReader{readFrom(ctx, r.Client, h, 0, s.Size), func() { r.Forget(h); t.pool.giveBack(r) }}, s, nil
}

// contentReader is a file's content with the channel that it comes by.
type contentReader struct {
	io.Reader
	release func()
}

// Close implements io.Closer.
func (c *contentReader) Close() error {
	if c.release != nil {
		c.release()
		c.release = nil
	}
	return nil
}

// Apply makes one change. See targets.FileTarget. The server's account decides what may be changed. What a rename would
// replace is looked at immediately before, since SFTP has no exchange of names; durable it is as far as the server has
// fsync@openssh.com, as OpenSSH does.
func (t *Target) Apply(ctx context.Context, c targets.Change) error {
	if !c.Valid() {
		return syscall.EINVAL
	}
	r, err := t.pool.relay(ctx)
	if err != nil {
		return errnoOf(err)
	}
	defer t.pool.giveBack(r)
	w := &work{ctx: ctx, sftp: r.Client, c: &c}
	if err := w.directory(path.Dir(c.Path)); err != nil {
		return errnoOf(err)
	}
	if c.Op == targets.Rename {
		if err := w.directory(path.Dir(c.To)); err != nil {
			return errnoOf(err)
		}
	}
	if err := w.verify(true); err != nil {
		return errnoOf(err)
	}
	err = w.do()
	if err != nil && r.Err() != nil {
		return fmt.Errorf("%w: %w", targets.ErrInterrupted, errnoOf(err))
	}
	return errnoOf(err)
}

// work is one change while it is made.
type work struct {
	ctx  context.Context
	sftp *sftp.Client
	c    *targets.Change
}

// directory makes sure that a path leads to a directory without links.
func (w *work) directory(dir string) error {
	real, look := w.sftp.StartRealpath(w.ctx, dir), w.sftp.StartLstat(w.ctx, dir)
	a, err := look.Wait(w.ctx)
	if err == nil && a.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		err = syscall.ENOTDIR
	}
	if err == nil {
		err = canonical(w.ctx, real, dir)
	}
	if missing(err) || errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%w: %s is not a directory that a path leads to without links (%w)", targets.ErrConflict, dir, err)
	}
	return err
}

// verify compares what is there with what was decided upon, the content too where hash is set.
func (w *work) verify(hash bool) error {
	if err := w.expect(w.c.Path, w.c.Was, hash); err != nil {
		return err
	}
	if w.c.Op == targets.Rename {
		return w.expect(w.c.To, w.c.WasTo, hash)
	}
	return nil
}

func (w *work) expect(name string, want *targets.State, hash bool) error {
	have, err := state(w.ctx, w.sftp, name, hash && want != nil && want.Hashed)
	if err != nil {
		return err
	}
	if !have.Same(want) {
		return fmt.Errorf("%w: %s", targets.ErrConflict, targets.Difference(name, have, want))
	}
	return nil
}

func (w *work) do() error {
	switch w.c.Op {
	case targets.Write:
		return w.build(w.write)
	case targets.Symlink:
		return w.build(w.symlink)
	case targets.Mkdir:
		return w.build(w.mkdir)
	case targets.Delete:
		return w.delete()
	case targets.Rmdir:
		return w.rmdir()
	case targets.Rename:
		return w.rename()
	case targets.Chmod, targets.Chown, targets.Touch:
		return w.attributes()
	}
	return syscall.EINVAL
}

// cleaning is a context for what has to be undone although the caller has left.
func (w *work) cleaning() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(w.ctx), 30*time.Second)
}

// build makes what is to be under a temporary name and then gives it the name.
func (w *work) build(make func(temp string) error) error {
	base, err := targets.TempName(w.c.ID)
	if err != nil {
		return err
	}
	temp := path.Join(path.Dir(w.c.Path), base)
	if err := make(temp); err != nil {
		return errors.Join(err, w.discard(temp))
	}
	if w.c.Was == nil {
		err = w.occupy(temp, w.c.Path)
	} else if err = w.verify(false); err == nil {
		err = w.sftp.Replace(w.ctx, temp, w.c.Path)
	}
	if err != nil {
		return errors.Join(err, w.discard(temp))
	}
	w.durable(path.Dir(w.c.Path))
	return nil
}

// occupy gives a file a name that must be free: the protocol's own rename replaces nothing.
func (w *work) occupy(from, to string) error {
	err := w.sftp.Rename(w.ctx, from, to)
	if err == nil || w.sftp.Err() != nil {
		return err
	}
	if _, look := w.sftp.Lstat(w.ctx, to); look == nil {
		return fmt.Errorf("%w: %s exists", targets.ErrConflict, to)
	}
	return err
}

// discard removes a temporary name. What cannot be removed any more, Sweep finds.
func (w *work) discard(temp string) error {
	if w.sftp.Err() != nil {
		return nil // by another connection
	}
	ctx, cancel := w.cleaning()
	defer cancel()
	err := w.sftp.Remove(ctx, temp)
	if err == nil || missing(err) {
		return nil
	}
	if w.sftp.Rmdir(ctx, temp) == nil {
		return nil
	}
	return fmt.Errorf("remove %s: %w", temp, err)
}

// writesAhead is how many pieces of a new file are under way at once.
const writesAhead = 32

// write makes the new file and makes it durable.
func (w *work) write(temp string) error {
	if w.c.Content == nil {
		return syscall.EINVAL
	}
	in, err := w.c.Content()
	if err != nil {
		return fmt.Errorf("open the new content: %w", err)
	}
	defer func() { _ = in.Close() }()
	h, err := w.sftp.Open(w.ctx, temp, sftp.OpenWrite|sftp.OpenNew, 0o600)
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			w.sftp.Forget(h)
		}
	}()
	if err := w.send(h, in); err != nil {
		return err
	}
	if err := w.own(h, temp); err != nil {
		return err
	}
	if !w.c.Mtime.IsZero() {
		if err := w.sftp.Fsetstat(w.ctx, h, timesOf(w.c.Mtime)); err != nil {
			return fmt.Errorf("set the time of %s: %w", temp, err)
		}
	}
	if w.sftp.Has(sftp.Fsync) {
		if err := w.sftp.Fsync(w.ctx, h); err != nil {
			return err
		}
	}
	closed = true
	return w.sftp.CloseHandle(w.ctx, h)
}

// timesOf sets both times of a file to a moment, as far as the protocol has it: from 1970 to 2106, in whole seconds.
func timesOf(at time.Time) sftp.Set {
	seconds := uint32(min(max(at.Unix(), 0), 1<<32-1)) // #nosec G115 -- bounded
	return sftp.SetTimes(seconds, seconds)
}

// send writes the content and checks that it is the one that was decided upon.
func (w *work) send(h sftp.Handle, in io.Reader) error {
	sum := sha256.New()
	limited := io.LimitReader(in, w.c.Size+1)
	var under []sftp.Future[struct{}]
	var sent int64
	take := func(most int) error {
		for len(under) > most {
			if _, err := under[0].Wait(w.ctx); err != nil {
				return err
			}
			under = under[1:]
		}
		return nil
	}
	buf := make([]byte, sftp.MaxWrite)
	for {
		n, err := io.ReadFull(limited, buf)
		if n > 0 {
			_, _ = sum.Write(buf[:n])
			under = append(under, w.sftp.StartWrite(w.ctx, h, sent, buf[:n]))
			sent += int64(n)
			if err := take(writesAhead); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := take(0); err != nil {
		return err
	}
	if sent != w.c.Size || [sha256.Size]byte(sum.Sum(nil)) != w.c.SHA256 {
		return errors.New("the content is not the one that was decided upon")
	}
	return nil
}

// own gives an open file its owner, where that differs, and its mode: in this order, since the kernel clears
// set-user-ID bits with a change of owner.
func (w *work) own(h sftp.Handle, name string) error {
	a, err := w.sftp.StartFstat(w.ctx, h).Wait(w.ctx)
	if err != nil {
		return err
	}
	if a.UID != w.c.UID || a.GID != w.c.GID {
		if err := w.sftp.Fsetstat(w.ctx, h, sftp.SetOwner(w.c.UID, w.c.GID)); err != nil {
			return fmt.Errorf("give %s to %d:%d: %w", name, w.c.UID, w.c.GID, err)
		}
	}
	if err := w.sftp.Fsetstat(w.ctx, h, sftp.SetMode(w.c.Mode)); err != nil {
		return err
	}
	a, err = w.sftp.StartFstat(w.ctx, h).Wait(w.ctx)
	if err == nil && (a.Mode&0o7777 != w.c.Mode&0o7777 || a.UID != w.c.UID || a.GID != w.c.GID) {
		err = fmt.Errorf("set the mode %04o and the owner %d:%d: %w", w.c.Mode&0o7777, w.c.UID, w.c.GID, syscall.EPERM)
	}
	return err
}

// symlink makes a link and gives it its owner, where that differs.
func (w *work) symlink(temp string) error {
	if err := w.sftp.Symlink(w.ctx, w.c.To, temp); err != nil {
		return err
	}
	a, err := w.sftp.Lstat(w.ctx, temp)
	if err != nil || a.UID == w.c.UID && a.GID == w.c.GID {
		return err
	}
	if err := w.sftp.Lsetstat(w.ctx, temp, sftp.SetOwner(w.c.UID, w.c.GID)); err != nil {
		return fmt.Errorf("give %s to %d:%d: %w", temp, w.c.UID, w.c.GID, err)
	}
	return nil
}

func (w *work) mkdir(temp string) error {
	if w.c.Was != nil {
		return syscall.EINVAL
	}
	if err := w.sftp.Mkdir(w.ctx, temp, 0o700); err != nil {
		return err
	}
	a, err := w.sftp.Lstat(w.ctx, temp)
	if err != nil {
		return err
	}
	if a.UID != w.c.UID || a.GID != w.c.GID {
		if err := w.sftp.Setstat(w.ctx, temp, sftp.SetOwner(w.c.UID, w.c.GID)); err != nil {
			return err
		}
	}
	return w.sftp.Setstat(w.ctx, temp, sftp.SetMode(w.c.Mode))
}

// delete gives the file a temporary name first, so that what is removed is what was verified and nothing else.
func (w *work) delete() error {
	if w.c.Was == nil || w.c.Was.IsDir() {
		return syscall.EINVAL
	}
	base, err := targets.TempName(w.c.ID)
	if err != nil {
		return err
	}
	temp := path.Join(path.Dir(w.c.Path), base)
	if err := w.sftp.Rename(w.ctx, w.c.Path, temp); err != nil {
		if missing(err) {
			return fmt.Errorf("%w: %s is gone", targets.ErrConflict, w.c.Path)
		}
		return err
	}
	have, err := state(w.ctx, w.sftp, temp, w.c.Was.Hashed)
	if err == nil && !have.Same(w.c.Was) {
		err = fmt.Errorf("%w: %s was changed at this moment", targets.ErrConflict, w.c.Path)
	}
	if err == nil {
		err = w.sftp.Remove(w.ctx, temp)
	}
	if err != nil {
		ctx, cancel := w.cleaning()
		defer cancel()
		return errors.Join(err, w.sftp.Rename(ctx, temp, w.c.Path))
	}
	w.durable(path.Dir(w.c.Path))
	return nil
}

func (w *work) rmdir() error {
	if !w.c.Was.IsDir() {
		return syscall.EINVAL
	}
	if err := w.sftp.Rmdir(w.ctx, w.c.Path); err != nil {
		if entries, lerr := w.sftp.ReadDir(w.ctx, w.c.Path); lerr == nil && len(entries) > 0 {
			return fmt.Errorf("%w: %s is not empty", targets.ErrConflict, w.c.Path)
		}
		return err
	}
	w.durable(path.Dir(w.c.Path))
	return nil
}

func (w *work) rename() error {
	if w.c.Was == nil || w.c.Was.IsDir() || w.c.WasTo.IsDir() {
		return syscall.EINVAL
	}
	var err error
	if w.c.WasTo == nil {
		err = w.occupy(w.c.Path, w.c.To)
	} else if err = w.verify(false); err == nil {
		err = w.sftp.Replace(w.ctx, w.c.Path, w.c.To)
	}
	if err != nil {
		return err
	}
	w.durable(path.Dir(w.c.To))
	w.durable(path.Dir(w.c.Path))
	return nil
}

// attributes changes mode, owner or time: of the open file where it is a regular one that can be opened, else by name,
// of which was made sure that it is no link.
func (w *work) attributes() error {
	was := w.c.Was
	if was == nil || was.IsLink() && w.c.Op != targets.Chown {
		return syscall.EINVAL
	}
	set := func(s sftp.Set) error { return w.sftp.Setstat(w.ctx, w.c.Path, s) }
	switch {
	case was.IsLink():
		set = func(s sftp.Set) error { return w.sftp.Lsetstat(w.ctx, w.c.Path, s) }
	case was.IsRegular():
		look, err := w.sftp.Lstat(w.ctx, w.c.Path)
		if err != nil {
			return err
		}
		if h, _, err := openSame(w.ctx, w.sftp, w.c.Path, look); err == nil {
			defer w.sftp.Forget(h)
			set = func(s sftp.Set) error { return w.sftp.Fsetstat(w.ctx, h, s) }
		} else if !errors.Is(err, syscall.EACCES) {
			return err
		}
	}
	if w.c.Op == targets.Touch {
		at := w.c.Mtime
		if at.IsZero() {
			at = time.Now()
		}
		return set(timesOf(at))
	}
	if err := w.setOwnerAndMode(set); err != nil {
		// Nothing is changed after an error.
		_ = set(sftp.SetOwner(was.UID, was.GID))
		if !was.IsLink() {
			_ = set(sftp.SetMode(was.Perm()))
		}
		return err
	}
	return nil
}

func (w *work) setOwnerAndMode(set func(sftp.Set) error) error {
	if w.c.Op == targets.Chown {
		if err := set(sftp.SetOwner(w.c.UID, w.c.GID)); err != nil {
			return err
		}
	}
	if w.c.Was.IsLink() {
		return nil
	}
	if err := set(sftp.SetMode(w.c.Mode)); err != nil {
		return err
	}
	a, err := w.sftp.Lstat(w.ctx, w.c.Path)
	if err == nil && a.Mode&0o7777 != w.c.Mode&0o7777 {
		err = syscall.EPERM
	}
	return err
}

// durable makes a directory's names durable, as far as the server can.
func (w *work) durable(dir string) {
	if !w.sftp.Has(sftp.Fsync) {
		return
	}
	if h, err := w.sftp.Open(w.ctx, dir, sftp.OpenRead, 0); err == nil {
		_ = w.sftp.Fsync(w.ctx, h)
		w.sftp.Forget(h)
	}
}

// Sweep removes what an interrupted Apply of a change has left beside a path.
func (t *Target) Sweep(ctx context.Context, id, name string) error {
	if !targets.ValidID(id) || !targets.CleanPath(name) {
		return syscall.EINVAL
	}
	r, err := t.pool.relay(ctx)
	if err != nil {
		return errnoOf(err)
	}
	defer t.pool.giveBack(r)
	w := &work{ctx: ctx, sftp: r.Client, c: &targets.Change{}}
	dir := path.Dir(name)
	if err := w.directory(dir); errors.Is(err, targets.ErrConflict) {
		return nil
	} else if err != nil {
		return errnoOf(err)
	}
	entries, err := r.ReadDir(ctx, dir)
	var failed []error
	for _, e := range entries {
		if targets.IsTempName(e.Name, id) {
			failed = append(failed, w.discard(path.Join(dir, e.Name)))
		}
	}
	return errnoOf(errors.Join(append(failed, err)...))
}
