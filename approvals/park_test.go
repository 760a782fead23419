package approvals_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/policy"
)

// rerun lets every parked session go on, and hands it to a channel when it does.
func rerun(tb testing.TB, again chan<- *gate.Live) func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
	target := newTarget(tb)
	return func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		return lifecycle.Rerun{Target: target, Start: func(l *gate.Live) { again <- l }}, nil
	}
}

// parking is a book whose sessions are parked, with a channel of those that have started again.
func parking(tb testing.TB, dir string, change func(*approvals.Config)) (*book, <-chan *gate.Live) {
	tb.Helper()
	again := make(chan *gate.Live, 8)
	b := open(tb, dir, func(c *approvals.Config) {
		c.Restart = rerun(tb, again)
		if change != nil {
			change(c)
		}
	})
	b.again = again
	return b, again
}

// resume returns a session that has started again.
func (b *book) resume(id string) *gate.Live {
	b.tb.Helper()
	l := <-b.again
	if l.ID() != id {
		b.tb.Fatalf("session %s has started again, want %s", l.ID(), id)
	}
	return l
}

// next is another gateway on the same state.
func (b *book) next() *book {
	b.tb.Helper()
	n := *b
	var err error
	if n.Manager, err = approvals.New(b.config); err != nil {
		b.tb.Fatal(err)
	}
	return &n
}

// script is what a test's script does: it appends to a file and says what the command printed.
func appendCommand(out io.Writer, mark, word string) gate.Start {
	return command(out, "sh", "-c", "echo "+word+" >> "+mark+"; echo did "+word)
}

