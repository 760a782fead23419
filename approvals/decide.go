package approvals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/rollback"
)

// maxReason bounds a rejection's reason, in bytes.
const maxReason = 1000

// Approve approves operations that wait, as they were shown. The changes of files that come before a command are approved
// with it: its digest covers them. The comparison is part of the decision's transaction, and so is the start of a session that
// was parked. ErrNotPermitted, ErrNotFound, ErrUnnamed, ErrDigest, ErrNotWaiting, ErrDanger, ErrObstacle, ErrUnable.
func (m *Manager) Approve(ctx context.Context, id string, by journal.Identity, a decision.Approval) (journal.Session, error) {
	return only(m.approve(ctx, []string{id}, by, a, a.Decision(by)))
}

// ApproveGroup approves all that waits in sessions that were shown together, which the approval names as one: in all of them, or
// in none. It returns them. The errors are those of Approve.
func (m *Manager) ApproveGroup(ctx context.Context, shown []journal.Session, by journal.Identity, a decision.Approval) ([]journal.Session, error) {
	ids := make([]string, len(shown))
	for i := range shown {
		ids[i] = shown[i].ID
	}
	return m.approve(ctx, ids, by, a, a.GroupDecision(by))
}

func (m *Manager) approve(ctx context.Context, ids []string, by journal.Identity, a decision.Approval, d decision.Decision) ([]journal.Session, error) {
	if err := m.scopes.Of(by).Decides("deciding"); err != nil {
		return nil, err
	}
	if err := a.Well(); err != nil {
		return nil, err
	}
	if err := m.Check(ctx); err != nil { // what is approved could not run, or nobody could tell afterwards that it did
		return nil, fmt.Errorf("%w, nothing was decided: %w", lifecycle.ErrUnable, err)
	}
	return m.resumer.Prepared(ctx, ids, func(p *lifecycle.Prepared) ([]journal.Session, error) { return m.decide(ctx, ids, d, p) })
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
	return only(m.decide(ctx, []string{id}, decision.Rejection(by, ops, reason), nil))
}

func only(all []journal.Session, err error) (journal.Session, error) {
	if len(all) == 0 {
		return journal.Session{}, err
	}
	return all[0], err
}

// decide takes a decision on one session or several in one transaction. An approval comes with what is prepared for those that are
// parked, nil for a rejection: of that their scripts are told when they can be.
func (m *Manager) decide(ctx context.Context, ids []string, d decision.Decision, p *lifecycle.Prepared) ([]journal.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p != nil && m.sessions.Closing() {
		return nil, fmt.Errorf("%w, nothing was decided: %w", lifecycle.ErrUnable, journal.ErrShutdown)
	}
	now, scope := m.config.Now(), m.scopes.Of(d.By)
	took, parked := make([]bool, len(ids)), make([]bool, len(ids))
	all, err := m.config.Store.UpdateAll(ids, func(all []*journal.Session) error {
		for _, s := range all {
			if err := scope.DecidesOn(s, "deciding"); err != nil {
				return err
			}
		}
		chosen, err := d.Choose(all)
		if err != nil {
			return err
		}
		for i, s := range all {
			took[i], parked[i] = len(chosen[i]) > 0, s.Status == journal.StatusParked
			if !took[i] { // of a group, where nothing waits in this one
				continue
			}
			if why := m.Obstacle(s); why != "" && d.Approves {
				return fmt.Errorf("%w: %s; reject or cancel it", journal.ErrObstacle, why)
			}
			if err := decideOn(s, d, chosen[i], p, now); err != nil {
				return err
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
		if took[i] {
			m.publish(events.About(&all[i]), events.Decided, d.By.Name)
			failed = errors.Join(failed, m.resumer.Decided(&all[i], parked[i], p))
		}
	}
	return all, failed
}

// decideOn takes a decision on what was chosen of one session, and has the session go on where it is parked.
func decideOn(s *journal.Session, d decision.Decision, chosen []*journal.Operation, p *lifecycle.Prepared, now time.Time) error {
	parked := s.Status == journal.StatusParked
	if err := d.Take(s, chosen, now); err != nil || !parked {
		return err
	}
	if err := s.Apply(journal.Event{What: journal.Schedule}); err != nil || p == nil {
		return err
	}
	return p.GoOn(s)
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
	l := m.sessions.Alive(id)
	if l == nil {
		s, err = m.resumer.EndParked(id, journal.StatusCancelled, "cancelled by "+by.Name)
		if !errors.Is(err, journal.ErrNotWaiting) {
			return s, err
		}
		m.sessions.Settled(ctx, id) // it has just been started again
		if l = m.sessions.Alive(id); l == nil {
			return s, err
		}
	}
	s, err = m.config.Store.Update(id, func(s *journal.Session) error {
		now := m.config.Now()
		switch {
		case s.Status == journal.StatusParked: // and its script has not ended yet
			return s.Apply(journal.EndEvent(journal.StatusCancelled, journal.ExitNotPermitted, "cancelled by "+by.Name, now))
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
	l.Stop(fmt.Errorf("%w by %s", journal.ErrCancelled, by.Name))
	return s, nil
}

// Rollback restores what a session's files held before it, as rollback.Rollbacks does. ErrNotPermitted, ErrNotFound, and the errors
// of a rollback.
func (m *Manager) Rollback(ctx context.Context, id string, by journal.Identity, force, plan bool) ([]rollback.Step, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("rolling back"); err != nil {
		return nil, err
	}
	s, err := m.session(id)
	if err == nil {
		err = scope.DecidesOn(&s, "rolling back")
	}
	if err != nil {
		return nil, err
	}
	steps, done, err := m.rollbacks.Run(ctx, &s, by, force, plan)
	if done {
		m.publish(events.About(&s), events.RolledBack, by.Name)
	}
	return steps, err
}
