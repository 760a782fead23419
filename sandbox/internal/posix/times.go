//go:build linux

package posix

import (
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// Now is what utimensat(2) takes a null pointer for: both times now.
func Now() [2]unix.Timespec {
	return [2]unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
}

// SetTimes sets an open file's times, futimens(3). EPERM for what is no file of the view.
func SetTimes(file vfs.File, spec [2]unix.Timespec, now time.Time) error {
	if file == nil {
		return unix.EPERM
	}
	info, err := file.Info()
	if err != nil {
		return err
	}
	atime, mtime, err := newTimes(spec, info, now)
	if err != nil {
		return err
	}
	return file.Utimes(atime, mtime)
}

// newTimes resolves UTIME_NOW and UTIME_OMIT.
func newTimes(spec [2]unix.Timespec, old vfs.Info, now time.Time) (atime, mtime time.Time, err error) {
	if atime, err = newTime(spec[0], old.Atime, now); err != nil {
		return atime, mtime, err
	}
	mtime, err = newTime(spec[1], old.Mtime, now)
	return atime, mtime, err
}

func newTime(s unix.Timespec, old, now time.Time) (time.Time, error) {
	switch {
	case s.Nsec == unix.UTIME_NOW:
		return now, nil
	case s.Nsec == unix.UTIME_OMIT:
		return old, nil
	case s.Nsec < 0 || s.Nsec >= int64(time.Second):
		return old, unix.EINVAL
	}
	return time.Unix(s.Unix()), nil
}
