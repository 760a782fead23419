package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
)

func rename(to string) func(*journal.Session) error {
	return func(s *journal.Session) error { s.Name += to; return nil }
}

// A change that nobody waits for is made before those that come after it, and before anybody looks.
func TestChangesThatNobodyWaitsForKeepTheirPlace(t *testing.T) {
	s, name := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	made := 0
	count := func(err error) {
		if err != nil {
			t.Error(err)
		}
		made++ // the store calls it before it answers what comes after
	}
	s.UpdateSoon("a", rename("1"), count)
	s.UpdateSoon("a", rename("2"), count)
	after, err := s.Update("a", rename("3"))
	if err != nil || after.Name != "123" || made != 2 {
		t.Errorf("%q after %d, %v", after.Name, made, err)
	}
	s.UpdateSoon("a", rename("4"), count)
	if got, err := s.Session("a"); err != nil || got.Name != "1234" || made != 3 {
		t.Errorf("who looks sees %q after %d, %v", got.Name, made, err)
	}
	s.UpdateSoon("a", rename("5"), count)
	all, err := s.Sessions(true, everything)
	if err != nil || len(all) != 1 || all[0].Name != "12345" {
		t.Errorf("%+v, %v", all, err)
	}
	s.UpdateSoon("a", rename("6"), count)
	_ = s.Close()
	if s, _ = Open(name, Options{}); s == nil {
		t.Fatal("cannot open it again")
	}
	defer func() { _ = s.Close() }()
	if got, err := s.Session("a"); err != nil || got.Name != "123456" || made != 5 {
		t.Errorf("after the end: %q after %d, %v", got.Name, made, err)
	}
}

// Three changes wait for the disk once, as one does.
func TestChangesThatNobodyWaitsForShareTheNextTransaction(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s) // this goroutine is the writer until then
	s.UpdateSoon("a", rename("1"), func(error) {})
	s.UpdateSoon("a", rename("2"), func(error) {})
	last := &request{ids: []string{"a"}, change: func(all []*journal.Session) error { return rename("3")(all[0]) }, done: make(chan struct{})}
	batch := s.gather(last)
	s.commit(batch)
	release()
	if len(batch) != 3 || last.err != nil || last.after[0].Name != "123" || s.soon.pending("") {
		t.Errorf("%d changes in one transaction, which leaves %+v, %v", len(batch), last.after, last.err)
	}
}

func TestAChangeThatNobodyWaitsForTellsItsFailure(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	own := errors.New("my own")
	var missing, refused, panicked, late error
	s.UpdateSoon("nobody", rename("x"), func(err error) { missing = err })
	s.UpdateSoon("a", func(*journal.Session) error { return own }, func(err error) { refused = err })
	s.UpdateSoon("a", func(*journal.Session) error { panic("mine") }, func(err error) { panicked = err })
	if got, err := s.Session("a"); err != nil || got.Name != "" {
		t.Errorf("%q, %v", got.Name, err)
	}
	_ = s.Close()
	s.UpdateSoon("a", rename("x"), func(err error) { late = err })
	if !errors.Is(missing, journal.ErrNotFound) || !errors.Is(refused, own) || !errors.Is(panicked, journal.ErrStore) || !errors.Is(late, journal.ErrStore) {
		t.Errorf("%v; %v; %v; %v", missing, refused, panicked, late)
	}
}

// Content is durable before a record names it, and not sooner: its file and its folders wait for the disk beside the audit log.
func TestContentIsSyncedWithTheRecordThatNamesIt(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	sha, _, err := s.PutBlob(t.Context(), strings.NewReader("said"), 0)
	if err != nil {
		t.Fatal(err)
	}
	files, folders := s.blobs.unsynced(map[string]int{sha: 1})
	if len(files) != 1 || len(folders) != 2 {
		t.Errorf("%q, %q: want the file, its new folder, and the folder of that", files, folders)
	}
	if _, err := s.Update("a", rename("other")); err != nil || !s.blobs.fresh[sha] {
		t.Errorf("a record that does not name it: %v, %v", s.blobs.fresh, err)
	}
	name := func(session *journal.Session) error { session.Output = sha; return nil }
	if _, err := s.Update("a", name); err != nil || len(s.blobs.fresh)+len(s.blobs.young) > 0 {
		t.Errorf("%v, %v, %v", s.blobs.fresh, s.blobs.young, err)
	}
	// The same content again is kept as it is; what is damaged is replaced.
	if _, _, err := s.PutBlob(t.Context(), strings.NewReader("said"), 0); err != nil || s.blobs.fresh[sha] {
		t.Errorf("again: %v, %v", s.blobs.fresh, err)
	}
	if err := os.WriteFile(s.blobs.name(sha), []byte("sajd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PutBlob(t.Context(), strings.NewReader("said"), 0); err != nil || !s.blobs.intact(sha) {
		t.Errorf("damaged: %v", err)
	}
}

func TestNoRecordNamesContentThatCannotBeSynced(t *testing.T) {
	s, _ := openTest(t)
	if err := s.Create(journal.Session{ID: "a", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	sha, _, err := s.PutBlob(t.Context(), strings.NewReader("said"), 0)
	if err != nil {
		t.Fatal(err)
	}
	at := s.blobs.name(sha)
	if err := errors.Join(os.Remove(at), os.Symlink("/nowhere", at)); err != nil {
		t.Fatal(err)
	}
	if err := s.blobs.sync(map[string]int{sha: 1}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("%v", err)
	}
	if _, err := s.Update("a", func(session *journal.Session) error { session.Output = sha; return nil }); !errors.Is(err, journal.ErrStore) {
		t.Errorf("%v", err)
	}
	if got, err := s.Session("a"); err != nil || got.Output != "" {
		t.Errorf("%q, %v", got.Output, err)
	}
}

// What waits for no disk is for tests: no other file of the module names it.
func TestNoGatewayOpensAnUnsyncedStore(t *testing.T) {
	err := filepath.WalkDir("../..", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || filepath.Base(name) == "unsynced.go" {
			return err
		}
		text, err := os.ReadFile(name)
		if strings.Contains(string(text), "OpenUnsynced(") {
			t.Errorf("%s opens a store that waits for no disk", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
