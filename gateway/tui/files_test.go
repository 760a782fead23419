package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// writeOp is a write that waits.
func writeOp(n int, path string) journal.Operation {
	f := &journal.File{
		Op: journal.Write, Target: "prod", RunAs: "ops", Path: journal.Exact(path), Perms: true, Mode: 0o644, Size: 120, SHA256: strings.Repeat("ab", 32),
		Was: &journal.FileState{Mode: 0o100600, UID: 0, GID: 0, Size: 100, SHA256: strings.Repeat("cd", 32)}, Kept: true,
	}
	return journal.Operation{
		N: n, Kind: f.Kind(), Summary: f.Summary().String(), Verdict: policy.Ask, Risk: policy.Danger, Why: "a file of the system",
		Decision: journal.Waiting, Digest: fmt.Sprintf("%064x", n), Created: start.Add(-2 * 60e9), File: f,
	}
}

// numbered is text of n lines, with some of them replaced.
func numbered(n int, change map[int]string) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		if t, ok := change[i]; ok {
			b.WriteString(t)
		} else {
			fmt.Fprintf(&b, "setting%d = %d\n", i, i)
		}
	}
	return b.String()
}

// filesNight is a session that writes a file and then runs a command.
func filesNight() *fakeBackend {
	x := held("f1l3s0aa", policy.Danger, "systemctl", "restart", "app")
	x.Name = "tune the app"
	x.Operations = []journal.Operation{writeOp(1, "/etc/app.conf"), x.Operations[0]}
	x.Operations[1].N, x.Operations[1].Digest = 2, fmt.Sprintf("%064x", 2)
	x.Operations[1].Command.Needs = []int{1}
	x.Operations[1].Command.Before = []string{x.Operations[0].Digest}
	f := newFake(x)
	f.texts = map[string][2]string{"/etc/app.conf": {
		numbered(40, nil),
		numbered(40, map[int]string{20: "setting20 = 2000\n", 21: "", 30: "setting30 = 30\n# a remark\u202e that is long enough to need more than one row of a narrow column, and then some more of it\n"}),
	}}
	return f
}

func TestFilesPaneShowsDifferencesByWidthAndOnDemandWhole(t *testing.T) {
	f := filesNight()
	s := openScreen(t, f, alice, 100, 60, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	s.press("3")
	s.until("operation 1 WAITS DANGER write /etc/app.conf", "Rights      mode 0600 -> 0644", "@@ -17,8 +17,7 @@", "   20 - setting20 = 20", "   20 + setting20 = 2000",
		"   21 - setting21 = 21", `# a remark\u202e that`, "!         non-ASCII characters")
	s.hides("setting10 =", "│")
	s.press("w")
	s.until("   10   setting10 = 10")
	s.press("w", "s")
	s.until("   20 - setting20 = 20", "│   20 + setting20 = 2000")
	s.hides("setting10 =")
	s.press("s")
	s.until("   21 - setting21")
	s.hides("│")
	s.press("s", "s")
	s.resize(200, 60)
	s.hides("│") // the human has chosen
	s = openScreen(t, f, alice, 200, 60, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	s.press("3")
	s.until("│   20 + setting20 = 2000")
	s.resize(100, 60)
	s.hides("│")
}

func TestNothingOfADifferenceIsCutSideBySide(t *testing.T) {
	f := filesNight()
	for _, width := range []int{40, 41, 67, 120, 333} {
		s := openScreen(t, f, alice, width, 200, "")
		s.until("1 wait")
		s.press("enter")
		s.until("WAITS")
		s.press("3", "s")
		s.until("setting20")
		if width >= sideBySide {
			s.press("s")
		}
		var right strings.Builder
		for _, row := range strings.Split(s.text(), "\n") {
			if _, r, ok := strings.Cut(row, "│"); ok && len(r) > 8 {
				right.WriteString(strings.TrimPrefix(strings.TrimPrefix(r, "      "+continued+" "), "   31 + "))
			}
		}
		if want := `# a remark\u202e that is long enough to need more than one row of a narrow column, and then some more of it`; !strings.Contains(right.String(), want) {
			t.Errorf("width %d: the right column reads %q", width, right.String())
		}
	}
}

func TestCommandIsShownWithTheWritesBeforeIt(t *testing.T) {
	f := filesNight()
	s := openScreen(t, f, alice, 100, 80, "f1l3s0aa")
	s.alone()
	s.until("Operation 1", "a approve", "20 + setting20 = 2000")
	s.press("n")
	s.until("Operation 2", "operation 1 comes before it (waiting): write /etc/app.conf", "20 + setting20 = 2000", "Runs        systemctl restart app", "a approve")
}

func TestApproveIsOffUntilContentsHaveBeenRead(t *testing.T) {
	f := filesNight()
	f.reading = make(chan struct{})
	s := openScreen(t, f, alice, 100, 80, "f1l3s0aa")
	s.until("being read…", "Approve is off: what it writes is being read")
	s.press("a", "y", "esc", "A")
	if len(f.approved) > 0 || len(s.model.read) > 0 {
		t.Fatal("what was not read counts as read")
	}
	s.shows("A never takes danger")
	s.press("enter")
	close(f.reading)
	s.until("20 + setting20 = 2000", "a approve")
}

func TestApproveIsOffWhereContentsCannotBeRead(t *testing.T) {
	f := filesNight()
	f.diffErr = errors.New("the disk\x1b[2J is gone")
	s := openScreen(t, f, alice, 100, 80, "f1l3s0aa")
	s.alone()
	s.until(`it cannot be shown: the disk\x1b[2J is gone`, "Approve is off: a content that belongs to it cannot be shown")
	s.press("a", "y", "n")
	s.until("Operation 2", "Approve is off")
	s.press("esc", "A")
	s.shows("A never takes danger")
}

func TestPlainShowsDifferences(t *testing.T) {
	c := connectPlain(t, filesNight(), func(o *Options) { o.Session = "f1l3s0aa" })
	if text := c.sees("That was all of operation 1"); !strings.Contains(text, "20 + setting20 = 2000") {
		t.Fatalf("wrote %q", text)
	}
}

func TestOperationWithContentsStaysReadWhenItIsOpenedAgain(t *testing.T) {
	s := openScreen(t, filesNight(), alice, 100, 80, "f1l3s0aa")
	s.alone()
	s.until("20 + setting20 = 2000", "a approve")
	s.press("esc", "enter")
	s.shows("20 + setting20 = 2000", "a approve")
}

func TestWriteWhoseContentIsNotShownSaysSo(t *testing.T) {
	f := filesNight()
	f.texts = nil
	s := openScreen(t, f, alice, 100, 80, "f1l3s0aa")
	s.until("Content     NOT shown, since what is there now was not kept: compare size and hash")
}
