//go:build linux && (amd64 || arm64)

package supervisor

import (
	"math"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// coreLimit keeps the kernel from writing a core, which would be too large, and by a rule of its own for the value 1 from
// starting the handler in kernel.core_pattern, which does not care for the limit else. The handler runs as root, on what
// a script has put into its memory. See core(5) and do_coredump in fs/coredump.c.
const coreLimit = 1

// QueuedSignals is how many signals with what belongs to them wait for one process. Where processes have the gateway's own
// user and no user namespace, it is how many wait for all of that user's before a process gets none: see RLIMIT_SIGPENDING
// in getrlimit(2). Beyond it signals are merged, kill(2) does not fail.
const QueuedSignals = 16

// limitNames are what an error says of a limit that cannot be set: EPERM where it is beyond the gateway's own, see
// getrlimit(2).
var limitNames = map[int]string{
	unix.RLIMIT_NOFILE:     beyondOurs("RLIMIT_NOFILE", "files", "ulimit -n, LimitNOFILE="),
	unix.RLIMIT_AS:         beyondOurs("RLIMIT_AS", "memory", "ulimit -v, LimitAS="),
	unix.RLIMIT_FSIZE:      beyondOurs("RLIMIT_FSIZE", "write", "ulimit -f, LimitFSIZE="),
	unix.RLIMIT_CPU:        beyondOurs("RLIMIT_CPU", "cpu", "ulimit -t, LimitCPU="),
	unix.RLIMIT_CORE:       "set RLIMIT_CORE (ulimit -c, LimitCORE=)",
	unix.RLIMIT_MEMLOCK:    "set RLIMIT_MEMLOCK",
	unix.RLIMIT_MSGQUEUE:   "set RLIMIT_MSGQUEUE",
	unix.RLIMIT_SIGPENDING: "set RLIMIT_SIGPENDING (ulimit -i, LimitSIGPENDING=)",
}

func beyondOurs(resource, setting, ours string) string {
	return "set " + resource + " to [limits] " + setting + ", which is at most the gateway's own: raise that (" + ours + "), or lower " + setting
}

// ResourceLimits are what a first stage sets on itself, by resource number of getrlimit(2): of a run's limits those for
// processor time, memory, the size of a file, and descriptors.
func ResourceLimits(l sandbox.Limits) map[int]uint64 {
	limits := map[int]uint64{
		unix.RLIMIT_CORE: coreLimit,
		// Pages that cannot be swapped out, and queues of messages, are others' to have, and of queued signals most are.
		unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0, unix.RLIMIT_SIGPENDING: QueuedSignals,
		unix.RLIMIT_NOFILE: uint64(l.Files), // #nosec G115 -- positive
	}
	if l.Memory > 0 {
		limits[unix.RLIMIT_AS] = uint64(l.Memory)
	}
	if l.Write > 0 {
		limits[unix.RLIMIT_FSIZE] = uint64(l.Write)
	}
	if l.CPU > 0 {
		limits[unix.RLIMIT_CPU] = uint64(math.Ceil(l.CPU.Seconds()))
	}
	return limits
}
