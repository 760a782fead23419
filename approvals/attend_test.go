package approvals_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

// attended is a session of which a client waits, until leave.
func (b *book) attended() (l *gate.Live, leave func()) {
	b.tb.Helper()
	l = b.begin()
	return l, b.Attend(context.Background(), l.ID())
}

// An agent's tool gives up again and again: each call's place is free once its client has left.
func TestAbandonedSessionsKeepNoPlace(t *testing.T) {
	dir := t.TempDir()
	b, _ := parking(t, dir, func(c *approvals.Config) {
		c.Limits = gate.Limits{Hold: time.Hour, SessionsPerIdentity: 2}
	})
	mark := filepath.Join(dir, "mark")
	events := b.Subscribe(t.Context())
	var last string
	for range 5 {
		l, leave := b.attended()
		result := start(l, appendCommand(io.Discard, mark, "ran"))
		b.waiting(events, l.ID())
		leave()
		if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked {
			t.Fatalf("after its client has left it is %s", s.Status)
		}
		if r := <-result; !errors.Is(r.err, journal.ErrParked) {
			t.Fatalf("its command: %v", r.err)
		}
		l.End(gate.Outcome{Status: journal.StatusCancelled})
		last = l.ID()
	}
	if _, err := b.approve(last, alice); err != nil {
		t.Fatal(err)
	}
	l := b.resume(last)
	r := <-start(l, appendCommand(io.Discard, mark, "ran"))
	mustRun(t, r.process, r.err)
	l.End(gate.Outcome{Status: journal.StatusDone})
	if text, _ := os.ReadFile(mark); string(text) != "ran\n" {
		t.Errorf("the file holds %q", text)
	}
}

