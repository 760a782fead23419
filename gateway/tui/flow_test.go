package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// ticking gives a screen a clock that the test moves.
type ticking struct{ now time.Time }

func (c *ticking) change(o *Options) { o.Now = func() time.Time { return c.now } }

func TestResultOfAnotherSessionNeverReadsAsTheOneOnThePage(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "restart", "db"), held("aaaa0002", policy.Caution, "sync"))
	s := openScreen(t, f, alice, 100, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a", "y")
	s.until("· aaaa0001 systemctl restart db: approved, runs")
	s.press("n")
	s.shows("n again")
	s.press("n")
	s.until("Operation 1 · ", "Runs        sync", "· aaaa0001 systemctl restart db: approved, runs")
	s.hides("Approved operation", "follows here")
	f.change("aaaa0001", func(x *journal.Session) {
		code := 1
		x.Operations[0].ExitCode, x.Operations[0].Finished = &code, start
	})
	s.until("✗ aaaa0001 systemctl restart db: exit 1")
	s.press("down", "up", "esc", "esc") // it stays until it was seen
	s.until("✗ aaaa0001 systemctl restart db: exit 1")
	s.press("c")
	s.hides("exit 1")
}

func TestResultIsSeenOnItsOwnPage(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "sync"))
	s := openScreen(t, f, alice, 100, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a", "y")
	s.until("· aaaa0001 sync: approved, runs")
	f.change("aaaa0001", func(x *journal.Session) {
		code := 0
		x.Operations[0].ExitCode, x.Operations[0].Finished = &code, start
	})
	s.until("✓ aaaa0001 sync: exit 0", "Ended       exit 0")
	s.press("esc")
	s.hides("✓ aaaa0001")
}

func TestTextCountsAsReadOnceItHasBeenThereForAWhile(t *testing.T) {
	clock := &ticking{start}
	f := newFake(held("aaaa0001", policy.Caution, touchMany()...))
	s := openScreen(t, f, alice, 60, 20, "aaaa0001", clock.change, func(o *Options) { o.Pace.Read = time.Second })
	s.until("more lines: space · approve is off")
	for range 40 { // through all of it as fast as a key repeats
		clock.now = clock.now.Add(20 * time.Millisecond)
		s.press("space")
	}
	s.hides("a approve")
	s.press("a", "y")
	if len(s.model.read) > 0 || len(f.approved) > 0 {
		t.Fatal("what flew past counts as read")
	}
	for range 60 {
		clock.now = clock.now.Add(time.Second)
		s.take(readMsg{})
		s.press("space")
	}
	s.shows("a approve", "All of it has been shown")
}

func TestTextThatIsCoveredIsNotBeingRead(t *testing.T) {
	clock := &ticking{start}
	s := openScreen(t, newFake(held("aaaa0001", policy.Caution, "sync")), alice, 80, 24, "aaaa0001", clock.change, func(o *Options) { o.Pace.Read = time.Second })
	s.until("Read it: approve comes on in a moment")
	clock.now = clock.now.Add(900 * time.Millisecond)
	s.press("?")
	clock.now = clock.now.Add(time.Minute)
	s.take(readMsg{})
	s.press("?")
	s.shows("Read it: approve comes on in a moment")
	clock.now = clock.now.Add(time.Second)
	s.take(readMsg{})
	s.shows("All of it has been shown", "a approve")
}

func TestConfirmationStandsBesideThePageAndNamesAllThatItCovers(t *testing.T) {
	for _, size := range []Size{{80, 24}, {120, 40}, {200, 60}} {
		f := filesNight()
		s := openScreen(t, f, alice, size.Width, size.Height, "f1l3s0aa")
		s.alone()
		s.until("Operation 1", "2 lines added, 2 removed")
		s.press("n")
		s.until("Operation 2", "comes before it")
		s.gone("being read")
		for range 10 {
			s.press("space")
		}
		s.press("a")
		s.shows("Run these 2 operations, each once, in this order", "  1 DANGER write /etc/app.conf", "  2 ", "Operation 2 · DANGER")
		text := s.text()
		if strings.Index(text, "  1 DANGER write") > strings.Index(text, "\n  2 ") {
			t.Errorf("not in their order:\n%s", text)
		}
		s.press("esc")
		s.hides("Run these")
	}
}

func TestRejectingAChangeNamesTheCommandsThatFallWithIt(t *testing.T) {
	s := openScreen(t, filesNight(), alice, 80, 24, "f1l3s0aa")
	s.alone()
	s.until("Operation 1")
	s.press("r")
	s.shows("Reject these 2 operations?", "write /etc/app.conf", "systemctl")
}

func TestKeysAreDeadForAMomentAfterTheScreenHasChangedByItself(t *testing.T) {
	clock := &ticking{start}
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001", clock.change, func(o *Options) { o.Pace.Settle = 500 * time.Millisecond })
	s.until("All of it has been shown")
	f.change("aaaa0001", func(x *journal.Session) {
		x.Operations[0].Digest = strings.Repeat("f", 64)
		x.Operations[0].Command.Argv = []string{"halt"}
	})
	s.until("read it again")
	s.press("a")
	s.shows("The screen has just changed by itself")
	s.press("y")
	if s.model.dialog != nil || len(f.approved) > 0 {
		t.Fatal("a key that was meant for something else asked or decided")
	}
	clock.now = clock.now.Add(time.Second)
	s.press("a")
	s.shows("Run operation 1 once")
}

