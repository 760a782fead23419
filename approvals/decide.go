package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
)

// maxReason bounds a rejection's reason, in bytes.
const maxReason = 1000

// Approve approves operations that wait, as they were shown. The changes of files that come before a command are approved
// with it: its digest covers them. The comparison is part of the decision's transaction, and so is the start of a session that
// was parked. ErrNotPermitted, ErrNotFound, ErrUnnamed, ErrDigest, ErrNotWaiting, ErrDanger, ErrObstacle, ErrUnable.
func (m *Manager) Approve(ctx context.Context, id string, by journal.Identity, a Approval) (journal.Session, error) {
	return only(m.approve(ctx, []string{id}, by, a, a.chooseOne))
}

// ApproveGroup approves all that waits in sessions that were shown together, which the approval names as one: in all of them, or
// in none. It returns them. The errors are those of Approve.
func (m *Manager) ApproveGroup(ctx context.Context, shown []journal.Session, by journal.Identity, a Approval) ([]journal.Session, error) {
	ids := make([]string, len(shown))
	for i := range shown {
		ids[i] = shown[i].ID
	}
	return m.approve(ctx, ids, by, a, a.chooseAll)
}

func (m *Manager) approve(ctx context.Context, ids []string, by journal.Identity, a Approval, named chooser) ([]journal.Session, error) {
	if err := m.scopes.Of(by).Decides("deciding"); err != nil {
		return nil, err
	}
	if err := a.Well(); err != nil {
		return nil, err
	}
	return m.prepared(ctx, ids, func(p *prepared) ([]journal.Session, error) { return m.decide(ctx, ids, a.decision(by, named), p) })
}

// decision is the approval as a decision of somebody.
func (a *Approval) decision(by journal.Identity, named chooser) decision {
	return decision{by: by, named: named, approves: true, event: journal.Event{What: journal.Approve, By: by}, check: a.confirmed}
}

// prepared approves, with those sessions that are parked prepared to go on.
func (m *Manager) prepared(ctx context.Context, ids []string, approve func(*prepared) ([]journal.Session, error)) ([]journal.Session, error) {
	for {
		p := m.prepare(ctx, ids)
		all, err := approve(p)
		p.release()
		if !errors.Is(err, errParked) {
			return all, err
		}
	}
}

// Reject rejects operations that wait, and with a command the changes of files before it that wait still. A command
// is rejected with any change that comes before it. The reason reaches the script and the agent; there must be one.
func (m *Manager) Reject(ctx context.Context, id string, by journal.Identity, ops []int, reason string) (journal.Session, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) {
		return journal.Session{}, fmt.Errorf("reject session %s: a reason of 1 to %d bytes is needed", id, maxReason)
	}
	if err := m.scopes.Of(by).Decides("deciding"); err != nil {
		return journal.Session{}, err
	}
	return only(m.decide(ctx, []string{id}, decision{
		by: by, event: journal.Event{What: journal.Reject, By: by, Reason: reason},
		named: func(all []*journal.Session) ([][]*journal.Operation, error) {
			chosen, err := choose(all[0], ops)
			return [][]*journal.Operation{chosen}, err
		},
	}, nil))
}

func only(all []journal.Session, err error) (journal.Session, error) {
	if len(all) == 0 {
		return journal.Session{}, err
	}
	return all[0], err
}

// chooser finds what is to be decided of each of several sessions.
type chooser func([]*journal.Session) ([][]*journal.Operation, error)

// decision is what somebody has decided.
type decision struct {
	by    journal.Identity
	named chooser
	event journal.Event // what happens to each operation, but for the time
	// approves says that something is to run by it: see Obstacle.
	approves bool
	check    func(*journal.Session, []*journal.Operation) error // has the last word on all that was decided in a session; nil for none
}

