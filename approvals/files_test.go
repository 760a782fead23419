//go:build linux

package approvals_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/rollback"
	"shannot-gateway/approvals/store"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// desk is a session with a view of this host, whose changes are made below a directory of the test.
type desk struct {
	*book
	live *gate.Live
	view *vfs.Session
	host string // the test's part of the host
}

// withFiles makes a book whose manager keeps contents and knows its target.
func withFiles(tb testing.TB, dir string, change func(*approvals.Config)) (*book, <-chan *gate.Live) {
	tb.Helper()
	var b *book
	b, again := parking(tb, dir, func(c *approvals.Config) {
		c.Blobs = c.Store.(soundStore).Store.(*store.Store)
		c.Target = func(string) targets.Target { return newTarget(tb) }
		if change != nil {
			change(c)
		}
	})
	return b, again
}

func newDesk(tb testing.TB, change func(*approvals.Config)) *desk {
	tb.Helper()
	b, _ := withFiles(tb, tb.TempDir(), change)
	host := filepath.Join(b.dir, "host")
	if err := os.Mkdir(host, 0o755); err != nil {
		tb.Fatal(err)
	}
	return (&desk{book: b, host: host}).sit(b.begin())
}

// sit gives a session its view.
func (d *desk) sit(l *gate.Live) *desk {
	d.tb.Helper()
	view, err := vfs.NewSession(vfs.Config{
		Base: l.Source(d.target.Files()), Scratch: []string{filepath.Join(d.dir, "scratch")},
		UID: d.target.Account().UID, GID: d.target.Account().GID,
	})
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { _ = view.Close() })
	l.SetFiles(view, func(path string) bool { return filepath.Base(path) == "hidden" })
	return &desk{book: d.book, live: l, view: view, host: d.host}
}

func (d *desk) at(name string) string { return filepath.Join(d.host, name) }

// write is what a script does.
func (d *desk) write(name, text string) {
	d.tb.Helper()
	d.put(d.at(name), text)
}

func (d *desk) put(path, text string) {
	d.tb.Helper()
	f, err := d.view.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o644)
	if err != nil {
		d.tb.Fatalf("open %s: %v", path, err)
	}
	fd, err := f.Descriptor(unix.O_WRONLY)
	if err != nil {
		d.tb.Fatal(err)
	}
	_, err = unix.Write(fd, []byte(text))
	if err := errors.Join(err, unix.Close(fd), f.Close()); err != nil {
		d.tb.Fatal(err)
	}
}

// plant is what is on the host.
func (d *desk) plant(name, text string) {
	d.tb.Helper()
	if err := os.WriteFile(d.at(name), []byte(text), 0o644); err != nil {
		d.tb.Fatal(err)
	}
}

// holds checks the host.
func (d *desk) holds(name, want string) {
	d.tb.Helper()
	text, err := os.ReadFile(d.at(name))
	if errors.Is(err, os.ErrNotExist) {
		text, err = []byte("(nothing)"), nil
	}
	if err != nil || string(text) != want {
		d.tb.Errorf("%s holds %q, %v; want %q", name, text, err, want)
	}
}

// finish ends the script, and the session with it.
func (d *desk) finish() <-chan error {
	done := make(chan error, 1)
	go func() {
		err := d.live.Finish(d.live.Context(), 0)
		d.live.End(gate.Outcome{Status: journal.StatusDone})
		done <- err
	}()
	return done
}

func (d *desk) session() journal.Session {
	d.tb.Helper()
	s, err := d.Session(d.live.ID())
	if err != nil {
		d.tb.Fatal(err)
	}
	return s
}

func (d *desk) approve(ops ...int) {
	d.tb.Helper()
	if _, err := d.book.approve(d.live.ID(), alice, ops...); err != nil {
		d.tb.Fatal(err)
	}
}

// operations lists a session's operations: kind, base name and decision.
func operations(s journal.Session) string {
	var out []string
	for _, o := range s.Operations {
		name := ""
		if o.File != nil {
			name = " " + filepath.Base(string(o.File.Path))
		}
		out = append(out, string(o.Kind)+name+" "+string(o.Decision))
	}
	return strings.Join(out, ", ")
}

