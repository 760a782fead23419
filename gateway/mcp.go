package gateway

import (
	"context"
	"fmt"

	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/mcp"
)

// serveMCP serves the Model Context Protocol on a call's streams. Each of its calls goes by the settings that are in force then: a
// client may stay for days.
func (g *Gateway) serveMCP(ctx context.Context, call *command.Call) int {
	return mcp.Serve(ctx, mcp.Options{
		Stdin: call.Stdin, Stdout: call.Stdout, Version: g.options.Version, Log: g.log.With("identity", call.Identity.Name),
		Run: func(ctx context.Context, one *command.Call) int {
			now := g.settings.Load()
			m := now.keys.of(call.Identity)
			if m == nil {
				_, _ = fmt.Fprintln(one.Stderr, errTakenAway)
				return command.ExitNotPermitted
			}
			one.Identity, one.Targets = m.identity, m.targets
			return now.verbs.Run(ctx, one)
		},
	})
}
