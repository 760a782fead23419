package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
)

func TestInboxShowsWhatWhereAsWhomAndHowRisky(t *testing.T) {
	for _, size := range []Size{{40, 12}, {80, 24}, {220, 60}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Danger, "rm", "-rf", "/srv/x"), held("aaaa0002", policy.Caution, "systemctl", "stop", "db"))
			s := openScreen(t, f, alice, size.Width, size.Height, "")
			s.until("2 wait", "1 DANGER", "DANGER", "rm -rf /srv/x", "caution", "systemctl stop db", "prod", "ops", "claude", "2m", "8m left", "? keys")
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
	f.change("aaaa0001", func(x *approvals.Session) {
		x.Status, x.Operations[0].Decision = approvals.Running, approvals.Approved
	})
	s.until("0 wait", "1 running")
}

func TestInboxShowsOldestFirstAndNewestOnDemand(t *testing.T) {
	f := newFake()
	for i := range 3 {
		x := held(fmt.Sprintf("aaaa000%d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i))
		x.Created = start.Add(time.Duration(i) * time.Second)
		f.sessions = append([]approvals.Session{x}, f.sessions...)
	}
	s := openScreen(t, f, alice, 80, 24, "")
	text := s.until("/srv/0", "/srv/1", "/srv/2")
	if strings.Index(text, "/srv/0") > strings.Index(text, "/srv/2") {
		t.Fatalf("the oldest is not first:\n%s", text)
	}
	s.press("o")
	text = s.text()
	if strings.Index(text, "/srv/0") < strings.Index(text, "/srv/2") {
		t.Fatalf("the newest is not first:\n%s", text)
	}
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
	f.change("aaaa0002", func(x *approvals.Session) { x.Status = approvals.Expired })
	s.until("7 wait", "▸ caution touch /srv/5")
	f.change("aaaa0005", func(x *approvals.Session) { x.Status = approvals.Expired })
	s.until("6 wait", "▸ caution touch /srv/6")
	s.press("enter")
	s.until("aaaa0006")
}

func TestRecentlyDecidedSessionsShowWhoAndWhatCameOfIt(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	code := 3
	x.Status, x.Ended, x.ExitCode, x.Deadline = approvals.Failed, start.Add(-time.Hour), &code, time.Time{}
	x.Operations[0].Decision, x.Operations[0].By = approvals.Approved, "bob"
	s := openScreen(t, newFake(x), alice, 80, 24, "")
	s.until("Nothing waits")
	s.press("h")
	s.until("failed", "reboot", "1h ago", "by bob", "exit 3")
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
	for _, k := range []string{"q", "esc", "ctrl+c"} {
		s := openScreen(t, newFake(), alice, 80, 24, "")
		s.until("Nothing waits")
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

func TestWithoutEventsTheScreenLooksByItself(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("1 wait")
	f.mu.Lock()
	listeners := f.listeners
	f.listeners = nil
	f.mu.Unlock()
	for _, l := range listeners {
		close(l)
	}
	s.until("No live updates any more")
	f.add(held("aaaa0002", policy.Caution, "halt"))
	s.take(tickMsg{})
	s.until("2 wait")
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