func TestCommandWaitsForTheChangesBeforeIt(t *testing.T) {
	d := newDesk(t, nil)
	events := d.Subscribe(t.Context())
	d.write("conf", "new")
	var out bytes.Buffer
	result := start(d.live, command(&out, "cat", d.at("conf"))) // alone it would be allowed
	s := d.waiting(events, d.live.ID())
	if got := operations(s); got != "write conf waiting, command waiting" {
		t.Fatalf("operations: %s", got)
	}
	c := s.Operations[1]
	if c.Verdict != policy.Ask || len(c.Command.Before) != 1 || c.Command.Before[0] != s.Operations[0].Digest || c.Command.Needs[0] != 1 {
		t.Errorf("command %+v", c)
	}
	d.holds("conf", "(nothing)")
	if _, err := d.Approve(t.Context(), s.ID, alice, decision.Approval{Each: map[int]string{2: c.Digest}}); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	if out.String() != "new" {
		t.Errorf("the command read %q", out.String())
	}
	// What was made is not asked about again, and the next command does not wait.
	out.Reset()
	p, err := d.live.Start(t.Context(), command(&out, "echo", "free"))
	mustRun(t, p, err)
	if err := <-d.finish(); err != nil {
		t.Fatal(err)
	}
	if s := d.session(); s.Status != journal.StatusDone || operations(s) != "write conf approved, command approved, command allowed" {
		t.Errorf("session %s: %s", s.Status, operations(s))
	}
}

func TestTwoCommandsShareTheChangesBeforeThem(t *testing.T) {
	d := newDesk(t, nil)
	events := d.Subscribe(t.Context())
	d.write("conf", "new")
	first := start(d.live, command(io.Discard, "cat", d.at("conf")))
	d.waiting(events, d.live.ID())
	second := start(d.live, command(io.Discard, "echo", d.at("conf")))
	s := d.waiting(events, d.live.ID())
	if got := operations(s); got != "write conf waiting, command waiting, command waiting" {
		t.Fatalf("operations: %s", got)
	}
	d.approve(3) // the second, and the change with it
	r := <-second
	mustRun(t, r.process, r.err)
	d.holds("conf", "new")
	d.approve(2)
	r = <-first
	mustRun(t, r.process, r.err)
	if err := <-d.finish(); err != nil {
		t.Fatal(err)
	}
	if got := operations(d.session()); got != "write conf approved, command approved, command approved" {
		t.Errorf("operations: %s", got)
	}
}

func TestRejectedChangeIsNotAskedAboutAgain(t *testing.T) {
	d := newDesk(t, nil)
	events := d.Subscribe(t.Context())
	d.write("conf", "new")
	d.write("other", "fine")
	result := start(d.live, command(io.Discard, "cat", d.at("conf")))
	d.waiting(events, d.live.ID())
	if _, err := d.Reject(t.Context(), d.live.ID(), alice, []int{1}, "no"); err != nil {
		t.Fatal(err)
	}
	if s := d.session(); operations(s) != "write conf rejected, write other waiting, command rejected" {
		t.Fatalf("operations: %s", operations(s))
	}
	d.approve(2)
	r := <-result
	var denial *journal.DenialError
	if !errors.As(r.err, &denial) || denial.By != "alice" || !strings.Contains(denial.Reason, "operation 1") {
		t.Fatalf("error %v", r.err)
	}
	d.holds("conf", "(nothing)")
	d.holds("other", "fine")
	p, err := d.live.Start(t.Context(), command(io.Discard, "echo"))
	mustRun(t, p, err)
	if err := <-d.finish(); err != nil {
		t.Fatal(err)
	}
	s := d.session()
	if s.Status != journal.StatusRejected || *s.ExitCode != journal.ExitNotPermitted || len(s.Operations) != 4 {
		t.Errorf("session %s, %d: %s", s.Status, *s.ExitCode, operations(s))
	}
	// A rejected change that becomes another one is another question.
}

func TestConflictStopsWhatComesAfter(t *testing.T) {
	d := newDesk(t, nil)
	d.plant("a", "one")
	d.plant("b", "two")
	d.write("a", "mine")
	d.write("b", "mine")
	d.write("c", "mine")
	events := d.Subscribe(t.Context())
	done := d.finish()
	d.waiting(events, d.live.ID())
	d.plant("b", "theirs")
	d.approve()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s := d.session()
	if got := operations(s); got != "write a approved, write b conflict, write c cancelled" {
		t.Errorf("operations: %s", got)
	}
	if s.Status != journal.StatusFailed || *s.ExitCode != journal.ExitConflict || !strings.Contains(s.Reason, "operation 2") {
		t.Errorf("session %s, %d, %q", s.Status, *s.ExitCode, s.Reason)
	}
	d.holds("a", "mine")
	d.holds("b", "theirs")
	d.holds("c", "(nothing)")
	for _, err := range s.Sound() {
		t.Error(err)
	}
}

