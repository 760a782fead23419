package store

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// manyPages makes a database whose tree has branches, with sessions that have operations, and returns its content and sessions.
func manyPages(t *testing.T) (name string, all []journal.Session) {
	t.Helper()
	name, _ = sound(t)
	s, err := OpenUnsynced(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		one, err := s.Session("parked")
		if err != nil {
			t.Fatal(err)
		}
		one.ID, one.Name = "more"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+string(rune('a'+i/26)), strings.Repeat("n", 50*(i%40))
		if err := s.Create(one); err != nil {
			t.Fatal(err)
		}
	}
	g := grants.Grant{}
	if err := s.PutGrant(&g); err != nil {
		t.Fatal(err)
	}
	if all, err = s.Sessions(true, everything); err != nil || len(all) != 43 {
		t.Fatalf("%d sessions, %v", len(all), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return name, all
}

// damaged writes content under a database's name, and whatever comes of it is no panic: it opens, or is refused with the way out.
// What repair makes of it opens and is sound.
func damaged(t *testing.T, name, what string, content []byte) (opened bool, repaired *Repaired) {
	t.Helper()
	old, err := filepath.Glob(name + ".*")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(old, name) {
		if err := os.Remove(o); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(name); err != nil && !errors.Is(err, journal.ErrStore) {
		t.Errorf("%s: inspect: %v", what, err)
	}
	if s, err := OpenUnsynced(name, Options{}); err != nil {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: no name of a file in %v", what, err)
		}
		if errors.Is(err, ErrPages) && !strings.Contains(err.Error(), "store repair") {
			t.Errorf("%s: no way out in %v", what, err)
		}
	} else {
		if _, err := s.Sessions(true, everything); err != nil {
			t.Errorf("%s: sessions: %v", what, err)
		}
		if err := s.Check(); err != nil {
			t.Errorf("%s: check: %v", what, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
		return true, nil
	}
	r, err := repairDatabase(name, time.Unix(0, 0), true)
	if err != nil {
		if errors.Is(err, errNoMeta) || strings.Contains(err.Error(), "its schema is version") {
			return false, nil
		}
		t.Errorf("%s: repair: %v", what, err)
		return false, nil
	}
	if kept, err := os.ReadFile(r.Before); err != nil || !bytes.Equal(kept, content) {
		t.Errorf("%s: the damaged database was not kept: %v", what, err)
	}
	found, err := Inspect(name)
	if err != nil {
		t.Errorf("%s: inspect what was repaired: %v", what, err)
		return false, r
	}
	for _, finding := range found.Findings {
		if !strings.Contains(finding, "content") { // of sessions that were lost
			t.Errorf("%s: what was repaired: %s", what, finding)
		}
	}
	return false, r
}

func TestEveryDamagedPageIsAnErrorWithAWayOutAndRepairKeepsTheRest(t *testing.T) {
	t.Parallel()
	name, all := manyPages(t)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	opened, r := damaged(t, name, "nothing", whole)
	if !opened || r != nil {
		t.Fatal("a whole database does not open")
	}
	p, err := openPages(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	p.check()
	// What a page goes on in has no header of its own: damage there is a record's.
	// The meta pages are the first two.
	begins := func(n int) bool {
		return n < 2 || p.used[uint64(n)] && order.Uint64(whole[n*int(p.page):]) == uint64(n)
	}
	size, refused, most := int(p.page), 0, 0
	for n := range len(whole) / size {
		for what, fill := range map[string]func(page []byte){
			"zeros":          func(page []byte) { clear(page) },
			"another's page": func(page []byte) { copy(page, whole[len(whole)-size:]) },
			"no elements":    func(page []byte) { page[10], page[11] = 0xff, 0xff },
			"random": func(page []byte) {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				for i := range page {
					page[i] = byte(r.Uint32())
				}
			},
		} {
			if testing.Short() && n%4 != len(what)%4 {
				continue
			}
			content := bytes.Clone(whole)
			fill(content[n*size : (n+1)*size])
			opened, r := damaged(t, name, what, content)
			if begins(n) && opened && !bytes.Equal(content, whole) && what != "no elements" {
				t.Errorf("page %d, %s: it was believed", n, what)
			}
			if !opened {
				refused++
			}
			if r != nil {
				most = max(most, r.Sessions)
				if n > 3 && r.Sessions == 0 && len(r.Lost) == 0 {
					t.Errorf("page %d, %s: everything is lost, and nothing is named", n, what)
				}
			}
		}
	}
	if refused == 0 || most < len(all)*9/10 {
		t.Errorf("%d were refused, and at most %d of %d sessions came over", refused, most, len(all))
	}
}

func TestWhateverStandsInADatabaseNothingPanics(t *testing.T) {
	t.Parallel()
	name, _ := manyPages(t)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	flips, step := 200, 4096/2
	if testing.Short() {
		flips, step = 40, 5*4096/2
	}
	r := rand.New(rand.NewPCG(7, 7))
	for i := range flips {
		content := bytes.Clone(whole)
		for range 1 + i%8 {
			at := r.IntN(len(content))
			if i%2 == 0 { // where pages say what they are
				at = at/4096*4096 + r.IntN(64)
			}
			content[at%len(content)] = byte(r.Uint32())
		}
		damaged(t, name, "random bytes", content)
	}
	for size := 0; size < len(whole); size += step {
		damaged(t, name, "cut off", whole[:size])
	}
}

// What is damaged while the gateway runs is an error of whoever comes to it, not the end of the process.
func TestPagesThatAreDamagedUnderARunningGatewayAreErrors(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(f *os.File) error{
		"cut off": func(f *os.File) error { return f.Truncate(8192) },
		"zeros": func(f *os.File) error {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			_, err = f.WriteAt(make([]byte, info.Size()-8192), 8192)
			return err
		},
	} {
		name, _ := manyPages(t)
		s, err := OpenUnsynced(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(damage(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		for call, err := range map[string]error{
			"session":  func() error { _, err := s.Session("parked"); return err }(),
			"sessions": func() error { _, err := s.Sessions(true, everything); return err }(),
			"update":   func() error { _, err := s.Update("parked", func(*journal.Session) error { return nil }); return err }(),
			"create":   s.Create(journal.Session{ID: "new", Status: journal.StatusRunning}),
			"check":    s.Check(),
			"grants":   func() error { _, err := s.Grants(); return err }(),
		} {
			if !errors.Is(err, ErrPages) || !errors.Is(err, journal.ErrStore) || !strings.Contains(err.Error(), "store repair") {
				t.Errorf("%s, %s: %v", what, call, err)
			}
		}
		_ = s.Close() // it returns
	}
}

func TestOwnPanicsAreNotTakenForDamage(t *testing.T) {
	t.Parallel()
	name, _ := sound(t)
	s, err := OpenUnsynced(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err = s.Sessions(true, func(*journal.Session) bool { panic("mine") })
	t.Errorf("a panic of the caller's became %v", err)
}

func TestRepairLeavesOutWhatNobodyCanVouchForAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	name, blob := sound(t)
	db, err := bbolt.Open(name, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.Bucket(operationBucket).Delete(operationKey([]byte("parked"), 1)),
			tx.Bucket(indexBucket).Put([]byte("12345678gone"), []byte("gone")),
			tx.Bucket(openBucket).Delete([]byte("large")),
			tx.Bucket(blobBucket).Put([]byte(blob), []byte("x")),
			tx.Bucket(grantBucket).Put(grantKey(3), []byte(`{"N":3}`)),
			tx.Bucket(grantBucket).Put(grantKey(4), []byte(`{`)),
			tx.Bucket(scriptBucket).Delete([]byte("done")),
		)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := Repair(name, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	lost := strings.Join(r.Lost, "\n")
	for _, want := range []string{
		`session "parked" is left out: 1 of its operations can be read, and it has 2`, "a grant is left out: grant 4 is damaged",
		`session "done" is kept, and content `,
	} {
		if !strings.Contains(lost, want) {
			t.Errorf("nothing says %q in %q", want, lost)
		}
	}
	if r.Sessions != 2 || r.Operations != 1 || r.Grants != 1 {
		t.Errorf("%+v", r)
	}
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Session("large"); err != nil || len(got.Script) != maxInlineScript+1 || got.Damage != "" {
		t.Errorf("the session with a large script: %q, %v", got.Damage, err)
	}
	if got, err := s.Session("done"); err != nil || got.Damage == "" {
		t.Errorf("the session without its script: %q, %v", got.Damage, err)
	}
	if _, err := s.Session("parked"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the session that lost an operation: %v", err)
	}
	g := grants.Grant{}
	if err := s.PutGrant(&g); err != nil || g.N != 5 {
		t.Errorf("the next grant has the number %d, %v", g.N, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := Anchor(name); err != nil || a == nil || *a != noAnchor {
		t.Errorf("anchor %v, %v", a, err)
	}
}

// Whatever is damaged of a database, nothing runs a second time for an approval that has been used: also where the change that used
// it is the one that is lost.
func TestNothingRunsAgainSinceItsStartIsLost(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	name := filepath.Join(t.TempDir(), "gateway.db")
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	approved := journalled(1)
	approved.Decision, approved.By, approved.ByKey, approved.Decided = journal.Approved, "alice", "SHA256:a", at
	session := journal.Session{
		ID: "twice", Identity: "claude", Key: "SHA256:c", Status: journal.StatusRunning, Created: at,
		Script: "x", ScriptSHA256: journal.SHA256Hex([]byte("x")), Operations: []journal.Operation{approved},
	}
	if err := s.Create(session); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update("twice", func(s *journal.Session) error {
		return s.Operation(1).Apply(journal.Event{What: journal.Start, At: at})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	reopened := 0
	for meta := range 2 {
		content := bytes.Clone(whole)
		content[meta*os.Getpagesize()+pageHeader+16] ^= 1
		opened, r := damaged(t, name, "a meta page", content)
		if opened || r == nil || r.Sessions != 1 {
			t.Fatalf("meta page %d: opened %v, %+v", meta, opened, r)
		}
		s, err := Open(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Session("twice")
		if err != nil || got.ApprovedNotStarted() {
			t.Errorf("meta page %d: it would run again: %+v, %v", meta, got.Operations, err)
		}
		if got.Waits() {
			reopened++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if reopened != 1 {
		t.Errorf("%d of two damaged meta pages lost the start", reopened)
	}
}

func TestADatabaseThatIsInUseIsNotRepaired(t *testing.T) {
	t.Parallel()
	name, _ := sound(t)
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := Repair(name, time.Now()); !errors.Is(err, ErrInUse) {
		t.Errorf("repair: %v", err)
	}
}

func TestAnEmptyDatabaseIsToldFromOneThatWasUsed(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "gateway.db")
	is := func(want bool, what string) {
		t.Helper()
		if empty, err := Empty(name); err != nil || empty != want {
			t.Errorf("%s: %v, %v", what, empty, err)
		}
	}
	is(true, "gone")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is(true, "no bytes")
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	is(true, "never used with a log")
	if r, err := Begin(name, time.Unix(0, 0)); err != nil || r.Before == "" {
		t.Errorf("begin: %+v, %v", r, err)
	}
	is(false, "begun on purpose")
	if s, err = Open(name, Options{}); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	used, _ := sound(t)
	if empty, err := Empty(used); err != nil || empty {
		t.Errorf("with sessions: %v, %v", empty, err)
	}
	if _, err := Begin(used, time.Now()); err == nil {
		t.Error("a database with sessions was put aside")
	}
}
