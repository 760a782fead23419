package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

func TestInboxShowsWhatWhereAsWhomAndHowRisky(t *testing.T) {
	for _, size := range []Size{{40, 12}, {80, 24}, {220, 60}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Danger, "rm", "-rf", "/srv/x"), held("aaaa0002", policy.Caution, "systemctl", "stop", "db"))
			s := openScreen(t, f, alice, size.Width, size.Height, "")
			s.until("2 wait", "1 DANGER", "DANGER", "rm -rf /srv/x", "caution", "systemctl stop db", "prod", "ops", "2m", "parks in", "? keys")
		})
	}
}

func TestInboxMarksTheAgentsWords(t *testing.T) {
	s := openScreen(t, newFake(held("aaaa0001", policy.Caution, "reboot")), alice, 80, 24, "")
	s.until("“nightly check”")
}

func TestEmptyInboxSaysWhatWillAppear(t *testing.T) {
	s := openScreen(t, newFake(), alice, 40, 12, "")
	s.until("Nothing waits for a decision.", "appears here")
}

func TestInboxIsLive(t *testing.T) {
	f := newFake()
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("Nothing waits")
	f.add(held("aaaa0001", policy.Caution, "reboot"))
	s.until("1 wait", "reboot")
	f.change("aaaa0001", func(x *journal.Session) {
		x.Status, x.Operations[0].Decision = journal.StatusRunning, journal.Approved
	})
	s.until("0 wait", "1 running")
}

func TestInboxShowsOldestFirstAndNewestOnDemand(t *testing.T) {
	f := newFake()
	for i := range 3 {
		x := held(fmt.Sprintf("aaaa000%d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i))
		x.Created = start.Add(time.Duration(i) * time.Second)
		f.sessions = append([]journal.Session{x}, f.sessions...)
	}
	s := openScreen(t, f, alice, 80, 24, "")
	text := s.until("/srv/0", "/srv/1", "/srv/2")
	if strings.Index(text, "/srv/0") > strings.Index(text, "/srv/2") {
		t.Fatalf("the oldest is not first:\n%s", text)
	}
	s.press("o")
	s.shows("newest first")
	text = s.text()
	if strings.Index(text, "/srv/0") < strings.Index(text, "/srv/2") {
		t.Fatalf("the newest is not first:\n%s", text)
	}
}

func TestInboxShowsTheWorstRiskFirstAndTheOldestOfEqualOnes(t *testing.T) {
	f := newFake()
	for i, r := range []policy.Risk{policy.Safe, policy.Caution, policy.Danger, policy.Unknown, policy.Danger, policy.Caution} {
		x := held(fmt.Sprintf("aaaa000%d", i), r, "touch", fmt.Sprintf("/srv/%d", i))
		x.Created = start.Add(time.Duration(i) * time.Second)
		f.sessions = append(f.sessions, x)
	}
	s := openScreen(t, f, alice, 80, 24, "")
	text := s.until("6 wait · 2 DANGER 1 unknown 2 caution 1 safe")
	at := -1
	for _, w := range []string{"/srv/2", "/srv/4", "/srv/3", "/srv/1", "/srv/5", "/srv/0"} {
		if i := strings.Index(text, w); i < at {
			t.Fatalf("%s stands too high:\n%s", w, text)
		} else {
			at = i
		}
	}
	s.resize(40, 12)
	s.shows("6 wait · 2 DANGER 1 unknown 2 caution")
}

func TestAgeIsThatOfTheWaiting(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Created, x.Operations[0].Created = start.Add(-5*time.Hour), start.Add(-3*time.Minute)
	s := openScreen(t, newFake(x), alice, 80, 24, "")
	s.until("waits 3m · parks in 8m")
}

func TestFindInTheList(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Danger, "rm", "-rf", "/srv/x"), held("aaaa0002", policy.Caution, "systemctl", "stop", "db"))
	f.sessions[1].Identity, f.sessions[1].Name = "gpt", "Café"
	for query, want := range map[string]string{
		"systemctl": "2", "RISK:danger": "1", "!risk:danger": "2", "agent:gpt": "2", "café": "2", "stop db": "2", "target:prod id:aaaa0001": "1",
		"as:ops rm": "1", "as:root": "", "gpt rm": "", "status:held !gpt": "1", "name:nightly": "1", "\x1b": "",
	} {
		s := openScreen(t, f, alice, 80, 24, "")
		s.until("2 wait")
		s.press("/", query)
		if query == "\x1b" {
			query = "nothere"
			s.press("/", query)
		}
		switch want {
		case "":
			s.shows("Nothing matches", "0 of 2")
		case "1":
			s.shows("rm -rf", "1 of 2")
			s.hides("systemctl stop")
		case "2":
			s.shows("systemctl stop", "1 of 2")
			s.hides("rm -rf")
		}
		s.press("enter")
		s.shows("/"+query, "⏎ open")
		s.press("esc")
		s.shows("rm -rf", "systemctl stop")
		s.hides("/" + query)
	}
}

