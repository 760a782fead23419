//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// listing is an open directory stream, known by the address of the struct dirent that the child allocated for it. The
// address is only a name: a child that gives one out twice loses the stream that had it.
type listing struct {
	file    vfs.File
	entries []vfs.Dirent
	next    int
	fd      int32 // where dirfd gave it a descriptor, or fdopendir took one; else -1
	borrows bool  // the file belongs to the descriptor
}

// maxEntries bounds what all open streams hold in sum.
const maxEntries = 1 << 18

// direntSize is the size of struct dirent of dirent.h on 64-bit Linux.
const direntSize = 280

func (c *listingCalls) opendir(a []uint64) (int64, error) {
	name, err := c.at(unix.AT_FDCWD, a[0])
	if err != nil {
		return 0, err
	}
	file, err := c.names.FS.Open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0, err
	}
	address, err := c.list(&listing{file: file, fd: -1})
	if err != nil {
		_ = file.Close()
	}
	return address, err
}

func (c *listingCalls) fdopendir(a []uint64) (int64, error) {
	fd := i32(a[0])
	if _, err := c.directory(fd); err != nil {
		return 0, err
	}
	x := c.descriptors[fd]
	if x.flags&unix.O_PATH != 0 {
		return 0, unix.EBADF // it was opened for its name only
	}
	return c.list(&listing{file: x.file, fd: fd, borrows: true})
}

// list takes the listing, and room in the child for its entries.
func (c *listingCalls) list(l *listing) (int64, error) {
	if len(c.listings) >= maxListings {
		return 0, unix.EMFILE
	}
	var err error
	if l.entries, err = l.file.ReadDir(); err != nil {
		return 0, err
	}
	total := len(l.entries)
	for _, other := range c.listings {
		total += len(other.entries)
	}
	if total > maxEntries {
		return 0, unix.ENOMEM
	}
	got, err := c.wire.allocate(make([]byte, direntSize))
	if err != nil {
		return 0, err
	}
	if old := c.listings[got[0]]; old != nil {
		c.endListing(old)
	}
	c.listings[got[0]] = l
	return int64(got[0]), nil // #nosec G115 -- an address
}

func (c *listingCalls) listing(address uint64) (*listing, error) {
	if l := c.listings[address]; l != nil {
		return l, nil
	}
	return nil, unix.EBADF
}

// readdir answers NULL at the end, with errno as it was.
func (c *listingCalls) readdir(a []uint64) (int64, error) {
	l, err := c.listing(a[0])
	if err != nil || l.next >= len(l.entries) {
		return 0, err
	}
	e := l.entries[l.next]
	l.next++
	return int64(a[0]), c.wire.store(a[0], encodeDirent(e, l.next)) // #nosec G115 -- an address
}

// encodeDirent encodes struct dirent.
func encodeDirent(e vfs.Dirent, offset int) []byte {
	p := make([]byte, direntSize)
	ino := e.Ino
	if ino == 0 {
		ino = 1 // 0 means a deleted entry to some readers
	}
	binary.LittleEndian.PutUint64(p, ino)
	binary.LittleEndian.PutUint64(p[8:], uint64(offset))
	binary.LittleEndian.PutUint16(p[16:], direntSize)
	p[18] = byte(e.Type >> 12) // DT_* is S_IFMT shifted, dirent.h
	copy(p[19:19+255], e.Name)
	return p
}

func (c *listingCalls) rewinddir(a []uint64) (int64, error) {
	l := c.listings[a[0]]
	if l == nil {
		return 0, nil
	}
	l.next = 0
	if entries, err := l.file.ReadDir(); err == nil && len(entries) <= max(len(l.entries), maxEntries/maxListings) {
		l.entries = entries
	}
	return 0, nil
}

// endListing closes what a stream has open.
func (c *listingCalls) endListing(l *listing) {
	if l.fd >= 0 {
		if x := c.descriptors[l.fd]; x != nil && x.file == l.file {
			c.drop(l.fd) // and the file with it
			return
		}
	}
	if !l.borrows {
		_ = l.file.Close()
	}
}

func (c *listingCalls) closedir(a []uint64) (int64, error) {
	l, err := c.listing(a[0])
	if err != nil {
		return 0, err
	}
	delete(c.listings, a[0])
	c.endListing(l)
	c.wire.free(a[0])
	return 0, nil
}

func (c *listingCalls) dirfd(a []uint64) (int64, error) {
	l, err := c.listing(a[0])
	if err != nil {
		return 0, err
	}
	if x := c.descriptors[l.fd]; l.fd >= 0 && x != nil && x.file == l.file {
		return int64(l.fd), nil
	}
	fd, err := c.free(0)
	if err != nil {
		return 0, err
	}
	c.descriptors[fd] = &description{kind: directory, file: l.file, refs: 1, fd: -1}
	l.fd, l.borrows = fd, true
	return int64(fd), nil
}
