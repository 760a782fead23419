package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// commit makes the approved changes of a group, in order. One that cannot be made ends it: what comes after may rest
// on it. A change that was rejected is left out, and is not asked about again.
func (l *Live) commit(ctx context.Context, g *group) error {
	if len(g.files) == 0 {
		return nil
	}
	l.committing.Lock() // another command may need the same changes
	defer l.committing.Unlock()
	var rejected, failed error
	for _, c := range g.files {
		var err error
		if c.Op, err = l.current(c.Op.N); err != nil {
			return err
		}
		if c.Op.Decision == journal.Approved && c.Op.Started.IsZero() && failed == nil {
			if err := l.make(ctx, c); err != nil {
				return err
			}
		}
		switch c.Op.Decision {
		case journal.Approved:
			if !c.Op.Finished.IsZero() {
				l.made(c)
			}
		case journal.Rejected:
			l.leave(c)
			if rejected == nil {
				rejected = &journal.DenialError{Reason: c.Op.Reason, By: c.Op.By}
			}
		case journal.Denied:
			l.leave(c)
			if rejected == nil {
				rejected = &journal.DenialError{Reason: c.Op.Why}
			}
		case journal.Conflicted, journal.Failed:
			l.leave(c)
			failed = &journal.ConflictError{N: c.Op.N, Reason: c.Op.Reason}
		case journal.Unknown:
			l.leave(c)
			failed = &journal.ConflictError{N: c.Op.N, Reason: cmp.Or(c.Op.Reason, "the gateway was stopped while it was made; whether it was is not known"), Unknown: true}
		case journal.Cancelled, journal.Expired:
			if failed == nil {
				failed = &journal.ConflictError{N: c.Op.N, Reason: "it was withdrawn"}
			}
			l.forget(c)
		default:
			return l.ending()
		}
	}
	if failed != nil {
		return errors.Join(failed, l.abandonRest(g))
	}
	return rejected
}

// leave remembers that a change stays in the view alone.
func (l *Live) leave(c *change.Pending) {
	l.intake.Lock()
	defer l.intake.Unlock()
	l.skip[c.Op.Digest] = true
	delete(l.inflight, c.Op.Digest)
}

// forget lets a change be asked about again.
func (l *Live) forget(c *change.Pending) {
	l.intake.Lock()
	defer l.intake.Unlock()
	delete(l.inflight, c.Op.Digest)
}

// made says that the target has a change by now.
func (l *Live) made(c *change.Pending) {
	l.files.Made(c)
	l.forget(c)
}

// make consumes the approval of one change, makes it, and records what came of it.
func (l *Live) make(ctx context.Context, c *change.Pending) error {
	done, err := l.enter()
	if err != nil {
		return err
	}
	defer done()
	if c.Op, err = l.consume(c.Op); err != nil {
		return err
	}
	files, _ := l.target.(targets.FileTarget) // canChangeFiles has looked
	// It is made whole or not at all, so that an end of the session need not stop it half way.
	failed := files.Apply(context.WithoutCancel(ctx), change.TargetChange(c.Op.File, change.ID(l.id, c.Op.N), l.of.config.Blobs))
	failed = l.of.config.Look.AfterLoss(ctx, files, l.id, &c.Op, failed)
	s, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		o := s.Operation(c.Op.N)
		if o == nil {
			return journal.ErrNotFound
		}
		return o.Apply(change.Outcome(failed, l.of.config.Now()))
	})
	if err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	c.Op = *s.Operation(c.Op.N)
	if failed != nil {
		if reason := render.Stored(c.Op.Reason); c.Op.Decision == journal.Unknown {
			l.Notice("operation %d: %s", c.Op.N, reason)
		} else {
			l.Notice("operation %d was not made: %s", c.Op.N, reason)
		}
	}
	l.of.config.Publish(l.Subject(), events.Finished)
	return nil
}

// abandonRest withdraws what was approved in a group and not made, since something before it could not be.
func (l *execution) abandonRest(g *group) error {
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		for _, c := range g.all() {
			o := s.Operation(c.Op.N)
			if o != nil && o.Undecided() {
				err := o.Apply(journal.Event{What: journal.Cancel, At: l.of.config.Now(), Reason: "an operation before it was not made"})
				if err != nil {
					return err
				}
			}
		}
		return journal.ReleaseDecided(s)
	})
	return err
}

// Finish makes the changes that the script has left, once a human has approved them, who is told where it ended with
// another exit status than 0. It returns nil where nothing is
// left undecided, whatever was decided: the session's end tells. Otherwise the error says why it ended first.
func (l *Live) Finish(ctx context.Context, exit int) error {
	if !l.files.Given() {
		return nil
	}
	if err := l.mayAdd(); err != nil && l.files.Changed() {
		return err
	}
	l.intake.Lock()
	l.exit = exit
	g, err := l.takeIn(ctx, nil, policy.Decision{})
	l.intake.Unlock()
	if err != nil {
		return err
	}
	err = l.settleGroup(ctx, g)
	var denial *journal.DenialError
	var conflict *journal.ConflictError
	if errors.As(err, &conflict) || errors.As(err, &denial) {
		return nil
	}
	return err
}

// canChangeFiles says why files of the target cannot be changed at all, or nil.
func (l *execution) canChangeFiles() error {
	if _, ok := l.target.(targets.FileTarget); !ok || l.of.config.Blobs == nil {
		return fmt.Errorf("files of %s cannot be changed", l.target.Name())
	}
	return nil
}
