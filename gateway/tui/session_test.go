package tui

import (
	"fmt"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

func TestSessionPanes(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	f.write("aaaa0001", output.Chunk{Stream: output.Stdout, Data: []byte("hello\n")})
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("reboot")
	s.press("enter")
	s.until("waits 2m · agent connected · 8m until it parks", "claude on prod", "1 WAITS caution reboot", "reboot changes the system")
	s.press("2")
	s.shows("    1   import subprocess", "operation 1 WAITS, asked by line 3", "    3 ▸     subprocess.run(ARGV)")
	s.press("3")
	s.shows("It has not changed any file")
	s.press("4")
	s.until("hello")
	s.press("5")
	s.shows("SHA-256     00ff", "Key         SHA256:claude", "own words", "nightly check", "frees space", "before the backup")
	s.press("tab")
	s.shows("1 WAITS")
	s.press("esc")
	s.until("1 wait")
}

func TestDecidedOperationsShowWhoDecided(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	code := 1
	done := waitingOp(2, policy.Safe, "df")
	done.Decision, done.By, done.Decided, done.ExitCode = journal.Approved, "bob", start, &code
	denied := waitingOp(3, policy.Danger, "mkfs")
	denied.Decision, denied.By = journal.Denied, "policy"
	lost := waitingOp(4, policy.Danger, "dd")
	lost.Decision, lost.By = journal.Unknown, "bob"
	conflict, broken := writeOp(5, "/etc/a"), writeOp(6, "/etc/b")
	conflict.Decision, conflict.By = journal.Conflicted, "bob"
	broken.Decision, broken.By, broken.Reason = journal.Failed, "bob", "no space\x1b"
	x.Operations = append(x.Operations, done, denied, lost, conflict, broken)
	s := openScreen(t, newFake(x), alice, 100, 24, "aaaa0001")
	s.until("end of operation 1")
	s.press("esc")
	s.shows("approved by bob 03:00:00Z · exit 1", "denied by policy", "UNKNOWN by bob", "whether it ran is not known",
		"CONFLICT by bob · the target held something else by then", "FAILED by bob · it could not be made")
	s.press("G", "enter")
	s.shows(`Reason      no space\x1b`)
}

func TestOutputKeepsABoundedTailAndSaysSo(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("WAITS")
	s.press("esc", "4")
	for i := range 3 * maxOutputLines {
		f.mu.Lock()
		f.chunks["aaaa0001"] = append(f.chunks["aaaa0001"], output.Chunk{Stream: output.Stdout, Data: fmt.Appendf(nil, "line %d\n", i)})
		f.mu.Unlock()
	}
	f.write("aaaa0001", output.Chunk{Stream: output.Stdout, Data: []byte(strings.Repeat("z", 3*maxOutputLine) + "\nthe end\n")})
	s.until("the end")
	s.press("g")
	s.shows("earlier lines are not kept")
	o := s.model.session.output
	if len(o.lines) > maxOutputLines || o.size > maxOutput {
		t.Fatalf("%d lines, %d bytes kept", len(o.lines), o.size)
	}
}

func TestOutputIsFollowedAgainWhenAParkedSessionStarts(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Status = journal.StatusParked
	f := newFake(x)
	f.write("aaaa0001", output.Chunk{Stream: output.Stdout, Data: []byte("first run\n")})
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a", "y")
	s.until("it ran")
}

func TestOutputIsShownOfAParkedSessionThatRanBetweenTwoLooks(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Status = journal.StatusParked
	f := newFake(x)
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("esc", "4")
	s.until("It wrote nothing")
	f.mu.Lock()
	f.chunks["aaaa0001"] = append(f.chunks["aaaa0001"], output.Chunk{Stream: output.Stdout, Data: []byte("all done\n")})
	f.mu.Unlock()
	f.change("aaaa0001", func(x *journal.Session) {
		x.Status, x.Operations[0].Decision = journal.StatusDone, journal.Approved
	})
	s.until("all done")
}

func TestLinesAreFollowedPerStream(t *testing.T) {
	o := &transcript{changed: make(chan struct{}, 1)}
	for _, c := range []output.Chunk{
		{Stream: output.Stdout, Data: []byte("one ")}, {Stream: output.Stderr, Data: []byte("oops\n")},
		{Stream: output.Stdout, Data: []byte("line\n\nlast")}, {Stream: output.State, Data: []byte("held")},
		{Stream: output.Notice, Data: []byte("it waits")}, {Stream: output.Notice, Data: []byte("it runs")},
	} {
		o.take(c)
	}
	p := o.page()
	p.layout(40, 10)
	var got []string
	for _, l := range p.window() {
		got = append(got, strings.TrimRight(l.plain(), " "))
	}
	if want := "  │ one line|err oops|  │|  │ last|gw  it waits|gw  it runs"; strings.Join(got, "|") != want {
		t.Fatalf("got %q, want %q", strings.Join(got, "|"), want)
	}
}

func TestFindInAText(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	var script strings.Builder
	for i := range 300 {
		fmt.Fprintf(&script, "print(%d) # Line\n", i)
		if i%100 == 50 {
			script.WriteString("needle() \u202e\n")
		}
	}
	x.Script = script.String()
	s := openScreen(t, newFake(x), alice, 60, 16, "")
	s.until("1 wait")
	s.press("enter")
	s.until("WAITS")
	s.press("2", "/", "NEEDLEq")
	s.shows("/NEEDLEq", "⏎ confirm")
	s.press("enter")
	s.shows("not found")
	s.press("/", "NEEDLE() \\u", "enter")
	s.shows(`   52   needle() \u202e`, "1 of 3")
	s.press("enter")
	s.shows("  153   needle()", "2 of 3")
	s.press("enter", "enter")
	s.shows("   52   needle()", "1 of 3")
	s.press("esc")
	s.hides("/NEEDLE")
	s.shows("   52   needle()", "waits 2m")
	s.press("esc")
	s.until("1 wait")
}

func TestFindingTheEndIsNotReading(t *testing.T) {
	argv := touchMany()
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 60, 12, "aaaa0001")
	s.until("approve is off")
	s.press("/", "end of operation", "enter")
	s.shows("end of operation 1", "1 of 1")
	s.press("a", "y")
	s.shows("approve is off")
	s.press("/", "ay")
	s.shows("/ay")
	s.press("enter", "esc")
	if len(f.approved) != 0 {
		t.Fatal("approved what was not read")
	}
}
