package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

// connectPlain runs a plain screen at the end of a connection; with a terminal unless change takes it away.
func connectPlain(t *testing.T, f Backend, change func(*Options)) *terminal {
	t.Helper()
	r, w := io.Pipe()
	c := &terminal{t: t, in: w, done: make(chan error, 1), fresh: make(chan struct{}, 1)}
	o := Options{Backend: f, Identity: alice, In: r, Out: c, Window: Size{80, 200}, Term: "xterm", Now: func() time.Time { return start }}
	if change != nil {
		change(&o)
	}
	go func() { c.done <- RunPlain(t.Context(), o) }()
	t.Cleanup(func() { _ = r.Close() })
	return c
}

func TestPlainListReadApproveAndOutput(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "systemctl", "stop", "db"), held("aaaa0002", policy.Danger, "rm", "-rf", "/srv"))
	c := connectPlain(t, f, nil)
	list := c.sees("> ")
	for _, want := range []string{
		"2 wait.", "1. DANGER: rm -rf /srv. On prod as ops, asked by claude, waits 2m · agent connected · 8m until it parks. Session aaaa0002, by the agent's words “nightly check”",
		"2. caution: systemctl stop db.",
	} {
		if !strings.Contains(list, want) {
			t.Fatalf("no %q in:\n%s", want, list)
		}
	}
	c.types("approve\r")
	c.sees("Not known here")
	c.types("2\r")
	text := c.sees("That was all of operation 1. Type approve")
	for _, want := range []string{"Session aaaa0001, HELD", "Policy      ask (caution)", "   1 As user     ops on prod", "Runs        systemctl stop db", "── end of operation 1 ──"} {
		if !strings.Contains(text, want) {
			t.Fatalf("no %q in:\n%s", want, text)
		}
	}
	c.types("approve\r")
	c.sees("Run operation 1 once, on prod as ops: systemctl stop db")
	c.types("\r")
	c.sees("Nothing was decided")
	c.types("a\ryes\r")
	c.sees(": approved", "it ran")
	f.operationWrites("aaaa0001", 1, output.Chunk{Stream: output.Stderr, Data: []byte("half a li")})
	f.operationWrites("aaaa0001", 1, output.Chunk{Stream: output.Stderr, Data: []byte("ne\x1b[2J\n")})
	c.sees(`err half a line\x1b[2J`)
	f.change("aaaa0001", func(x *journal.Session) {
		code := 3
		x.Operations[0].ExitCode, x.Operations[0].Finished = &code, start
	})
	c.sees("Operation 1: approved by alice 03:00:00Z · exit 3")
	c.types("next\r")
	c.sees("That was all of operation 1")
	c.types("approve\r")
	c.sees("Type the target's name, prod")
	c.types("yes\r")
	c.sees("not the target's name. Nothing was decided")
	c.types("approve\rprod\r")
	c.sees(": approved")
	c.types("quit\r")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	if len(f.approved) != 2 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestPlainApproveIsOffUntilTheEndWasWritten(t *testing.T) {
	argv := touchMany()
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	c := connectPlain(t, f, func(o *Options) { o.Session, o.Window.Height = "aaaa0001", 24 })
	c.sees("more lines: press Enter.")
	c.types("approve\r")
	c.sees("Not yet")
	// The end of another text is not the end of the operation.
	c.types("script\r")
	c.sees("subprocess.run(ARGV)")
	c.types("about\r\rapprove\r")
	c.sees("Not yet")
	c.types("1\r")
	c.sees("more lines")
	for range 4 {
		c.types("\r")
	}
	c.sees("That was all of operation 1")
	// Another one that takes its place has not been read.
	f.change("aaaa0001", func(x *journal.Session) { x.Operations[0].Digest = strings.Repeat("f", 64) })
	c.types("approve\ryes\r")
	c.sees("Operation 1 of aaaa0001: not decided: ")
	c.types("quit\r")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	if len(f.approved) != 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestPlainRejectsForAReasonFromTheListOrTyped(t *testing.T) {
	for typed, want := range map[string]string{"reject not tonight\r": "not tonight", "r\r2\r": usualReasons[1], "reject\rbecause\r": "because"} {
		f := newFake(held("aaaa0001", policy.Caution, "reboot"))
		c := connectPlain(t, f, func(o *Options) { o.Session = "aaaa0001" })
		c.sees("That was all")
		c.types("r\r\r")
		c.sees("Nothing was decided")
		c.types(typed)
		c.sees(": rejected")
		if got := f.find("aaaa0001").Operations[0].Reason; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}

func TestPlainDecisionCanBeUndone(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connectPlain(t, f, func(o *Options) { o.Session, o.Pace.Undo = "aaaa0001", time.Hour })
	c.sees("That was all")
	c.types("a\ry\r")
	c.sees("Approving operation 1 in 1h. Type undo to stop it.")
	c.types("a\r")
	c.sees("A decision is under way")
	c.types("undo\r")
	c.sees("It still waits")
	c.types("undo\r")
	c.sees("nothing to undo")
	c.types("a\ry\r")
	c.sees("Approving")
	_ = c.in.Close() // the connection is lost: nothing was decided
	if err := c.ends(); !errors.Is(err, io.EOF) {
		t.Fatalf("ended with %v", err)
	}
	if got := f.find("aaaa0001").Operations[0].Decision; got != journal.Waiting {
		t.Fatalf("decided %v", got)
	}
}

func TestPlainLeavingHandsOverWhatWasConfirmed(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connectPlain(t, f, func(o *Options) { o.Session, o.Pace.Undo = "aaaa0001", time.Hour })
	c.sees("That was all")
	c.types("a\ry\rquit\r")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	if len(f.approved) != 1 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestPlainWithoutATerminalNeedsNoPagingAndNoEcho(t *testing.T) {
	argv := touchMany()
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	c := connectPlain(t, f, func(o *Options) { o.Term, o.Window.Height = "", 10 })
	c.types("1\napprove\nyes\n" + strings.Repeat("x", 3*maxAnswer) + "\nquit\n")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	if text := c.sent.String(); strings.ContainsAny(text, "\r\a\x1b") || !strings.Contains(text, ": approved") || strings.Contains(text, "xxx") {
		t.Fatalf("wrote %q", text)
	}
}

func TestPlainIsToldWhatIsNewAndWhatOthersDecide(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connectPlain(t, f, nil)
	c.sees("1 wait.", "\r\n> ") // to the prompt: the help before it has the word too
	c.types("hist")
	c.sees("hist")
	x := held("aaaa0002", policy.Danger, "halt")
	f.mu.Lock()
	f.sessions = append(f.sessions, x)
	f.announce(events.Event{Session: x.ID, Kind: events.Waiting, At: start})
	f.mu.Unlock()
	if text := c.sees("> hist"); !strings.Contains(text, "New: 1.") || !strings.Contains(text, "\a") {
		t.Fatalf("wrote %q", text)
	}
	if _, err := f.Reject(t.Context(), "aaaa0001", bob, []int{1}, "no"); err != nil {
		t.Fatal(err)
	}
	c.sees("News: bob rejected reboot")
	c.types("ory\r")
	c.sees("1. rejected: reboot. On prod as ops, asked by claude, 0s ago, decided by bob")
	c.types("\x03")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
}

func TestPlainHostileTextIsNeverWrittenRaw(t *testing.T) {
	for name, text := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(hostile(text))
			f.write("aaaa0001", output.Chunk{Stream: output.Stdout, Data: []byte(text + "\n")})
			c := connectPlain(t, f, func(o *Options) { o.Term = "" })
			c.types("help\n1\nscript\nabout\nenv\noperations\noutput\n2\n1\napprove\n\nreject " + strings.ReplaceAll(text, "\n", " ") + "\nlist\nhistory\n")
			_ = c.in.Close()
			if err := c.ends(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			for _, r := range c.sent.String() {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar) {
					t.Fatalf("raw %U in %q", r, c.sent.String())
				}
			}
		})
	}
}

func TestPlainTypingIsEchoedAndEdited(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connectPlain(t, f, func(o *Options) { o.Session = "aaaa0001" })
	c.sees("That was all")
	c.types("rejext\x7f\x7fct \x1b[A\x1b]0;x\x07\x00nö\x15reject no\x17nay\x1b\r")
	c.sees(": rejected")
	if got := f.find("aaaa0001").Operations[0].Reason; got != "nay" {
		t.Fatalf("reason %q", got)
	}
}
