package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

// undoable gives decisions a time to be undone that no test lives to see the end of.
func undoable(o *Options) { o.Pace.Undo = time.Hour }

// several is a parked session with operations 1 to n that wait.
func several(n int, risk policy.Risk) journal.Session {
	x := held("aaaa0001", risk, "touch", "/srv/1")
	for i := 2; i <= n; i++ {
		x.Operations = append(x.Operations, waitingOp(i, risk, "touch", fmt.Sprintf("/srv/%d", i)))
	}
	return x
}

func TestDecisionCanBeUndoneUntilItIsHandedOver(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001", undoable)
	s.until("All of it has been shown")
	s.press("a", "y")
	s.shows("Approving operation 1 in 1h", "u undo", "Y now", "decided; u undoes it")
	s.hides("a approve")
	s.press("a", "r")
	s.shows("You have decided on it")
	s.press("u")
	s.shows("Undone: not approved: operation 1. It still waits.", "a approve")
	s.hides("Approving")
	s.press("r", "no", "enter")
	s.shows("Rejecting operation 1 in 1h")
	s.press("esc")
	s.shows("DECIDED", "Rejecting operation 1")
	s.press("u")
	s.shows("1 WAITS")
	if op := f.find("aaaa0001").Operations[0]; op.Decision != journal.Waiting {
		t.Fatalf("decided: %v", op.Decision)
	}
}

