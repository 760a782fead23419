package approvals

import (
	"context"
	"io"
	"log/slog"
	"time"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/targets"
)

// Store keeps sessions. Every change is durable when the method returns, but for those of UpdateSoon; an error wraps ErrStore.
type Store interface {
	// Create adds a session. It fails with ErrExists where the id is taken.
	Create(s journal.Session) error
	// Update changes a session in one transaction. An error of change leaves it as it was and is returned as it is.
	// change may be called more than once, and replaces what a pointer or slice of the session points at instead of
	// changing it there: the session that it gets, and the one that is returned, share that with the store.
	Update(id string, change func(*journal.Session) error) (journal.Session, error)
	// UpdateAll is Update for several sessions, each named once: all are changed, or none.
	UpdateAll(ids []string, change func([]*journal.Session) error) ([]journal.Session, error)
	// UpdateSoon is Update for what nobody waits for. It is made before every change that comes after it, and before anybody
	// looks at the session; done is called once it is durable, or has failed. Neither may wait for the store.
	UpdateSoon(id string, change func(*journal.Session) error, done func(error))
	// Session returns one, or ErrNotFound.
	Session(id string) (journal.Session, error)
	// Sessions returns those that match, newest first, without their scripts; unless all, only those that have not
	// ended. What match sees has no operations.
	Sessions(all bool, match func(*journal.Session) bool) ([]journal.Session, error)
	// Check writes and reads, to show whether that works now.
	Check() error
}

// Config is what a Manager needs.
type Config struct {
	Store Store
	Blobs journal.Blobs // contents of files; without it files are not changed
	Dir   string        // where outputs are kept
	// Judge and Limits are those of every session, until SetRules.
	Judge  gate.Judge
	Limits gate.Limits
	// Standing is what the configuration in force says of an identity by its name and the fingerprint of a key of its own, ""
	// for whichever key it has; false where there is none such. It is asked with every look and every decision, and must be
	// quick. nil means that everybody stays who they are, and that who decides does so on every target.
	Standing func(name, fingerprint string) (scope.Standing, bool)
	Now      func() time.Time // nil means time.Now
	Random   io.Reader        // nil means crypto/rand
	Grants   grants.Store     // nil means that there are none
	// Granted, where there is one, records that a grant was "granted" or "revoked", before it takes effect. Its error stands
	// in the way of the former.
	Granted func(g grants.Grant, what string, by journal.Identity) error
	// Rehearsed, where there is one, records that somebody has a session's commands rehearsed, all that wait or up to an operation,
	// before it is done. Its error stands in the way.
	Rehearsed func(s *journal.Session, n int, by journal.Identity) error
	// Share, where there is one, says why an identity may add nothing to what is kept now: it has used up its share. It is
	// asked before a session begins and before an operation is recorded.
	Share func(identity string) error
	Log   *slog.Logger
	// Restart says how a parked session would start again now, or what stands in its way. It has no effect yet, and is called before
	// somebody's approval is taken, or, patient then, for a decision that was taken before. Without it, sessions are never
	// parked: they expire when hold ends.
	Restart func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error)
	// Target finds a target by its name, nil for none: what an earlier gateway left half done is looked at there. It is
	// called by New already.
	Target func(name string) targets.Target
}
