//go:build linux

// Package cgroup bounds the memory of several processes in sum. Each set of them gets a control group of its own below the
// one that this process was given to manage. See "Delegation" in the kernel's Documentation/admin-guide/cgroup-v2.rst. The
// package knows the kernel's files alone. It must never touch a group that somebody else manages. Begin with Delegated.
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the groups that this package makes. A group may not have both processes and controlled groups below it, so
// this process moves into a leaf.
const (
	leaf   = "gateway"
	prefix = "session-" // then the process id of who made it, and a number
)

// Tree is a group whose children are ours to make. It is safe for concurrent use.
type Tree struct {
	dir  string
	made atomic.Int64
}

// Delegated finds the group that was delegated to this process, moves the process into a leaf of it, and makes memory
// controllable below it. The error says what is missing; the process is then where it was.
func Delegated() (*Tree, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	dir, err := directory(string(mounts), string(own))
	if err != nil {
		return nil, err
	}
	// Systemd may have put the process into a leaf by itself (DelegateSubgroup=), or an earlier call.
	above := filepath.Dir(dir)
	if isGroup(above) && usable(above) == nil {
		return open(above, dir)
	}
	if err := usable(dir); err != nil {
		return nil, err
	}
	return open(dir, dir)
}

// directory is the group of a process, as its two files in /proc say: proc_pid_mountinfo(5) and cgroups(7).
func directory(mounts, own string) (string, error) {
	path, found := "", false
	for line := range strings.Lines(own) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path, found = rest, true
		}
	}
	if !found {
		return "", errors.New("the kernel has no control groups version 2")
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(kind) < 1 || kind[0] != "cgroup2" {
			continue
		}
		root, point := unescape(fields[3]), unescape(fields[4])
		if below, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")); ok && (below == "" || below[0] == '/') && !strings.HasPrefix(below, "/..") {
			return filepath.Join(point, below), nil
		}
	}
	return "", fmt.Errorf("no mount shows the control group %s", path)
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func isGroup(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// usable reports why children of a group cannot be made, or are not ours to make.
func usable(dir string) error {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if !bytes.Contains(append([]byte(" "), bytes.ReplaceAll(controllers, []byte("\n"), []byte(" "))...), []byte(" memory ")) {
		return fmt.Errorf("%s has no memory controller", dir)
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if err := unix.Access(filepath.Join(dir, name), unix.W_OK); err != nil {
			return fmt.Errorf("%s is not delegated to this user: %w", dir, err)
		}
	}
	if delegated(dir) || !managed(dir) {
		return nil
	}
	return fmt.Errorf("%s is systemd's; a unit with Delegate=yes hands it over", dir)
}

// managed reports whether systemd may keep groups there. Then the right to write there says nothing: root has it
// everywhere, and a user in all that the user's own manager has.
func managed(dir string) bool {
	if os.Geteuid() != 0 {
		return strings.Contains(dir, "/user@")
	}
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// delegated reports whether systemd has marked the group as handed over. See systemd.resource-control(5).
func delegated(dir string) bool {
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		var value [8]byte
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// open moves this process out of the way, if need be, and prepares dir. own is where the process is.
func open(dir, own string) (*Tree, error) {
	t := &Tree{dir: dir}
	back := func() {}
	if dir == own {
		mine := filepath.Join(dir, leaf)
		if err := os.Mkdir(mine, 0o755); err != nil && !errors.Is(err, os.ErrExist) { // #nosec G301 -- a group, as the kernel's own are
			return nil, err
		}
		if err := move(mine); err != nil {
			_ = os.Remove(mine)
			return nil, err
		}
		back = func() {
			_ = move(dir)
			_ = os.Remove(mine)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
		back()
		return nil, fmt.Errorf("control memory below %s: %w (EBUSY: other processes are in it)", dir, err)
	}
	t.sweep()
	return t, nil
}

// move moves this process into a group.
func move(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// Dir is the group's directory.
func (t *Tree) Dir() string { return t.dir }

// sweep removes groups of processes that ended without doing it.
func (t *Tree) sweep() {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		maker, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(maker)
		if !ok || err != nil || pid == os.Getpid() || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			continue
		}
		_ = unix.Rmdir(filepath.Join(t.dir, e.Name())) // refused where a process is in it
	}
}

// Group is one set of processes. Its methods but Close are safe for concurrent use.
type Group struct {
	dir    string
	handle *os.File
}

// New makes an empty group whose processes have at most memory bytes between them; 0 means no bound. Where they need
// more, the kernel ends all of them.
func (t *Tree) New(memory int64) (*Group, error) {
	g := &Group{dir: filepath.Join(t.dir, fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), t.made.Add(1)))}
	if err := os.Mkdir(g.dir, 0o755); err != nil { // #nosec G301 -- a group, as the kernel's own are
		return nil, err
	}
	set := func(name, value string) error { return os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0) }
	err := set("memory.oom.group", "1")
	if memory > 0 && err == nil {
		err = set("memory.max", strconv.FormatInt(memory, 10))
	}
	if swap := set("memory.swap.max", "0"); err == nil && !errors.Is(swap, os.ErrNotExist) { // a kernel without swap has none
		err = swap
	}
	if err == nil {
		g.handle, err = os.OpenFile(g.dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	}
	if err != nil {
		_ = unix.Rmdir(g.dir)
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	return g, nil
}

// FD is a descriptor of the group, for CLONE_INTO_CGROUP of clone3(2), which needs Linux 5.7. Close closes it.
func (g *Group) FD() int { return int(g.handle.Fd()) }

// Used is the processor time that the group's processes have used, with those that have ended, and the memory in bytes that
// they have and the kernel could not take back: all but pages of files on a disk.
func (g *Group) Used() (cpu time.Duration, memory int64) {
	stat := g.read("memory.stat")
	held := number(g.read("memory.current"), "")
	held -= number(stat, "active_file") + number(stat, "inactive_file") + number(stat, "slab_reclaimable")
	return time.Duration(number(g.read("cpu.stat"), "usage_usec")) * time.Microsecond, max(0, held)
}

// Exhausted reports whether the group came to the bound of its memory and processes were ended for it.
func (g *Group) Exhausted() bool {
	events := g.read("memory.events")
	// "oom_kill" alone counts those that ended because the whole machine had no memory, too.
	return number(events, "oom") > 0 && number(events, "oom_kill") > 0
}

func (g *Group) read(name string) []byte {
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return nil
	}
	return text
}

// number reads a line "key N", or with no key a file that is one number; 0 where there is none, the largest for "max".
func number(text []byte, key string) int64 {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		switch {
		case key == "" && len(fields) == 1:
			fields = [][]byte{nil, fields[0]}
		case len(fields) != 2 || string(fields[0]) != key:
			continue
		}
		n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		return n
	}
	return 0
}

// Close removes the group, which must have no process any more.
func (g *Group) Close() error {
	return errors.Join(g.handle.Close(), unix.Rmdir(g.dir))
}