func TestParkedSessionIsReplayedAndRunsNothingTwice(t *testing.T) {
	dir := t.TempDir()
	b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Hour; c.Limits.Expire = time.Hour })
	mark := filepath.Join(dir, "mark")
	events := b.Subscribe(t.Context())
	l := b.begin()
	first := start(l, appendCommand(io.Discard, mark, "one"))
	b.waiting(events, l.ID())
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	r := <-first
	mustRun(t, r.process, r.err)
	second := start(l, appendCommand(io.Discard, mark, "two"))
	b.waiting(events, l.ID())

	// The gateway goes away in good order: the session is parked.
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(context.Background()) }()
	if r := <-second; !errors.Is(r.err, journal.ErrParked) {
		t.Fatalf("the held command: %v, want ErrParked", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked || s.Operations[1].Decision != journal.Waiting || s.Deadline.IsZero() {
		t.Fatalf("session %+v", s)
	}

	// A new gateway on the same state; a human decides; the script runs again.
	b2 := b.next()
	if _, err := b2.approve(l.ID(), bob); err != nil {
		t.Fatal(err)
	}
	l2 := b2.resume(l.ID())
	var out bytes.Buffer
	p, err := l2.Start(t.Context(), appendCommand(&out, mark, "one"))
	mustRun(t, p, err)
	p, err = l2.Start(t.Context(), appendCommand(&out, mark, "two"))
	mustRun(t, p, err)
	l2.End(gate.Outcome{Status: journal.StatusDone})
	text, _ := os.ReadFile(mark)
	if string(text) != "one\ntwo\n" || out.String() != "did one\ndid two\n" {
		t.Errorf("the file holds %q, the script saw %q", text, out.String())
	}
	if s, _ := b2.Session(l.ID()); s.Status != journal.StatusDone || len(s.Operations) != 2 {
		t.Errorf("session %+v", s)
	}
}

func TestReplayThatDiffersIsDecidedAnew(t *testing.T) {
	dir := t.TempDir()
	b, again := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	mark := filepath.Join(dir, "mark")
	l := b.begin()
	if r := <-start(l, appendCommand(io.Discard, mark, "shown")); !errors.Is(r.err, journal.ErrParked) {
		t.Fatalf("hold passed: %v, want ErrParked", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	l = <-again
	r := <-start(l, appendCommand(io.Discard, mark, "other"))
	if !errors.Is(r.err, journal.ErrParked) {
		t.Errorf("another command than the approved one: %v, want ErrParked again", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	s, _ := b.Session(l.ID())
	if len(s.Operations) != 2 || s.Operations[0].Decision != journal.Cancelled || s.Operations[1].Decision != journal.Waiting {
		t.Errorf("operations %+v", s.Operations)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("something ran")
	}
}

func TestRejectionOfAParkedSessionReachesTheScript(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	<-start(l, command(io.Discard, "touch", "/nonexistent/x"))
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if _, err := b.Reject(t.Context(), l.ID(), alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	l = <-again
	var denial *journal.DenialError
	if _, err := l.Start(t.Context(), command(io.Discard, "touch", "/nonexistent/x")); !errors.As(err, &denial) || denial.Reason != "no" {
		t.Errorf("replayed rejection: %v", err)
	}
}

func TestParkedSessionExpires(t *testing.T) {
	now := time.Now()
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) {
		c.Limits.Hold, c.Limits.Expire = time.Millisecond, time.Hour
		c.Now = func() time.Time { return now }
	})
	l := b.begin()
	<-start(l, command(io.Discard, "true"))
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	b.ExpireParked()
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked {
		t.Fatalf("before its time: %s", s.Status)
	}
	now = now.Add(time.Hour)
	b.ExpireParked()
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusExpired || s.Operations[0].Decision != journal.Expired {
		t.Errorf("after its time: %+v", s)
	}
}

func TestPlanListsCommandsAndIsNeverDecidedOn(t *testing.T) {
	for _, ends := range []gate.Outcome{
		{Status: journal.StatusDone},
		{Status: journal.StatusFailed, ExitCode: 1}, // as a script does that misses its commands' output
	} {
		dir := t.TempDir()
		b, again := parking(t, dir, nil)
		mark := filepath.Join(dir, "mark")
		l, err := b.Begin(t.Context(), approvals.Request{Identity: claude, Target: b.target, Plan: true, Env: b.target.Account().Env("dumb")})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		p, err := l.Start(l.Context(), command(&out, "echo", "reads"))
		mustRun(t, p, err)
		p, err = l.Start(l.Context(), appendCommand(&out, mark, "did"))
		mustRun(t, p, err)
		if _, err := b.approve(l.ID(), alice); !errors.Is(err, journal.ErrNotWaiting) {
			t.Errorf("approving a plan that goes on: %v", err)
		}
		l.End(ends)
		s, _ := b.Session(l.ID())
		if _, err := os.Stat(mark); err == nil || out.Len() != 0 || s.Status != journal.StatusPlanned || *s.ExitCode != 0 || len(s.Operations) != 2 {
			t.Fatalf("after the plan: output %q, session %+v", out.String(), s)
		}
		if allowed := &s.Operations[0]; allowed.State() != journal.StatePlanned || allowed.Verdict != policy.Allow {
			t.Errorf("an allowed command is %+v", allowed)
		}
		if asked := &s.Operations[1]; asked.State() != journal.StatePlanned || asked.Verdict != policy.Ask {
			t.Errorf("a command that would wait is %+v", asked)
		}
		if (s.Reason != "") != (ends.ExitCode != 0) {
			t.Errorf("reason %q", s.Reason)
		}
		if _, err := b.approve(l.ID(), alice); !errors.Is(err, journal.ErrNotWaiting) {
			t.Errorf("approving a plan: %v", err)
		}
		if _, err := b.Reject(t.Context(), l.ID(), alice, nil, "no"); !errors.Is(err, journal.ErrNotWaiting) {
			t.Errorf("rejecting a plan: %v", err)
		}
		b.next()
		if len(again) != 0 {
			t.Error("the plan is to start again")
		}
	}
}

// An earlier program parked plans, and ran them once they were approved.
func TestParkedPlanOfAnEarlierProgramEndsAtTheStart(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	var ids []string
	for _, approved := range []bool{false, true} {
		l := b.begin()
		<-start(l, command(io.Discard, "true"))
		l.End(gate.Outcome{Status: journal.StatusCancelled})
		ids = append(ids, l.ID())
		_, err := b.config.Store.Update(l.ID(), func(s *journal.Session) error {
			s.Plan, s.GoesOn = true, approved
			if !approved {
				return nil
			}
			return s.Operation(1).Apply(journal.Event{What: journal.Approve, At: time.Now(), By: alice})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	n := b.next()
	for _, id := range ids {
		if s, _ := n.Session(id); s.Status != journal.StatusPlanned || s.Operations[0].State() != journal.StateCancelled {
			t.Errorf("session %+v", s)
		}
		if _, err := n.approve(id, alice); !errors.Is(err, journal.ErrNotWaiting) {
			t.Errorf("approving it: %v", err)
		}
	}
	if len(again) != 0 {
		t.Error("a plan starts")
	}
}

func TestParkedSessionCanBeCancelled(t *testing.T) {
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	<-start(l, command(io.Discard, "true"))
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if s, err := b.Cancel(t.Context(), l.ID(), claude); err != nil || s.Status != journal.StatusCancelled {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSessionCancelledWhileItParksNeverStartsAgain(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	<-start(l, command(io.Discard, "true"))
	// Parked, and its script has not ended yet.
	if s, err := b.Cancel(t.Context(), l.ID(), claude); err != nil || s.Status != journal.StatusCancelled {
		t.Fatalf("%+v, %v", s, err)
	}
	l.End(gate.Outcome{Status: journal.StatusExpired})
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusCancelled || s.Operations[0].Decision != journal.Cancelled {
		t.Errorf("session %+v", s)
	}
	if len(again) != 0 {
		t.Error("it is to start again")
	}
}

func TestDecisionWhileTheScriptEndsStartsItAgain(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	<-start(l, command(io.Discard, "true"))
	if _, err := b.Reject(t.Context(), l.ID(), alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	if len(again) != 0 {
		t.Error("it started again while its script was there")
	}
	l.End(gate.Outcome{Status: journal.StatusExpired})
	b.resume(l.ID())
}

func TestShutdownLeavesParkedSessionsAsTheyAre(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	for _, approve := range []bool{true, false} {
		l := b.begin()
		<-start(l, command(io.Discard, "true"))
		l.End(gate.Outcome{Status: journal.StatusExpired})
		stopped := b.next()
		if err := stopped.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if approve {
			if _, err := stopped.approve(l.ID(), alice); !errors.Is(err, lifecycle.ErrUnable) || !errors.Is(err, journal.ErrShutdown) {
				t.Errorf("%v, want ErrUnable for ErrShutdown", err)
			}
			if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked || s.Operations[0].Decision != journal.Waiting {
				t.Errorf("session %+v", s)
			}
			continue
		}
		// A rejection runs nothing. The next gateway tells the script.
		if _, err := stopped.Reject(t.Context(), l.ID(), alice, nil, "no"); err != nil {
			t.Fatal(err)
		}
		b.next().resume(l.ID())
	}
	if len(again) != 0 {
		t.Error("something else started")
	}
}

func TestDecisionAfterTheResumeLeavesNothingHeld(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Hour })
	events := b.Subscribe(t.Context())
	l, leave := b.attended()
	for range 2 {
		start(l, command(io.Discard, "true"))
		b.waiting(events, l.ID())
	}
	leave()
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked {
		t.Fatalf("after its client has left it is %s", s.Status)
	}
	if _, err := b.approve(l.ID(), alice, 1); err != nil {
		t.Fatal(err)
	}
	defer b.Attend(t.Context(), l.ID())() // else it would be parked once more
	l = <-again
	r := <-start(l, command(io.Discard, "true"))
	mustRun(t, r.process, r.err)
	second := start(l, command(io.Discard, "true"))
	if s := b.waiting(events, l.ID()); s.Status != journal.StatusHeld {
		t.Errorf("session is %s", s.Status)
	}
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	r = <-second
	mustRun(t, r.process, r.err)
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusRunning || !s.Deadline.IsZero() {
		t.Errorf("after the decision the session is %s until %v", s.Status, s.Deadline)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
}

func TestReplayTellsAnExitCodeFromASignal(t *testing.T) {
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Hour })
	events := b.Subscribe(t.Context())
	l := b.begin()
	texts := []string{"exit 137", "kill -9 $$"}
	for _, text := range texts {
		result := start(l, command(io.Discard, "sh", "-c", text))
		b.waiting(events, l.ID())
		if _, err := b.approve(l.ID(), alice); err != nil {
			t.Fatal(err)
		}
		r := <-result
		mustRun(t, r.process, r.err)
	}
	last := start(l, command(io.Discard, "true"))
	b.waiting(events, l.ID())
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(context.Background()) }()
	<-last
	l.End(gate.Outcome{Status: journal.StatusExpired})
	<-done
	manager, err := approvals.New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	b.Manager = manager
	if _, err := b.Reject(t.Context(), l.ID(), alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	l = <-again
	for i, text := range texts {
		p, err := l.Start(t.Context(), command(io.Discard, "sh", "-c", text))
		exit := mustRun(t, p, err)
		if i == 0 && (exit.Code != 137 || exit.Signal != 0) || i == 1 && exit.Signal != 9 {
			t.Errorf("%s: replayed as %+v", text, exit)
		}
	}
}

// The gateway is killed after a human has decided on a parked session, and before the script has got anywhere. The next
// one starts it, whatever the decision was: otherwise nobody would ever hear of a rejection.
func TestDecisionOnAParkedSessionOutlivesTheGateway(t *testing.T) {
	for _, approve := range []bool{true, false} {
		dir := t.TempDir()
		b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
		l := b.begin()
		if r := <-start(l, appendCommand(io.Discard, filepath.Join(dir, "mark"), "x")); !errors.Is(r.err, journal.ErrParked) {
			t.Fatalf("%v, want ErrParked", r.err)
		}
		l.End(gate.Outcome{Status: journal.StatusCancelled})
		killed := *b
		killed.config.Restart = func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error) {
			if !approve {
				<-t.Context().Done()
			}
			return lifecycle.Rerun{Target: b.target, Start: func(*gate.Live) {}}, nil
		}
		var err error
		if approve {
			_, err = killed.next().approve(l.ID(), alice)
		} else {
			_, err = killed.next().Reject(t.Context(), l.ID(), alice, nil, "no")
		}
		if err != nil {
			t.Fatal(err)
		}
		b.next().resume(l.ID())
	}
}

// A script that does something else than it did before is asked about anew, once: what is decided on that is what it gets when it
// starts again, and what it then did is not done twice.
func TestDecisionOnWhatDiffersIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	mark := filepath.Join(dir, "mark")
	l := b.begin()
	id := l.ID()
	parks := func(word string) {
		t.Helper()
		if r := <-start(l, appendCommand(io.Discard, mark, word)); !errors.Is(r.err, journal.ErrParked) {
			t.Fatalf("%s: %v, want ErrParked", word, r.err)
		}
		l.End(gate.Outcome{Status: journal.StatusCancelled})
		if _, err := b.approve(id, alice); err != nil {
			t.Fatal(err)
		}
		l = b.resume(id)
	}
	runs := func(words ...string) {
		t.Helper()
		for _, word := range words {
			var out bytes.Buffer
			p, err := l.Start(t.Context(), appendCommand(&out, mark, word))
			mustRun(t, p, err)
			if out.String() != "did "+word+"\n" {
				t.Errorf("%s: the script saw %q", word, out.String())
			}
		}
	}
	parks("one")
	runs("one")
	parks("two")
	parks("other") // at the place of one, which has run
	runs("other")
	parks("more")
	runs("other", "more")
	l.End(gate.Outcome{Status: journal.StatusDone})
	if text, _ := os.ReadFile(mark); string(text) != "one\nother\nmore\n" {
		t.Errorf("the file holds %q", text)
	}
	if s, _ := b.Session(id); s.Status != journal.StatusDone || len(s.Operations) != 4 || s.Operations[1].Decision != journal.Cancelled {
		t.Errorf("session %+v", s)
	}
}
