package gate

import (
	"context"
	"errors"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
)

// answering is a store that answers each change of a session as a test says.
type answering struct {
	Store
	update func(change func(*journal.Session) error) error
}

func (a *answering) Update(_ string, change func(*journal.Session) error) (journal.Session, error) {
	return journal.Session{}, a.update(change)
}

// While it is found out that a session does not wait, it begins to wait for something else: it is looked at once more.
func TestASessionThatBeginsToWaitAsItIsLookedAtIsParked(t *testing.T) {
	store := &answering{}
	ctx, cancel := context.WithCancelCause(t.Context())
	of := New(Config{Store: store, Restarts: true, Rules: func() *Rules { return &Rules{} }, Now: time.Now})
	p := &presence{execution: &execution{of: of, id: "abc", ctx: ctx, cancel: cancel}, alone: true, holds: 1}
	looked := 0
	store.update = func(func(*journal.Session) error) error {
		if looked++; looked > 1 {
			return nil
		}
		p.ParkAlone() // as who holds the session from now on does
		return journal.ErrNotWaiting
	}
	p.ParkAlone()
	if looked != 2 || !p.parked || p.parking != nil {
		t.Errorf("looked at %d times, parked %v", looked, p.parked)
	}
}

// A client comes back as its session, which cannot be started again, is about to be cancelled for want of one.
func TestASessionIsNotCancelledOnceAClientWaitsAgain(t *testing.T) {
	store := &answering{}
	ctx, cancel := context.WithCancelCause(t.Context())
	of := New(Config{Store: store, Restarts: true, Rules: func() *Rules { return &Rules{} }, Now: time.Now})
	p := &presence{execution: &execution{of: of, id: "abc", ctx: ctx, cancel: cancel, interactive: true}, alone: true, holds: 1}
	store.update = func(change func(*journal.Session) error) error {
		p.Attended(true)
		s := journal.Session{Status: journal.StatusHeld, Operations: []journal.Operation{{N: 1, Decision: journal.Waiting}}}
		if !s.Waits() {
			t.Error("nothing waits in it")
		}
		err := change(&s)
		if !errors.Is(err, journal.ErrNotWaiting) {
			t.Errorf("%v, it is %s", err, s.Status)
		}
		return err
	}
	p.ParkAlone()
	if ctx.Err() != nil {
		t.Errorf("it ends: %v", context.Cause(ctx))
	}
}
