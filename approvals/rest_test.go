package approvals_test

import (
	"context"
	"io"
	"testing"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

// beginText begins a session that runs a text, and approves the rest of it with its first command.
func (s *scoped) beginText(t *testing.T, by journal.Identity) *gate.Live {
	t.Helper()
	feed := s.Subscribe(t.Context())
	l, err := s.Begin(context.Background(), approvals.Request{
		Identity: claude, Target: s.target, Engine: journal.TextEngine, Script: "true x; true y", Args: []string{"-c", "true x; true y"},
		Env: s.target.Account().Env("dumb"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.End(gate.Outcome{Status: journal.StatusCancelled}) })
	result := start(l, command(io.Discard, "true", "x"))
	waits := s.waiting(feed, l.ID())
	if _, err := s.Approve(t.Context(), l.ID(), by, decision.Approval{Waiting: waits.RestDigest(), Rest: true}); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	return l
}

// runsUnasked reports whether another command of a session, with some word, runs without a human; it is rejected else.
func (s *scoped) runsUnasked(t *testing.T, l *gate.Live, word string) bool {
	t.Helper()
	feed := s.Subscribe(t.Context())
	result := start(l, command(io.Discard, "true", word))
	for {
		select {
		case r := <-result:
			mustRun(t, r.process, r.err)
			return true
		case e := <-feed:
			if e.Session != l.ID() || e.Kind != events.Waiting {
				continue
			}
			if _, err := s.Reject(t.Context(), l.ID(), watcher, nil, "no"); err != nil {
				t.Fatal(err)
			}
			<-result
			return false
		}
	}
}

func TestTheRestOfATextIsAsGoodAsWhoApprovedIt(t *testing.T) {
	for name, take := range map[string]func(*scoped){
		"":                         func(*scoped) {},
		"the approver":             func(s *scoped) { s.remove("alice") },
		"their role":               func(s *scoped) { s.set("alice", journal.Agent, false, "local") },
		"their scope":              func(s *scoped) { s.set("alice", journal.Approver, false, "prod") },
		"their key":                func(s *scoped) { s.who["alice"] = listed{s.who["alice"].Standing, []string{"SHA256:new"}} },
		"the target for the agent": func(s *scoped) { s.set("claude", journal.Agent, false, "prod") },
	} {
		s := newScoped(t)
		l := s.beginText(t, s.set("alice", journal.Approver, false, "local"))
		if !s.runsUnasked(t, l, "y") {
			t.Fatal("the rest was not approved")
		}
		take(s)
		if got, want := s.runsUnasked(t, l, "y"), name == ""; got != want {
			t.Errorf("without %s it runs: %v", name, got)
		}
	}
}

// Whoever rejects an operation of a text has not agreed to what the text does then.
func TestARejectionTakesTheRestBack(t *testing.T) {
	s := newScoped(t)
	l := s.beginText(t, s.set("alice", journal.Approver, false, "local"))
	s.set("alice", journal.Agent, false, "local")
	if s.runsUnasked(t, l, "y") { // it waits, and is rejected
		t.Fatal("it does not wait")
	}
	s.set("alice", journal.Approver, false, "local")
	if s.runsUnasked(t, l, "y") {
		t.Error("the text goes on after a rejection as if nothing had been rejected")
	}
}
