package ssh

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
	"shannot-gateway/targets/ssh/sshdtest"
)

// filesOf is a target's file system for one change.
func filesOf(t *testing.T) *fileSystem {
	t.Helper()
	target := connect(t, sshdtest.Start(t))
	r, err := target.pool.relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.pool.giveBack(r) })
	return &fileSystem{ctx: t.Context(), sftp: r.Client}
}

// victim is a directory that nobody has decided on, and a function that puts a link to it in the place of something.
func victim(t *testing.T, dir string) (name string, intrude func(place string)) {
	t.Helper()
	name = filepath.Join(dir, "victim")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	return name, func(place string) {
		t.Helper()
		if err := errors.Join(os.Rename(place, place+"-moved"), os.Symlink(name, place)); err != nil {
			t.Fatal(err)
		}
	}
}

func mustHaveMode(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if info, err := os.Lstat(name); err != nil || info.Mode().Perm() != mode {
		t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, mode)
	}
}

func TestOwnerAndModeOfANewDirectoryAreSetOnNothingElse(t *testing.T) {
	fs, dir := filesOf(t), t.TempDir()
	victim, intrude := victim(t, dir)
	made := filepath.Join(dir, "made")
	if err := os.Mkdir(made, 0o700); err != nil {
		t.Fatal(err)
	}
	look, err := fs.sftp.Lstat(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	intrude(made) // after it was made, before it gets its owner and mode
	if err := fs.ownDir(made, look, change.Attributes{Mode: 0o755, UID: look.UID, GID: look.GID}); err == nil {
		t.Error("nobody hears of it")
	}
	mustHaveMode(t, victim, 0o700)
}

func TestModeOfADirectoryIsChangedOnNothingElse(t *testing.T) {
	fs, dir := filesOf(t), t.TempDir()
	victim, intrude := victim(t, dir)
	name := filepath.Join(dir, "d")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	seen, err := fs.Look(name, false)
	if err != nil {
		t.Fatal(err)
	}
	held, err := fs.Hold(name, seen)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	intrude(name) // after the last look
	if err := held.Chmod(0o750); err != nil {
		t.Error(err)
	}
	mustHaveMode(t, victim, 0o700)
	mustHaveMode(t, name+"-moved", 0o750)
	if _, err := fs.Hold(name, seen); !errors.Is(err, targets.ErrConflict) {
		t.Errorf("a link in the place of a directory: %v", err)
	}
}
