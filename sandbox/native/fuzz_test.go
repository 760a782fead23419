//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// memoryEnv makes this program a process whose memory stands for a script's, see puppet.
const memoryEnv = "SHANNOT_TEST_MEMORY"

// testPage is the size of a page in bytes.
var testPage = uint64(os.Getpagesize())

// puppetStream is the descriptor of a puppet that is a stream of the view.
const puppetStream = streamBit + 7

// Pages of a puppet: two that can be written, one that cannot be touched, one that can be read.
const puppetPages = 4

// holdMemory is the life of a puppet: it says where its pages are and waits for the end of its input.
func holdMemory() {
	page := os.Getpagesize()
	pages, err := unix.Mmap(-1, 0, puppetPages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err == nil {
		err = unix.Mprotect(pages[2*page:3*page], unix.PROT_NONE)
	}
	if err == nil {
		err = unix.Mprotect(pages[3*page:], unix.PROT_READ)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	file, err := unix.MemfdCreate("stream", 0)
	if err == nil {
		err = unix.Dup3(file, puppetStream, 0)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("%p\n", &pages[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(pages)
	os.Exit(0)
}

// puppet is a process with memory that handlers may read and write as they like.
type puppet struct {
	pid, pidfd int
	base       uint64
}

func newPuppet(tb testing.TB) *puppet {
	tb.Helper()
	own, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(own)
	cmd.Env = []string{memoryEnv + "=1"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p := &puppet{pid: cmd.Process.Pid}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "0x%x", &p.base); err != nil {
		tb.Fatalf("%q: %v", line, err)
	}
	if p.pidfd, err = unix.PidfdOpen(p.pid, 0); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait(); _ = unix.Close(p.pidfd) })
	return p
}

// fill puts text at the start of the memory and, once more, right before the page that cannot be touched.
func (p *puppet) fill(tb testing.TB, text []byte) {
	text = text[:min(len(text), int(testPage))]
	all := make([]byte, 2*testPage)
	copy(all, text)
	copy(all[len(all)-len(text):], text)
	if e := seccomp.WriteMemory(p.pid, p.base, all); e != 0 {
		tb.Fatal(e)
	}
}

// FuzzReadPath compares the reading of a path with what a plain search for its end finds.
func FuzzReadPath(f *testing.F) {
	f.Add([]byte("/etc/passwd\x00"), uint16(0))
	f.Add([]byte("no end"), uint16(8186))
	f.Add(bytes.Repeat([]byte("x"), 4096), uint16(0))
	f.Add(bytes.Repeat([]byte("/"), 4095), uint16(4096))
	p := newPuppet(f)
	var buffer [seccomp.MaxPath]byte
	f.Fuzz(func(t *testing.T, text []byte, at uint16) {
		p.fill(t, text)
		memory := make([]byte, 2*testPage)
		if n, e := seccomp.ReadMemory(p.pid, p.base, memory); e != 0 || n != len(memory) {
			t.Fatal(n, e)
		}
		start := uint64(at) % (3 * testPage)
		got, e := seccomp.ReadPath(p.pid, p.base+start, &buffer)
		rest := memory[min(start, 2*testPage):]
		end := bytes.IndexByte(rest[:min(len(rest), seccomp.MaxPath)], 0)
		switch {
		case end >= 0:
			if e != 0 || got != string(rest[:end]) {
				t.Errorf("read %q, %v at %d, want %q", got, e, start, rest[:end])
			}
		case len(rest) >= seccomp.MaxPath:
			if e != unix.ENAMETOOLONG {
				t.Errorf("read %q, %v at %d, want ENAMETOOLONG", got, e, start)
			}
		case e != unix.EFAULT:
			t.Errorf("read %q, %v at %d, want EFAULT", got, e, start)
		}
	})
}

// A call's arguments in the fuzzer's bytes: for each of six, what kind it is and eight bytes.
const (
	fuzzedArgument = 9
	fuzzedCall     = 1 + 6*fuzzedArgument
	fuzzedCalls    = 12 // of one input, at most
)

func (p *puppet) argument(b []byte) uint64 {
	value := binary.LittleEndian.Uint64(b[1:])
	switch b[0] % 6 {
	case 0:
		return p.base + value%(puppetPages*testPage)
	case 1:
		return p.base + 2*testPage - value%64 // near the end of what can be touched
	case 2:
		return value%16 - 3 // a descriptor, a small size, a flag
	case 3:
		return uint64(uint32(0x100000000 + unix.AT_FDCWD))
	case 5:
		return puppetStream
	}
	return value
}

const fuzzSecret = "what no script may read"

// fuzzedRun is an interpreter's supervisor with a puppet in the interpreter's place.
func fuzzedRun(tb testing.TB, p *puppet) *run {
	var tree vfs.Static
	for name, text := range map[string]string{
		"/etc/passwd": "root", "/etc/hidden": fuzzSecret, "/etc/d/e/f": "deep", "/usr/bin/x": strings.Repeat("x", 5000),
	} {
		tree.AddFile(name, 0o644, []byte(text))
	}
	tree.AddLink("/etc/link", "hidden")
	tree.AddLink("/etc/loop", "loop")
	policy, err := vfs.NewPolicy([]string{"/etc", "/usr"}, []string{"/etc/hidden"})
	if err != nil {
		tb.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{
		Base: &tree, Policy: policy, Scratch: []string{"/tmp"}, MaxBytes: 1 << 20, MaxFile: 1 << 18, MaxNodes: 200,
		UID: 1000, GID: 1000, Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	e := &Engine{options: Options{Log: slog.New(slog.DiscardHandler)}.withDefaults()}
	r := newRun(tb.Context(), e, sandbox.Job{FS: view, Dir: "/", Args: []string{"-"}, Commands: conformance.Refuse{}, Limits: sandbox.Limits{Write: 1 << 20}})
	// Loaded, so that it is shown in /proc.
	r.proc = supervisor.Attach(supervisor.State{PID: p.pid, PIDFD: p.pidfd, Loaded: true, Valid: func(uint64) bool { return true }})
	members := newProcessTree(e, nil, r)
	r.join(members, newOpenFiles(members))
	r.tree.started(r)
	if err := r.mount(&installation{library: new(vfs.Static)}); err != nil {
		tb.Fatal(err)
	}
	stream, failure := r.handles.grab(puppetStream)
	if failure == 0 {
		failure = r.handles.add(stream, &handle{file: fuzzedStream{}})
	}
	if failure != 0 {
		tb.Fatal(failure)
	}
	_ = unix.Close(stream)
	return r
}

// fuzzedStream is an open file of the view that is a stream.
type fuzzedStream struct{ vfs.File }

func (fuzzedStream) Path() string                   { return "/var/log/far" }
func (fuzzedStream) Info() (vfs.Info, error)        { return vfs.Info{Mode: unix.S_IFREG | 0o644}, nil }
func (fuzzedStream) Chmod(uint32) error             { return nil }
func (fuzzedStream) Chown(_, _ int) error           { return nil }
func (fuzzedStream) Utimes(_, _ time.Time) error    { return nil }
func (fuzzedStream) ReadDir() ([]vfs.Dirent, error) { return nil, unix.ENOTDIR }
func (fuzzedStream) Close() error                   { return nil }
func (fuzzedStream) Stream() vfs.Stream {
	return fuzzedContent{strings.NewReader(strings.Repeat("far away", 100))}
}

type fuzzedContent struct{ *strings.Reader }

func (fuzzedContent) Close() error { return nil }

// FuzzHandlers makes calls with every kind of argument over every kind of memory. No handler may panic, answer what the
// kernel has no number for, leave the view, or give out a descriptor that writes anything but what the session holds.
func FuzzHandlers(f *testing.F) {
	names := make([]string, 0, len(byNumber))
	for number := range byNumber {
		names = append(names, seccomp.Name(number))
	}
	slices.Sort(names)
	p := newPuppet(f)
	call := func(name string, args ...[]byte) []byte {
		b := []byte{byte(slices.Index(names, name))}
		for _, a := range args {
			b = append(b, a...)
		}
		return append(b, make([]byte, fuzzedCall-len(b))...)
	}
	arg := func(kind byte, value uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{kind}, value) }
	at, memory := arg(3, 0), arg(0, 0)
	f.Add([]byte("/etc/passwd\x00"), call("openat", at, memory, arg(4, 0)))
	f.Add([]byte("/etc/link\x00"), call("openat", at, memory, arg(4, unix.O_RDWR)))
	f.Add([]byte("/tmp/x\x00/tmp/y\x00"), slices.Concat(
		call("openat", at, memory, arg(4, unix.O_RDWR|unix.O_CREAT), arg(4, 0o600)),
		call("renameat2", at, memory, at, arg(0, 7), arg(4, 0)), call("linkat", at, arg(0, 7), at, memory, arg(4, 0)),
		call("newfstatat", at, memory, arg(0, 4096), arg(4, 0)), call("utimensat", at, memory, arg(0, 64), arg(4, 0)),
		call("fchmodat", at, memory, arg(4, 0o777)), call("truncate", memory, arg(4, 1<<40))))
	f.Add([]byte("/tmp/d\x00/tmp/d/e\x00"), slices.Concat(
		call("mkdirat", at, memory, arg(4, 0o700)), call("chdir", memory), call("getcwd", arg(0, 4096), arg(4, 100)),
		call("symlinkat", memory, at, arg(0, 7)), call("readlinkat", at, arg(0, 7), arg(0, 4096), arg(4, 100)),
		call("unlinkat", at, memory, arg(4, unix.AT_REMOVEDIR)), call("statfs", memory, arg(0, 4096))))
	f.Add([]byte("/proc/self/fd/0\x00"), call("openat", at, memory, arg(4, 2)))
	f.Add([]byte("/dev/shannot\x00"), call("openat", at, memory, arg(4, 2)))
	f.Add(fmt.Appendf(nil, "/proc/%d/task/%d/fd/0\x00", p.pid, p.pid), slices.Concat(
		call("openat", at, memory, arg(4, 0)), call("readlinkat", at, memory, arg(0, 4096), arg(4, 100)), call("newfstatat", at, memory, arg(0, 4096), arg(4, 0))))
	f.Add(make([]byte, flockSize), slices.Concat(call("fcntl", arg(2, 3), arg(4, unix.F_SETLK), memory), call("fcntl", arg(2, 3), arg(4, unix.F_GETLK), memory),
		call("fcntl", arg(2, 3), arg(4, unix.F_OFD_SETLK), memory), call("flock", arg(2, 3), arg(4, unix.LOCK_EX)), call("fadvise64", arg(2, 3), arg(4, 0), arg(4, 0), arg(4, 9)),
		call("fsync", arg(2, 4)), call("ioctl", arg(2, 0), arg(4, unix.TIOCSPGRP), memory), call("fstatfs", arg(2, 3), arg(0, 4096))))
	f.Add([]byte{}, slices.Concat(call("epoll_create1", arg(4, unix.EPOLL_CLOEXEC)), call("epoll_ctl", arg(2, 3), arg(4, unix.EPOLL_CTL_ADD), arg(2, 4), arg(0, 0)),
		call("pipe2", arg(0, 0), arg(4, 0)), call("socketpair", arg(4, 1), arg(4, 1), arg(4, 0), arg(1, 1)), call("mmap", arg(4, 0), arg(4, 1), arg(4, 1), arg(4, unix.MAP_SHARED), arg(2, 3))))
	vector := binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, p.base+100), 50)
	f.Add(vector, slices.Concat(call("read", arg(5, 0), memory, arg(4, 100)), call("readv", arg(5, 0), memory, arg(4, 1)), call("preadv2", arg(5, 0), memory, arg(4, 1), arg(4, 1<<62)),
		call("pread64", arg(5, 0), memory, arg(4, ^uint64(0)), arg(4, 5)), call("mmap", arg(4, 0), arg(4, 1), arg(4, 1), arg(4, 1), arg(5, 0)), call("dup", arg(5, 0)), call("sendfile", arg(5, 0), arg(5, 0))))
	f.Add([]byte{}, slices.Concat(call("fstat", arg(2, 3), arg(1, 10)), call("wait4", arg(4, ^uint64(0)), arg(0, 0), arg(4, 1), arg(0, 100)),
		call("waitid", arg(4, 1), arg(2, 4), arg(0, 0), arg(4, 5), arg(0, 200)), call("kill", arg(4, 1), arg(4, 9)), call("uname", arg(1, 1)),
		call("getdents64", arg(2, 4), arg(0, 0), arg(4, 1<<40)), call("umask", arg(4, 0o7777)), call("getpgid", arg(4, 1))))
	f.Fuzz(func(t *testing.T, text, calls []byte) {
		p.fill(t, text)
		r := fuzzedRun(t, p)
		defer func() {
			r.cancel(nil)
			r.handles.files.close()
			r.tree.objects.epolls.close()
			_ = r.job.FS.Close()
		}()
		for range fuzzedCalls {
			if len(calls) < fuzzedCall {
				return
			}
			name := names[int(calls[0])%len(names)]
			n := &seccomp.Notification{PID: uint32(p.pid), Nr: int32(seccomptest.CallNumber(t, name))}
			for i := range n.Args {
				n.Args[i] = p.argument(calls[1+i*fuzzedArgument:])
			}
			calls = calls[fuzzedCall:]
			judge(t, r, name, n, r.inTurn(byNumber[n.Nr], n))
		}
	})
}

// judge checks one answer.
func judge(t *testing.T, r *run, name string, n *seccomp.Notification, a answer) {
	t.Helper()
	if a.errno >= 4096 {
		t.Errorf("%s%v: errno %d", name, n.Args, a.errno)
	}
	if cwd := r.names.Dir.Path(); !path.IsAbs(cwd) || path.Clean(cwd) != cwd || strings.ContainsRune(cwd, 0) {
		t.Errorf("%s%v: the working directory is %q", name, n.Args, cwd)
	}
	// Where only the descriptor decides, the call is the filter's on any other.
	byDescriptor := slices.ContainsFunc(table, func(r row) bool { return r.Call == name && r.Do == allow })
	// These are judged by nothing in memory: a thread, a pipe and a pair are what the filter let here, execveat is the first
	// stage's once, and where a thread may run is nobody's secret.
	judged := slices.Contains([]string{"clone", "pipe", "pipe2", "socketpair", "execveat", "sched_getaffinity"}, name)
	if a.resume && !judged && !byDescriptor {
		t.Errorf("%s%v is let through", name, n.Args)
	}
	if !a.inject {
		return
	}
	defer func() { _ = unix.Close(a.fd) }()
	flags, err := unix.FcntlInt(uintptr(a.fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatalf("%s%v: descriptor %d: %v", name, n.Args, a.fd, err)
	}
	leads, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", a.fd))
	switch {
	case strings.HasPrefix(leads, "/memfd:"), strings.HasPrefix(leads, "/dev/"), strings.HasPrefix(leads, "socket:"), strings.HasPrefix(leads, "pipe:"):
	case leads == eventPoll && strings.HasPrefix(name, "epoll_create"):
	default:
		t.Errorf("%s%v: gives out %s with flags %#x", name, n.Args, leads, flags)
	}
	if strings.HasPrefix(leads, "/memfd:") && flags&unix.O_ACCMODE != unix.O_WRONLY {
		var have [64]byte
		if k, _ := unix.Pread(a.fd, have[:], 0); strings.Contains(string(have[:max(k, 0)]), fuzzSecret) {
			t.Errorf("%s%v: gives out the secret", name, n.Args)
		}
	}
}

// FuzzOwnProc has what the kernel says of an interpreter told anew. A script chooses its name there, and what it maps.
func FuzzOwnProc(f *testing.F) {
	f.Add([]byte("1 (a) b) R 7 1 1 0 -1"))
	f.Add([]byte("Name:\tx\nUmask:\t0022\nPPid:\t77\nUid:\t0\t0\t0\t0\n"))
	f.Add([]byte("7f00-7f01 r--p 00000000 08:01 1234                       /root/.cache/secret\n7f00-7f01 rw-p 0 00:00 0\n"))
	f.Add([]byte(")"))
	r := &run{job: sandbox.Job{Host: sandbox.Host{UID: 1000}}, proc: supervisor.Attach(supervisor.State{PID: 4242})}
	r.tree = newProcessTree(&Engine{}, nil, r)
	f.Fuzz(func(t *testing.T, text []byte) {
		for line := range bytes.Lines(r.ownMaps(text)) {
			// Address, permissions and offset are numbers of the kernel's; device and inode are the view's.
			_, name, _ := bytes.Cut(line, []byte(" 00:00 0"))
			if name = bytes.TrimSpace(name); bytes.HasPrefix(name, []byte("/")) {
				t.Errorf("maps name the host: %q", line)
			}
		}
		for line := range bytes.Lines(r.ownStatus(text)) {
			if bytes.HasPrefix(line, []byte("PPid:")) && !bytes.Equal(line, []byte("PPid:\t1\n")) {
				t.Errorf("status tells the parent: %q", line)
			}
		}
		if stat := r.ownStat(text); stat != nil {
			if fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]); len(fields) < 2 || string(fields[1]) != "1" {
				t.Errorf("stat tells the parent: %q", stat)
			}
		}
		_ = procfs.Kibibytes(text, "RssAnon:")
	})
}

// FuzzFilter holds the filter that the kernel runs against a plain reading of the table.
func FuzzFilter(f *testing.F) {
	program := filterFor(f, enginePolicy)
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "openat"), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "clone"), uint64(threadFlags), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "kill"), uint64(testPID), uint64(9), uint64(0), uint64(0), uint64(0))
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "socketpair"), uint64(1), uint64(1), uint64(0), uint64(0), uint64(0))
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "mmap"), uint64(0), uint64(0), uint64(0), uint64(unix.MAP_HUGETLB), uint64(0))
	f.Add(uint32(seccomp.AuditArch), seccomptest.CallNumber(f, "getsockopt"), uint64(0), uint64(1), uint64(77), uint64(0), uint64(0))
	f.Add(uint32(unix.AUDIT_ARCH_I386), uint32(1), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Add(uint32(seccomp.AuditArch), uint32(1<<30), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, arch, number uint32, a0, a1, a2, a3, a4 uint64) {
		args := [6]uint64{a0, a1, a2, a3, a4}
		if got, want := runFilter(t, program, arch, number, args[:]...), seccomptest.Decide(enginePolicy, testPID, arch, number, args); got != want {
			t.Errorf("call %d%v of %#x: the filter returns %#x, the table says %#x", number, args, arch, got, want)
		}
	})
}
