package approvals

import (
	"context"
	"fmt"
	"shannot-gateway/approvals/journal"
	"slices"
)

// scope is what somebody may see and decide on. Every method of Manager that takes who asks goes through it, anew with each
// call: what the configuration takes away counts at once, whoever they were when they came.
type scope struct {
	by    journal.Identity
	now   Standing
	known bool // they are who they were: the name, the role and the key are in the configuration
}

func (k *scopes) scope(by journal.Identity) scope {
	if k.standing == nil {
		return scope{by, Standing{Role: by.Role, Everywhere: true}, true}
	}
	now, ok := k.standing(by.Name, by.Fingerprint)
	return scope{by, now, ok && now.Role == by.Role && by.Fingerprint != ""} // an empty one stands for any key there
}

// covers reports whether they may decide on what is on a target.
func (s scope) covers(target string) bool {
	return s.known && s.by.MayDecide() && (s.now.Everywhere || slices.Contains(s.now.Targets, target))
}

// sees reports whether somebody's session on a target exists for them: their own do, and for who decides those on the targets
// of theirs.
func (s scope) sees(identity, target string) bool { return identity == s.by.Name || s.covers(target) }

// decides is nil for who may decide at all. Doing is what they want, for the error.
func (s scope) decides(doing string) error {
	switch {
	case !s.by.MayDecide():
		return fmt.Errorf("%w: %s needs the role approver, %s is %s", journal.ErrNotPermitted, doing, s.by.Name, s.by.Role)
	case !s.known:
		return fmt.Errorf("%w: %s is not in the configuration any more, or not by this key", journal.ErrNotPermitted, s.by.Name)
	}
	return nil
}

// decidesOn is nil for who may decide on a session. ErrNotFound for one that they do not see.
func (s scope) decidesOn(session *journal.Session, doing string) error {
	err := s.decides(doing)
	switch {
	case err != nil:
		return err
	case !s.sees(session.Identity, session.Target):
		return journal.ErrNotFound
	case session.OwnedBy(s.by):
		return fmt.Errorf("%w: nobody decides on their own session", journal.ErrNotPermitted)
	}
	return nil
}

// absent says in a few words why an agent cannot run anything any more on a target, "" where it can. An empty target stands
// for any.
func (k *scopes) absent(agent, target string) string {
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
func (k *scopes) Obstacle(s *journal.Session) string {
	switch s.Status {
	case journal.StatusRunning, journal.StatusHeld:
		return k.absent(s.Identity, "")
	case journal.StatusParked:
		return k.absent(s.Identity, s.Target)
	case journal.StatusDone, journal.StatusFailed, journal.StatusRejected, journal.StatusCancelled, journal.StatusExpired, journal.StatusTimedOut, journal.StatusRolledBack:
	}
	return ""
}

// Void says in a few words why a grant lets nothing run, though neither its time is over nor anybody has taken it back; "" where
// nothing is in the way. A grant is as good as who made it: by the same key they must still be able to approve what it lets run.
func (k *scopes) Void(g *Grant) string {
	if k.standing == nil {
		return ""
	}
	now, ok := k.standing(g.By, g.ByKey)
	switch by := (scope{journal.Identity{Name: g.By, Role: now.Role, Fingerprint: g.ByKey}, now, true}); {
	case !ok || g.ByKey == "":
		return g.By + ", who made it, is not in the configuration any more, or not by that key"
	case by.decides("granting") != nil:
		return g.By + ", who made it, may not decide any more"
	case !by.covers(g.Target):
		return g.By + ", who made it, may not decide on the target " + g.Target + " any more"
	}
	return k.absent(g.Identity, g.Target)
}

// Rescoped says that the configuration has changed who may see and decide on what. Whoever follows a session that they do not
// see any more is left, and every subscriber is told to look at everything again.
func (m *Manager) Rescoped() {
	m.change()
	m.bus.publish(Event{Kind: EventReloaded, At: m.config.Now()}, subject{})
}

// change says that the configuration has changed.
func (k *scopes) change() {
	k.lock.Lock()
	defer k.lock.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
}

// whileSeen returns a context that ends, with ErrNotFound, once somebody does not see a session any more.
func (k *scopes) whileSeen(ctx context.Context, by journal.Identity, s *journal.Session) (context.Context, context.CancelFunc) {
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
			if !k.scope(by).sees(identity, target) {
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

func (l *execution) subject() subject { return subject{l.id, l.identity, l.target.Name()} }
