package hostkeys_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shannot-gateway/hostkeys"
)

func load(t *testing.T, dir string, types ...hostkeys.Type) []hostkeys.Key {
	t.Helper()
	keys, err := hostkeys.Load(dir, types, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "hostkeys")
	first := load(t, dir)
	if len(first) != 1 || first[0].Type != hostkeys.Ed25519 || !strings.HasPrefix(first[0].Fingerprint(), "SHA256:") {
		t.Fatalf("made %+v, want one ed25519 key", first)
	}
	if again := load(t, dir); again[0].Fingerprint() != first[0].Fingerprint() {
		t.Error("the second start has another key")
	}
	for name, want := range map[string]fs.FileMode{dir: 0o700, first[0].Path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", name, info.Mode().Perm(), want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v (%v), want the key alone", entries, err)
	}
}

func TestSecondTypeIsAdded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "k")
	first := load(t, dir)
	both := load(t, dir, hostkeys.Ed25519, hostkeys.ECDSA)
	if len(both) != 2 || both[0].Fingerprint() != first[0].Fingerprint() || both[1].Type != hostkeys.ECDSA {
		t.Errorf("got %+v", both)
	}
}

func TestRacingStartsEndWithOneKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "k")
	const starts = 16
	prints := make([]string, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			keys, err := hostkeys.Load(dir, nil, rand.Reader)
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = keys[0].Fingerprint()
		})
	}
	wg.Wait()
	for _, p := range prints {
		if p != prints[0] {
			t.Fatalf("different keys: %v", prints)
		}
	}
}

func TestInsecureKeysAreRefused(t *testing.T) {
	tests := map[string]func(t *testing.T, dir, key string){
		"readable by group": func(t *testing.T, _, key string) { check(t, os.Chmod(key, 0o640)) },
		"readable by all":   func(t *testing.T, _, key string) { check(t, os.Chmod(key, 0o604)) },
		"directory of all":  func(t *testing.T, dir, _ string) { check(t, os.Chmod(dir, 0o755)) },
		"a link": func(t *testing.T, dir, key string) {
			check(t, os.Rename(key, filepath.Join(dir, "elsewhere")))
			check(t, os.Symlink("elsewhere", key))
		},
		"a dangling link": func(t *testing.T, dir, key string) {
			check(t, os.Remove(key))
			check(t, os.Symlink(filepath.Join(dir, "nothing"), key))
		},
		"a directory": func(t *testing.T, _, key string) {
			check(t, os.Remove(key))
			check(t, os.Mkdir(key, 0o700))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "k")
			damage(t, dir, load(t, dir)[0].Path)
			_, err := hostkeys.Load(dir, nil, rand.Reader)
			if !errors.Is(err, hostkeys.ErrInsecure) {
				t.Errorf("error is %v, want ErrInsecure", err)
			}
		})
	}
}

func TestBadKeyFilesAreErrorsAndStay(t *testing.T) {
	tests := map[string][]byte{
		"empty":     nil,
		"no key":    []byte("hello\n"),
		"too large": bytes.Repeat([]byte("a"), 1<<20),
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "k")
			check(t, os.Mkdir(dir, 0o700))
			file := filepath.Join(dir, "host_ed25519")
			check(t, os.WriteFile(file, content, 0o600))
			if _, err := hostkeys.Load(dir, nil, rand.Reader); err == nil {
				t.Error("no error")
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestKeyOfAnotherTypeIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "k")
	key := load(t, dir)[0]
	check(t, os.Rename(key.Path, filepath.Join(dir, "host_ecdsa")))
	if _, err := hostkeys.Load(dir, []hostkeys.Type{hostkeys.ECDSA}, rand.Reader); err == nil {
		t.Error("an ed25519 key was taken for ecdsa")
	}
}

func TestTypesAreChecked(t *testing.T) {
	for _, types := range [][]hostkeys.Type{{"dsa"}, {hostkeys.Ed25519, hostkeys.Ed25519}} {
		dir := filepath.Join(t.TempDir(), "k")
		if _, err := hostkeys.Load(dir, types, rand.Reader); err == nil {
			t.Errorf("%v: no error", types)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v: something was made", types)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRetiredKeysAreFoundAndIdentifyNobody(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hostkeys")
	if keys, err := hostkeys.Retired(dir); len(keys) != 0 || err != nil {
		t.Errorf("without a directory: %v, %v", keys, err)
	}
	keys, err := hostkeys.Load(dir, []hostkeys.Type{hostkeys.Ed25519}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	retired := filepath.Join(dir, "retired_ed25519")
	if err := os.Rename(keys[0].Path, retired); err != nil {
		t.Fatal(err)
	}
	old, err := hostkeys.Retired(dir)
	if err != nil || len(old) != 1 || old[0].Fingerprint() != keys[0].Fingerprint() || !hostkeys.IsRetired(old[0]) {
		t.Fatalf("%+v, %v", old, err)
	}
	next, err := hostkeys.Load(dir, []hostkeys.Type{hostkeys.Ed25519}, rand.Reader)
	if err != nil || next[0].Fingerprint() == keys[0].Fingerprint() || hostkeys.IsRetired(next[0]) {
		t.Errorf("%+v, %v", next, err)
	}
	if existing, err := hostkeys.Existing(dir); err != nil || len(existing) != 1 || existing[0].Fingerprint() != next[0].Fingerprint() {
		t.Errorf("%+v, %v", existing, err)
	}
	if err := os.Chmod(retired, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := hostkeys.Retired(dir); !errors.Is(err, hostkeys.ErrInsecure) {
		t.Errorf("a key that others can read: %v", err)
	}
}
