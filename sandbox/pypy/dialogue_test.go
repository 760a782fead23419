//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
)

// neighboured is a double whose process is another one, which waits.
type neighboured struct {
	*double
	pid int
}

func (c neighboured) WithPID(do func(pid int)) { do(c.pid) }

// places counts the processors that a thread may run on.
func places(t *testing.T, tid int) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		t.Fatal(err)
	}
	return set.Count()
}

// placeGate notes how many processors a command may run on.
type placeGate struct {
	recorder
	seen chan int
}

func (g *placeGate) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	var set unix.CPUSet
	_ = unix.SchedGetaffinity(0, &set)
	g.seen <- set.Count()
	return g.recorder.Start(ctx, c)
}

func TestChildStaysWithItsDriverWhileItAsksAlone(t *testing.T) {
	all := places(t, 0)
	if all < 2 {
		t.Skip("there is one processor")
	}
	cat := exec.Command("cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cat.Wait() }()
	gate := &placeGate{seen: make(chan int, 1)}
	job, _, _ := jobOver(t, targetFiles())
	job.Commands = gate
	c := neighboured{newDouble(t), cat.Process.Pid}
	t.Cleanup(c.Kill)
	at := time.Unix(1e9, 0) // no time passes: every dialogue is dense
	go func() {
		result, err := converse(t.Context(), job, c, func() time.Time { return at }, func(string, ...any) {})
		c.result <- outcome{result, err}
	}()
	kept := func() bool {
		for range 2*denseCalls + denseCalls/2 {
			c.call("getuid()i")
		}
		return places(t, c.pid) == 1
	}
	// They may be free again in between, where this test does not run for so long.
	for end := time.Now().Add(time.Minute); !kept(); {
		if time.Now().After(end) {
			t.Fatal("the two are not kept together")
		}
	}
	c.call("system(p)i", c.text("echo x"))
	if n := <-gate.seen; n != all {
		t.Errorf("a command is started on %d processors of %d", n, all)
	}
	kept()
	for end := time.Now().Add(time.Minute); places(t, c.pid) != all; time.Sleep(supervisor.Tick / 10) {
		if time.Now().After(end) {
			t.Fatal("a child that computes is not set free")
		}
	}
	c.finish(0)
}
