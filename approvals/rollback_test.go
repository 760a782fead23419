//go:build linux

package approvals_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/rollback"
	"shannot-gateway/targets"
)

// printed is everything below a directory that a rollback restores, and that a commit must make as the script saw it.
func printed(t *testing.T, root string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o %d:%d", strings.TrimPrefix(name, root), st.Mode, st.Uid, st.Gid)
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			text, err := os.Readlink(name)
			if err != nil {
				return err
			}
			line += " -> " + text
		case e.Type().IsRegular():
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %q", text)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// seen is the same of the script's view.
func (d *desk) seen(t *testing.T) string {
	t.Helper()
	var out []string
	var walk func(name string)
	walk = func(name string) {
		info, err := d.view.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %o %d:%d", strings.TrimPrefix(name, d.host), info.Mode, info.UID, info.GID)
		switch {
		case info.IsSymlink():
			text, err := d.view.Readlink(name)
			if err != nil {
				t.Fatal(err)
			}
			line += " -> " + text
		case info.IsRegular():
			f, err := d.view.Open(name, unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fd, err := f.Descriptor(unix.O_RDONLY)
			if err != nil {
				t.Fatal(err)
			}
			file := os.NewFile(uintptr(fd), name)
			text := make([]byte, 1000)
			n, _ := file.Read(text)
			_ = errors.Join(file.Close(), f.Close())
			line += fmt.Sprintf(" %q", text[:n])
		}
		out = append(out, line)
		if !info.IsDir() {
			return
		}
		f, err := d.view.Open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		entries, err := f.ReadDir()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries[2:] {
			walk(name + "/" + e.Name)
		}
	}
	walk(d.host)
	return strings.Join(out, "\n")
}

// step does one random thing in the view; what the view refuses is left out.
func (d *desk) step(r *rand.Rand) {
	names := []string{"a", "b", "dir", "dir/a", "dir/b", "dir/sub", "dir/sub/a", "link", "new"}
	one, two := d.at(names[r.IntN(len(names))]), d.at(names[r.IntN(len(names))])
	switch r.IntN(9) {
	case 0, 1:
		if f, err := d.view.Open(one, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOFOLLOW, 0o640); err == nil {
			if fd, err := f.Descriptor(unix.O_WRONLY | unix.O_APPEND); err == nil {
				_, _ = unix.Write(fd, []byte{byte('a' + r.IntN(26))})
				_ = unix.Close(fd)
			}
			_ = f.Close()
		}
	case 2:
		_ = d.view.Unlink(one)
	case 3:
		_ = d.view.Mkdir(one, 0o750)
	case 4:
		_ = d.view.Rmdir(one)
	case 5:
		_ = d.view.Rename(one, two, 0)
	case 6:
		_ = d.view.Symlink(filepath.Base(two), one)
	case 7:
		_ = d.view.Chmod(one, 0o700|uint32(r.IntN(64)), false) // directories must stay passable
	case 8:
		_ = d.view.Link(one, two, false)
	}
}

// TestRandomChangesAreMadeAndRolledBack lets scripts do random things in two groups, approves all, and compares the host
// with what the script saw; then it rolls back, and compares with what was there at first.
func TestRandomChangesAreMadeAndRolledBack(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 4
	}
	d := newDesk(t, nil)
	for seed := range rounds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { d.randomRound(t, uint64(seed)) }) {
			return
		}
	}
}

func (d *desk) randomRound(t *testing.T, seed uint64) {
	if err := os.RemoveAll(d.host); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.at("dir/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "dir/a", "dir/sub/a"} {
		d.plant(name, "at "+name)
	}
	if err := os.Symlink("a", d.at("link")); err != nil {
		t.Fatal(err)
	}
	before := printed(t, d.host)
	s := d.sit(d.begin())
	r := rand.New(rand.NewPCG(seed, 7))
	approve := func() {
		for _, o := range s.session().Operations {
			if o.Decision == journal.Waiting {
				s.approve()
				return
			}
		}
	}
	for range 2 { // a group before a command, and one at the end
		for range 12 {
			s.step(r)
		}
		if len(s.view.Changes()) == 0 {
			continue
		}
		result := start(s.live, command(nil, "true"))
		s.waitHeld()
		approve()
		res := <-result
		mustRun(t, res.process, res.err)
		if host, view := printed(t, d.host), s.seen(t); host != view {
			t.Fatalf("the host holds\n%s\nthe script sees\n%s\noperations: %s", host, view, operations(s.session()))
		}
	}
	if err := <-s.finish(); err != nil {
		t.Fatal(err)
	}
	got := s.session()
	if got.Status != journal.StatusDone {
		t.Fatalf("session %s, %s: %s", got.Status, got.Reason, operations(got))
	}
	steps, err := d.Rollback(context.Background(), got.ID, alice, false, false)
	if err != nil && !errors.Is(err, rollback.ErrNothing) {
		t.Fatalf("rollback: %v\n%+v\noperations: %s", err, steps, operations(got))
	}
	if after := printed(t, d.host); after != before {
		t.Errorf("after the rollback the host holds\n%s\nbefore it held\n%s\noperations: %s", after, before, operations(got))
	}
}

func TestRollbackThatACrashCutIsDoneAgain(t *testing.T) {
	for _, made := range []bool{false, true} {
		t.Run(fmt.Sprint("made ", made), func(t *testing.T) {
			d := newDesk(t, nil)
			d.plant("a", "old")
			d.plant("b", "old")
			d.write("a", "new")
			d.write("b", "new")
			done := d.finish()
			d.waitHeld()
			d.approve()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			dead := &dying{FileTarget: d.target, make: made, dies: make(chan struct{})}
			config := d.config
			config.Target = func(string) targets.Target { return dead }
			dies, err := approvals.New(config)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = dies.Rollback(context.Background(), d.live.ID(), alice, false, false) }()
			<-dead.dies
			after, err := approvals.New(d.config)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := after.Rollback(t.Context(), d.live.ID(), alice, false, false); err != nil {
				t.Fatal(err)
			}
			d.holds("a", "old")
			d.holds("b", "old")
			s := d.session()
			if s.Status != journal.StatusRolledBack || s.Operations[2].Decision != journal.Unknown {
				t.Errorf("session %s: %s", s.Status, operations(s))
			}
			for _, err := range s.Sound() {
				t.Error(err)
			}
		})
	}
}

func TestScratchThatACrashLeftOnTheTargetIsRemoved(t *testing.T) {
	d := newDesk(t, nil)
	scratch := filepath.Join(d.dir, "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	d.put(scratch+"/data", "text")
	result := start(d.live, command(nil, "wc", "-l", scratch+"/data"))
	d.waitHeld()
	d.approve()
	r := <-result
	mustRun(t, r.process, r.err)
	if text, err := os.ReadFile(scratch + "/data"); err != nil || string(text) != "text" {
		t.Fatalf("while the session lives the target has %q, %v", text, err)
	}
	if _, err := approvals.New(d.config); err != nil { // the next gateway; the session was never ended
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(scratch); err != nil || len(entries) != 0 {
		t.Errorf("left in scratch: %v, %v", entries, err)
	}
	if s := d.session(); len(s.Placed) != 0 || s.Status != journal.StatusFailed {
		t.Errorf("session %s, placed %q", s.Status, s.Placed)
	}
}
