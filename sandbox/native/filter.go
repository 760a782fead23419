//go:build linux && (amd64 || arm64)

package native

import (
	"sync"

	"golang.org/x/sys/unix"
	"shannot-gateway/internal/linux/seccomp"
)

// enginePolicy and confinedPolicy are the policies of the two filters that there are. A call without a row is answered ENOSYS. A call
// through another architecture's entry, as int 0x80, ends the process.
var (
	enginePolicy   = seccomp.Policy{Rows: table, Rest: seccomp.Errno(unix.ENOSYS), Foreign: seccomp.ActionKill}
	confinedPolicy = seccomp.Policy{Rows: confinedTable, Rest: seccomp.Errno(unix.ENOSYS), Foreign: seccomp.ActionKill}
)

// engineFilter and confinedFilter are compiled once, for any process.
var (
	engineFilter   = sync.OnceValues(enginePolicy.Compile)
	confinedFilter = sync.OnceValues(confinedPolicy.Compile)
)
