//go:build !linux

package vfs

// Flags that not every system has, with Linux's values.
const (
	oPath           = 0x200000
	renameNoReplace = 1
)
