package command

import (
	"context"
	"fmt"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/targets"
)

// interactiveScript stands in the journal where other sessions have their source.
const interactiveScript = "# interactive: what it runs was typed at a terminal, and is in its output"

// interact is `python3` with a terminal: an interpreter in the sandbox that a human, or whoever holds the key, types
// into, always in the native engine, which alone has terminals. The session ends with the connection, since nobody could ever type into it again.
func (v *Verbs) interact(ctx context.Context, c *invocation, flags runFlags) int {
	target, status := v.target(ctx, c, flags.target)
	if target == nil {
		return status
	}
	return v.atTerminal(ctx, c, flags, target, approvals.Request{Engine: config.NativeEngine, Script: interactiveScript})
}

// atTerminal starts a session that has the client's terminal for its own, and follows it: keys reach the script, Ctrl-C as a signal.
// What was typed is not kept, so that it cannot be run again.
func (v *Verbs) atTerminal(ctx context.Context, c *invocation, flags runFlags, target targets.Target, r approvals.Request) int {
	r.Identity, r.Target, r.Plan, r.Interactive = c.Identity, target, flags.plan, true
	r.Name, r.Analysis = flags.name, flags.analysis
	r.Queued = func(why string) { c.notice("%s", render.Line(why)) }
	id, leave, err := v.Runner.Interact(ctx, r, c.Terminal, c.Stdin)
	if err != nil {
		return c.fail(id, fmt.Errorf("start the session: %w", err))
	}
	defer leave()
	call := *c.Call
	call.Stdout = call.Terminal.Raw
	own := *c
	own.Call = &call
	status := v.follow(ctx, &own, id, flags.limit(), followed{typed: true}, leave)
	if ctx.Err() != nil {
		_, _ = v.Sessions.Cancel(context.WithoutCancel(ctx), id, c.Identity)
	}
	return status
}
