package sftp

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"

	"shannot-gateway/internal/sftpwire"
)

// Flags of an open, section 6.3.
const (
	OpenRead  = 0x01
	OpenWrite = 0x02
	OpenNew   = 0x08 | 0x20 // SSH_FXF_CREAT and SSH_FXF_EXCL
)

// Handle is an open file or directory of the server.
type Handle string

func checkPath(name string) error {
	switch {
	case name == "" || strings.IndexByte(name, 0) >= 0:
		return syscall.ENOENT
	case len(name) > maxPath:
		return syscall.ENAMETOOLONG
	}
	return nil
}

// Future is an answer on its way.
type Future[T any] struct {
	c      *Client
	call   *call
	decode func(*Client, reply) (T, error)
	err    error
}

// Wait returns the answer. A caller whose ctx ends first leaves the request under way.
func (f Future[T]) Wait(ctx context.Context) (T, error) {
	var none T
	if f.err != nil {
		return none, f.err
	}
	r, err := f.call.wait(ctx)
	if err != nil {
		return none, err
	}
	return f.decode(f.c, r)
}

// begin sends a request about a path.
func begin[T any](ctx context.Context, c *Client, kind byte, name string, decode func(*Client, reply) (T, error), more func(*sftpwire.Encoder)) Future[T] {
	if err := checkPath(name); err != nil {
		return Future[T]{err: err}
	}
	return beginRaw(ctx, c, kind, decode, func(e *sftpwire.Encoder) {
		e.String(name)
		if more != nil {
			more(e)
		}
	})
}

func beginRaw[T any](ctx context.Context, c *Client, kind byte, decode func(*Client, reply) (T, error), build func(*sftpwire.Encoder)) Future[T] {
	w, err := c.start(ctx, kind, build)
	return Future[T]{c: c, call: w, decode: decode, err: err}
}

func decodeAttributes(c *Client, r reply) (Attributes, error) {
	d, err := c.expect(r, sftpwire.TypeAttrs)
	if err != nil {
		return Attributes{}, noEOF(err)
	}
	a := d.Attributes()
	if d.Bad() {
		return a, c.broke("attributes are cut short")
	}
	return a, nil
}

func decodeHandle(c *Client, r reply) (Handle, error) {
	d, err := c.expect(r, sftpwire.TypeHandle)
	if err != nil {
		return "", noEOF(err)
	}
	h := d.String()
	if d.Bad() || len(h) > maxHandle {
		return "", c.broke("a handle of %d bytes", len(h))
	}
	return Handle(h), nil
}

func decodeStatus(c *Client, r reply) (struct{}, error) {
	_, err := c.expect(r, sftpwire.TypeStatus)
	return struct{}{}, noEOF(err)
}

// decodeOneName is the answer to READLINK and REALPATH.
func decodeOneName(c *Client, r reply) (string, error) {
	d, err := c.expect(r, sftpwire.TypeName)
	if err != nil {
		return "", noEOF(err)
	}
	names, err := readNames(d)
	if err == nil && len(names) != 1 {
		err = broken("%d names where there is one", len(names))
	}
	if err != nil {
		c.fail(err)
		return "", err
	}
	return names[0].Name, nil
}

// noEOF keeps io.EOF for the calls that it belongs to.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return &StatusError{Code: sftpwire.StatusFailure, Message: "end of file"}
	}
	return err
}

// StartLstat asks for the attributes of a file itself, a link as a link.
func (c *Client) StartLstat(ctx context.Context, name string) Future[Attributes] {
	return begin(ctx, c, sftpwire.TypeLstat, name, decodeAttributes, nil)
}

// Lstat is StartLstat with its answer.
func (c *Client) Lstat(ctx context.Context, name string) (Attributes, error) {
	return c.StartLstat(ctx, name).Wait(ctx)
}

// StartStat asks for the attributes of what a name leads to on the server.
func (c *Client) StartStat(ctx context.Context, name string) Future[Attributes] {
	return begin(ctx, c, sftpwire.TypeStat, name, decodeAttributes, nil)
}

// StartFstat asks for the attributes of an open file.
func (c *Client) StartFstat(ctx context.Context, h Handle) Future[Attributes] {
	return beginRaw(ctx, c, sftpwire.TypeFstat, decodeAttributes, func(e *sftpwire.Encoder) { e.String(string(h)) })
}

// Readlink returns a link's text.
func (c *Client) Readlink(ctx context.Context, name string) (string, error) {
	return begin(ctx, c, sftpwire.TypeReadlink, name, decodeOneName, nil).Wait(ctx)
}

