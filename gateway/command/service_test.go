package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/approvals/rollback"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/internal/turns"
	"shannot-gateway/sandbox"
)

// fakeService keeps sessions in memory, and notes what it is asked to do. A method that it does not have panics.
type fakeService struct {
	Service
	sessions  []journal.Session
	chunks    []output.Chunk // what every session wrote
	grants    []grants.Grant
	events    []events.Event
	steps     []rollback.Step
	rehearsal *rehearsal.Result
	text      [2]string // what every file holds, and is to hold
	fails     error     // what each change of something ends with
	did       []string  // changes that were asked for
}

func (f *fakeService) done(format string, args ...any) error {
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.fails
}

func (f *fakeService) find(by journal.Identity, id string) (*journal.Session, error) {
	for i := range f.sessions {
		if s := &f.sessions[i]; s.ID == id && (by.MayDecide() || s.Identity == by.Name) {
			return s, nil
		}
	}
	return nil, journal.ErrNotFound
}

func (f *fakeService) Session(by journal.Identity, id string) (journal.Session, error) {
	s, err := f.find(by, id)
	if err != nil {
		return journal.Session{}, err
	}
	c := *s
	c.Operations = slices.Clone(s.Operations)
	return c, nil
}

func (f *fakeService) Sessions(by journal.Identity, filter approvals.Filter) ([]journal.Session, error) {
	var all []journal.Session
	for _, s := range f.sessions {
		if (by.MayDecide() || s.Identity == by.Name) && (filter.All || !s.Status.Final()) {
			all = append(all, s)
		}
	}
	return all, f.fails
}

func (f *fakeService) decide(by journal.Identity, id string, d journal.Decision, reason string) (journal.Session, error) {
	s, err := f.find(by, id)
	if err != nil {
		return journal.Session{}, err
	}
	for i := range s.Operations {
		s.Operations[i].Decision, s.Operations[i].By, s.Operations[i].Reason = d, by.Name, reason
	}
	return *s, nil
}

func (f *fakeService) Approve(_ context.Context, id string, by journal.Identity, a decision.Approval) (journal.Session, error) {
	s, err := f.Session(by, id)
	if err == nil {
		err = a.Fits(&s)
	}
	if err == nil && s.Operations[0].Risk == policy.Danger && !slices.Contains(a.Danger, s.Target) {
		err = decision.ErrDanger
	}
	if err == nil {
		err = f.done("approve %s %v %v", id, a.Ops, a.Danger)
	}
	if err != nil {
		return s, err
	}
	return f.decide(by, id, journal.Approved, "")
}

func (f *fakeService) Reject(_ context.Context, id string, by journal.Identity, ops []int, reason string) (journal.Session, error) {
	if err := f.done("reject %s %v %s", id, ops, reason); err != nil {
		return journal.Session{}, err
	}
	return f.decide(by, id, journal.Rejected, reason)
}

func (f *fakeService) Cancel(_ context.Context, id string, by journal.Identity) (journal.Session, error) {
	if err := f.done("cancel %s by %s", id, by.Name); err != nil {
		return journal.Session{}, err
	}
	s, err := f.find(by, id)
	if err != nil {
		return journal.Session{}, err
	}
	s.Status = journal.StatusCancelled
	return *s, nil
}

func (f *fakeService) Follow(_ context.Context, by journal.Identity, id string, fn func(output.Chunk) error) (journal.Session, error) {
	if err := f.Output(by, id, fn); err != nil {
		return journal.Session{}, err
	}
	return f.Session(by, id)
}

func (f *fakeService) Output(_ journal.Identity, _ string, fn func(output.Chunk) error) error {
	for _, c := range f.chunks {
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeService) Rollback(_ context.Context, id string, _ journal.Identity, force, plan bool) ([]rollback.Step, error) {
	return f.steps, f.done("rollback %s force=%v plan=%v", id, force, plan)
}

func (f *fakeService) Rehearse(_ context.Context, id string, _ journal.Identity, n int) (*rehearsal.Result, error) {
	return f.rehearsal, f.done("rehearse %s n=%d", id, n)
}

func (f *fakeService) Subscribe(context.Context, journal.Identity) <-chan events.Event {
	c := make(chan events.Event, len(f.events))
	for _, e := range f.events {
		c <- e
	}
	close(c)
	return c
}

func (f *fakeService) Revoke(_ context.Context, n int, _ journal.Identity) (grants.Grant, error) {
	if err := f.done("revoke %d", n); err != nil {
		return grants.Grant{}, err
	}
	for _, g := range f.grants {
		if g.N == n {
			return g, nil
		}
	}
	return grants.Grant{}, grants.ErrNoGrant
}

func (f *fakeService) Diff(file *journal.File, context int) (diff.Diff, bool, error) {
	return diff.Compare([]byte(f.text[0]), []byte(f.text[1]), context), file.Op == journal.Write, nil
}

func (f *fakeService) JudgeShell(_ context.Context, _ journal.Identity, text string, c policy.Context) (policy.Decision, error) {
	if c.Target != config.LocalTarget {
		return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: text + " on " + c.Target}, f.fails
	}
	return policy.Decision{Verdict: policy.Allow, Risk: policy.Safe, Reason: text + " only looks"}, f.fails
}

func (f *fakeService) Grants(journal.Identity, bool) []grants.Grant { return f.grants }
func (f *fakeService) Void(*grants.Grant) string                    { return "" }
func (f *fakeService) Obstacle(*journal.Session) string             { return "" }
func (f *fakeService) Reads(journal.Session) (*journal.Reads, []string, error) {
	return nil, nil, nil
}
func (f *fakeService) Counts(journal.Identity) (running, held, parked int) { return 1, 2, 3 }
func (f *fakeService) Check(context.Context) error                         { return f.fails }
func (f *fakeService) Attend(context.Context, string) (leave func())       { return func() {} }

