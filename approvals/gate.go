package approvals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// Start takes a command through the gate: it is resolved, judged and journalled; then it runs, is refused with a
// *Denial, or waits for a human. It returns once the command runs. A program that does not exist is ENOENT and bothers
// nobody. Where the session ends first, the error is the context's cause.
func (l *Live) Start(ctx context.Context, c Start) (targets.Process, error) {
	if err := l.mayAdd(); err != nil {
		return nil, err
	}
	command, err := l.command(ctx, &c)
	if err != nil {
		return nil, err
	}
	d, err := l.judge(ctx, command, c) // before the gate is locked: nobody waits for a judgement but who asked for it
	if err != nil {
		return nil, err
	}
	l.gate.Lock()
	g, err := l.takeIn(ctx, command, d)
	l.gate.Unlock()
	if err != nil {
		return nil, err
	}
	unsettled := l.settleGroup(ctx, g)
	o, err := l.current(g.command.Op.N)
	if err != nil {
		return nil, err
	}
	switch o.Decision {
	case journal.Denied:
		return nil, &journal.DenialError{Reason: o.Why}
	case journal.Rejected:
		l.Notice("operation %d was rejected by %s: %s", o.N, render.Line(o.By), render.Line(o.Reason))
		l.sayCurrent()
		return nil, &journal.DenialError{Reason: o.Reason, By: o.By}
	case journal.Unknown:
		return nil, &journal.DenialError{Reason: fmt.Sprintf("operation %d was stopped while it ran, what it did is not known", o.N), By: "the gateway"}
	case journal.Conflicted, journal.Failed:
		return nil, &journal.ConflictError{N: o.N, Reason: o.Reason}
	case journal.Waiting:
		if l.plan && unsettled == nil {
			return planned{}, nil
		}
	default: // nothing of the kind for the others
	}
	switch {
	case unsettled != nil:
		return nil, unsettled
	case o.Decision != journal.Approved && o.Decision != journal.Allowed:
		return nil, l.ending()
	case g.command.Old && !o.Finished.IsZero():
		return l.replay(o, c)
	}
	return l.run(ctx, o, c)
}

// replay gives the script what the command gave it the first time.
func (l *Live) replay(o journal.Operation, c Start) (targets.Process, error) {
	if o.OutputCut {
		return nil, &journal.DenialError{Reason: fmt.Sprintf("the recorded output of operation %d was cut, so it cannot be replayed", o.N), By: "the gateway"}
	}
	recorded, err := l.m.outputs.Whole(l.id, o.N, o.Output)
	if err != nil {
		l.m.config.Log.Error("replay an operation", "session", l.id, "operation", o.N, "error", err)
		return nil, &journal.DenialError{Reason: fmt.Sprintf("the recorded output of operation %d is damaged, so it cannot be replayed", o.N), By: "the gateway"}
	}
	l.files.Refresh()
	return replay(recorded, o, c), nil
}

func summary(c *journal.Command) render.Text {
	if len(c.Argv) == 3 && c.Argv[1] == "-c" && isShell(c.Path) {
		return render.Line(c.Argv[2])
	}
	return render.Argv(c.Argv)
}

func isShell(path string) bool {
	switch filepath.Base(path) {
	case "sh", "bash", "dash":
		return true
	}
	return false
}

// holdNow says that the script waits for a human from now on.
func (l *execution) holdNow() journal.Event {
	e := journal.Event{What: journal.Hold}
	if h := l.rules.Limits.Hold; h > 0 {
		e.Deadline = l.m.config.Now().Add(h)
	}
	return e
}

// withdraw closes what an earlier run left waiting and this one does not ask for any more.
func (l *execution) withdraw() error {
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() {
			return l.ending()
		}
		return s.Apply(journal.Event{What: journal.Withdraw, At: l.m.config.Now()})
	})
	return err
}

// ending is the error for an operation that comes when the session is on its way out.
func (l *execution) ending() error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return journal.ErrCancelled
}

