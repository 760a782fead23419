package ssh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
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
	t.leftovers.forget(c.ID)
	r, err := t.pool.relay(ctx)
	if err != nil {
		return errnoOf(err)
	}
	defer t.pool.giveBack(r)
	fs := &fileSystem{ctx: ctx, sftp: r.Client}
	if err := fs.directory(path.Dir(c.Path)); err != nil {
		return errnoOf(err)
	}
	if c.Op == targets.Rename {
		if err := fs.directory(path.Dir(c.To)); err != nil {
			return errnoOf(err)
		}
	}
	changing := false
	err = change.Apply(ctx, fs, &c, func(do func() error) error {
		err := do()
		changing = err == nil || changing
		return err
	})
	if err != nil && changing && r.Err() != nil {
		return fmt.Errorf("%w: %w", targets.ErrInterrupted, errnoOf(err))
	}
	return errnoOf(err)
}

// sweep sweeps beside a path. reached is false where the target did not answer to the end.
func (t *Target) sweep(ctx context.Context, one leftover) (reached bool, err error) {
	if !targets.ValidID(one.id) || !targets.CleanPath(one.name) {
		return true, syscall.EINVAL
	}
	r, err := t.pool.relay(ctx)
	if err != nil {
		return false, errnoOf(err)
	}
	defer t.pool.giveBack(r)
	fs := &fileSystem{ctx: ctx, sftp: r.Client}
	err = fs.sweep(one)
	return r.Err() == nil, errnoOf(err)
}

// sweep removes what a change has left beside a path, and puts back what it had taken away.
func (fs *fileSystem) sweep(one leftover) error {
	dir := path.Dir(one.name)
	if err := fs.directory(dir); errors.Is(err, targets.ErrConflict) {
		return nil
	} else if err != nil {
		return err
	}
	entries, err := fs.sftp.ReadDir(fs.ctx, dir)
	var failed []error
	for _, e := range entries {
		switch temp := path.Join(dir, e.Name); {
		case targets.IsTakenName(e.Name, one.id):
			if err := fs.Rename(temp, one.name); !errors.Is(err, syscall.EEXIST) { // else both are somebody's, and stay
				failed = append(failed, err)
			}
		case targets.IsTempName(e.Name, one.id):
			failed = append(failed, fs.Discard(temp))
		}
	}
	return errors.Join(append(failed, err)...)
}
