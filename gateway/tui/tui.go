// Package tui is the approval screen: what an approver sees after `ssh -t shannot@host approve`. It shows the sessions that
// wait, one session with its script, operations and output, and everything that an operation's digest covers. It hands the
// human's decision to the backend together with the digest that was on the screen. It knows the service that approvals
// offers and the renderer, and no connection: it gets a reader, a writer and a size. Begin with Run in this file and
// model.go; plain.go is the same in lines.
//
// It must never decide anything itself, never print untrusted text that did not pass approvals/render, and never offer to
// approve what has not been on the screen in full. It must never touch the process that it runs in: it reads no environment
// and no terminal of the server, installs no signal handler, and starts no program. Many screens run side by side in one
// server, each belonging to one connection.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/rollback"
)

// Size is the size of the terminal's window in character cells.
type Size struct{ Width, Height int }

// Backend is what the screen needs of the approvals; *approvals.Manager implements it. Its answers are copies, and only
// about what the human may see.
type Backend interface {
	Sessions(by journal.Identity, f approvals.Filter) ([]journal.Session, error)
	Session(by journal.Identity, id string) (journal.Session, error)
	// Obstacle says why nothing of a session can be approved now, whoever asks; "" where nothing is in the way.
	Obstacle(s *journal.Session) string
	// Attended reports whether a client of the agent's is connected and waits for the session.
	Attended(id string) bool
	Approve(ctx context.Context, id string, by journal.Identity, a decision.Approval) (journal.Session, error)
	Reject(ctx context.Context, id string, by journal.Identity, ops []int, reason string) (journal.Session, error)
	// PreviewGrant is the standing answer that ApproveGranting would make; it makes none.
	PreviewGrant(s journal.Session, n int, by journal.Identity, spec grants.Spec) (grants.Grant, error)
	ApproveGranting(ctx context.Context, id string, by journal.Identity, n int, a decision.Approval, spec grants.Spec) (journal.Session, grants.Grant, error)
	// Rollback restores what a session's files held; with plan it only says how.
	Rollback(ctx context.Context, id string, by journal.Identity, force, plan bool) ([]rollback.Step, error)
	Subscribe(ctx context.Context, by journal.Identity) <-chan events.Event
	// OperationOutput calls fn with what one operation has written so far.
	OperationOutput(by journal.Identity, id string, n int, fn func(output.Chunk) error) error
	// Diff compares what a file holds with what a change writes.
	Diff(f *journal.File, context int) (d diff.Diff, ok bool, err error)
	Follow(ctx context.Context, by journal.Identity, id string, fn func(output.Chunk) error) (journal.Session, error)
}

// Options are one screen's surroundings: the connection that it belongs to and who sits behind it.
type Options struct {
	Backend  Backend
	Identity journal.Identity // who decides; Run refuses one that may not
	Session  string           // the session to open first, or the group to list; "" for the list of all
	Alert    Alert            // how to draw attention at first; the human may change it
	Pace     Pace             // how much time there is for what

	In      io.Reader // bytes from the terminal, which is in raw mode
	Out     io.Writer
	Window  Size        // 80×24 where not positive
	Resize  <-chan Size // may be nil
	Term    string      // the terminal's type, as in TERM
	Environ []string    // the client's environment, KEY=VALUE; only what is said about colours is used
	Colours string      // "none", "16", "256" or "true" instead of what Term and Environ say; "" for those

	Light bool // the terminal's background is light

	Now func() time.Time // time.Now where nil
	Log *slog.Logger     // for faults of the screen itself; none where nil
}

