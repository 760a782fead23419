package approvals_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
	"shannot-gateway/targets"
)

// granting is a book with grants, and a clock that the test moves.
type granting struct {
	*book
	now    time.Time
	store  *store.Store
	told   []string
	refuse error // what recording a grant fails with
}

func newGranting(t *testing.T, dir string) *granting {
	t.Helper()
	g := &granting{now: time.Unix(1_800_000_000, 0)}
	g.book = open(t, dir, func(c *approvals.Config) {
		g.store = c.Blobs.(*store.Store)
		c.Grants, c.Now, c.Limits.Grant = g.store, func() time.Time { return g.now }, 24*time.Hour
		c.Target = func(string) targets.Target {
			if g.book == nil { // while it opens
				return nil
			}
			return g.target
		}
		c.Granted = func(grant grants.Grant, what string, by journal.Identity) error {
			g.told = append(g.told, what+" by "+by.Name)
			return g.refuse
		}
	})
	return g
}

// asks starts a command that the policy asks about, and returns its session once it waits.
func (g *granting) asks(t *testing.T, l *gate.Live, argv ...string) (<-chan started, journal.Session) {
	t.Helper()
	events := g.Subscribe(t.Context())
	result := start(l, command(io.Discard, argv...))
	return result, g.waiting(events, l.ID())
}

// runs starts a command that must run without waiting.
func (g *granting) runs(t *testing.T, l *gate.Live, argv ...string) journal.Operation {
	t.Helper()
	p, err := l.Start(l.Context(), command(io.Discard, argv...))
	mustRun(t, p, err)
	s, err := g.Session(l.ID())
	if err != nil {
		t.Fatal(err)
	}
	return s.Operations[len(s.Operations)-1]
}

