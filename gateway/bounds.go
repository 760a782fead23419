package gateway

import (
	"context"
	"errors"
	"time"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/sandbox"
)

// leaving is how long the work of a session may go on after the session was told to end. In that time killed processes
// end, and the gateway records what they wrote last. It leaves longer work behind, lets it start nothing more, and frees
// its place.
const leaving = 1250 * time.Millisecond

// errLifetime ends a session that was alive for limits.lifetime.
var errLifetime = errors.New("the session's lifetime is over")

// look is how often the time of a command line is looked at.
const look = 100 * time.Millisecond

// finished does a session's work and returns its outcome, at the latest soon after the session's context has ended.
func (s *session) finished(work func() gate.Outcome) gate.Outcome {
	if d := s.limits().Lifetime; d > 0 {
		timer := time.AfterFunc(d, func() { s.live.Stop(errLifetime) })
		defer timer.Stop()
	}
	done := make(chan gate.Outcome, 1)
	go func() { done <- s.guarded(work) }()
	select {
	case o := <-done:
		return o
	case <-s.live.Context().Done():
	}
	timer := time.NewTimer(leaving)
	defer timer.Stop()
	select {
	case o := <-done:
		return o
	case <-timer.C:
		s.runner.log.Warn("a session's work has not ended with the session and is left behind", "session", s.live.ID())
		return s.stopped()
	}
}

// guarded is work that cannot take the gateway along.
func (s *session) guarded(work func() gate.Outcome) (outcome gate.Outcome) {
	outcome = gate.Outcome{Status: journal.StatusFailed, ExitCode: journal.ExitFault, Reason: "the gateway failed"}
	defer func() {
		if p := recover(); p != nil {
			s.runner.log.Error("panic in a session", "session", s.live.ID(), "panic", p)
		}
	}()
	return work()
}

// withinWall ends what runs with errWall once limits.wall has passed, without the time in which the session is held. The
// returned stop ends the watching.
func (s *session) withinWall(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	wall := s.limits().Wall
	if wall <= 0 {
		return func() {}
	}
	ctx, end := context.WithCancel(ctx)
	go func() {
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		clock := sandbox.NewClock(time.Now())
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				if clock.Tick(now, s.live.Held()) >= wall {
					cancel(errWall)
					return
				}
			}
		}
	}()
	return end
}

// outOfLifetime is the end of a session that was alive for too long.
func (s *session) outOfLifetime() gate.Outcome {
	return outOfTime("the session was alive for longer than %s, its waits for humans included (limits.lifetime)", s.limits().Lifetime)
}

// outOfWall is the end of a command line that ran for too long.
func (s *session) outOfWall() gate.Outcome {
	return outOfTime("the command ran longer than %s (limits.wall)", s.limits().Wall)
}
