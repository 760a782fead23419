package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals"
)

func openTest(t *testing.T) (*Store, string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "state", "gateway.db")
	s, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, name
}

func everything(*approvals.Session) bool { return true }

func TestWhatWasKeptIsThereAfterReopening(t *testing.T) {
	s, name := openTest(t)
	want := approvals.Session{ID: "abc", Identity: "claude", Script: "print()", Status: approvals.Running, Created: time.Unix(1, 0)}
	if err := s.Create(want); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update("abc", func(s *approvals.Session) error {
		s.Operations = append(s.Operations, approvals.Operation{N: 1, Command: &approvals.Command{Argv: []string{"ls", "\xff"}}})
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
	if s, _ = Open(name); s == nil {
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
	if err := s.Create(approvals.Session{ID: "abc"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(approvals.Session{ID: "abc"}); !errors.Is(err, approvals.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
}

func TestRefusedChangeLeavesTheSessionAsItWas(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(approvals.Session{ID: "abc", Status: approvals.Running}); err != nil {
		t.Fatal(err)
	}
	own := errors.New("no")
	if _, err := s.Update("abc", func(s *approvals.Session) error { s.Status = approvals.Done; return own }); !errors.Is(err, own) || errors.Is(err, approvals.ErrStore) {
		t.Errorf("%v, want the change's own error", err)
	}
	if got, _ := s.Session("abc"); got.Status != approvals.Running {
		t.Errorf("status %s", got.Status)
	}
	for _, id := range []string{"", "nope", strings.Repeat("x", 40_000)} {
		if _, err := s.Update(id, func(*approvals.Session) error { return nil }); !errors.Is(err, approvals.ErrNotFound) {
			t.Errorf("id of %d bytes: %v, want ErrNotFound", len(id), err)
		}
	}
}

func TestOpenSessionsAreListedNewestFirst(t *testing.T) {
	s, _ := openTest(t)
	for i, status := range []approvals.Status{approvals.Running, approvals.Done, approvals.Held, approvals.Parked} {
		if err := s.Create(approvals.Session{ID: fmt.Sprint(i), Status: status, Created: time.Unix(int64(i+1), 0), Script: "x"}); err != nil {
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
	_, name := openTest(t)
	if _, err := Open(name); !errors.Is(err, approvals.ErrStore) || !strings.Contains(err.Error(), "running already") {
		t.Errorf("%v", err)
	}
}

func TestForeignAndDamagedDatabasesAreRefused(t *testing.T) {
	s, name := openTest(t)
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, []byte{0, 0, 0, 99}) }); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("a newer schema: %v", err)
	}
	if err := os.WriteFile(name, []byte("not a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); !errors.Is(err, approvals.ErrStore) {
		t.Errorf("not a database: %v", err)
	}
}

func TestOldEndedSessionsGoAndWaitingOnesStay(t *testing.T) {
	s, _ := openTest(t)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for i := range keepFinal + 10 {
			session := approvals.Session{ID: fmt.Sprintf("s%06d", i), Status: approvals.Done, Created: time.Unix(int64(i), 0)}
			if i == 0 {
				session.Status = approvals.Parked
			}
			if err := tx.Bucket(indexBucket).Put(indexKey(session), []byte(session.ID)); err != nil {
				return err
			}
			if err := putSession(tx, session); err != nil {
				return err
			}
		}
		return prune(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Sessions(true, everything)
	if err != nil || len(list) != keepFinal+1 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	if oldest := list[len(list)-1]; oldest.ID != "s000000" {
		t.Errorf("the one that waits is gone; the oldest is %s", oldest.ID)
	}
}

func FuzzRecord(f *testing.F) {
	text, _ := json.Marshal(approvals.Session{ID: "x", Operations: []approvals.Operation{{N: 1}}})
	f.Add(text)
	f.Add([]byte("{"))
	name := filepath.Join(f.TempDir(), "db")
	s, err := Open(name)
	if err != nil {
		f.Fatal(err)
	}
	s.db.NoSync = true
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(sessionBucket).Put([]byte("x"), text) }); err != nil {
			t.Skip()
		}
		_, _ = s.Session("x")
		_, _ = s.Update("x", func(s *approvals.Session) error { return errors.New("no") })
	})
}
