package approvals

import (
	"context"
	"fmt"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
)

// PreviewGrant is the grant that ApproveGranting would make, or its error, without making it.
func (m *Manager) PreviewGrant(s journal.Session, n int, by journal.Identity, spec grants.Spec) (grants.Grant, error) {
	if !m.grants.Kept() {
		return grants.Grant{}, fmt.Errorf("operation %d of session %s %w: this gateway keeps no grants", n, s.ID, grants.ErrBadGrant)
	}
	if err := m.scopes.Of(by).DecidesOn(&s, "granting"); err != nil {
		return grants.Grant{}, err
	}
	return spec.Preview(s, n, by, m.rules.Load().Limits.Grant, m.config.Now())
}

// ApproveGranting approves one operation and makes a standing answer of it. What cannot be granted is not approved either: the
// human asked for both. What the approval names was shown, like that of any other. Where the grant cannot be kept after the decision
// was taken, the error is ErrNotGranted. Else the errors are those of Approve, ErrBadGrant and ErrTooMany.
func (m *Manager) ApproveGranting(ctx context.Context, id string, by journal.Identity, n int, a decision.Approval, spec grants.Spec) (journal.Session, grants.Grant, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("granting"); err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if err := a.Well(); err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if len(a.Each) == 0 {
		a.Ops = []int{n}
	} else if _, ok := a.Each[n]; !ok || len(a.Each) > 1 {
		return journal.Session{}, grants.Grant{}, fmt.Errorf("%w: of operation %d alone", decision.ErrUnnamed, n)
	}
	before, err := m.session(id)
	if err == nil {
		err = scope.DecidesOn(&before, "granting")
	}
	if err != nil {
		return journal.Session{}, grants.Grant{}, err
	}
	if err := a.Fits(&before); err != nil {
		return before, grants.Grant{}, err
	}
	var g grants.Grant
	all, err := m.resumer.Prepared(ctx, []string{id}, func(p *lifecycle.Prepared) (all []journal.Session, err error) {
		all, g, err = m.approveGranting(ctx, before, by, n, a, spec, p)
		return all, err
	})
	if len(all) == 0 {
		return before, grants.Grant{}, err
	}
	return all[0], g, err
}

// approveGranting is ApproveGranting for a session that is prepared to go on.
func (m *Manager) approveGranting(ctx context.Context, before journal.Session, by journal.Identity, n int, a decision.Approval, spec grants.Spec, p *lifecycle.Prepared) ([]journal.Session, grants.Grant, error) {
	var all []journal.Session
	g, err := m.grants.Make(by, func() error {
		_, err := m.PreviewGrant(before, n, by, spec)
		return err
	}, func() (grants.Grant, error) {
		var err error
		if all, err = m.decide(ctx, []string{before.ID}, a.Decision(by), p); err != nil {
			return grants.Grant{}, err
		}
		return m.PreviewGrant(all[0], n, by, spec) // of the record as it was approved
	})
	if err != nil && len(all) > 0 {
		err = fmt.Errorf("%w: %w", grants.ErrNotGranted, err)
	}
	return all, g, err
}

// Grants returns the grants that are shown to who asks, those for themselves and those on what they decide on: what is in force
// or void, or all that are remembered.
func (m *Manager) Grants(by journal.Identity, all bool) []grants.Grant {
	return m.grants.Shown(m.scopes.Of(by), all)
}

// Revoke ends a grant: once it returns, no command starts by it. ErrNotPermitted, ErrNoGrant.
func (m *Manager) Revoke(_ context.Context, n int, by journal.Identity) (grants.Grant, error) {
	scope := m.scopes.Of(by)
	if err := scope.Decides("revoking"); err != nil {
		return grants.Grant{}, err
	}
	return m.grants.Revoke(n, scope)
}
