package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

func TestHeldOperationIsReadApprovedAndItsOutputFollows(t *testing.T) {
	for _, size := range []Size{{40, 12}, {80, 24}, {220, 60}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Caution, "systemctl", "stop", "db"))
			s := openScreen(t, f, alice, size.Width, size.Height, "")
			s.until("systemctl stop db")
			s.press("enter")
			s.until("1 WAITS", "systemctl changes the system")
			s.press("enter")
			s.until("Policy", "As user     ops on prod")
			for range 5 {
				s.press("space")
			}
			s.shows("end of operation 1", "All of it has been shown", "a approve")
			s.press("a")
			s.shows("Run operation 1 once, on prod as ops?", "systemctl stop db", "y yes")
			s.press("y")
			s.until(": approved", "it ran")
			f.operationWrites("aaaa0001", 1, output.Chunk{Stream: output.Stderr, Data: []byte("and more\n")})
			s.until("err and more")
			f.change("aaaa0001", func(x *journal.Session) {
				code := 3
				x.Operations[0].ExitCode, x.Operations[0].Finished = &code, start
			})
			s.until("Ended       exit 3")
			want := fmt.Sprintf("aaaa0001/1/%064x by alice", 1)
			if !slices.Equal(f.approved, []string{want}) {
				t.Fatalf("approved %q, want %q once", f.approved, want)
			}
		})
	}
}

func TestOperationShowsEverythingThatItsDigestCovers(t *testing.T) {
	x := held("aaaa0001", policy.Danger, "rm", "-rf", "", "two words")
	c := x.Operations[0].Command
	c.EnvChanges = []string{"LD_PRELOAD=/tmp/evil.so", "-LANG"}
	c.Input = "file"
	s := openScreen(t, newFake(x), alice, 100, 40, "aaaa0001")
	s.until("DANGER", "As user     ops on prod", "Details     runs /usr/bin/rm", "Directory   /srv", "set LD_PRELOAD=/tmp/evil.so",
		"unset LANG", "a file that the script has opened", "argv[0]     rm", "argv[1]     -rf", "argv[2]     ", "argv[3]     ",
		"3 of the script, by its own word: subprocess.run(ARGV)", "digest 000000000000…")
	s.hides("env 1")
	s.press("d")
	s.shows("Executable  /usr/bin/rm", "env 1       LANG=C.UTF-8", "env 2       PATH=/usr/bin", x.Operations[0].Digest)
}

func TestShellTextIsShownLineByLine(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "/bin/sh", "-c", "cd /srv\nrm x")
	s := openScreen(t, newFake(x), alice, 80, 30, "aaaa0001")
	s.until("shell 1     cd /srv", "shell 2     rm x", "/bin/sh -c and the shell text below, 12 bytes")
}

func TestKnownStandardInputIsShownWhole(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "tee", "/srv/x")
	c := x.Operations[0].Command
	c.Input, c.InputData, c.InputSHA256 = "data", []byte("one\n\ttwo \nthree\x1b[2J\xff"), "feed"
	s := openScreen(t, newFake(x), alice, 80, 30, "aaaa0001")
	s.until("Stdin       20 bytes, all of them below", "stdin 1     one", `stdin 2     \ttwo\x20`, `stdin 3     three\x1b[2J\xff`, "without a newline", "feed")
}

func TestCharactersOfOtherScriptsAreFlagged(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "c\u0430t", "/srv/\u043f\u0440\u0438", "привет", "plain")
	c := x.Operations[0].Command
	c.Target, c.Dir = "pr\u043ed", "/\u0441"
	s := openScreen(t, newFake(x), alice, 100, 40, "aaaa0001")
	text := s.until(`!         non-ASCII characters, scripts mixed in a name (Latin, Cyrillic): c\u0430t`, `(Cyrillic): /srv/\u043f\u0440\u0438`,
		`(Cyrillic): \u043f\u0440\u0438\u0432\u0435\u0442`, `(Latin, Cyrillic): pr\u043ed`, `(Cyrillic): /\u0441`)
	if n := strings.Count(text, "non-ASCII characters"); n != 6 {
		t.Errorf("%d flags, want 6: target, directory, path, three arguments:\n%s", n, text)
	}
}

