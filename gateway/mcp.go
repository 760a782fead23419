package gateway

import (
	"context"
	"fmt"
	"time"

	"shannot-gateway/approvals/events"
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
		Expire:  func() time.Duration { return g.settings.Load().Config.Limits.Expire },
		Changed: func(ctx context.Context) <-chan string { return g.changes(ctx, call) },
	})
}

// changes delivers the ids of sessions that the caller sees and that have changed, "" where any may have.
func (g *Gateway) changes(ctx context.Context, call *command.Call) <-chan string {
	out := make(chan string)
	events := g.settings.Load().verbs.Sessions.Subscribe(ctx, call.Identity)
	go func() { // ends with the events, which end with ctx
		defer close(out)
		for e := range events {
			select {
			case out <- changedBy(e):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// changedBy is the session that an event is about, "" for any.
func changedBy(e events.Event) string {
	if e.Kind == events.Lost || e.Kind == events.Reloaded {
		return ""
	}
	return e.Session
}
