//go:build !linux

package vfs

import "syscall"

// Rights are those of an account over files. Other systems than Linux have no threads with rights of their own.
type Rights struct{}

// NewRights returns rights that cannot be used.
func NewRights(uid, gid uint32, groups []uint32) *Rights { return &Rights{} }

// Do calls f where there are no rights to change.
func (r *Rights) Do(f func()) error {
	if r != nil {
		return syscall.ENOTSUP
	}
	f()
	return nil
}

// Hold changes nothing where there are no rights to change.
func (r *Rights) Hold() error { return r.Do(func() {}) }

// Apart calls f.
func Apart(f func()) { f() }