func TestApproveStaysOffUntilAllHasBeenOnTheScreen(t *testing.T) {
	argv := touchMany()
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 40, 12, "aaaa0001")
	s.until("approve is off", "more lines: space")
	s.press("a")
	s.shows("Not yet")
	s.press("y")

	// The end alone is not all of it: what was jumped over has not been on the screen.
	s.press("G")
	s.shows("end of operation 1", "approve is off")
	s.hides("a approve")
	s.press("a", "y")

	// Space goes back to where the reading stopped and leads through the rest.
	for i := 0; !strings.Contains(s.text(), "a approve"); i++ {
		if i > 40 {
			t.Fatalf("Approve never came on:\n%s", s.text())
		}
		s.press("a", "y", "space")
	}
	if len(f.approved) != 0 {
		t.Fatalf("approved before it was read: %q", f.approved)
	}
	s.press("a", "y")
	s.until(": approved")
}

func TestWhatWasSeenStaysSeenWhenTheWindowChanges(t *testing.T) {
	argv := []string{"touch", strings.Repeat("x", 300), strings.Repeat("y", 300)}
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 40, 12, "aaaa0001")
	s.until("approve is off")
	s.press("space")
	s.resize(80, 12)
	s.shows("approve is off")
	s.resize(40, 12)
	s.shows("approve is off")
	for range 10 {
		s.press("space")
	}
	s.shows("a approve")
	s.resize(60, 14)
	s.shows("All of it has been shown")
	s.press("a")
	s.shows("y yes")
	s.resize(220, 60)
	s.shows("Run operation 1 once", "y yes")
	s.resize(40, 12)
	s.shows("Run operation 1 once", "y yes")
	s.press("y")
	s.until(": approved")
}

func TestTinyWindowShowsNothingToApprove(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.resize(10, 3)
	s.shows("larger")
	s.press("a", "y")
	s.resize(80, 24)
	s.hides("Run operation 1")
	if len(f.approved) != 0 {
		t.Fatal("approved on a screen that showed nothing")
	}
}

func TestDangerAsksForTheTargetsName(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Danger, "rm", "-rf", "/srv/x"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a")
	s.shows("Type the target's name, prod")
	s.press("y", "enter")
	s.shows("not the target's name")
	s.press("backspace", "prod", "enter")
	s.until(": approved", "it ran")
}

func TestRejectNeedsAReason(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 40, 12, "aaaa0001")
	s.until("WAITS")
	s.press("r")
	s.shows("Reject operation 1?", "Why not?")
	s.press("enter")
	s.shows("A reason is needed")
	s.press("   ", "enter")
	s.shows("A reason is needed")
	s.press("not tonight", "enter")
	s.until(": rejected", "rejected by alice")
	if got := f.find("aaaa0001").Operations[0].Reason; got != "not tonight" {
		t.Fatalf("reason %q", got)
	}
}

func TestPastedReasonIsBoundedAndPrintable(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("WAITS")
	s.press("r")
	s.press("\x1b[200~bad\x1b]0;x\x07 \u202eidea\r\n" + strings.Repeat("ü", 3000) + "\x1b[201~")
	s.shows("bad]0;x idea")
	s.press("enter")
	s.until(": rejected")
	got := f.find("aaaa0001").Operations[0].Reason
	if len(got) > maxReason || !strings.HasPrefix(got, "bad]0;x idea ü") || strings.ContainsAny(got, "\x1b\r\n\u202e\x07") {
		t.Fatalf("reason of %d bytes: %q", len(got), got)
	}
}

