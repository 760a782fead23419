package local

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxRounds bounds how often endSession looks for processes that were started while it looked.
const maxRounds = 100

// endSession kills what a command in the jail has left running. Its leader has ended and is not waited for yet, so that the
// number of the session is nobody else's. No process in the jail can leave its session.
func endSession(leader int) {
	for range maxRounds {
		found := false
		for _, pid := range sessionOf(leader) {
			if pid != leader && syscall.Kill(pid, syscall.SIGKILL) == nil {
				found = true
			}
		}
		if !found {
			return
		}
	}
}

// sessionOf lists the processes of a session that are not dead yet.
func sessionOf(leader int) []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = proc.Close() }()
	names, _ := proc.Readdirnames(-1)
	var list []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		text, err := os.ReadFile("/proc/" + name + "/stat") // #nosec G304 -- a number
		if err != nil {
			continue
		}
		// proc_pid_stat(5): behind the name in parentheses stand the state, the parent, the group and the session.
		_, rest, ok := strings.Cut(string(text[max(0, strings.LastIndexByte(string(text), ')')):]), ") ")
		fields := strings.Fields(rest)
		if ok && len(fields) > 3 && fields[0] != "Z" && fields[0] != "X" && fields[3] == strconv.Itoa(leader) {
			list = append(list, pid)
		}
	}
	return list
}
