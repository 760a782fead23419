package tui

import (
	"slices"
	"strings"
	"testing"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// hide takes a session out of what is shown, as a configuration does that was reloaded.
func (f *fakeBackend) hide(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = slices.DeleteFunc(f.sessions, func(s journal.Session) bool { return s.ID == id })
	f.announce(events.Event{Kind: events.Reloaded, At: start})
}

func TestASessionOutsideTheScopeLeavesTheScreen(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "stop", "db"), held("aaaa0002", policy.Caution, "systemctl", "stop", "web"))
	c := connectVirtual(t, f, 80, 24, func(o *Options) { o.Session = "aaaa0001" })
	c.sees("aaaa0001", "systemctl stop db")
	f.hide("aaaa0001")
	c.until("the list without it", func(rows string) bool {
		return strings.Contains(rows, "aaaa0001: no such session") && strings.Contains(rows, "systemctl stop web") && !strings.Contains(rows, "stop db")
	})
}

func TestASessionOutsideTheScopeLeavesThePlainScreen(t *testing.T) {
	argv := make([]string, 300)
	for i := range argv {
		argv[i] = "word"
	}
	argv[299] = "secret"
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	c := connectPlain(t, f, func(o *Options) { o.Session, o.Window.Height = "aaaa0001", 24 })
	c.sees("more lines: press Enter")
	f.hide("aaaa0001")
	c.sees("Session aaaa0001 is not shown to you any more.")
	for range 3 {
		c.types("\r")
	}
	c.types("approve\r")
	if text := c.sees("Not known here"); strings.Contains(text, "word") || strings.Contains(text, "secret") {
		t.Errorf("it goes on:\n%s", text)
	}
}

// What cannot be approved, whoever asks, has Approve off and says why.
func TestAnObstacleTurnsApproveOff(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "stop", "db"))
	f.obstacles = map[string]string{"aaaa0001": "its agent claude is not in the configuration any more"}
	c := connectPlain(t, f, func(o *Options) { o.Session = "aaaa0001" })
	c.sees("Approve is off: its agent claude is not in the configuration any more.")
	c.types("approve\r")
	c.sees("Not yet")
	if len(f.approved) != 0 {
		t.Errorf("approved: %q", f.approved)
	}
}

func ofAGroup(id, group string, argv ...string) journal.Session {
	s := held(id, policy.Caution, argv...)
	s.Group = group
	return s
}

func TestAGroupIsOpenedAsTheListOfItsSessions(t *testing.T) {
	f := newFake(ofAGroup("aaaa0001", "gaaaa0009", "systemctl", "stop", "db"), held("aaaa0002", policy.Caution, "systemctl", "stop", "web"))
	c := connectVirtual(t, f, 80, 24, func(o *Options) { o.Session = "gaaaa0009" })
	c.until("the group's list", func(rows string) bool {
		return strings.Contains(rows, "systemctl stop db") && !strings.Contains(rows, "stop web") && strings.Contains(rows, "group:gaaaa0009  1 of 2")
	})
	p := connectPlain(t, f, func(o *Options) { o.Session = "gaaaa0009" })
	if text := p.sees("of the group gaaaa0009 alone"); !strings.Contains(text, "stop db") || strings.Contains(text, "stop web") {
		t.Errorf("the group is listed as\n%s", text)
	}
	p.types("list\r")
	p.sees("stop web")
}

func TestANumberIsThatOfTheListThatWasWritten(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "stop", "db"))
	c := connectPlain(t, f, nil)
	c.sees("1. caution: systemctl stop db", "Type a number")
	f.add(held("aaaa0002", policy.Danger, "rm", "-rf", "/srv/x")) // which a list would begin with by now
	f.mu.Lock()
	f.announce(events.Event{Session: "aaaa0002", Kind: events.Waiting, At: start})
	f.mu.Unlock()
	c.sees("New: 1.")
	c.types("1\r")
	c.sees("Session aaaa0001")
}