func TestLettersTypedIntoTheQueryAreNotKeys(t *testing.T) {
	s := openScreen(t, newFake(held("aaaa0001", policy.Caution, "reboot")), alice, 80, 24, "")
	s.until("1 wait")
	s.press("/", "qhonB?a")
	s.shows("/qhonB?a", "0 of 1")
	s.press("ctrl+u", "\x1b[200~reb\x1b[2J\x1b[201~")
	s.shows("/reb[2J", "Nothing matches")
	if s.left {
		t.Fatal("a letter of the query left the screen")
	}
	s.press("esc")
	s.shows("reboot")
}

func TestDecisionsOfOthersAreNews(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"), held("aaaa0002", policy.Caution, "halt", "\x1b[2J"), held("aaaa0003", policy.Caution, "sync"))
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("3 wait")
	if _, err := f.Approve(t.Context(), "aaaa0001", bob, decision.Approval{Each: map[int]string{1: fmt.Sprintf("%064x", 1)}}); err != nil {
		t.Fatal(err)
	}
	s.until("2 wait", "bob approved reboot · aaaa0001")
	if _, err := f.Reject(t.Context(), "aaaa0002", bob, []int{1}, "no"); err != nil {
		t.Fatal(err)
	}
	s.until("1 wait", `bob rejected halt '\x1b[2J' · aaaa0002`)
	if _, err := f.Reject(t.Context(), "aaaa0003", alice, []int{1}, "no"); err != nil {
		t.Fatal(err)
	}
	s.until("0 wait")
	s.hides("alice rejected")
}

func TestBellRingsForWhatIsNewAndCanBeTurnedOff(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	now := start
	s := openScreen(t, f, alice, 80, 24, "")
	s.model.now = func() time.Time { return now }
	s.until("1 wait")
	bells := func(want int) {
		t.Helper()
		for len(s.messages) > 0 || s.bells < want {
			s.take(<-s.messages)
		}
		if s.bells != want {
			t.Fatalf("%d bells, want %d", s.bells, want)
		}
	}
	bells(0) // what waited before the screen opened is no news
	f.add(held("aaaa0002", policy.Danger, "halt"))
	s.until("2 wait")
	bells(1)
	if got, want := s.model.inbox.title(s.model.alert), "(2, 1 DANGER) Shannot"; got != want {
		t.Fatalf("title %q, want %q", got, want)
	}
	f.add(held("aaaa0003", policy.Caution, "halt"))
	s.until("3 wait")
	bells(1) // right after another: one noise is enough
	now = now.Add(time.Minute)
	f.change("aaaa0003", func(x *journal.Session) { x.Operations = append(x.Operations, waitingOp(2, policy.Caution, "sync")) })
	s.until("2 operations")
	bells(2)
	now = now.Add(time.Minute)
	own := held("aaaa0004", policy.Caution, "halt")
	own.Identity = alice.Name
	f.add(own)
	s.until("4 wait")
	bells(2)
	s.press("B")
	s.shows("the window's title counts")
	f.add(held("aaaa0005", policy.Caution, "halt"))
	s.until("5 wait")
	bells(2)
	s.press("B")
	if got := s.model.inbox.title(s.model.alert); got != "" {
		t.Fatalf("title %q though it was turned off", got)
	}
	s.press("B")
	now = now.Add(time.Minute)
	f.add(held("aaaa0006", policy.Caution, "halt"))
	s.until("6 wait")
	bells(3)
}

func TestSelectionStaysOnItsSessionWhileOthersComeAndGo(t *testing.T) {
	f := newFake()
	for i := range 8 {
		x := held(fmt.Sprintf("aaaa000%d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i))
		x.Created = start.Add(time.Duration(i) * time.Second)
		f.sessions = append(f.sessions, x)
	}
	s := openScreen(t, f, alice, 40, 12, "")
	s.until("8 wait")
	s.press("down", "j", "down", "j", "down")
	s.shows("▸ caution touch /srv/5")
	f.change("aaaa0002", func(x *journal.Session) { x.Status = journal.StatusExpired })
	s.until("7 wait", "▸ caution touch /srv/5")
	f.change("aaaa0005", func(x *journal.Session) { x.Status = journal.StatusExpired })
	s.until("6 wait", "▸ caution touch /srv/6")
	s.press("enter")
	s.until("aaaa0006")
}

func TestRecentlyDecidedSessionsShowWhoAndWhatCameOfIt(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	code := 3
	x.Status, x.Ended, x.ExitCode, x.Deadline = journal.StatusFailed, start.Add(-time.Hour), &code, time.Time{}
	x.Operations[0].Decision, x.Operations[0].By = journal.Approved, "bob"
	s := openScreen(t, newFake(x), alice, 80, 24, "")
	s.until("Nothing waits")
	s.press("h")
	s.until("failed", "reboot", "1h ago", "by bob", "exit 3", "nothing ran", "Decided of late")
	s.press("h")
	s.shows("Nothing waits")
}

func TestUnreadableSessionsAreSaid(t *testing.T) {
	f := newFake()
	f.listErr = errors.New("the database is locked\x1b[2J")
	s := openScreen(t, f, alice, 80, 24, "")
	s.until(`the database is locked\x1b[2J`)
}

func TestUnknownSessionFallsBackToTheList(t *testing.T) {
	s := openScreen(t, newFake(), alice, 80, 24, "nothere1")
	s.until("Session nothere1", "no such session", "Nothing waits")
}

func TestLeavingTheList(t *testing.T) {
	for _, k := range []string{"q", "ctrl+c"} {
		s := openScreen(t, newFake(), alice, 80, 24, "")
		s.until("Nothing waits")
		s.press("esc", "esc")
		if s.left {
			t.Fatal("esc leaves")
		}
		cmd := s.model.Update(s.keyMsg(k))
		s.run(cmd)
		for !s.left {
			s.take(<-s.messages)
		}
	}
}

func TestThousandWaitingSessionsFitTheScreen(t *testing.T) {
	f := newFake()
	for i := range 1000 {
		x := held(fmt.Sprintf("a%07d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i))
		x.Created = start.Add(time.Duration(i) * time.Millisecond)
		f.sessions = append(f.sessions, x)
	}
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("1000 wait")
	s.press("G")
	s.shows("▸ caution touch /srv/999")
	s.press("g")
	s.shows("▸ caution touch /srv/0")
}

func TestHelpListsTheKeysInContext(t *testing.T) {
	s := openScreen(t, newFake(held("aaaa0001", policy.Caution, "reboot")), alice, 80, 30, "")
	s.until("reboot")
	s.press("?")
	s.shows("The list", "recently decided", "Approve is off until")
	s.press("esc", "a")
	s.until("end of operation 1")
	s.press("?")
	s.shows("An operation", "approve", "reject")
	s.press("?")
	s.shows("end of operation 1")
}

func TestShellCommandOfASessionIsShownBeforeItAsks(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Operations, x.Script, x.Shell = nil, "\n  uptime; reboot\n", true
	s := openScreen(t, newFake(x), alice, 80, 24, "")
	s.until("uptime; reboot")
	s.press("enter")
	s.until("It has not asked for anything yet")
	s.press("a", "enter", "r", "down", "2")
	s.shows("uptime; reboot")
}
