package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// shelf is a store whose clock a test turns.
type shelf struct {
	*Store
	t     *testing.T
	clock time.Time
	n     int
}

func newShelf(t *testing.T, o Options) *shelf {
	t.Helper()
	s := &shelf{t: t, clock: time.Unix(1_000_000, 0)}
	o.Now = func() time.Time { return s.clock }
	var err error
	if s.Store, err = Open(filepath.Join(t.TempDir(), "gateway.db"), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// ended adds a session that has ended, with a script of so many bytes, and with a change that can be rolled back.
func (s *shelf) ended(identity string, size int, copied bool) (id string) {
	s.t.Helper()
	s.n++
	id = fmt.Sprintf("%s%03d", identity, s.n)
	script := strings.Repeat(id[:1], size)
	session := journal.Session{
		ID: id, Identity: identity, Created: s.clock, Status: journal.StatusDone, Ended: s.clock.Add(time.Second), Script: script,
		Operations: []journal.Operation{{N: 1}},
	}
	if copied {
		session.Operations[0] = journal.Operation{
			N: 1, Kind: journal.Kind(targets.Mkdir), Decision: journal.Approved, Started: s.clock, Finished: s.clock,
			File: &journal.File{Op: journal.Mkdir, Path: "/x", Kept: true},
		}
	}
	if err := s.Create(session); err != nil {
		s.t.Fatal(err)
	}
	s.clock = s.clock.Add(2 * fresh)
	return id
}

// stay lists what stays after housekeeping: how many sessions of each identity, and which are there.
func (s *shelf) stay() (each map[string]int, there map[string]bool) {
	s.t.Helper()
	keep(s.t, s.Store)
	list, err := s.Sessions(true, everything)
	if err != nil {
		s.t.Fatal(err)
	}
	each, there = map[string]int{}, map[string]bool{}
	for _, l := range list {
		each[l.Identity]++
		there[l.ID] = true
	}
	s.checkAccounts()
	return each, there
}

// checkAccounts compares the accounts with those of a fresh count.
func (s *shelf) checkAccounts() {
	s.t.Helper()
	again := &Store{blobs: s.blobs, accounts: accounts{of: map[string]account{}}}
	if err := s.db.View(again.countAll); err != nil {
		s.t.Fatal(err)
	}
	if got, want := fmt.Sprint(s.accounts.of), fmt.Sprint(again.accounts.of); got != want {
		s.t.Errorf("accounts are %s, a fresh count gives %s", got, want)
	}
}

// One agent begins cheap sessions without end: another one's stay.
func TestOneIdentitysSessionsPushNothingOfOthersOut(t *testing.T) {
	s := newShelf(t, Options{Keep: 20})
	first := s.ended("quiet", 1, false)
	undo := s.ended("noisy", 1, true)
	for range 30 {
		s.ended("noisy", 1, false)
	}
	s.ended("quiet", 1, false)
	each, there := s.stay()
	if each["quiet"] != 2 || !there[first] || each["noisy"] != 18 {
		t.Errorf("%v stay", each)
	}
	if !there[undo] {
		t.Error("what could be rolled back went before what could not")
	}
}

func TestRollbackCopiesGoByTheirOwnersShareAlone(t *testing.T) {
	s := newShelf(t, Options{Keep: 4, KeepEach: 6})
	for range 6 {
		s.ended("careful", 1, true)
	}
	for range 8 {
		s.ended("noisy", 1, false)
	}
	if each, _ := s.stay(); each["careful"] != 6 || each["noisy"] != 0 {
		t.Errorf("%v stay, want the six with copies alone", each)
	}
	cheap := s.ended("careful", 1, false)
	oldest := "careful001"
	for range 2 {
		s.ended("careful", 1, true)
	}
	if each, there := s.stay(); each["careful"] != 6 || there[cheap] || there[oldest] {
		t.Errorf("%v stay, want the newest six with copies", each)
	}
}

func TestBytesOfAnIdentityAreBounded(t *testing.T) {
	s := newShelf(t, Options{BytesEach: 1 << 20})
	s.ended("quiet", 100<<10, false)
	for range 40 {
		s.ended("noisy", 100<<10, false)
	}
	if kept, over := s.Over("noisy", 40*100<<10-1); !over {
		t.Errorf("%d bytes are not over the share", kept)
	}
	if s.Bytes("noisy") < 40*100<<10 {
		t.Errorf("%d bytes are counted", s.Bytes("noisy"))
	}
	each, there := s.stay()
	if got := s.Bytes("noisy"); got > 1<<20 || got < 1<<19 || each["quiet"] != 1 || !there["noisy041"] {
		t.Errorf("%v stay, %d bytes", each, got)
	}
}

// Content that is named later, and sessions that have not ended, count too.
func TestBytesOfLiveSessionsCount(t *testing.T) {
	s := newShelf(t, Options{})
	if err := s.Create(journal.Session{ID: "live", Identity: "a", Status: journal.StatusRunning, Created: s.clock}); err != nil {
		t.Fatal(err)
	}
	before := s.Bytes("a")
	sha := put(t, s.Store, strings.Repeat("x", 50_000))
	_, err := s.Update("live", func(c *journal.Session) error {
		c.Operations = append(c.Operations, journal.Operation{N: 1, Kind: journal.Kind(journal.Write), File: &journal.File{Op: journal.Write, Path: "/x", SHA256: sha, Size: 50_000}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Bytes("a") - before; got < 50_000 {
		t.Errorf("it has grown by %d bytes", got)
	}
	s.checkAccounts()
	if _, err := s.Update("live", func(c *journal.Session) error { c.Status, c.Ended = journal.StatusDone, s.clock; return nil }); err != nil {
		t.Fatal(err)
	}
	s.checkAccounts()
	var a account
	if err := s.db.View(func(*bbolt.Tx) error { a = s.accounts.get("a"); return nil }); err != nil || a.ended != 1 {
		t.Errorf("account %+v, %v", a, err)
	}
}

// A result that nobody waits for counts before its identity is asked for more.
func TestWhatIsNotWrittenYetCountsForItsIdentity(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "one", Identity: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	share := s.Bytes("a") + 1000
	if kept, over := s.Over("a", share); over {
		t.Fatalf("%d bytes are over", kept)
	}
	s.UpdateSoon("one", func(session *journal.Session) error { session.Reason = strings.Repeat("x", 2000); return nil }, func(error) {})
	if kept, over := s.Over("a", share); !over {
		t.Errorf("%d bytes are not over %d", kept, share)
	}
}
