//go:build linux && (amd64 || arm64)

package native

import (
	"sync"

	"shannot-gateway/internal/linux/seccomp"

	"golang.org/x/sys/unix"
)

// enginePolicy is the policy of the interpreters' filter. A call without a row is answered ENOSYS. A call through another
// architecture's entry, as int 0x80, ends the process.
var enginePolicy = seccomp.Policy{Rows: table, Rest: seccomp.Errno(unix.ENOSYS), Foreign: seccomp.ActionKill}

// engineFilter is compiled once, for any process.
var engineFilter = sync.OnceValues(enginePolicy.Compile)
