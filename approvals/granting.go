package approvals

import (
	"context"
	"fmt"
	"slices"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// makeRoom forgets the oldest grants that are over. The caller holds the lock.
func (k *grants) makeRoom() error {
	now := k.now()
	for i := 0; len(k.all) >= maxGrants && i < len(k.all); {
		g := &k.all[i]
		if g.Active(now) && !k.over(g) {
			i++
			continue
		}
		if err := k.store.DeleteGrant(g.N); err != nil {
			return err
		}
		k.all = slices.Delete(k.all, i, i+1)
	}
	if len(k.all) >= maxGrants {
		return fmt.Errorf("%w: %d grants are in force; revoke some", journal.ErrTooMany, maxGrants)
	}
	return nil
}

// add keeps a new grant. The caller holds the lock.
func (k *grants) add(g *Grant, by journal.Identity) error {
	if err := k.audited(*g, "granted", by); err != nil {
		return err
	}
	if err := k.store.PutGrant(g); err != nil {
		return err
	}
	k.all = append(k.all, *g)
	return nil
}

// over reports whether the session that a grant is for has ended.
func (k *grants) over(g *Grant) bool {
	if g.Session == "" {
		return false
	}
	s, err := k.sessions.Session(g.Session)
	return err != nil || s.Status.Final()
}

// audited records a grant or its end in the audit log, before it takes effect.
func (k *grants) audited(g Grant, what string, by journal.Identity) error {
	if k.record == nil {
		return nil
	}
	if err := k.record(g, what, by); err != nil {
		return fmt.Errorf("record that it was %s: %w", what, err)
	}
	return nil
}

// shown are the grants that somebody sees: what is in force or void, or all that are remembered.
func (k *grants) shown(scope scope, all bool) (out []Grant) {
	now := k.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := range k.all {
		g := &k.all[i]
		if scope.sees(g.Identity, g.Target) && (all || g.Active(now) && !k.over(g)) {
			out = append(out, *g)
		}
	}
	return out
}

// revoke ends a grant on what somebody decides on.
func (k *grants) revoke(n int, scope scope) (Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.all {
		g := k.all[i]
		if g.N != n || !scope.covers(g.Target) {
			continue
		}
		if !g.Active(k.now()) {
			return g, fmt.Errorf("%w: grant %d is over", ErrNoGrant, n)
		}
		g.Revoked, g.RevokedBy = k.now(), scope.by.Name
		k.all[i] = g // from here on it counts no more, whatever the disk says
		if err := k.audited(g, "revoked", scope.by); err != nil {
			return g, err
		}
		return g, k.store.PutGrant(&g)
	}
	return Grant{}, fmt.Errorf("%w: %d", ErrNoGrant, n)
}

// granted finds the grant that a command of a session may run by. The caller holds the lock for reading until the operation is in
// the journal, so that a revocation that has returned is obeyed.
func (k *grants) granted(session, identity string, o *journal.Operation) *Grant {
	now := k.now()
	for i := range k.all {
		g := &k.all[i]
		if g.Identity == identity && (g.Session == "" || g.Session == session) && g.Active(now) && g.covers(o.Command, o.Digest) && k.void(g) == "" {
			return g
		}
	}
	return nil
}

// PreviewGrant is the grant that ApproveGranting would make, or its error, without making it.
func (m *Manager) PreviewGrant(s journal.Session, n int, by journal.Identity, spec GrantSpec) (Grant, error) {
	if m.config.Grants == nil {
		return Grant{}, fmt.Errorf("operation %d of session %s %w: this gateway keeps no grants", n, s.ID, ErrBadGrant)
	}
	if err := m.scope(by).decidesOn(&s, "granting"); err != nil {
		return Grant{}, err
	}
	return spec.preview(s, n, by, m.rules.Load().Limits.Grant, m.config.Now())
}

// ApproveGranting approves one operation and makes a standing answer of it. What cannot be granted is not approved either: the
// human asked for both. What the approval names was shown, like that of any other. Where the grant cannot be kept after the decision
// was taken, the error is ErrNotGranted. Else the errors are those of Approve, ErrBadGrant and ErrTooMany.
func (m *Manager) ApproveGranting(ctx context.Context, id string, by journal.Identity, n int, a Approval, spec GrantSpec) (journal.Session, Grant, error) {
	scope := m.scope(by)
	if err := scope.decides("granting"); err != nil {
		return journal.Session{}, Grant{}, err
	}
	if err := a.Well(); err != nil {
		return journal.Session{}, Grant{}, err
	}
	if len(a.Each) == 0 {
		a.Ops = []int{n}
	} else if _, ok := a.Each[n]; !ok || len(a.Each) > 1 {
		return journal.Session{}, Grant{}, fmt.Errorf("%w: of operation %d alone", ErrUnnamed, n)
	}
	before, err := m.session(id)
	if err == nil {
		err = scope.decidesOn(&before, "granting")
	}
	if err != nil {
		return journal.Session{}, Grant{}, err
	}
	if err := a.Fits(&before); err != nil {
		return before, Grant{}, err
	}
	var g Grant
	all, err := m.prepared(ctx, []string{id}, func(p *prepared) (all []journal.Session, err error) {
		all, g, err = m.approveGranting(ctx, before, by, n, a, spec, p)
		return all, err
	})
	if len(all) == 0 {
		return before, Grant{}, err
	}
	return all[0], g, err
}

// approveGranting is ApproveGranting for a session that is prepared to go on.
func (m *Manager) approveGranting(ctx context.Context, before journal.Session, by journal.Identity, n int, a Approval, spec GrantSpec, p *prepared) ([]journal.Session, Grant, error) {
	// The script's next command comes after the grant, however soon it comes.
	m.grants.mu.Lock()
	defer m.grants.mu.Unlock()
	if _, err := m.PreviewGrant(before, n, by, spec); err != nil {
		return nil, Grant{}, err
	}
	if err := m.grants.makeRoom(); err != nil {
		return nil, Grant{}, err
	}
	all, err := m.decide(ctx, []string{before.ID}, a.decision(by, a.chooseOne), p)
	if err != nil {
		return nil, Grant{}, err
	}
	s := all[0]
	g, err := m.PreviewGrant(s, n, by, spec) // of the record as it was approved
	if err == nil {
		err = m.grants.add(&g, by)
	}
	if err != nil {
		return all, Grant{}, fmt.Errorf("%w: %w", ErrNotGranted, err)
	}
	return all, g, nil
}

// Grants returns the grants that are shown to who asks, those for themselves and those on what they decide on: what is in force
// or void, or all that are remembered.
func (m *Manager) Grants(by journal.Identity, all bool) []Grant {
	return m.grants.shown(m.scope(by), all)
}

// Revoke ends a grant: once it returns, no command starts by it. ErrNotPermitted, ErrNoGrant.
func (m *Manager) Revoke(_ context.Context, n int, by journal.Identity) (Grant, error) {
	scope := m.scope(by)
	if err := scope.decides("revoking"); err != nil {
		return Grant{}, err
	}
	return m.grants.revoke(n, scope)
}

// useGrant lets an operation that the policy asks about run by a grant, if there is one.
func (l *execution) useGrant(c *change) {
	o := &c.op
	if c.first.What != journal.Ask || o.Verdict != policy.Ask || l.plan || len(o.Command.Before)+len(o.Command.Scratch) > 0 {
		return
	}
	g := l.m.grants.granted(l.id, l.identity, o)
	if g == nil {
		return
	}
	c.first = journal.Event{What: journal.Grant, At: o.Created, By: journal.Identity{Name: g.By, Fingerprint: g.ByKey}, Grant: g.N}
}
