// Package rehearsal tells what waiting commands would do: it puts together what has to come before them, has the target run them in a copy
// of its host, and keeps nothing. It knows records, changes and the contract of a target. It must never decide anything, and never
// let a command run on the host itself. Begin with Run.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// Errors of Run.
var (
	// ErrNothing says that there is no command to rehearse; the text says why.
	ErrNothing = errors.New("nothing to rehearse")
	// ErrBusy says that too many rehearsals run now.
	ErrBusy = errors.New("other rehearsals run now; try again")
	// ErrOff says that the configuration does not allow rehearsals.
	ErrOff = errors.New(`rehearsals are switched off: [rehearsal] when = "never"`)
)

// Result is what waiting commands of a session would do.
type Result struct {
	Session    string
	Digest     string // the waiting digest of what was rehearsed, in hex
	Target     string
	At         time.Time
	Operations []Operation
	Absent     []string // places of the host that the rehearsal did not have, each with the reason
}

// Operation is what one command would do.
type Operation struct {
	N       int
	Summary string // rendered
	Digest  string // of the command
	// Guessed says in words what a real run will have and the rehearsal had not, "" for nothing.
	Guessed string
	targets.Effect
}

// most is how many rehearsals run at a time.
const most = 2

// Rehearsals runs rehearsals, a few at a time.
type Rehearsals struct {
	blobs  journal.Blobs
	now    func() time.Time
	places chan struct{}
}

// New makes Rehearsals.
func New(blobs journal.Blobs, now func() time.Time) *Rehearsals {
	return &Rehearsals{blobs: blobs, now: now, places: make(chan struct{}, most)}
}

// Run rehearses the commands of a session that wait, in their order, on top of the changes of files that wait before them; with n
// not 0, up to that operation. hidden is what may not be shown, nil for nothing. ErrNothing, ErrBusy, targets.ErrNoRehearsal.
func (r *Rehearsals) Run(ctx context.Context, s *journal.Session, target targets.Target, n int, hidden func(string) bool) (*Result, error) {
	on, ok := target.(targets.Rehearser)
	if !ok {
		return nil, fmt.Errorf("%w: only commands on the gateway's own host are rehearsed", targets.ErrNoRehearsal)
	}
	order, commands, err := r.steps(s, n)
	if err != nil {
		return nil, err
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	default:
		return nil, ErrBusy
	}
	order.Hidden, order.Limits = hidden, targets.DefaultRehearsalLimits
	out, err := on.Rehearse(ctx, order)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil, ErrBusy
	case err != nil:
		return nil, err
	case len(out.Effects) != len(commands):
		return nil, fmt.Errorf("rehearse session %s: %d effects of %d commands", s.ID, len(out.Effects), len(commands))
	}
	result := &Result{Session: s.ID, Digest: s.WaitingDigest(), Target: s.Target, At: r.now(), Absent: out.Absent}
	for i, o := range commands {
		result.Operations = append(result.Operations, Operation{N: o.N, Summary: o.Summary, Digest: o.Digest, Guessed: guessed(o.Command), Effect: out.Effects[i]})
	}
	return result, nil
}

// guessed says what is not known of a command before it runs.
func guessed(c *journal.Command) string {
	switch c.Input {
	case journal.InputStream:
		return "its standard input is not known before it runs; it had none"
	case journal.InputFile:
		return "its standard input is a file of the session; it had none"
	}
	return ""
}

// steps are what is to be rehearsed of a session, and its commands in order.
func (r *Rehearsals) steps(s *journal.Session, n int) (order targets.Rehearsal, commands []*journal.Operation, err error) {
	if n != 0 {
		switch o := s.Operation(n); {
		case o == nil:
			return order, nil, fmt.Errorf("%w: session %s has no operation %d", ErrNothing, s.ID, n)
		case o.Command == nil:
			return order, nil, fmt.Errorf("%w: operation %d is a change of a file, which show prints as it would be made", ErrNothing, n)
		case o.Decision != journal.Waiting:
			return order, nil, fmt.Errorf("%w: operation %d of session %s does not wait", ErrNothing, n, s.ID)
		}
	}
	placed := map[journal.Exact]bool{}
	for i := range s.Operations {
		o := &s.Operations[i]
		if !o.Undecided() || n != 0 && o.N > n {
			continue
		}
		if o.File != nil {
			c := change.TargetChange(o.File, change.ID(s.ID, o.N), r.blobs)
			order.Steps = append(order.Steps, targets.RehearsalStep{Change: &c})
			continue
		}
		if o.Command == nil || !o.Command.Intact(o.Digest) {
			return order, nil, fmt.Errorf("%w: the record of operation %d of session %s is damaged", journal.ErrStore, o.N, s.ID)
		}
		for j := range o.Command.Scratch {
			if f := &o.Command.Scratch[j]; !placed[f.Path] {
				placed[f.Path] = true
				c := change.TargetChange(f, change.ID(s.ID, o.N), r.blobs)
				order.Steps = append(order.Steps, targets.RehearsalStep{Change: &c})
			}
		}
		order.Steps = append(order.Steps, targets.RehearsalStep{Command: commandOf(o.Command)})
		commands = append(commands, o)
	}
	if len(commands) == 0 {
		return order, nil, fmt.Errorf("%w: no command of session %s waits", ErrNothing, s.ID)
	}
	return order, commands, nil
}

func commandOf(c *journal.Command) *targets.RehearsedCommand {
	out := &targets.RehearsedCommand{Path: c.Path, Argv: c.Argv, Dir: c.Dir, Env: c.Env}
	if c.Input == journal.InputData {
		out.Stdin = c.InputData
	}
	return out
}