func TestDecisionIsHandedOverOnceWhenItsTimeHasCome(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001", undoable)
	s.until("All of it has been shown")
	s.press("a", "y")
	p := s.model.pending[0]
	s.take(dueMsg{p})
	s.until(": approved", "it ran")
	s.take(dueMsg{p})
	s.press("u", "y")
	if len(f.approved) != 1 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestUndoneDecisionIsNotHandedOverLater(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001", undoable)
	s.until("All of it has been shown")
	s.press("a", "y")
	p := s.model.pending[0]
	s.press("u")
	s.take(dueMsg{p})
	s.shows("a approve")
	s.press("a", "y", "y", "Y")
	s.until(": approved")
	if len(f.approved) != 1 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestLeavingDecidesNothingThatCouldStillBeUndoneAndSaysSo(t *testing.T) {
	for _, keys := range [][]string{{"q", "q"}, {"ctrl+c"}} {
		f := newFake(held("aaaa0001", policy.Caution, "reboot"))
		s := openScreen(t, f, alice, 80, 24, "aaaa0001", undoable)
		s.until("All of it has been shown")
		s.press("a", "y", "esc", "esc")
		s.until("1 wait", "Approving operation 1")
		s.press("esc")
		s.shows("1 wait", "Approving operation 1")
		for i, k := range keys {
			if i > 0 {
				s.shows("Not handed over yet: approving operation 1 of aaaa0001. q again leaves, and nothing of it is decided")
			}
			s.run(s.model.Update(s.keyMsg(k)))
		}
		for !s.left {
			s.came(<-s.messages)
		}
		if got := f.find("aaaa0001").Operations[0].Decision; got != journal.Waiting {
			t.Errorf("%s: %v", keys, got)
		}
		if got := s.model.farewell.plain(); !strings.Contains(got, "Not decided, and it still waits: approving operation 1 of aaaa0001") {
			t.Errorf("%s: says %q", keys, got)
		}
	}
}

// approving is a person who has approved operation 1 of aaaa0001 and can still undo that.
func approving(t *testing.T, f *fakeBackend) *terminal {
	t.Helper()
	c := connect(t, t.Context(), f, func(o *Options) { o.Session, o.Pace.Undo = "aaaa0001", time.Hour })
	c.sees("All of it has been shown")
	c.types("a")
	c.sees("yes, run it")
	c.types("y")
	c.sees("Approving operation 1")
	return c
}

func TestLeavingSaysOnTheTerminalWhatWasNotDecided(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := approving(t, f)
	c.types("\x03")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	sent := c.sent.String()
	if at := strings.LastIndex(sent, "Not decided, and it still waits: approving operation 1 of aaaa0001."); at < strings.LastIndex(sent, "\x1b[?1049l") {
		t.Errorf("not said once the terminal is as before: %q", sent)
	}
}

func TestLostConnectionDecidesNothing(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := approving(t, f)
	_ = c.in.Close()
	if err := c.ends(); err == nil {
		t.Fatal("ended without an error")
	}
	if got := f.find("aaaa0001").Operations[0].Decision; got != journal.Waiting {
		t.Fatalf("decided %v", got)
	}
}

func TestAllThatWereReadAreApprovedTogether(t *testing.T) {
	f := newFake(several(4, policy.Caution))
	s := openScreen(t, f, alice, 80, 30, "")
	s.until("1 wait")
	s.press("enter")
	s.until("4 WAITS")
	s.press("A")
	s.shows("0 of the 4 have been read to their end")
	s.press("enter")
	s.shows("All of it has been shown")
	s.press("n", "n")
	s.shows("Operation 3")
	s.press("esc")
	s.shows("read · touch changes")
	s.press("A")
	s.shows("3 of the 4 have been read to their end, and A takes all of a session or nothing")
	s.press("G", "enter", "esc", "A")
	s.shows("Run these 4 operations, each once, in this order, on prod as ops?", "touch /srv/1", "touch /srv/2", "touch /srv/3", "touch /srv/4")
	s.press("y")
	s.until(": approved")
	want := []string{}
	for i := 1; i <= 4; i++ {
		want = append(want, fmt.Sprintf("aaaa0001/%d/%064x by alice", i, i))
	}
	if !slices.Equal(f.approved, want) {
		t.Fatalf("approved %q, want %q", f.approved, want)
	}
}

func TestMarkedOperationsAreDecidedTogether(t *testing.T) {
	f := newFake(several(4, policy.Caution))
	s := openScreen(t, f, alice, 80, 30, "")
	s.until("1 wait")
	s.press("enter")
	s.until("4 WAITS")
	s.press("down", "v", "v")
	s.shows("* 2 WAITS", "* 3 WAITS")
	s.press("R")
	s.shows("Reject these 2 operations?", "  2 caution touch /srv/2", "  3 caution touch /srv/3")
	s.hides("  1 caution touch /srv/1")
	s.press("down", "down", "enter")
	s.until(": rejected")
	ops := f.find("aaaa0001").Operations
	for i, want := range []journal.Decision{journal.Waiting, journal.Rejected, journal.Rejected, journal.Waiting} {
		if ops[i].Decision != want {
			t.Errorf("operation %d: %v, want %v", i+1, ops[i].Decision, want)
		}
	}
	if ops[1].Reason != usualReasons[1] || ops[2].Reason != usualReasons[1] {
		t.Errorf("reasons %q and %q", ops[1].Reason, ops[2].Reason)
	}
	if len(s.model.marked) != 0 {
		t.Error("decided operations are still marked")
	}
}

func TestUsualReasonCanBeEdited(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("WAITS")
	s.press("r", "up")
	s.shows("> " + usualReasons[len(usualReasons)-1])
	s.press("down")
	s.shows("▸ "+usualReasons[0], "> "+usualReasons[0])
	s.press(" please", "enter")
	s.until(": rejected")
	if got, want := f.find("aaaa0001").Operations[0].Reason, usualReasons[0]+" please"; got != want {
		t.Fatalf("reason %q, want %q", got, want)
	}
}

func TestDangerIsNeverTakenWithOthers(t *testing.T) {
	x := several(3, policy.Caution)
	x.Operations[1].Risk = policy.Danger
	f := newFake(x, held("aaaa0002", policy.Caution, "sync"))
	s := openScreen(t, f, alice, 100, 30, "aaaa0001")
	s.alone()
	s.until("All of it has been shown")
	s.press("n", "n", "esc", "A")
	s.shows("A never takes danger: operation 2 needs an approval of its own")
	s.press("y")
	s.press("esc")
	s.until("2 wait")
	s.press("/", "id:aaaa0002", "enter", "a")
	s.until("Operation 1", "sync", "All of it has been shown")
	s.press("esc", "esc", "esc", "A")
	s.shows("Run operation 1 once", "sync", "Left out: 1 with danger, 0 not read to their end")
	s.press("y")
	s.until("sync: approved")
	if len(f.approved) != 1 || !strings.HasPrefix(f.approved[0], "aaaa0002/1/") {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestOfASessionAllCountsOrNothing(t *testing.T) {
	f := newFake(several(3, policy.Caution))
	s := openScreen(t, f, alice, 100, 30, "aaaa0001")
	s.alone()
	s.until("All of it has been shown")
	s.press("n", "n", "esc", "A")
	f.before = func() {
		if _, err := f.Reject(t.Context(), "aaaa0001", bob, []int{2}, "no"); err != nil {
			t.Error(err)
		}
		f.find("aaaa0001").Status = journal.StatusHeld
	}
	s.press("y")
	s.until("✗ aaaa0001 touch /srv/2: not decided by you: rejected by bob", "✗ aaaa0001 touch /srv/3: not decided:")
	if len(f.approved) != 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestLongListOfADecisionScrolls(t *testing.T) {
	f := newFake(several(40, policy.Caution))
	s := openScreen(t, f, alice, 40, 12, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	for range 40 {
		s.press("v")
	}
	s.press("R")
	s.shows("Why not?", "… more above: page up")
	s.hides("Reject these")
	for range 40 {
		s.press("\x1b[5~")
	}
	s.shows("Reject these 40 operations?", "  1 caution touch /srv/1", "… more below")
	s.press("x")
	s.shows("> x")
}

func TestOperationThatWasReadIsStillReadWhenItIsOpenedAgain(t *testing.T) {
	argv := touchMany()
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 60, 12, "aaaa0001")
	s.until("approve is off")
	for range 20 {
		s.press("space")
	}
	s.shows("a approve")
	s.press("esc", "a")
	s.shows("All of it has been shown", "a approve", "ask (caution)")
	// Another operation with the same number, as a replay may bring one, has not been read.
	f.change("aaaa0001", func(x *journal.Session) { x.Operations[0].Digest = strings.Repeat("f", 64) })
	s.until("read it again", "approve is off")
	s.press("esc", "a")
	s.shows("approve is off")
}

func TestPageKeepsItsPlaceWhileOutputComes(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 40, 12, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	write := func(from, to int) {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "line %d.\n", i)
		}
		f.write("aaaa0001", output.Chunk{Stream: output.Stdout, Data: []byte(b.String())})
	}
	s.press("4")
	write(0, 50)
	s.until("line 49.")
	s.press("up", "up", "up")
	s.shows("line 46.")
	s.hides("line 49.")
	write(50, 60)
	for len(s.model.session.written.paragraphs) < 60 {
		s.take(<-s.messages)
	}
	s.shows("line 46.")
	s.hides("line 49.", "line 59.")
	s.press("G")
	write(60, 61)
	s.until("line 60.")
}

func TestKeysThatDecideDoNothingWhereNothingWasRead(t *testing.T) {
	x := held("aaaa0002", policy.Caution, "halt")
	x.Status, x.Ended = journal.StatusRejected, start
	f := newFake(held("aaaa0001", policy.Caution, "reboot"), x)
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("1 wait")
	s.press("A", "y", "u", "r")
	s.shows("1 wait")
	s.press("h")
	s.until("halt")
	s.press("A", "R", "v", "r", "y")
	if s.model.dialog != nil || len(f.approved) > 0 || len(s.model.marked) > 0 {
		t.Fatal("a key on the list decided something")
	}
}

func TestWhatWasReadInSeveralSessionsIsApprovedFromTheList(t *testing.T) {
	f := newFake()
	for i := range 4 {
		f.sessions = append(f.sessions, held(fmt.Sprintf("aaaa000%d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i)))
	}
	f.sessions[3].Identity = alice.Name
	s := openScreen(t, f, alice, 100, 30, "")
	s.until("4 wait")
	s.press("A")
	s.shows("Left out: 0 with danger, 3 not read to their end")
	s.press("a")
	s.until("All of it has been shown", "touch /srv/0")
	s.press("n")
	s.shows("n again goes to another one: claude on prod as ops, caution touch /srv/1")
	s.press("n")
	s.until("Operation 1", "touch /srv/1", "All of it has been shown")
	s.press("esc", "esc")
	s.until("4 wait", "· read")
	s.press("A")
	s.shows("Run these 2 operations, each once, in this order, on prod as ops?", "aaaa0000 prod as ops caution touch /srv/0", "aaaa0001", "1 not read to their end")
	s.press("esc", "g", "v")
	s.shows(" *caution touch /srv/0")
	s.press("A")
	s.shows("Run operation 1 once, on prod as ops?", "touch /srv/0")
	s.press("y")
	s.until("/srv/0: approved", "3 wait")
	s.press("A", "y")
	s.until("2 wait", "/srv/1: approved")
	if len(f.approved) != 2 || !strings.HasPrefix(f.approved[0], "aaaa0000/1/") || !strings.HasPrefix(f.approved[1], "aaaa0001/1/") {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestMarkedSessionsAreRejectedTogether(t *testing.T) {
	f := newFake()
	for i := range 4 {
		f.sessions = append(f.sessions, held(fmt.Sprintf("aaaa000%d", i), policy.Danger, "touch", fmt.Sprintf("/srv/%d", i)))
	}
	s := openScreen(t, f, alice, 100, 30, "")
	s.until("4 wait")
	s.press("v", "v", "down", "R")
	s.shows("Reject these 2 operations?", "aaaa0000", "aaaa0001")
	s.press("no", "enter")
	s.until(": rejected", "2 wait")
	s.press("G", "R")
	s.shows("Nothing is marked: v marks what R is to reject")
	s.press("v", "R")
	s.shows("Reject operation 1?", "touch /srv/3")
	s.press("no", "enter")
	s.until("1 wait")
	if got := f.find("aaaa0002").Operations[0].Decision; got != journal.Waiting {
		t.Fatalf("not marked, but %v", got)
	}
}