// decide takes a decision on one session or several in one transaction. An approval comes with what is prepared for those that are
// parked, nil for a rejection: of that their scripts are told when they can be.
func (m *Manager) decide(ctx context.Context, ids []string, d decision, p *prepared) ([]journal.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p != nil && m.isClosing() {
		return nil, fmt.Errorf("%w, nothing was decided: %w", ErrUnable, journal.ErrShutdown)
	}
	now, scope := m.config.Now(), m.scopes.Of(d.by)
	took, parked := make([]bool, len(ids)), make([]bool, len(ids))
	all, err := m.config.Store.UpdateAll(ids, func(all []*journal.Session) error {
		for _, s := range all {
			if err := scope.DecidesOn(s, "deciding"); err != nil {
				return err
			}
		}
		chosen, err := d.named(all)
		if err != nil {
			return err
		}
		for i, s := range all {
			took[i], parked[i] = len(chosen[i]) > 0, s.Status == journal.StatusParked
			if !took[i] { // of a group, where nothing waits in this one
				continue
			}
			if why := m.Obstacle(s); why != "" && d.approves {
				return fmt.Errorf("%w: %s; reject or cancel it", journal.ErrObstacle, why)
			}
			if err := d.take(s, chosen[i], now); err != nil {
				return err
			}
			if !parked[i] {
				continue
			}
			if err := s.Apply(journal.Event{What: journal.Schedule}); err != nil {
				return err
			}
			if p != nil {
				if err := p.goOn(s); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var failed error
	for i := range all {
		all[i] = all[i].Clone()
		if !took[i] {
			continue
		}
		m.publish(events.About(&all[i]), events.Decided, d.by.Name)
		switch {
		case !parked[i]:
			m.wake(all[i].ID)
		case p != nil:
			failed = errors.Join(failed, p.begin(m, all[i]))
		default:
			m.goOnSoon(all[i].ID)
		}
	}
	return all, failed
}

// wake tells a script that is alive of a decision.
func (r *registry) wake(id string) {
	if l := r.alive(id); l != nil {
		l.decided()
	}
}

// take puts a decision into a session.
func (d decision) take(s *journal.Session, chosen []*journal.Operation, now time.Time) error {
	var decided []*journal.Operation
	event := d.event
	event.At = now
	decideOn := func(o *journal.Operation) error {
		decided = append(decided, o)
		return o.Apply(event)
	}
	for _, o := range chosen {
		if err := decideOn(o); err != nil {
			return err
		}
	}
	if err := together(s, chosen, decideOn); err != nil {
		return err
	}
	if d.check != nil {
		if err := d.check(s, decided); err != nil {
			return err
		}
	}
	return release(s)
}

// together extends a decision to what hangs on it: the changes before a command, and the commands after a rejected
// change.
func together(s *journal.Session, chosen []*journal.Operation, decideOn func(*journal.Operation) error) error {
	for _, o := range chosen {
		if o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			file := s.Operation(n)
			switch {
			case file == nil:
				return fmt.Errorf("%w: operation %d needs operation %d, which is not there", journal.ErrStore, o.N, n)
			case file.Decision == journal.Waiting:
				if err := decideOn(file); err != nil {
					return err
				}
			case o.Decision == journal.Approved && (file.Decision == journal.Rejected || file.Decision == journal.Cancelled):
				return fmt.Errorf("%w: operation %d, which comes before operation %d, is %s", journal.ErrNotWaiting, n, o.N, decidedBy(file))
			}
		}
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Decision != journal.Waiting || o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			if file := s.Operation(n); file != nil && file.Decision == journal.Rejected {
				err := o.Apply(journal.Event{
					What: journal.Reject, At: file.Decided, By: journal.Identity{Name: file.By, Fingerprint: file.ByKey},
					Reason: fmt.Sprintf("operation %d, which comes before it, was rejected: %s", n, file.Reason),
				})
				if err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// Cancel ends a session: its owner may, and whoever may decide on it.
func (m *Manager) Cancel(ctx context.Context, id string, by journal.Identity) (journal.Session, error) {
	s, err := m.Session(by, id)
	if err != nil {
		return s, err
	}
	if s.Status.Final() {
		return s, fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, id, s.Status)
	}
	l := m.alive(id)
	if l == nil {
		s, err = m.endParked(id, journal.StatusCancelled, "cancelled by "+by.Name)
		if !errors.Is(err, journal.ErrNotWaiting) {
			return s, err
		}
		m.settled(ctx, id) // it has just been started again
		if l = m.alive(id); l == nil {
			return s, err
		}
	}
	s, err = m.config.Store.Update(id, func(s *journal.Session) error {
		now := m.config.Now()
		switch {
		case s.Status == journal.StatusParked: // and its script has not ended yet
			return s.Apply(ending(journal.StatusCancelled, journal.ExitNotPermitted, "cancelled by "+by.Name, now))
		case s.Status.Final(): // at this moment
			return nil
		}
		return s.Apply(journal.Event{What: journal.Withdraw, At: now})
	})
	if err != nil {
		return s, err
	}
	s = s.Clone()
	m.publish(events.About(&s), events.Decided, by.Name)
	l.cancel(fmt.Errorf("%w by %s", journal.ErrCancelled, by.Name))
	return s, nil
}
