package approvals_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/targets"
	"shannot-gateway/targets/local"
)

// directory is a configuration that a test changes: who is who, by name.
type directory struct {
	mu  sync.Mutex
	who map[string]listed
}

type listed struct {
	scope.Standing
	keys []string
}

func (d *directory) standing(name, key string) (scope.Standing, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	who, ok := d.who[name]
	return who.Standing, ok && len(who.keys) > 0 && (key == "" || slices.Contains(who.keys, key))
}

func (d *directory) set(name string, role journal.Role, everywhere bool, targets ...string) journal.Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.who[name] = listed{scope.Standing{Role: role, Targets: targets, Everywhere: everywhere}, []string{"SHA256:" + name}}
	return journal.Identity{Name: name, Role: role, Fingerprint: "SHA256:" + name}
}

func (d *directory) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.who, name)
}

// elsewhere is this host under another name.
type elsewhere struct{ *local.Local }

func (elsewhere) Name() string { return "prod" }

// scoped is a book with a configuration of its own, which names claude, an agent, for both targets.
type scoped struct {
	*book
	*directory
}

func newScoped(t *testing.T) *scoped {
	d := &directory{who: map[string]listed{}}
	s := &scoped{directory: d}
	s.book = open(t, t.TempDir(), func(c *approvals.Config) {
		c.Standing = d.standing
		c.Grants = c.Blobs.(grants.Store)
	})
	d.set("watcher", journal.Admin, true)
	d.set("claude", journal.Agent, false, "local", "prod")
	return s
}

// asks begins a session that waits with one command, on a target, and of a group where that is not "".
func (s *scoped) asks(t *testing.T, by journal.Identity, target targets.Target, group string) string {
	t.Helper()
	feed := s.Subscribe(t.Context())
	l, err := s.Begin(context.Background(), approvals.Request{
		Identity: by, Target: target, Script: "print()", Args: []string{"-"}, Env: target.Account().Env("dumb"), Group: group,
	})
	if err != nil {
		t.Fatal(err)
	}
	result := start(l, command(io.Discard, "true", "x"))
	s.waiting(feed, l.ID())
	t.Cleanup(func() {
		_, _ = s.Cancel(context.Background(), l.ID(), by)
		<-result
		l.End(gate.Outcome{Status: journal.StatusCancelled})
	})
	return l.ID()
}

// What may be done by whom, tried by every method that takes who asks. Nothing of it changes anything: what is permitted fails
// later, for a reason of its own.
func TestEveryMethodAsksTheScope(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	carol := s.set("carol", journal.Agent, false, "local", "prod")
	alice := s.set("alice", journal.Approver, true, "local")
	pete := s.set("pete", journal.Approver, false, "prod")
	none := s.set("none", journal.Approver, false)
	root := s.set("root", journal.Admin, true, "local")
	admin := s.set("admin", journal.Admin, false, "local")
	gone := journal.Identity{Name: "gone", Role: journal.Approver, Fingerprint: "SHA256:gone"}
	keyless := s.set("keyless", journal.Approver, true)
	s.who["keyless"] = listed{s.who["keyless"].Standing, nil}
	rekeyed := journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:former"}
	unkeyed := journal.Identity{Name: "alice", Role: journal.Approver}
	promoted := journal.Identity{Name: "carol", Role: journal.Approver, Fingerprint: "SHA256:carol"}
	thief := journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:claude"}

	group, err := s.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	here, prod := s.target, elsewhere{s.target}
	sessions := map[string]string{
		"here": s.asks(t, claude, here, group), "prod": s.asks(t, claude, prod, group),
		"root's here": s.asks(t, root, here, ""), "root's prod": s.asks(t, root, prod, ""), "admin's here": s.asks(t, admin, here, ""),
	}
	const (
		unseen = iota // it does not exist for them, whatever they want
		sees          // and nothing more
		own           // may not decide on it
		decides
	)
	for _, row := range []struct {
		by  journal.Identity
		may map[string]int // those that are not named are unseen
	}{
		{claude, map[string]int{"here": sees, "prod": sees}},
		{carol, nil},
		{alice, map[string]int{"here": decides, "prod": decides, "root's here": decides, "root's prod": decides, "admin's here": decides}},
		{pete, map[string]int{"prod": decides, "root's prod": decides}},
		{none, nil},
		{root, map[string]int{"here": decides, "prod": decides, "root's here": own, "root's prod": own, "admin's here": decides}},
		{admin, map[string]int{"here": decides, "root's here": decides, "admin's here": own}},
		{gone, nil}, {keyless, nil}, {rekeyed, nil}, {unkeyed, nil}, {promoted, nil}, {thief, nil},
	} {
		count := 0
		list, err := s.Manager.Sessions(row.by, approvals.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for name, id := range sessions {
			may := row.may[name]
			s.tryLooks(t, row.by, name, id, may >= sees)
			s.tryDecisions(t, row.by, name, id, may >= sees, may == own, may == decides)
			listed := slices.ContainsFunc(list, func(s journal.Session) bool { return s.ID == id })
			if listed != (may >= sees) {
				t.Errorf("%s (%s): %s is listed: %v", row.by.Name, row.by.Fingerprint, name, listed)
			}
			if may >= sees {
				count++
			}
		}
		if running, held, parked := s.Counts(row.by); running+held+parked != count || len(list) != count {
			t.Errorf("%s (%s) counts %d and lists %d sessions, want %d", row.by.Name, row.by.Fingerprint, running+held+parked, len(list), count)
		}
		members, others, err := s.Group(row.by, group)
		want := min(row.may["here"], 1) + min(row.may["prod"], 1)
		if want == 0 && !errors.Is(err, journal.ErrNotFound) || want > 0 && (err != nil || len(members) != want || others != 2-want) {
			t.Errorf("%s (%s) is shown %d of the group and told of %d others, %v; want %d", row.by.Name, row.by.Fingerprint, len(members), others, err, want)
		}
	}
}

// tryLooks reads a session in every way.
func (s *scoped) tryLooks(t *testing.T, by journal.Identity, name, id string, want bool) {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, byID := s.Manager.Session(by, id)
	_, following := s.Manager.Follow(over, by, id, func(output.Chunk) error { return nil })
	if errors.Is(following, context.Canceled) {
		following = nil // it would have gone on
	}
	for verb, err := range map[string]error{
		"show": byID, "wait": following, "output": s.Manager.OperationOutput(by, id, 1, func(output.Chunk) error { return nil }),
	} {
		if want && err != nil || !want && !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("%s (%s) %s of %s: %v, want it to be shown: %v", by.Name, by.Fingerprint, verb, name, err, want)
		}
	}
}

