package targets

import (
	"context"

	"shannot-gateway/vfs"
)

// Remote is a Target that has to be connected to, and whose files are looked at through a view of a session's own.
type Remote interface {
	Target
	// Connect makes sure that the target can be used now, and learns what Account and Uname say.
	Connect(ctx context.Context) error
	// View makes a view of the target's files. It connects when it is first asked.
	View(o ViewOptions) View
	// For returns the target for a session of an identity; "" is what comes before a session. Its connections may be
	// nobody else's, so that the target's own log tells sessions apart. Close it.
	For(identity, session string) Remote
	// Close ends this use of the target, and that which For was not asked for, all others too.
	Close() error
	// Connections says what the gateway has of the target now. It asks the target for nothing.
	Connections() Connections
	// Place says where the target is, for people.
	Place() string
}

// Connections are those to one target, of all its uses.
type Connections struct {
	Open     int   // that stand
	Channels int   // of them that are in use: commands, and sessions that read files
	Problem  error // why the last attempt to connect failed, nil where it did not
}

// ViewOptions are what a session wants of its view.
type ViewOptions struct {
	// Policy says what the session may see: only that is asked for before the script asks for it. nil reads nothing
	// ahead.
	Policy *vfs.Policy
	// Tell is told in one line, once, why reading fails where an errno cannot say it. Its words hold what a target said.
	Tell func(line string)
}

// View is a target's files as one session sees them.
type View interface {
	vfs.Source
	// Forget drops what is remembered: a command may have changed it.
	Forget()
	// Close ends what is under way.
	Close() error
}

// For is Remote.For for any target, and done closes it.
func For(t Target, identity, session string) (used Target, done func()) {
	r, ok := t.(Remote)
	if !ok {
		return t, func() {}
	}
	r = r.For(identity, session)
	return r, func() { _ = r.Close() }
}
