//go:build linux && (amd64 || arm64)

package supervisor

import (
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

func TestThrottleCarriesWhatWasTooMuchIntoTheNextTick(t *testing.T) {
	const limit = 100 // a second, so ten in a tick
	var th Throttle
	take := func() (n int) {
		for th.Take(limit) {
			n++
		}
		return n
	}
	if n := take(); n != 10 {
		t.Errorf("%d calls in the first tick", n)
	}
	th.Spend(5)
	th.NextTick(limit)
	if n := take(); n != 5 {
		t.Errorf("%d calls in a tick that begins with five", n)
	}
	th.Walked(8 * 40)
	th.NextTick(limit)
	if n := take(); n != 0 {
		t.Errorf("%d calls after a walk that cost forty", n)
	}
	th.Reset()
	if n := take(); n != 10 {
		t.Errorf("%d calls after a reset", n)
	}
	if !th.Take(0) {
		t.Error("without a limit a call waits")
	}
	told := 0
	for range 3 {
		th.Tell(limit, func(string) { told++ })
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestUsageNamesTheLimitThatItIsOver(t *testing.T) {
	l := sandbox.Limits{Wall: time.Second, CPU: time.Second, Memory: 10, Write: 10}
	for _, c := range []struct {
		used Usage
		want sandbox.Cause
	}{
		{Usage{Elapsed: time.Second}, sandbox.WallTime},
		{Usage{CPU: time.Second}, sandbox.CPUTime},
		{Usage{Memory: 11}, sandbox.Memory},
		{Usage{Held: 21}, sandbox.Written},
	} {
		if e := c.used.Over(l); e == nil || e.Cause != c.want {
			t.Errorf("%+v: %v", c.used, e)
		}
		if e := c.used.Over(sandbox.Limits{}); e != nil {
			t.Errorf("%+v without limits: %v", c.used, e)
		}
	}
	if e := (Usage{Memory: 10, Held: 20}).Over(l); e != nil {
		t.Errorf("at the limits: %v", e)
	}
}
