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

// Approve approves operations that wait: ops by number, or with none all that wait at this moment. The changes of files
// that come before a command are approved with it: its digest covers them. digest, where it is given, must be that of
// the only operation that is named, and without one it names the operation. ErrNotPermitted, ErrNotWaiting, ErrDigest.
func (m *Manager) Approve(ctx context.Context, id string, by Identity, ops []int, digest string) (Session, error) {
	return m.decide(ctx, id, by, ops, digest, func(o *Operation) { o.Decision = Approved })
}

// Reject rejects operations that wait, and with a command the changes of files before it that wait still. A command
// is rejected with any change that comes before it. The reason reaches the script and the agent; there must be one.
func (m *Manager) Reject(ctx context.Context, id string, by Identity, ops []int, reason string) (Session, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || !utf8.ValidString(reason) {
		return Session{}, fmt.Errorf("reject session %s: a reason of 1 to %d bytes is needed", id, maxReason)
	}
	return m.decide(ctx, id, by, ops, "", func(o *Operation) { o.Decision, o.Reason = Refused, reason })
}

// decide takes a decision in one transaction.
func (m *Manager) decide(ctx context.Context, id string, by Identity, ops []int, digest string, set func(*Operation)) (Session, error) {
	if err := m.mayDecide(by, "deciding"); err != nil {
		return Session{}, err
	}
	if err := ctx.Err(); err != nil {
		return Session{}, err
	}
	now := m.config.Now()
	parked := false
	s, err := m.config.Store.Update(id, func(s *Session) error {
		if s.Identity == by.Name || s.Key != "" && s.Key == by.Fingerprint {
			return fmt.Errorf("%w: nobody decides on their own session", ErrNotPermitted)
		}
		chosen, err := choose(s, ops, digest)
		if err != nil {
			return err
		}
		parked = s.Status == Parked
		decideOn := func(o *Operation) {
			set(o)
			o.By, o.ByKey, o.Decided = by.Name, by.Fingerprint, now
		}
		for _, o := range chosen {
			decideOn(o)
		}
		if err := s.together(chosen, decideOn); err != nil {
			return err
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
		l.decided()
	} else if parked && m.config.Restart != nil {
		go m.config.Restart(s.clone())
	}
	s = s.clone()
	m.publish(id, EventDecided, by.Name)
	return s, nil
}

// together extends a decision to what hangs on it: the changes before a command, and the commands after a rejected
// change.
func (s *Session) together(chosen []*Operation, decideOn func(*Operation)) error {
	for _, o := range chosen {
		if o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			file := s.operation(n)
			switch {
			case file == nil:
				return fmt.Errorf("%w: operation %d needs operation %d, which is not there", ErrStore, o.N, n)
			case file.Decision == Waiting:
				decideOn(file)
			case o.Decision == Approved && (file.Decision == Refused || file.Decision == Withdrawn):
				return fmt.Errorf("%w: operation %d, which comes before operation %d, is %s", ErrNotWaiting, n, o.N, decidedBy(file))
			}
		}
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Decision != Waiting || o.Command == nil {
			continue
		}
		for _, n := range o.Command.Needs {
			if file := s.operation(n); file != nil && file.Decision == Refused {
				o.Decision, o.By, o.ByKey, o.Decided = Refused, file.By, file.ByKey, file.Decided
				o.Reason = fmt.Sprintf("operation %d, which comes before it, was rejected: %s", n, file.Reason)
				break
			}
		}
	}
	return nil
}

// choose finds what is to be decided.
func choose(s *Session, ops []int, digest string) ([]*Operation, error) {
	var chosen []*Operation
	if len(ops) == 0 {
		for i := range s.Operations {
			if o := &s.Operations[i]; o.Decision == Waiting && (digest == "" || strings.EqualFold(o.Digest, digest)) {
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
	if len(ops) == 0 && len(chosen) == 0 && digest != "" && s.waits() {
		return nil, ErrDigest
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
