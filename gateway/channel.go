package gateway

import (
	"context"
	"strings"
	"sync"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// maxCommand is the longest command line that is taken, in bytes.
const maxCommand = 256 << 10

// channelContext is the context of one session channel: it ends with the channel, not only with the connection, and
// it knows who authenticated.
type channelContext struct {
	ssh.Context
	ctx    context.Context
	member *member
	raw    gossh.Channel // once it is open, without the library's change of line ends for terminals
}

// Done implements context.Context.
func (c *channelContext) Done() <-chan struct{} { return c.ctx.Done() }

// Err implements context.Context.
func (c *channelContext) Err() error { return c.ctx.Err() }

// session is the handler of session channels. The library's own handler does the work; it sees only the requests
// that pass the filter, and a channel that ends as it should.
func (g *Gateway) session(srv *ssh.Server, conn *gossh.ServerConn, offered gossh.NewChannel, ctx ssh.Context) {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	m := memberOf(conn)
	if c == nil || m == nil {
		_ = offered.Reject(gossh.Prohibited, "not authenticated")
		return
	}
	if !c.open(conn) {
		_ = offered.Reject(gossh.ResourceShortage, "too many sessions in this connection")
		return
	}
	defer c.done()
	// Whoever lost their key before the connection was in the table with it is found here, see Reload.
	if _, who := g.current(m); who == nil {
		_ = offered.Reject(gossh.Prohibited, errTakenAway.Error())
		return
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	// A handler that still runs when its channel is gone is waited for: it counts as a session of the connection.
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	handler := &ssh.Server{
		SubsystemHandlers: map[string]ssh.SubsystemHandler{sftpSubsystem: func(s ssh.Session) {
			defer running.Done()
			g.relay(s)
		}},
		// Asked on the request loop, before the handler's goroutine exists.
		SessionRequestCallback: func(ssh.Session, string) bool {
			running.Add(1)
			return true
		},
		Handler: func(s ssh.Session) {
			defer running.Done()
			g.handle(s)
		},
		PtyHandler: srv.PtyHandler,
	}
	channel := &channelContext{Context: ctx, ctx: own, member: m}
	ssh.DefaultSessionHandler(handler, conn, &filteredChannel{NewChannel: offered, gone: cancel, opened: func(c gossh.Channel) { channel.raw = c }}, channel)
}

// filteredChannel is a channel on offer whose requests will be filtered.
type filteredChannel struct {
	gossh.NewChannel
	opened func(gossh.Channel) // called before any request
	gone   func()              // called when no request can come any more: the channel is closed
}

// Accept implements gossh.NewChannel.
func (f *filteredChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	channel, requests, err := f.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	passed := make(chan *gossh.Request)
	go func() {
		defer close(passed)
		defer f.gone()
		started := false
		for r := range requests {
			// Nobody takes a window's size before the handler runs.
			if allowedRequest(r) && (started || r.Type != "window-change") {
				started = started || r.Type == "exec" || r.Type == "shell" || r.Type == "subsystem"
				passed <- r
			} else if r.WantReply {
				_ = r.Reply(false, nil)
			}
		}
	}()
	ordered := &orderedChannel{Channel: channel}
	f.opened(ordered)
	return ordered, passed, nil
}

// allowedRequest is the list of what a session channel may ask. Not in it: auth-agent-req and x11-req (forwarding),
// subsystem, break, xon-xoff and what nobody knows. Of env there is what a terminal says about its colours, which
// reaches the approval screen alone: the environment of a command is the gateway's to choose.
func allowedRequest(r *gossh.Request) bool {
	switch r.Type {
	case "exec":
		var payload struct{ Command string }
		return gossh.Unmarshal(r.Payload, &payload) == nil && len(payload.Command) <= maxCommand &&
			!strings.ContainsRune(payload.Command, 0)
	case "env":
		var payload struct{ Name, Value string }
		return gossh.Unmarshal(r.Payload, &payload) == nil && (payload.Name == "NO_COLOR" || payload.Name == "COLORTERM") &&
			len(payload.Value) <= maxColourValue && printable(payload.Value) == payload.Value
	case "subsystem":
		var payload struct{ Name string }
		return gossh.Unmarshal(r.Payload, &payload) == nil && payload.Name == sftpSubsystem
	case "shell", "pty-req", "window-change", "signal":
		return true
	}
	return false
}

// maxColourValue bounds a variable that says something about colours, in bytes.
const maxColourValue = 32

// orderedChannel ends a channel with EOF before the close, after the exit status: RFC 4254 wants no data after EOF,
// and clients that wait for EOF would otherwise take the close for a broken connection.
type orderedChannel struct{ gossh.Channel }

// Close implements gossh.Channel.
func (o *orderedChannel) Close() error {
	_ = o.CloseWrite()
	return o.Channel.Close()
}
