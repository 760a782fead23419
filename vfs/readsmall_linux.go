package vfs

import (
	"golang.org/x/sys/unix"
)

// ReadHeld implements smallReader, with the rights of OpenHeld. Of what the kernel makes it reads what is made at once.
func (h *host) ReadHeld(held int, name string, info Info, most int) ([]byte, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(held, &fs); err != nil {
		return nil, err
	}
	read := func(h *host, _ string) ([]byte, error) {
		quiet := 0
		if h.rights.owns(info) {
			quiet = unix.O_NOATIME
		}
		fd, err := Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK|quiet)
		if err == unix.EPERM && quiet != 0 { // not our file
			fd, err = Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK)
		}
		if err != nil {
			return nil, err
		}
		defer closeFD(fd)
		return readSmall(fd, int(info.Size), most, true)
	}
	switch {
	case fs.Type == unix.PROC_SUPER_MAGIC && prompt(name) && !OfTheGateway(name):
		read = func(*host, string) ([]byte, error) {
			fd, err := Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK)
			if err != nil {
				return nil, err
			}
			defer closeFD(fd)
			return readSmall(fd, kernelFileSize, most, false)
		}
	case kernelMade(int64(fs.Type)): //nolint:unconvert // 32 bits on some machines
		return nil, unix.EOPNOTSUPP
	case h.rights == nil || h.rights.held():
		return read(h, name)
	}
	return with(h, name, read)
}

// readSmall reads a file from its beginning to its end; size is what it is likely to have. EFBIG where it has more than most bytes.
// full says that a read that gives all of that and less than there is room for has come to the end, as in an ordinary file.
func readSmall(fd, size, most int, full bool) ([]byte, error) {
	buf := make([]byte, min(size, most)+1)
	for n := 0; ; {
		got, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case got == 0:
			return buf[:n], nil
		}
		switch n += got; {
		case n > most:
			return nil, unix.EFBIG
		case full && n >= size && n < len(buf):
			return buf[:n], nil
		case n == len(buf):
			buf = append(buf, make([]byte, min(len(buf), most+1-n))...)
		}
	}
}

// kernelFileSize is what most of procfs's files of a process have at most, in bytes: all are told to have none.
const kernelFileSize = 2 << 10
