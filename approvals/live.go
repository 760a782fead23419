package approvals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// ID is the session's id.
func (l *execution) ID() string { return l.id }

// Target is the session's target, with connections of the session's own where the target is one that keeps them apart.
func (l *execution) Target() targets.Target { return l.target }

// Context ends when the session must. context.Cause says why: ErrCancelled, ErrParked, ErrShutdown.
func (l *execution) Context() context.Context { return l.ctx }

// Stdout records what the script writes to standard output. A write fails with ErrOutputLimit past the limit.
func (l *execution) Stdout() io.Writer { return l.out.Writer(output.Stdout) }

// Stderr is Stdout for standard error. Both share the limit.
func (l *execution) Stderr() io.Writer { return l.out.Writer(output.Stderr) }

// Notice says something on the gateway's behalf, one line. Arguments are rendered as render.Format does it.
func (l *execution) Notice(format render.Words, args ...any) {
	_, _ = l.out.Add(output.Notice, []byte(render.Format(format, args...).String()))
}

// Stop ends the session as a cancellation does; cause is the cause of its context.
func (l *execution) Stop(cause error) { l.cancel(cause) }

// Held reports whether an operation waits for a human.
func (l *presence) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holds > 0
}

// sayCurrent records the status that the journal has.
func (l *execution) sayCurrent() {
	if s, err := l.m.session(l.id); err == nil {
		l.say(s.Status)
	}
}

// maxRecorded bounds the output of all operations of a session that is kept, in bytes.
const maxRecorded = 64 << 20

// recordLimit is how much output of one more command is kept.
func (l *progress) recordLimit() int64 {
	l.lock.Lock()
	defer l.lock.Unlock()
	return max(1, min(output.MaxOperation, maxRecorded-l.recorded))
}

// keep counts recorded output of a command.
func (l *progress) keep(n int64) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.recorded += n
}

// say records a change of status for followers.
func (l *execution) say(s journal.Status) { _, _ = l.out.Add(output.State, []byte(s)) }

// hold counts one operation that waits.
func (l *presence) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds++
}

// release ends a hold.
func (l *presence) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds--
}

// changed returns a channel that is closed with the next decision on the session.
func (l *presence) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return l.news
}

// decided wakes whoever waits for a decision.
func (l *presence) decided() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// park ends a held session's script and keeps what it waits for. It reports whether the session is parked.
func (l *presence) park() bool {
	if !l.restartable() {
		return false
	}
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status != journal.StatusHeld || !s.Waits() || l.ctx.Err() != nil {
			return journal.ErrNotWaiting
		}
		e := l.parkingNow(s)
		// A run that was for what had been approved, and did not come to it, is not followed by another for the same: that would wait
		// for the same other thing, again without end. A decision on that is what starts the next.
		e.GoesOn = e.GoesOn && (!l.resumed || s.ApprovedSince(l.began))
		return s.Apply(e)
	})
	if err != nil {
		return false
	}
	l.mu.Lock()
	l.parked = true
	l.mu.Unlock()
	l.cancel(journal.ErrParked)
	return true
}

// parkingNow parks the session's record, of a script that can be started again.
func (l *presence) parkingNow(s *journal.Session) journal.Event {
	e := l.m.rules.Load().parking(s, l.m.config.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	e.NothingSent = l.sent != nil || l.nothingSent
	return e
}

// errEnded ends what a script left behind.
var errEnded = errors.New("the session has ended")

// End records how the session ended. It must be called once, when nothing of the script runs any more.
func (l *Live) End(o Outcome) {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	l.over = true
	parked := l.parked
	l.mu.Unlock()
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
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error { s.Reads = reads; return nil })
	if err != nil {
		l.m.config.Log.Error("record what a script has read", "session", l.id, "error", err)
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
		l.m.config.Log.Warn("a session's target does not answer; what the session has there is given up beside", "session", l.id)
	}
}

