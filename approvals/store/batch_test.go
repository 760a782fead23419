package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals"
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
		if err := s.Create(approvals.Session{ID: fmt.Sprint(i), Status: approvals.Running}); err != nil {
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
			_, errs[i] = s.Update(fmt.Sprint(i), func(session *approvals.Session) error {
				session.Name = "changed"
				switch i {
				case 1:
					return own
				case 2:
					panic("mine")
				case 3:
					session.Operations = append(session.Operations, approvals.Operation{N: 7})
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
	if !errors.Is(errs[1], own) || errors.Is(errs[1], approvals.ErrStore) || !strings.Contains(fmt.Sprint(errs[2]), "mine") {
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
	if err := s.Create(approvals.Session{ID: "good", Status: approvals.Running}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var bad, good error
	calls := 0
	release := hold(t, s)
	all.Go(func() { bad = s.Create(approvals.Session{ID: strings.Repeat("x", bbolt.MaxKeySize+1)}) })
	all.Go(func() {
		_, good = s.Update("good", func(s *approvals.Session) error {
			calls++
			s.Operations = append(s.Operations, approvals.Operation{N: len(s.Operations) + 1})
			return nil
		})
	})
	release()
	all.Wait()
	if !errors.Is(bad, approvals.ErrStore) || good != nil {
		t.Errorf("bad: %v, good: %v", bad, good)
	}
	if got, err := s.Session("good"); err != nil || len(got.Operations) != 1 {
		t.Errorf("%d operations after %d calls, %v", len(got.Operations), calls, err)
	}
}

func TestChangesOfOneSessionFollowEachOther(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(approvals.Session{ID: "a", Status: approvals.Running}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 8 {
				if _, err := s.Update("a", func(s *approvals.Session) error {
					s.Operations = append(s.Operations, approvals.Operation{N: len(s.Operations) + 1})
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
	if err := s.Create(approvals.Session{ID: "a"}); !errors.Is(err, approvals.ErrStore) {
		t.Errorf("create: %v", err)
	}
	if err := s.Check(); !errors.Is(err, approvals.ErrStore) {
		t.Errorf("check: %v", err)
	}
}

// journalled is an operation as large as they usually are.
func journalled(n int) approvals.Operation {
	env := make(approvals.Strings, 20)
	for i := range env {
		env[i] = fmt.Sprintf("VARIABLE_%d=/usr/local/share/something/%d", i, i)
	}
	c := &approvals.Command{Target: "local", RunAs: "ops", Path: "/usr/bin/df", Argv: approvals.Strings{"df", "-h", "/"}, Dir: "/root", Env: env, Input: "none"}
	return approvals.Operation{N: n, Kind: approvals.CommandKind, Summary: "df -h /", Verdict: policy.Ask, Risk: policy.Unknown, Decision: approvals.Waiting, Digest: c.Digest(), Command: c, Created: time.Now()}
}

// BenchmarkJournalledOperations has 64 sessions journal operations, each durable before the next: with the store's
// shared transactions, and with one transaction for each. It reports operations a second.
func BenchmarkJournalledOperations(b *testing.B) {
	const sessions, perSession = 64, 200 // a session with as many begins anew
	for _, shared := range []bool{true, false} {
		name := map[bool]string{true: "shared", false: "alone"}[shared]
		b.Run(name, func(b *testing.B) {
			s, err := Open(filepath.Join(b.TempDir(), "gateway.db"), Options{})
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
							if err := s.Create(approvals.Session{ID: id, Status: approvals.Running, Created: time.Now()}); err != nil {
								b.Error(err)
								return
							}
						}
						if !shared {
							alone.Lock()
						}
						_, err := s.Update(id, func(s *approvals.Session) error {
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
