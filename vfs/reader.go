package vfs

import (
	"strconv"
	"strings"
	"sync"
)

// OfTheReader reports whether what stands under a name depends on the process that looks: /proc/self and
// /proc/thread-self. A source leaves them out, since they would show whoever reads for the script.
func OfTheReader(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc/")
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	return first == "self" || first == "thread-self"
}

// concealed are processes of this machine of which no view has anything, with how often that was said.
var concealed struct {
	sync.RWMutex
	pids map[int]int
}

// Conceal takes a process of this machine out of /proc of every view, by its number and those of its threads. The process
// runs for one session, and nobody else may look at it. Show takes that back.
func Conceal(pid int) { conceal(pid, 1) }

// Show is to be called once for each Conceal, when the process has ended.
func Show(pid int) { conceal(pid, -1) }

func conceal(pid, more int) {
	concealed.Lock()
	defer concealed.Unlock()
	if concealed.pids == nil {
		concealed.pids = map[int]int{}
	}
	if concealed.pids[pid] += more; concealed.pids[pid] <= 0 {
		delete(concealed.pids, pid)
	}
}

// numbered is the number in a name that is, or is below, /proc/NUMBER.
func numbered(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, "/proc/")
	if !ok || rest == "" || rest[0] < '0' || rest[0] > '9' {
		return 0, false
	}
	first, _, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(first, 10, 31)
	return int(n), err == nil // #nosec G115 -- 31 bits
}

func isConcealed(pid int) bool {
	concealed.RLock()
	defer concealed.RUnlock()
	return concealed.pids[pid] > 0
}