// StartRealpath asks for the canonical form of a path, by the server's own resolution.
func (c *Client) StartRealpath(ctx context.Context, name string) Future[string] {
	return begin(ctx, c, sftpwire.TypeRealpath, name, decodeOneName, nil)
}

// Realpath is StartRealpath with its answer.
func (c *Client) Realpath(ctx context.Context, name string) (string, error) {
	return c.StartRealpath(ctx, name).Wait(ctx)
}

// StartOpen opens a file. Mode is that of a file that is made.
func (c *Client) StartOpen(ctx context.Context, name string, flags, mode uint32) Future[Handle] {
	return begin(ctx, c, sftpwire.TypeOpen, name, decodeHandle, func(e *sftpwire.Encoder) {
		e.Uint32(flags)
		a := Attributes{}
		if flags&OpenNew == OpenNew {
			a = Attributes{Flags: sftpwire.AttrPermissions, Mode: mode & 0o7777}
		}
		e.Attributes(a)
	})
}

// Open is StartOpen with its answer.
func (c *Client) Open(ctx context.Context, name string, flags, mode uint32) (Handle, error) {
	return c.StartOpen(ctx, name, flags, mode).Wait(ctx)
}

// Forget closes a handle and waits for no answer.
func (c *Client) Forget(h Handle) {
	w := &call{alone: true, reply: make(chan reply, 1)}
	_, _ = c.send(context.Background(), sftpwire.TypeClose, w, func(e *sftpwire.Encoder) { e.String(string(h)) })
}

// CloseHandle closes a handle.
func (c *Client) CloseHandle(ctx context.Context, h Handle) error {
	_, err := beginRaw(ctx, c, sftpwire.TypeClose, decodeStatus, func(e *sftpwire.Encoder) { e.String(string(h)) }).Wait(ctx)
	return err
}

// MaxRead is what one read asks for at most, in bytes; every server gives as much.
const MaxRead = 32 << 10

// StartRead asks for at most n bytes of an open file. A server may give fewer. The error is io.EOF at its end.
func (c *Client) StartRead(ctx context.Context, h Handle, offset int64, n int) Future[[]byte] {
	n = min(n, MaxRead)
	return beginRaw(ctx, c, sftpwire.TypeRead, func(c *Client, r reply) ([]byte, error) {
		d, err := c.expect(r, sftpwire.TypeData)
		if err != nil {
			return nil, err
		}
		data := d.Bytes()
		if d.Bad() || len(data) > n || len(data) == 0 {
			return nil, c.broke("%d bytes where at most %d were asked for", len(data), n)
		}
		return data, nil
	}, func(e *sftpwire.Encoder) {
		e.String(string(h))
		e.Uint64(uint64(offset)) // #nosec G115 -- offsets are not negative
		e.Uint32(uint32(n))      // #nosec G115 -- at most MaxRead
	})
}

// Bounds of one directory: no listing takes more of this process's memory.
const (
	MaxEntries      = 200_000
	maxListingBytes = 32 << 20 // of names
)

// readdirsAhead is how many requests for more of a listing are under way at once.
const readdirsAhead = 4

// ReadDir lists a directory without "." and "..". Names that no path can hold are left out. EOVERFLOW for a directory
// that is too large.
func (c *Client) ReadDir(ctx context.Context, name string) ([]Entry, error) {
	h, err := begin(ctx, c, sftpwire.TypeOpendir, name, decodeHandle, nil).Wait(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Forget(h)
	var out []Entry
	var ahead []Future[[]Entry]
	defer func() { // what was asked ahead is answered by now, or about to be
		for _, f := range ahead {
			_, _ = f.Wait(ctx)
		}
	}()
	size, count := 0, 0
	for {
		for len(ahead) < readdirsAhead {
			ahead = append(ahead, c.startReaddir(ctx, h))
		}
		entries, err := ahead[0].Wait(ctx)
		ahead = ahead[1:]
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case len(entries) == 0:
			return nil, c.broke("a listing without an end")
		}
		for _, e := range entries {
			size, count = size+len(e.Name), count+1
			if size > maxListingBytes || count > MaxEntries {
				return nil, syscall.EOVERFLOW
			}
			if validName(e.Name) {
				out = append(out, e)
			}
		}
	}
}

func (c *Client) startReaddir(ctx context.Context, h Handle) Future[[]Entry] {
	return beginRaw(ctx, c, sftpwire.TypeReaddir, func(c *Client, r reply) ([]Entry, error) {
		d, err := c.expect(r, sftpwire.TypeName)
		if err != nil {
			return nil, err
		}
		entries, err := readNames(d)
		if err != nil {
			c.fail(err)
		}
		return entries, err
	}, func(e *sftpwire.Encoder) { e.String(string(h)) })
}
