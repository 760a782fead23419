package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
)

// errEnded ends what a script left behind.
var errEnded = errors.New("the session has ended")

// End records how the session ended. It must be called once, when nothing of the script runs any more.
func (l *Live) End(o Outcome) {
	l.presence.mu.Lock()
	if l.over {
		l.presence.mu.Unlock()
		return
	}
	l.over = true
	parked := l.parked
	l.presence.mu.Unlock()
	// What the script left running ends with it, and its results come before the session's.
	l.cancel(errEnded)
	l.tidy()
	kind, kept := events.Ended, false
	reads := l.keepReads()
	if parked {
		l.recordReads(reads)
	} else {
		parked, kept = l.record(o, reads)
	}
	if parked {
		kind = events.Parked
	}
	l.finish(kind, kept)
}

// recordReads stores what the script of a session that is parked has read.
func (l *Live) recordReads(reads *journal.Reads) {
	if reads == nil {
		return
	}
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error { s.Reads = reads; return nil })
	if err != nil {
		l.of.config.Log.Error("record what a script has read", "session", l.id, "error", err)
	}
}

// tidying is how long the target may take to give up what a session that was told to end has there. What takes longer goes on
// beside, within the bounds that each question to a target has, and the session's place is free.
const tidying = 500 * time.Millisecond

// tidy waits for the results of what the session's commands were, removes what it has put on the target, and ends its use of it.
func (l *Live) tidy() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.unuse()
		l.commands.Wait()
		l.unplace()
	}()
	if errors.Is(context.Cause(l.ctx), errEnded) {
		<-done // it has ended by itself
		return
	}
	timer := time.NewTimer(tidying)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		l.of.config.Log.Warn("a session's target does not answer; what the session has there is given up beside", "session", l.id)
	}
}

// record stores the outcome, and the script's output where that can be kept. parked reports that the session is parked instead:
// something of it was approved in the last moment.
func (l *Live) record(o Outcome, reads *journal.Reads) (parked, kept bool) {
	output, kept := l.of.config.Outputs.KeepEnded(l.ctx, l.out)
	now := l.of.config.Now()
	s, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		s.Truncated = s.Truncated || l.out.Truncated()
		if s.Status == journal.StatusParked { // at this moment: the script has ended of it, or beside it
			return nil
		}
		if reads != nil {
			s.Reads = reads
		}
		if s.Status.Final() { // the hold ended, and the script with it
			s.Output = output
			return nil
		}
		if errors.Is(context.Cause(l.ctx), journal.ErrShutdown) && s.ApprovedNotStarted() && l.restartable() {
			return s.Apply(l.parkingNow(s)) // it was approved in the last moment: the next gateway starts it, and says so
		}
		if reason, ok := s.Rejection(); ok && o.Status == journal.StatusFailed {
			o.Status, o.Reason = journal.StatusRejected, reason
		}
		if o = filesOutcome(s, o); s.Plan {
			o = planOutcome(o)
		}
		err := s.Apply(journal.EndEvent(o.Status, o.ExitCode, o.Reason, now))
		if err == nil {
			s.Output = output
		}
		return err
	})
	if err != nil {
		l.of.config.Log.Error("record a session's end", "session", l.id, "error", err)
		if errors.Is(err, journal.ErrStore) {
			l.of.config.Unrecorded(l.id, err, now)
		}
	}
	return err == nil && s.Status == journal.StatusParked, kept && err == nil
}

// planOutcome is how a plan ends whose script has ended: it has listed what it could. A script often ends badly there, where commands
// print nothing.
func planOutcome(o Outcome) Outcome {
	byItself := o.Status == journal.StatusDone || o.Status == journal.StatusRejected || o.Status == journal.StatusFailed && o.ExitCode != journal.ExitFault
	switch {
	case !byItself:
		return o
	case o.Reason == "" && o.ExitCode != 0:
		o.Reason = fmt.Sprintf("the script ended with exit status %d; a plan's commands print nothing, and what would come after is not listed", o.ExitCode)
	}
	return Outcome{Status: journal.StatusPlanned, Reason: o.Reason}
}

// finish takes the session out of the living. A parked one starts again at once where something of it was approved already. kept
// says that its output is kept with its record, if that is the record of its end.
func (l *Live) finish(kind string, kept bool) {
	s, err := l.of.config.Store.Session(l.id)
	parked := err == nil && s.Status == journal.StatusParked
	if !parked {
		kind = events.Ended
	}
	if kind == events.Parked {
		l.say(journal.StatusParked)
	}
	kept = kept && err == nil && s.Status.Final()
	if err := l.out.End(!kept); err != nil { // before anybody starts it again, with an output of its own
		l.of.config.Log.Error("record a session's output", "session", l.id, "error", err)
	}
	var still *journal.Session
	if parked {
		still = &s
	}
	done := l.of.config.Ended(l.id, still)
	defer done()
	l.of.config.Publish(l.Subject(), kind)
	switch {
	case kept:
		l.of.config.Outputs.DropSession(l.id)
	case kind == events.Ended && err == nil:
		l.keepOutput() // nobody waits for it
	}
}

// keepOutput makes the output of the session, which has ended, content.
func (l *Live) keepOutput() {
	c, id := &l.of.config, l.id
	sha, err := c.Outputs.KeepSession(l.ctx, id)
	if err == nil && sha != "" {
		_, err = c.Store.Update(id, func(s *journal.Session) error {
			if !s.Status.Final() {
				return fmt.Errorf("%w: session %s goes on", journal.ErrNotWaiting, id)
			}
			s.Output = sha
			return nil
		})
	}
	if err != nil {
		c.Log.Error("keep a session's output", "session", id, "error", err) // it stays in its file
		return
	}
	if sha != "" {
		c.Outputs.DropSession(id)
	}
}