// tryDecisions decides on a session in every way, each wrongly in something that is looked at after who asks.
func (s *scoped) tryDecisions(t *testing.T, by journal.Identity, name, id string, sees, own, decides bool) {
	t.Helper()
	wrong := decision.Approval{Waiting: strings.Repeat("0", 64)}
	_, approve := s.Approve(t.Context(), id, by, wrong)
	_, reject := s.Reject(t.Context(), id, by, []int{99}, "no")
	_, _, grant := s.ApproveGranting(t.Context(), id, by, 1, wrong, grants.Spec{Kind: grants.Exact})
	_, rollback := s.Rollback(t.Context(), id, by, false, false)
	session, err := s.Session(id)
	if err != nil {
		t.Fatal(err)
	}
	_, preview := s.PreviewGrant(session, 1, by, grants.Spec{Kind: grants.Exact})
	for verb, err := range map[string]error{"approve": approve, "reject": reject, "grant": grant, "rollback": rollback, "preview": preview} {
		notHere, notAllowed := errors.Is(err, journal.ErrNotFound), errors.Is(err, journal.ErrNotPermitted)
		switch {
		case decides && (notHere || notAllowed), own && !notAllowed, !decides && !notHere && !notAllowed:
			t.Errorf("%s (%s) %s of %s: %v; sees %v, own %v, decides %v", by.Name, by.Fingerprint, verb, name, err, sees, own, decides)
		case !sees && by.MayDecide() && !notHere && !notAllowed:
			t.Errorf("%s (%s) %s of %s, which is not shown: %v", by.Name, by.Fingerprint, verb, name, err)
		}
	}
	if !sees {
		if _, err := s.Cancel(t.Context(), id, by); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("%s (%s) cancels %s: %v", by.Name, by.Fingerprint, name, err)
		}
	}
}

func TestWhatIsOutsideAScopeIsNotFoundRatherThanForbidden(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	pete := s.set("pete", journal.Approver, false, "prod")
	id := s.asks(t, claude, s.target, "")
	_, missing := s.Approve(t.Context(), "aaaaaaaa", pete, shown(t, s.Manager, id))
	_, hidden := s.Approve(t.Context(), id, pete, shown(t, s.Manager, id))
	if missing == nil || hidden == nil || missing.Error() != hidden.Error() {
		t.Errorf("a session that is not there: %v; one that is not shown: %v", missing, hidden)
	}
}

func TestEventsAreThoseOfTheScope(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	pete := s.set("pete", journal.Approver, false, "prod")
	heard := s.Manager.Subscribe(t.Context(), pete)
	s.asks(t, claude, s.target, "")
	prod := s.asks(t, claude, elsewhere{s.target}, "")
	for e := range heard {
		if e.Session != prod {
			t.Fatalf("pete hears %+v", e)
		}
		if e.Kind == events.Waiting {
			break
		}
	}
	s.set("pete", journal.Approver, false)
	s.Rescoped()
	s.asks(t, claude, elsewhere{s.target}, "")
	s.set("pete", journal.Approver, false, "prod")
	s.Rescoped()
	for range 2 {
		if e := <-heard; e.Kind != events.Reloaded || e.Session != "" {
			t.Errorf("pete hears %+v of what was not theirs at that time", e)
		}
	}
}

