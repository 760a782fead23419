//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

// prelude gives the attempts a raw system call that reports its errno.
const prelude = `
import ctypes, errno, os, sys, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    "make a system call by number, past everything that Python or the guest put in front of it"
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(NR[name]), *[ctypes.c_void_p(a) if isinstance(a, int) else a for a in args])
    return errno.errorcode.get(ctypes.get_errno(), "OK") if r == -1 else "OK"
`

func systemCallNumbers() string {
	var b strings.Builder
	b.WriteString("NR = {")
	for name, number := range numbers {
		b.WriteString("'" + name + "':" + strconv.Itoa(int(number)) + ",")
	}
	// The same numbers on every architecture since Linux 5.1.
	for name, number := range map[string]int{"io_uring_setup": 425, "pidfd_open": 434, "clone3": 435, "openat2": 437} {
		b.WriteString("'" + name + "':" + strconv.Itoa(number) + ",")
	}
	b.WriteString("}\n")
	return b.String()
}

// Each attempt prints what it got; want is what a wall says.
func TestEscapeAttemptsMeetAWall(t *testing.T) {
	secret := t.TempDir() + "/secret"
	if err := os.WriteFile(secret, []byte("gateway's own"), 0o644); err != nil {
		t.Fatal(err)
	}
	gateway := strconv.Itoa(os.Getpid())
	attempts := []struct{ name, script, want string }{
		{"TCP socket", "import socket\ntry: socket.socket()\nexcept PermissionError: print('refused')", "refused"},
		{"UDP socket", "import socket\ntry: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nexcept PermissionError: print('refused')", "refused"},
		{"unix socket", "import socket\ntry: socket.socket(socket.AF_UNIX)\nexcept PermissionError: print('refused')", "refused"},
		{"netlink socket", "import socket\ntry: socket.socket(16, 3)\nexcept PermissionError: print('refused')", "refused"},
		{"datagram pair to a named socket", "import socket\ntry: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\nexcept PermissionError: print('refused')", "refused"},
		{"connect on a pair", "import socket\na, b = socket.socketpair()\ntry: a.connect('/run/x')\nexcept PermissionError: print('refused')", "refused"},
		{"descriptor passing", "import socket, array\na, b = socket.socketpair()\ntry: socket.send_fds(a, [b'x'], [0])\nexcept PermissionError: print('refused')", "refused"},
		{"fork", "try: os.fork()\nexcept PermissionError: print('refused')", "refused"},
		{"fork by clone", "print(call('clone', 17, 0, 0, 0, 0))", "EPERM"},
		{"clone3", "print(call('clone3', 0, 0))", "ENOSYS"},
		{"execve of a host program", "p = b'/bin/sh\\0'; print(call('execve', p, 0, 0))", "EPERM"},
		{"execveat of an open file", "fd = os.open('/proc/self/exe', 0); print(call('execveat', fd, b'\\0', 0, 0, 0x1000))", "EPERM"},
		{"execveat as the first stage did", "os.dup2(os.open('/opt/shannot/lib/libc.so.6', 0), 4); print(call('execveat', 4, b'\\0', 0, 0, 0x1000))", "EPERM"},
		{"ptrace", "print(call('ptrace', 0, 0, 0, 0))", "EPERM"},
		{"ptrace of the gateway", "print(call('ptrace', 16, GATEWAY, 0, 0))", "EPERM"},
		{"memory of the gateway", "print(call('process_vm_readv', GATEWAY, 0, 0, 0, 0, 0))", "EPERM"},
		{"memory of the gateway by /proc", "try: open('/proc/%d/mem' % GATEWAY, 'rb')\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"environment of the gateway", "try: open('/proc/%d/environ' % GATEWAY, 'rb')\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"root of the gateway", "try: print(open('/proc/%d/root/etc/shadow' % GATEWAY).read(1))\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"gateway's working directory", "try: print(os.listdir('/proc/%d/cwd/' % GATEWAY))\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"signal to init", "try: os.kill(1, 0)\nexcept PermissionError: print('refused')", "refused"},
		{"signal to the gateway", "try: os.kill(GATEWAY, 9)\nexcept PermissionError: print('refused')", "refused"},
		{"signal to everybody", "try: os.kill(-1, 9)\nexcept PermissionError: print('refused')", "refused"},
		{"tgkill of the gateway", "print(call('tgkill', GATEWAY, GATEWAY, 9))", "EPERM"},
		{"tkill", "print(call('tkill', GATEWAY, 9))", "EPERM"},
		{"sigqueue to the gateway", "print(call('rt_sigqueueinfo', GATEWAY, 9, 0))", "EPERM"},
		{"pidfd of the gateway", "print(call('pidfd_open', GATEWAY, 0))", "ENOSYS"},
		{"raise limits", "import resource\ntry: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)\nexcept (PermissionError, ValueError): print('refused')", "refused"},
		{"io_uring", "print(call('io_uring_setup', 8, 0))", "ENOSYS"},
		{"openat2 past the filter", "print(call('openat2', -100, b'/etc/passwd\\0', 0, 24))", "ENOSYS"},
		{"open by handle", "print(call('open_by_handle_at', 3, 0, 0))", "EPERM"},
		{"userfaultfd", "print(call('userfaultfd', 0))", "EPERM"},
		{"bpf", "print(call('bpf', 0, 0, 0))", "EPERM"},
		{"perf", "print(call('perf_event_open', 0, 0, -1, -1, 0))", "EPERM"},
		{"mount", "print(call('mount', 0, b'/tmp\\0', 0, 0, 0))", "EPERM"},
		{"unshare", "print(call('unshare', 0x10000000))", "EPERM"},
		{"setns", "print(call('setns', 0, 0))", "EPERM"},
		{"chroot", "print(call('chroot', b'/tmp\\0'))", "EPERM"},
		{"setuid", "try: os.setuid(0)\nexcept PermissionError: print('refused')", "refused"},
		{"a filter of its own", "print(call('seccomp', 1, 0, 0))", "EPERM"},
		{"keyring", "print(call('keyctl', 0, -3, 0))", "EPERM"},
		{"mknod", "try: os.mknod('/tmp/dev', 0o20666, os.makedev(8, 0))\nexcept PermissionError: print('refused')", "refused"},
		{"typing into the terminal", "import fcntl\ntry: fcntl.ioctl(0, 0x5412, b'x')\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOTTY"},
		{"a file that the policy does not show", "try: open(SECRET)\nexcept FileNotFoundError: print('absent')", "absent"},
		{"up and out of scratch", "try: open('/tmp/../tmp/..' + SECRET)\nexcept FileNotFoundError: print('absent')", "absent"},
		{"a link out of scratch", "os.symlink(SECRET, '/tmp/l')\ntry: open('/tmp/l')\nexcept FileNotFoundError: print('absent')", "absent"},
		{"a hard link to a hidden file", "try: os.link('/etc/shadow', '/tmp/s')\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"a rename of a hidden file", "try: os.rename('/etc/shadow', '/tmp/s')\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOENT"},
		{"raw disk", "try: open('/dev/sda', 'rb')\nexcept FileNotFoundError: print('absent')", "absent"},
		{"kernel memory", "try: open('/proc/kcore', 'rb')\nexcept FileNotFoundError: print('absent')", "absent"},
		{"writing the host through a read descriptor", "fd = os.open('/etc/passwd', os.O_RDONLY)\ntry: os.ftruncate(fd, 0)\nexcept OSError as e: print(errno.errorcode[e.errno])", "EINVAL"},
		{"writing the host through a mapping", "import mmap\nf = open('/etc/passwd', 'rb')\ntry: mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_WRITE)\nexcept PermissionError: print('refused')", "refused"},
		{"re-opening a read descriptor for writing", "fd = os.open('/etc/passwd', os.O_RDONLY)\ntry: os.open('/proc/self/fd/%d' % fd, os.O_RDWR)\nexcept OSError as e: print(errno.errorcode[e.errno])", "EACCES"},
		{"writing the interpreter", "try: open('/opt/shannot/lib/python3.14/os.py', 'w')\nexcept OSError as e: print(errno.errorcode[e.errno])", "EROFS"},
		{"fchmod of a host file is the view's", "fd = os.open('/etc/passwd', os.O_RDONLY); os.fchmod(fd, 0o600); print(oct(os.stat('/etc/passwd').st_mode))", "0o100600"},
		{"a lease on a host file", "import fcntl\nfd = os.open('/etc/passwd', os.O_RDONLY)\ntry: fcntl.fcntl(fd, 1024, 0)\nexcept OSError as e: print(errno.errorcode[e.errno])", "EINVAL"},
		{"ioctl on a host file", "import fcntl\nfd = os.open('/etc/passwd', os.O_RDONLY)\ntry: fcntl.ioctl(fd, 0x40086602, b'0' * 8)\nexcept OSError as e: print(errno.errorcode[e.errno])", "ENOTTY"},
		{"a bad path pointer", "print(call('openat', -100, 8, 0, 0))", "EFAULT"},
		{"a bad buffer", "print(call('newfstatat', -100, b'/etc\\0', 8, 0))", "EFAULT"},
		{"a path without end", "print(call('openat', -100, b'/' * 5000, 0, 0))", "ENAMETOOLONG"},
		{"a bad directory", "print(call('openat', 0, b'x\\0', 0, 0))", "ENOTDIR"},
		{"a closed directory", "print(call('openat', 99, b'x\\0', 0, 0))", "EBADF"},
		{"a command with the supervisor's descriptor", "import sitecustomize as s\ntry: s._start(['cat'], ['/bin/cat'], None, None, 77, 1, 2)\nexcept OSError as e: print(errno.errorcode[e.errno])", "EBADF"},
		{"a descriptor in the wrong direction", "import sitecustomize as s\ntry: s._start(['cat'], ['/bin/cat'], None, None, 1, 0, 2)\nexcept OSError as e: print(errno.errorcode[e.errno])", "EBADF"},
	}
	setup := systemCallNumbers() + prelude + "GATEWAY = " + gateway + "\nSECRET = " + strconv.Quote(secret) + `
`
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			got := runScript(t, setup+a.script)
			if got.result.Cause != sandbox.Exited || strings.TrimSpace(got.stdout) != a.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, a.want, got.stderr)
			}
		})
	}
}

