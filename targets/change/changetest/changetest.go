// Package changetest tests the steps of a change over a target's own file system: what they make, that nothing is changed where
// one of them fails, what is there after a crash between any two of them, and that nobody else's work is lost. It is for
// tests of targets. It works in directories of the test alone. Begin with Run.
package changetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
)

// Backend is a target whose files are this machine's.
type Backend struct {
	// Target is asked for states, and sweeps.
	Target targets.FileTarget
	// Open is the target's file system for a change. release ends it.
	Open func(t *testing.T, c *targets.Change) (fs change.FS, release func())
	// Atomic says that the target exchanges names in one step: then a change by somebody else is never lost.
	Atomic bool
	// Plain says that the target can give no file a free name in one step.
	Plain bool
}

const id = "change-1"

// operation is a change, with what is there before it and after it: names with their content; "dir" for directories, "-> " and a
// text for links. A mode other than 0600 follows a file's content, behind a bar.
type operation struct {
	name          string
	before, after map[string]string
	change        func(b *Backend, t *testing.T, dir string) targets.Change
}

const oldText, newText, otherText = "what was there", "what is to be there", "somebody else's"

func operations() []operation {
	write := func(b *Backend, t *testing.T, dir string) targets.Change {
		text := strings.Repeat(newText, 10_000) // several pieces
		return own(targets.Change{
			ID: id, Op: targets.Write, Path: dir + "/f", Mode: 0o640, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text)),
			Content: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }, Was: state(b, t, dir+"/f"),
		})
	}
	written := map[string]string{"f": strings.Repeat(newText, 10_000) + "|640"}
	link := func(b *Backend, t *testing.T, dir string) targets.Change {
		return own(targets.Change{ID: id, Op: targets.Symlink, Path: dir + "/f", To: newText, Was: state(b, t, dir+"/f")})
	}
	rename := func(b *Backend, t *testing.T, dir string) targets.Change {
		return targets.Change{ID: id, Op: targets.Rename, Path: dir + "/f", To: dir + "/sub/g", Was: state(b, t, dir+"/f"), WasTo: state(b, t, dir+"/sub/g")}
	}
	removal := func(op targets.FileOp) func(b *Backend, t *testing.T, dir string) targets.Change {
		return func(b *Backend, t *testing.T, dir string) targets.Change {
			return targets.Change{ID: id, Op: op, Path: dir + "/f", Was: state(b, t, dir+"/f")}
		}
	}
	attributes := func(op targets.FileOp) func(b *Backend, t *testing.T, dir string) targets.Change {
		return func(b *Backend, t *testing.T, dir string) targets.Change {
			return own(targets.Change{ID: id, Op: op, Path: dir + "/f", Mode: 0o640, Was: state(b, t, dir+"/f")})
		}
	}
	return []operation{
		{"write a new file", nil, written, write},
		{"write over a file", map[string]string{"f": oldText}, written, write},
		{"write over a link", map[string]string{"f": "-> " + oldText}, written, write},
		{"make a directory", nil, map[string]string{"f": "dir"}, func(_ *Backend, _ *testing.T, dir string) targets.Change {
			return own(targets.Change{ID: id, Op: targets.Mkdir, Path: dir + "/f", Mode: 0o750})
		}},
		{"make a link", nil, map[string]string{"f": "-> " + newText}, link},
		{"make a link over a file", map[string]string{"f": oldText}, map[string]string{"f": "-> " + newText}, link},
		{"delete a file", map[string]string{"f": oldText}, nil, removal(targets.Delete)},
		{"delete a link", map[string]string{"f": "-> " + oldText}, nil, removal(targets.Delete)},
		{"remove a directory", map[string]string{"f": "dir"}, nil, removal(targets.Rmdir)},
		{"change the mode", map[string]string{"f": oldText}, map[string]string{"f": oldText + "|640"}, attributes(targets.Chmod)},
		{"change the owner", map[string]string{"f": oldText}, map[string]string{"f": oldText + "|640"}, attributes(targets.Chown)},
		{"change the time", map[string]string{"f": oldText}, map[string]string{"f": oldText}, attributes(targets.Touch)},
		{"rename", map[string]string{"sub": "dir", "f": oldText}, map[string]string{"sub": "dir", "sub/g": oldText}, rename},
		{"rename over a file", map[string]string{"sub": "dir", "f": oldText, "sub/g": otherText}, map[string]string{"sub": "dir", "sub/g": oldText}, rename},
	}
}

