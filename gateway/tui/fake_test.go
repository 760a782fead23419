package tui

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/rollback"
)

// The screen is made for the real one.
var _ Backend = (*approvals.Manager)(nil)

// start is when the tests' clock stands still.
var start = time.Date(2031, 3, 4, 3, 0, 0, 0, time.UTC)

var (
	alice = journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:alice"}
	bob   = journal.Identity{Name: "bob", Role: journal.Approver, Fingerprint: "SHA256:bob"}
)

// fakeBackend keeps sessions in memory and decides as the real one does.
type fakeBackend struct {
	mu        sync.Mutex
	sessions  []journal.Session
	chunks    map[string][]output.Chunk
	written   map[string][]output.Chunk // by "id/n"
	wake      chan struct{}             // closed and replaced when anything changes
	listeners []chan events.Event
	following int
	obstacles map[string]string // by session
	alone     map[string]bool   // sessions whose agent has gone
	approved  []string          // "id/n/digest by whom"
	before    func()            // runs before a decision counts
	listErr   error
	grantErr  error
	granted   []grants.Grant
	steps     []rollback.Step // of a rollback
	rolled    []string
	reading   chan struct{}        // where not nil, contents are read once it is closed
	diffErr   error                // what reading contents ends with
	texts     map[string][2]string // by path: what a file holds, and is to hold
}

func newFake(sessions ...journal.Session) *fakeBackend {
	return &fakeBackend{sessions: sessions, chunks: map[string][]output.Chunk{}, written: map[string][]output.Chunk{}, wake: make(chan struct{})}
}

// changed tells everybody; the caller holds the lock.
func (f *fakeBackend) changed(id string) {
	f.announce(events.Event{Session: id, Kind: "changed", At: start})
}

func (f *fakeBackend) announce(e events.Event) {
	close(f.wake)
	f.wake = make(chan struct{})
	for _, l := range f.listeners {
		select {
		case l <- e:
		default:
		}
	}
}

func (f *fakeBackend) Diff(file *journal.File, context int) (diff.Diff, bool, error) {
	if f.reading != nil {
		<-f.reading
	}
	if f.diffErr != nil {
		return diff.Diff{}, false, f.diffErr
	}
	texts, ok := f.texts[string(file.Path)]
	if !ok {
		return diff.Diff{}, false, nil
	}
	return diff.Compare([]byte(texts[0]), []byte(texts[1]), context), true, nil
}

func (f *fakeBackend) find(id string) *journal.Session {
	for i := range f.sessions {
		if f.sessions[i].ID == id {
			return &f.sessions[i]
		}
	}
	return nil
}

func snapshotOf(s *journal.Session) journal.Session {
	c := *s
	c.Operations = slices.Clone(s.Operations)
	return c
}

// Attended implements Backend.
func (f *fakeBackend) Attended(id string) bool { return !f.alone[id] }

// Obstacle implements Backend.
func (f *fakeBackend) Obstacle(s *journal.Session) string { return f.obstacles[s.ID] }

func (f *fakeBackend) Sessions(_ journal.Identity, filter approvals.Filter) ([]journal.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listErr != nil {
		return nil, f.listErr
	}
	var all []journal.Session
	for i := range f.sessions {
		if filter.All || !f.sessions[i].Status.Final() {
			all = append(all, snapshotOf(&f.sessions[i]))
		}
	}
	return all, nil
}

func (f *fakeBackend) Session(_ journal.Identity, id string) (journal.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.find(id); s != nil {
		return snapshotOf(s), nil
	}
	return journal.Session{}, journal.ErrNotFound
}

