package approvals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// all lists the operations in order.
func (g *group) all() []*change.Pending {
	if g.command == nil {
		return g.files
	}
	return append(slices.Clone(g.files), g.command)
}

// takeIn records what a command, and what the policy says of it, or the end of the script, brings before a human. Called with
// the gate locked.
func (l *Live) takeIn(ctx context.Context, command *journal.Command, d policy.Decision) (*group, error) {
	g := &group{}
	var err error
	if d.Verdict != policy.Deny {
		if l.canChangeFiles() == nil {
			if g.files, err = l.collect(ctx); err != nil {
				return nil, err
			}
		}
	}
	if command != nil {
		g.command = l.withFiles(command, d, g.files)
	}
	return g, l.journalise(g)
}

// mayAdd says why nothing may be recorded now that an earlier run has not recorded. It comes before any content is kept.
func (l *progress) mayAdd() error {
	l.lock.Lock()
	again := l.at < len(l.journal)
	l.lock.Unlock()
	if again {
		return nil
	}
	return l.m.places.Share(l.identity)
}

// withFiles makes the operation of a command. One that the policy allows is asked about where files go with it.
func (l *Live) withFiles(command *journal.Command, d policy.Decision, files []*change.Pending) *change.Pending {
	for _, f := range files {
		command.Before = append(command.Before, f.Op.Digest)
	}
	if d.Verdict == policy.Allow && len(files)+len(command.Scratch) > 0 {
		d = policy.Decision{Verdict: policy.Ask, Risk: policy.Caution, Reason: "changes of files come before it; alone it would be allowed"}
		if len(files) == 0 {
			d.Reason = "files of the session's scratch are put on the target for it; alone it would be allowed"
		}
	}
	o := journal.Operation{
		Kind: journal.CommandKind, Summary: summary(command).String(), Verdict: d.Verdict, Risk: d.Risk, Why: d.Reason,
		Effect: d.Effect, Undo: d.Undo, Digest: command.Digest(), Created: l.m.config.Now(), Command: command,
	}
	c := &change.Pending{Op: o, First: journal.Event{What: journal.Ask}}
	switch d.Verdict {
	case policy.Allow:
		if !l.plan { // there it is shown with the rest, and runs when the plan is approved
			c.First = journal.Event{What: journal.Allow, At: o.Created}
		}
	case policy.Deny:
		c.First = journal.Event{What: journal.Deny, At: o.Created}
	default:
		c.Op.Verdict = policy.Ask
	}
	return c
}