// A scope that shrinks ends what follows, though nothing happens in the session.
func TestAScopeThatShrinksEndsWhatFollows(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	pete := s.set("pete", journal.Approver, false, "local")
	id := s.asks(t, claude, s.target, "")
	begun, ended := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		_, err := s.Manager.Follow(t.Context(), pete, id, func(output.Chunk) error { once.Do(func() { close(begun) }); return nil })
		ended <- err
	}()
	<-begun
	s.Rescoped() // which changes nothing for pete
	s.set("pete", journal.Approver, false, "prod")
	s.Rescoped()
	if err := <-ended; !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("following ends with %v, want ErrNotFound", err)
	}
}

// A grant is as good as who made it and whom it is for.
func TestAGrantIsVoidWithoutWhoMadeIt(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	alice := s.set("alice", journal.Approver, false, "local")
	feed := s.Subscribe(t.Context())
	l := s.begin()
	result := start(l, command(io.Discard, "true", "x"))
	s.waiting(feed, l.ID())
	if _, _, err := s.ApproveGranting(t.Context(), l.ID(), alice, 1, shown(t, s.Manager, l.ID(), 1), grants.Spec{Kind: grants.Exact}); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	runs := func() bool { t.Helper(); return s.runsUnasked(t, l, "x") }
	void := func() string { g := s.Grants(true); return s.Void(&g[0]) }
	if !runs() || void() != "" {
		t.Fatalf("the grant does not hold: %q", void())
	}
	restore := func() {
		s.set("alice", journal.Approver, false, "local")
		s.set("claude", journal.Agent, false, "local", "prod")
	}
	for name, take := range map[string]func(){
		"the approver":             func() { s.remove("alice") },
		"their role":               func() { s.set("alice", journal.Agent, false, "local") },
		"their scope":              func() { s.set("alice", journal.Approver, false, "prod") },
		"their key":                func() { s.who["alice"] = listed{s.who["alice"].Standing, []string{"SHA256:new"}} },
		"the agent":                func() { s.remove("claude") },
		"the agent's keys":         func() { s.who["claude"] = listed{s.who["claude"].Standing, nil} },
		"the target for the agent": func() { s.set("claude", journal.Agent, false, "prod") },
	} {
		take()
		if void() == "" || runs() {
			t.Errorf("without %s the grant holds: %q", name, void())
		}
		restore()
	}
	if !runs() || void() != "" {
		t.Errorf("with all of it again the grant does not hold: %q", void())
	}
	// It is shown, and taken back, by those alone whose target it is for.
	pete := s.set("pete", journal.Approver, false, "prod")
	n := s.Grants(true)[0].N
	if list := s.Manager.Grants(pete, true); len(list) != 0 {
		t.Errorf("pete is shown %v", list)
	}
	if _, err := s.Revoke(t.Context(), n, pete); !errors.Is(err, grants.ErrNoGrant) {
		t.Errorf("pete revokes it: %v", err)
	}
	if list := s.Manager.Grants(claude, true); len(list) != 1 {
		t.Errorf("the agent is shown %v", list)
	}
	if _, err := s.Revoke(t.Context(), n, alice); err != nil {
		t.Error(err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
}

func TestNothingOfAnAgentWhoIsGoneIsApproved(t *testing.T) {
	s := newScoped(t)
	claude := journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	alice := s.set("alice", journal.Approver, true)
	id := s.asks(t, claude, s.target, "")
	s.remove("claude")
	session, err := s.Session(id)
	if err != nil || s.Obstacle(&session) == "" {
		t.Fatalf("nothing is said of it: %v", err)
	}
	if _, err := s.Approve(t.Context(), id, alice, shown(t, s.Manager, id)); !errors.Is(err, journal.ErrObstacle) {
		t.Errorf("it is approved: %v", err)
	}
	if now, _ := s.Session(id); now.Operations[0].Decision != journal.Waiting {
		t.Errorf("it is %s", now.Operations[0].Decision)
	}
	if _, err := s.Reject(t.Context(), id, alice, nil, "your agent is gone"); err != nil {
		t.Errorf("it is not rejected: %v", err)
	}
}

// A decision that was taken in time does not start what is left of an agent who was taken out since, while the gateway was down.
func TestNothingOfAnAgentWhoIsGoneIsStartedAgain(t *testing.T) {
	d := &directory{who: map[string]listed{}}
	d.set("watcher", journal.Admin, true)
	d.set("claude", journal.Agent, false, "local")
	alice := d.set("alice", journal.Approver, true)
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Standing = d.standing })
	for name, take := range map[string]func(){
		"without its agent":  func() { d.remove("claude") },
		"without its target": func() { d.set("claude", journal.Agent, false, "prod") },
	} {
		id := b.killAfterApproval(filepath.Join(b.dir, "mark"))
		take()
		next := b.next()
		// An approval comes after what the new gateway makes of the one before.
		if _, err := next.Approve(t.Context(), id, alice, decision.Approval{Waiting: strings.Repeat("0", 64)}); err == nil {
			t.Errorf("%s it is approved", name)
		}
		next.waits(id)
		d.set("claude", journal.Agent, false, "local")
		b.next().waits(id)
	}
	if len(again) != 0 {
		t.Error("it started again")
	}
}
