//go:build linux

package cgroup

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const unified = "36 25 0:31 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

func TestTheOwnGroupIsFoundInProc(t *testing.T) {
	hybrid := "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n36 25 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	for _, c := range []struct{ name, mounts, own, want, reason string }{
		{"a service", unified, "0::/system.slice/gw.service\n", "/sys/fs/cgroup/system.slice/gw.service", ""},
		{"the root", unified, "0::/\n", "/sys/fs/cgroup", ""},
		{"both versions", hybrid, "4:memory:/x\n0::/y\n", "/sys/fs/cgroup/unified/y", ""},
		{"a part mounted", "36 25 0:31 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abc/in\n", "/sys/fs/cgroup/in", ""},
		{"a part that has only the beginning of its name", "36 25 0:31 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abcd\n", "", "no mount"},
		{"outside of the namespace", unified, "0::/../other\n", "", "no mount"},
		{"an escaped name", `36 25 0:31 / /mnt/a\040b\134c rw - cgroup2 cgroup rw` + "\n", "0::/d\n", `/mnt/a b\c/d`, ""},
		{"optional fields", "36 25 0:31 / /cg rw master:1 shared:2 - cgroup2 cgroup rw\n", "0::/d\n", "/cg/d", ""},
		{"version 1 alone", "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/x\n", "", "no control groups version 2"},
		{"not mounted", "", "0::/x\n", "", "no mount"},
		{"nonsense", "- \n a - cgroup2\n - cgroup2", "0::/x\n", "", "no mount"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := directory(c.mounts, c.own)
			if got != c.want || (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.reason)
			}
		})
	}
}

func TestAGroupWithoutMemoryIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "cpu io\n", "hugetlb xmemory memoryx\n"} {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := usable(dir); err == nil || !strings.Contains(err.Error(), "no memory controller") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestNumbersOfAGroup(t *testing.T) {
	stat := []byte("anon 4096\nactive_file 12\nbroken\nfile x\nmax max\n")
	for key, want := range map[string]int64{"anon": 4096, "active_file": 12, "file": 0, "ano": 0, "broken": 0, "max": 0} {
		if got := number(stat, key); got != want {
			t.Errorf("%s: got %d, want %d", key, got, want)
		}
	}
	if got := number([]byte("77\n"), ""); got != 77 {
		t.Errorf("got %d", got)
	}
}

// tree is this process's own group, for tests of the kernel's part. A delegated one is what
// `systemd-run --wait --pipe -p Delegate=yes` gives.
func tree(t *testing.T) *Tree {
	t.Helper()
	got, err := Delegated()
	if err != nil {
		t.Skipf("no control group is delegated to this process: %v", err)
	}
	return got
}

// hogSize is what a hog holds, in bytes, until its standard input ends.
const hogSize = 40 << 20

func TestMain(m *testing.M) {
	if os.Getenv("CGROUP_HOG") != "" {
		held := bytes.Repeat([]byte{1}, hogSize)
		_, _ = io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(held)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hog is started in a group. Closing the writer ends it.
func hog(t *testing.T, g *Group) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CGROUP_HOG=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: g.FD()}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdin
}

func TestAGroupEndsAllThatTakeTooMuch(t *testing.T) {
	g, err := tree(t).New(hogSize + hogSize/2)
	if err != nil {
		t.Fatal(err)
	}
	one, end := hog(t, g)
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", one.Process.Pid)); err != nil || !strings.Contains(string(text), filepath.Base(g.dir)) {
		t.Errorf("a process is in %q, %v", text, err)
	}
	_ = end.Close()
	if err := one.Wait(); err != nil || g.Exhausted() {
		t.Errorf("one alone, which fits: %v, exhausted %v", err, g.Exhausted())
	}
	if cpu, _ := g.Used(); cpu <= 0 {
		t.Error("no processor time was counted")
	}
	one, _ = hog(t, g)
	two, _ := hog(t, g)
	for _, cmd := range []*exec.Cmd{one, two} {
		_ = cmd.Wait()
		if status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGKILL {
			t.Errorf("one of two ended with %v", cmd.ProcessState)
		}
	}
	if !g.Exhausted() {
		t.Error("the bound is not told as the reason")
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.dir); !os.IsNotExist(err) {
		t.Errorf("the group is left: %v", err)
	}
}

func TestGroupsOfTheDeadAreRemoved(t *testing.T) {
	parent := tree(t)
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(parent.dir, prefix+strconv.Itoa(ended.Process.Pid)+"-1")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := parent.New(0)
	if err != nil {
		t.Fatal(err)
	}
	parent.sweep()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a dead process made is left: %v", err)
	}
	if _, err := os.Stat(g.dir); err != nil {
		t.Errorf("an own group is gone: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
