//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// firstStage starts a first stage up to where it waits to become the loader, calls look, and ends it.
func firstStage(t *testing.T, change func(*stageConfig), look func(*started, error)) {
	t.Helper()
	_, loader, err := engine(t).prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	job, _, _ := jobFor(t, "")
	config := stageConfigFor(engine(t), job)
	change(&config)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := startStage(loader, config, [3]*os.File{}, false)
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
	firstStage(t, func(c *stageConfig) { c.Limits[unknown] = 1 }, func(_ *started, err error) {
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
	firstStage(t, func(*stageConfig) {}, func(s *started, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for _, flags := range []uintptr{0, unix.CLONE_NEWUSER} {
			for _, name := range []string{"environ", "mem", "maps", "fd/3"} {
				attr := &syscall.SysProcAttr{Cloneflags: flags}
				if flags == 0 {
					attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
				} else {
					if !available().layers.has(unix.CLONE_NEWUSER) {
						continue
					}
					attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: nobody, Size: 1}}
					attr.GidMappings = attr.UidMappings
					attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
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
	firstStage(t, func(*stageConfig) {}, func(_ *started, err error) {
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

// Neither the handlers of the gateway's runtime, nor what it ignores or blocks, comes through to a script.
func TestScriptBeginsWithTheKernelsSignalHandling(t *testing.T) {
	const script = "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('SigBlk', 'SigIgn', 'SigCgt'))])"
	// Python itself ignores SIGPIPE and SIGXFSZ, and catches SIGINT. A Python without a sandbox is no measure: it has what
	// these tests were started with, which under nohup(1) is more.
	const want = "['0000000000000000', '0000000001001000', '0000000000000002']\n"
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	got := runScript(t, script)
	if got.stdout != want {
		t.Errorf("blocked, ignored, caught: %s, want %s %s", got.stdout, want, got.stderr)
	}
}

// A child that the kernel gave no limit of its own has room below the address space that the gateway has reserved.
func TestLimitBelowTheGatewaysOwnMemoryHolds(t *testing.T) {
	job, stdout, stderr := jobFor(t, "import resource\nprint(resource.getrlimit(resource.RLIMIT_AS)[0])")
	job.Limits.Memory = 96 << 20
	if result := runJob(t, job); result.ExitCode != 0 || result.Cause != sandbox.Exited {
		t.Fatalf("%+v %s", result, stderr)
	}
	if got := strings.TrimSpace(stdout.String()); got != strconv.Itoa(96<<20) {
		t.Errorf("the limit is %s", got)
	}
}

// lookups records what is asked of a library and not there.
type lookups struct {
	vfs.Source
	mu     sync.Mutex
	absent []string
}

func (l *lookups) Lstat(name string) (vfs.Info, error) {
	info, err := l.Source.Lstat(name)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.absent = append(l.absent, name)
	}
	return info, err
}

func TestLoaderLooksForNoLibraryInVain(t *testing.T) {
	e := warmEngine(t, 0)
	in, _, err := e.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(in.load, "--preload") {
		t.Skip("this machine's loader cannot be told where libraries are")
	}
	seen := &lookups{Source: in.library}
	in.library = seen
	job, stdout, stderr := jobFor(t, "import ctypes, math, os\nprint(sorted(k for k in os.environ if k.startswith('LD_')))")
	if result, err := e.Run(t.Context(), job); err != nil || stdout.String() != "[]\n" {
		t.Fatalf("%+v, %v, %s%s", result, err, stdout, stderr)
	}
	for _, name := range seen.absent {
		if strings.HasPrefix(name, "/lib/") && !strings.HasPrefix(name, "/lib/python") {
			t.Errorf("looked for %s", name)
		}
	}
}