func TestSelectionThatHasMovedDoesNotTakeTheNextKey(t *testing.T) {
	clock := &ticking{start}
	f := newFake(held("aaaa0001", policy.Caution, "reboot"), held("aaaa0002", policy.Caution, "halt"))
	s := openScreen(t, f, alice, 80, 24, "", clock.change, func(o *Options) { o.Pace.Settle = 500 * time.Millisecond })
	s.until("▸ caution reboot")
	f.change("aaaa0001", func(x *journal.Session) { x.Status = journal.StatusExpired })
	s.until("1 wait", "▸ caution halt")
	s.press("a")
	if s.model.session != nil {
		t.Fatal("the key opened another session than the one that it was meant for")
	}
	clock.now = clock.now.Add(time.Second)
	s.press("a")
	s.until("Runs        halt")
}

func TestSecondYDoesNotSkipTheTimeToUndo(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001", undoable)
	s.until("All of it has been shown")
	s.press("a", "n") // n is no answer
	s.shows("Run operation 1 once")
	s.press("y", "y", "y")
	s.shows("Approving operation 1 in 1h", "Y now")
	if len(f.approved) > 0 {
		t.Fatal("handed over")
	}
	s.press("Y")
	s.until(": approved")
}

func TestRejectingSeveralNamesEachByWhatItDoes(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "apt-get", "update")
	x.Operations = append(x.Operations, waitingOp(2, policy.Danger, "rm", "-rf", "/srv"), waitingOp(3, policy.Caution, "sync"))
	s := openScreen(t, newFake(x), alice, 100, 30, "")
	s.until("1 wait")
	s.press("v", "R")
	s.shows("Reject these 3 operations?", "  1 caution apt-get update", "  2 DANGER rm -rf /srv", "  3 caution sync")
}

func TestDecisionOnAKnownCommandTakesThreeKeys(t *testing.T) {
	keys := []string{"a", "a", "y"}
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "reload", "nginx"))
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("1 wait")
	s.press(keys[0])
	s.until("All of it has been shown")
	s.press(keys[1:]...)
	s.until(": approved")
	if !slices.ContainsFunc(f.approved, func(a string) bool { return strings.HasPrefix(a, "aaaa0001/1/") }) {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestTimeIsSaidInWordsThatCannotBeMisread(t *testing.T) {
	clock := &ticking{start}
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 100, 24, "aaaa0001", clock.change)
	s.until("waits 2m · agent connected · 8m until it parks", "a approve")
	// When its time is up nobody can approve it any more, whatever is still on the screen.
	clock.now = start.Add(8 * time.Minute)
	s.press("j")
	s.shows("its time is up: it parks now", "Approve is off: its time is up")
	s.press("a", "y")
	if len(f.approved) > 0 {
		t.Fatal("approved after its time")
	}
	f.change("aaaa0001", func(x *journal.Session) {
		x.Status, x.Deadline = journal.StatusParked, start.Add(24*time.Hour)
	})
	s.until("PARKED · agent gone · runs again from its start when approved", "It has just been parked", "a approve")
}

func TestAgentThatHasGoneIsSaid(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	f.alone = map[string]bool{"aaaa0001": true}
	s := openScreen(t, f, alice, 100, 24, "aaaa0001")
	s.until("waits 2m · agent gone · 8m until it parks")
}

func TestFilterInForceIsVisibleAndCountsWhatItHides(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Danger, "rm", "-rf", "/srv/x"), held("aaaa0002", policy.Caution, "systemctl", "stop", "db"))
	s := openScreen(t, f, alice, 100, 24, "")
	s.until("2 wait")
	s.press("/", "systemctl", "enter")
	s.shows("FILTER /systemctl", "1 of 2 · 1 hidden")
	f.add(held("aaaa0003", policy.Danger, "mkfs", "/dev/sda"))
	s.until("1 of 3 · 2 hidden · 1 new among them")
	s.press("/") // starts anew
	s.shows("FILTER /█", "3 of 3 · 0 hidden")
}

func TestArrivalsAreSaidWhileOneReads(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	f.add(held("aaaa0002", policy.Danger, "halt", "\x1b[2J"))
	s.until(`New: DANGER halt '\x1b[2J' · claude on prod`)
}

func TestRollbackSaysWhatItDoesNotUndo(t *testing.T) {
	s := openEnded(t, ended(), 100, 30)
	s.press("z")
	s.until("This restores files. NOT undone: what the 1 commands that ran did themselves.")
	s.press("y")
	s.until("NOT undone: what the 1 commands that ran did themselves.", "rolled back: its files; what 1 of its commands did is still there")
}

func TestTitlesAreEscapedOnce(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "sync")
	op := &x.Operations[0]
	op.Command, op.Kind = nil, journal.Write
	op.File = &journal.File{Op: journal.Write, Target: "prod", RunAs: "ops", Path: "/srv/a\x1bb"}
	op.Summary, op.Why = op.File.Summary().String(), `it names \x1bb`
	s := openScreen(t, newFake(x), alice, 100, 24, "")
	s.until(`write '/srv/a\x1bb'`)
	s.press("enter")
	s.until(`it names \x1bb`)
	s.hides(`\\x1b`)
}
