package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

func openTest(t *testing.T) (*Store, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "state", "gateway.db")
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, name
}

func everything(*journal.Session) bool { return true }

func TestWhatWasKeptIsThereAfterReopening(t *testing.T) {
	s, name := openTest(t)
	want := journal.Session{ID: "abc", Identity: "claude", Script: "print()", Status: journal.StatusRunning, Created: time.Unix(1, 0)}
	if err := s.Create(want); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update("abc", func(s *journal.Session) error {
		s.Operations = append(s.Operations, journal.Operation{N: 1, Command: &journal.Command{Argv: []string{"ls", "\xff"}}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the database: %v, %v", st.Mode(), err)
	}
	if s, _ = Open(name, Options{}); s == nil {
		t.Fatal("cannot open it again")
	}
	defer func() { _ = s.Close() }()
	got, err := s.Session("abc")
	if err != nil || got.Script != "print()" || got.Identity != "claude" || len(got.Operations) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	// The digest covers every byte of argv, so every byte must survive.
	if argv := got.Operations[0].Command.Argv; argv[1] != "\xff" {
		t.Errorf("argv %q came back", argv)
	}
}

func TestIDIsTakenOnce(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "abc"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(journal.Session{ID: "abc"}); !errors.Is(err, journal.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
}

func TestRefusedChangeLeavesTheSessionAsItWas(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "abc", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	own := errors.New("no")
	if _, err := s.Update("abc", func(s *journal.Session) error { s.Status = journal.StatusDone; return own }); !errors.Is(err, own) || errors.Is(err, journal.ErrStore) {
		t.Errorf("%v, want the change's own error", err)
	}
	if got, _ := s.Session("abc"); got.Status != journal.StatusRunning {
		t.Errorf("status %s", got.Status)
	}
	for _, id := range []string{"", "nope", strings.Repeat("x", 40_000)} {
		if _, err := s.Update(id, func(*journal.Session) error { return nil }); !errors.Is(err, journal.ErrNotFound) {
			t.Errorf("id of %d bytes: %v, want ErrNotFound", len(id), err)
		}
	}
}

func TestOpenSessionsAreListedNewestFirst(t *testing.T) {
	s, _ := openTest(t)
	for i, status := range []journal.Status{journal.StatusRunning, journal.StatusDone, journal.StatusHeld, journal.StatusParked} {
		if err := s.Create(journal.Session{ID: fmt.Sprint(i), Status: status, Created: time.Unix(int64(i+1), 0), Script: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(all bool) (out string) {
		list, err := s.Sessions(all, everything)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			out += l.ID
			if l.Script != "" {
				t.Error("a list carries scripts")
			}
		}
		return out
	}
	if got := ids(false); got != "320" {
		t.Errorf("open ones: %s, want 320", got)
	}
	if got := ids(true); got != "3210" {
		t.Errorf("all: %s, want 3210", got)
	}
}

func TestDatabaseOfARunningGatewaySaysSo(t *testing.T) {
	t.Parallel() // it waits for a lock, or for the disk
	_, name := openTest(t)
	if _, err := Open(name, Options{}); !errors.Is(err, journal.ErrStore) || !strings.Contains(err.Error(), "running already") {
		t.Errorf("%v", err)
	}
}

func TestForeignAndDamagedDatabasesAreRefused(t *testing.T) {
	s, name := openTest(t)
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, []byte{0, 0, 0, 99}) }); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := Open(name, Options{}); err == nil || !strings.Contains(err.Error(), "version 99, of a newer program") {
		t.Errorf("a newer schema: %v", err)
	}
	if err := os.WriteFile(name, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, Options{}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("not a database: %v", err)
	}
}

// unpack puts a database of testdata into a temporary directory.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "gateway.db")
	if err := os.WriteFile(out, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// testdata/schema1.db.gz was written by the program as it was when its schema was version 1.
func TestDatabaseOfSchema1IsBroughtUpToDate(t *testing.T) {
	name := unpack(t, "schema1.db.gz")
	for range 2 { // the second time, it is up to date
		s, err := Open(name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		done, err := s.Session("0123abcd")
		if err != nil || done.Script != "print(1)\n" || done.Status != journal.StatusDone || len(done.Operations) != 2 {
			t.Fatalf("%+v, %v", done, err)
		}
		o := done.Operations[0]
		if o.Command.Argv[1] != "\xff" || o.Command.Digest() != o.Digest || *o.ExitCode != 7 || o.ByKey != "SHA256:a" || o.Command.Line != 3 {
			t.Errorf("operation 1: %+v, %+v", o, o.Command)
		}
		if o := done.Operations[1]; o.Decision != journal.Rejected || o.Reason != "no" {
			t.Errorf("operation 2: %+v", o)
		}
		open, err := s.Sessions(false, everything)
		if err != nil || len(open) != 2 || open[0].ID != "0123abcf" || open[1].Operations[0].Decision != journal.Waiting {
			t.Errorf("open sessions: %+v, %v", open, err)
		}
		if _, err := s.Update("0123abce", func(s *journal.Session) error { s.Operations[0].Summary = "seen"; return nil }); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangeOfOneOperationWritesThatOneAlone(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "abc", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	change := func(f func(*journal.Session)) {
		t.Helper()
		if _, err := s.Update("abc", func(s *journal.Session) error { f(s); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		change(func(s *journal.Session) { s.Operations = append(s.Operations, journal.Operation{N: n + 1}) })
	}
	// Records that are not touched keep even what no program wrote there.
	mark := func(n int) (text []byte) {
		t.Helper()
		err := s.db.View(func(tx *bbolt.Tx) error {
			text = bytes.Clone(tx.Bucket(operationBucket).Get(operationKey([]byte("abc"), n)))
			return nil
		})
		if err != nil || text == nil {
			t.Fatalf("operation %d: %q, %v", n, text, err)
		}
		return text
	}
	err := s.between(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(operationBucket).Put(operationKey([]byte("abc"), 4), []byte(`{"N":4,"Summary":"marked"}`))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	change(func(s *journal.Session) { s.Operations[4].Summary = "changed" })
	change(func(s *journal.Session) { s.Name = "named" })
	if got := string(mark(4)); got != `{"N":4,"Summary":"marked"}` {
		t.Errorf("operation 4 was written: %s", got)
	}
	if got := string(mark(5)); !strings.Contains(got, "changed") {
		t.Errorf("operation 5: %s", got)
	}
}

func TestChangeThatNoReaderCouldUnderstandIsRefused(t *testing.T) {
	s, _ := openTest(t)
	session := journal.Session{ID: "abc", Status: journal.StatusRunning, Script: "x", Operations: []journal.Operation{{N: 1}, {N: 2}}}
	if err := s.Create(session); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*journal.Session){
		"a gap":              func(s *journal.Session) { s.Operations = append(s.Operations, journal.Operation{N: 4}) },
		"a number twice":     func(s *journal.Session) { s.Operations[1].N = 1 },
		"one fewer":          func(s *journal.Session) { s.Operations = s.Operations[:1] },
		"another id":         func(s *journal.Session) { s.ID = "abd" },
		"another script":     func(s *journal.Session) { s.Script = "y" },
		"the hash of none":   func(s *journal.Session) { s.ScriptSHA256 = "y" },
		"a panic is its own": nil,
	} {
		func() {
			defer func() {
				if p := recover(); (p != nil) != (change == nil) {
					t.Errorf("%s: panic %v", what, p)
				}
			}()
			if _, err := s.Update("abc", func(s *journal.Session) error { change(s); return nil }); !errors.Is(err, journal.ErrStore) {
				t.Errorf("%s: %v, want ErrStore", what, err)
			}
		}()
	}
	got, err := s.Session("abc")
	if err != nil || got.Script != "x" || len(got.Operations) != 2 || got.Operations[1].N != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLargeScriptIsABlobAndGoesWithItsSession(t *testing.T) {
	clock := time.Unix(1_000_000, 0)
	name := filepath.Join(t.TempDir(), "gateway.db")
	s, err := Open(name, Options{Keep: 1, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	script := strings.Repeat("#", maxInlineScript+1)
	for _, id := range []string{"a", "b", "c"} {
		text := script
		if id == "c" {
			text += "c"
		}
		if err := s.Create(journal.Session{ID: id, Script: text, Status: journal.StatusRunning, Created: clock}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Session(id)
		if err != nil || got.Script != text {
			t.Fatalf("%d bytes of script, %v", len(got.Script), err)
		}
		clock = clock.Add(time.Second)
	}
	end := func(id string) {
		t.Helper()
		if _, err := s.Update(id, func(s *journal.Session) error { s.Status, s.Ended = journal.StatusDone, clock; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := s.Session("c")
	a, _ := s.Session("a")
	end("a")
	end("c")
	clock = clock.Add(2 * blobGrace)
	keep(t, s) // one is enough: a goes, and its script stays for b
	clock = clock.Add(2 * blobGrace)
	keep(t, s)
	if _, err := s.Session("a"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the oldest that ended: %v", err)
	}
	if b, err := s.Session("b"); err != nil || b.Script != script {
		t.Errorf("the one with the same script: %d bytes, %v", len(b.Script), err)
	}
	end("b")
	clock = clock.Add(2 * blobGrace)
	keep(t, s) // b was created before c
	clock = clock.Add(2 * blobGrace)
	keep(t, s)
	if s.blobs.has(a.ScriptSHA256) || !s.blobs.has(c.ScriptSHA256) {
		t.Error("the script of a and b should be gone, that of c should be there")
	}
}

// keep does what the store does from time to time.
func keep(t *testing.T, s *Store) {
	t.Helper()
	if err := s.between(s.housekeep); err != nil {
		t.Fatal(err)
	}
}

func TestOldEndedSessionsGoAndWaitingOnesStay(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string // ids that stay, newest first
	}{
		{"by count", Options{Keep: 3}, "98760"},
		{"by age", Options{Age: 5 * time.Hour}, "987650"},
		{"by both, fewer by count", Options{Keep: 3, Age: 5 * time.Hour}, "98760"},
		{"by both, fewer by age", Options{Keep: 6, Age: 5 * time.Hour}, "987650"},
		{"none", Options{}, "9876543210"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := time.Unix(1_000_000, 0)
			c.o.Now = func() time.Time { return clock }
			s, err := Open(filepath.Join(t.TempDir(), "gateway.db"), c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			for i := range 10 { // 0 is parked, 9 runs, the others end half an hour after they began
				session := journal.Session{ID: fmt.Sprint(i), Created: clock, Status: journal.StatusDone, Ended: clock.Add(30 * time.Minute), Operations: []journal.Operation{{N: 1}}}
				switch i {
				case 0:
					session.Status, session.Ended = journal.StatusParked, time.Time{}
				case 9:
					session.Status, session.Ended = journal.StatusRunning, time.Time{}
				}
				if err := s.Create(session); err != nil {
					t.Fatal(err)
				}
				clock = clock.Add(time.Hour)
			}
			keep(t, s)
			list, err := s.Sessions(true, everything)
			got := ""
			for _, l := range list {
				got += l.ID
			}
			if err != nil || got != c.want {
				t.Errorf("%s stay, want %s; %v", got, c.want, err)
			}
			err = s.db.View(func(tx *bbolt.Tx) error {
				if n := keys(tx, operationBucket); n != len(c.want) {
					t.Errorf("%d operations stay", n)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDamagedSessionIsNotChangedAndOthersAreListedAndRemoved(t *testing.T) {
	clock := time.Unix(1_000_000, 0)
	s, err := Open(filepath.Join(t.TempDir(), "gateway.db"), Options{Keep: 1, Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for i, id := range []string{"record", "operation", "old", "new"} {
		at := clock.Add(time.Duration(i) * time.Second)
		if err := s.Create(journal.Session{ID: id, Status: journal.StatusDone, Created: at, Ended: at, Operations: []journal.Operation{{N: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	err = s.between(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			return errors.Join(tx.Bucket(sessionBucket).Put([]byte("record"), []byte("{")), tx.Bucket(operationBucket).Delete(operationKey([]byte("operation"), 1)))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Sessions(true, everything)
	if err != nil || len(list) != 2 || list[0].ID != "new" || list[1].ID != "old" {
		t.Errorf("%+v, %v", list, err)
	}
	for _, id := range []string{"record", "operation"} {
		if _, err := s.Update(id, func(*journal.Session) error { return nil }); !errors.Is(err, journal.ErrStore) {
			t.Errorf("%s: %v", id, err)
		}
	}
	clock = clock.Add(time.Hour)
	keep(t, s)
	if _, err := s.Session("old"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the old one: %v", err)
	}
}

func TestSessionThatHasJustEndedStays(t *testing.T) {
	clock := time.Unix(1_000_000, 0)
	s, err := Open(filepath.Join(t.TempDir(), "gateway.db"), Options{Keep: 1, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, id := range []string{"a", "b"} {
		if err := s.Create(journal.Session{ID: id, Status: journal.StatusDone, Created: clock, Ended: clock}); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, s)
	if _, err := s.Session("a"); err != nil {
		t.Errorf("its agent had no time to ask for it: %v", err)
	}
	clock = clock.Add(2 * fresh)
	keep(t, s)
	if _, err := s.Session("a"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("later: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	text, _ := json.Marshal(sessionRecord{Session: journal.Session{ID: "x"}, Operations: 1})
	operation, _ := json.Marshal(journal.Operation{N: 1, Command: &journal.Command{Argv: []string{"ls"}}})
	f.Add(text, operation)
	f.Add([]byte("{"), []byte("{"))
	f.Add([]byte(`{"ScriptBlob":true}`), []byte(`{"N":2}`))
	name := filepath.Join(f.TempDir(), "db")
	s, err := Open(name, Options{})
	if err != nil {
		f.Fatal(err)
	}
	s.db.NoSync = true
	f.Fuzz(func(t *testing.T, text, operation []byte) {
		err := s.between(func() error {
			return s.db.Update(func(tx *bbolt.Tx) error {
				_ = tx.Bucket(operationBucket).Put(operationKey([]byte("x"), 1), operation)
				return tx.Bucket(sessionBucket).Put([]byte("x"), text)
			})
		})
		if err != nil {
			t.Skip()
		}
		if _, err := s.Session("x"); errors.Is(err, journal.ErrNotFound) {
			t.Error("a damaged session is no missing one")
		}
		_, _ = s.Update("x", func(s *journal.Session) error { return errors.New("no") })
	})
}

func keys(tx *bbolt.Tx, bucket []byte) int { return tx.Bucket(bucket).Stats().KeyN }
