package gate

import (
	"context"
	"slices"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// group is what is decided together: changes of files, and the command that comes after them, if any.
type group struct {
	files   []*change.Pending
	command *change.Pending // nil at the end of the script
}

// all lists the operations in order.
func (g *group) all() []*change.Pending {
	if g.command == nil {
		return g.files
	}
	return append(slices.Clone(g.files), g.command)
}

// takeIn records what a command, and what the policy says of it, or the end of the script, brings before a human. Called with
// intake locked.
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
		Effect: d.Effect, Undo: d.Undo, Digest: command.Digest(), Created: l.of.config.Now(), Command: command,
	}
	c := &change.Pending{Op: o, First: journal.Event{What: journal.Ask}}
	switch d.Verdict {
	case policy.Allow:
		c.First = journal.Event{What: journal.Allow, At: o.Created}
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
			l.files.Judge(c, l.exit, l.of.config.Now())
		}
	}
	g.denyAfterDenied()
	// A grant that is revoked from here on was in force when the operation came.
	defer l.of.config.Grants.Hold()()
	if c := g.command; c != nil && !c.Old && len(g.files) == 0 {
		l.useGrant(c)
	}
	taken := map[*change.Pending]journal.Operation{}
	_, err = l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status.Final() || s.Status == journal.StatusParked || l.ctx.Err() != nil {
			return l.ending()
		}
		for _, c := range fresh {
			if err := l.add(s, g, c, taken); err != nil {
				return err
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

// add puts a new operation of a group into the session's record, and its record into taken.
func (l *execution) add(s *journal.Session, g *group, c *change.Pending, taken map[*change.Pending]journal.Operation) error {
	op, first := c.Op, c.First
	if first.What == journal.Grant && s.Waits() { // what comes before it is not decided
		first = journal.Event{What: journal.Ask}
	}
	if l.plan && first.What != journal.Deny {
		first = journal.Event{What: journal.List}
	}
	if first.What == journal.Ask && l.ofRest(s, &op) {
		first = s.Rest.Event(l.of.config.Now())
	}
	if c == g.command && len(g.files) > 0 {
		op.Command = g.withNeeds(op.Command, taken)
	}
	o, err := s.Add(op, first)
	if err != nil {
		return err
	}
	if taken[c] = *o; o.Decision == journal.Waiting {
		return s.Apply(l.holdNow())
	}
	return nil
}

// ofRest reports whether an operation is of the rest of the text that was approved, by somebody who could still approve it.
func (l *execution) ofRest(s *journal.Session, o *journal.Operation) bool {
	return s.Rest.Covers(o) && l.of.config.Void(journal.Identity{Name: s.Rest.By, Fingerprint: s.Rest.ByKey}, s.Identity, s.Target) == ""
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
	l.progress.mu.Lock()
	defer l.progress.mu.Unlock()
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
			l.progress.mu.Unlock()
			var err error
			if at < 0 {
				err = l.withdraw()
			} else {
				err = l.distrust()
			}
			l.files.Differs()
			l.progress.mu.Lock()
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
	s, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status.Final() || s.Status == journal.StatusParked {
			return l.ending()
		}
		o := s.Operation(c.Op.N)
		if o == nil {
			return journal.ErrNotFound
		}
		var err error
		switch {
		case o.Decision == journal.Waiting && o.Verdict == policy.Allow: // the policy has decided
			err = o.Apply(journal.Event{What: journal.Allow, At: l.of.config.Now()})
		case o.Decision == journal.Expired || o.Decision == journal.Cancelled:
			err = o.Apply(journal.Event{What: journal.AskAgain})
		}
		if err == nil && o.Decision == journal.Waiting && l.ofRest(s, o) {
			err = o.Apply(s.Rest.Event(l.of.config.Now()))
		}
		if err == nil && o.Decision == journal.Waiting {
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

// collect lists the changes of the script that have not been made and that nobody has said no to. Called with intake locked.
func (l *Live) collect(ctx context.Context) ([]*change.Pending, error) {
	return l.files.Collect(ctx, func(digest string) (bool, int) { return l.skip[digest], l.inflight[digest] }, l.roomFor)
}

// useGrant lets an operation that the policy asks about run by a grant, if there is one.
func (l *execution) useGrant(c *change.Pending) {
	o := &c.Op
	if c.First.What != journal.Ask || o.Verdict != policy.Ask || l.plan || len(o.Command.Before)+len(o.Command.Scratch) > 0 {
		return
	}
	g := l.of.config.Grants.Covering(l.id, l.identity, o)
	if g == nil {
		return
	}
	c.First = journal.Event{What: journal.Grant, At: o.Created, By: journal.Identity{Name: g.By, Fingerprint: g.ByKey}, Grant: g.N}
}

// granted reports whether a command would run by a grant as things are.
func (l *execution) granted(command *journal.Command, risk policy.Risk) bool {
	if l.plan {
		return false
	}
	defer l.of.config.Grants.Hold()()
	o := journal.Operation{Command: command, Digest: command.Digest(), Risk: risk}
	return l.of.config.Grants.Covering(l.id, l.identity, &o) != nil
}