// Run shows the screen until the human leaves, ctx ends, In ends or Out fails, and returns after everything that it
// started has ended. It returns nil where the human left, context.Cause(ctx) where ctx ended, approvals.ErrShutdown where the gateway stops, io.EOF where the input
// ended, the error of In or Out, and approvals.ErrNotPermitted for an identity that may not decide. A Read of In or
// a Write to Out that the other side does not answer stays behind until the caller closes the connection; Run does
// not wait for it.
func Run(ctx context.Context, o Options) error {
	if !o.Identity.MayDecide() {
		return fmt.Errorf("open the approval screen as %s: %w: this needs an approver's key", o.Identity.Role, journal.ErrNotPermitted)
	}
	if o.Term == "dumb" {
		return errors.New("a terminal of type dumb cannot show the approval screen: use `list`, `show ID`, the `approve ID` line that it ends with, and `reject ID --reason TEXT` instead")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	work := &workers{}
	m := newModel(ctx, work, o)
	out := newTerminalWriter(ctx, o.Out, cancel)
	defer out.close()
	guard := &guarded{model: m, log: o.Log}
	p := tea.NewProgram(guard,
		tea.WithContext(ctx),
		// The terminal's bytes are decoded here and sent in, so that they are bounded and nothing waits for a
		// program that has ended; the program itself reads nothing and asks the terminal nothing.
		tea.WithInput(nil),
		tea.WithOutput(out),
		tea.WithEnvironment(environ(o)),
		tea.WithColorProfile(profile(o)),
		tea.WithWindowSize(m.width, m.height),
		tea.WithoutSignalHandler(),
		tea.WithoutCatchPanics(),
	)
	work.start(func() { feedKeys(ctx, o.In, p.Send, cancel) })
	work.start(func() { feedSizes(ctx, o.Resize, p.Send) })

	err := run(p, guard)
	cause := context.Cause(ctx)
	cancel(nil)
	work.wait()
	switch {
	case guard.failed() != nil:
		return guard.failed()
	case m.left:
		if m.farewell != nil {
			_, _ = io.WriteString(out, m.farewell.clean().plain()+"\n")
		}
		return nil // whatever became of the connection meanwhile
	case cause != nil:
		return cause
	case m.over:
		return journal.ErrShutdown
	case err != nil:
		return fmt.Errorf("run the approval screen: %w", err)
	}
	return nil
}

// run runs the program. A fault inside it ends this screen, not the server.
func run(p *tea.Program, g *guarded) (err error) {
	defer func() {
		if r := recover(); r != nil {
			g.fault(r, debug.Stack())
		}
	}()
	_, err = p.Run()
	return err
}

// workers counts what runs beside the screen, so that Run can end after it.
type workers struct {
	group  sync.WaitGroup
	mu     sync.Mutex
	closed bool
}

// start runs f on a goroutine of its own.
func (w *workers) start(f func()) { w.group.Go(f) }

// enter counts the caller in, unless the screen has ended already.
func (w *workers) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.group.Add(1)
	}
	return !w.closed
}

// wait lets nobody in any more and returns when everybody has left.
func (w *workers) wait() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.group.Wait()
}

// command makes f a command of the screen that Run waits for. A fault in f ends this screen, not the server.
func (w *workers) command(f func() tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		if !w.enter() {
			return nil
		}
		defer w.group.Done()
		defer func() {
			if r := recover(); r != nil {
				msg = faultMsg{value: r, stack: debug.Stack()}
			}
		}()
		return f()
	}
}

// faultMsg is a panic of a command.
type faultMsg struct {
	value any
	stack []byte
}

// guarded keeps a fault of the screen inside the screen. It logs the fault, restores the terminal, and Run returns an
// error. Bubble Tea's own catching would write to the server's standard error.
type guarded struct {
	model *model
	log   *slog.Logger

	mu  sync.Mutex
	err error
}

func (g *guarded) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

func (g *guarded) fault(value any, stack []byte) {
	g.log.Error("the approval screen failed", "panic", fmt.Sprint(value), "stack", string(stack))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = errors.New("the approval screen failed; nothing was decided by that: open it again")
	}
}

// Init implements tea.Model.
func (g *guarded) Init() (cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			g.fault(r, debug.Stack())
			cmd = tea.Quit
		}
	}()
	return g.model.Init()
}

// Update implements tea.Model.
func (g *guarded) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	defer func() {
		if r := recover(); r != nil {
			g.fault(r, debug.Stack())
			cmd = tea.Quit
		}
	}()
	if f, ok := msg.(faultMsg); ok {
		g.fault(f.value, f.stack)
		return g, tea.Quit
	}
	return g, g.model.Update(msg)
}

// View implements tea.Model.
func (g *guarded) View() (v tea.View) {
	defer func() {
		if r := recover(); r != nil {
			g.fault(r, debug.Stack())
			v = tea.NewView("The approval screen failed. Press q and open it again.")
		}
	}()
	v = tea.NewView(g.model.Screen())
	v.AltScreen, v.WindowTitle = true, g.model.inbox.title(g.model.alert)
	if g.model.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}
