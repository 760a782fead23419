//go:build linux && (amd64 || arm64)

package native

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBothSidesStayTogetherForManyOpensAlone(t *testing.T) {
	var s together
	at := time.Unix(1, 0)
	kept := func(opens int, every time.Duration) (n int) {
		for range opens {
			if s.opens(at) {
				n++
			}
			at = at.Add(every)
		}
		return n
	}
	for _, c := range []struct {
		opens int
		every time.Duration
		want  int
	}{
		{denseOpens, time.Microsecond, 0},                               // nothing is known yet
		{10 * denseOpens, time.Microsecond, 10 * (denseOpens - 1)},      // but one of each
		{denseOpens, time.Millisecond, denseOpens - 1},                  // the ones before were dense
		{10 * denseOpens, time.Millisecond, 0},                          // no longer
		{denseOpens, time.Microsecond, 0}, {1, 0, 0}, {1, time.Hour, 1}, // dense again
	} {
		if n := kept(c.opens, c.every); n != c.want {
			t.Errorf("%d opens every %v: kept for %d, want %d", c.opens, c.every, n, c.want)
		}
	}
}

// What a script is told of its processors, and where its threads run, does not depend on the file that it just opened.
func TestScriptMayRunWhereverItMightWhileItOpensFiles(t *testing.T) {
	const script = `
import os, threading
def told(): seen.add(frozenset(os.sched_getaffinity(0)))
seen = set()
for n in range(3000):
    fd = os.open("/etc/passwd", os.O_RDONLY)
    told()
    if n % 300 == 0:
        thread = threading.Thread(target=told)
        thread.start()
        thread.join()
    os.close(fd)
print([sorted(s) for s in seen])`
	want, _ := bare(t, script)
	if got := runScript(t, script); got.stdout != want {
		t.Errorf("%+v ran on %s, without a sandbox on %s %s", got.result, got.stdout, want, got.stderr)
	}
}

// Whoever stops opening files while both are kept is free again without being asked.
func TestThreadsThatAreKeptAreFreeAgainBeforeLong(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	processors := func() int {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		return set.Count()
	}
	all := processors()
	if all < 2 {
		t.Skip("one processor")
	}
	var s together
	for _, free := range []func(){
		s.part,
		func() {
			for s.mu.Lock(); s.kept[0] != 0; s.mu.Lock() {
				s.mu.Unlock()
				runtime.Gosched()
			}
			s.mu.Unlock()
		},
	} {
		s.meet(unix.Gettid())
		s.mu.Lock()
		if n := processors(); s.kept[0] != 0 && n != 1 {
			t.Errorf("kept on %d processors", n)
		}
		s.mu.Unlock()
		free()
		if n := processors(); n != all {
			t.Errorf("free on %d processors of %d", n, all)
		}
	}
}
