//go:build linux

// Package procfs reads what the kernel says in /proc of processes and of itself. It takes the kernel's word as it is, and must
// never open a name that a script has chosen.
package procfs

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// maxSmall is the most that Small reads, in bytes.
const maxSmall = 1 << 20

// Small reads a file of /proc. What cannot be read, or is larger than a mebibyte, is empty.
func Small(name string) []byte {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	b := make([]byte, 0, 1<<10) // most are a line
	for len(b) <= maxSmall {
		const page = 4 << 10 // which is what the kernel gives at once
		if cap(b)-len(b) < page && len(b) > 0 {
			b = slices.Grow(b, max(page, len(b)))
		}
		n, err := unix.Read(fd, b[len(b):cap(b)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil
		case n == 0:
			return b
		default:
			b = b[:len(b)+n]
		}
	}
	return nil
}

// Names lists a directory.
func Names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return f.Readdirnames(-1)
}

// EachOpen calls see with what each descriptor of a process leads to.
func EachOpen(pid int, see func(*unix.Stat_t)) error {
	base := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := Names(base)
	if err != nil {
		return err
	}
	for _, name := range names {
		var st unix.Stat_t
		if unix.Stat(base+"/"+name, &st) == nil {
			see(&st)
		}
	}
	return nil
}

// Threads is how many threads a process has; 0 where there is no such process. A directory has two links more than
// subdirectories.
func Threads(pid int) int {
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/task", pid), &st) != nil {
		return 0
	}
	return int(st.Nlink) - 2 // #nosec G115 -- at most a few thousand
}

// CPUTime is the processor time that all threads of a process have used; 0 where there is no such process. The clock of a
// process is named by its id, see clock_getcpuclockid(3) and CPUCLOCK_SCHED of linux/posix-timers.h. It needs no right and
// opens nothing.
func CPUTime(pid int) time.Duration {
	const sched = 2
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|sched), &t) != nil { // #nosec G115 -- process ids have 22 bits
		return 0
	}
	return time.Duration(t.Nano())
}

// ResidentPages is the resident memory of a process in bytes, of every kind, see proc_pid_statm(5).
func ResidentPages(pid int) int64 {
	fields := bytes.Fields(Small(fmt.Sprintf("/proc/%d/statm", pid)))
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return n * int64(os.Getpagesize())
}

// ResidentMemory is the resident memory of a process in bytes: its own, and that in shared mappings which no file on a disk
// stands behind. See RssAnon and RssShmem in proc_pid_status(5).
func ResidentMemory(pid int) (own, shared int64) {
	text := Small(fmt.Sprintf("/proc/%d/status", pid))
	return Kibibytes(text, "RssAnon:"), Kibibytes(text, "RssShmem:")
}

// ShareOfShared is the second of these with each page divided by how many processes have it mapped. The kernel takes long
// to tell it.
func ShareOfShared(pid int) int64 {
	return Kibibytes(Small(fmt.Sprintf("/proc/%d/smaps_rollup", pid)), "Pss_Shmem:")
}

// Kibibytes reads a line "key   N kB" of a file of /proc, in bytes; 0 where there is none.
func Kibibytes(text []byte, key string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return n << 10
		}
	}
	return 0
}
