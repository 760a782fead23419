//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"shannot-gateway/sandbox"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// firstStage starts a first stage up to where it waits to become the loader, calls look, and ends it.
func firstStage(t *testing.T, change func(*Config), look func(*started, error)) {
	t.Helper()
	loader, err := os.Open("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = loader.Close() }()
	filter, err := confinedFilter()
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Argv: Texts([]string{"true"}), Drop: os.Geteuid() == 0, Layers: Available(), Filter: filter,
		Limits: ResourceLimits(sandbox.Limits{Memory: 512 << 20, Files: 64}),
	}
	change(&config)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := startStage(loader, config, [3]*os.File{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = unix.Close(s.control)
		_ = s.process.Kill()
		_, _ = s.process.Wait()
		_ = unix.Close(s.pidfd)
	}()
	listener, _, err := s.proceed()
	if err == nil {
		defer func() { _ = unix.Close(listener) }()
	}
	look(s, err)
}

func TestFirstStageSaysWhatItCannotDo(t *testing.T) {
	const unknown = 99
	firstStage(t, func(c *Config) { c.Limits[unknown] = 1 }, func(_ *started, err error) {
		if err == nil || !strings.Contains(err.Error(), "set limit 99: invalid argument") {
			t.Errorf("%v", err)
		}
	})
}

// The first stage still has the gateway's memory. The attack is that of other sandboxes, which have its user, with a user
// namespace of their own or without.
func TestNobodyLooksIntoAFirstStage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("an unprivileged gateway's own processes have rights over it too")
	}
	firstStage(t, func(*Config) {}, func(s *started, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, flags := range []uintptr{0, unix.CLONE_NEWUSER} {
			for _, name := range []string{"environ", "mem", "maps", "fd/3"} {
				attr := &syscall.SysProcAttr{Cloneflags: flags}
				if flags == 0 {
					attr.Credential = &syscall.Credential{Uid: Nobody, Gid: Nobody}
				} else {
					if !Available().Has(unix.CLONE_NEWUSER) {
						continue
					}
					attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: Nobody, HostID: Nobody, Size: 1}}
					attr.GidMappings = attr.UidMappings
					attr.Credential = &syscall.Credential{Uid: Nobody, Gid: Nobody, NoSetGroups: true}
				}
				cmd := exec.Command("cat", fmt.Sprintf("/proc/%d/%s", s.pid, name))
				cmd.SysProcAttr = attr
				if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ermission denied") {
					t.Errorf("%s with flags %#x: %v, %q", name, flags, err, out)
				}
			}
		}
	})
}

// What the gateway has open does not live on in a first stage, which may wait.
func TestFirstStageKeepsNoDescriptorOfTheGateway(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	firstStage(t, func(*Config) {}, func(_ *started, err error) {
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		end := []unix.PollFd{{Fd: int32(r.Fd())}}
		if n, err := unix.Poll(end, 0); n != 1 || end[0].Revents&unix.POLLHUP == 0 {
			t.Errorf("somebody else has the pipe's other end: %v", err)
		}
	})
}

func TestNothingStartsWithoutAFilter(t *testing.T) {
	loader, err := os.Open("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = loader.Close() }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := startStage(loader, Config{Argv: Texts([]string{"true"})}, [3]*os.File{}); !errors.Is(err, errNoFilter) {
		t.Errorf("%v", err)
	}
}
