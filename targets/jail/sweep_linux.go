//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// temporaryName begins the names of directories around the temporary directories of commands.
const temporaryName = "shannot-jail-"

// sweepAge is how old what nobody holds must be: a directory is held a moment after it is made.
const sweepAge = time.Minute

// hold locks a directory (flock(2)) for as long as it stays open: Sweep of any process leaves it alone.
func hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0) // #nosec G304 -- a name of our own making
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: dir, Err: err}, f.Close())
	}
	return f, nil
}

// Sweep removes the temporary directories that a gateway has left which was killed. It leaves alone those that a process
// still holds, those of other users, and whatever else has such a name. It returns how many it has removed.
func Sweep(now time.Time) (removed int, err error) {
	names, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryName+"*"))
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, name := range names {
		switch gone, err := sweep(name, now); {
		case err != nil:
			failed = append(failed, err)
		case gone:
			removed++
		}
	}
	return removed, errors.Join(failed...)
}

func sweep(name string, now time.Time) (gone bool, err error) {
	info, err := os.Lstat(name)
	if err != nil || !info.IsDir() || now.Sub(info.ModTime()) < sweepAge {
		return false, nil
	}
	var s unix.Stat_t
	if unix.Lstat(name, &s) != nil || int(s.Uid) != os.Geteuid() {
		return false, nil
	}
	held, err := hold(name)
	if err != nil { // somebody has it, or it has just gone
		return false, nil
	}
	defer func() { _ = held.Close() }()
	if err := os.RemoveAll(name); err != nil {
		return false, err
	}
	return true, nil
}
