package gate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// holdNow says that the script waits for a human from now on.
func (l *execution) holdNow() journal.Event {
	e := journal.Event{What: journal.Hold}
	if h := l.rules.Limits.Hold; h > 0 {
		e.Deadline = l.of.config.Now().Add(h)
	}
	return e
}

// withdraw closes what an earlier run left waiting and this one does not ask for any more.
func (l *execution) withdraw() error {
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() {
			return l.ending()
		}
		return s.Apply(journal.Event{What: journal.Withdraw, At: l.of.config.Now()})
	})
	return err
}

// distrust takes back the approval of the rest of a text that does something else than it did before.
func (l *execution) distrust() error {
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() {
			return l.ending()
		}
		return s.Distrust()
	})
	return err
}

// ending is the error for an operation that comes when the session is on its way out.
func (l *execution) ending() error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return journal.ErrCancelled
}

// await holds the session until a human has decided on all of a group. Its operations are in the journal already.
func (l *Live) await(ctx context.Context, g *group) error {
	var waiting []*change.Pending
	for _, c := range g.all() {
		if c.Op.Decision == journal.Waiting {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	l.hold()
	defer l.release()
	l.tellWaiting(waiting)
	l.say(journal.StatusHeld)
	l.of.config.Publish(l.Subject(), events.Waiting)
	var expired <-chan time.Time
	hold := func() {}
	if h := l.rules.Limits.Hold; h > 0 {
		timer := time.NewTimer(h)
		defer timer.Stop()
		expired, hold = timer.C, func() { timer.Reset(h) }
	}
	l.ParkAlone()
	for {
		// Taken before the look, so that no decision falls between the two.
		changed := l.changed()
		n, err := l.firstWaiting(waiting)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l.abandon(g)
		case <-l.ctx.Done():
			return l.ending()
		case <-expired:
			if err := l.expire(n); err != nil {
				return err
			}
			hold() // one was decided in the last moment; the others wait on
		}
	}
}

// maxTold is how much of an operation its own agent is told, in terminal cells: it has the rest.
const maxTold = 1000

// tellWaiting tells the agent what waits. Who follows the session is told how it goes on. It gives no digest: one that an agent can pass
// on would be pasted by somebody who has seen nothing but the agent's words.
func (l *execution) tellWaiting(waiting []*change.Pending) {
	last := waiting[len(waiting)-1]
	before := render.Text{}
	switch n := len(waiting) - 1; {
	case n == 1:
		before = render.Own(", and 1 change of a file with it")
	case n > 1:
		before = render.Format(", and %d changes of files with it", n)
	}
	what, rest := render.Fit(render.Stored(last.Op.Summary), maxTold)
	if rest { // a notice is rendered again, which the mark of what is cut would not survive
		head, _ := what.Cut(strings.IndexRune(what.String(), render.Mark))
		what = render.Format("%s... (and so on)", head)
	}
	l.Notice("operation %d of session %s waits for a human: %s%s (%s)", last.Op.N, l.id, what, before, whyWaiting(&last.Op))
}

// whyWaiting is why an operation waits, how to do without, and whether it can be undone.
func whyWaiting(o *journal.Operation) render.Text {
	why, cut := render.Fit(render.Stored(o.Why), maxToldWhy)
	if cut { // as in tellWaiting
		head, _ := why.Cut(strings.IndexRune(why.String(), render.Mark))
		why = render.Format("%s... (and so on)", head)
	}
	if hint := policy.Avoid(o.Why); hint != "" && o.Command != nil {
		why = render.Format("%s; %s", why, hint)
	}
	if undo := undoing(o); undo.String() != "" {
		why = render.Format("%s; %s", why, undo)
	}
	return why
}

// maxToldWhy is how much of a reason is told, in terminal cells.
const maxToldWhy = 300

// undoing says whether an operation can be undone, and what can be done so that it can; no text where that is not known.
func undoing(o *journal.Operation) render.Text {
	if o.File != nil {
		return render.Own("it can be rolled back")
	}
	program := programOf(o.Command)
	switch python := policy.InPython(program); {
	case python != "":
		return render.Format("%s as a command cannot be rolled back, %s in a script can", program, python)
	case strings.HasPrefix(o.Undo, "no"):
		return render.Own("it cannot be undone")
	case o.Undo != "":
		return render.Format("undo: %s", render.Stored(o.Undo))
	}
	return render.Text{}
}

// programOf is the name of the program that a command is; "" where shell text is more than that.
func programOf(c *journal.Command) string {
	if text, ok := shellText(c); ok {
		program, err := policy.SimpleCommand(text)
		if err != nil {
			return ""
		}
		return program
	}
	return filepath.Base(c.Path)
}

// firstWaiting is the number of the first of the operations that still waits, 0 for none.
func (l *execution) firstWaiting(of []*change.Pending) (int, error) {
	s, err := l.of.config.Store.Session(l.id)
	if err != nil {
		return 0, err
	}
	for _, c := range of {
		o := s.Operation(c.Op.N)
		if o == nil {
			return 0, journal.ErrNotFound
		}
		if o.Decision == journal.Waiting {
			return o.N, nil
		}
	}
	return 0, nil
}

// abandon withdraws an operation that nobody waits for any more, unless the session itself is on its way out: that
// decides what becomes of the operation.
func (l *Live) abandon(g *group) error {
	if l.ctx.Err() != nil {
		return l.ending()
	}
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() {
			return nil
		}
		for _, c := range g.all() {
			if o := s.Operation(c.Op.N); o != nil && o.Undecided() {
				if err := o.Apply(journal.Event{What: journal.Cancel, At: l.of.config.Now()}); err != nil {
					return err
				}
			}
		}
		return journal.ReleaseDecided(s)
	})
	for _, c := range g.files {
		l.forget(c)
	}
	l.of.config.Publish(l.Subject(), events.Decided)
	return errors.Join(l.ending(), err)
}

// expire ends a hold that nobody answered: the session is parked, or where there is no parking, it expires.
func (l *presence) expire(n int) error {
	if l.Park() {
		l.Notice("nobody has decided within %v; session %s is parked. Come back with: wait %s", l.rules.Limits.Hold, l.id, l.id)
		return journal.ErrParked
	}
	reason := fmt.Sprintf("nobody decided within %v", l.rules.Limits.Hold)
	s, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		switch {
		case s.Status == journal.StatusParked: // at this moment, since its client has left
			return journal.ErrParked
		case l.ctx.Err() != nil:
			return l.ending()
		}
		if o := s.Operation(n); o != nil && o.Decision == journal.Waiting {
			// The script's end may never be recorded.
			return s.Apply(journal.EndEvent(journal.StatusExpired, journal.ExitNotPermitted, reason, l.of.config.Now()))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.Operation(n).Decision == journal.Expired {
		l.Notice("%s; nothing was run", reason)
		l.of.config.Publish(l.Subject(), events.Decided)
		l.cancel(fmt.Errorf("%w: %s", journal.ErrExpired, reason))
		return fmt.Errorf("%w: %s", journal.ErrExpired, reason)
	}
	return nil // decided in the last moment
}