// journalise records the operations of a group, or finds them in the journal of an earlier run: equal ones, at their
// places. All that are new are recorded in one transaction.
func (l *Live) journalise(g *group) error {
	fresh, err := l.matchJournal(g)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if err := l.makeRoom(fresh); err != nil {
		return err
	}
	for _, c := range fresh {
		if c.Op.File != nil {
			l.files.Judge(c, l.exit, l.m.config.Now())
		}
	}
	g.denyAfterDenied()
	// A grant that is revoked from here on was in force when the operation came.
	defer l.m.grants.Hold()()
	if c := g.command; c != nil && !c.Old && len(g.files) == 0 {
		l.useGrant(c)
	}
	taken := map[*change.Pending]journal.Operation{}
	_, err = l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status.Final() || s.Status == journal.StatusParked || l.ctx.Err() != nil {
			return l.ending()
		}
		for _, c := range fresh {
			op, first := c.Op, c.First
			if first.What == journal.Grant && s.Waits() { // what comes before it is not decided
				first = journal.Event{What: journal.Ask}
			}
			if c == g.command && len(g.files) > 0 {
				op.Command = g.withNeeds(op.Command, taken)
			}
			o, err := s.Add(op, first)
			if err != nil {
				return err
			}
			if taken[c] = *o; o.Decision == journal.Waiting && !l.plan {
				if err := s.Apply(l.holdNow()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for c, o := range taken {
		c.Op = o
	}
	for _, c := range g.files {
		l.inflight[c.Op.Digest] = c.Op.N
	}
	return nil
}

// denyAfterDenied denies a command after a change of a file that the policy denies.
func (g *group) denyAfterDenied() {
	c := g.command
	if c == nil || c.Old || c.First.What != journal.Ask {
		return
	}
	for _, f := range g.files {
		if f.Op.Decision == journal.Denied || !f.Old && f.First.What == journal.Deny {
			c.Op.Verdict, c.First = policy.Deny, journal.Event{What: journal.Deny, At: c.Op.Created}
			c.Op.Why = "a change of a file before it is denied: " + f.Op.Why
		}
	}
}

// withNeeds is a command that names the changes before it by their numbers; those that were just taken in have them there.
func (g *group) withNeeds(c *journal.Command, taken map[*change.Pending]journal.Operation) *journal.Command {
	command := *c
	command.Needs = nil
	for _, f := range g.files {
		n := f.Op.N
		if o, fresh := taken[f]; fresh {
			n = o.N
		}
		command.Needs = append(command.Needs, n)
	}
	return &command
}

// matchJournal takes up what an earlier run has recorded and returns what is new.
func (l *Live) matchJournal(g *group) (fresh []*change.Pending, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range g.all() {
		if c.Old { // it waits for an earlier command already
			continue
		}
		if l.at < len(l.journal) {
			at := recordedAt(l.journal, l.at, &c.Op)
			differs := at != l.at
			if at >= 0 {
				c.Op, c.Old = l.journal[at], true
				l.at = at + 1
			} else {
				l.at = len(l.journal) // from here on the script does something else
			}
			if !differs {
				continue
			}
			l.mu.Unlock()
			var err error
			if at < 0 {
				err = l.withdraw()
			}
			l.files.Differs()
			l.mu.Lock()
			if err == nil && at >= 0 {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		fresh = append(fresh, c)
	}
	return fresh, nil
}

// recordedAt is where a journal has an operation that a script asks for at a place in it; -1 for nowhere. That is the place
// itself, or, where the script does something else there, what it did instead when it came there before: else whoever decides
// on that would be asked again each time that it starts again. Nothing is passed over that waits, or may still run.
func recordedAt(recorded []journal.Operation, at int, asked *journal.Operation) int {
	for ; at < len(recorded); at++ {
		o := &recorded[at]
		if o.Digest == asked.Digest && o.Kind == asked.Kind && o.Decision != journal.Cancelled {
			return at
		}
		if o.Undecided() || o.Decision == journal.Allowed && o.Started.IsZero() {
			return -1
		}
	}
	return -1
}

// makeRoom counts new operations.
func (l *progress) makeRoom(fresh []*change.Pending) error {
	l.lock.Lock()
	defer l.lock.Unlock()
	if limit := l.rules.Limits.Operations; limit > 0 && l.count+len(fresh) > limit {
		return &journal.DenialError{Reason: fmt.Sprintf("limits.operations allows %d operations in a session", limit)}
	}
	bytes := 0
	for _, c := range fresh {
		if c.Op.File != nil {
			bytes += c.Op.File.Footprint()
		} else {
			bytes += c.Op.Command.Footprint()
		}
	}
	if l.recordedBytes += bytes; l.recordedBytes > maxJournal {
		return &journal.DenialError{Reason: fmt.Sprintf("the operations of a session take no more than %d bytes in all", maxJournal)}
	}
	l.count += len(fresh)
	return nil
}

// settleGroup brings the files of a group to their end: decided by a human, and made where they were approved. It
// returns how the command stands then. In a plan nothing waits and nothing is made.
func (l *Live) settleGroup(ctx context.Context, g *group) error {
	for _, c := range g.all() {
		if c.Old {
			if err := l.retake(c); err != nil {
				return err
			}
		}
	}
	if l.plan {
		l.planned(g)
		return nil
	}
	if err := l.await(ctx, g); err != nil {
		return err
	}
	return l.commit(ctx, g)
}

// planned takes the files of a plan for made, so that what the script does next is a change against them.
func (l *Live) planned(g *group) {
	for _, c := range g.files {
		if c.Op.Decision == journal.Denied {
			l.leave(c)
		} else {
			l.made(c)
		}
	}
}

// retake brings an operation of an earlier run to where it goes on: a decision may have come since, and what nobody
// decided waits again.
func (l *execution) retake(c *change.Pending) error {
	s, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status.Final() || s.Status == journal.StatusParked {
			return l.ending()
		}
		o := s.Operation(c.Op.N)
		if o == nil {
			return journal.ErrNotFound
		}
		var err error
		switch {
		case o.Decision == journal.Waiting && o.Verdict == policy.Allow && !l.plan: // of a plan; the policy has decided
			err = o.Apply(journal.Event{What: journal.Allow, At: l.m.config.Now()})
		case o.Decision == journal.Expired || o.Decision == journal.Cancelled:
			err = o.Apply(journal.Event{What: journal.AskAgain})
		}
		if err == nil && o.Decision == journal.Waiting && !l.plan {
			err = s.Apply(l.holdNow())
		}
		return err
	})
	if err != nil {
		return err
	}
	c.Op = *s.Operation(c.Op.N)
	return nil
}

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
			failed = &journal.ConflictError{N: c.Op.N, Reason: cmp.Or(c.Op.Reason, "the gateway was stopped while it was made; whether it was is not known")}
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
	l.gate.Lock()
	defer l.gate.Unlock()
	l.skip[c.Op.Digest] = true
	delete(l.inflight, c.Op.Digest)
}

// forget lets a change be asked about again.
func (l *Live) forget(c *change.Pending) {
	l.gate.Lock()
	defer l.gate.Unlock()
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
	failed := files.Apply(context.WithoutCancel(ctx), change.TargetChange(c.Op.File, change.ID(l.id, c.Op.N), l.m.config.Blobs))
	failed = l.m.look.AfterLoss(ctx, files, l.id, &c.Op, failed)
	s, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		o := s.Operation(c.Op.N)
		if o == nil {
			return journal.ErrNotFound
		}
		return o.Apply(change.Outcome(failed, l.m.config.Now()))
	})
	if err != nil {
		return fmt.Errorf("record a change: %w", err)
	}
	c.Op = *s.Operation(c.Op.N)
	if failed != nil {
		l.Notice("operation %d was not made: %s", c.Op.N, render.Stored(c.Op.Reason))
	}
	l.m.publish(l.subject(), events.Finished, "")
	return nil
}

