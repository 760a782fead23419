package tui

import (
	"fmt"
	"slices"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// TestDecisionOnASessionOfFourTakesFiveKeys counts the keys from the arrival of a session to its approval as a whole, and holds
// that it was decided as it was shown, in its order.
func TestDecisionOnASessionOfFourTakesFiveKeys(t *testing.T) {
	for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}} {
		f := maintenance()
		s := openScreen(t, f, alice, size.Width, size.Height, "")
		s.until("1 wait")
		keys := 1
		s.press("a")
		s.until("4 operations", "operation 1, 1 of 4", "“raise the upload limit”", "As user     ops on prod", "client_max_body_size 20m;")
		s.gone("being read")
		for !contains(s.text(), "All of it has been shown") {
			s.press("space")
			keys++
		}
		s.press("a")
		s.shows("Run these 4 operations, each once, in this order", "  1 caution write /etc/nginx/conf.d/limit.conf", "  4 caution logger")
		s.press("y")
		if keys += 2; keys > 5 {
			t.Errorf("%d keys at %v", keys, size)
		}
		s.until(": approved")
		var want []string
		for i := 1; i <= 4; i++ {
			want = append(want, fmt.Sprintf("s4v1c3aa/%d/%064x by alice", i, i))
		}
		slices.Sort(f.approved) // the order is the gateway's
		if !slices.Equal(f.approved, want) {
			t.Errorf("approved %q, want %q", f.approved, want)
		}
	}
}

func TestWhatWasReadInOnePlaceCountsInTheOthers(t *testing.T) {
	s := openScreen(t, maintenance(), alice, 120, 80, "s4v1c3aa")
	s.until("All of it has been shown")
	s.press("esc")
	s.shows("read · changes a file of the system's configuration", "read · nginx changes")
	s.press("A")
	s.shows("Run these 4 operations")

	s = openScreen(t, maintenance(), alice, 80, 24, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	s.press("3")
	s.until("client_max_body_size 20m;")
	s.gone("being read")
	for range 5 {
		s.press("space")
	}
	s.press("1")
	s.shows("read · changes a file of the system's configuration")
	s.hides("read · nginx changes")
}

// TestCommandOnThePageOfASessionIsReadWithTheChangesBeforeIt: a command that is opened alone shows those changes again as read,
// so that it must not count as read because its own part was on the screen.
func TestCommandOnThePageOfASessionIsReadWithTheChangesBeforeIt(t *testing.T) {
	f := maintenance()
	s := openScreen(t, f, alice, 80, 24, "s4v1c3aa")
	s.until("operation 1, 1 of 4")
	s.gone("being read")
	s.model.read = map[mark]subject{} // nothing but what comes now
	s.model.session.review.page.forget()
	s.press("G")
	s.until("end of what waits")
	for n := range s.model.read {
		if n.n <= 2 {
			t.Errorf("operation %d counts as read", n.n)
		}
	}
	s.press("a")
	s.shows("Not yet: not all of it has been on the screen.")
	s.press("y")
	if len(f.approved) > 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestPageOfASessionNeverTakesDanger(t *testing.T) {
	x := several(3, policy.Caution)
	x.Operations[1].Risk = policy.Danger
	f := newFake(x)
	s := openScreen(t, f, alice, 120, 80, "aaaa0001")
	s.until("Approve is off: operation 2 is dangerous and needs one of its own: ⏎")
	s.press("a", "y", "A", "y", "enter")
	s.until("Operation 1 · ")
	if len(f.approved) > 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestWhatComesToASessionThatIsReadHasToBeReadToo(t *testing.T) {
	f := newFake(several(8, policy.Caution))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("8 operations")
	for range 8 {
		s.press("space")
	}
	s.until("All of it has been shown")
	f.change("aaaa0001", func(x *journal.Session) {
		x.Operations = append(x.Operations, waitingOp(9, policy.Caution, "sync"))
	})
	s.until("9 operations", "What waits has changed since it was shown")
	s.press("a", "y")
	if len(f.approved) > 0 {
		t.Fatalf("approved %q", f.approved)
	}
	f.change("aaaa0001", func(x *journal.Session) {
		for i := range x.Operations {
			x.Operations[i].Decision = journal.Cancelled
		}
	})
	s.until("Nothing waits in this session any more")
}

// TestContentThatIsReadButNotDrawnDoesNotCount: between the reading of a content and the drawing of it the page says that it is
// being read, and must not pass for read.
func TestContentThatIsReadButNotDrawnDoesNotCount(t *testing.T) {
	c := newContents(maintenance())
	f := maintenance().find("s4v1c3aa").Operations[0].File
	c.of(f, false)
	c.load()
	if c.missing() == "" || !c.of(f, false).pending {
		t.Error("counts before it is drawn")
	}
	c.settle()
	if c.missing() != "" || !c.of(f, false).ok {
		t.Error("does not count once it is drawn")
	}
}

func TestSessionIsRejectedAsAWhole(t *testing.T) {
	f := newFake(several(3, policy.Danger))
	s := openScreen(t, f, alice, 100, 40, "aaaa0001")
	s.until("3 operations")
	s.press("r")
	s.shows("Reject these 3 operations?")
	s.press("down", "enter")
	s.until(": rejected")
	for _, op := range f.find("aaaa0001").Operations {
		if op.Decision != journal.Rejected {
			t.Errorf("operation %d: %v", op.N, op.Decision)
		}
	}
}
