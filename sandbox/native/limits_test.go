//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

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
	t.Parallel()
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
		{"descriptors", "import os\nwhile True: os.eventfd(0)", sandbox.Files},
		{"pipes", "import os\nwhile True: os.pipe()", sandbox.Objects},
		{"watches", "import os, select\nfor r, e in [(os.pipe()[0], select.epoll()) for _ in range(20)]:\n  for n in range(500, 900): os.dup2(r, n); e.register(n); os.close(n)", sandbox.Objects},
		{"threads", "import threading\nstop = threading.Event()\nwhile True: threading.Thread(target=stop.wait, daemon=True).start()", sandbox.Threads},
		{"interpreters", "import subprocess, sys\np = [subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1) for _ in range(20)]", sandbox.Processes},
		{"caught", "try: x = bytearray(1 << 30)\nexcept MemoryError: raise SystemExit(3)", sandbox.Exited},
		{"another error", "1/0", sandbox.Exited},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := runScript
			if c.want == sandbox.Memory || c.name == "caught" {
				run = runWithMemory
			}
			got := run(t, c.script)
			if got.result.Cause != c.want {
				t.Errorf("%+v, want cause %q; stderr %s", got.result, c.want, got.stderr)
			}
		})
	}
}

func TestFloodOfCallsIsSlowedAndTold(t *testing.T) {
	job, stdout, stderr := jobFor(t, "import os\nfor _ in range(600): os.stat('/')\nprint('done')")
	job.Limits.Calls = 500 // few enough for a machine that is busy
	var told []string
	job.Notice = func(line string) { told = append(told, line) }
	r := runJob(t, job)
	if r.Cause != sandbox.Exited || stdout.String() != "done\n" || len(told) != 1 || !strings.Contains(told[0], "limits.calls") {
		t.Errorf("%+v stdout %q stderr %s, told %q", r, stdout, stderr, told)
	}
}

func TestMemoryLimitIsAMemoryError(t *testing.T) {
	got := runWithMemory(t, "try: x = bytearray(1 << 30)\nexcept MemoryError: print('MemoryError')")
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