func TestOfTwoApproversTheSlowerOneSeesWhoDecided(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a")
	f.before = func() {
		if _, err := f.Reject(t.Context(), "aaaa0001", bob, []int{1}, "no\x1b[2J"); err != nil {
			t.Error(err)
		}
	}
	s.press("y")
	s.until("✗ aaaa0001 reboot: not decided by you: rejected by bob")
	if len(f.approved) != 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestQuestionClosesWhenSomebodyElseDecides(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a")
	s.shows("y yes")
	if _, err := f.Approve(t.Context(), "aaaa0001", bob, decision.Approval{Each: map[int]string{1: fmt.Sprintf("%064x", 1)}}); err != nil {
		t.Fatal(err)
	}
	s.until("approved by bob", "it ran")
	s.hides("a approve")
	s.press("y")
	s.hides("Run operation 1 once")
	if len(f.approved) != 1 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestOperationThatChangedMustBeReadAgain(t *testing.T) {
	argv := []string{"touch"}
	for i := range 20 {
		argv = append(argv, fmt.Sprintf("/srv/file%d", i))
	}
	f := newFake(held("aaaa0001", policy.Caution, argv...))
	s := openScreen(t, f, alice, 40, 12, "aaaa0001")
	s.until("WAITS")
	for range 10 {
		s.press("space")
	}
	s.shows("a approve")
	s.press("a")
	f.change("aaaa0001", func(x *journal.Session) {
		op := waitingOp(1, policy.Caution, append(argv, "/etc/passwd")...)
		op.Digest = fmt.Sprintf("%064x", 99)
		x.Operations[0] = op
	})
	s.until("read it again", "approve is off")
	s.press("y", "a", "y")
	if len(f.approved) != 0 {
		t.Fatalf("approved %q", f.approved)
	}
}

func TestOwnSessionCannotBeDecided(t *testing.T) {
	for name, change := range map[string]func(*journal.Session){
		"by name": func(x *journal.Session) { x.Identity = "alice" },
		"by key":  func(x *journal.Session) { x.Key = "SHA256:alice" },
	} {
		t.Run(name, func(t *testing.T) {
			x := held("aaaa0001", policy.Caution, "reboot")
			change(&x)
			f := newFake(x)
			s := openScreen(t, f, alice, 80, 24, "aaaa0001")
			s.until("Approve is off: your own session")
			s.press("a", "y", "r")
			s.hides("Run operation", "Why not?")
			s.press("esc", "esc")
			s.until("(you)")
		})
	}
}

func TestOperationThatCannotBeShownCannotBeApproved(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Operations[0].Kind, x.Operations[0].Command = "teleport", nil
	y := held("aaaa0002", policy.Caution, "reboot")
	y.Operations[0].Digest = ""
	for id, want := range map[string]string{"aaaa0001": "cannot show this kind", "aaaa0002": "no digest"} {
		f := newFake(x, y)
		s := openScreen(t, f, alice, 80, 24, id)
		s.until(want)
		s.press("a", "y")
		if len(f.approved) != 0 {
			t.Fatalf("approved %q", f.approved)
		}
	}
}

func TestNextLeadsThroughEverythingThatWaits(t *testing.T) {
	x, own, z := held("aaaa0001", policy.Caution, "reboot"), held("aaaa0002", policy.Caution, "halt"), held("aaaa0003", policy.Caution, "poweroff")
	x.Operations = append(x.Operations, waitingOp(2, policy.Caution, "sync"))
	own.Identity = "alice"
	s := openScreen(t, newFake(x, own, z), alice, 80, 24, "")
	s.until("3 wait")
	s.press("a")
	s.alone()
	s.until("Runs        reboot")
	s.press("n")
	s.until("Runs        sync")
	s.press("n")
	s.shows("That was all that waits in this session. n again goes to another one: claude on prod as ops, caution poweroff")
	s.press("n")
	s.until("Runs        poweroff")
}

func TestRefusalsOfTheBackendAreShown(t *testing.T) {
	for name, test := range map[string]struct {
		before func(f *fakeBackend)
		want   string
	}{
		"digest":    {func(f *fakeBackend) { f.find("aaaa0001").Operations[0].Digest = "ff" }, decision.ErrDigest.Error()},
		"permitted": {func(f *fakeBackend) { f.find("aaaa0001").Key = alice.Fingerprint }, journal.ErrNotPermitted.Error()},
		"gone":      {func(f *fakeBackend) { f.sessions = nil }, journal.ErrNotFound.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Caution, "reboot"))
			s := openScreen(t, f, alice, 80, 24, "aaaa0001")
			s.until("All of it has been shown")
			s.press("a")
			f.before = func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				test.before(f)
			}
			s.press("y")
			s.until(test.want)
			if len(f.approved) != 0 {
				t.Fatalf("approved %q", f.approved)
			}
		})
	}
}

