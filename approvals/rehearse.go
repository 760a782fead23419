package approvals

import (
	"context"
	"fmt"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/targets"
)

// Rehearse runs the commands of a session that wait in a copy of their host, and tells what they did there; with n not 0, up to that
// operation. Nothing is decided, and nothing of it is kept but a line in the audit log, which is written first. ErrNotPermitted and
// ErrNotFound as for a decision; rehearsal.ErrOff, ErrNothing, ErrBusy; targets.ErrNoRehearsal.
func (m *Manager) Rehearse(ctx context.Context, id string, by journal.Identity, n int) (*rehearsal.Result, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("rehearsing"); err != nil {
		return nil, err
	}
	s, err := m.session(id)
	if err == nil {
		err = scope.DecidesOn(&s, "rehearsing")
	}
	if err != nil {
		return nil, err
	}
	rules := m.rules.Load()
	if rules.NoRehearsals {
		return nil, rehearsal.ErrOff
	}
	if m.config.Target == nil {
		return nil, fmt.Errorf("%w: no target is known", targets.ErrNoRehearsal)
	}
	target, done := targets.For(m.config.Target(s.Target), by.Name, s.ID)
	defer done()
	if m.config.Rehearsed != nil {
		if err := m.config.Rehearsed(&s, n, by); err != nil {
			return nil, fmt.Errorf("record the rehearsal of session %s: %w", id, err)
		}
	}
	return m.rehearsals.Run(ctx, &s, target, n, gate.HiddenOn(s.Target, rules.Judge))
}
