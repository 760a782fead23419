// Package tasks tells how many processes and threads the kernel leaves this one and all that it starts. Where there are no
// more, the runtime of Go cannot make a thread either, and ends the process. So whoever starts something for others keeps
// below it. The package knows the kernel's files alone.
package tasks

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// Commands is how many of a session may run at once, where all commands have AllCommands.
func Commands() int { return ofSession(AllCommands()) }

// AllCommands is how many commands may run at once: by a quarter of what there is, and by half of the files that this
// process may open. Each command takes a dozen files for its streams and its records.
func AllCommands() int { return ofAll(Most(), files()) }

func ofAll(most, files int) int { return max(16, min(most/4, files/24)) }

func ofSession(all int) int { return min(max(4, all/3), 256) }

// bound reads the smallest of the bounds that files of the kernel hold, beginning with another one.
func bound(least int64, read func(name string) string) int {
	see := func(text string) {
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && n > 0 { // else "max", or nothing
			least = min(least, n)
		}
	}
	see(read("/proc/sys/kernel/threads-max"))
	see(read("/proc/sys/kernel/pid_max"))
	for line := range strings.Lines(read("/proc/self/cgroup")) { // see cgroups(7)
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, dir, _ := strings.Cut(rest, ":")
		root := "/sys/fs/cgroup"
		switch controllers {
		case "":
		case "pids":
			root += "/pids"
		default:
			continue
		}
		for dir = path.Clean("/" + dir); dir != "/"; dir = path.Dir(dir) {
			see(read(root + dir + "/pids.max"))
		}
		see(read(root + "/pids.max")) // in a namespace of its own
	}
	return int(min(least, math.MaxInt32))
}
