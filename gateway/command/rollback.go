package command

import (
	"context"
	"errors"
	"fmt"

	"shannot-gateway/approvals"
)

// rollback is `rollback ID [--force] [--plan]`: restores what a session's files held before it. A line for each file
// tells what is done with it, or with --plan would be.
func (v *Verbs) rollback(ctx context.Context, c *invocation) int {
	var force, plan bool
	f := c.flags()
	f.BoolVar(&force, "force", false, "")
	f.BoolVar(&plan, "plan", false, "")
	id, err := oneID(f, c.args)
	if err != nil {
		return c.usage(err)
	}
	if _, err := v.Sessions.Session(c.Identity, id); err != nil {
		return c.fail(id, err)
	}
	steps, err := v.Sessions.Rollback(ctx, id, c.Identity, force, plan)
	for _, s := range steps {
		line := s.Summary
		if s.Problem != "" {
			line += "  -- " + s.Problem
			if s.Forced && !force {
				line += " (--force overrides)"
			}
		}
		_, _ = fmt.Fprintln(c.text(), line)
	}
	var conflict *approvals.Conflict
	switch {
	case err == nil && plan:
		c.notice("session %s: a plan; nothing was done", id)
	case err == nil:
		c.notice("session %s: rolled back", id)
	case errors.Is(err, approvals.ErrChangedSince), errors.As(err, &conflict):
		c.notice("%s", rendered(err.Error()))
		return ExitConflict
	default:
		return c.fail(id, err)
	}
	return ExitOK
}
