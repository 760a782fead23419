package approvals_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/places"
)

// memory is a Store without files, for tests in a bubble.
type memory struct {
	mu  sync.Mutex
	all map[string]journal.Session
}

func (m *memory) Create(s journal.Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[s.ID] = s
	return nil
}

func (m *memory) Update(id string, change func(*journal.Session) error) (journal.Session, error) {
	all, err := m.UpdateAll([]string{id}, func(all []*journal.Session) error { return change(all[0]) })
	if err != nil {
		return journal.Session{}, err
	}
	return all[0], nil
}

func (m *memory) UpdateAll(ids []string, change func([]*journal.Session) error) (after []journal.Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var drafts []*journal.Session
	for _, id := range ids {
		s, ok := m.all[id]
		if !ok {
			return nil, journal.ErrNotFound
		}
		s.Operations = slices.Clone(s.Operations)
		drafts = append(drafts, &s)
	}
	if err := change(drafts); err != nil {
		return nil, err
	}
	for _, s := range drafts {
		m.all[s.ID] = *s
		after = append(after, *s)
	}
	return after, nil
}

func (m *memory) UpdateSoon(id string, change func(*journal.Session) error, done func(error)) {
	_, err := m.Update(id, change)
	done(err)
}

func (m *memory) Session(id string) (journal.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.all[id]
	if !ok {
		return s, journal.ErrNotFound
	}
	return s, nil
}

func (m *memory) Sessions(bool, func(*journal.Session) bool) ([]journal.Session, error) {
	return nil, nil
}
func (m *memory) Check() error { return nil }

func housed(t *testing.T, l gate.Limits) *book {
	t.Helper()
	b := &book{tb: t, target: newTarget(t), dir: t.TempDir()}
	b.again = make(chan *gate.Live, 8)
	b.config = approvals.Config{Store: &memory{all: map[string]journal.Session{}}, Judge: fixedJudge{}, Dir: t.TempDir(), Limits: l, Restart: rerun(t, b.again)}
	var err error
	if b.Manager, err = approvals.New(b.config); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *book) ask(ctx context.Context, who journal.Identity, script string, queued func(string)) (*gate.Live, error) {
	return b.Begin(ctx, approvals.Request{Identity: who, Target: b.target, Script: script, Queued: queued})
}

func end(l *gate.Live) { l.End(gate.Outcome{Status: journal.StatusDone}) }

// Many honest scripts at once, each as long as it likes, are all served, in order: the line moves.
func TestLongLineIsServedToItsEndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{SessionsPerIdentity: 8, Sessions: 64, Queue: 30 * time.Second})
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				l, err := b.ask(t.Context(), claude, "", nil)
				if err != nil {
					t.Errorf("script %d: %v", i, err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(20 * time.Second)
				end(l)
			})
			synctest.Wait()
		}
		all.Wait()
		for i := 0; i < len(order); i += 8 { // the eight of a moment begin in any order
			if turn := order[i:min(i+8, len(order))]; slices.Min(turn) != i {
				t.Fatalf("served %v where it was the turn of %d and those after it", turn, i)
			}
		}
	})
}

func TestWhoeverWaitsTooLongIsToldWhatIsInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{SessionsPerIdentity: 2, Queue: 30 * time.Second})
		first, err := b.ask(t.Context(), claude, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		second, err := b.ask(t.Context(), claude, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		events := b.Subscribe(t.Context())
		held := start(second, command(nil, "true"))
		b.waiting(events, second.ID())
		var said []string
		began := time.Now()
		_, err = b.ask(t.Context(), claude, "", func(why string) { said = append(said, why) })
		var busy *places.Busy
		if !errors.As(err, &busy) || !errors.Is(err, journal.ErrTooMany) || time.Since(began) != 30*time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		if !slices.Equal(busy.InWay, []string{second.ID(), first.ID()}) || !strings.Contains(err.Error(), "you have 2 alive") || !strings.Contains(err.Error(), "limits.queue") {
			t.Errorf("%v; in the way %v, want the held %s and then %s", err, busy.InWay, second.ID(), first.ID())
		}
		if len(said) != 1 || !strings.Contains(said[0], "waits for a place: you have 2 alive") {
			t.Errorf("it was told %q", said)
		}
		second.End(gate.Outcome{Status: journal.StatusCancelled})
		<-held
		end(first)
	})
}

func TestPlaceIsTakenBackFromWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{SessionsPerIdentity: 1, Queue: time.Hour})
		l, err := b.ask(t.Context(), claude, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := b.ask(ctx, claude, "", nil)
			gone <- err
		}()
		synctest.Wait()
		next := make(chan *gate.Live, 1)
		go func() {
			l, _ := b.ask(t.Context(), claude, "", nil)
			next <- l
		}()
		synctest.Wait()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		end(l)
		if l := <-next; l == nil {
			t.Error("the next one got no place")
		} else {
			end(l)
		}
	})
}

// One identity that fills the house and its line does not keep another one out.
func TestIdentityWithTheFewestSessionsIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{Sessions: 4, Queue: time.Hour})
		var house []*gate.Live
		for range 4 {
			l, err := b.ask(t.Context(), claude, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			house = append(house, l)
		}
		served := make(chan *gate.Live, 20)
		names := make(chan string, 20)
		for i := range 12 {
			who := claude
			if i == 11 {
				who = bob
			}
			go func() {
				if l, err := b.ask(t.Context(), who, "", nil); err == nil {
					names <- who.Name
					served <- l
				}
			}()
			synctest.Wait()
		}
		end(house[0])
		if name := <-names; name != bob.Name {
			t.Errorf("%s was served first", name)
		}
		end(<-served)
		for range 11 {
			end(<-served)
		}
		for _, l := range house[1:] {
			end(l)
		}
	})
}

func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{SessionsPerIdentity: 1, Queue: time.Hour})
		l, err := b.ask(t.Context(), claude, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		for range 256 {
			go func() { _, _ = b.ask(ctx, claude, "", nil) }()
		}
		synctest.Wait()
		if _, err := b.ask(ctx, claude, "", nil); !errors.Is(err, journal.ErrTooMany) || !strings.Contains(err.Error(), "256 of yours wait") {
			t.Errorf("one more: %v", err)
		}
		leave()
		synctest.Wait()
		large, ctx2 := strings.Repeat("#", 9<<20), t.Context()
		wait := make(chan error, 1)
		go func() {
			l, err := b.ask(ctx2, claude, large, nil)
			if err == nil {
				end(l)
			}
			wait <- err
		}()
		synctest.Wait()
		if _, err := b.ask(ctx2, claude, large, nil); !errors.Is(err, journal.ErrTooMany) {
			t.Errorf("more bytes than may wait: %v", err)
		}
		end(l)
		if err := <-wait; err != nil {
			t.Error(err)
		}
	})
}

// parkOne leaves a parked session behind.
func (b *book) parkOne(events <-chan events.Event) string {
	b.tb.Helper()
	l, leave := b.attended()
	result := start(l, command(nil, "true"))
	b.waiting(events, l.ID())
	leave()
	<-result
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	return l.ID()
}

// An approval is not lost because the house is full: the session goes on as soon as there is a place, before all others,
// and does not expire meanwhile.
func TestApprovedSessionGetsTheNextPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{Sessions: 2, SessionsPerIdentity: 2, Queue: time.Second, Expire: time.Minute})
		events := b.Subscribe(t.Context())
		id := b.parkOne(events)
		var house []*gate.Live
		for _, who := range []journal.Identity{claude, bob} {
			l, err := b.ask(t.Context(), who, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			house = append(house, l)
		}
		other := make(chan error, 1)
		go func() {
			_, err := b.ask(t.Context(), alice, "", nil)
			other <- err
		}()
		synctest.Wait()
		if _, err := b.approve(id, alice); err != nil {
			t.Fatal(err)
		}
		if err := <-other; !errors.Is(err, journal.ErrTooMany) {
			t.Errorf("a new session in a full house: %v", err)
		}
		time.Sleep(time.Hour)
		b.ExpireParked()
		end(house[0])
		l := b.resume(id)
		if s, _ := b.Session(id); s.Status != journal.StatusRunning {
			t.Fatalf("the approved session is %s", s.Status)
		}
		end(l)
		end(house[1])
	})
}