func (f *fakeBackend) decide(id string, by journal.Identity, ops []int, change func(*journal.Operation) error) (journal.Session, error) {
	f.mu.Lock()
	before := f.before
	f.before = nil
	f.mu.Unlock()
	if before != nil {
		before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.find(id)
	switch {
	case s == nil:
		return journal.Session{}, journal.ErrNotFound
	case !by.MayDecide() || by.Name == s.Identity || by.Fingerprint == s.Key:
		return journal.Session{}, journal.ErrNotPermitted
	}
	kept, approved := slices.Clone(s.Operations), f.approved
	decided := 0
	for i := range s.Operations {
		op := &s.Operations[i]
		if !slices.Contains(ops, op.N) || op.Decision != journal.Waiting {
			continue
		}
		if err := change(op); err != nil {
			s.Operations, f.approved = kept, approved
			return journal.Session{}, err
		}
		op.By, op.Decided = by.Name, start
		decided++
	}
	if decided < len(ops) || decided == 0 {
		s.Operations, f.approved = kept, approved
		return journal.Session{}, journal.ErrNotWaiting
	}
	f.announce(events.Event{Session: id, Kind: events.Decided, At: start, By: by.Name})
	return snapshotOf(s), nil
}

func (f *fakeBackend) Approve(_ context.Context, id string, by journal.Identity, a decision.Approval) (journal.Session, error) {
	return f.decide(id, by, slices.Collect(maps.Keys(a.Each)), func(op *journal.Operation) error {
		digest := a.Each[op.N]
		if err := a.Well(); err != nil {
			return err
		}
		if digest != op.Digest {
			return decision.ErrDigest
		}
		if op.Risk == policy.Danger && !slices.Contains(a.Danger, f.find(id).Target) {
			return decision.ErrDanger
		}
		op.Decision, op.Started = journal.Approved, start
		f.approved = append(f.approved, fmt.Sprintf("%s/%d/%s by %s", id, op.N, digest, by.Name))
		f.find(id).Status = journal.StatusRunning
		ran := output.Chunk{Stream: output.Stdout, Data: []byte("it ran\n")}
		f.chunks[id] = append(f.chunks[id], ran)
		f.written[fmt.Sprintf("%s/%d", id, op.N)] = []output.Chunk{ran}
		return nil
	})
}

func (f *fakeBackend) Reject(_ context.Context, id string, by journal.Identity, ops []int, reason string) (journal.Session, error) {
	return f.decide(id, by, ops, func(op *journal.Operation) error {
		op.Decision, op.Reason = journal.Rejected, reason
		s := f.find(id)
		s.Status, s.Ended, s.Deadline = journal.StatusRejected, start, time.Time{}
		return nil
	})
}

func (f *fakeBackend) OperationOutput(_ journal.Identity, id string, n int, fn func(output.Chunk) error) error {
	f.mu.Lock()
	chunks := slices.Clone(f.written[fmt.Sprintf("%s/%d", id, n)])
	f.mu.Unlock()
	for _, c := range chunks {
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

// operationWrites adds to the output of an operation.
func (f *fakeBackend) operationWrites(id string, n int, c output.Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := fmt.Sprintf("%s/%d", id, n)
	f.written[k] = append(f.written[k], c)
}

func (f *fakeBackend) PreviewGrant(s journal.Session, n int, by journal.Identity, spec grants.Spec) (grants.Grant, error) {
	if f.grantErr != nil {
		return grants.Grant{}, f.grantErr
	}
	c := s.Operations[n-1].Command
	g := grants.Grant{
		N: 7, Kind: spec.Kind, Session: s.ID, Identity: s.Identity, Target: c.Target, RunAs: c.RunAs, Path: c.Path, Dir: c.Dir, Argv: c.Argv, By: by.Name,
	}
	if spec.For > 0 {
		g.Session, g.Until = "", start.Add(spec.For)
	}
	for _, w := range spec.Vary {
		g.Varies = append(g.Varies, grants.VaryingWord{Word: w, Class: "name"})
	}
	return g, nil
}

func (f *fakeBackend) ApproveGranting(ctx context.Context, id string, by journal.Identity, n int, a decision.Approval, spec grants.Spec) (journal.Session, grants.Grant, error) {
	s, err := f.Approve(ctx, id, by, a)
	if err != nil {
		return s, grants.Grant{}, err
	}
	g, err := f.PreviewGrant(s, n, by, spec)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.granted = append(f.granted, g)
	return s, g, err
}

func (f *fakeBackend) Rollback(_ context.Context, id string, by journal.Identity, force, plan bool) ([]rollback.Step, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	steps := slices.Clone(f.steps)
	stuck := slices.ContainsFunc(steps, func(s rollback.Step) bool { return !s.Problem.Empty() })
	switch {
	case plan:
		return steps, nil
	case stuck && !force:
		return steps, rollback.ErrChangedSince
	}
	f.rolled = append(f.rolled, fmt.Sprintf("%s by %s force %v", id, by.Name, force))
	f.find(id).Status = journal.StatusRolledBack
	f.changed(id)
	return steps, nil
}

func (f *fakeBackend) Subscribe(context.Context, journal.Identity) <-chan events.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan events.Event, 16)
	f.listeners = append(f.listeners, c)
	return c
}

func (f *fakeBackend) Follow(ctx context.Context, _ journal.Identity, id string, fn func(output.Chunk) error) (journal.Session, error) {
	f.mu.Lock()
	f.following++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.following--
		f.mu.Unlock()
	}()
	for sent := 0; ; {
		f.mu.Lock()
		s, wake := f.find(id), f.wake
		if s == nil {
			f.mu.Unlock()
			return journal.Session{}, journal.ErrNotFound
		}
		now, chunks := snapshotOf(s), slices.Clone(f.chunks[id][sent:])
		f.mu.Unlock()
		for _, c := range chunks {
			if err := fn(c); err != nil {
				return now, err
			}
			sent++
		}
		if now.Status.Final() || now.Status == journal.StatusParked {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-wake:
		}
	}
}