// own makes a change's owner the one who runs the test.
func own(c targets.Change) targets.Change {
	c.UID, c.GID = uint32(os.Getuid()), uint32(os.Getgid())
	return c
}

func state(b *Backend, t *testing.T, name string) *targets.State {
	t.Helper()
	s, err := b.Target.State(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lay makes what is there before.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, pass := range []bool{true, false} { // directories first
		for name, text := range files {
			var err error
			switch at := filepath.Join(dir, name); {
			case (text == "dir") != pass:
			case text == "dir":
				err = os.Mkdir(at, 0o700)
			case strings.HasPrefix(text, "-> "):
				err = os.Symlink(text[3:], at)
			default:
				err = os.WriteFile(at, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// tree is what is there, and temps the temporary names among it.
func tree(t *testing.T, dir string) (files map[string]string, temps int) {
	t.Helper()
	files = map[string]string{}
	err := filepath.WalkDir(dir, func(at string, d os.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		if strings.HasPrefix(d.Name(), targets.TempPrefix) {
			temps++
			return nil
		}
		name := strings.TrimPrefix(at, dir+"/")
		switch {
		case d.IsDir():
			files[name] = "dir"
		case d.Type()&os.ModeSymlink != 0:
			text, err := os.Readlink(at)
			files[name] = "-> " + text
			return err
		default:
			text, err := os.ReadFile(at)
			info, err2 := d.Info()
			if files[name] = string(text); err2 == nil && info.Mode() != 0o600 {
				files[name] += fmt.Sprintf("|%o", info.Mode())
			}
			return errors.Join(err, err2)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, temps
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, text := range a {
		if b[name] != text {
			return false
		}
	}
	return true
}

// short is a tree for a message.
func short(files map[string]string) string {
	cut := map[string]string{}
	for name, text := range files {
		cut[name] = fmt.Sprintf("%.40s", text)
	}
	return fmt.Sprint(cut)
}

func direct(do func() error) error { return do() }

// attempt makes a change over a file system that watch has wrapped.
func (b *Backend) attempt(t *testing.T, dir string, o operation, at int, what interference) (w *watched, err error) {
	t.Helper()
	c := o.change(b, t, dir)
	fs, release := b.Open(t, &c)
	defer release()
	w = &watched{FS: fs, at: at, what: what, crashed: new(bool), step: new(int)}
	return w, change.Apply(context.WithoutCancel(t.Context()), w, &c, direct)
}

// Run runs all tests.
func Run(t *testing.T, b Backend) {
	for _, o := range operations() {
		if b.Plain && o.name == "rename" {
			continue // such a target refuses it
		}
		t.Run(o.name, func(t *testing.T) {
			t.Run("it is made", func(t *testing.T) { b.made(t, o) })
			t.Run("a step fails", func(t *testing.T) { b.failing(t, o) })
			t.Run("a crash", func(t *testing.T) { b.crashing(t, o) })
			if strings.HasPrefix(o.name, "delete ") && !b.Plain {
				t.Run("somebody else, and a crash", func(t *testing.T) { b.racingAndCrashing(t, o) })
			}
			// Where a target cannot exchange names, another's change may be lost between a look and the step after it. Attributes
			// are those of a file that is held, on every target.
			held := strings.HasPrefix(o.name, "change the ")
			if was := o.before["f"]; (b.Atomic || held) && was != "" && was != "dir" {
				t.Run("somebody else", func(t *testing.T) { b.racing(t, o) })
			}
		})
	}
}

func (b *Backend) made(t *testing.T, o operation) {
	dir := t.TempDir()
	lay(t, dir, o.before)
	if _, err := b.attempt(t, dir, o, -1, nil); err != nil {
		t.Fatal(err)
	}
	if got, temps := tree(t, dir); !same(got, o.after) || temps != 0 {
		t.Errorf("%s, %d temporary names", short(got), temps)
	}
}

// each calls try with the number of each step, until try says that there is no such step.
func each(t *testing.T, try func(at int) (more bool)) {
	t.Helper()
	for at := 0; try(at); at++ {
		if at > 100 {
			t.Fatal("no end of steps")
		}
	}
}

// failing lets one step after the other fail before it has done anything.
func (b *Backend) failing(t *testing.T, o operation) {
	each(t, func(at int) bool {
		dir := t.TempDir()
		lay(t, dir, o.before)
		w, err := b.attempt(t, dir, o, at, func(string) error { return syscall.EIO })
		if w.met == "" {
			return false
		}
		got, temps := tree(t, dir)
		done := w.met == "Sync" // all is done, and may not be durable
		switch {
		case err == nil:
			t.Errorf("%s fails, and nobody hears of it", w.met)
		case done && !same(got, o.after), !done && !same(got, o.before), temps != 0:
			t.Errorf("after %s: %s, %d temporary names: %v", w.met, short(got), temps, err)
		}
		return true
	})
}

var errCrash = errors.New("the machine has crashed")

// crashing lets nothing happen from one step on.
func (b *Backend) crashing(t *testing.T, o operation) {
	each(t, func(at int) bool {
		dir := t.TempDir()
		lay(t, dir, o.before)
		w, _ := b.attempt(t, dir, o, at, func(string) error { return errCrash })
		if w.met == "" {
			return false
		}
		if err := b.Target.Sweep(t.Context(), id, dir+"/f"); err != nil {
			t.Error(err)
		}
		got, temps := tree(t, dir)
		// Between the exchange of a renaming and the removal of what was replaced both are there.
		exchanged := o.before["sub/g"] != "" && got["sub/g"] == o.before["f"] && got["f"] == o.before["sub/g"]
		if !same(got, o.before) && !same(got, o.after) && !exchanged || temps != 0 {
			t.Errorf("a crash before %s: %s, %d temporary names", w.met, short(got), temps)
		}
		return true
	})
}

// racing lets somebody else put another file in the place of the one that is changed, before one step after the other.
func (b *Backend) racing(t *testing.T, o operation) {
	each(t, func(at int) bool {
		dir := t.TempDir()
		lay(t, dir, o.before)
		w, err := b.attempt(t, dir, o, at, func(string) error {
			theirs := filepath.Join(dir, "theirs")
			return errors.Join(os.WriteFile(theirs, []byte(otherText+"!"), 0o600), os.Rename(theirs, dir+"/f"))
		})
		if w.met == "" {
			return false
		}
		got, temps := tree(t, dir)
		if got["f"] != otherText+"!" && got["sub/g"] != otherText+"!" || temps != 0 {
			t.Errorf("another file before %s: %s, %d temporary names: %v", w.met, short(got), temps, err)
		}
		if err != nil && !errors.Is(err, targets.ErrConflict) {
			t.Errorf("before %s: %v", w.met, err)
		}
		return true
	})
}

// racingAndCrashing lets somebody else put another file in the place of the one that is removed, and a crash come before anybody has
// looked at it: it is not removed at the next start either.
func (b *Backend) racingAndCrashing(t *testing.T, o operation) {
	dir := t.TempDir()
	lay(t, dir, o.before)
	c := o.change(b, t, dir)
	fs, release := b.Open(t, &c)
	defer release()
	w := &watched{FS: fs, at: -1, crashed: new(bool), step: new(int)}
	raced := false
	w.what = func(step string) error {
		w.at = *w.step // the next one
		switch {
		case raced:
			return errCrash
		case step == "Rename":
			raced = true
			theirs := filepath.Join(dir, "theirs")
			return errors.Join(os.WriteFile(theirs, []byte(otherText), 0o600), os.Rename(theirs, dir+"/f"))
		}
		return nil
	}
	w.at = 0
	if err := change.Apply(context.WithoutCancel(t.Context()), w, &c, direct); !errors.Is(err, errCrash) {
		t.Error(err)
	}
	for range 2 { // once more does no harm
		if err := b.Target.Sweep(t.Context(), id, dir+"/f"); err != nil {
			t.Error(err)
		}
		if got, temps := tree(t, dir); !same(got, map[string]string{"f": otherText}) || temps != 0 {
			t.Errorf("%s, %d temporary names", short(got), temps)
		}
	}
}

// interference is what happens before a step. Its error is the step's, which is not made then.
type interference func(step string) error

// watched counts the steps of a change, and lets something happen before one of them.
type watched struct {
	change.FS
	at      int
	what    interference
	step    *int
	crashed *bool
	met     string // the step before which it happened
}

// before is called before each step.
func (w *watched) before(step string) error {
	if *w.crashed {
		return errCrash
	}
	n := *w.step
	*w.step++
	if n != w.at {
		return nil
	}
	w.met = step
	err := w.what(step)
	*w.crashed = errors.Is(err, errCrash)
	return err
}

func (w *watched) Look(name string, hash bool) (change.Seen, error) {
	if err := w.before("Look"); err != nil {
		return change.Seen{}, err
	}
	return w.FS.Look(name, hash)
}

func (w *watched) Still(name string, seen change.Seen, thorough bool) (bool, error) {
	if err := w.before("Still"); err != nil {
		return false, err
	}
	return w.FS.Still(name, seen, thorough)
}

func (w *watched) NewFile(temp string) (change.File, error) {
	if err := w.before("NewFile"); err != nil {
		return nil, err
	}
	f, err := w.FS.NewFile(temp)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w}, nil
}

type watchedFile struct {
	change.File
	w *watched
}

func (f *watchedFile) Write(p []byte) (int, error) {
	if err := f.w.before("Write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *watchedFile) Finish(a change.Attributes) error {
	if err := f.w.before("Finish"); err != nil {
		return err
	}
	return f.File.Finish(a)
}

func (w *watched) NewDir(temp string, a change.Attributes) error {
	if err := w.before("NewDir"); err != nil {
		return err
	}
	return w.FS.NewDir(temp, a)
}

func (w *watched) NewLink(temp, text string, a change.Attributes) error {
	if err := w.before("NewLink"); err != nil {
		return err
	}
	return w.FS.NewLink(temp, text, a)
}

func (w *watched) Rename(from, to string) error {
	if err := w.before("Rename"); err != nil {
		return err
	}
	return w.FS.Rename(from, to)
}

func (w *watched) Place(from, to string) error {
	if err := w.before("Place"); err != nil {
		return err
	}
	return w.FS.Place(from, to)
}

func (w *watched) Exchange(from, to string) error {
	if err := w.before("Exchange"); err != nil {
		return err
	}
	return w.FS.Exchange(from, to)
}

func (w *watched) Replace(from, to string) error {
	if err := w.before("Replace"); err != nil {
		return err
	}
	return w.FS.Replace(from, to)
}

func (w *watched) Remove(name string) error {
	if err := w.before("Remove"); err != nil {
		return err
	}
	return w.FS.Remove(name)
}

func (w *watched) RemoveDir(name string) error {
	if err := w.before("RemoveDir"); err != nil {
		return err
	}
	return w.FS.RemoveDir(name)
}

func (w *watched) Discard(temp string) error {
	if err := w.before("Discard"); err != nil {
		return err
	}
	return w.FS.Discard(temp)
}

func (w *watched) Sync(dir string) error {
	if err := w.before("Sync"); err != nil {
		return err
	}
	return w.FS.Sync(dir)
}

func (w *watched) Hold(name string, seen change.Seen) (change.Held, error) {
	if err := w.before("Hold"); err != nil {
		return nil, err
	}
	h, err := w.FS.Hold(name, seen)
	if err != nil {
		return nil, err
	}
	return &watchedHeld{h, w}, nil
}

type watchedHeld struct {
	change.Held
	w *watched
}

func (h *watchedHeld) Chown(uid, gid uint32) error {
	if err := h.w.before("Chown"); err != nil {
		return err
	}
	return h.Held.Chown(uid, gid)
}

func (h *watchedHeld) Chmod(mode uint32) error {
	if err := h.w.before("Chmod"); err != nil {
		return err
	}
	return h.Held.Chmod(mode)
}

func (h *watchedHeld) Touch(at time.Time) error {
	if err := h.w.before("Touch"); err != nil {
		return err
	}
	return h.Held.Touch(at)
}

func (h *watchedHeld) Sync() error {
	if err := h.w.before("Sync"); err != nil {
		return err
	}
	return h.Held.Sync()
}

func (w *watched) Undoing() (change.FS, func()) {
	fs, release := w.FS.Undoing()
	return &watched{FS: fs, at: w.at, what: w.what, step: w.step, crashed: w.crashed}, release
}
