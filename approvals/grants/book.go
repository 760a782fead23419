// Package grants keeps the standing answers of approvers: which command runs without being asked about again, for whom, how
// long, and by whose word. It knows commands as the journal records them, and asks its caller whether a session has ended and
// whether whoever made a grant could still approve it. It decides on nothing that the policy denies. Begin with grant.go.
package grants

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/scope"
)

// Store keeps grants. An error wraps journal.ErrStore.
type Store interface {
	// Grants returns all, by number.
	Grants() ([]Grant, error)
	// PutGrant keeps a grant, durably. One without a number gets the next.
	PutGrant(g *Grant) error
	// DeleteGrant forgets one.
	DeleteGrant(n int) error
}

// Config is what a Book needs.
type Config struct {
	Store Store // nil for none: nothing can be granted
	// Record, where there is one, records that a grant was "granted" or "revoked", before it takes effect. Its error stands in
	// the way of the former.
	Record func(g Grant, what string, by journal.Identity) error
	Now    func() time.Time
	// Over reports whether a session has ended.
	Over func(session string) bool
	// Void says in a few words why a grant lets nothing run, "" where nothing is in the way.
	Void func(g *Grant) string
}

// Book is all grants that are remembered, as the store has them.
type Book struct {
	config Config

	mu  sync.RWMutex
	all []Grant // by number
}

// Open reads the grants that are kept.
func Open(c Config) (*Book, error) {
	b := &Book{config: c}
	if c.Store == nil {
		return b, nil
	}
	var err error
	if b.all, err = c.Store.Grants(); err != nil {
		return nil, fmt.Errorf("read the grants: %w", err)
	}
	return b, nil
}

// Kept reports whether grants can be made here.
func (k *Book) Kept() bool { return k.config.Store != nil }

// Hold keeps all grants as they are until release: a revocation waits for that.
func (k *Book) Hold() (release func()) {
	k.mu.RLock()
	return k.mu.RUnlock
}

// Make makes a grant of an operation that approve approves. check comes first, and approve returns the grant; the error of
// either is returned as it is. Nobody's command is looked up meanwhile: the script's next one comes after the grant, however
// soon it comes.
func (k *Book) Make(by journal.Identity, check func() error, approve func() (Grant, error)) (Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := check(); err != nil {
		return Grant{}, err
	}
	if err := k.makeRoom(); err != nil {
		return Grant{}, err
	}
	g, err := approve()
	if err == nil {
		err = k.add(&g, by)
	}
	if err != nil {
		return Grant{}, err
	}
	return g, nil
}

// makeRoom forgets the oldest grants that are over. The caller holds the lock.
func (k *Book) makeRoom() error {
	now := k.config.Now()
	for i := 0; len(k.all) >= maxGrants && i < len(k.all); {
		g := &k.all[i]
		if g.Active(now) && !k.over(g) {
			i++
			continue
		}
		if err := k.config.Store.DeleteGrant(g.N); err != nil {
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
func (k *Book) add(g *Grant, by journal.Identity) error {
	if err := k.audited(*g, "granted", by); err != nil {
		return err
	}
	if err := k.config.Store.PutGrant(g); err != nil {
		return err
	}
	k.all = append(k.all, *g)
	return nil
}

// over reports whether the session that a grant is for has ended.
func (k *Book) over(g *Grant) bool { return g.Session != "" && k.config.Over(g.Session) }

// audited records a grant or its end in the audit log, before it takes effect.
func (k *Book) audited(g Grant, what string, by journal.Identity) error {
	if k.config.Record == nil {
		return nil
	}
	if err := k.config.Record(g, what, by); err != nil {
		return fmt.Errorf("record that it was %s: %w", what, err)
	}
	return nil
}

// Shown are the grants that somebody sees: what is in force or void, or all that are remembered.
func (k *Book) Shown(scope scope.Scope, all bool) (out []Grant) {
	now := k.config.Now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for i := range k.all {
		g := &k.all[i]
		if scope.Sees(g.Identity, g.Target) && (all || g.Active(now) && !k.over(g)) {
			out = append(out, *g)
		}
	}
	return out
}

// Revoke ends a grant on what somebody decides on.
func (k *Book) Revoke(n int, scope scope.Scope) (Grant, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.all {
		g := k.all[i]
		if g.N != n || !scope.Covers(g.Target) {
			continue
		}
		if !g.Active(k.config.Now()) {
			return g, fmt.Errorf("%w: grant %d is over", ErrNoGrant, n)
		}
		g.Revoked, g.RevokedBy = k.config.Now(), scope.By().Name
		k.all[i] = g // from here on it counts no more, whatever the disk says
		if err := k.audited(g, "revoked", scope.By()); err != nil {
			return g, err
		}
		return g, k.config.Store.PutGrant(&g)
	}
	return Grant{}, fmt.Errorf("%w: %d", ErrNoGrant, n)
}

// Covering finds the grant that a command of a session may run by. The caller has called Hold, and releases once the operation is in
// the journal, so that a revocation that has returned is obeyed.
func (k *Book) Covering(session, identity string, o *journal.Operation) *Grant {
	now := k.config.Now()
	for i := range k.all {
		g := &k.all[i]
		if g.Identity == identity && (g.Session == "" || g.Session == session) && g.Active(now) && g.covers(o) && k.config.Void(g) == "" {
			return g
		}
	}
	return nil
}
