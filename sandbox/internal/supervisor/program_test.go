//go:build linux && (amd64 || arm64)

package supervisor

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
	"shannot-gateway/sandbox"
)

// confinedSource is a program that makes the system calls that its input asks for.
//
//go:embed testdata/confined.c
var confinedSource []byte

// compiled builds it.
func compiled(t *testing.T, flags ...string) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("this machine has no C compiler")
	}
	out := filepath.Join(t.TempDir(), "confined")
	if err := os.WriteFile(out+".c", confinedSource, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{"-O1", "-o", out}, flags...), out+".c")
	if text, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v: %s", err, text)
	}
	for dir := filepath.Dir(out); dir != "/" && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755) // #nosec G302 -- another user executes it
	}
	return out
}

func confine(t *testing.T, c Confinement) *Confined {
	t.Helper()
	c.Log = slog.Default()
	p, err := Confine(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); _ = p.Close() })
	return p
}

// machine is a confined program that makes calls for the test.
type machine struct {
	*Confined
	t *testing.T
}

func startMachine(t *testing.T, limits sandbox.Limits) *machine {
	p := confine(t, Confinement{Loader: compiled(t, "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"), Args: []string{"machine"}, Limits: limits})
	m := &machine{p, t}
	m.Settle()
	return m
}

// call makes a system call in the program. An argument that is a string is put into its memory.
func (m *machine) call(number uint32, args ...any) int64 {
	m.t.Helper()
	request := make([]byte, 8*7+256)
	binary.LittleEndian.PutUint64(request, uint64(number))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			binary.LittleEndian.PutUint64(request[8*(i+1):], 1<<63) // the address of the text
			copy(request[8*7:], a)
		case int:
			binary.LittleEndian.PutUint64(request[8*(i+1):], uint64(a))
		}
	}
	if _, err := m.Stdin.Write(request); err != nil {
		m.t.Fatal(err)
	}
	var reply [8]byte
	if _, err := io.ReadFull(m.Stdout, reply[:]); err != nil {
		m.t.Fatalf("call %s: %v; it ended with %v", seccomp.Name(int32(number)), err, m.Wait())
	}
	return int64(binary.LittleEndian.Uint64(reply[:]))
}

// harmlessHere are the calls that a confined program makes without being refused. Those that end it or stop it are not
// made by the test.
var harmlessHere = map[string]bool{
	"read": true, "write": true, "readv": true, "writev": true, "close": true, "pread64": true, "fstat": true, "mmap": true,
	"mprotect": true, "munmap": true, "mremap": true, "madvise": true, "brk": true, "futex": true, "set_tid_address": true,
	"set_robust_list": true, "rseq": true, "arch_prctl": true, "rt_sigaction": true, "rt_sigprocmask": true, "rt_sigreturn": true,
	"sigaltstack": true, "getpid": true, "gettid": true, "tgkill": true, "prlimit64": true, "getrandom": true, "clock_gettime": true,
	"gettimeofday": true, "time": true, "getrusage": true, "sched_yield": true, "restart_syscall": true, "exit": true, "exit_group": true,
}

func TestConfinedProgramHasNoOtherCalls(t *testing.T) {
	m := startMachine(t, sandbox.Limits{})
	for name, number := range seccomp.Calls(runtime.GOARCH) {
		if harmlessHere[name] || name == "uprobe" || name == "uretprobe" { // these pass every filter, see unknown
			continue
		}
		if got := m.call(number, 0, 0, 0, 0, 0, 0); got != -int64(unix.ENOSYS) && got != -int64(unix.EPERM) && (name != "lseek" || got != -int64(unix.ESPIPE)) {
			t.Errorf("%s answered %d", name, got)
		}
	}
	for _, number := range []uint32{500, 512, 1 << 20, ^uint32(0) &^ seccomp.X32Bit} {
		if got := m.call(number); got != -int64(unix.ENOSYS) {
			t.Errorf("call %d answered %d", number, got)
		}
	}
	for what, got := range map[string]int64{
		"open of a shown file":    m.call(seccomptest.CallNumber(t, "openat"), unix.AT_FDCWD, "/etc/hostname", unix.O_RDONLY),
		"fork":                    m.call(seccomptest.CallNumber(t, "clone"), int(unix.SIGCHLD), 0, 0, 0, 0),
		"socket":                  m.call(seccomptest.CallNumber(t, "socket"), unix.AF_INET, unix.SOCK_STREAM, 0),
		"exec":                    m.call(seccomptest.CallNumber(t, "execve"), "/bin/sh", 0, 0),
		"exec by descriptor":      m.call(seccomptest.CallNumber(t, "execveat"), LoaderFD, "", 0, 0, unix.AT_EMPTY_PATH),
		"a signal to another":     m.call(seccomptest.CallNumber(t, "tgkill"), 1, 1, 9),
		"executable memory":       m.call(seccomptest.CallNumber(t, "mmap"), 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON, -1, 0),
		"memory made executable":  m.call(seccomptest.CallNumber(t, "mprotect"), 0, 4096, unix.PROT_EXEC),
		"raising a limit":         m.call(seccomptest.CallNumber(t, "prlimit64"), 0, unix.RLIMIT_NOFILE, "xxxxxxxxxxxxxxxx", 0),
		"a limit of another":      m.call(seccomptest.CallNumber(t, "prlimit64"), 1, unix.RLIMIT_NOFILE, 0, 0),
		"a descriptor of a stage": m.call(seccomptest.CallNumber(t, "read"), stageCtl, 0, 0),
	} {
		if got >= 0 {
			t.Errorf("%s answered %d", what, got)
		}
	}
	if got := m.call(seccomptest.CallNumber(t, "mmap"), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON, -1, 0); got < 0 {
		t.Errorf("ordinary memory is refused: %d", got)
	}
	if got := m.call(seccomptest.CallNumber(t, "getpid")); got != int64(m.PID()) {
		t.Errorf("it is process %d, and calls itself %d", m.PID(), got)
	}
}

