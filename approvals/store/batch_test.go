package store

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// hold keeps the writer from its next transaction until release, so that what comes meanwhile shares one.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	go func() { _ = s.between(func() error { close(held); <-free; return nil }) }()
	<-held
	return func() { close(free) }
}

func TestChangesAtTheSameTimeShareATransactionAndFailAlone(t *testing.T) {
	s, name := openTest(t)
	for i := range 8 {
		if err := s.Create(journal.Session{ID: fmt.Sprint(i), Status: journal.StatusRunning}); err != nil {
			t.Fatal(err)
		}
	}
	own := errors.New("my own")
	var all sync.WaitGroup
	errs := make([]error, 8)
	release := hold(t, s)
	for i := range errs {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
			}()
			_, errs[i] = s.Update(fmt.Sprint(i), func(session *journal.Session) error {
				session.Name = "changed"
				switch i {
				case 1:
					return own
				case 2:
					panic("mine")
				case 3:
					session.Operations = append(session.Operations, journal.Operation{N: 7})
				case 4:
					session.ID = strings.Repeat("x", bbolt.MaxKeySize+1)
				}
				return nil
			})
		})
	}
	release()
	all.Wait()
	for i, err := range errs {
		bad := i >= 1 && i <= 4
		if (err != nil) != bad {
			t.Errorf("change %d: %v", i, err)
		}
		if got, err := s.Session(fmt.Sprint(i)); err != nil || (got.Name == "changed") == bad {
			t.Errorf("session %d after it: name %q, %v", i, got.Name, err)
		}
	}
	if !errors.Is(errs[1], own) || errors.Is(errs[1], journal.ErrStore) || !strings.Contains(fmt.Sprint(errs[2]), "mine") {
		t.Errorf("%v", errs)
	}
	_ = s.Close()
	if s, _ = Open(name, Options{}); s == nil {
		t.Fatal("cannot open it again")
	}
	defer func() { _ = s.Close() }()
	if got, err := s.Session("0"); err != nil || got.Name != "changed" {
		t.Errorf("after reopening: %+v, %v", got, err)
	}
}

// A transaction that fails as a whole, here for a key that bbolt does not take, is done again change by change.
func TestFailedTransactionFailsOnlyItsCause(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "good", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var bad, good error
	calls := 0
	release := hold(t, s)
	all.Go(func() { bad = s.Create(journal.Session{ID: strings.Repeat("x", bbolt.MaxKeySize+1)}) })
	all.Go(func() {
		_, good = s.Update("good", func(s *journal.Session) error {
			calls++
			s.Operations = append(s.Operations, journal.Operation{N: len(s.Operations) + 1})
			return nil
		})
	})
	release()
	all.Wait()
	if !errors.Is(bad, journal.ErrStore) || good != nil {
		t.Errorf("bad: %v, good: %v", bad, good)
	}
	if got, err := s.Session("good"); err != nil || len(got.Operations) != 1 {
		t.Errorf("%d operations after %d calls, %v", len(got.Operations), calls, err)
	}
}

