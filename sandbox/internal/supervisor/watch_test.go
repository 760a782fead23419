//go:build linux && (amd64 || arm64)

package supervisor

import (
	"context"
	"errors"
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

func TestCountingTakesLittleOfAProcessor(t *testing.T) {
	clock, counted := time.Unix(0, 0), 0
	c := counter{now: func() time.Time { return clock }, count: func() int64 {
		counted++
		clock = clock.Add(30 * time.Millisecond) // as long as it takes
		return int64(counted)
	}}
	for range 600 { // a minute of ticks
		c.value(clock)
		clock = clock.Add(Tick)
	}
	if spent := time.Duration(counted) * 30 * time.Millisecond; spent > clock.Sub(time.Unix(0, 0))/20 || counted < 60 {
		t.Errorf("counted %d times, %v of %v", counted, spent, clock.Sub(time.Unix(0, 0)))
	}
	if c.last != int64(counted) {
		t.Errorf("the last value is %d of %d", c.last, counted)
	}
}

// Each limit that the kernel does not keep ends the run, and time in which all waits for a human counts for none.
func TestWatchKeepsTheLimits(t *testing.T) {
	for _, c := range []struct {
		name         string
		limits       sandbox.Limits
		cpu          time.Duration
		memory, held int64
		waits        bool
		want         sandbox.Cause // "" where the run goes on
	}{
		{name: "none", cpu: time.Hour, memory: 1 << 40, held: 1 << 40},
		{name: "wall", limits: sandbox.Limits{Wall: time.Second}, want: sandbox.WallTime},
		{name: "waiting", limits: sandbox.Limits{Wall: time.Second}, waits: true},
		{name: "cpu", limits: sandbox.Limits{CPU: time.Second}, cpu: time.Second, want: sandbox.CPUTime},
		{name: "memory", limits: sandbox.Limits{Memory: 100}, memory: 101, want: sandbox.Memory},
		{name: "held", limits: sandbox.Limits{Write: 100}, held: 201, want: sandbox.Written},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := make(chan struct{})
			clock, ticks := time.Unix(0, 0), 0
			var heard int64
			w := Watch{
				Limits: c.limits, Throttle: new(Throttle), Exceeded: cancel,
				Now:  func() time.Time { clock = clock.Add(time.Second); return clock },
				Held: func() int64 { return c.held },
				Used: func(held int64) (time.Duration, int64) { heard = held; return c.cpu, c.memory },
				Waits: func(time.Duration) bool {
					if ticks++; ticks == 3 {
						close(stop)
					}
					return c.waits
				},
			}
			w.Until(ctx, stop)
			var limit *LimitError
			got := sandbox.Cause("")
			if errors.As(context.Cause(ctx), &limit) {
				got = limit.Cause
			}
			if got != c.want || heard != c.held {
				t.Errorf("ended by %q, with %d bytes held", got, heard)
			}
		})
	}
}
