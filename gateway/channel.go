package gateway

import (
	"context"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/admission"
)

// maxCommand is the longest command line that is taken, in bytes.
const maxCommand = 256 << 10

// channelContext is the context of one session channel. It ends with the channel, not only with the connection, and it
// knows who authenticated.
type channelContext struct {
	ssh.Context
	ctx    context.Context
	member *member
	raw    gossh.Channel // once it is open, without the library's change of line ends for terminals
	// now is what was in force, and who the client was in it, when the work in the channel began.
	now *settings
	who *member
	// signals are those that the client sends to what runs.
	signals chan syscall.Signal
}

// maxSignals is how many signals wait to be taken. More are dropped: one is enough.
const maxSignals = 4

// signalled notes a signal request (RFC 4254, section 6.9) of those that end something.
func (c *channelContext) signalled(r *gossh.Request) {
	var payload struct{ Name string }
	if gossh.Unmarshal(r.Payload, &payload) != nil {
		return
	}
	sig, ok := map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	}[payload.Name]
	if !ok {
		return
	}
	select {
	case c.signals <- sig:
	default:
	}
}

// Done implements context.Context.
func (c *channelContext) Done() <-chan struct{} { return c.ctx.Done() }

// Err implements context.Context.
func (c *channelContext) Err() error { return c.ctx.Err() }

// offered takes a session channel that a client wants to open, or refuses it. It does not wait for the client.
func (g *Gateway) offered(ctx ssh.Context, c *connection, conn *gossh.ServerConn, offered gossh.NewChannel) {
	m := memberOf(conn)
	if m == nil {
		_ = offered.Reject(gossh.Prohibited, "not authenticated")
		return
	}
	if !c.open(conn) {
		_ = offered.Reject(gossh.ResourceShortage, "too many sessions in this connection")
		return
	}
	// Whoever lost their key before the connection was in the table with it is found here, see Reload.
	if _, who := g.current(m); who == nil {
		_ = offered.Reject(gossh.Prohibited, errTakenAway.Error())
		c.done()
		return
	}
	go func() {
		defer c.done()
		defer g.recovered("channel")
		g.session(ctx, c, conn, m, offered)
	}()
}

// session serves a session channel. The library's own handler does the work, with what newServer has made of it. It sees
// only the requests that pass the filter, and a channel that ends as it should.
func (g *Gateway) session(ctx ssh.Context, c *connection, conn *gossh.ServerConn, m *member, offered gossh.NewChannel) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	// A handler that still runs when its channel is gone is waited for: it counts as a session of the connection.
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	counted := func(handle func(ssh.Session)) func(ssh.Session) {
		return func(s ssh.Session) {
			defer func() {
				c.worked()
				running.Done()
			}()
			handle(s)
		}
	}
	handler := &ssh.Server{
		SubsystemHandlers: map[string]ssh.SubsystemHandler{sftpSubsystem: counted(g.server.SubsystemHandlers[sftpSubsystem])},
		// Asked on the request loop, before the handler's goroutine exists.
		SessionRequestCallback: func(ssh.Session, string) bool {
			running.Add(1)
			c.works()
			return true
		},
		Handler:    counted(g.server.Handler),
		PtyHandler: g.server.PtyHandler,
	}
	channel := &channelContext{Context: ctx, ctx: own, member: m, signals: make(chan syscall.Signal, maxSignals)}
	ssh.DefaultSessionHandler(handler, conn, &filteredChannel{
		NewChannel: offered, gone: cancel, meter: c.meter.Load(), patience: c.table.limits.Load().Request,
		opened: func(c gossh.Channel) { channel.raw = c }, signalled: channel.signalled,
	}, channel)
}

// filteredChannel is a channel on offer whose requests will be filtered.
type filteredChannel struct {
	gossh.NewChannel
	meter    *admission.Meter
	patience time.Duration       // until something is asked for; then the channel is closed
	opened   func(gossh.Channel) // called before any request
	gone     func()              // called when no request can come any more: the channel is closed
	// signalled takes the requests that are signals. The library's session would let a client that sends many of them block.
	signalled func(*gossh.Request)
}

// Accept implements gossh.NewChannel.
func (f *filteredChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	channel, requests, err := f.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	metered := newMeteredChannel(channel, f.meter)
	ordered := &orderedChannel{Channel: metered}
	f.opened(ordered)
	passed := make(chan *gossh.Request)
	unasked := time.AfterFunc(f.patience, func() { _ = ordered.Close() })
	go func() {
		defer close(passed)
		defer f.gone()
		defer metered.stream.Close()
		defer unasked.Stop()
		var seen filter
		for r := range requests {
			before := seen.started
			ok := seen.passes(r)
			if ok && r.Type == "signal" {
				f.signalled(r)
				ok = false // and it is answered, if it wants to be
			}
			if ok && seen.started && !before {
				ok = unasked.Stop() // else it is being closed
				metered.stream.Keep(len(r.Payload))
			}
			if !ok {
				if r.WantReply {
					_ = r.Reply(false, nil)
				}
				continue
			}
			passed <- r
		}
	}()
	return ordered, passed, nil
}

