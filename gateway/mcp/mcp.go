// Package mcp is the Model Context Protocol (https://modelcontextprotocol.io, versions 2024-11-05 to 2026-07-28) on the channel of an
// agent. Each tool is a line of a verb, which it gives to gateway/command, and what that answers in JSON, put into words for a model.
// So nothing is judged, decided or rendered here: the package knows no session and no policy, and must never come to know them. An
// answer to an elicitation would come by the agent's key, so none is asked for. Begin with Serve; tools.go has the tools,
// context.go resources and prompts, watch.go who is told of changes, tasks.go the extension for calls that last, call.go how a call becomes
// a line, answer.go what a model reads, wire.go the lines of a hostile client, batch.go several messages in one.
package mcp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// Options are what a server serves with.
type Options struct {
	Stdin   io.Reader // messages of the client, one a line
	Stdout  io.Writer // of the server; nothing else is written there
	Version string    // of the gateway
	Log     *slog.Logger
	// Run does what a call's line says and returns the exit status, see command.Verbs. It fills in who asks.
	Run func(ctx context.Context, call *command.Call) int
	// Expire is how long what waits for a human does so at most, and so how long a task is good for; 0 without limit.
	Expire func() time.Duration
	// Changed delivers the ids of sessions of the client that have changed, "" where any may have, until ctx ends.
	Changed func(ctx context.Context) <-chan string
}

// instructions are what a client's model is told of the server as a whole.
const instructions = `Shannot gateway: safe access to servers. Reading and harmless commands run at once. What changes something waits for a human, ` +
	`who sees exactly what would run: the tool then answers status pending_approval with a session id. Tell your user, go on with other work or ` +
	`call session_result later; do not ask for the same thing again and do not look for a way around a denial.`

// Serve serves until the client's messages end, or ctx, and returns an exit status. What the client has left then waits on as that
// of an ssh client that leaves.
func Serve(ctx context.Context, o Options) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{Options: o}
	var leave context.CancelFunc
	s.connection, leave = context.WithCancel(ctx)
	defer s.background.Wait()
	defer leave()
	capabilities := &sdk.ServerCapabilities{} // else logging is offered
	capabilities.AddExtension(tasksExtension, nil)
	server := sdk.NewServer(&sdk.Implementation{Name: "shannot-gateway", Title: "Shannot gateway", Version: o.Version}, &sdk.ServerOptions{
		Instructions: instructions, Capabilities: capabilities, SubscribeHandler: s.subscribe, UnsubscribeHandler: s.unsubscribe,
	})
	s.sdk = server
	if err := s.addTasks(server); err != nil {
		o.Log.Error("an MCP server cannot begin", "error", err)
		return command.ExitFault
	}
	s.addTools(server)
	s.addResources(server)
	addPrompts(server)
	w := newWire(o.Stdin, o.Stdout)
	defer context.AfterFunc(ctx, func() { _ = w.Close() })()
	session, err := server.Connect(ctx, &transport{w}, nil)
	if err == nil {
		err = session.Wait() // for the calls that it has begun, too: they end with the connection
	}
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		o.Log.Info("an MCP connection ended", "error", err)
		return command.ExitFault
	}
	return command.ExitOK
}