// await holds the session until a human has decided on all of a group. Its operations are in the journal already.
func (l *Live) await(ctx context.Context, g *group) error {
	var waiting []*change.Pending
	for _, c := range g.all() {
		if c.Op.Decision == journal.Waiting {
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	l.hold()
	defer l.release()
	l.tellWaiting(waiting)
	l.say(journal.StatusHeld)
	l.m.publish(l.subject(), events.Waiting, "")
	var expired <-chan time.Time
	hold := func() {}
	if h := l.rules.Limits.Hold; h > 0 {
		timer := time.NewTimer(h)
		defer timer.Stop()
		expired, hold = timer.C, func() { timer.Reset(h) }
	}
	l.parkAlone()
	for {
		// Taken before the look, so that no decision falls between the two.
		changed := l.changed()
		n, err := l.firstWaiting(waiting)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l.abandon(g)
		case <-l.ctx.Done():
			return l.ending()
		case <-expired:
			if err := l.expire(n); err != nil {
				return err
			}
			hold() // one was decided in the last moment; the others wait on
		}
	}
}

// maxTold is how much of an operation its own agent is told, in terminal cells: it has the rest.
const maxTold = 1000

// tellWaiting tells the agent what waits, and that it need not ask.
func (l *execution) tellWaiting(waiting []*change.Pending) {
	last := waiting[len(waiting)-1]
	before := render.Text{}
	switch n := len(waiting) - 1; {
	case n == 1:
		before = render.Own(", and 1 change of a file with it")
	case n > 1:
		before = render.Format(", and %d changes of files with it", n)
	}
	what, rest := render.Fit(render.Stored(last.Op.Summary), maxTold)
	if rest { // a notice is rendered again, which the mark of what is cut would not survive
		head, _ := what.Cut(strings.IndexRune(what.String(), render.Mark))
		what = render.Format("%s... (and so on)", head)
	}
	l.Notice("operation %d of session %s waits for a human: %s%s", last.Op.N, l.id, what, before)
	// It gives no digest: one that an agent can pass on would be pasted by somebody who has seen nothing but the agent's words.
	l.Notice("it needs no polling: it goes on when somebody runs: show %s, and the approve line that this ends with (or: reject %s)", l.id, l.id)
}

// firstWaiting is the number of the first of the operations that still waits, 0 for none.
func (l *execution) firstWaiting(of []*change.Pending) (int, error) {
	s, err := l.m.session(l.id)
	if err != nil {
		return 0, err
	}
	for _, c := range of {
		o := s.Operation(c.Op.N)
		if o == nil {
			return 0, journal.ErrNotFound
		}
		if o.Decision == journal.Waiting {
			return o.N, nil
		}
	}
	return 0, nil
}

// abandon withdraws an operation that nobody waits for any more, unless the session itself is on its way out: that
// decides what becomes of the operation.
func (l *Live) abandon(g *group) error {
	if l.ctx.Err() != nil {
		return l.ending()
	}
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() {
			return nil
		}
		for _, c := range g.all() {
			if o := s.Operation(c.Op.N); o != nil && o.Undecided() {
				if err := o.Apply(journal.Event{What: journal.Cancel, At: l.m.config.Now()}); err != nil {
					return err
				}
			}
		}
		return journal.ReleaseDecided(s)
	})
	for _, c := range g.files {
		l.forget(c)
	}
	l.m.publish(l.subject(), events.Decided, "")
	return errors.Join(l.ending(), err)
}