func TestHiddenAndKernelPathsAreDenied(t *testing.T) {
	d := newDesk(t, nil)
	d.write("hidden", "x")
	if err := <-d.finish(); err != nil {
		t.Fatal(err)
	}
	s := d.session()
	if s.Status != journal.StatusRejected || operations(s) != "write hidden denied" || *s.ExitCode != journal.ExitNotPermitted {
		t.Errorf("session %s: %s", s.Status, operations(s))
	}
	d.holds("hidden", "(nothing)")
}

func TestDeniedChangeDeniesTheCommandAfterIt(t *testing.T) {
	d := newDesk(t, nil)
	d.write("hidden", "x")
	_, err := d.live.Start(t.Context(), command(io.Discard, "echo"))
	var denial *journal.DenialError
	if !errors.As(err, &denial) || !strings.Contains(err.Error(), "does not show") {
		t.Fatalf("error %v", err)
	}
	p, err := d.live.Start(t.Context(), command(io.Discard, "echo"))
	mustRun(t, p, err)
}

func TestPlanListsChangesAndMakesNone(t *testing.T) {
	d := newDesk(t, nil)
	l, err := d.Begin(t.Context(), approvals.Request{Identity: claude, Target: d.target, Script: "x", Args: []string{"-"}, Plan: true, Env: d.target.Account().Env("dumb")})
	if err != nil {
		t.Fatal(err)
	}
	run := func(d *desk) {
		d.write("conf", "one")
		p, err := d.live.Start(t.Context(), command(io.Discard, "touch", d.at("mark")))
		mustRun(t, p, err)
		d.write("conf", "two")
	}
	p := d.sit(l)
	run(p)
	if err := <-p.finish(); err != nil {
		t.Fatal(err)
	}
	s := p.session()
	if s.Status != journal.StatusPlanned || operations(s) != "write conf planned, command planned, write conf planned" {
		t.Fatalf("session %s: %s", s.Status, operations(s))
	}
	d.holds("conf", "(nothing)")
	d.holds("mark", "(nothing)")
}

