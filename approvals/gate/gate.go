// Package gate is what every operation of a live session passes: made a record, judged, put into the journal, decided on by a human
// where the policy asks, and run on the target exactly as recorded, once. Nothing runs that is not in the journal, and nothing is
// derived again of what a human was shown. The package knows neither who may decide nor how a parked session starts again: its
// caller tells it that something was decided, and opens a session anew. Begin with start.go.
package gate

import (
	"context"
	"log/slog"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/internal/turns"
	"shannot-gateway/targets"
)

// Store keeps sessions, as far as a live one needs it.
type Store interface {
	// Update changes a session in one durable transaction. An error of change leaves it as it was and is returned as it is.
	Update(id string, change func(*journal.Session) error) (journal.Session, error)
	// UpdateSoon is Update for what nobody waits for: it is made before every change that comes after it, and before anybody looks
	// at the session. done is called once it is durable, or has failed.
	UpdateSoon(id string, change func(*journal.Session) error, done func(error))
	// Session returns one, or journal.ErrNotFound.
	Session(id string) (journal.Session, error)
}

// Grants are the standing answers of approvers; *grants.Book is one.
type Grants interface {
	// Hold keeps all grants as they are until release.
	Hold() (release func())
	// Covering finds the grant that a command of a session may run by, nil for none, between Hold and release.
	Covering(session, identity string, o *journal.Operation) *grants.Grant
}

// Config is what a Gate needs.
type Config struct {
	Store   Store
	Blobs   journal.Blobs // nil where files are not changed
	Outputs *output.Folder
	Grants  Grants
	Look    *change.Look
	Log     *slog.Logger
	Now     func() time.Time
	// Rules are those of sessions that begin or are parked now.
	Rules func() *Rules
	// Void says in a few words why what somebody approved for an agent on a target does not count any more, "" where it does.
	Void func(by journal.Identity, agent, target string) string
	// Restarts says that a parked session can be started again. Else none is parked.
	Restarts bool
	// Share says why nothing more may be kept for an identity.
	Share func(identity string) error
	// Publish tells whoever looks on.
	Publish func(about events.Subject, kind string)
	// Working counts something that goes on until done is called.
	Working func() (done func())
	// Ended is told that a session is not alive any more, with its record where it is parked, nil else. done is called once nothing of
	// it goes on.
	Ended func(id string, parked *journal.Session) (done func())
	// Unrecorded is told of a session whose end the store did not take.
	Unrecorded func(id string, why error, at time.Time)
}

// Gate is what all live sessions share. It is passed by every operation: judged first, and then decided on by a human where the
// policy asks.
type Gate struct {
	config   Config
	programs programs
	turns    turns.Turns
}

// New makes a gate.
func New(c Config) *Gate { return &Gate{config: c} }

// Open makes a recorded session alive, until ctx ends or its End. again says that it was parked: its earlier output is discarded.
func (g *Gate) Open(ctx context.Context, s *journal.Session, target targets.Target, again bool) (*Live, error) {
	rules := g.config.Rules()
	out, err := g.config.Outputs.Session(s.ID, rules.Limits.Output)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	target, unuse := targets.For(target, s.Identity, s.ID)
	x := &execution{
		of: g, rules: rules, id: s.ID, identity: s.Identity, target: target, unuse: unuse, env: s.Env, plan: s.Plan, interactive: s.Interactive,
		resumed: again, out: out, ctx: ctx, cancel: cancel, began: g.config.Now(),
	}
	l := &Live{
		execution: x, presence: presence{execution: x, nothingSent: s.NothingSent},
		files:    change.NewWorkspace(change.Config{Target: target, Blobs: g.config.Blobs, Checkpoint: rules.Limits.Checkpoint, Began: x.began}),
		progress: progress{limit: rules.Limits.Operations, share: func() error { return g.config.Share(x.identity) }, count: len(s.Operations)},
		skip:     map[string]bool{}, inflight: map[string]int{},
	}
	if again {
		l.recallReads(s.Reads)
		l.journal = s.Operations
	}
	return l, nil
}

// Discard takes back an Open: nothing of the session has run.
func (l *Live) Discard(cause error) {
	l.cancel(cause)
	l.unuse()
	_ = l.out.Close()
}

// JudgeShell says what the policy makes of a command line of an identity's, which is not run.
func (g *Gate) JudgeShell(ctx context.Context, identity, text string, c policy.Context) (policy.Decision, error) {
	done, err := g.turns.Take(ctx, identity, oneJudgement)
	if err != nil {
		return policy.Decision{}, err
	}
	defer done()
	return g.config.Rules().Judge.Shell(text, c), nil
}