// expire ends a hold that nobody answered: the session is parked, or where there is no parking, it expires.
func (l *presence) expire(n int) error {
	if l.park() {
		l.Notice("nobody has decided within %v; session %s is parked. Come back with: wait %s", l.rules.Limits.Hold, l.id, l.id)
		return journal.ErrParked
	}
	reason := fmt.Sprintf("nobody decided within %v", l.rules.Limits.Hold)
	s, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		switch {
		case s.Status == journal.StatusParked: // at this moment, since its client has left
			return journal.ErrParked
		case l.ctx.Err() != nil:
			return l.ending()
		}
		if o := s.Operation(n); o != nil && o.Decision == journal.Waiting {
			// The script's end may never be recorded.
			return s.Apply(journal.EndEvent(journal.StatusExpired, journal.ExitNotPermitted, reason, l.m.config.Now()))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.Operation(n).Decision == journal.Expired {
		l.Notice("%s; nothing was run", reason)
		l.m.publish(l.subject(), events.Decided, "")
		l.cancel(fmt.Errorf("%w: %s", journal.ErrExpired, reason))
		return fmt.Errorf("%w: %s", journal.ErrExpired, reason)
	}
	return nil // decided in the last moment
}

func (l *execution) current(n int) (journal.Operation, error) {
	s, err := l.m.session(l.id)
	if err != nil {
		return journal.Operation{}, err
	}
	o := s.Operation(n)
	if o == nil {
		return journal.Operation{}, journal.ErrNotFound
	}
	return *o, nil
}

// run consumes the decision in one transaction and starts the stored record.
func (l *Live) run(ctx context.Context, o journal.Operation, c Start) (targets.Process, error) {
	done, err := l.enter()
	if err != nil {
		return nil, err
	}
	p, err := l.launch(ctx, o, c, done)
	if err != nil {
		done()
		return nil, err
	}
	return p, nil
}

// enter counts a command that is about to run, so that the session's end waits for its result. done is to be called
// once that is recorded.
func (l *presence) enter() (done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.parking != nil {
		parking := l.parking
		l.mu.Unlock()
		<-parking
		l.mu.Lock()
	}
	if l.over || l.parked {
		return nil, l.ending()
	}
	l.commands.Add(1)
	l.active++
	return l.exited, nil
}

// exited counts a command out whose result is recorded.
func (l *presence) exited() {
	l.mu.Lock()
	l.active--
	l.mu.Unlock()
	l.parkAlone() // it may have been what stood in the way
	l.commands.Done()
}

func (l *Live) launch(ctx context.Context, o journal.Operation, c Start, done func()) (targets.Process, error) {
	if o.Decision == journal.Approved {
		var err error
		if o, err = l.consume(o); err != nil {
			return nil, err
		}
	}
	if err := l.place(ctx, o); err != nil {
		return nil, err
	}
	record, err := l.m.outputs.Operation(l.id, o.N, l.recordLimit())
	if err != nil {
		l.result(o.N, targets.Exit{Code: exitCannotRun}, "", false, false)
		return nil, err
	}
	stdout, stderr := record.Tee(c.Stdout, output.Stdout), record.Tee(c.Stderr, output.Stderr)
	if targets.Same(c.Stdout, c.Stderr) {
		stderr = stdout
	}
	// The command ends with the session, and with whoever started it.
	ctx, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	release := func() { unlink(); cancel(nil) }
	p, err := l.target.Start(ctx, targets.Command{
		Path: o.Command.Path, Argv: o.Command.Argv, Dir: o.Command.Dir, Env: o.Command.Env,
		Stdin: stdinOf(o.Command, c), Stdout: stdout, Stderr: stderr, ReadOnly: o.Decision == journal.Allowed,
	})
	if err != nil {
		release()
		_ = record.Close() // it is empty
		exit := exitCannotRun
		if errors.Is(err, syscall.ENOENT) {
			exit = exitNotFound
		}
		l.result(o.N, targets.Exit{Code: exit}, "", false, errors.Is(err, targets.ErrLost))
		return nil, err
	}
	l.files.Refresh() // what the script has settled is the target's from now on
	running := &process{Process: p, live: l, n: o.N, record: record, ended: make(chan struct{})}
	go func() {
		defer done()
		defer release()
		running.finish()
	}()
	return running, nil
}

// What a shell gives for a program that it cannot run, and for one that it does not find, and ssh(1) for one that it lost.
const (
	exitCannotRun = 126
	exitNotFound  = 127
	exitLost      = 255 // what ssh(1) gives where the connection was lost
)

// consume takes an approval, so that it starts one command and no second one, and returns the record that was approved.
func (l *execution) consume(o journal.Operation) (journal.Operation, error) {
	s, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status == journal.StatusParked || s.Status.Final() || l.ctx.Err() != nil {
			return l.ending() // the decision is for the next run, or for none
		}
		stored := s.Operation(o.N)
		if stored == nil || stored.Decision != journal.Approved || !stored.Started.IsZero() {
			return fmt.Errorf("%w: operation %d of session %s is not approved any more", journal.ErrNotWaiting, o.N, l.id)
		}
		if stored.Digest != o.Digest || !stored.Intact(o.Digest) {
			return fmt.Errorf("%w: operation %d of session %s is not what was approved", journal.ErrStore, o.N, l.id)
		}
		return stored.Apply(journal.Event{What: journal.Start, At: l.m.config.Now()})
	})
	if err != nil {
		return o, err
	}
	o = *s.Operation(o.N)
	if o.Grant != 0 {
		l.Notice("operation %d runs by grant %d of %s", o.N, o.Grant, render.Line(o.By))
	} else {
		l.Notice("operation %d was approved by %s", o.N, render.Line(o.By))
	}
	l.say(s.Status)
	return o, nil
}