func TestNoDescriptorOfTheGatewayIsLeftOpen(t *testing.T) {
	got := runScript(t, `
import os
left = []
for fd in range(3, 1024):
    try: os.fstat(fd); left.append(fd)
    except OSError: pass
print(left)`)
	if got.stdout != "[]\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

// Go's preemption signal once interrupted SECCOMP_IOCTL_NOTIF_ADDFD, and the kernel answered the open with 0.
func TestEveryOpenGetsItsDescriptor(t *testing.T) {
	got := runScript(t, `
import os
for i in range(20_000):
    fd = os.open("/etc/passwd", os.O_RDONLY)
    if fd < 3: print("open", i, "gave", fd); break
    os.close(fd)
else: print("all")`)
	if got.stdout != "all\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

func TestForeignSystemCallEntryKillsTheScript(t *testing.T) {
	if x32Bit == 0 {
		t.Skip("this architecture has one entry")
	}
	script := systemCallNumbers() + prelude + "libc.syscall(ctypes.c_long(0x40000000 + NR['getpid']))\nprint('alive')"
	got := runScript(t, script)
	if got.result.Signal != syscall.SIGSYS || strings.Contains(got.stdout, "alive") {
		t.Errorf("x32 call: %+v, stdout %q; want death by SIGSYS", got.result, got.stdout)
	}
}

// A thread that rewrites a path while another opens it must never get what the path names for an instant.
func TestPathThatChangesDuringTheCallOpensNothingHidden(t *testing.T) {
	got := runScript(t, systemCallNumbers()+prelude+`
import threading, time
good, bad = b"/etc/passwd\0", b"/etc/shadow\0"
buffer = ctypes.create_string_buffer(good, 64)
stop = False
def flip():
    while not stop:
        ctypes.memmove(buffer, bad, len(bad)); ctypes.memmove(buffer, good, len(good))
thread = threading.Thread(target=flip); thread.start()
leaked = 0
for _ in range(3000):
    fd = libc.open(buffer, 0)
    if fd >= 0:
        if b"root:x:0:0" not in os.read(fd, 200): leaked += 1
        os.close(fd)
stop = True; thread.join(); print("leaked", leaked)`)
	if got.stdout != "leaked 0\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

func TestThreadsAreBounded(t *testing.T) {
	got := runScript(t, `
import threading
stop = threading.Event(); n = 0
try:
    while n < 1000:
        threading.Thread(target=stop.wait, daemon=True).start(); n += 1
except RuntimeError: print("refused", 30 < n < 70)
stop.set()`)
	if got.stdout != "refused True\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

func TestLimitsEndTheScriptAndSayWhich(t *testing.T) {
	cases := []struct {
		name, script string
		set          func(*sandbox.Limits)
		want         sandbox.Cause
	}{
		{"wall", "import time; time.sleep(60)", func(l *sandbox.Limits) { l.Wall = 300 * time.Millisecond }, sandbox.WallTime},
		{"cpu", "while True: pass", func(l *sandbox.Limits) { l.CPU = time.Second }, sandbox.CPUTime},
		{"wall with signals ignored", "import signal\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\nwhile True: pass",
			func(l *sandbox.Limits) { l.Wall = 300 * time.Millisecond }, sandbox.WallTime},
		{"a wait for a command", "import subprocess; subprocess.run(['sleep', '60'])", func(l *sandbox.Limits) { l.Wall = 300 * time.Millisecond }, sandbox.WallTime},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job, _, stderr := jobFor(t, c.script)
			c.set(&job.Limits)
			if got := runJob(t, job); got.Cause != c.want || got.Detail == "" {
				t.Errorf("%+v, want cause %q; stderr %s", got, c.want, stderr)
			}
		})
	}
}

// The guest never says these things; a script that does is attacking.
func TestNonsenseToTheSupervisorEndsTheScript(t *testing.T) {
	const dial = "import os, sys, time, sitecustomize as s\nfd = os.open('/dev/shannot', os.O_RDWR)\n" +
		"def say(b): os.write(fd, len(b).to_bytes(4, 'little') + b)\n"
	for _, c := range []struct{ name, script string }{
		{"too long", "os.write(fd, b'\\xff' * 64)"},
		{"not a list", "say(b'hello, world')"},
		{"a NUL in a command", "say(s._list([b'start', 0, 0, 1, 2, s._list([b'ls\\0x']), s._list([b'/bin/ls']), s._list([]), b'', s._list([]), s._list([])]))"},
		{"an unknown request", "say(s._list([b'approve', b'1']))"},
		{"an unknown limit", "say(s._list([b'limit', b'1']))"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, dial+c.script+"\ntime.sleep(60)")
			if got.result.Cause != sandbox.Protocol || got.result.Detail == "" {
				t.Errorf("%+v stderr %s", got.result, got.stderr)
			}
		})
	}
}

