package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/rollback"
)

// newRollback is `rollback ID [--force] [--plan]`.
func newRollback() *verb {
	var force, plan bool
	r := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "rollback ID [--force] [--plan]",
		Short: "undo a session's changes of files; --plan: show how",
		Long: `Restores what the files that a session changed held before it: content, mode, owner, and absence. Nothing is done where ` +
			`one of them has changed since.`,
		Example: `ssh HOST rollback ID --plan
ssh HOST rollback ID`,
	}}
	r.Flags().BoolVar(&force, "force", false, "restore what has changed since, too: that change is lost")
	r.Flags().BoolVar(&plan, "plan", false, "only list what would be done")
	r.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.rollback(ctx, c, force, plan) }
	return r
}

// rollback restores what a session's files held before it. A line for each file tells what is done with it, or with plan
// would be.
func (v *Verbs) rollback(ctx context.Context, c *invocation, force, plan bool) int {
	id, err := c.oneID()
	if err != nil {
		return c.usage(err)
	}
	if _, err := v.Sessions.Session(c.Identity, id); err != nil {
		return c.fail(id, err)
	}
	steps, err := v.Sessions.Rollback(ctx, id, c.Identity, force, plan)
	for _, s := range steps {
		line := s.Summary
		if !s.Problem.Empty() {
			line = render.Format("%s  -- %s", line, s.Problem)
			if s.Forced && !force {
				line = render.Format("%s (--force overrides)", line)
			}
		}
		_, _ = fmt.Fprintln(c.text(), line)
	}
	var conflict *journal.ConflictError
	switch {
	case err == nil && plan:
		c.notice("session %s: a plan; nothing was done", id)
	case err == nil:
		c.notice("session %s: rolled back", id)
	case errors.Is(err, rollback.ErrChangedSince), errors.As(err, &conflict):
		c.notice("%s", render.Stored(err.Error()))
		return ExitConflict
	default:
		return c.fail(id, err)
	}
	return ExitOK
}
