//go:build !linux

package vfs

import (
	"syscall"
	"time"
)

// content needs anonymous files that can be opened anew by descriptor, which only Linux has.
type content struct{}

func newContent() (*content, error)              { return nil, syscall.ENOSYS }
func nearlyFull() bool                           { return false }
func (c *content) close()                        {}
func (c *content) stat(*Info) error              { return syscall.ENOSYS }
func (c *content) bytes() int64                  { return 0 }
func (c *content) truncate(int64) error          { return syscall.ENOSYS }
func (c *content) setTimes(_, _ time.Time) error { return syscall.ENOSYS }
func (c *content) descriptor(int) (int, error)   { return -1, syscall.ENOSYS }
func (c *content) Write([]byte) (int, error)     { return 0, syscall.ENOSYS }
func closeFD(fd int)                             { _ = syscall.Close(fd) }

// Sealed needs Linux.
func Sealed(string, []byte) (int, error) { return -1, syscall.ENOSYS }

// Reopen needs Linux.
func Reopen(int, int) (int, error) { return -1, syscall.ENOSYS }

type descriptorReader int

func (d descriptorReader) Read([]byte) (int, error) { return 0, syscall.ENOSYS }
