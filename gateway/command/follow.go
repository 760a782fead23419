package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
)

// maxCollected is how much of each stream a JSON answer holds, in bytes, where no limit is configured.
const maxCollected = 16 << 20

// follower passes a session's output on to its client.
type follower struct {
	call           *Call
	held           func() // says how a session goes on that is held; nil where nobody is told
	stdout, stderr io.Writer
	lines          *streamed // where it is told in JSON lines
	clock          *waitClock
}

// collector keeps the beginning of a stream for a JSON answer.
type collector struct {
	data      []byte
	limit     int
	truncated bool
}

// Write implements io.Writer.
func (c *collector) Write(p []byte) (int, error) {
	n := len(p)
	if room := c.limit - len(c.data); n > room {
		p, c.truncated = p[:room], true
	}
	c.data = append(c.data, p...)
	return n, nil
}

// errWaited ends the following of a session that waits for a human longer than the client wants to.
var errWaited = errors.New("the client's wait has ended")

// waitClock runs while a session is held and ends the following when it is over.
type waitClock struct {
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
}

// whenEnough ends something once the client wants its answer, until undo is called.
func (c *Call) whenEnough(ctx context.Context, end context.CancelCauseFunc) (undo func()) {
	if c.Enough == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-c.Enough:
			end(errWaited)
		case <-ctx.Done():
		}
	})
	return func() {
		stop()
		watching.Wait()
	}
}

// held starts the clock, which begins anew with each time the session is held.
func (w *waitClock) held() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		w.timer = time.AfterFunc(w.limit, func() { w.cancel(errWaited) })
	}
}

func (w *waitClock) running() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// chunk is called for every piece of a session's history.
func (f *follower) chunk(p output.Chunk) error {
	var err error
	switch p.Stream {
	case output.Stdout:
		_, err = f.stdout.Write(p.Data)
	case output.Stderr:
		_, err = f.stderr.Write(p.Data)
	case output.Notice:
		f.call.notice("%s", render.Stored(string(p.Data)))
	case output.State:
		if p.Status == journal.StatusHeld && f.held != nil {
			f.held()
		}
		if f.lines != nil {
			err = f.lines.state(p.Status)
		}
		if f.clock == nil {
			break
		}
		if p.Status == journal.StatusHeld {
			f.clock.held()
		} else {
			f.clock.running()
		}
	}
	return err
}

// followed says how a session's output reaches the client.
type followed struct {
	json    bool // in one object at its end
	stream  bool // in an object a line
	foreign bool // the session is somebody else's: rendered, and every line marked
	raw     bool // of such a session, standard output as it is
	typed   bool // it has the client's terminal, and is never parked
}

// collectors keep both streams for a JSON answer.
func (v *Verbs) collectors() (stdout, stderr *collector) {
	limit := maxCollected
	if l := v.Config.Limits.Output; l > 0 && l < maxCollected {
		limit = int(l)
	}
	return &collector{limit: limit}, &collector{limit: limit}
}

