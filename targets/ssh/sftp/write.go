package sftp

import (
	"context"

	"shannot-gateway/internal/sftpwire"
)

// Extensions of OpenSSH's server (PROTOCOL, section 4).
const (
	PosixRename = "posix-rename@openssh.com"
	Fsync       = "fsync@openssh.com"
	Lsetstat    = "lsetstat@openssh.com"
)

// MaxWrite is what one write sends at most, in bytes.
const MaxWrite = 32 << 10

// StartWrite writes to an open file.
func (c *Client) StartWrite(ctx context.Context, h Handle, offset int64, data []byte) Future[struct{}] {
	return beginRaw(ctx, c, sftpwire.TypeWrite, decodeStatus, func(e *sftpwire.Encoder) {
		e.String(string(h))
		e.Uint64(uint64(offset)) // #nosec G115 -- offsets are not negative
		e.String(string(data))
	})
}

// Set says what of a file's attributes is to be changed.
type Set struct{ a Attributes }

// SetOwner sets the owner.
func SetOwner(uid, gid uint32) Set {
	return Set{Attributes{Flags: sftpwire.AttrOwner, UID: uid, GID: gid}}
}

// SetMode sets the permission bits.
func SetMode(mode uint32) Set {
	return Set{Attributes{Flags: sftpwire.AttrPermissions, Mode: mode & 0o7777}}
}

// SetTimes sets the times, in seconds since 1970.
func SetTimes(atime, mtime uint32) Set {
	return Set{Attributes{Flags: sftpwire.AttrTimes, Atime: atime, Mtime: mtime}}
}

// Fsetstat changes attributes of an open file.
func (c *Client) Fsetstat(ctx context.Context, h Handle, s Set) error {
	return done(ctx, beginRaw(ctx, c, sftpwire.TypeFsetstat, decodeStatus, func(e *sftpwire.Encoder) {
		e.String(string(h))
		e.Attributes(s.a)
	}))
}

// Setstat changes attributes of what a name leads to on the server.
func (c *Client) Setstat(ctx context.Context, name string, s Set) error {
	return done(ctx, begin(ctx, c, sftpwire.TypeSetstat, name, decodeStatus, func(e *sftpwire.Encoder) { e.Attributes(s.a) }))
}

// Lsetstat is Setstat of a link itself. It needs the extension of this name.
func (c *Client) Lsetstat(ctx context.Context, name string, s Set) error {
	return c.extended(ctx, Lsetstat, func(e *sftpwire.Encoder) {
		e.String(name)
		e.Attributes(s.a)
	}, name)
}

// Mkdir makes a directory. It fails where the name exists.
func (c *Client) Mkdir(ctx context.Context, name string, mode uint32) error {
	return done(ctx, begin(ctx, c, sftpwire.TypeMkdir, name, decodeStatus, func(e *sftpwire.Encoder) { e.Attributes(SetMode(mode).a) }))
}

// Rmdir removes an empty directory.
func (c *Client) Rmdir(ctx context.Context, name string) error {
	return done(ctx, begin(ctx, c, sftpwire.TypeRmdir, name, decodeStatus, nil))
}

// Remove removes a name of a file that is no directory.
func (c *Client) Remove(ctx context.Context, name string) error {
	return done(ctx, begin(ctx, c, sftpwire.TypeRemove, name, decodeStatus, nil))
}

// Rename renames a file, and fails where the new name exists.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	if err := checkPath(to); err != nil {
		return err
	}
	return done(ctx, begin(ctx, c, sftpwire.TypeRename, from, decodeStatus, func(e *sftpwire.Encoder) { e.String(to) }))
}

// Replace renames a file, as rename(2): what had the new name is replaced in one step. It needs the extension PosixRename.
func (c *Client) Replace(ctx context.Context, from, to string) error {
	return c.extended(ctx, PosixRename, func(e *sftpwire.Encoder) {
		e.String(from)
		e.String(to)
	}, from, to)
}

// Symlink makes a link with this text. The order on the wire is OpenSSH's, which is not the draft's.
func (c *Client) Symlink(ctx context.Context, text, name string) error {
	if err := checkPath(name); err != nil {
		return err
	}
	return done(ctx, begin(ctx, c, sftpwire.TypeSymlink, text, decodeStatus, func(e *sftpwire.Encoder) { e.String(name) }))
}

// Fsync makes an open file durable. It needs the extension of this name.
func (c *Client) Fsync(ctx context.Context, h Handle) error {
	return c.extended(ctx, Fsync, func(e *sftpwire.Encoder) { e.String(string(h)) })
}

func (c *Client) extended(ctx context.Context, extension string, build func(*sftpwire.Encoder), paths ...string) error {
	for _, p := range paths {
		if err := checkPath(p); err != nil {
			return err
		}
	}
	if !c.Has(extension) {
		return &StatusError{Code: sftpwire.StatusUnsupported, Message: "the server has no " + extension}
	}
	return done(ctx, beginRaw(ctx, c, sftpwire.TypeExtended, decodeStatus, func(e *sftpwire.Encoder) {
		e.String(extension)
		build(e)
	}))
}

func done(ctx context.Context, f Future[struct{}]) error {
	_, err := f.Wait(ctx)
	return err
}