// abandonRest withdraws what was approved in a group and not made, since something before it could not be.
func (l *execution) abandonRest(g *group) error {
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		for _, c := range g.all() {
			o := s.Operation(c.Op.N)
			if o != nil && o.Undecided() {
				err := o.Apply(journal.Event{What: journal.Cancel, At: l.m.config.Now(), Reason: "an operation before it was not made"})
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
	l.gate.Lock()
	l.exit = exit
	g, err := l.takeIn(ctx, nil, policy.Decision{})
	l.gate.Unlock()
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
	if _, ok := l.target.(targets.FileTarget); !ok || l.m.config.Blobs == nil {
		return fmt.Errorf("files of %s cannot be changed", l.target.Name())
	}
	return nil
}

// roomFor says early, before any content is kept, that the limit of operations leaves no room for so many more. What
// an earlier run has recorded needs none.
func (l *progress) roomFor(n int) error {
	l.lock.Lock()
	defer l.lock.Unlock()
	limit := l.rules.Limits.Operations
	if again := len(l.journal) - l.at; limit > 0 && l.count+n-again > limit {
		return &journal.DenialError{Reason: fmt.Sprintf("limits.operations allows %d operations in a session", limit)}
	}
	return nil
}

// collect lists the changes of the script that have not been made and that nobody has said no to. Called with the gate locked.
func (l *Live) collect(ctx context.Context) ([]*change.Pending, error) {
	return l.files.Collect(ctx, func(digest string) (bool, int) { return l.skip[digest], l.inflight[digest] }, l.roomFor)
}
