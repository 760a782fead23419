package command

import (
	"context"
	"fmt"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
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
	id, leave, err := v.Runner.Interact(ctx, approvals.Request{
		Identity: c.Identity, Target: target, Engine: config.NativeEngine, Script: interactiveScript, Interactive: true,
		Queued: func(why string) { c.notice("%s", render.Line(why)) },
	}, c.Terminal, c.Stdin)
	if err != nil {
		return c.fail(id, fmt.Errorf("start the session: %w", err))
	}
	defer leave()
	call := *c.Call
	call.Stdout = call.Terminal.Raw
	own := *c
	own.Call = &call
	status = v.follow(ctx, &own, id, flags.limit(), followed{}, leave)
	if ctx.Err() != nil {
		_, _ = v.Sessions.Cancel(context.WithoutCancel(ctx), id, c.Identity)
	}
	return status
}
