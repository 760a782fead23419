package gateway

import (
	"fmt"
	"runtime/debug"

	"charm.land/ssh"
	"charm.land/wish/v2"

	"shannot-gateway/gateway/command"
)

// newServer makes the server of what runs in session channels: Wish's, with a middleware for each thing that comes before
// a verb runs. It never listens. accept takes connections in and serverConfig finds identities, before there is a
// channel.
func (g *Gateway) newServer() (*ssh.Server, error) {
	hostKeys := func(s *ssh.Server) error { // else the library would make one, and keep it in a file
		for _, key := range g.options.HostKeys {
			s.AddHostKey(key.Signer)
		}
		return nil
	}
	return wish.NewServer(hostKeys,
		ssh.EmulatePty(), // terminals are no more than a change of line ends
		wish.WithSubsystem(sftpSubsystem, ssh.SubsystemHandler(g.faults(g.present(g.relay)))),
		wish.WithMiddleware( // what comes first stands innermost
			g.commands,
			g.copies,
			g.present,
			g.faults,
		),
	)
}

// faults keeps a panic in one channel, whose client gets an exit status all the same.
func (g *Gateway) faults(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		defer func() {
			if p := recover(); p != nil {
				g.log.Error("panic in a channel", "panic", p, "stack", string(debug.Stack()))
				_ = s.Exit(command.ExitFault)
			}
		}()
		next(s)
	}
}

// present lets a client through who is still in the configuration. It notes who that is and which settings are in force,
// for all that follows in the channel, whatever a reload changes meanwhile.
func (g *Gateway) present(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		ctx := channelOf(s)
		if ctx.now, ctx.who = g.current(ctx.member); ctx.who == nil {
			_, _ = fmt.Fprintf(s.Stderr(), "shannot: %v\n", errTakenAway)
			_ = s.Exit(command.ExitNotPermitted)
			return
		}
		next(s)
	}
}

// copies serves scp's old protocol.
func (g *Gateway) copies(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		if status, ok := g.copied(channelOf(s), s); ok {
			_ = s.Exit(status)
			return
		}
		next(s)
	}
}

// commands runs a command line to its exit status. Nothing comes after it.
func (g *Gateway) commands(ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		ctx := channelOf(s)
		call := &command.Call{
			Identity: ctx.who.identity, Targets: ctx.who.targets,
			Line: s.RawCommand(), Stdin: s, Stdout: s, Stderr: s.Stderr(),
		}
		// The sizes are taken until the channel's end: the library's request loop waits for it.
		pty, sizes, isTerminal := s.Pty()
		if isTerminal {
			call.Terminal = terminal(pty, sizes)
			call.Terminal.Raw, call.Terminal.Environ = ctx.raw, s.Environ()
		}
		g.log.Info("command", "identity", call.Identity.Name, "key", call.Identity.Fingerprint,
			"address", s.RemoteAddr().String(), "verb", command.VerbOf(call.Line))
		_ = s.Exit(ctx.now.verbs.Run(ctx, call))
	}
}

// channelOf is the context of a session's channel, which is always the gateway's own: see session.
func channelOf(s ssh.Session) *channelContext {
	ctx, ok := s.Context().(*channelContext)
	if !ok {
		panic(fmt.Sprintf("a session with a context of the kind %T", s.Context()))
	}
	return ctx
}
