package gate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// Start takes a command through the gate. The command is resolved, judged and put into the journal. Then it runs, is refused with a
// *journal.DenialError, or waits for a human. Start returns once the command runs. A program that does not exist is ENOENT, and no
// human is asked. Where the session ends first, the error is the context's cause.
func (l *Live) Start(ctx context.Context, c Start) (targets.Process, error) {
	if err := l.mayAdd(); err != nil {
		return nil, err
	}
	command, err := l.command(ctx, &c)
	if err != nil {
		return nil, err
	}
	d, err := l.judge(ctx, command, c) // without Live.intake: only who asked for a judgement waits for it
	if err != nil {
		return nil, err
	}
	if err := l.findable(ctx, command, &c, d); err != nil {
		return nil, err
	}
	l.intake.Lock()
	g, err := l.takeIn(ctx, command, d)
	l.intake.Unlock()
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
	case journal.Planned:
		if unsettled == nil {
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

// findable is a *MissingError where a human would be asked about a line of shell text that starts one program, which the target does
// not have. The target is asked only where something would wait: what the policy has decided, a grant covers or an earlier run
// has recorded goes on without.
func (l *Live) findable(ctx context.Context, command *journal.Command, c *Start, d policy.Decision) error {
	if !c.Shell || d.Verdict == policy.Allow || d.Verdict == policy.Deny || l.recordedBefore() || l.granted(command, d.Risk) {
		return nil
	}
	program, err := policy.SimpleCommand(c.Argv[len(c.Argv)-1])
	if err != nil || program == "" {
		return nil
	}
	if _, err := l.target.Resolve(ctx, program, command.Dir); errors.Is(err, syscall.ENOENT) {
		return &MissingError{Program: program, Target: l.target.Name()}
	}
	return nil // whatever else is wrong with it, the command's own start tells
}

func (l *execution) current(n int) (journal.Operation, error) {
	s, err := l.of.config.Store.Session(l.id)
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
	l.ParkAlone() // it may have been what stood in the way
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
	record, err := l.of.config.Outputs.Operation(l.id, o.N, l.recordLimit())
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
		Hidden: HiddenOn(l.target.Name(), l.rules.Judge),
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
	s, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
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
		return stored.Apply(journal.Event{What: journal.Start, At: l.of.config.Now()})
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
	finished := l.of.config.Now()
	// One that was stopped half way, when the session was parked, is as unknown as one that was lost.
	unknown := lost || errors.Is(context.Cause(l.ctx), journal.ErrParked) && exit.Signal == syscall.SIGKILL
	done := l.of.config.Working()
	l.of.config.Store.UpdateSoon(l.id, func(s *journal.Session) error {
		o := s.Operation(n)
		if o == nil {
			return journal.ErrNotFound
		}
		e := journal.Event{What: journal.Finish, At: finished, Result: &journal.Result{
			ExitCode: exit.Status(), Signal: int(exit.Signal), Output: output, OutputCut: cut,
		}}
		if unknown {
			e.What = journal.Lose
		}
		return o.Apply(e)
	}, func(err error) {
		defer done()
		if err != nil {
			l.of.config.Log.Error("record a command's result", "session", l.id, "operation", n, "error", err)
			return
		}
		if output != "" {
			l.of.config.Outputs.DropOperation(l.id, n)
		}
	})
	l.of.config.Publish(l.Subject(), events.Finished)
}

// finish waits for the command and records its result.
func (p *process) finish() {
	defer close(p.ended)
	p.exit, p.err = p.Process.Wait()
	p.live.files.Refresh()
	m := p.live.of
	kept, err := m.config.Outputs.KeepOperation(p.live.ctx, p.record)
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

// process is a running command. Its result is recorded whether anybody waits for it or not.
type process struct {
	targets.Process
	live   *Live
	n      int
	record *output.Recording
	ended  chan struct{}
	exit   targets.Exit // after ended
	err    error
}

func summary(c *journal.Command) render.Text {
	if text, ok := shellText(c); ok {
		return render.Line(text)
	}
	return render.Argv(c.Argv)
}

// shellText is the text that a command gives to a shell, by the file that runs: its first word may be any.
func shellText(c *journal.Command) (string, bool) {
	if len(c.Argv) == 3 && c.Argv[1] == "-c" && isShell(c.Path) {
		return c.Argv[2], true
	}
	return "", false
}

func isShell(path string) bool {
	switch filepath.Base(path) {
	case "sh", "bash", "dash":
		return true
	}
	return false
}

// hider is a judge who knows which files hide.
type hider interface {
	// Hides reports whether the content of a file of a target is hidden by its name.
	Hides(target, name string) bool
}

// HiddenOn is what the commands that nobody saw, and those of a rehearsal, may not open on a target, nil where the judge does not know.
func HiddenOn(target string, j Judge) func(name string) bool {
	h, ok := j.(hider)
	if !ok {
		return nil
	}
	return func(name string) bool { return h.Hides(target, name) }
}