// write adds output to a session.
func (f *fakeBackend) write(id string, c output.Chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.chunks[id] = append(f.chunks[id], c)
	f.changed(id)
}

// change changes a session behind the screen's back.
func (f *fakeBackend) change(id string, how func(*journal.Session)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f.find(id))
	f.changed(id)
}

// add adds a session.
func (f *fakeBackend) add(s journal.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = append(f.sessions, s)
	f.changed(s.ID)
}

// held is a session that waits for a decision on argv.
func held(id string, risk policy.Risk, argv ...string) journal.Session {
	return journal.Session{
		ID: id, Identity: "claude", Key: "SHA256:claude", Target: "prod", Engine: "native", Name: "nightly check",
		Analysis: "frees space\nbefore the backup", Args: []string{"-"},
		Script:       "import subprocess\nfor unit in ['a']:\n    subprocess.run(ARGV)\n",
		ScriptSHA256: "00ff", Status: journal.StatusHeld, Created: start.Add(-2 * time.Minute), Deadline: start.Add(8 * time.Minute),
		Operations: []journal.Operation{waitingOp(1, risk, argv...)},
	}
}

func waitingOp(n int, risk policy.Risk, argv ...string) journal.Operation {
	return journal.Operation{
		N: n, Kind: journal.CommandKind, Summary: "summary", Verdict: policy.Ask, Risk: risk,
		Why: argv[0] + " changes the system", Decision: journal.Waiting,
		Digest: fmt.Sprintf("%064x", n), Created: start.Add(-2 * time.Minute),
		Command: &journal.Command{
			Target: "prod", RunAs: "ops", Path: "/usr/bin/" + argv[0], Argv: argv, Dir: "/srv",
			Env: []string{"LANG=C.UTF-8", "PATH=/usr/bin"}, Input: "none", Line: 3,
		},
	}
}

// touchMany is a command that needs more rows than most windows have.
func touchMany() []string {
	argv := []string{"touch"}
	for i := range 60 {
		argv = append(argv, fmt.Sprintf("/srv/file%d", i))
	}
	return argv
}
