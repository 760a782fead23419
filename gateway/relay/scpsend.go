package relay

import (
	"errors"
	"io"
	"os"
	"path"
	"syscall"

	"shannot-gateway/vfs"
)

// send sends a file, or a directory with what is in it.
func (c *copier) send(name string, depth int) (err error) {
	defer c.guard(&err)
	found, err := c.describe(name, depth)
	if err == nil && !plainName(path.Base(path.Clean("/"+name))) {
		err = syscall.EINVAL
	}
	switch {
	case err != nil:
	case found.IsRegular():
		return c.sendFile(name, found)
	case !found.IsDir():
		err = errors.New("not a regular file")
	case !c.Recursive:
		err = errors.New("a directory: use -r")
	case depth > maxDepth:
		err = syscall.ENAMETOOLONG
	default:
		return c.sendDirectory(name, found, depth)
	}
	return c.refuse(name, err)
}

// describe looks at what a name leads to. In a directory that is copied, links to directories are not gone through.
func (c *copier) describe(name string, depth int) (vfs.Info, error) {
	if target, _, err := c.split(name); err == nil && target == nil {
		return vfs.Info{}, errors.New("name a target: /TARGET/path")
	}
	found, err := c.stat(name, true)
	if err == nil && depth > 0 && found.IsDir() {
		return c.stat(name, false)
	}
	return found, err
}

func (c *copier) sendTimes(found vfs.Info) error {
	if !c.Times {
		return nil
	}
	return c.say("T%d 0 %d 0", max(0, found.Mtime.Unix()), max(0, found.Atime.Unix()))
}

// sendFile sends as many bytes as it announced. Where the file has fewer by now, zeros stand for the rest, and the client
// is told.
func (c *copier) sendFile(name string, found vfs.Info) error {
	content, err := c.openFile(name)
	if err != nil {
		return c.refuse(name, err)
	}
	defer func() { _ = content.Close() }()
	size, err := content.length()
	if err != nil {
		return c.refuse(name, err)
	}
	if err := c.sendTimes(found); err != nil {
		return err
	}
	if err := c.say("C%04o %d %s", found.Mode&0o7777, size, path.Base(name)); err != nil {
		return err
	}
	n, broken := io.Copy(c.out, io.NewSectionReader(content, 0, size))
	if n < size {
		if broken == nil {
			broken = errors.New("it has become shorter")
		}
		if _, err := io.CopyN(c.out, zeros{}, size-n); err != nil {
			return err
		}
		if err := c.refuse(name, broken); !errors.Is(err, errTold) {
			return err
		}
		return c.answer()
	}
	if err := c.agree(); err != nil {
		return err
	}
	return c.answer()
}

// zeros is an endless file of them.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// length is how large an open file is, in bytes.
func (r *reader) length() (int64, error) {
	switch c := r.content.(type) {
	case *os.File:
		info, err := c.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	case streamContent:
		return c.Size(), nil
	}
	return 0, syscall.EIO
}

// sendDirectory sends what is in a directory. What cannot be sent is told of, and left out.
func (c *copier) sendDirectory(name string, found vfs.Info, depth int) error {
	names, err := c.names(name)
	if err != nil {
		return c.refuse(name, err)
	}
	if err := c.sendTimes(found); err != nil {
		return err
	}
	if err := c.say("D%04o 0 %s", found.Mode&0o7777, path.Base(path.Clean("/"+name))); err != nil {
		return err
	}
	for _, entry := range names {
		if err := c.send(path.Join(name, entry.Name), depth+1); err != nil && !errors.Is(err, errTold) {
			return err
		}
	}
	return c.say("E")
}

// names lists a directory, without . and ...
func (c *copier) names(name string) ([]vfs.Dirent, error) {
	target, rest, err := c.split(name)
	if err != nil {
		return nil, err
	}
	t, err := c.at(target)
	if err != nil {
		return nil, err
	}
	_, names, err := t.list(rest)
	return names, err
}
