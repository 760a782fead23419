//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"io"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
)

// human holds what is called "held" until somebody decides, and lets the rest run.
type human struct {
	conformance.Exec
	holds  atomic.Int32
	asked  chan struct{} // has an element for each question
	decide chan struct{} // closed with the decision
}

func newHuman() *human { return &human{asked: make(chan struct{}, 100), decide: make(chan struct{})} }

func (h *human) Held() bool { return h.holds.Load() > 0 }

func (h *human) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	if c.Argv[0] != "held" {
		return h.Exec.Start(ctx, c)
	}
	h.holds.Add(1)
	defer h.holds.Add(-1)
	h.asked <- struct{}{}
	select {
	case <-h.decide:
		return nil, syscall.EACCES
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// The time in which everything waits for a human does not count; that of a script which goes on beside does, however many
// operations it has held and however they overlap.
func TestWallTimeStandsStillOnlyWhileEverythingWaits(t *testing.T) {
	const ask = "import subprocess, sys, threading, time\ndef ask():\n    try: subprocess.run(['held'], executable='/bin/true')\n    except OSError: pass\n"
	for _, c := range []struct {
		name, script string
		want         sandbox.Cause
	}{
		{"the script waits", "ask()", sandbox.Exited},
		{"threads wait for the one that waits", "ts = [threading.Thread(target=ask) for _ in range(3)]\nfor t in ts: t.start()\nfor t in ts: t.join()", sandbox.Exited},
		{"a further interpreter waits", "subprocess.run([sys.executable, '-c', \"import subprocess\\ntry: subprocess.run(['held'], executable='/bin/true')\\nexcept OSError: pass\"])", sandbox.Exited},
		{"another thread goes on", "threading.Thread(target=ask, daemon=True).start()\nwhile True: time.sleep(0.02)", sandbox.WallTime},
		{"another thread computes", "threading.Thread(target=ask, daemon=True).start()\nwhile True: pass", sandbox.WallTime},
		{"a command runs", "p = subprocess.Popen(['sleep', '600'])\nask()", sandbox.WallTime},
		{"requests that overlap", `
def again():
    while True:
        fd = None
        try: subprocess.run(['held'], executable='/bin/true', timeout=0.05)
        except Exception: pass
for _ in range(2): threading.Thread(target=ask, daemon=True).start()
while True: time.sleep(0.05)`, sandbox.WallTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHuman()
			job, _, stderr := jobFor(t, ask+c.script)
			job.Limits.Wall, job.Commands, job.Held = 2*time.Second, h, h.Held
			if c.want == sandbox.Exited {
				go func() {
					<-h.asked
					time.Sleep(3 * time.Second) // not a wait for anything: it is the time that must not count
					close(h.decide)
				}()
			}
			if got := runJob(t, job); got.Cause != c.want {
				t.Errorf("%+v, want %q; stderr %s", got, c.want, stderr)
			}
		})
	}
}

// idle are commands that read and write what they get for as long as it is there.
type idle struct {
	all atomic.Int32
}

type idleProcess struct{ done chan struct{} }

func (p idleProcess) Wait() (sandbox.ExitStatus, error) { <-p.done; return sandbox.ExitStatus{}, nil }
func (p idleProcess) Signal(syscall.Signal) error       { return nil }

func (i *idle) Start(_ context.Context, c sandbox.Command) (sandbox.Process, error) {
	var moving sync.WaitGroup
	if c.Stdin != nil {
		moving.Go(func() { _, _ = io.Copy(io.Discard, c.Stdin) })
	}
	if c.Stdout != nil {
		moving.Go(func() {
			for block := make([]byte, 1<<16); ; {
				if _, err := c.Stdout.Write(block); err != nil {
					return
				}
			}
		})
	}
	p := idleProcess{make(chan struct{})}
	go func() { moving.Wait(); close(p.done) }()
	i.all.Add(1)
	return p, nil
}

// Whatever a script gives its commands as streams, waiting for it takes no thread of the gateway's.
func TestStreamsOfCommandsTakeNoThreads(t *testing.T) {
	const many = 60
	for name, pair := range map[string]string{
		"sockets": "a, b = socket.socketpair(); keep.append((a, b)); streams = dict(stdin=a, stdout=b if n % 2 else a)",
		"pipes":   "a, b = os.pipe(); c, d = os.pipe(); keep.append((a, b, c, d)); streams = dict(stdin=a, stdout=d)",
	} {
		t.Run(name, func(t *testing.T) {
			job, stdout, stderr := jobFor(t, `
import os, socket, subprocess, sys, time
keep = []
for n in range(60):
    `+pair+`
    keep.append(subprocess.Popen(["true"], **streams))
print("all"); sys.stdout.flush(); time.sleep(600)`)
			commands, said := &idle{}, make(chan struct{})
			job.Commands, job.Stdout = commands, writerFunc(func(p []byte) (int, error) {
				_, _ = stdout.Write(p)
				if strings.Contains(stdout.String(), "all") {
					close(said)
				}
				return len(p), nil
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			before := pprof.Lookup("threadcreate").Count()
			ended := make(chan sandbox.Result, 1)
			go func() { result, _ := engine(t).Run(ctx, job); ended <- result }()
			select {
			case <-said:
			case r := <-ended:
				t.Fatalf("%+v %s", r, stderr)
			}
			if got := commands.all.Load(); got != many {
				t.Errorf("%d commands", got)
			}
			if n := pprof.Lookup("threadcreate").Count() - before; n > many/3 {
				t.Errorf("%d threads more for %d commands", n, many)
			}
			cancel()
			if r := <-ended; r.Cause != sandbox.Stopped {
				t.Errorf("%+v", r)
			}
		})
	}
}
