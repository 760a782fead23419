package command

import (
	"context"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/gateway/tui"
)

// Service is what the verbs ask of the service that keeps sessions, which approvals.Manager is. Every method checks by
// itself what the identity may see and do; see there for the errors.
type Service interface {
	tui.Backend

	// Of sessions.
	Cancel(ctx context.Context, id string, by approvals.Identity) (approvals.Session, error)
	Output(by approvals.Identity, id string, fn func(approvals.Chunk) error) error
	Reads(s approvals.Session) (*approvals.Reads, []string, error)
	Counts(by approvals.Identity) (running, held, parked int)
	Check(ctx context.Context) error

	// Of a client that waits for its session.
	Attend(ctx context.Context, id string) (leave func())
	Unparked(ctx context.Context, by approvals.Identity, id string, patience <-chan time.Time) (approvals.Session, error)

	// Of groups.
	NewGroup() (string, error)
	Group(by approvals.Identity, group string) (shown []approvals.Session, others int, err error)
	ApproveGroup(ctx context.Context, shown []approvals.Session, by approvals.Identity, a approvals.Approval) ([]approvals.Session, error)

	// Of grants and the policy.
	Grants(by approvals.Identity, all bool) []approvals.Grant
	Revoke(ctx context.Context, n int, by approvals.Identity) (approvals.Grant, error)
	Void(g *approvals.Grant) string
	JudgeShell(ctx context.Context, by approvals.Identity, text string, c policy.Context) (policy.Decision, error)
}

var _ Service = (*approvals.Manager)(nil)