// TestScriptThatRunsAgainSeesWhatItSaw parks a session after its first changes, of every kind, and runs its script again.
func TestScriptThatRunsAgainSeesWhatItSaw(t *testing.T) {
	d := newDesk(t, nil)
	for name, text := range map[string]string{"conf": "old", "gone": "g", "name": "n", "mode": "m"} {
		d.plant(name, text)
	}
	run := func(d *desk) <-chan started {
		text := func(name string) string {
			f, err := d.view.Open(d.at(name), unix.O_RDONLY, 0)
			if err != nil {
				return err.Error()
			}
			defer func() { _ = f.Close() }()
			fd, err := f.Descriptor(unix.O_RDONLY)
			if err != nil {
				return err.Error()
			}
			defer func() { _ = unix.Close(fd) }()
			buf := make([]byte, 100)
			n, _ := unix.Read(fd, buf)
			return string(buf[:n])
		}
		if got := text("conf") + text("gone") + text("name"); got != "oldgn" {
			t.Errorf("the script reads %q", got)
		}
		d.write("conf", text("conf")+"+1")
		for _, err := range []error{
			d.view.Unlink(d.at("gone")), d.view.Mkdir(d.at("dir"), 0o755), d.view.Rename(d.at("name"), d.at("dir/name"), 0),
			d.view.Chmod(d.at("mode"), 0o600, true), d.view.Symlink("conf", d.at("link")),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		recorded := len(d.session().Operations) > 6 // by the first run; looked at before this one can add to it
		first := start(d.live, command(io.Discard, "touch", d.at("mark")))
		if !recorded {
			d.waitHeld()
			d.approve()
		}
		if r := <-first; r.err != nil {
			t.Error(r.err)
		} else {
			mustRun(t, r.process, r.err)
		}
		d.write("conf", text("conf")+"+2")
		return start(d.live, command(io.Discard, "touch", d.at("mark2")))
	}
	second := run(d)
	d.waitHeld()
	d.holds("conf", "old+1")
	before := operations(d.session())
	done := make(chan error, 1)
	go func() { done <- d.Shutdown(context.Background()) }()
	if r := <-second; !errors.Is(r.err, journal.ErrParked) {
		t.Fatalf("the held command: %v", r.err)
	}
	d.live.End(gate.Outcome{Status: journal.StatusCancelled})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b2 := d.next()
	if _, err := b2.approve(d.live.ID(), alice); err != nil {
		t.Fatal(err)
	}
	again := (&desk{book: b2, host: d.host}).sit(b2.resume(d.live.ID()))
	r := <-run(again)
	mustRun(t, r.process, r.err)
	if err := <-again.finish(); err != nil {
		t.Fatal(err)
	}
	s := again.session()
	if got, want := operations(s), strings.ReplaceAll(before, "waiting", "approved"); got != want || s.Status != journal.StatusDone {
		t.Errorf("session %s: %s, want %s", s.Status, got, want)
	}
	d.holds("conf", "old+1+2")
}

// waitHeld returns once something of the session waits.
func (d *desk) waitHeld() {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events := d.Subscribe(ctx)
	for {
		for _, o := range d.session().Operations {
			if o.Decision == journal.Waiting {
				return
			}
		}
		if _, ok := <-events; !ok {
			d.tb.Fatal("nothing waits")
		}
	}
}

func TestWhatCannotBeKeptIsSaidBeforeItIsApproved(t *testing.T) {
	d := newDesk(t, func(c *approvals.Config) { c.Limits.Checkpoint = 10 })
	d.plant("small", "12345")
	d.plant("large", strings.Repeat("x", 100))
	d.write("small", "new")
	d.write("large", "new")
	if err := d.view.Unlink(d.at("large")); err != nil {
		t.Fatal(err)
	}
	done := d.finish()
	d.waitHeld()
	s := d.session()
	large, small := s.Operations[0], s.Operations[1]
	if large.File.Kept || !strings.Contains(large.Why, "cannot be rolled back: limits.checkpoint keeps 10 bytes") || !small.File.Kept {
		t.Errorf("large: %q, kept %v; small kept %v", large.Why, large.File.Kept, small.File.Kept)
	}
	d.approve()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.holds("large", "(nothing)")
	steps, err := d.Rollback(t.Context(), s.ID, alice, false, false)
	if !errors.Is(err, rollback.ErrChangedSince) || len(steps) != 2 {
		t.Fatalf("rollback: %v, %+v", err, steps)
	}
	d.holds("small", "new")
	if _, err := d.Rollback(t.Context(), s.ID, alice, true, false); !errors.Is(err, rollback.ErrChangedSince) {
		t.Errorf("forced rollback: %v", err)
	}
	d.holds("small", "12345")
	if s := d.session(); s.Status != journal.StatusDone {
		t.Errorf("session %s although not everything is as it was", s.Status)
	}
}

func TestRollbackLeavesWhatOthersHaveMade(t *testing.T) {
	d := newDesk(t, nil)
	if err := d.view.Mkdir(d.at("dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.write("dir/mine", "m")
	done := d.finish()
	d.waitHeld()
	d.approve()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.plant("dir/theirs", "t")
	id := d.live.ID()
	for name, by := range map[string]journal.Identity{"an agent": claude, "the owner": {Name: "claude", Role: journal.Admin}} {
		if _, err := d.Rollback(t.Context(), id, by, false, false); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("rollback by %s: %v", name, err)
		}
	}
	if _, err := d.Rollback(t.Context(), id, alice, false, false); !errors.Is(err, rollback.ErrChangedSince) {
		t.Errorf("rollback: %v", err)
	}
	d.holds("dir/mine", "m")
	if err := os.Remove(d.at("dir/theirs")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Rollback(t.Context(), id, alice, false, false); err != nil {
		t.Errorf("rollback: %v", err)
	}
	if _, err := os.Stat(d.at("dir")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
	s := d.session()
	if s.Status != journal.StatusRolledBack || operations(s) != "mkdir dir approved, write mine approved, rollback mine approved, rollback dir approved" {
		t.Errorf("session %s: %s", s.Status, operations(s))
	}
	for _, err := range s.Sound() {
		t.Error(err)
	}
}

// dying is a target whose gateway dies at a change: before it is made, or after.
type dying struct {
	targets.FileTarget
	make bool
	dies chan struct{}
}

func (d *dying) Apply(ctx context.Context, c targets.Change) error {
	if d.make {
		if err := d.FileTarget.Apply(ctx, c); err != nil {
			return err
		}
	}
	close(d.dies)
	select {} // for ever, as far as this gateway is concerned
}

func TestChangeCutByACrashIsResolvedByALook(t *testing.T) {
	for name, tt := range map[string]struct {
		made  bool
		after string // what somebody writes before the next start
		want  string
		ends  journal.Status
		is    journal.Decision
	}{
		"before it was made":         {false, "", "new", journal.StatusParked, journal.Approved},
		"after it was made":          {true, "", "new", journal.StatusParked, journal.Approved},
		"and then somebody wrote it": {true, "theirs", "theirs", journal.StatusFailed, journal.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, nil)
			d.plant("conf", "old")
			dead := &dying{FileTarget: d.target, make: tt.made, dies: make(chan struct{})}
			l, err := d.Begin(t.Context(), approvals.Request{Identity: claude, Target: dead, Script: "x", Args: []string{"-"}})
			if err != nil {
				t.Fatal(err)
			}
			s := d.sit(l)
			s.write("conf", "new")
			_ = s.finish() // it never returns
			s.waitHeld()
			s.approve()
			<-dead.dies
			if tt.after != "" {
				d.plant("conf", tt.after)
			}
			looked := make(chan struct{})
			restart := d.config.Restart
			d.config.Restart = func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error) {
				<-looked
				return restart(ctx, s, patient)
			}
			b2 := d.next()
			got, err := b2.Session(l.ID())
			if err != nil || got.Status != tt.ends || got.Operations[0].Decision != tt.is {
				t.Fatalf("session %s: %s, %v", got.Status, operations(got), err)
			}
			close(looked)
			if got.Status == journal.StatusParked { // the approval still holds, and is used once
				second := (&desk{book: b2, host: d.host}).sit(b2.resume(l.ID()))
				second.write("conf", "new")
				if err := <-second.finish(); err != nil {
					t.Fatal(err)
				}
				if s := second.session(); s.Status != journal.StatusDone || len(s.Operations) != 1 {
					t.Errorf("session %s: %s", s.Status, operations(s))
				}
			}
			d.holds("conf", tt.want)
		})
	}
}

// losing is a target whose connection breaks at a change: before it is made, or after.
type losing struct {
	targets.FileTarget
	make  bool
	after func() // what happens before anybody can look
}

func (l *losing) Apply(ctx context.Context, c targets.Change) error {
	if l.make {
		if err := l.FileTarget.Apply(ctx, c); err != nil {
			return err
		}
	}
	l.after()
	return fmt.Errorf("%w: %w", targets.ErrInterrupted, unix.ECONNRESET)
}

func TestChangeCutByItsConnectionIsResolvedByALook(t *testing.T) {
	for name, tt := range map[string]struct {
		made  bool
		after string // what somebody writes before the look
		want  string
		ends  journal.Status
		is    journal.Decision
		says  string
	}{
		"before it was made":         {false, "", "old", journal.StatusFailed, journal.Failed, "the connection was lost while it was made: connection reset by peer"},
		"after it was made":          {true, "", "new", journal.StatusDone, journal.Approved, ""},
		"and then somebody wrote it": {true, "theirs", "theirs", journal.StatusFailed, journal.Unknown, "whether it was made is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, nil)
			d.plant("conf", "old")
			target := &losing{FileTarget: d.target, make: tt.made, after: func() {
				if tt.after != "" {
					d.plant("conf", tt.after)
				}
			}}
			l, err := d.Begin(t.Context(), approvals.Request{Identity: claude, Target: target, Script: "x", Args: []string{"-"}})
			if err != nil {
				t.Fatal(err)
			}
			s := d.sit(l)
			s.write("conf", "new")
			done := s.finish()
			s.waitHeld()
			s.approve()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			got := s.session()
			if got.Status != tt.ends || got.Operations[0].Decision != tt.is || !strings.Contains(got.Operations[0].Reason, tt.says) || !strings.Contains(got.Reason, tt.says) {
				t.Errorf("session %s (%s): %s (%s)", got.Status, got.Reason, operations(got), got.Operations[0].Reason)
			}
			notKnown := tt.is == journal.Unknown
			if strings.Contains(got.Reason, "was not made") && notKnown || strings.Contains(got.Reason, "is not known") != notKnown {
				t.Errorf("the reason says two things at once: %s", got.Reason)
			}
			for _, err := range got.Sound() {
				t.Error(err)
			}
			d.holds("conf", tt.want)
		})
	}
}

