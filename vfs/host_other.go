//go:build !linux

package vfs

import "syscall"

// unsupported is a source that this system cannot offer.
type unsupported struct{}

// NewHost returns a source that answers ENOSYS: reading a tree without ever following a link needs Linux.
func NewHost() Source { return unsupported{} }

// NewHostAs returns the same.
func NewHostAs(*Rights) Source { return unsupported{} }

// NewDir returns ENOSYS, for the same reason.
func NewDir(string) (Source, error) { return nil, syscall.ENOSYS }

func (unsupported) Lstat(string) (Info, error)       { return Info{}, syscall.ENOSYS }
func (unsupported) ReadDir(string) ([]Dirent, error) { return nil, syscall.ENOSYS }
func (unsupported) Readlink(string) (string, error)  { return "", syscall.ENOSYS }
func (unsupported) Open(string, int) (int, error)    { return -1, syscall.ENOSYS }