func (g *granting) beginAs(t *testing.T, who journal.Identity) *gate.Live {
	t.Helper()
	l, err := g.Begin(context.Background(), approvals.Request{Identity: who, Target: g.target, Script: "print()", Args: []string{"-"}, Env: g.target.Account().Env("dumb")})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// approve approves the one operation that waits, with a grant.
func (g *granting) approve(t *testing.T, s journal.Session, result <-chan started, spec grants.Spec) grants.Grant {
	t.Helper()
	n := s.Operations[len(s.Operations)-1].N
	_, grant, err := g.ApproveGranting(context.Background(), s.ID, alice, n, shown(t, g.Manager, s.ID), spec)
	if err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	return grant
}

// refused reports whether a command waits for a human; it is then rejected.
func (g *granting) refused(t *testing.T, l *gate.Live, argv ...string) {
	t.Helper()
	result, s := g.asks(t, l, argv...)
	op := s.Operations[len(s.Operations)-1]
	if op.Decision != journal.Waiting || op.Grant != 0 {
		t.Errorf("%q: the operation is %s, grant %d", argv, op.Decision, op.Grant)
	}
	if _, err := g.Reject(context.Background(), s.ID, alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	if r := <-result; r.err == nil {
		t.Errorf("%q ran", argv)
	}
}

var exactly = grants.Spec{Kind: grants.Exact}

func TestExactGrantLetsTheSameCommandRunInItsSession(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	grant := g.approve(t, s, result, exactly)
	if grant.N != 1 || grant.Session != l.ID() || !grant.Until.IsZero() || grant.By != "alice" || grant.Digest != s.Operations[0].Digest {
		t.Errorf("the grant is %+v", grant)
	}
	op := g.runs(t, l, "true", "x")
	if op.Decision != journal.Approved || op.Grant != 1 || op.By != "alice" || op.ByKey != alice.Fingerprint || op.Reason != "by grant 1" || op.Verdict != "ask" {
		t.Errorf("the operation is %+v", op)
	}
	g.refused(t, l, "true", "y")
	g.refused(t, l, "true")
	g.refused(t, l, "true", "x", "x")
	other := g.beginAs(t, claude)
	g.refused(t, other, "true", "x")
	l.End(gate.Outcome{Status: journal.StatusDone})
	if list := g.Grants(false); len(list) != 0 {
		t.Errorf("after its session the grant is still in force: %v", list)
	}
	if list := g.Grants(true); len(list) != 1 {
		t.Errorf("the grant is not remembered: %v", list)
	}
}

func TestGrantOfAnIdentityLastsUntilItsTime(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	grant := g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	if grant.Session != "" || !grant.Until.Equal(g.now.Add(time.Hour)) {
		t.Errorf("the grant is %+v", grant)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	g.now = g.now.Add(time.Hour - 1)
	second := g.beginAs(t, claude)
	if op := g.runs(t, second, "true", "x"); op.Grant != 1 {
		t.Errorf("the operation is %+v", op)
	}
	g.refused(t, g.beginAs(t, bob), "true", "x") // another identity
	g.now = g.now.Add(1)
	g.refused(t, second, "true", "x")
}

func TestShapeGrantIsNoBroaderThanItSays(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "restart", "nginx", "--lines=5", "/var/log/a.log", "-v")
	grant := g.approve(t, s, result, grants.Spec{Kind: grants.Shape, Vary: []int{2, 3, 4, 2}, For: time.Hour})
	if got, want := grant.Shape(), "true restart <name> --lines=<number> /var/log/<name> -v"; got != want {
		t.Errorf("the shape is %q, want %q", got, want)
	}
	g.runs(t, l, "true", "restart", "ssh", "--lines=7", "/var/log/b", "-v")
	for _, argv := range [][]string{
		{"true", "stop", "nginx", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "-nginx", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "--all", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "a b", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "a/b", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "*", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "a\n", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "a..b", "--lines=5", "/var/log/a.log", "-v"},
		{"true", "restart", "nginx", "--lines=x", "/var/log/a.log", "-v"},
		{"true", "restart", "nginx", "--lines=", "/var/log/a.log", "-v"},
		{"true", "restart", "nginx", "--line=5", "/var/log/a.log", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/../a", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/..", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/x/y", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/.x", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/etc/a.log", "-v"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/a.log", "-x"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/a.log"},
		{"true", "restart", "nginx", "--lines=5", "/var/log/a.log", "-v", "x"},
		{"false", "restart", "nginx", "--lines=5", "/var/log/a.log", "-v"},
	} {
		g.refused(t, l, argv...)
	}
	// A terminal of the agent's choice is another environment.
	other, err := g.Begin(context.Background(), approvals.Request{Identity: claude, Target: g.target, Script: "print()", Args: []string{"-"}, Env: g.target.Account().Env("odd")})
	if err != nil {
		t.Fatal(err)
	}
	g.refused(t, other, "true", "restart", "ssh", "--lines=7", "/var/log/b", "-v")
	// Another directory, environment or input is another command.
	for _, change := range []func(*gate.Start){
		func(c *gate.Start) { c.Dir = "/usr" },
		func(c *gate.Start) { c.Env = append(slices.Clone(g.target.Account().Env("dumb")), "X=1") },
		func(c *gate.Start) { c.Input, c.Content = "data", []byte("x") },
		func(c *gate.Start) { c.Input, c.Stdin = "stream", strings.NewReader("x") },
		func(c *gate.Start) { c.Executables = []string{"/bin/false"} },
	} {
		c := command(io.Discard, "true", "restart", "ssh", "--lines=7", "/var/log/b", "-v")
		change(&c)
		events := g.Subscribe(t.Context())
		result := start(l, c)
		g.waiting(events, l.ID())
		if _, err := g.Reject(context.Background(), l.ID(), alice, nil, "no"); err != nil {
			t.Fatal(err)
		}
		<-result
	}
}

func TestWhatCannotBeGrantedIsNotApproved(t *testing.T) {
	g := newGranting(t, t.TempDir())
	tests := []struct {
		name string
		argv []string
		spec grants.Spec
		want string
	}{
		{"no word varies", []string{"true", "x"}, grants.Spec{Kind: grants.Shape}, "at least one word"},
		{"the program varies", []string{"true", "x"}, grants.Spec{Kind: grants.Shape, Vary: []int{0}}, "no word 0"},
		{"a word that is not there", []string{"true", "x"}, grants.Spec{Kind: grants.Shape, Vary: []int{2}}, "no word 2"},
		{"a negative word", []string{"true", "x"}, grants.Spec{Kind: grants.Shape, Vary: []int{-1}}, "no word -1"},
		{"a flag varies", []string{"true", "-x"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "a flag does not vary"},
		{"a text varies", []string{"true", "a b"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "neither a number nor a plain name"},
		{"a relative path varies", []string{"true", "a/b"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "absolute and clean"},
		{"a path with dots varies", []string{"true", "/a/../b"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "absolute and clean"},
		{"bytes vary", []string{"true", "a\xff"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "not UTF-8"},
		{"a shell's shape", []string{"sh", "x"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "only the exact command"},
		{"a wrapper's shape", []string{"timeout", "5", "true"}, grants.Spec{Kind: grants.Shape, Vary: []int{1}}, "only the exact command"},
		{"an exact one that varies", []string{"true", "x"}, grants.Spec{Kind: grants.Exact, Vary: []int{1}}, "use shape"},
		{"no kind", []string{"true", "x"}, grants.Spec{Kind: "all"}, "exact or shape"},
		{"too long", []string{"true", "x"}, grants.Spec{Kind: grants.Exact, For: 25 * time.Hour}, "limits.grant"},
		{"before now", []string{"true", "x"}, grants.Spec{Kind: grants.Exact, For: -1}, "limits.grant"},
	}
	for _, tt := range tests {
		l := g.beginAs(t, claude)
		result, s := g.asks(t, l, tt.argv...)
		_, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, shown(t, g.Manager, s.ID), tt.spec)
		if !errors.Is(err, grants.ErrBadGrant) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
		if s, err := g.Session(s.ID); err != nil || s.Operations[0].Decision != journal.Waiting {
			t.Errorf("%s: the operation is %s, %v", tt.name, s.Operations[0].Decision, err)
		}
		if _, err := g.Cancel(context.Background(), s.ID, claude); err != nil {
			t.Fatal(err)
		}
		<-result
		l.End(gate.Outcome{Status: journal.StatusCancelled})
	}
	if list := g.Grants(true); len(list) != 0 || len(g.told) != 0 {
		t.Errorf("grants were made: %v, %v", list, g.told)
	}
}

func TestInputThatIsNotKnownIsNotGranted(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	c := command(io.Discard, "true")
	c.Input, c.Stdin = "stream", strings.NewReader("x")
	events := g.Subscribe(t.Context())
	result := start(l, c)
	s := g.waiting(events, l.ID())
	if _, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, shown(t, g.Manager, s.ID), exactly); !errors.Is(err, grants.ErrBadGrant) {
		t.Errorf("got %v", err)
	}
	if _, err := g.Reject(context.Background(), s.ID, alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	<-result
}

// TestOnlyApproversGrantAndNeverToThemselves: what holds for a decision holds for a grant.
func TestOnlyApproversGrantAndNeverToThemselves(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, bob)
	result, s := g.asks(t, l, "true", "x")
	for _, by := range []journal.Identity{claude, bob, {Name: "x", Role: journal.Approver, Fingerprint: bob.Fingerprint}} {
		if _, _, err := g.ApproveGranting(context.Background(), s.ID, by, 1, shown(t, g.Manager, s.ID), exactly); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("%s: got %v", by.Name, err)
		}
	}
	if _, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, decision.Approval{Waiting: strings.Repeat("0", 64)}, exactly); !errors.Is(err, decision.ErrDigest) {
		t.Errorf("another digest: got %v", err)
	}
	if _, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 2, shown(t, g.Manager, s.ID), exactly); err == nil {
		t.Error("an operation that is not there was granted")
	}
	if list := g.Grants(true); len(list) != 0 {
		t.Errorf("grants were made: %v", list)
	}
	if _, err := g.Reject(context.Background(), s.ID, alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	<-result
	// A rejection makes none, and what was rejected cannot be granted afterwards.
	if _, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, shown(t, g.Manager, s.ID), exactly); !errors.Is(err, journal.ErrNotWaiting) {
		t.Errorf("a rejected operation: got %v", err)
	}
	if list := g.Grants(true); len(list) != 0 {
		t.Errorf("a rejection made grants: %v", list)
	}
}

func TestRevokedGrantIsOver(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	g.runs(t, l, "true", "x")
	if _, err := g.Revoke(context.Background(), 1, claude); !errors.Is(err, journal.ErrNotPermitted) {
		t.Errorf("an agent revokes: %v", err)
	}
	if _, err := g.Revoke(context.Background(), 7, alice); !errors.Is(err, grants.ErrNoGrant) {
		t.Errorf("a grant that is not there: %v", err)
	}
	if _, err := g.Revoke(context.Background(), 1, bob); err != nil {
		t.Fatal(err)
	}
	g.refused(t, l, "true", "x")
	if _, err := g.Revoke(context.Background(), 1, bob); !errors.Is(err, grants.ErrNoGrant) {
		t.Errorf("revoked twice: %v", err)
	}
	if !slices.Equal(g.told, []string{"granted by alice", "revoked by bob"}) {
		t.Errorf("the audit log was told %q", g.told)
	}
}

// TestPolicyDeniesInSpiteOfAGrant: env is denied by the judge of these tests; a grant of the same words changes nothing.
func TestPolicyDeniesInSpiteOfAGrant(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	grant := g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	// The same grant for what is denied, as if the policy had changed since.
	_, err := l.Start(l.Context(), command(io.Discard, "env", "x"))
	var denial *journal.DenialError
	if !errors.As(err, &denial) {
		t.Fatalf("got %v", err)
	}
	s, err = g.Session(l.ID())
	if err != nil {
		t.Fatal(err)
	}
	denied := s.Operations[len(s.Operations)-1]
	grant.N, grant.Digest, grant.Argv, grant.Path = 0, denied.Digest, denied.Command.Argv, denied.Command.Path
	if err := g.store.PutGrant(&grant); err != nil {
		t.Fatal(err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	again, err := approvals.New(g.config)
	if err != nil {
		t.Fatal(err)
	}
	g.Manager = again
	second := g.beginAs(t, claude)
	if _, err := second.Start(second.Context(), command(io.Discard, "env", "x")); !errors.As(err, &denial) {
		t.Errorf("a grant beats a denial: %v", err)
	}
	second.End(gate.Outcome{Status: journal.StatusFailed})
}

func TestGrantsOutliveTheGateway(t *testing.T) {
	dir := t.TempDir()
	g := newGranting(t, dir)
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	result, s = g.asks(t, l, "true", "y")
	g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	if _, err := g.Revoke(context.Background(), 1, alice); err != nil {
		t.Fatal(err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	if err := g.store.Close(); err != nil {
		t.Fatal(err)
	}
	g = newGranting(t, dir)
	l = g.beginAs(t, claude)
	if op := g.runs(t, l, "true", "y"); op.Grant != 2 {
		t.Errorf("the operation is %+v", op)
	}
	g.refused(t, l, "true", "x")
	result, s = g.asks(t, l, "true", "z")
	if grant := g.approve(t, s, result, exactly); grant.N != 3 {
		t.Errorf("the number %d was used before", grant.N)
	}
}

func TestGrantThatCannotBeRecordedIsNone(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	g.refuse = errors.New("the audit log cannot be written")
	_, _, err := g.ApproveGranting(context.Background(), s.ID, alice, 1, shown(t, g.Manager, s.ID), exactly)
	if !errors.Is(err, grants.ErrNotGranted) {
		t.Errorf("got %v", err)
	}
	r := <-result
	mustRun(t, r.process, r.err) // it is approved all the same
	if list := g.Grants(true); len(list) != 0 {
		t.Errorf("there are grants: %v", list)
	}
	g.refused(t, l, "true", "x")
}

// TestPlanRunsNothingByAGrant: a plan lists everything and runs nothing.
func TestPlanRunsNothingByAGrant(t *testing.T) {
	g := newGranting(t, t.TempDir())
	l := g.beginAs(t, claude)
	result, s := g.asks(t, l, "true", "x")
	g.approve(t, s, result, grants.Spec{Kind: grants.Exact, For: time.Hour})
	plan, err := g.Begin(context.Background(), approvals.Request{Identity: claude, Target: g.target, Script: "print()", Args: []string{"-"}, Plan: true, Env: g.target.Account().Env("dumb")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Start(plan.Context(), command(io.Discard, "true", "x"))
	mustRun(t, p, err)
	s, err = g.Session(plan.ID())
	if err != nil {
		t.Fatal(err)
	}
	if op := s.Operations[0]; op.Decision != journal.Planned || op.Grant != 0 || !op.Started.IsZero() {
		t.Errorf("the operation is %+v", op)
	}
	plan.End(gate.Outcome{Status: journal.StatusDone})
}
