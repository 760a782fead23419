package approvals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxReason bounds a rejection's reason, in bytes.
const maxReason = 1000

// Approve approves operations that wait: ops by number, or with none all that wait at this moment. digest, where it is
// given, must be that of the only operation that is decided. ErrNotPermitted, ErrNotWaiting, ErrDigest.
func (m *Manager) Approve(ctx context.Context, id string, by Identity, ops []int, digest string) (Session, error) {
	return m.decide(ctx, id, by, ops, digest, func(o *Operation) { o.Decision = Approved })
}

// Reject rejects operations that wait. The reason reaches the script and the agent; there must be one.
func (m *Manager) Reject(ctx context.Context, id string, by Identity, ops []int, reason string) (Session, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) {
		return Session{}, fmt.Errorf("reject session %s: a reason of 1 to %d bytes is needed", id, maxReason)
	}
	return m.decide(ctx, id, by, ops, "", func(o *Operation) { o.Decision, o.Reason = Refused, reason })
}

// decide takes a decision in one transaction.
func (m *Manager) decide(ctx context.Context, id string, by Identity, ops []int, digest string, set func(*Operation)) (Session, error) {
	if !by.MayDecide() {
		return Session{}, fmt.Errorf("%w: deciding needs the role approver, %s is %s", ErrNotPermitted, by.Name, by.Role)
	}
	if err := ctx.Err(); err != nil {
		return Session{}, err
	}
	now := m.config.Now()
	var decided []int
	parked := false
	s, err := m.config.Store.Update(id, func(s *Session) error {
		decided = decided[:0]
		if s.Identity == by.Name || s.Key != "" && s.Key == by.Fingerprint {
			return fmt.Errorf("%w: nobody decides on their own session", ErrNotPermitted)
		}
		chosen, err := choose(s, ops, digest)
		if err != nil {
			return err
		}
		parked = s.Status == Parked
		for _, o := range chosen {
			set(o)
			o.By, o.ByKey, o.Decided = by.Name, by.Fingerprint, now
			decided = append(decided, o.N)
		}
		if s.Status == Held && !s.waits() {
			s.Status, s.Deadline = Running, time.Time{}
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	m.mu.Lock()
	l := m.live[id]
	if l != nil && parked {
		l.again = true // its script has not ended yet; it starts again when it has
	}
	m.mu.Unlock()
	if l != nil {
		for _, n := range decided {
			l.decided(n)
		}
	} else if parked && m.config.Restart != nil {
		go m.config.Restart(s.clone())
	}
	s = s.clone()
	m.publish(id, EventDecided, by.Name)
	return s, nil
}

// choose finds what is to be decided.
func choose(s *Session, ops []int, digest string) ([]*Operation, error) {
	var chosen []*Operation
	if len(ops) == 0 {
		for i := range s.Operations {
			if s.Operations[i].Decision == Waiting {
				chosen = append(chosen, &s.Operations[i])
			}
		}
	}
	for _, n := range slices.Compact(slices.Sorted(slices.Values(ops))) {
		o := s.operation(n)
		if o == nil {
			return nil, fmt.Errorf("%w: session %s has no operation %d", ErrNotWaiting, s.ID, n)
		}
		if o.Decision != Waiting {
			return nil, fmt.Errorf("%w: operation %d is %s", ErrNotWaiting, n, decidedBy(o))
		}
		chosen = append(chosen, o)
	}
	if len(chosen) == 0 || s.Status.Final() {
		return nil, fmt.Errorf("%w: session %s is %s", ErrNotWaiting, s.ID, s.Status)
	}
	if digest != "" && (len(chosen) != 1 || !strings.EqualFold(chosen[0].Digest, digest)) {
		return nil, ErrDigest
	}
	return chosen, nil
}

func decidedBy(o *Operation) string {
	if o.By == "" {
		return string(o.Decision)
	}
	return string(o.Decision) + " by " + o.By
}

// Cancel ends a session: its owner may, and whoever may decide.
func (m *Manager) Cancel(_ context.Context, id string, by Identity) (Session, error) {
	s, err := m.Session(id)
	if err != nil {
		return s, err
	}
	if s.Identity != by.Name && !by.MayDecide() {
		return Session{}, ErrNotFound // an agent does not learn of others' sessions
	}
	if s.Status.Final() {
		return s, fmt.Errorf("%w: session %s is %s", ErrNotWaiting, id, s.Status)
	}
	m.mu.Lock()
	l := m.live[id]
	m.mu.Unlock()
	if l == nil {
		return m.endParked(id, Cancelled, Withdrawn, "cancelled by "+by.Name)
	}
	s, err = m.config.Store.Update(id, func(s *Session) error {
		now := m.config.Now()
		settle(s, Withdrawn, now)
		switch s.Status {
		case Parked: // and its script has not ended yet
			s.finish(Cancelled, ExitNotPermitted, "cancelled by "+by.Name, now)
		case Held:
			s.Status, s.Deadline = Running, time.Time{}
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	s = s.clone()
	m.publish(id, EventDecided, by.Name)
	l.cancel(fmt.Errorf("%w by %s", ErrCancelled, by.Name))
	return s, nil
}