// record stores the outcome, and what the script has said where that can be kept. It reports whether the session is parked instead, because it was only planned.
func (l *Live) record(o Outcome, reads *journal.Reads) (parked, kept bool) {
	output, kept := l.m.outputs.KeepEnded(l.ctx, l.out)
	now := l.m.config.Now()
	s, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
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
		// A script often ends badly in a plan, where commands print nothing.
		ended := o.Status == journal.StatusDone || o.Status == journal.StatusFailed && o.ExitCode != journal.ExitFault
		if s.Plan && ended && s.Waits() && l.m.config.Restart != nil {
			return s.Apply(l.m.rules.Load().parking(s, l.m.config.Now()))
		}
		if reason, ok := rejected(s); ok && o.Status == journal.StatusFailed {
			o.Status, o.Reason = journal.StatusRejected, reason
		}
		o = filesOutcome(s, o)
		err := s.Apply(journal.EndEvent(o.Status, o.ExitCode, o.Reason, now))
		if err == nil {
			s.Output = output
		}
		return err
	})
	if err != nil {
		l.m.config.Log.Error("record a session's end", "session", l.id, "error", err)
	}
	return err == nil && s.Status == journal.StatusParked, kept && err == nil
}

// finish takes the session out of the living. A parked one starts again at once where something of it was approved already. kept
// says that its output is kept with its record, if that is the record of its end.
func (l *Live) finish(kind string, kept bool) {
	s, err := l.m.session(l.id)
	parked := err == nil && s.Status == journal.StatusParked
	if !parked {
		kind = events.Ended
	}
	if kind == events.Parked {
		l.say(journal.StatusParked)
	}
	kept = kept && err == nil && s.Status.Final()
	if err := l.out.End(!kept); err != nil { // before anybody starts it again, with an output of its own
		l.m.config.Log.Error("record a session's output", "session", l.id, "error", err)
	}
	l.m.mu.Lock()
	delete(l.m.live, l.id)
	l.taken.Release()
	close(l.gone)
	if parked {
		l.m.parked[l.id] = parkedSession{identity: l.identity, target: l.target.Name(), deadline: s.Deadline}
		if s.GoesOn {
			l.m.goOnSoonLocked(l.id)
		}
	}
	l.m.mu.Unlock()
	l.m.publish(l.subject(), kind, "")
	switch {
	case kept:
		l.m.outputs.DropSession(l.id)
	case kind == events.Ended && err == nil:
		keepSessionOutput(l.ctx, l.m, l.id) // nobody waits for it
	}
	l.m.work.Done()
}

// keepSessionOutput makes the output of a session that has ended content.
func keepSessionOutput(ctx context.Context, m *Manager, id string) {
	sha, err := m.outputs.KeepSession(ctx, id)
	if err == nil && sha != "" {
		_, err = m.config.Store.Update(id, func(s *journal.Session) error {
			if !s.Status.Final() {
				return fmt.Errorf("%w: session %s goes on", journal.ErrNotWaiting, id)
			}
			s.Output = sha
			return nil
		})
	}
	if err != nil {
		m.config.Log.Error("keep a session's output", "session", id, "error", err) // it stays in its file
		return
	}
	if sha != "" {
		m.outputs.DropSession(id)
	}
}

func (l *execution) subject() events.Subject {
	return events.Subject{Session: l.id, Identity: l.identity, Target: l.target.Name()}
}

// SetFiles gives the session the view whose changes it is to make on the target. hidden says which paths the read policy does not
// show. It is called once, before the script runs; without it nothing of files is changed.
func (l *Live) SetFiles(view change.Files, hidden func(path string) bool) {
	l.files.SetFiles(view, hidden)
}

// Source is what a script's view is laid over: the target's files, or for a script that runs again what they were before its own
// changes were made.
func (l *Live) Source(base vfs.Source) vfs.Source { return l.files.Source(base, l.journal) }
