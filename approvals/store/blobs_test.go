package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

func put(t *testing.T, s *Store, text string) string {
	t.Helper()
	sha, size, err := s.PutBlob(t.Context(), strings.NewReader(text), 0)
	if err != nil || size != int64(len(text)) {
		t.Fatalf("put %d bytes: %d, %v", len(text), size, err)
	}
	return sha
}

func read(s *Store, sha string) (string, error) {
	r, size, err := s.OpenBlob(sha)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(r)
	if err == nil && int64(len(text)) != size {
		err = errors.New("another size than was told")
	}
	return string(text), err
}

func TestContentComesBackUnderItsHash(t *testing.T) {
	s, name := openTest(t)
	for _, text := range []string{"", "hello", "\x00\xff", strings.Repeat("x", 1<<20)} {
		sum := sha256.Sum256([]byte(text))
		sha := put(t, s, text)
		if sha != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes are kept as %s", len(text), sha)
		}
		if again := put(t, s, text); again != sha {
			t.Errorf("the same content is kept as %s and %s", sha, again)
		}
		if got, err := read(s, sha); err != nil || got != text {
			t.Errorf("%d bytes came back for %d, %v", len(got), len(text), err)
		}
		info, err := os.Stat(filepath.Join(filepath.Dir(name), blobFolder, sha[:2], sha[2:]))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
	}
}

func TestContentOverItsLimitLeavesNothing(t *testing.T) {
	s, name := openTest(t)
	if _, _, err := s.PutBlob(t.Context(), strings.NewReader("12345"), 4); !errors.Is(err, journal.ErrTooLarge) || errors.Is(err, journal.ErrStore) {
		t.Errorf("5 bytes with a limit of 4: %v", err)
	}
	if _, size, err := s.PutBlob(t.Context(), strings.NewReader("1234"), 4); err != nil || size != 4 {
		t.Errorf("4 bytes with a limit of 4: %d, %v", size, err)
	}
	own := errors.New("the source broke")
	if _, _, err := s.PutBlob(t.Context(), iotest.ErrReader(own), 0); !errors.Is(err, own) {
		t.Errorf("a source that breaks: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.PutBlob(ctx, strings.NewReader("x"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), blobFolder, newBlob+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedContentIsNeverTakenForWhole(t *testing.T) {
	s, _ := openTest(t)
	for what, damage := range map[string]func(string) error{
		"a changed byte": func(name string) error { return os.WriteFile(name, []byte("jello, world"), 0o600) },
		"cut":            func(name string) error { return os.Truncate(name, 5) },
		"grown":          func(name string) error { return os.WriteFile(name, []byte("hello, world!"), 0o600) },
		"emptied":        func(name string) error { return os.Truncate(name, 0) },
	} {
		sha := put(t, s, "hello, world")
		if err := damage(s.blobs.name(sha)); err != nil {
			t.Fatal(err)
		}
		if _, err := read(s, sha); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", what, err)
		}
	}
	// Putting the content again mends it.
	if got, err := read(s, put(t, s, "hello, world")); err != nil || got != "hello, world" {
		t.Errorf("after it was put again: %q, %v", got, err)
	}
}

func TestNameOfContentIsNoPath(t *testing.T) {
	s, name := openTest(t)
	secret := filepath.Join(filepath.Dir(name), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	sha := put(t, s, "x")
	for _, bad := range []string{"", "ab", "../secret", sha[:63], sha + "0", strings.ToUpper(sha), sha[:2] + "/" + sha[3:], strings.Repeat("0", 64)} {
		if _, _, err := s.OpenBlob(bad); !errors.Is(err, journal.ErrNoContent) {
			t.Errorf("%q: %v, want ErrNoContent", bad, err)
		}
	}
	// A link in the place of a blob is not followed.
	if err := os.Remove(s.blobs.name(sha)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, s.blobs.name(sha)); err != nil {
		t.Fatal(err)
	}
	if text, err := read(s, sha); err == nil {
		t.Errorf("a link was followed to %q", text)
	}
}

func TestWhatACrashLeftOfContentGoesAtTheNextStart(t *testing.T) {
	s, name := openTest(t)
	unnamed := put(t, s, "no record names it")
	script := strings.Repeat("#", maxInlineScript+1)
	if err := s.Create(journal.Session{ID: "a", Script: script, Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(filepath.Dir(name), blobFolder, newBlob+"1234")
	if err := os.WriteFile(half, []byte("ke"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the half-written file: %v", err)
	}
	if _, err := read(s, unnamed); !errors.Is(err, journal.ErrNoContent) {
		t.Errorf("content that no record names: %v", err)
	}
	if a, err := s.Session("a"); err != nil || a.Script != script {
		t.Errorf("content that a record names: %d bytes, %v", len(a.Script), err)
	}
}

func TestContentWithADamagedCountIsNotRemoved(t *testing.T) {
	name, sha := sound(t)
	db, err := bbolt.Open(name, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(blobBucket).Put([]byte(sha), []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := read(s, sha); err != nil {
		t.Errorf("a session's script: %v", err)
	}
	// Nor is it counted anew, from nothing.
	if err := s.Create(journal.Session{ID: "again", Script: strings.Repeat("#", maxInlineScript+1)}); !errors.Is(err, journal.ErrStore) {
		t.Errorf("another session with that script: %v", err)
	}
}

func TestSameContentPutByManyAtOnce(t *testing.T) {
	s, _ := openTest(t)
	text := bytes.Repeat([]byte("abc"), 10_000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			sha, _, err := s.PutBlob(t.Context(), bytes.NewReader(text), 0)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := read(s, sha); err != nil || got != string(text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
}
