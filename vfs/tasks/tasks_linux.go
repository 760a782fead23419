package tasks

import (
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Most is how many there may be at once: by RLIMIT_NPROC of getrlimit(2), the control groups and the machine. Others of the same
// user, group or machine take from it too.
var Most = sync.OnceValue(func() int {
	least := int64(math.MaxInt32)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil && limit.Cur < math.MaxInt32 {
		least = int64(limit.Cur) // #nosec G115 -- looked at
	}
	return bound(least, func(name string) string {
		text, _ := os.ReadFile(name) // #nosec G304 -- names of the kernel's
		return string(text)
	})
})

// files is RLIMIT_NOFILE, which the runtime of Go has raised as far as it may.
var files = sync.OnceValue(func() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur) // #nosec G115 -- looked at
})
