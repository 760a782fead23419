package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"shannot-gateway/internal/linux/durable"
)

// only fails where a directory holds anything but one file with this content.
func only(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the directory holds %v", entries)
	}
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

func TestReplaceKeepsTheOldContentUntilTheNewOneIsWhole(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := durable.Create(name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := durable.New(dir, ".new-*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(name); string(got) != "old" {
		t.Errorf("before it is replaced the file holds %q", got)
	}
	if err := f.Replace(name); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	only(t, dir, "file", "new")
}

func TestCreateOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := durable.Create(name, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := durable.Create(name, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file of the name: %v", err)
	}
	only(t, dir, "file", "first")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDiscardedFileLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := durable.New(dir, ".new-*")
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if err := f.Replace(filepath.Join(dir, "file")); err == nil {
		t.Error("a discarded file got a name")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

// What could not be written must not take the name of what was there.
func TestFailedWriteKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := durable.Create(name, []byte("old")); err != nil {
		t.Fatal(err)
	}
	f, err := durable.New(dir, ".new-*")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.File.Close() // so that the sync fails
	if err := f.Replace(name); err == nil {
		t.Error("a file that could not be synced got a name")
	}
	f.Discard()
	only(t, dir, "file", "old")
}