func TestConfinedProgramEndsByItselfAndByItsLimits(t *testing.T) {
	t.Parallel()
	m := startMachine(t, sandbox.Limits{})
	_ = m.Stdin.Close()
	if ws := m.Wait(); !ws.Exited() || ws.ExitStatus() != 7 {
		t.Errorf("at the end of its input: %v", ws)
	}
	m = startMachine(t, sandbox.Limits{Memory: 32 << 20})
	if got := m.call(seccomptest.CallNumber(t, "mmap"), 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON, -1, 0); got != -int64(unix.ENOMEM) {
		t.Errorf("64 MiB in 32: %d", got)
	}
	m = startMachine(t, sandbox.Limits{CPU: time.Second})
	if _, err := m.Stdin.Write(bytes.Repeat([]byte{0xff}, 8*7+256)); err != nil { // it loops
		t.Fatal(err)
	}
	if ws := m.Wait(); !ws.Signaled() {
		t.Errorf("a loop ended with %v", ws)
	}
	if cpu, _ := m.Used(); cpu < 500*time.Millisecond {
		t.Errorf("it used %v", cpu)
	}
	m = startMachine(t, sandbox.Limits{})
	m.Kill()
	if ws := m.Wait(); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		t.Errorf("killed: %v", ws)
	}
}

// TestConfinedProgramIsLoadedByItsLoader runs a program of this machine that needs the C library.
func TestConfinedProgramIsLoadedByItsLoader(t *testing.T) {
	loaderName := map[string]string{"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}[runtime.GOARCH]
	loader, err := filepath.EvalSymlinks(loaderName)
	if err != nil {
		t.Skip(err)
	}
	libraries := map[string]string{filepath.Base(loaderName): loader, "libc.so.6": FindLibrary("libc.so.6", filepath.Dir(loader))}
	program := compiled(t)
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	files := map[string]string{"/p/program": program}
	for name, real := range libraries {
		files["/p/"+name] = real
	}
	p := confine(t, Confinement{
		Loader: libraries[filepath.Base(loaderName)], Files: files,
		Args: []string{loaderName, "--inhibit-cache", "--library-path", "/p", "/p/program"},
	})
	m := &machine{p, t}
	if got := m.call(seccomptest.CallNumber(t, "getpid")); got != int64(p.PID()) {
		t.Errorf("it does not run: %d", got)
	}
	if got := m.call(seccomptest.CallNumber(t, "openat"), unix.AT_FDCWD, "/etc/hostname", 0); got != -int64(unix.ENOENT) {
		t.Errorf("while it is loaded, a file that is none of its: %d", got)
	}
	if got := m.call(seccomptest.CallNumber(t, "openat"), unix.AT_FDCWD, "/p/libc.so.6", unix.O_RDWR); got < 0 {
		t.Errorf("while it is loaded, its library: %d", got)
	} else if got := m.call(seccomptest.CallNumber(t, "write"), int(got), 0, 0); got != -int64(unix.EBADF) {
		t.Errorf("its library can be written: %d", got)
	}
	m.Settle()
	if got := m.call(seccomptest.CallNumber(t, "openat"), unix.AT_FDCWD, "/p/libc.so.6", 0); got != -int64(unix.EPERM) {
		t.Errorf("afterwards, its library: %d", got)
	}
}

func TestConfineSaysWhatIsWrong(t *testing.T) {
	if _, err := Confine(Confinement{Loader: "/no/such/program", Log: slog.Default()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
	if _, err := Confine(Confinement{Loader: "/bin/true", Args: []string{strings.Repeat("x", maxArgument)}, Log: slog.Default()}); !errors.Is(err, unix.E2BIG) {
		t.Errorf("too long an argument: %v", err)
	}
	p := confine(t, Confinement{Loader: "/etc/hostname", Args: []string{"x"}})
	if ws := p.Wait(); ws.ExitStatus() != 125 {
		t.Errorf("what is no program ended with %v", ws)
	}
}
