// Package scope says what somebody may see and decide on, by the configuration in force, and who still counts. It keeps nothing
// but the last word of the configuration, which it asks for through one function.
package scope

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"shannot-gateway/approvals/journal"
)

// Standing is what the configuration in force says of somebody.
type Standing struct {
	Role    journal.Role
	Targets []string // that they may use, by name
	// Everywhere says that a decider is not bound to Targets: they see and decide on sessions on every target, those included
	// that the configuration has no more.
	Everywhere bool
}

// Scopes knows what everybody may see and decide on.
type Scopes struct {
	standing func(name, fingerprint string) (Standing, bool) // see New; may be nil

	lock sync.Mutex
	// changed is closed, and another put in its place, when the configuration has changed who may see what.
	changed chan struct{}
}

// Scope is what somebody may see and decide on. Every method of the service that takes who asks goes through it, anew with each
// call: what the configuration takes away counts at once, whoever they were when they came.
type Scope struct {
	by    journal.Identity
	now   Standing
	known bool // they are who they were: the name, the role and the key are in the configuration
}

// New makes the scopes of a configuration. standing says what it has of an identity by its name and the fingerprint of a key of
// its own, "" for whichever key it has; false where there is none such. It is asked with every look and every decision, and must
// be quick. nil means that everybody stays who they are, and that who decides does so on every target.
func New(standing func(name, fingerprint string) (Standing, bool)) *Scopes {
	return &Scopes{standing: standing, changed: make(chan struct{})}
}

// Of is the scope of somebody, as the configuration is now.
func (k *Scopes) Of(by journal.Identity) Scope {
	if k.standing == nil {
		return Scope{by, Standing{Role: by.Role, Everywhere: true}, true}
	}
	now, ok := k.standing(by.Name, by.Fingerprint)
	return Scope{by, now, ok && now.Role == by.Role && by.Fingerprint != ""} // an empty one stands for any key there
}

// By is who the scope is of.
func (s Scope) By() journal.Identity { return s.by }

// Covers reports whether they may decide on what is on a target.
func (s Scope) Covers(target string) bool {
	return s.known && s.by.MayDecide() && (s.now.Everywhere || slices.Contains(s.now.Targets, target))
}

// Sees reports whether somebody's session on a target exists for them: their own do, and for who decides those on the targets
// of theirs.
func (s Scope) Sees(identity, target string) bool { return identity == s.by.Name || s.Covers(target) }

// Decides is nil for who may decide at all. Doing is what they want, for the error.
func (s Scope) Decides(doing string) error {
	switch {
	case !s.by.MayDecide():
		return fmt.Errorf("%w: %s needs the role approver, %s is %s", journal.ErrNotPermitted, doing, s.by.Name, s.by.Role)
	case !s.known:
		return fmt.Errorf("%w: %s is not in the configuration any more, or not by this key", journal.ErrNotPermitted, s.by.Name)
	}
	return nil
}

// DecidesOn is nil for who may decide on a session. ErrNotFound for one that they do not see.
func (s Scope) DecidesOn(session *journal.Session, doing string) error {
	err := s.Decides(doing)
	switch {
	case err != nil:
		return err
	case !s.Sees(session.Identity, session.Target):
		return journal.ErrNotFound
	case session.OwnedBy(s.by):
		return fmt.Errorf("%w: nobody decides on their own session", journal.ErrNotPermitted)
	}
	return nil
}

// absent says in a few words why an agent cannot run anything any more on a target, "" where it can. An empty target stands
// for any.
func (k *Scopes) absent(agent, target string) string {
	if k.standing == nil {
		return ""
	}
	now, ok := k.standing(agent, "")
	switch {
	case !ok:
		return "its agent " + agent + " is not in the configuration any more, or has no key there"
	case now.Role != journal.Agent && now.Role != journal.Admin:
		return "its agent " + agent + " is no agent any more, by the configuration"
	case target != "" && !slices.Contains(now.Targets, target):
		return "its agent " + agent + " may not use the target " + target + " any more"
	}
	return ""
}

// Obstacle says in a few words why nothing of a session can be approved now, whoever asks; "" where nothing is in the way. An
// agent that was taken out of the configuration gets nothing approved. One that only lost the target keeps what is alive there.
func (k *Scopes) Obstacle(s *journal.Session) string {
	switch s.Status {
	case journal.StatusRunning, journal.StatusHeld:
		return k.absent(s.Identity, "")
	case journal.StatusParked:
		if s.Damage != "" {
			return "it is damaged: " + s.Damage
		}
		return k.absent(s.Identity, s.Target)
	case journal.StatusDone, journal.StatusFailed, journal.StatusRejected, journal.StatusCancelled, journal.StatusExpired, journal.StatusTimedOut, journal.StatusRolledBack, journal.StatusPlanned:
	}
	return ""
}

// Changed says that the configuration has changed.
func (k *Scopes) Changed() {
	k.lock.Lock()
	defer k.lock.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// WhileSeen returns a context that ends, with ErrNotFound, once somebody does not see a session any more.
func (k *Scopes) WhileSeen(ctx context.Context, by journal.Identity, s *journal.Session) (context.Context, context.CancelFunc) {
	if s.Identity == by.Name {
		return ctx, func() {} // nobody takes their own from them
	}
	ctx, cancel := context.WithCancelCause(ctx)
	identity, target := s.Identity, s.Target
	go func() {
		for {
			k.lock.Lock()
			changed := k.changed
			k.lock.Unlock()
			if !k.Of(by).Sees(identity, target) {
				cancel(journal.ErrNotFound)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// Void says in a few words why what somebody approved for an agent on a target does not count any more; "" where it does. By the
// same key they must still be able to approve it.
func (k *Scopes) Void(by journal.Identity, agent, target string) string {
	if k.standing == nil {
		return ""
	}
	now, ok := k.standing(by.Name, by.Fingerprint)
	switch by := (Scope{journal.Identity{Name: by.Name, Role: now.Role, Fingerprint: by.Fingerprint}, now, true}); {
	case !ok || by.by.Fingerprint == "":
		return by.by.Name + ", who made it, is not in the configuration any more, or not by that key"
	case by.Decides("granting") != nil:
		return by.by.Name + ", who made it, may not decide any more"
	case !by.Covers(target):
		return by.by.Name + ", who made it, may not decide on the target " + target + " any more"
	}
	return k.absent(agent, target)
}