// What a human has approved does not wait for scripts of the same agent that wait for humans themselves.
func TestApprovedSessionDoesNotWaitForItsAgentsHeldOnes(t *testing.T) {
	b := housed(t, gate.Limits{SessionsPerIdentity: 1})
	id := b.parkOne(b.Subscribe(t.Context()))
	held := b.begin()
	if _, err := b.approve(id, alice); err != nil {
		t.Fatal(err)
	}
	l := b.resume(id)
	if _, err := b.ask(t.Context(), claude, "", nil); !errors.Is(err, journal.ErrTooMany) {
		t.Errorf("a new session beside them: %v", err)
	}
	end(l)
	end(held)
}

func TestCancelledSessionLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{Sessions: 1, Queue: time.Second})
		id := b.parkOne(b.Subscribe(t.Context()))
		l := b.begin()
		if _, err := b.approve(id, alice); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s, err := b.Cancel(t.Context(), id, claude); err != nil || s.Operations[0].Decision != journal.Cancelled {
			t.Fatalf("%+v, %v", s, err)
		}
		end(l)
		synctest.Wait()
		if len(b.again) > 0 {
			t.Error("it started in spite of that")
		}
	})
}

func TestShutdownEmptiesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{Sessions: 1, Queue: time.Hour})
		l := b.begin()
		waits := make(chan error, 1)
		go func() {
			_, err := b.ask(t.Context(), claude, "", nil)
			waits <- err
		}()
		synctest.Wait()
		go func() {
			<-l.Context().Done()
			end(l)
		}()
		if err := b.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-waits; !errors.Is(err, journal.ErrShutdown) {
			t.Errorf("%v, want ErrShutdown", err)
		}
	})
}

func TestTooManyThatWaitForHumansAreRefusedWithTheirNames(t *testing.T) {
	b := housed(t, gate.Limits{SessionsPerIdentity: 1, Queue: time.Hour})
	events := b.Subscribe(t.Context())
	for range 8 {
		b.parkOne(events)
	}
	_, err := b.ask(t.Context(), claude, "", nil)
	var busy *places.Busy
	if !errors.As(err, &busy) || len(busy.InWay) == 0 || !strings.Contains(err.Error(), fmt.Sprintf("%d of yours wait for a human", 8)) {
		t.Errorf("%v, %+v", err, busy)
	}
}

// Who has used up their share begins nothing and records nothing more; what a human has approved already runs.
func TestNothingIsRecordedBeyondAnIdentitysShare(t *testing.T) {
	var full atomic.Bool
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) {
		c.Share = func(identity string) error {
			if full.Load() && identity == claude.Name {
				return errors.New("so many bytes are kept")
			}
			return nil
		}
	})
	events := b.Subscribe(t.Context())
	id := b.parkOne(events)
	l := b.begin()
	full.Store(true)
	if _, err := l.Start(t.Context(), command(nil, "echo")); !errors.Is(err, journal.ErrTooMany) || !strings.Contains(err.Error(), "so many bytes") {
		t.Errorf("an operation: %v", err)
	}
	if s, _ := b.Session(l.ID()); len(s.Operations) != 0 {
		t.Errorf("operations %+v", s.Operations)
	}
	end(l)
	if _, err := b.ask(t.Context(), claude, "", nil); !errors.Is(err, journal.ErrTooMany) {
		t.Errorf("a session: %v", err)
	}
	if l, err := b.ask(t.Context(), bob, "", nil); err != nil {
		t.Errorf("another identity: %v", err)
	} else {
		end(l)
	}
	if _, err := b.approve(id, alice); err != nil {
		t.Fatal(err)
	}
	l = b.resume(id)
	r := <-start(l, command(nil, "true"))
	mustRun(t, r.process, r.err)
	end(l)
}
