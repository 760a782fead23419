package gate

import (
	"context"
	"io"
	"sync"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// Live is a session that is alive: its script runs, or waits inside an operation. Each of its parts guards its own state.
//
// The order of locks, the first one taken first:
//
//  1. Live.committing
//  2. Live.intake
//  3. the lock of grants.Book
//  4. the lock of lifecycle.Sessions
//  5. the lock of places.Places
//  6. presence.mu, progress.mu, readList.mu and the lock of events.Bus, none of them inside another
//
// A change in the store takes those of 6 at most. Nobody waits for the store, a target or a human with one of 4 to 6.
type Live struct {
	*execution
	presence
	files *change.Workspace // guarded by intake while it collects
	progress

	intake sync.Mutex // operations are taken in one at a time, so that their order is the journal's
	// Guarded by intake.
	skip     map[string]bool // digests of changes that nobody is asked about again
	inflight map[string]int  // digests of changes that wait: their operations
	exit     int             // how the script ended, once it has

	reads readList // files that the script has opened

	committing sync.Mutex // changes are made one at a time
	placed     placed     // files of scratch that are on the target, with committing
}

// execution is one run of a session's script, from its start to its end. It does not change.
type execution struct {
	of       *Gate
	rules    *Rules // those of when it began
	id       string
	identity string
	target   targets.Target
	unuse    func() // ends the session's use of it
	env      []string
	plan     bool
	// interactive sessions are never parked
	interactive bool
	resumed     bool // it was parked
	out         *output.Recording
	ctx         context.Context
	cancel      context.CancelCauseFunc
	began       time.Time
}

// ID is the session's id.
func (l *execution) ID() string { return l.id }

// Target is the session's target, with connections of the session's own where the target is one that keeps them apart.
func (l *execution) Target() targets.Target { return l.target }

// Context ends when the session must. context.Cause says why: ErrCancelled, ErrParked, ErrShutdown.
func (l *execution) Context() context.Context { return l.ctx }

// Stdout records what the script writes to standard output. A write fails with ErrOutputLimit past the limit.
func (l *execution) Stdout() io.Writer { return l.out.Writer(output.Stdout) }

// Stderr is Stdout for standard error. Both share the limit.
func (l *execution) Stderr() io.Writer { return l.out.Writer(output.Stderr) }

// Notice says something on the gateway's behalf, one line. Arguments are rendered as render.Format does it.
func (l *execution) Notice(format render.Words, args ...any) {
	_, _ = l.out.Add(output.Notice, []byte(render.Format(format, args...).String()))
}

// Stop ends the session as a cancellation does; cause is the cause of its context.
func (l *execution) Stop(cause error) { l.cancel(cause) }

// sayCurrent records the status that the journal has.
func (l *execution) sayCurrent() {
	if s, err := l.of.config.Store.Session(l.id); err == nil {
		l.say(s.Status)
	}
}

// say records a change of status for followers.
func (l *execution) say(s journal.Status) { _, _ = l.out.Add(output.State, []byte(s)) }

// Subject is the session as the subject of an event.
func (l *execution) Subject() events.Subject {
	return events.Subject{Session: l.id, Identity: l.identity, Target: l.target.Name()}
}

// SetFiles gives the session the view whose changes it is to make on the target. hidden says which paths the read policy does not
// show. It is called once, before the script runs; without it nothing of files is changed.
func (l *Live) SetFiles(view change.Files, hidden func(path string) bool) {
	l.files.SetFiles(view, hidden)
}

// Source is what a script's view is laid over: the target's files, or for a script that runs again what they were before its own
// changes were made.
func (l *Live) Source(base vfs.Source) vfs.Source { return l.files.Source(base, l.journal) }

// Began is when the run of its script began.
func (l *execution) Began() time.Time { return l.began }

// Follow calls fn with the session's output from its start, as it comes, until the session is not alive any more.
func (l *execution) Follow(ctx context.Context, fn func(output.Chunk) error) error {
	return l.out.Follow(ctx, fn)
}
