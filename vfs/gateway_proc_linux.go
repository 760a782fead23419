package vfs

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The kernel lets a process look into itself whatever rights its thread has (same_thread_group in __ptrace_may_access of
// kernel/ptrace.c). So the view shows the account, of the gateway's own directories in /proc, what the kernel shows
// anybody of a process of root's, by fs/proc/base.c.

// ofProcesses reports whether the kernel's answer about a name may depend on the right to look into a process. That is
// /proc, whose list its mount option hidepid may shorten, and what is below the directory of a process.
func ofProcesses(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc")
	return ok && (rest == "" || len(rest) > 1 && rest[0] == '/' && rest[1] >= '0' && rest[1] <= '9')
}

// OfTheGateway reports whether a name is in the directory of this process in /proc, by its own number or by that of one of its
// threads.
func OfTheGateway(name string) bool {
	tid, ok := numbered(name)
	return ok && unix.Tgkill(os.Getpid(), tid, 0) != unix.ESRCH
}

// withinGateway is a name of OfTheGateway without what leads to the process's directory, or its thread's.
func withinGateway(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(name, "/proc/"), "/")
	if thread, ok := strings.CutPrefix(rest, "task/"); ok {
		_, rest, _ = strings.Cut(thread, "/")
	}
	return rest
}

// ofEverybody are the files of a process's directory that anybody may read; what is not named here is nobody's.
var ofEverybody = map[string]bool{
	"cgroup": true, "cmdline": true, "comm": true, "coredump_filter": true, "cpuset": true, "gid_map": true, "limits": true,
	"loginuid": true, "mountinfo": true, "mounts": true, "oom_adj": true, "oom_score": true, "oom_score_adj": true,
	"projid_map": true, "sched": true, "schedstat": true, "sessionid": true, "setgroups": true, "stat": true, "statm": true,
	"status": true, "uid_map": true,
}

// closedDirectories hold what only the process itself may name.
var closedDirectories = []string{"fd/", "fdinfo/", "map_files/"}

// shownOfEverybody reports whether a name in the gateway's own directory can be described. readableOfGateway says what
// else can be done with it.
func shownOfEverybody(name string) bool {
	rest := withinGateway(name)
	for _, dir := range closedDirectories {
		if strings.HasPrefix(rest, dir) {
			return false
		}
	}
	return true
}

// readableOfGateway reports whether a file there may be read, a directory listed, a link's text be told.
func readableOfGateway(name string) bool {
	rest := withinGateway(name)
	first, _, _ := strings.Cut(rest, "/")
	return rest == "" || rest == "task" || first == "net" || first == "attr" || ofEverybody[rest]
}

// openOfGateway opens a file there.
func (h *host) openOfGateway(held int, name string) (int, error) {
	switch {
	case !readableOfGateway(name):
		return -1, unix.EACCES
	case withinGateway(name) == "stat":
		return h.openKernelFile(held, strangersStat)
	}
	return h.openKernelFile(held, nil)
}

// strangersStat is stat of a process as the kernel tells it to somebody who may not look into it, see proc_pid_stat(5)
// and do_task_stat in fs/proc/array.c: without addresses, where it waits, and its exit status.
func strangersStat(text []byte) []byte {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return nil
	}
	fields := strings.Fields(string(text[end+1:]))
	for i := range fields {
		switch number := i + 3; number { // the first two are before
		case 26, 27:
			fields[i] = "1"
		case 28, 29, 30, 35, 45, 46, 47, 48, 49, 50, 51, 52:
			fields[i] = "0"
		}
	}
	return fmt.Appendf(nil, "%s %s\n", text[:end+1], strings.Join(fields, " "))
}