// An error of a limit that a script does not catch is what its end is called after; one that it catches is its own.
func TestUncaughtErrorOfALimitNamesIt(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         sandbox.Cause
	}{
		{"memory", "x = bytearray(1 << 30)", sandbox.Memory},
		{"one file", "f = open('/tmp/x', 'wb', buffering=0)\nfor _ in range(40): f.write(bytes(1 << 20))", sandbox.Written},
		{"all files", "for i in range(100):\n  with open(f'/tmp/{i}', 'wb') as f: f.write(bytes(30 << 20))", sandbox.Written},
		{"nodes", "import os\nfor i in range(100_000): os.mkdir(f'/tmp/{i}')", sandbox.Written},
		{"descriptors", "import os\nwhile True: os.pipe()", sandbox.Files},
		{"threads", "import threading\nstop = threading.Event()\nwhile True: threading.Thread(target=stop.wait, daemon=True).start()", sandbox.Threads},
		{"interpreters", "import subprocess, sys\np = [subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1) for _ in range(20)]", sandbox.Processes},
		{"caught", "try: x = bytearray(1 << 30)\nexcept MemoryError: raise SystemExit(3)", sandbox.Exited},
		{"another error", "1/0", sandbox.Exited},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, c.script)
			if got.result.Cause != c.want {
				t.Errorf("%+v, want cause %q; stderr %s", got.result, c.want, got.stderr)
			}
		})
	}
}