// fakeRunner starts a session that is in the service already, and keeps what it was asked for.
type fakeRunner struct {
	id    string
	asked []approvals.Request
	fails error
}

func (r *fakeRunner) Start(_ context.Context, request approvals.Request, _ io.Reader) (string, func(), error) {
	r.asked = append(r.asked, request)
	return r.id, func() {}, r.fails
}

func (r *fakeRunner) Interact(ctx context.Context, request approvals.Request, _ *Terminal, stdin io.Reader) (string, func(), error) {
	return r.Start(ctx, request, stdin)
}

// fakeVerbs are verbs on a fake service, in which a session of claude waits.
func fakeVerbs(t *testing.T) (*Verbs, *fakeService, *fakeRunner) {
	t.Helper()
	c, err := config.Parse(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeService{sessions: []journal.Session{journaltest.Session(journaltest.Operations()[1].Op)}, text: [2]string{"one\n", "two\n"}}
	r := &fakeRunner{id: waitingID}
	return &Verbs{
		Answers: &turns.Turns{}, Sessions: f, Runner: r, Config: c, Version: "1.2.3", Started: journaltest.Time,
		Now:    func() time.Time { return journaltest.Time.Add(90 * time.Second) },
		Starts: func() *sandbox.Starts { return nil },
		Audit:  func() (bool, error) { return true, nil },
		Reload: func() *Refusal { return nil },
		Engine: func(context.Context, string) error { return nil },
		Fronts: Fronts{
			Screen: func(_ context.Context, o tui.Options) error { return f.done("screen %s", o.Session) },
			Plain:  func(_ context.Context, o tui.Options) error { return f.done("plain %s %v", o.Session, o.Pace.Undo) },
		},
	}, f, r
}

// waitingID is the session that waits.
const waitingID = "abcd2345"

var (
	agent = journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:key"}
	// other is an agent who has no session.
	other = journal.Identity{Name: "gpt", Role: journal.Agent, Fingerprint: "SHA256:gpt"}
	admin = journal.Identity{Name: "root", Role: journal.Admin, Fingerprint: "SHA256:root"}

	errStuck = errors.New("the disk is full")
)

// try is a line and what must come of it.
type try struct {
	name     string
	by       journal.Identity
	line     string
	stdin    string
	terminal bool
	prepare  func(*Verbs, *fakeService)
	status   int
	stdout   []string // that standard output has; none for an empty one
	stderr   []string // the same
	did      []string // what the service was asked to do, nothing else
}

func (c *try) run(t *testing.T) {
	t.Helper()
	v, f, _ := fakeVerbs(t)
	if c.prepare != nil {
		c.prepare(v, f)
	}
	var stdout, stderr bytes.Buffer
	call := &Call{Identity: c.by, Targets: []string{"local"}, Line: c.line, Stdin: strings.NewReader(c.stdin), Stdout: &stdout, Stderr: &stderr}
	if c.terminal {
		call.Terminal = &Terminal{Type: "xterm", Width: 80, Height: 24, Raw: &stdout}
	}
	if status := v.Run(t.Context(), call); status != c.status {
		t.Errorf("exit status %d, want %d; it says %q", status, c.status, stderr.String())
	}
	for _, stream := range []struct {
		name, got string
		want      []string
	}{{"stdout", stdout.String(), c.stdout}, {"stderr", stderr.String(), c.stderr}} {
		if len(stream.want) == 0 && stream.got != "" {
			t.Errorf("%s is %q, want nothing", stream.name, stream.got)
		}
		for _, want := range stream.want {
			if !strings.Contains(stream.got, want) {
				t.Errorf("%s is %q, and has no %q", stream.name, stream.got, want)
			}
		}
	}
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "shannot: ") && !strings.HasSuffix(line, "complained\n") { // which a script wrote
			t.Errorf("a line of the gateway's own has no mark: %q", line)
		}
	}
	if !slices.Equal(f.did, c.did) {
		t.Errorf("the service did %q, want %q", f.did, c.did)
	}
}

func tryAll(t *testing.T, tries []try) {
	t.Helper()
	for _, c := range tries {
		name := c.name
		if name == "" {
			name = string(c.by.Role) + " " + c.line
		}
		t.Run(name, c.run)
	}
}

// failing makes every change end with an error.
func failing(err error) func(*Verbs, *fakeService) {
	return func(_ *Verbs, f *fakeService) { f.fails = err }
}

// ended makes the session one that has ended.
func ended(status journal.Status, exit int) func(*Verbs, *fakeService) {
	return func(_ *Verbs, f *fakeService) {
		s := &f.sessions[0]
		s.Status, s.ExitCode, s.Ended, s.Deadline = status, &exit, journaltest.Time, time.Time{}
		s.Operations[0].Decision = journal.Approved
		f.chunks = []output.Chunk{
			{Stream: output.Stdout, Data: []byte("said\n")}, {Stream: output.Stderr, Data: []byte("complained\n")},
		}
	}
}

func TestNobodyUsesAVerbOfAnotherRole(t *testing.T) {
	for _, r := range table() {
		for _, by := range []journal.Identity{agent, approver, admin} {
			if slices.Contains(r.roles, by.Role) || r.make().Hidden {
				continue
			}
			c := try{by: by, line: r.name + " " + waitingID, status: ExitNotPermitted, stderr: []string{by.Name + " is an " + string(by.Role) + " and may not "}}
			t.Run(string(by.Role)+" "+r.name, c.run)
		}
	}
}

// empty has nothing to read, and takes everything.
type empty struct{}

func (empty) Read([]byte) (int, error)    { return 0, io.EOF }
func (empty) Write(p []byte) (int, error) { return len(p), nil }
