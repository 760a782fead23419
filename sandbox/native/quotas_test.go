//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
)

// takeAll takes as much as it is given of what the kernel counts for a user, tells how much, and holds it until its input
// ends.
const takeAll = `
import os, select, signal, socket, sys
kept, polls, got = [], [], {}
def take(name, make, most=20_000):
    n = 0
    try:
        while n < most: make(n); n += 1
    except OSError: pass
    got[name] = n
read, write = os.pipe()
def watch(n):
    if n % 300 == 0: polls.append(select.epoll()); kept.append(os.pipe())
    os.dup2(kept[-1][0], 500 + n % 300); polls[-1].register(500 + n % 300, 0); os.close(500 + n % 300)
take("watches", watch)
take("pipes", lambda n: kept.append(os.pipe()))
take("sockets", lambda n: kept.append(socket.socketpair()))
signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))
for n in range(4000): os.kill(os.getpid(), 34 + n % 30)
print(*got.items(), flush=True)
sys.stdin.read()
`

// waitingSignals is how many signals wait for the processes of this user, see SigQ in proc_pid_status(5).
func waitingSignals(tb testing.TB) int {
	tb.Helper()
	for line := range bytes.Lines(procfs.Small("/proc/self/status")) {
		if rest, ok := bytes.CutPrefix(line, []byte("SigQ:\t")); ok {
			first, _, _ := bytes.Cut(rest, []byte("/"))
			n, err := strconv.Atoi(string(first))
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatal("the kernel does not say how many signals wait")
	return 0
}

// TestScriptLeavesTheUserWhatTheKernelCountsForUsers runs a script that takes all it gets, and looks at what is taken and at what the
// gateway can still do. The bounds are the session's: a second session meanwhile gets as much.
func TestScriptLeavesTheUserWhatTheKernelCountsForUsers(t *testing.T) {
	t.Run("behind every layer", func(t *testing.T) { leavesTheUser(t, engine(t)) })
	// Without a user namespace the kernel counts the interpreters' signals for the gateway's own user.
	t.Run("behind the filter alone", func(t *testing.T) {
		in, _, err := engine(t).prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		loader, err := in.openLoader(false)
		if err != nil {
			t.Fatal(err)
		}
		e := New(Options{Runtime: engine(t).options.Runtime})
		e.runtime, e.loader = in, loader
		defer func() { _ = e.Close() }()
		leavesTheUser(t, e)
	})
}

func leavesTheUser(t *testing.T, e *Engine) {
	before := waitingSignals(t)
	var all []chan sandbox.Result
	var hold []*io.PipeWriter
	for range 2 {
		lines, tell := io.Pipe()
		job, _, stderr := jobFor(t, "")
		read, write := io.Pipe()
		job.Args, job.Stdin, job.Stdout = []string{"-c", takeAll}, read, tell
		job.Limits.Memory = 0
		done := make(chan sandbox.Result, 1)
		go func() {
			result, err := e.Run(t.Context(), job)
			if err != nil {
				t.Error(err)
			}
			_ = tell.Close()
			done <- result
		}()
		all, hold = append(all, done), append(hold, write)
		buffer := make([]byte, 1<<10)
		n, err := lines.Read(buffer)
		if err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		var watches, pipes, pairs int
		if _, err := fmt.Sscanf(strings.NewReplacer("'", "", "(", "", ")", "", ",", "").Replace(string(buffer[:n])),
			"watches %d pipes %d sockets %d", &watches, &pipes, &pairs); err != nil {
			t.Fatalf("%q: %v", buffer[:n], err)
		}
		if watches < watchesOf()/2 || watches > watchesOf() {
			t.Errorf("watched %d files, want about %d", watches, watchesOf())
		}
		if pipes > pipesOf() || pipes < pipesOf()/2 {
			t.Errorf("made %d pipes, want about %d", pipes, pipesOf())
		}
		if 2*pairs > socketsOf() || 2*pairs < socketsOf()/2 {
			t.Errorf("made %d pairs of sockets, want about %d", pairs, socketsOf()/2)
		}
	}
	if now := waitingSignals(t) - before; now > 2*(supervisor.QueuedSignals+31) {
		t.Errorf("%d more signals wait for this user", now)
	}
	stillWorks(t)
	for i, write := range hold {
		_ = write.Close()
		if r := <-all[i]; r.Cause != sandbox.Exited || r.ExitCode != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// stillWorks uses each of the quotas as the gateway does.
func stillWorks(t *testing.T) {
	t.Helper()
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(poll) }()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = read.Close(), write.Close() }()
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, int(read.Fd()), &unix.EpollEvent{}); err != nil {
		t.Errorf("watch a file: %v", err)
	}
	if size, err := unix.FcntlInt(read.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || size != usualPipe {
		t.Errorf("a pipe has %d bytes, %v", size, err)
	}
	if got := runScript(t, "print('a session begins')"); got.stdout != "a session begins\n" {
		t.Errorf("%+v %s", got.result, got.stderr)
	}
}

// What is given back can be had again: nothing is counted for longer than it is there.
func TestWhatIsGivenBackCanBeHadAgain(t *testing.T) {
	got := runScript(t, `
import os, select, socket
def often(n, do):
    for _ in range(n): do()
def pipes():
    kept = [os.pipe() for _ in range(100)]
    for r, w in kept: os.close(r); os.close(w)
def pairs(): [socket.socketpair() for _ in range(50)]
def polls():
    for poll in [select.epoll() for _ in range(50)]: poll.close()
poll, r = select.epoll(), os.pipe()[0]
def watches():
    for fd in [os.dup(r) for _ in range(100)]: poll.register(fd); poll.unregister(fd); os.close(fd)
often(20, pipes); often(20, pairs); often(20, polls); often(100, watches)
print("all")`)
	if got.stdout != "all\n" {
		t.Errorf("%+v stderr %s", got.result, got.stderr)
	}
}
