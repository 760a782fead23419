package vfs

import (
	"errors"
	"syscall"
)

// ErrnoOf is an error as a script may see it: the errno in it, and EIO for one that has none. err is not nil.
func ErrnoOf(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok && e != 0 {
		return e
	}
	var e syscall.Errno
	if errors.As(err, &e) && e != 0 {
		return e
	}
	return syscall.EIO
}

// errno makes what a source returned into what a script may see. What is not an Errno is an I/O error.
func errno(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(syscall.Errno); ok {
		return result(e)
	}
	return ErrnoOf(err)
}

// result is nil for 0.
func result(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