// result records how an operation's command ended, before whatever the session does next. Of one that was lost it is not known: it
// may have run, run still, or never have started, and is not started again.
func (l *execution) result(n int, exit targets.Exit, output string, cut, lost bool) {
	code := exit.Code
	if exit.Signal != 0 {
		code = 128 + int(exit.Signal)
	}
	finished := l.m.config.Now()
	// One that was stopped half way, when the session was parked, is as unknown as one that was lost.
	unknown := lost || errors.Is(context.Cause(l.ctx), journal.ErrParked) && exit.Signal == syscall.SIGKILL
	l.m.work.Add(1)
	l.m.config.Store.UpdateSoon(l.id, func(s *journal.Session) error {
		o := s.Operation(n)
		if o == nil {
			return journal.ErrNotFound
		}
		e := journal.Event{What: journal.Finish, At: finished, Result: &journal.Result{
			ExitCode: code, Signal: int(exit.Signal), Output: output, OutputCut: cut,
		}}
		if unknown {
			e.What = journal.Lose
		}
		return o.Apply(e)
	}, func(err error) {
		defer l.m.work.Done()
		if err != nil {
			l.m.config.Log.Error("record a command's result", "session", l.id, "operation", n, "error", err)
			return
		}
		if output != "" {
			l.m.outputs.DropOperation(l.id, n)
		}
	})
	l.m.publish(l.subject(), events.Finished, "")
}

// finish waits for the command and records its result.
func (p *process) finish() {
	defer close(p.ended)
	p.exit, p.err = p.Process.Wait()
	p.live.files.Refresh()
	m := p.live.m
	kept, err := m.outputs.KeepOperation(p.live.ctx, p.record)
	if err != nil {
		m.config.Log.Error("keep a command's output", "session", p.live.id, "operation", p.n, "error", err)
	}
	cut := err != nil || p.record.Truncated()
	p.live.keep(p.record.Kept())
	lost := errors.Is(p.err, targets.ErrLost)
	if lost {
		p.exit = targets.Exit{Code: exitLost}
	}
	p.live.result(p.n, p.exit, kept, cut, lost)
}

// Wait returns when the command has ended. Its result is in the journal before anything that the session does next.
func (p *process) Wait() (targets.Exit, error) {
	<-p.ended
	return p.exit, p.err
}

// planned is a command of a plan: it succeeds, says nothing, and did not run.
type planned struct{}

func (planned) Wait() (targets.Exit, error) { return targets.Exit{}, nil }
func (planned) Signal(syscall.Signal) error { return nil }

// replayed gives a recorded result.
type replayed struct {
	exit targets.Exit
	done chan struct{}
}

func (r replayed) Wait() (targets.Exit, error) { <-r.done; return r.exit, nil }
func (replayed) Signal(syscall.Signal) error   { return nil }

// replay gives a command's recorded result and output.
func replay(recorded []byte, o journal.Operation, c Start) replayed {
	r := replayed{done: make(chan struct{})}
	switch {
	case o.Signal != 0:
		r.exit.Signal = syscall.Signal(o.Signal)
	case o.ExitCode != nil:
		r.exit.Code = *o.ExitCode
	}
	go func() {
		defer close(r.done)
		_ = output.Replay(bytes.NewReader(recorded), func(chunk output.Chunk) error {
			to := c.Stdout
			if chunk.Stream == output.Stderr {
				to = c.Stderr
			}
			if to != nil {
				_, err := to.Write(chunk.Data)
				return err
			}
			return nil
		})
	}()
	return r
}
