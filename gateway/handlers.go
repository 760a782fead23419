package gateway

import (
	"fmt"

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
	relay := ssh.Handler(g.relay)
	for _, wrap := range g.around() { // a subsystem has no middlewares of its own
		relay = wrap(relay)
	}
	return wish.NewServer(hostKeys,
		ssh.EmulatePty(), // terminals are no more than a change of line ends
		wish.WithSubsystem(sftpSubsystem, ssh.SubsystemHandler(relay)),
		wish.WithMiddleware(append([]wish.Middleware{g.commands, g.copies}, g.around()...)...), // what comes first stands innermost
	)
}

// present lets a client through who is still in the configuration. It notes who that is and which settings are in force,
// for all that follows in the channel, whatever a reload changes meanwhile.
func (g *Gateway) present(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		ctx := channelOf(s)
		if ctx.now, ctx.who = g.current(ctx.member); ctx.who == nil {
			wish.Errorf(s, "shannot: %v\n", errTakenAway)
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
			Line: s.RawCommand(), Stdin: s, Stdout: s, Stderr: s.Stderr(), Signals: ctx.signals,
		}
		// The sizes are taken until the channel's end: the library's request loop waits for it.
		pty, sizes, isTerminal := s.Pty()
		if isTerminal {
			call.Terminal = terminal(pty, sizes)
			call.Terminal.Raw, call.Terminal.Environ = ctx.raw, s.Environ()
		}
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
