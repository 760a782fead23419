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
	// Place says where the target is, for people.
	Place() string
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