func TestChangesOfOneSessionFollowEachOther(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 8 {
				if _, err := s.Update("a", func(s *journal.Session) error {
					s.Operations = append(s.Operations, journal.Operation{N: len(s.Operations) + 1})
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := s.Session("a")
	if err != nil || len(got.Operations) != 128 {
		t.Fatalf("%d operations, %v", len(got.Operations), err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(journal.Session{ID: "a"}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("create: %v", err)
	}
	if err := s.Check(); !errors.Is(err, journal.ErrStore) {
		t.Errorf("check: %v", err)
	}
}

// journalled is an operation as large as they usually are.
func journalled(n int) journal.Operation {
	env := make(journal.Strings, 20)
	for i := range env {
		env[i] = fmt.Sprintf("VARIABLE_%d=/usr/local/share/something/%d", i, i)
	}
	c := &journal.Command{Target: "local", RunAs: "ops", Path: "/usr/bin/df", Argv: journal.Strings{"df", "-h", "/"}, Dir: "/root", Env: env, Input: "none"}
	return journal.Operation{N: n, Kind: journal.CommandKind, Summary: "df -h /", Verdict: policy.Ask, Risk: policy.Unknown, Decision: journal.Waiting, Digest: c.Digest(), Command: c, Created: time.Now()}
}

// openAudit makes an audit log in a temporary directory.
func openAudit(tb testing.TB) *audit.Log {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	redact, err := audit.NewRedactor(nil)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := audit.Open(audit.Options{Dir: tb.TempDir(), Signer: signer, Redact: redact})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// BenchmarkJournalledOperations has 64 sessions journal operations, each durable before the next: with the store's
// shared transactions, the same with an audit log, and with one transaction for each. It reports operations a second.
func BenchmarkJournalledOperations(b *testing.B) {
	const sessions, perSession = 64, 200 // a session with as many begins anew
	for _, name := range []string{"shared", "audited", "alone"} {
		shared := name != "alone"
		b.Run(name, func(b *testing.B) {
			o := Options{}
			if name == "audited" {
				o.Auditor = openAudit(b)
			}
			s, err := Open(filepath.Join(b.TempDir(), "gateway.db"), o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var alone sync.Mutex
			var left sync.Mutex
			n := b.N
			take := func() bool {
				left.Lock()
				defer left.Unlock()
				n--
				return n >= 0
			}
			b.ResetTimer()
			var all sync.WaitGroup
			for i := range sessions {
				all.Go(func() {
					id := ""
					for round, have := 0, perSession; take(); have++ {
						if have == perSession {
							have = 0
							id = fmt.Sprintf("s%d-%d", i, round)
							round++
							if err := s.Create(journal.Session{ID: id, Status: journal.StatusRunning, Created: time.Now()}); err != nil {
								b.Error(err)
								return
							}
						}
						if !shared {
							alone.Lock()
						}
						_, err := s.Update(id, func(s *journal.Session) error {
							s.Operations = append(s.Operations, journalled(len(s.Operations)+1))
							return nil
						})
						if !shared {
							alone.Unlock()
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "operations/s")
		})
	}
}

// fakeAuditor remembers what it is told, and refuses sessions by id.
type fakeAuditor struct {
	mu                 sync.Mutex
	refuse             map[string]bool
	recorded, deferred []string
}

func (f *fakeAuditor) Record(changes []journal.Revision) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		if f.refuse[c.After.ID] {
			return fmt.Errorf("%w: the log is full", journal.ErrStore)
		}
	}
	for _, c := range changes {
		f.recorded = append(f.recorded, c.After.ID+" "+string(c.After.Status))
	}
	return nil
}

func (f *fakeAuditor) Defer(changes []journal.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		f.deferred = append(f.deferred, c.After.ID+" "+string(c.After.Status))
	}
}

func TestNothingBeginsThatIsNotRecordedAndEndsAreKept(t *testing.T) {
	log := &fakeAuditor{refuse: map[string]bool{}}
	s, err := Open(filepath.Join(t.TempDir(), "gateway.db"), Options{Auditor: log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	add := func(d journal.Decision) func(*journal.Session) error {
		return func(s *journal.Session) error {
			s.Operations = append(s.Operations, journal.Operation{N: len(s.Operations) + 1, Decision: d})
			return nil
		}
	}
	for _, id := range []string{"bad", "good"} {
		if err := s.Create(journal.Session{ID: id, Status: journal.StatusRunning}); err != nil {
			t.Fatal(err)
		}
		for _, d := range []journal.Decision{journal.Waiting, journal.Waiting, journal.Allowed} {
			if _, err := s.Update(id, add(d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	log.refuse["bad"], log.refuse["new"] = true, true
	if err := s.Create(journal.Session{ID: "new"}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("a session begins: %v", err)
	}
	set := func(n int, f func(*journal.Operation)) func(*journal.Session) error {
		return func(s *journal.Session) error { f(&s.Operations[n-1]); return nil }
	}
	for what, c := range map[string]struct {
		change func(*journal.Session) error
		starts bool
	}{
		"an operation":           {add(journal.Waiting), true},
		"an operation denied":    {add(journal.Denied), true},
		"an approval":            {set(1, func(o *journal.Operation) { o.Decision = journal.Approved }), true},
		"a start":                {set(3, func(o *journal.Operation) { o.Started = time.Unix(1, 0) }), true},
		"a rejection":            {set(2, func(o *journal.Operation) { o.Decision = journal.Rejected }), false},
		"a result":               {set(3, func(o *journal.Operation) { o.Finished = time.Unix(1, 0) }), false},
		"a hold":                 {func(s *journal.Session) error { s.Status = journal.StatusHeld; return nil }, false},
		"an unchanged operation": {set(2, func(*journal.Operation) {}), false},
	} {
		before, _ := s.Session("bad")
		if _, err := s.Update("bad", c.change); (err != nil) != c.starts || c.starts && !errors.Is(err, journal.ErrStore) {
			t.Errorf("%s: %v", what, err)
		}
		if after, _ := s.Session("bad"); c.starts && fmt.Sprint(before) != fmt.Sprint(after) {
			t.Errorf("%s was refused and made", what)
		}
	}
	// One that cannot be recorded does not keep others from it.
	var all sync.WaitGroup
	var bad, good error
	release := hold(t, s)
	all.Go(func() { _, bad = s.Update("bad", add(journal.Waiting)) })
	all.Go(func() { _, good = s.Update("good", add(journal.Waiting)) })
	release()
	all.Wait()
	if bad == nil || good != nil {
		t.Errorf("bad: %v, good: %v", bad, good)
	}
	if _, err := s.Update("bad", func(s *journal.Session) error { s.Status = journal.StatusParked; return nil }); err != nil {
		t.Errorf("parking: %v", err)
	}
	if _, err := s.Update("bad", func(s *journal.Session) error { s.Status = journal.StatusRunning; return nil }); err == nil {
		t.Error("a parked session was resumed")
	}
	if _, err := s.Update("bad", func(s *journal.Session) error {
		s.Status, s.Ended = journal.StatusDone, time.Unix(1, 0)
		return nil
	}); err != nil {
		t.Errorf("an end: %v", err)
	}
	if last := log.deferred[len(log.deferred)-1]; last != "bad done" {
		t.Errorf("deferred: %q", log.deferred)
	}
}
