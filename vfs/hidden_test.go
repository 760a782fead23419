//go:build linux

package vfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// Of what every process has, a hidden name is there and says nothing: as to a user who may not look into the process.
func TestWhatEveryProcessHasIsDeniedAndNotAbsent(t *testing.T) {
	policy, err := vfs.NewPolicy(vfs.DefaultRead(), append(vfs.DefaultHide(), "/proc/2", "/proc/*/ns/mnt"))
	ok(t, err)
	s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy})
	dir := fmt.Sprintf("/proc/%d", os.Getpid())
	for _, d := range []string{dir, fmt.Sprintf("%s/task/%d", dir, os.Getpid())} {
		list, err := names(s, d)
		ok(t, err)
		for _, name := range []string{"fd", "fdinfo", "maps", "environ", "mem"} {
			full := d + "/" + name
			if !slices.Contains(strings.Fields(list), name) {
				t.Errorf("%s lists no %s", d, name)
			}
			info, err := s.Lstat(full)
			ok(t, err)
			real, err := os.Lstat(full)
			ok(t, err)
			if info.IsDir() != real.IsDir() {
				t.Errorf("%s: %+v, %v", full, info, real)
			}
			_, err = s.Open(full, unix.O_RDONLY, 0)
			is(t, "open "+full, err, syscall.EACCES)
			_, err = s.Open(full, unix.O_PATH, 0)
			is(t, "open by name "+full, err, syscall.EACCES)
			_, err = s.Open(full, unix.O_RDWR|unix.O_CREAT, 0o600)
			is(t, "write "+full, err, syscall.EACCES)
			is(t, "access "+full, s.Access(full, 0), syscall.EACCES)
			_, err = s.Readlink(full)
			is(t, "readlink "+full, err, syscall.EACCES)
			is(t, "remove "+full, s.Unlink(full), syscall.EACCES)
			is(t, "rename "+full, s.Rename(full, d+"/x", 0), syscall.EACCES)
			is(t, "chmod "+full, s.Chmod(full, 0o777, true), syscall.EACCES)
			is(t, "link "+full, s.Link(full, d+"/x", true), syscall.EACCES)
			_, err = s.Canonical(full)
			is(t, "canonical "+full, err, syscall.EACCES)
			_, err = s.Lstat(full + "/0")
			is(t, "below "+full, err, syscall.EACCES)
		}
	}
	// Other hidden names are no part of a process's kind, and neither is what no process has.
	for _, name := range []string{"/proc/2", "/proc/2/fd", "/proc/kcore", dir + "/ns/mnt", dir + "/nothing", "/proc/99999999/fd", "/proc/0x1/fd"} {
		_, err := s.Lstat(name)
		is(t, name, err, enoent)
	}
	var told []string
	for range 3 {
		vfs.TellHidden(s, syscall.EACCES, func(line string) { told = append(told, line) })
	}
	if len(told) != 1 || !strings.Contains(told[0], "/proc/PID/fd:") {
		t.Errorf("told %q", told)
	}
}

// The kernel's answers about links of /proc are passed on as they are, also of processes that end meanwhile.
func TestLinksOfProcessesAnswerAsTheKernelDoes(t *testing.T) {
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	entries, err := os.ReadDir("/proc")
	ok(t, err)
	compared := 0
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		for _, link := range []string{"exe", "cwd", "root", "ns/net", "stat", "task"} {
			name := "/proc/" + e.Name() + "/" + link
			// What the kernel says before and after is what it says in between, unless it is nothing twice.
			_, before := os.Readlink(name)
			_, got := s.Readlink(name)
			_, after := os.Readlink(name)
			if errnoOf(before) != errnoOf(after) {
				continue
			}
			compared++
			if errnoOf(got) != errnoOf(before) {
				t.Errorf("%s: %v, the kernel says %v", name, got, before)
			}
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) {
		panic(err)
	}
	return e
}

// A link of a kernel thread leads nowhere, which is another answer than that of a file that is no link.
func TestLinksOfKernelThreadsLeadNowhere(t *testing.T) {
	if _, err := os.Readlink("/proc/2/exe"); !errors.Is(err, fs.ErrNotExist) {
		t.Skip("no kernel thread is seen here, as in a container")
	}
	_, err := session(t, vfs.Config{Base: vfs.NewHost()}).Readlink("/proc/2/exe")
	is(t, "readlink", err, enoent)
}

// What the policy hides looks absent, whether it is there or not. The agent hears of that once, in words that do not tell which it is.
func TestHiddenNamesAreToldOfOnce(t *testing.T) {
	there := t.TempDir()
	s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, []string{"/"}, []string{there, "/hidden"})})
	var told []string
	hear := func(line string) { told = append(told, line) }
	_, err := s.Stat("/not there")
	is(t, "a name that is not there", err, enoent)
	if vfs.TellHidden(s, enoent, hear); len(told) != 0 {
		t.Errorf("of a name that is not there it was told %q", told)
	}
	for _, name := range []string{"/hidden/" + strings.Repeat("x", 1000), there} {
		s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, []string{"/"}, []string{there, "/hidden"})})
		told = nil
		_, err := s.Stat(name[:min(len(name), 250)])
		is(t, name, err, enoent)
		vfs.TellHidden(s, syscall.EACCES, hear) // of something else
		for range 3 {
			_, _ = s.Stat(there)
			vfs.TellHidden(s, enoent, hear)
		}
		if len(told) != 1 || !strings.Contains(told[0], "whether it is there or not") || len(told[0]) > 500 {
			t.Errorf("%.20s: told %q", name, told)
		}
	}
}
