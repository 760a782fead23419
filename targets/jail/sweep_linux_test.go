//go:build linux && (amd64 || arm64)

package jail

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What a killed gateway has left goes; what is held, young, somebody else's or no directory stays, and so does what a link
// leads to.
func TestWhatAKilledGatewayLeftIsSwept(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	made := func(name string) string {
		t.Helper()
		dir := filepath.Join(temporary, name)
		if err := os.MkdirAll(filepath.Join(dir, "tmp", "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tmp", "deep", "file"), []byte("x"), 0o400); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	outside := made("outside")
	left, held, other := made(temporaryName+"left"), made(temporaryName+"held"), made("other-1")
	if err := os.Symlink(outside, filepath.Join(left, "tmp", "link")); err != nil {
		t.Fatal(err)
	}
	link, file := filepath.Join(temporary, temporaryName+"link"), filepath.Join(temporary, temporaryName+"file")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stays := []string{outside, held, other, link, file, filepath.Join(outside, "tmp", "deep", "file")}
	if os.Geteuid() == 0 {
		theirs := made(temporaryName + "theirs")
		if err := os.Lchown(theirs, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		stays = append(stays, theirs)
	}
	lock, err := hold(held)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Sweep(time.Now()); n != 0 || err != nil {
		t.Errorf("what has just been made: %d, %v", n, err)
	}
	later := time.Now().Add(2 * sweepAge)
	if n, err := Sweep(later); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("it is there still: %v", err)
	}
	for _, name := range stays {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
	if err := lock.Close(); err != nil { // its process has ended
		t.Fatal(err)
	}
	if n, err := Sweep(later); n != 1 || err != nil {
		t.Errorf("once it is free: %d, %v", n, err)
	}
}

// A command's directory is held from its making to its end, and goes then.
func TestACommandsDirectoryIsHeldUntilItsEnd(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := &Started{}
	temporary, err := s.makeTemporary(&exec.Cmd{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Sweep(time.Now().Add(2 * sweepAge)); n != 0 || err != nil {
		t.Errorf("%d of a command that runs, %v", n, err)
	}
	if _, err := os.Lstat(temporary); err != nil {
		t.Error(err)
	}
	s.Ended()
	if _, err := os.Lstat(s.dir); !os.IsNotExist(err) {
		t.Errorf("after the end: %v", err)
	}
}