func TestSelectedOperationIsTheOneThatOpens(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "reboot")
	x.Operations = append(x.Operations, waitingOp(2, policy.Caution, "sync"))
	s := openScreen(t, newFake(x), alice, 80, 24, "aaaa0001")
	s.alone()
	s.until("Runs        reboot")
	s.press("esc", "down", "enter")
	s.shows("Operation 2 · ", "Runs        sync")
	s.press("esc", "2", "a", "enter")
	s.shows("Runs        reboot")
}

func TestNextGoesToWhatWaitsInTheSessionThenInOthers(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "first")
	x.Created = start.Add(-time.Hour)
	other := held("aaaa0002", policy.Caution, "elsewhere")
	f := newFake(x, other)
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("All of it has been shown")
	s.press("a", "y")
	s.until(": approved")
	f.change("aaaa0001", func(x *journal.Session) {
		x.Status = journal.StatusHeld
		x.Operations = append(x.Operations, waitingOp(2, policy.Caution, "second"), waitingOp(3, policy.Caution, "third"))
	})
	s.until("Operation 2 waits for a decision")
	s.press("n")
	s.shows("Operation 2 · ", "second changes")
	s.press("n")
	s.shows("Operation 3 · ", "third changes")
	s.press("n", "k", "n", "n")
	s.until("elsewhere changes")
	s.press("n", "n")
	s.alone()
	s.until("Operation 2 · ", "second changes")
	f.change("aaaa0002", func(x *journal.Session) { x.Operations[0].Decision = journal.Cancelled })
	s.press("n")
	s.shows("Operation 3 · ")
	f.change("aaaa0001", func(x *journal.Session) { x.Operations[1].Decision = journal.Cancelled })
	s.press("esc")
	s.until("cancelled")
	s.press("n", "n")
	s.until("Nothing else waits for you")
}

// A script adds an operation between the page and the answer: what is approved is the one that was on the page, by its digest.
func TestWhatIsAddedAfterThePageWasDrawnIsNotApproved(t *testing.T) {
	for name, keys := range map[string][]string{"one": {"a", "y"}, "all that was read": {"esc", "A", "y"}} {
		t.Run(name, func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Caution, "touch", "/srv/x"))
			s := openScreen(t, f, alice, 80, 24, "aaaa0001")
			s.until("a approve")
			s.press(keys[:len(keys)-1]...)
			f.change("aaaa0001", func(x *journal.Session) {
				x.Operations = append(x.Operations, waitingOp(2, policy.Caution, "touch", "/srv/hidden"))
			})
			s.press(keys[len(keys)-1])
			s.until("/srv/x: approved")
			want := fmt.Sprintf("aaaa0001/1/%064x by alice", 1)
			if len(f.approved) != 1 || f.approved[0] != want {
				t.Fatalf("approved %q, want %q alone", f.approved, want)
			}
		})
	}
}

// A command is as dangerous as the changes of files that are made before it.
func TestDangerOfTheFilesBeforeACommandAsksForTheTarget(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "cat", "/srv/.profile")
	file := waitingOp(2, policy.Danger, "write")
	file.Kind, file.Command, file.File = "write", nil, &journal.File{Op: "write", Target: "prod", RunAs: "ops", Path: "/srv/.profile"}
	x.Operations = append(x.Operations, file)
	x.Operations[0].Command.Needs, x.Operations[0].Command.Before = []int{2}, []string{file.Digest}
	f := newFake(x)
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.alone()
	s.until("more lines: space")
	s.press("space")
	s.until("a approve")
	s.press("a")
	s.shows("Type the target's name, prod")
	s.press("y", "enter")
	if len(f.approved) != 0 {
		t.Fatalf("approved %q", f.approved)
	}
	s.press("backspace", "prod", "enter")
	s.until(": approved")
	if len(f.approved) != 1 {
		t.Fatalf("approved %q", f.approved)
	}
}