// follow passes a session's output on until it ends, is parked, or the client's wait for humans ends, and returns the
// exit status for the client. Its own agent gets the bytes as they are. leave says that the client waits no more.
func (v *Verbs) follow(ctx context.Context, c *invocation, id string, wait waitFlag, how followed, leave func()) int {
	clientCtx := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &follower{call: c.Call, stdout: c.Stdout, stderr: c.Stderr}
	end := func() {}
	toldHeld := false
	if !wait.set || wait.duration > 0 { // else it does not stay, and is told at its end
		f.held = func() {
			toldHeld = true
			tellHeld(c, v.Config.Limits.Hold, id, how)
		}
	}
	switch {
	case how.json: // it is collected at the end
		f.stdout, f.stderr = io.Discard, io.Discard
	case how.stream:
		s, err := v.Sessions.Session(c.Identity, id)
		if err != nil {
			return c.fail(id, err)
		}
		f.lines = &streamed{to: c.Stdout, session: id, target: s.Target, now: v.Now}
		f.stdout, f.stderr = f.lines.of(stdoutKind), f.lines.of(stderrKind)
		if err := f.lines.tell(streamJSON{Kind: begunKind}); err != nil {
			return ExitFault
		}
	case how.foreign:
		lines, complaints := &foreign{to: c.Stdout}, &foreign{to: c.Stderr}
		f.stdout, f.stderr, end = lines, complaints, func() { lines.end(); complaints.end() }
		if how.raw {
			f.stdout = c.Stdout
		}
	}
	if wait.set {
		f.clock = &waitClock{limit: wait.duration, cancel: cancel}
		defer f.clock.running()
	}
	defer c.whenEnough(ctx, cancel)()
	session, err := v.Sessions.Follow(ctx, c.Identity, id, f.chunk)
	end()
	if err != nil {
		if !errors.Is(context.Cause(ctx), errWaited) {
			return c.fail(id, err) // or the client is gone, and nobody reads this
		}
		leave() // it is parked now, where nobody else waits for it
		if session, err = v.Sessions.Session(c.Identity, id); err != nil {
			return c.fail(id, err)
		}
	}
	status := c.conclude(session, toldHeld)
	if how.stream {
		if f.lines.end(endOf(v.Sessions, session), status) != nil {
			return ExitFault // the client is gone
		}
		return status
	}
	if how.json {
		return v.answerJSON(clientCtx, c, session, status)
	}
	return status
}

// goesOnWhen says that a session which waits need not be asked for.
func goesOnWhen(id string) render.Text {
	return render.Format("it needs no polling: it goes on when somebody runs: show %s, and the approve line that this ends with (or: reject %s)", id, id)
}

// tellHeld tells who waits for a session how it goes on, and what becomes of it if nobody decides.
func tellHeld(c *invocation, hold time.Duration, id string, how followed) {
	until := render.Own("it waits as long as it takes")
	if hold > 0 {
		until = render.Format("after %s it is parked, come back with: wait %s", shortly(hold), id)
		if how.typed {
			until = render.Format("after %s it is over", shortly(hold))
		}
	}
	c.notice("%s; %s", goesOnWhen(id), until)
}

