package approvals_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/scope"
)

var errGone = errors.New("the target is gone")

// broken is a gateway of a book's on which no session can go on.
func (b *book) broken() *book {
	b.tb.Helper()
	n := *b
	n.config.Restart = func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		return lifecycle.Rerun{}, errGone
	}
	return n.next()
}

// parkAppending parks a session that wants to append to a file.
func (b *book) parkAppending(mark string) string {
	b.tb.Helper()
	l, leave := b.attended()
	feed := b.Subscribe(b.tb.Context())
	result := start(l, appendCommand(io.Discard, mark, "ran"))
	b.waiting(feed, l.ID())
	leave()
	if r := <-result; !errors.Is(r.err, journal.ErrParked) {
		b.tb.Fatalf("%v, want ErrParked", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	return l.ID()
}

// waits checks that the operation of a parked session waits.
func (b *book) waits(id string) journal.Operation {
	b.tb.Helper()
	s, err := b.Session(id)
	if err != nil || s.Status != journal.StatusParked || s.GoesOn || s.Operations[0].Decision != journal.Waiting || s.Operations[0].By != "" {
		b.tb.Errorf("session %+v, %v; want one that waits", s, err)
		return journal.Operation{}
	}
	return s.Operations[0]
}

func TestApprovalThatCannotBeCarriedOutIsNone(t *testing.T) {
	b, again := parking(t, t.TempDir(), nil)
	mark := filepath.Join(b.dir, "mark")
	id := b.parkAppending(mark)
	broken := b.broken()
	for name, approve := range map[string]func() error{
		"one": func() error { _, err := broken.approve(id, alice); return err },
		"a group": func() error {
			s, err := broken.Session(id)
			if err == nil {
				_, err = broken.ApproveGroup(t.Context(), []journal.Session{s}, alice, decision.Approval{Waiting: journal.WaitingDigestOf([]journal.Session{s})})
			}
			return err
		},
	} {
		if err := approve(); !errors.Is(err, lifecycle.ErrUnable) || !strings.Contains(err.Error(), errGone.Error()) {
			t.Errorf("%s: %v, want ErrUnable", name, err)
		}
		b.waits(id)
	}
	// Another set than the one that was shown is told first.
	if _, err := broken.Approve(t.Context(), id, alice, decision.Approval{Waiting: strings.Repeat("0", 64)}); !errors.Is(err, decision.ErrDigest) {
		t.Errorf("%v, want ErrDigest", err)
	}
	// The target comes back with a later gateway: nothing runs until somebody approves it.
	last := b.next()
	last.waits(id)
	if _, err := last.approve(id, bob); err != nil {
		t.Fatal(err)
	}
	l := last.resume(id)
	r := <-start(l, appendCommand(io.Discard, mark, "ran"))
	mustRun(t, r.process, r.err)
	l.End(gate.Outcome{Status: journal.StatusDone})
	if text, _ := os.ReadFile(mark); string(text) != "ran\n" || len(again) != 0 {
		t.Errorf("the file holds %q", text)
	}
}

func TestGrantIsNotMadeOfWhatCannotBeCarriedOut(t *testing.T) {
	g := newGranting(t, t.TempDir())
	g.config.Restart = func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		return lifecycle.Rerun{}, errGone
	}
	b := g.next()
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	if _, _, err := b.ApproveGranting(t.Context(), id, alice, 1, shown(t, b.Manager, id), exactly); !errors.Is(err, lifecycle.ErrUnable) {
		t.Errorf("%v, want ErrUnable", err)
	}
	if list := b.Grants(true); len(list) != 0 {
		t.Errorf("grants were made: %v", list)
	}
	b.waits(id)
}

// killAfterApproval leaves a journal behind in which a parked session was approved, by a gateway that was killed then.
func (b *book) killAfterApproval(mark string) string {
	b.tb.Helper()
	id := b.parkAppending(mark)
	killed := *b
	killed.config.Restart = func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		return lifecycle.Rerun{Target: b.target, Start: func(*gate.Live) {}}, nil
	}
	if _, err := killed.next().approve(id, alice); err != nil {
		b.tb.Fatal(err)
	}
	return id
}

func TestApprovalThatCannotGoOnAfterACrashWaitsAgain(t *testing.T) {
	b, again := parking(t, t.TempDir(), nil)
	id := b.killAfterApproval(filepath.Join(b.dir, "mark"))
	looked := make(chan struct{})
	n := *b
	n.config.Restart = func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		<-looked
		return lifecycle.Rerun{}, errGone
	}
	broken := n.next()
	feed := broken.Subscribe(t.Context())
	close(looked)
	broken.waiting(feed, id)
	if o := broken.waits(id); !strings.Contains(o.Reason, "approved by alice") || !strings.Contains(o.Reason, errGone.Error()) {
		t.Errorf("reason %q", o.Reason)
	}
	b.next().waits(id)
	if len(again) != 0 {
		t.Error("it started")
	}
}