func TestAReplacedContentIsWhatWasShown(t *testing.T) {
	d := newDesk(t, nil)
	d.write("conf", "shown")
	done := d.finish()
	d.waitHeld()
	d.write("conf", "changed while the human reads")
	d.approve()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.holds("conf", "shown")
}

func TestScratchIsPlacedForOneCommandAndRemoved(t *testing.T) {
	d := newDesk(t, nil)
	scratch := filepath.Join(d.dir, "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.view.Mkdir(scratch+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	d.put(scratch+"/sub/data", "text")
	d.put(scratch+"/private", "secret")
	p, err := d.live.Start(t.Context(), command(io.Discard, "echo", "nothing of it"))
	mustRun(t, p, err)
	var out bytes.Buffer
	result := start(d.live, command(&out, "sh", "-c", "cat '"+scratch+"/sub/'*; ls -l "+scratch+"/sub; ls "+scratch+"/private"))
	d.waitHeld()
	s := d.session()
	var paths []string
	for _, f := range s.Operations[1].Command.Scratch {
		paths = append(paths, strings.TrimPrefix(string(f.Path), scratch))
	}
	if got := strings.Join(paths, " "); got != "/sub /sub/data /private" {
		t.Errorf("scratch: %s", got)
	}
	d.approve()
	r := <-result
	mustRun(t, r.process, r.err)
	if !strings.HasPrefix(out.String(), "text") || !strings.Contains(out.String(), "-rw-r--r--") {
		t.Errorf("output %q", out.String())
	}
	if err := <-d.finish(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(scratch)
	if err != nil || len(entries) != 0 {
		t.Errorf("left in scratch: %v, %v", entries, err)
	}
}

func TestOperationsLimitCountsChangesOfFiles(t *testing.T) {
	d := newDesk(t, func(c *approvals.Config) { c.Limits.Operations = 2 })
	for _, name := range []string{"a", "b", "c"} {
		d.write(name, "x")
	}
	var denial *journal.DenialError
	if err := d.live.Finish(t.Context(), 0); !errors.As(err, &denial) || !strings.Contains(err.Error(), "limits.operations") {
		t.Errorf("error %v", err)
	}
	if s := d.session(); len(s.Operations) != 0 {
		t.Errorf("operations: %s", operations(s))
	}
}

func TestDangerNeedsTheNameOfItsTarget(t *testing.T) {
	d := newDesk(t, nil)
	d.write(".profile", "x")
	events := d.Subscribe(t.Context())
	var out strings.Builder
	result := start(d.live, command(&out, "cat", d.at(".profile")))
	s := d.waiting(events, d.live.ID())
	if s.Operations[0].Risk != policy.Danger || s.Operations[1].Risk == policy.Danger || !s.Dangerous(1) || !s.Dangerous(2) {
		t.Fatalf("operations %+v", s.Operations)
	}
	for name, a := range map[string]decision.Approval{
		"all":                    {Waiting: s.WaitingDigest()},
		"the change":             {Waiting: s.WaitingDigest(), Ops: []int{1}},
		"the command after it":   {Waiting: s.WaitingDigest(), Ops: []int{2}},
		"the command by itself":  {Each: map[int]string{2: s.Operations[1].Digest}},
		"another target's name":  {Waiting: s.WaitingDigest(), Danger: []string{"prod", ""}},
		"the change on a screen": {Each: map[int]string{1: s.Operations[0].Digest}, Danger: []string{"Local"}},
	} {
		if _, err := d.Approve(t.Context(), s.ID, alice, a); !errors.Is(err, decision.ErrDanger) {
			t.Errorf("%s: %v, want ErrDanger", name, err)
		}
	}
	d.holds(".profile", "(nothing)")
	if _, err := d.Approve(t.Context(), s.ID, alice, decision.Approval{Waiting: s.WaitingDigest(), Danger: []string{"local"}}); err != nil {
		t.Fatal(err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
	if out.String() != "x" {
		t.Errorf("the command read %q", out.String())
	}
}
