package posix

import (
	"strconv"
	"strings"
)

// Number parses a number as the kernel names processes and descriptors by it: without zeros in front.
func Number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil && strconv.FormatUint(n, 10) == text // #nosec G115 -- 31 bits
}

// DescriptorName parses fd/N, the name of a descriptor in a process's directory, see proc_pid_fd(5).
func DescriptorName(base string) (int32, bool) {
	digits, ok := strings.CutPrefix(base, "fd/")
	if !ok {
		return 0, false
	}
	n, ok := Number(digits)
	return int32(n), ok // #nosec G115 -- 31 bits
}

// OwnDescriptor reports which of its own descriptors a process means by a name, below /dev/fd, or in its own directory of
// /proc or that of one of its threads. own reports whether an id is the process's, or one of its threads'.
func OwnDescriptor(name string, own func(id int) bool) (int32, bool) {
	if base, ok := strings.CutPrefix(name, "/dev/"); ok {
		return DescriptorName(base)
	}
	base, ok := strings.CutPrefix(name, "/proc/")
	if !ok {
		return 0, false
	}
	who, base, _ := strings.Cut(base, "/")
	if who != "self" && who != "thread-self" {
		if id, ok := Number(who); !ok || !own(id) {
			return 0, false
		}
	}
	if thread, ok := strings.CutPrefix(base, "task/"); ok {
		thread, base, _ = strings.Cut(thread, "/")
		if id, ok := Number(thread); !ok || who == "thread-self" || !own(id) {
			return 0, false
		}
	}
	return DescriptorName(base)
}