func TestFloodOfCallsIsSlowedAndTold(t *testing.T) {
	job, stdout, stderr := jobFor(t, "import os\nfor _ in range(3000): os.stat('/')\nprint('done')")
	job.Limits.Calls = 10_000
	var told []string
	job.Notice = func(line string) { told = append(told, line) }
	r := runJob(t, job)
	if r.Cause != sandbox.Exited || stdout.String() != "done\n" || len(told) != 1 || !strings.Contains(told[0], "limits.calls") {
		t.Errorf("%+v stdout %q stderr %s, told %q", r, stdout, stderr, told)
	}
}

func TestMemoryLimitIsAMemoryError(t *testing.T) {
	got := runScript(t, "try: x = bytearray(1 << 30)\nexcept MemoryError: print('MemoryError')")
	if got.stdout != "MemoryError\n" {
		t.Errorf("%+v stdout %q", got.result, got.stdout)
	}
}

func TestFileLimitIsEFBIG(t *testing.T) {
	got := runScript(t, "import errno\ntry:\n  f = open('/tmp/x', 'wb', buffering=0)\n  for _ in range(40): f.write(bytes(1 << 20))\nexcept OSError as e: print(errno.errorcode[e.errno])")
	if got.stdout != "EFBIG\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

func TestCancelledRunStopsAtOnce(t *testing.T) {
	job, _, _ := jobFor(t, "print('up', flush=True)\nimport time\ntime.sleep(60)")
	ctx, cancel := context.WithCancelCause(t.Context())
	job.Stdout = writerFunc(func(p []byte) (int, error) { cancel(errors.New("asked to")); return len(p), nil })
	result, err := engine(t).Run(ctx, job)
	if err != nil || result.Cause != sandbox.Stopped || result.Detail != "asked to" {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestOutputThatCannotBeDeliveredStopsTheScript(t *testing.T) {
	job, _, _ := jobFor(t, "while True: print('x' * 1000)")
	job.Stdout = writerFunc(func([]byte) (int, error) { return 0, errors.New("full") })
	if result := runJob(t, job); result.Cause != sandbox.Stopped || !strings.Contains(result.Detail, "full") {
		t.Errorf("%+v", result)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRefusedCommandIsAPermissionErrorWithTheReason(t *testing.T) {
	job, stdout, stderr := jobFor(t, `
import subprocess, os
try: subprocess.run(["reboot"])
except PermissionError as e: print(e)
print(os.system("reboot") >> 8)`)
	job.Commands = refuser{}
	if runJob(t, job); stdout.String() != "[Errno 13] not today: 'reboot'\n126\n" || !strings.Contains(stderr.String(), "not today") {
		t.Errorf("stdout %q stderr %q", stdout, stderr)
	}
}

// seer remembers the command and refuses it.
type seer struct{ seen []sandbox.Command }

func (s *seer) Start(_ context.Context, c sandbox.Command) (sandbox.Process, error) {
	s.seen = append(s.seen, c)
	return nil, &sandbox.Refusal{Errno: syscall.EACCES, Reason: "seen"}
}

func TestInputOfACommandIsKnownBeforeItStarts(t *testing.T) {
	job, stdout, stderr := jobFor(t, `
import subprocess
open("/tmp/in", "w").write("from a file")
def attempt(*args, **kw):
    try: subprocess.run(*args, **kw)
    except PermissionError: pass
attempt(["sh"], input=b"rm -rf /srv")
attempt(["sh"], input="text", text=True)
attempt(["sh"], stdin=open("/tmp/in"))
attempt(["sh"])
attempt(["sh"], stdin=subprocess.DEVNULL)
p = subprocess.Popen(["sh"], stdin=subprocess.PIPE)`)
	s := &seer{}
	job.Commands = s
	runJob(t, job)
	want := []struct {
		input   sandbox.Input
		content string
	}{
		{sandbox.DataInput, "rm -rf /srv"}, {sandbox.DataInput, "text"}, {sandbox.DataInput, "from a file"},
		{sandbox.NoInput, ""}, {sandbox.NoInput, ""}, {sandbox.PipeInput, ""},
	}
	if len(s.seen) != len(want) {
		t.Fatalf("%d commands, want %d; stdout %q stderr %s", len(s.seen), len(want), stdout, stderr)
	}
	for i, w := range want {
		if got := s.seen[i]; got.Input != w.input || string(got.Content) != w.content {
			t.Errorf("command %d: input %q %q, want %q %q", i, got.Input, got.Content, w.input, w.content)
		}
	}
}

// waiter holds every command until its context ends.
type waiter struct{ asked, withdrawn chan struct{} }

func (w waiter) Start(ctx context.Context, _ sandbox.Command) (sandbox.Process, error) {
	close(w.asked)
	<-ctx.Done()
	close(w.withdrawn)
	return nil, ctx.Err()
}

// A decision on a command that its script has given up would run it for nobody.
func TestCommandThatTheScriptGivesUpIsWithdrawn(t *testing.T) {
	job, stdout, stderr := jobFor(t, "")
	job.Args = []string{"-c", `
import os, signal, subprocess, threading, time
rung = []
def ring(*a):
    if not rung: rung.append(1); raise TimeoutError
signal.signal(signal.SIGUSR1, ring)
def press(): # again and again: one just before the wait would be seen after it
    input()
    while not rung: os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.01)
threading.Thread(target=press, daemon=True).start()
try: subprocess.run(["reboot"])
except TimeoutError: print("gave up", input())`}
	w := waiter{make(chan struct{}), make(chan struct{})}
	read, write := io.Pipe()
	job.Commands, job.Stdin = w, read
	done := make(chan sandbox.Result)
	go func() { done <- runJob(t, job) }()
	for _, next := range []struct {
		after <-chan struct{}
		line  string
	}{{w.asked, "ring\n"}, {w.withdrawn, "while the script is alive\n"}} {
		select {
		case <-next.after:
			_, _ = io.WriteString(write, next.line)
		case r := <-done:
			t.Fatalf("ended with %+v before the next step; stderr %s", r, stderr)
		}
	}
	<-done
	if stdout.String() != "gave up while the script is alive\n" {
		t.Errorf("stdout %q stderr %s", stdout, stderr)
	}
}

type refuser struct{}

func (refuser) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: syscall.EACCES, Reason: "not today"}
}

func TestInputOfAScriptRunByCodeIsItsOwn(t *testing.T) {
	job, stdout, _ := jobFor(t, "typed\n")
	job.Args = []string{"-c", "import sys; print(sys.stdin.read(), sys.argv)", "one", "two"}
	if runJob(t, job); stdout.String() != "typed\n ['-c', 'one', 'two']\n" {
		t.Errorf("stdout %q", stdout)
	}
}