func TestSessionThatAnyClientWaitsForStaysHeld(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	events := b.Subscribe(t.Context())
	l, leave := b.attended()
	result := start(l, command(io.Discard, "true"))
	b.waiting(events, l.ID())
	ctx, second := context.WithCancel(context.Background())
	leaveSecond := b.Attend(ctx, l.ID())
	leave()
	leave() // once more is nothing
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusHeld {
		t.Fatalf("while one waits it is %s", s.Status)
	}
	second()
	leaveSecond()
	if r := <-result; !errors.Is(r.err, journal.ErrParked) {
		t.Errorf("its command: %v", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
}

func TestRunningSessionWithoutAClientIsParkedOnceItWaits(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	l, leave := b.attended()
	leave()
	var out bytes.Buffer
	p, err := l.Start(t.Context(), command(&out, "echo", "goes on"))
	if mustRun(t, p, err); out.String() != "goes on\n" {
		t.Errorf("output %q", out.String())
	}
	if r := <-start(l, command(io.Discard, "true")); !errors.Is(r.err, journal.ErrParked) {
		t.Errorf("a command that waits: %v", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked {
		t.Errorf("session is %s", s.Status)
	}
}

// What runs is not killed because somebody has left, and is not run a second time.
func TestParkingWaitsForWhatRuns(t *testing.T) {
	dir := t.TempDir()
	b, again := parking(t, dir, nil)
	fifo, mark := filepath.Join(dir, "fifo"), filepath.Join(dir, "mark")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	long := func(out io.Writer) gate.Start {
		return command(out, "sh", "-c", "read x < "+fifo+"; echo $x >> "+mark+"; echo $x")
	}
	events := b.Subscribe(t.Context())
	l, leave := b.attended()
	first := start(l, long(io.Discard))
	b.waiting(events, l.ID())
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	r := <-first
	if r.err != nil {
		t.Fatal(r.err)
	}
	second := start(l, appendCommand(io.Discard, mark, "second"))
	b.waiting(events, l.ID())
	leave()
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusHeld {
		t.Fatalf("while a command runs it is %s", s.Status)
	}
	if err := os.WriteFile(fifo, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := mustRun(t, r.process, nil); exit.Code != 0 || exit.Signal != 0 {
		t.Errorf("the command that ran: %+v", exit)
	}
	if r := <-second; !errors.Is(r.err, journal.ErrParked) {
		t.Fatalf("the one that waited: %v", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	s, _ := b.Session(l.ID())
	if s.Status != journal.StatusParked || s.Operations[0].Decision != journal.Approved || *s.Operations[0].ExitCode != 0 {
		t.Fatalf("session %+v", s)
	}
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	l = <-again
	var out bytes.Buffer
	for _, c := range []gate.Start{long(&out), appendCommand(&out, mark, "second")} {
		r := <-start(l, c)
		mustRun(t, r.process, r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	if text, _ := os.ReadFile(mark); string(text) != "first\nsecond\n" || out.String() != "first\ndid second\n" {
		t.Errorf("the file holds %q, the script saw %q", text, out.String())
	}
}

// A session that cannot be started again ends with its last client: nobody could ever bring it back.
func TestSessionThatCannotBeStartedAgainEndsWithItsClient(t *testing.T) {
	for name, sent := range map[string]bool{"what a client has sent": true, "a terminal": false} {
		b, _ := parking(t, t.TempDir(), nil)
		events := b.Subscribe(t.Context())
		l, err := b.Begin(t.Context(), approvals.Request{Identity: claude, Target: b.target, Interactive: !sent})
		if err != nil {
			t.Fatal(err)
		}
		leave := b.Attend(t.Context(), l.ID())
		if sent {
			l.SetSent(func() bool { return true })
		}
		result := start(l, command(io.Discard, "true"))
		b.waiting(events, l.ID())
		leave()
		if r := <-result; !errors.Is(r.err, journal.ErrCancelled) {
			t.Errorf("%s: %v", name, r.err)
		}
		if s, _ := b.Session(l.ID()); s.Operations[0].Decision != journal.Cancelled {
			t.Errorf("%s: operation %+v", name, s.Operations[0])
		}
		l.End(gate.Outcome{Status: journal.StatusCancelled})
	}
}

// A stream of which nothing came is an empty one when the session goes on.
func TestStreamOfWhichNothingCameDoesNotStandInTheWayOfParking(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	events := b.Subscribe(t.Context())
	l, leave := b.attended()
	l.SetSent(func() bool { return false })
	result := start(l, command(io.Discard, "true"))
	b.waiting(events, l.ID())
	leave()
	<-result
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if s, _ := b.Session(l.ID()); s.Status != journal.StatusParked || !s.NothingSent {
		t.Errorf("session %+v", s)
	}
}

func TestPatienceIsForHumansAndNotForAPlace(t *testing.T) {
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Sessions, c.Limits.Queue = 1, time.Hour })
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	none := func() <-chan time.Time {
		over := make(chan time.Time, 1)
		over <- time.Now()
		return over
	}
	if s, err := b.Unparked(t.Context(), watcher, id, none()); err != nil || s.Status != journal.StatusParked {
		t.Fatalf("session is %s, %v; want one that waits for a human", s.Status, err)
	}
	inWay := b.begin()
	if _, err := b.approve(id, alice); err != nil {
		t.Fatal(err)
	}
	status := make(chan journal.Status, 1)
	go func() {
		s, err := b.Unparked(t.Context(), watcher, id, none())
		if err != nil {
			t.Error(err)
		}
		status <- s.Status
	}()
	select {
	case s := <-status: // it may also come later than this look; then it is seen below
		t.Errorf("the wait has ended while the session is %s", s)
		status <- s
	default:
	}
	inWay.End(gate.Outcome{Status: journal.StatusDone})
	l := b.resume(id)
	if s := <-status; s == journal.StatusParked {
		t.Error("the wait for a session that goes on has ended while it was parked")
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
}

func TestNobodyWaitsForADecisionOnAGatewayThatStops(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	left := make(chan error, 1)
	go func() {
		_, err := b.Unparked(t.Context(), watcher, id, nil)
		left <- err
	}()
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-left; err != nil {
		t.Error(err)
	}
}

// One connection of an agent breaks as the next one comes: whichever is noticed first, somebody waits.
func TestAClientThatComesAsAnotherLeavesIsNotForgotten(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	for range 20 {
		l, leave := b.attended()
		for range 2000 {
			var next func()
			both, ready := sync.WaitGroup{}, make(chan struct{})
			both.Go(func() { <-ready; leave() })
			both.Go(func() { <-ready; next = b.Attend(context.Background(), l.ID()) })
			close(ready)
			both.Wait()
			if leave = next; l.Alone() {
				t.Fatal("nobody is said to wait for a session that a client waits for")
			}
		}
		l.End(gate.Outcome{Status: journal.StatusDone})
		leave()
	}
}
