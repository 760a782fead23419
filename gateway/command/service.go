package command

import (
	"context"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/gateway/tui"
)

// Service is what the verbs ask of the service that keeps sessions, which approvals.Manager is. Every method checks by
// itself what the identity may see and do; see there for the errors.
type Service interface {
	tui.Backend

	// Of sessions.
	Cancel(ctx context.Context, id string, by journal.Identity) (journal.Session, error)
	Output(by journal.Identity, id string, fn func(output.Chunk) error) error
	Reads(s journal.Session) (*journal.Reads, []string, error)
	Counts(by journal.Identity) (running, held, parked int)
	Check(ctx context.Context) error

	Rehearse(ctx context.Context, id string, by journal.Identity, n int) (*rehearsal.Result, error)

	// Of a client that waits for its session.
	Attend(ctx context.Context, id string) (leave func())
	Unparked(ctx context.Context, by journal.Identity, id string, patience <-chan time.Time) (journal.Session, error)

	// Of groups.
	NewGroup() (string, error)
	Group(by journal.Identity, group string) (shown []journal.Session, others int, err error)
	ApproveGroup(ctx context.Context, shown []journal.Session, by journal.Identity, a decision.Approval) ([]journal.Session, error)

	// Of grants and the policy.
	Grants(by journal.Identity, all bool) []grants.Grant
	Revoke(ctx context.Context, n int, by journal.Identity) (grants.Grant, error)
	Void(g *grants.Grant) string
	JudgeShell(ctx context.Context, by journal.Identity, text string, c policy.Context) (policy.Decision, error)
}

var _ Service = (*approvals.Manager)(nil)
