package relay

import (
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"time"
)

// times are those that a T announces for the file after it.
type times struct {
	set          bool
	mtime, atime time.Time
}

// receive takes files, one after the other.
func (c *copier) receive() (err error) {
	defer c.guard(&err)
	if c.Directory {
		if found, err := c.describe(c.Path, 0); err != nil || !found.IsDir() {
			return c.refuse(c.Path, syscall.ENOTDIR)
		}
	}
	if err := c.agree(); err != nil {
		return err
	}
	var announced times
	for {
		kind, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		line, err := c.line()
		if err != nil {
			return err
		}
		switch kind {
		case 'C':
			err = c.receiveFile(line, announced)
			announced = times{}
		case 'T':
			if announced.mtime, announced.atime, err = parseTimes(line); err == nil {
				announced.set = true
				err = c.agree()
			}
		case 'D':
			_, _ = fmt.Fprintf(c.out, "\x02scp: directories are not taken by this protocol; leave out -O\n")
			c.failed = true
			return errTold
		case 1: // the client could not read a file
			c.failed = true
		default:
			return errHeader
		}
		if err != nil && !errors.Is(err, errTold) {
			return err
		}
	}
}

// receiveFile takes one file, and waits for what a human says of it.
func (c *copier) receiveFile(line string, announced times) error {
	h, err := parseHeader(line)
	if err != nil {
		return err
	}
	name := c.Path
	if found, err := c.describe(name, 0); err == nil && found.IsDir() {
		name = path.Join(name, h.name)
	}
	if c.o.MaxFile > 0 && h.size > c.o.MaxFile {
		return c.refuse(name, syscall.EFBIG)
	}
	u, err := c.write(name, syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC, h.mode&0o777&^umask)
	if err != nil {
		return c.refuse(name, err)
	}
	if err := c.fill(u, h, announced); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the client has left in the middle
		}
		u.TransferError(err)
		_ = u.Close()
		return err
	}
	if err := u.Close(); err != nil {
		return c.refuse(name, err)
	}
	return c.agree()
}

// fill takes a file's bytes and attributes.
func (c *copier) fill(u *upload, h header, announced times) error {
	if err := c.agree(); err != nil {
		return err
	}
	if _, err := io.CopyN(io.NewOffsetWriter(u, 0), c.in, h.size); err != nil {
		return err
	}
	switch err := c.answer(); {
	case errors.Is(err, errTold):
		return c.refuse(u.name, errors.New("your side could not read all of it"))
	case err != nil:
		return err
	}
	if !c.Times {
		return nil
	}
	if err := u.tree.view.Chmod(u.path, h.mode&0o7777, false); err != nil {
		return c.refuse(u.name, err)
	}
	if announced.set {
		if err := u.tree.view.Utimes(u.path, announced.atime, announced.mtime, false); err != nil {
			return c.refuse(u.name, err)
		}
	}
	return nil
}