// filter is what was asked for in one channel.
type filter struct {
	started   bool
	variables int
}

// passes reports whether a request may be seen by the library's session.
func (f *filter) passes(r *gossh.Request) bool {
	if !allowedRequest(r) {
		return false
	}
	switch r.Type {
	case "exec", "shell", "subsystem":
		if f.started {
			return false
		}
		f.started = true
	case "window-change": // nobody takes a window's size before the handler runs
		return f.started
	case "env": // the session keeps all
		f.variables++
		return f.variables <= maxVariables
	}
	return true
}

// allowedRequest is the list of what a session channel may ask. It leaves out auth-agent-req and x11-req (forwarding),
// subsystem, break, xon-xoff and what nobody knows. Of env it has what a terminal says about its colours, which reaches
// the approval screen alone: the gateway chooses the environment of a command.
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
	case "shell":
		return len(r.Payload) == 0 // the library would take one for a command line
	case "pty-req":
		return len(r.Payload) <= maxTerminal
	case "window-change", "signal":
		return len(r.Payload) <= maxNote
	}
	return false
}

// What a session keeps of its client's requests.
const (
	maxColourValue = 32      // of a variable that says something about colours, in bytes
	maxVariables   = 8       // of them
	maxTerminal    = 4 << 10 // of what describes a terminal, in bytes
	maxNote        = 64      // of a window's size or a signal, in bytes
)

// meteredChannel counts what is read of a channel.
type meteredChannel struct {
	gossh.Channel
	stream *admission.Stream
	throw  sync.Once
}

func newMeteredChannel(c gossh.Channel, m *admission.Meter) *meteredChannel {
	stream := m.Stream(func() bool {
		n, _ := c.Read(make([]byte, 1))
		return n == 0
	})
	go func() { // nothing has a use for what a client sends as standard error; it would be kept
		for piece := make([]byte, 512); ; {
			n, err := c.Stderr().Read(piece)
			stream.Skipped(n)
			if err != nil {
				return
			}
		}
	}()
	return &meteredChannel{Channel: c, stream: stream}
}

// Read implements gossh.Channel.
func (m *meteredChannel) Read(p []byte) (int, error) {
	m.stream.Reads()
	n, err := m.Channel.Read(p)
	m.stream.Read(n, err != nil)
	return n, err
}

// Close implements gossh.Channel. What is in the channel, and comes until its client closes it too, is thrown away.
func (m *meteredChannel) Close() error {
	err := m.Channel.Close()
	m.throw.Do(func() { go func() { _, _ = io.Copy(io.Discard, onlyReader{m}) }() })
	return err
}

// onlyReader hides everything else that a reader can do.
type onlyReader struct{ io.Reader }

// orderedChannel ends a channel with EOF before the close, after the exit status. RFC 4254 wants no data after EOF, and
// clients that wait for EOF would take the close for a broken connection. While the library's channel is being ended, it
// lets nobody write, or end it a second time. No two write into one of its streams at once: they would share a buffer. If
// somebody still writes when it is to be closed, there is no EOF: a write may wait for its client for ever, and the close
// ends it.
type orderedChannel struct {
	gossh.Channel

	stdout, stderr sync.Mutex // held while somebody writes into the stream

	mu      sync.Mutex
	writing int
	ended   bool
}

// CloseWrite implements gossh.Channel.
func (o *orderedChannel) CloseWrite() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.writing > 0 {
		return nil
	}
	o.ended = true
	return o.Channel.CloseWrite()
}

// Close implements gossh.Channel.
func (o *orderedChannel) Close() error {
	_ = o.CloseWrite()
	return o.Channel.Close()
}

// Write implements gossh.Channel.
func (o *orderedChannel) Write(p []byte) (int, error) { return o.write(&o.stdout, o.Channel, p) }

// Stderr implements gossh.Channel.
func (o *orderedChannel) Stderr() io.ReadWriter { return orderedStderr{o.Channel.Stderr(), o} }

// orderedStderr is the other stream of an orderedChannel.
type orderedStderr struct {
	io.ReadWriter
	channel *orderedChannel
}

// Write implements io.Writer.
func (o orderedStderr) Write(p []byte) (int, error) {
	return o.channel.write(&o.channel.stderr, o.ReadWriter, p)
}

func (o *orderedChannel) write(stream *sync.Mutex, to io.Writer, p []byte) (int, error) {
	o.mu.Lock()
	if o.ended {
		o.mu.Unlock()
		return 0, io.EOF
	}
	o.writing++
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.writing--
	}()
	stream.Lock()
	defer stream.Unlock()
	return to.Write(p)
}
