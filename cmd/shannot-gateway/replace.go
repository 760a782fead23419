package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"shannot-gateway/internal/linux/durable"
)

// How long an edit waits for another one, and how often it looks.
const (
	lockPatience = 20 * time.Second
	lockPause    = 20 * time.Millisecond
)

// lockFile locks a file that the caller is about to replace, against others who do the same. The lock is on the file that
// stands under the name once it is taken.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockPatience, errors.New("somebody else is editing it: try again"))
	defer cancel()
	for {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && current(f, name) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// current reports whether an open file is the one under the name.
func current(f *os.File, name string) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(is, there)
}

// replaceFile writes a file anew so that a crash leaves the old one or the new one, with the old one's mode and owner.
func replaceFile(name string, text []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := durable.New(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write the configuration, whose directory has to be writable: %w", err)
	}
	defer f.Discard()
	_, err = f.Write(text)
	if err == nil {
		err = keepOwner(f.File, info)
	}
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = f.Replace(name)
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// keepOwner gives a file the owner of the one that it replaces.
func keepOwner(f *os.File, old os.FileInfo) error {
	st, ok := old.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