// shortly is a duration without parts of nothing: 10m, not 10m0s.
func shortly(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// answerJSON answers with a session and what its script has said so far.
func (v *Verbs) answerJSON(ctx context.Context, c *invocation, s journal.Session, status int) int {
	done, err := v.answer(ctx, c)
	if err != nil {
		return ExitFault // the client is gone
	}
	defer done()
	stdout, stderr := v.collectors()
	f := &follower{stdout: stdout, stderr: stderr}
	if err := v.Sessions.Output(c.Identity, s.ID, f.chunk); err != nil {
		return c.fail(s.ID, err)
	}
	out := wholeJSON(v.Sessions, s)
	out.withOutput(stdout, stderr)
	if err := writeJSON(c.Stdout, out); err != nil {
		return ExitFault
	}
	return status
}

// conclude says on stderr how a session stands where the script's own output does not, and returns the exit status.
// toldHeld says that the client knows by now how one that is held goes on.
func (c *invocation) conclude(s journal.Session, toldHeld bool) int {
	switch {
	case !s.Status.Final():
		switch {
		case s.Status == journal.StatusRunning:
			c.notice("session %s is still running; come back with: wait %s", s.ID, s.ID)
		case s.GoesOn:
			c.notice("session %s was decided on and starts again as soon as it can; come back with: wait %s", s.ID, s.ID)
		default:
			further := render.Own("do not ask again")
			if !toldHeld {
				further = goesOnWhen(s.ID)
			}
			c.notice("session %s waits for a human (%s)%s; %s, come back with: wait %s", s.ID, s.Status, waiting(s), further, s.ID)
		}
		return ExitWaiting
	case s.Status == journal.StatusPlanned:
		c.tellPlan(s)
	case s.Status != journal.StatusDone && s.Reason != "": // the gateway's own words, whichever status it gave with them
		c.notice("session %s: %s: %s", s.ID, s.Status, render.Stored(s.Reason))
	case s.Status != journal.StatusDone && s.Status != journal.StatusFailed:
		c.notice("session %s: %s", s.ID, s.Status)
	}
	return exitStatus(s)
}

// waiting names what waits, in a few words.
func waiting(s journal.Session) string {
	var first *journal.Operation
	more := 0
	for i := range s.Operations {
		if s.Operations[i].Decision != journal.Waiting {
			continue
		}
		if first == nil {
			first = &s.Operations[i]
		} else {
			more++
		}
	}
	switch {
	case first == nil:
		return ""
	case more == 0:
		return fmt.Sprintf(": operation %d", first.N)
	}
	return fmt.Sprintf(": operation %d and %d more", first.N, more)
}

// exitStatus is what the client of a session gets.
func exitStatus(s journal.Session) int {
	switch {
	case !s.Status.Final():
		return ExitWaiting
	case s.ExitCode != nil:
		return *s.ExitCode
	}
	switch s.Status {
	case journal.StatusDone, journal.StatusRolledBack, journal.StatusPlanned:
		return ExitOK
	case journal.StatusRejected, journal.StatusCancelled, journal.StatusExpired:
		return ExitNotPermitted
	case journal.StatusTimedOut:
		return ExitTime
	default: // nothing of the kind for the others
	}
	return ExitFault
}

// newWait is `wait ID [--wait D] [--json] [--raw]`.
func newWait() *verb {
	var limit waitFlag
	var how followed
	w := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "wait ID [flags]",
		Short: "print a session's output, and exit with its status",
		Long: `Prints a session's output from the beginning, follows it to its end, and exits with its status; with 75 where a human ` +
			`still has to decide. It may be repeated. A script whose client leaves while it waits is parked: the decision starts it ` +
			`again, and what it did before is not done twice.

Output of somebody else's session is rendered, and each line begins with "| ".`,
		Example: `ssh HOST wait ID
ssh HOST wait ID --raw > FILE`,
	}}
	w.Flags().Var(&limit, "wait", "wait for humans at most this `DURATION` (0: not at all)")
	w.Flags().BoolVar(&how.raw, "raw", false, "standard output of somebody else's session as it is, for a file")
	w.Flags().BoolVar(&how.json, "json", false, "one JSON object, with both outputs exactly")
	w.Flags().BoolVar(&how.stream, streamFlag, false, "what it writes, and how it ends, while that happens: a JSON object a line")
	w.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.wait(ctx, c, limit, how) }
	return w
}

// wait prints a session's output from the beginning and returns the session's exit status.
func (v *Verbs) wait(ctx context.Context, c *invocation, limit waitFlag, how followed) int {
	id, err := c.oneID()
	if err == nil && (how.raw && how.json || how.stream && (how.raw || how.json)) {
		err = errTwoAnswers
	}
	if err != nil {
		return c.usage(err)
	}
	s, err := v.Sessions.Session(c.Identity, id)
	if err != nil {
		return c.fail(id, err)
	}
	how.foreign = s.Identity != c.Identity.Name
	if how.raw && how.foreign && c.Terminal != nil {
		return c.usage(errors.New("--raw is for a file, not for a terminal, which would obey what somebody else's script says: leave out ssh's -t"))
	}
	leave := func() {}
	if !how.foreign {
		leave = v.Sessions.Attend(ctx, id)
		defer leave()
	}
	if s.Status == journal.StatusParked {
		if err := v.unparked(ctx, c, id, limit); err != nil {
			return c.fail(id, err)
		}
	}
	return v.follow(ctx, c, id, limit, how, leave)
}

// errTwoAnswers says that a line asks for standard output in two forms.
var errTwoAnswers = errors.New("--raw, --json and --json-stream are different answers: choose one")

// unparked waits for the decision that starts a parked session again, as long as a held one would be waited for, and then for the start.
func (v *Verbs) unparked(ctx context.Context, c *invocation, id string, limit waitFlag) error {
	patience := v.Config.Limits.Hold
	if limit.set {
		patience = limit.duration
	}
	var over <-chan time.Time
	if patience > 0 || limit.set {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		over = timer.C
	}
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.whenEnough(within, cancel)()
	if _, err := v.Sessions.Unparked(within, c.Identity, id, over); err != nil && !errors.Is(context.Cause(within), errWaited) {
		return err
	}
	return nil
}
