//go:build linux && (amd64 || arm64)

package native

import (
	"testing"
	"time"
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
