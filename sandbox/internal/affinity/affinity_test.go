//go:build linux

package affinity

import (
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTurnsAreABurstWhereTheOnesBeforeWere(t *testing.T) {
	const turns = 32
	p := Burst{Turns: turns, Within: 10 * time.Millisecond}
	at := time.Unix(1, 0)
	pinned := func(count int, every time.Duration) (n int) {
		for range count {
			if p.Next(at) {
				n++
			}
			at = at.Add(every)
		}
		return n
	}
	for _, c := range []struct {
		count int
		every time.Duration
		want  int
	}{
		{turns, time.Microsecond, 0},                               // nothing is known yet
		{10 * turns, time.Microsecond, 10 * (turns - 1)},           // but one of each
		{turns, time.Millisecond, turns - 1},                       // the ones before were dense
		{10 * turns, time.Millisecond, 0},                          // no longer
		{turns, time.Microsecond, 0}, {1, 0, 0}, {1, time.Hour, 1}, // dense again
	} {
		if n := pinned(c.count, c.every); n != c.want {
			t.Errorf("%d turns every %v: pinned for %d, want %d", c.count, c.every, n, c.want)
		}
	}
}

// neighbour is another process, which waits.
func neighbour(t *testing.T) (pid int, end func()) {
	t.Helper()
	c := exec.Command("cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() { _ = in.Close(); _ = c.Wait() }
	t.Cleanup(end)
	return c.Process.Pid, end
}

func processors(t *testing.T, tid int) []int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		t.Fatal(err)
	}
	var out []int
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			out = append(out, n)
		}
	}
	return out
}

func TestPinnedThreadsShareAProcessorUntilTheyAreUnpinned(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all, own := processors(t, 0), unix.Gettid()
	if len(all) < 2 {
		t.Skip("there is one processor")
	}
	pid, _ := neighbour(t)
	p := New(time.Hour, func(do func(tid int)) { do(pid) })
	p.Unpin() // who is not pinned stays so
	for range 3 {
		for range 2 { // the second time they are already
			if !p.Pin() {
				t.Fatal("they are not pinned")
			}
		}
		mine, others := processors(t, 0), processors(t, pid)
		if len(mine) != 1 || !slices.Equal(mine, others) {
			t.Errorf("pinned on %v and %v", mine, others)
		}
		done := make(chan struct{})
		go func() { p.Unpin(); close(done) }() // from another thread
		<-done
		if mine, others := processors(t, own), processors(t, pid); !slices.Equal(mine, all) || !slices.Equal(others, all) {
			t.Errorf("unpinned on %v and %v of %v", mine, others, all)
		}
	}
}

func TestEndedPeerIsLeftAlone(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := processors(t, 0)
	pid, end := neighbour(t)
	alive := true
	p := New(time.Hour, func(do func(tid int)) {
		if alive {
			do(pid)
		}
	})
	if len(all) > 1 && !p.Pin() {
		t.Fatal("they are not pinned")
	}
	end()
	alive = false
	p.Unpin()
	if got := processors(t, 0); !slices.Equal(got, all) {
		t.Errorf("unpinned on %v of %v", got, all)
	}
	if p.Pin() {
		t.Error("it is pinned with nobody")
	}
	if got := processors(t, 0); !slices.Equal(got, all) {
		t.Errorf("alone on %v of %v", got, all)
	}
}

func TestPinEndsByItself(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := processors(t, 0)
	if len(all) < 2 {
		t.Skip("there is one processor")
	}
	pid, _ := neighbour(t)
	p := New(time.Millisecond, func(do func(tid int)) { do(pid) })
	for range 3 {
		if !p.Pin() {
			t.Fatal("they are not pinned")
		}
		for len(processors(t, 0)) != len(all) || len(processors(t, pid)) != len(all) {
			runtime.Gosched()
		}
	}
}
