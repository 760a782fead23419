package vfs

import "golang.org/x/sys/unix"

// Flags that not every system has.
const (
	oPath           = unix.O_PATH
	renameNoReplace = unix.RENAME_NOREPLACE
)