// What an approval was left lying for, by a gateway that took it without starting anything, does not run one day.
func TestApprovalThatWasLeftLyingIsTakenBack(t *testing.T) {
	now := time.Now()
	b, again := parking(t, t.TempDir(), func(c *approvals.Config) {
		c.Limits.Expire = time.Hour
		c.Now = func() time.Time { return now }
	})
	old := b.parkAppending(filepath.Join(b.dir, "mark"))
	_, err := b.config.Store.Update(old, func(s *journal.Session) error {
		o := &s.Operations[0]
		o.Decision, o.By, o.ByKey, o.Decided = journal.Approved, "alice", "SHA256:alice", now
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.next().waits(old)
	// Neither does one that is older than a parked session may become.
	late := b.killAfterApproval(filepath.Join(b.dir, "mark"))
	now = now.Add(time.Hour + time.Second)
	if o := b.next().waits(late); !strings.Contains(o.Reason, "limits.expire") {
		t.Errorf("reason %q", o.Reason)
	}
	if len(again) != 0 {
		t.Error("one of them started")
	}
}

func TestRejectionOfWhatCannotGoOnEndsIt(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	broken := b.broken()
	feed := broken.Subscribe(t.Context())
	if _, err := broken.Reject(t.Context(), id, alice, nil, "not today"); err != nil {
		t.Fatal(err)
	}
	for e := range feed {
		if e.Kind == events.Ended {
			break
		}
	}
	s, err := broken.Session(id)
	if err != nil || s.Status != journal.StatusRejected || s.Reason != "not today" || *s.ExitCode != journal.ExitNotPermitted {
		t.Errorf("session %+v, %v", s, err)
	}
}

// Approved in the moment in which its script is about to end: the approval waits for that, and the session goes on.
func TestApprovalWaitsForTheScriptThatIsParked(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	l, leave := b.attended()
	feed := b.Subscribe(t.Context())
	result := start(l, command(io.Discard, "true"))
	b.waiting(feed, l.ID())
	leave()
	<-result
	approved := make(chan error, 1)
	go func() {
		_, err := b.approve(l.ID(), alice)
		approved <- err
	}()
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if err := <-approved; err != nil {
		t.Fatal(err)
	}
	b.resume(l.ID())
}

// Whoever waits for a session that has just been approved sees it run.
func TestApprovedSessionIsSeenToGoOn(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	if _, err := b.approve(id, alice); err != nil {
		t.Fatal(err)
	}
	seen := errors.New("seen")
	_, err := b.Follow(t.Context(), id, func(c output.Chunk) error {
		if c.Status != journal.StatusRunning {
			t.Errorf("it is %s", c.Status)
		}
		return seen
	})
	if !errors.Is(err, seen) {
		t.Error(err)
	}
}

// A session that was approved while the house is full can go on no more once there is a place: it waits for a human again.
func TestWhatCannotGoOnOnceThereIsAPlaceWaitsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := housed(t, gate.Limits{Sessions: 1, Queue: time.Second})
		gone := false
		restart := b.config.Restart
		b.config.Restart = func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error) {
			if gone {
				return lifecycle.Rerun{}, errGone
			}
			return restart(ctx, s, patient)
		}
		b = b.next()
		id := b.parkOne(b.Subscribe(t.Context()))
		l := b.begin()
		if s, err := b.approve(id, alice); err != nil || s.Status != journal.StatusParked || !s.GoesOn {
			t.Fatalf("%+v, %v", s, err)
		}
		synctest.Wait()
		gone = true
		end(l)
		synctest.Wait()
		b.waits(id)
	})
}

// stopDuring makes the gateway stop in the middle of the transaction of the next decision.
func stopDuring(c *approvals.Config) (arm func(*approvals.Manager)) {
	var stopping *approvals.Manager
	c.Standing = func(name, _ string) (scope.Standing, bool) {
		if m := stopping; m != nil && name == claude.Name {
			stopping = nil
			_ = m.Shutdown(context.Background())
		}
		role := map[string]journal.Role{claude.Name: journal.Agent, watcher.Name: journal.Admin}[name]
		if role == "" {
			role = journal.Approver
		}
		return scope.Standing{Role: role, Targets: []string{"local"}, Everywhere: true}, true
	}
	return func(m *approvals.Manager) { stopping = m }
}

