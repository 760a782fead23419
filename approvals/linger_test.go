package approvals_test

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

// parkTwo parks a session in which two commands wait, the second of which is approved then. It returns the next run.
func (b *book) parkTwo(mark string) *gate.Live {
	b.tb.Helper()
	l, leave := b.attended()
	events := b.Subscribe(b.tb.Context())
	first := start(l, appendCommand(io.Discard, mark, "first"))
	b.waiting(events, l.ID())
	second := start(l, appendCommand(io.Discard, mark, "second"))
	for s, _ := b.Session(l.ID()); len(s.Operations) < 2; s, _ = b.Session(l.ID()) {
		<-events
	}
	leave()
	<-first
	<-second
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if _, err := b.approve(l.ID(), alice, 2); err != nil {
		b.tb.Fatal(err)
	}
	return b.resume(l.ID())
}

// An approval that a script does not come to must not start it again and again: each run would wait for the same other thing.
func TestSessionThatDoesNotComeToWhatWasApprovedIsNotStartedForEver(t *testing.T) {
	b, again := parking(t, t.TempDir(), nil)
	mark := filepath.Join(b.dir, "mark")
	l := b.parkTwo(mark)
	r := <-start(l, appendCommand(io.Discard, mark, "first")) // and it never comes to the second
	if !errors.Is(r.err, journal.ErrParked) {
		t.Fatalf("%v, want ErrParked", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	s, err := b.Session(l.ID())
	if err != nil || s.Status != journal.StatusParked || s.GoesOn {
		t.Fatalf("session %+v, %v", s, err)
	}
	if first, second := s.Operations[0].Decision, s.Operations[1].Decision; first != journal.Waiting || second != journal.Approved {
		t.Errorf("the operations are %s and %s", first, second)
	}
	select {
	case <-again:
		t.Error("it was started again for nothing new")
	default:
	}
	// The other decision is what starts it, and both run.
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	l = b.resume(l.ID())
	for _, word := range []string{"first", "second"} {
		r := <-start(l, appendCommand(io.Discard, mark, word))
		mustRun(t, r.process, r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
}

// Where the script comes to it in another thread, what was approved runs though the session waits for something else.
func TestWhatWasApprovedRunsBesideWhatWaits(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	mark := filepath.Join(b.dir, "mark")
	l := b.parkTwo(mark)
	events := b.Subscribe(t.Context())
	first := start(l, appendCommand(io.Discard, mark, "first"))
	b.waiting(events, l.ID())
	r := <-start(l, appendCommand(io.Discard, mark, "second"))
	mustRun(t, r.process, r.err)
	if r := <-first; !errors.Is(r.err, journal.ErrParked) {
		t.Errorf("what waits: %v", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
}