func TestApprovalWhileTheGatewayStopsIsNone(t *testing.T) {
	var arm func(*approvals.Manager)
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) { arm = stopDuring(c) })
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	stopped := *b
	looked := 0
	restart := b.config.Restart
	stopped.config.Restart = func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error) {
		looked++
		arm(stopped.Manager) // what is prepared was found in order
		return restart(ctx, s, patient)
	}
	n := stopped.next()
	stopped.Manager = n.Manager
	if _, err := n.approve(id, alice); !errors.Is(err, lifecycle.ErrUnable) || looked == 0 {
		t.Errorf("%v after %d looks, want ErrUnable", err, looked)
	}
	n.waits(id)
	b.next().waits(id)
}

func TestApprovalOfWhatCannotBeMadeAliveIsNone(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	inWay := filepath.Join(b.config.Dir, id+".out")
	if err := os.RemoveAll(inWay); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(inWay, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := b.approve(id, alice); !errors.Is(err, lifecycle.ErrUnable) {
		t.Errorf("%v, want ErrUnable", err)
	}
	b.waits(id)
	if _, _, parked := b.Counts(watcher); parked != 1 {
		t.Errorf("%d parked, want 1", parked)
	}
	if err := os.RemoveAll(inWay); err != nil {
		t.Fatal(err)
	}
	if _, err := b.approve(id, alice); err != nil {
		t.Fatal(err)
	}
	b.resume(id).End(gate.Outcome{Status: journal.StatusDone})
}

// slowStore lets updates of one session wait.
type slowStore struct {
	approvals.Store
	wait atomic.Pointer[chan struct{}]
}

func (s *slowStore) Update(id string, change func(*journal.Session) error) (journal.Session, error) {
	if wait := s.wait.Load(); wait != nil {
		<-*wait
	}
	return s.Store.Update(id, change)
}

func TestApprovalInTheLastMomentOfAGatewayGoesOnWithTheNext(t *testing.T) {
	slow := &slowStore{}
	b, _ := parking(t, t.TempDir(), func(c *approvals.Config) {
		slow.Store = c.Store
		c.Store = slow
	})
	mark := filepath.Join(b.dir, "mark")
	feed := b.Subscribe(t.Context())
	l := b.begin()
	result := start(l, appendCommand(io.Discard, mark, "ran"))
	b.waiting(feed, l.ID())
	wait := make(chan struct{})
	slow.wait.Store(&wait)
	if _, err := b.approve(l.ID(), alice); err != nil {
		t.Fatal(err)
	}
	l.Stop(journal.ErrShutdown)
	close(wait)
	if r := <-result; !errors.Is(r.err, journal.ErrShutdown) {
		t.Fatalf("%v, want ErrShutdown", r.err)
	}
	_ = b.Shutdown(shortly(t))
	l.End(gate.Outcome{Status: journal.StatusFailed, ExitCode: journal.ExitFault})
	if s, err := b.Session(l.ID()); err != nil || s.Status != journal.StatusParked || !s.GoesOn {
		t.Fatalf("session is %s, goes on: %v, %v", s.Status, s.GoesOn, err)
	}
	again := b.next().resume(l.ID())
	r := <-start(again, appendCommand(io.Discard, mark, "ran"))
	mustRun(t, r.process, r.err)
	again.End(gate.Outcome{Status: journal.StatusDone})
	if text, _ := os.ReadFile(mark); string(text) != "ran\n" {
		t.Errorf("the file holds %q", text)
	}
}

// shortly is a context that has ended.
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestShutdownWaitsForASessionThatIsAboutToGoOn(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	id := b.parkAppending(filepath.Join(b.dir, "mark"))
	asked, answer := make(chan struct{}), make(chan struct{})
	n := *b
	n.config.Restart = func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
		close(asked)
		<-answer
		return lifecycle.Rerun{}, errGone
	}
	g := n.next()
	if _, err := g.Reject(t.Context(), id, alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	<-asked
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Shutdown(late); !errors.Is(err, context.Canceled) {
		t.Errorf("it has stopped while a session was about to go on: %v", err)
	}
	close(answer)
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSubscriptionsEndWithTheGateway(t *testing.T) {
	b, _ := parking(t, t.TempDir(), nil)
	before := b.Subscribe(t.Context())
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, feed := range []<-chan events.Event{before, b.Subscribe(t.Context())} {
		for range feed { // until it is closed
		}
	}
}
