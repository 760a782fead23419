//go:build linux

package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
)

// writing is the change that puts text at a path; was is what is there.
func writing(path, text string, mode uint32, was *targets.State) targets.Change {
	return targets.Change{
		ID: "test-1", Op: targets.Write, Path: path, Mode: mode, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		Content: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		Size:    int64(len(text)), SHA256: sha256.Sum256([]byte(text)), Was: was,
	}
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, l *Local, path string) *targets.State {
	t.Helper()
	s, err := l.State(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holds checks a file's content, and that no temporary file is left beside it.
func holds(t *testing.T, path, want string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%s holds %q, %v; want %q", path, text, err, want)
	}
	noTemps(t, filepath.Dir(path))
}

func noTemps(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), targets.TempPrefix) {
			t.Errorf("%s was left in %s", e.Name(), dir)
		}
	}
}

func TestChangesAreMadeAsTheyWereDecided(t *testing.T) {
	l, dir := newLocal(t, ""), t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	apply := func(c targets.Change) {
		t.Helper()
		if c.ID == "" {
			c.ID = "test-2"
		}
		if err := l.Apply(t.Context(), c); err != nil {
			t.Fatalf("%s %s: %v", c.Op, c.Path, err)
		}
	}
	own := func(c targets.Change) targets.Change {
		c.UID, c.GID = uint32(os.Getuid()), uint32(os.Getgid())
		return c
	}
	apply(writing(p("new"), "one", 0o640, nil))
	holds(t, p("new"), "one")
	if s := state(t, l, p("new")); s.Perm() != 0o640 || s.Size != 3 || s.SHA256 != sha256.Sum256([]byte("one")) || !s.Hashed {
		t.Errorf("state %+v", s)
	}
	apply(writing(p("new"), "two", 0o600, state(t, l, p("new"))))
	holds(t, p("new"), "two")
	apply(own(targets.Change{Op: targets.Mkdir, Path: p("dir"), Mode: 0o2750}))
	if s := state(t, l, p("dir")); !s.IsDir() || s.Perm() != 0o2750 {
		t.Errorf("directory %+v", s)
	}
	apply(own(targets.Change{Op: targets.Symlink, Path: p("link"), To: "/no/such place"}))
	if s := state(t, l, p("link")); !s.IsLink() || s.Link != "/no/such place" {
		t.Errorf("link %+v", s)
	}
	apply(own(targets.Change{Op: targets.Symlink, Path: p("link"), To: "other", Was: state(t, l, p("link"))}))
	if s := state(t, l, p("link")); s.Link != "other" {
		t.Errorf("link %+v", s)
	}
	apply(targets.Change{Op: targets.Rename, Path: p("new"), To: p("dir/moved"), Was: state(t, l, p("new"))})
	holds(t, p("dir/moved"), "two")
	put(t, p("over"), "gone soon", 0o644)
	apply(targets.Change{Op: targets.Rename, Path: p("dir/moved"), To: p("over"), Was: state(t, l, p("dir/moved")), WasTo: state(t, l, p("over"))})
	holds(t, p("over"), "two")
	apply(targets.Change{Op: targets.Chmod, Path: p("over"), Mode: 0o4711, Was: state(t, l, p("over"))})
	if s := state(t, l, p("over")); s.Perm() != 0o4711 {
		t.Errorf("mode %04o", s.Perm())
	}
	apply(own(targets.Change{Op: targets.Chown, Path: p("over"), Mode: 0o4711, Was: state(t, l, p("over"))}))
	if s := state(t, l, p("over")); s.Perm() != 0o4711 {
		t.Errorf("mode after chown %04o", s.Perm())
	}
	apply(targets.Change{Op: targets.Touch, Path: p("over"), Mtime: time.Unix(1000, 0), Was: state(t, l, p("over"))})
	if s := state(t, l, p("over")); !s.Mtime.Equal(time.Unix(1000, 0)) {
		t.Errorf("time %v", s.Mtime)
	}
	apply(targets.Change{Op: targets.Delete, Path: p("over"), Was: state(t, l, p("over"))})
	apply(targets.Change{Op: targets.Delete, Path: p("link"), Was: state(t, l, p("link"))})
	apply(targets.Change{Op: targets.Rmdir, Path: p("dir"), Was: state(t, l, p("dir"))})
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestReplacedFileKeepsItsExtendedAttributesButNotItsCapabilities(t *testing.T) {
	l, name := newLocal(t, ""), filepath.Join(t.TempDir(), "file")
	put(t, name, "one", 0o644)
	if err := unix.Setxattr(name, "user.note", []byte("kept"), 0); err != nil {
		t.Skip("this file system keeps no attributes:", err)
	}
	if err := l.Apply(t.Context(), writing(name, "two", 0o644, state(t, l, name))); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 16)
	if n, err := unix.Getxattr(name, "user.note", value); err != nil || string(value[:n]) != "kept" {
		t.Errorf("attribute %q, %v", value[:max(n, 0)], err)
	}
}

// TestWhatChangedSinceIsAConflict changes the target between the decision and the change, in each way that matters.
func TestWhatChangedSinceIsAConflict(t *testing.T) {
	l := newLocal(t, "")
	for name, attack := range map[string]func(t *testing.T, path string){
		"another content":             func(t *testing.T, p string) { put(t, p, "OTHER", 0o644) },
		"the same size and time":      sameSizeAndTime,
		"another mode":                func(t *testing.T, p string) { put(t, p, "first", 0o600) },
		"it is gone":                  func(t *testing.T, p string) { _ = os.Remove(p) },
		"a link to a hidden file":     func(t *testing.T, p string) { _ = os.Remove(p); symlink(t, p+"-secret", p) },
		"a directory":                 func(t *testing.T, p string) { _ = os.Remove(p); _ = os.Mkdir(p, 0o755) },
		"a link instead of a folder":  folderBecomesLink,
		"a FIFO that nobody writes":   func(t *testing.T, p string) { _ = os.Remove(p); _ = unix.Mkfifo(p, 0o644) },
		"nothing, nor its folder now": func(t *testing.T, p string) { _ = os.RemoveAll(filepath.Dir(p)) },
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			path := filepath.Join(top, "folder", "file")
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, path, "first", 0o644)
			put(t, path+"-secret", "secret", 0o600)
			was := state(t, l, path)
			attack(t, path)
			for _, c := range []targets.Change{
				writing(path, "mine", 0o644, was),
				{ID: "t", Op: targets.Delete, Path: path, Was: was},
				{ID: "t", Op: targets.Rename, Path: path, To: filepath.Join(top, "to"), Was: was},
				{ID: "t", Op: targets.Chmod, Path: path, Mode: 0o777, Was: was},
				{ID: "t", Op: targets.Touch, Path: path, Was: was},
				{ID: "t", Op: targets.Symlink, Path: path, To: "x", Was: was},
				writing(path, "mine", 0o644, &targets.State{Mode: syscall.S_IFREG | 0o600}),
			} {
				if err := l.Apply(t.Context(), c); !errors.Is(err, targets.ErrConflict) {
					t.Errorf("%s: %v, want a conflict", c.Op, err)
				}
			}
			if name != "it is gone" && name != "nothing, nor its folder now" {
				for _, c := range []targets.Change{writing(path, "mine", 0o644, nil), {ID: "t", Op: targets.Mkdir, Path: path, Mode: 0o755}} {
					if err := l.Apply(t.Context(), c); !errors.Is(err, targets.ErrConflict) {
						t.Errorf("%s where nothing was expected: %v, want a conflict", c.Op, err)
					}
				}
			}
			if text, err := os.ReadFile(path + "-secret"); err == nil && string(text) != "secret" {
				t.Errorf("the secret holds %q", text)
			}
			if _, err := os.Lstat(filepath.Join(top, "to")); err == nil {
				t.Error("it was moved")
			}
		})
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func sameSizeAndTime(t *testing.T, p string) {
	st, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, "FIRST", 0o644)
	if err := os.Chtimes(p, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func folderBecomesLink(t *testing.T, p string) {
	folder := filepath.Dir(p)
	if err := os.Rename(folder, folder+"-real"); err != nil {
		t.Fatal(err)
	}
	symlink(t, folder+"-real", folder)
}

func TestContentThatIsNotTheDecidedOneIsNotWritten(t *testing.T) {
	l, name := newLocal(t, ""), filepath.Join(t.TempDir(), "file")
	put(t, name, "old", 0o644)
	was := state(t, l, name)
	for what, other := range map[string]string{"shorter": "ab", "longer": "abcdef", "another": "xyz"} {
		c := writing(name, "abc", 0o644, was)
		c.Content = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(other)), nil }
		if err := l.Apply(t.Context(), c); err == nil {
			t.Errorf("%s content was taken", what)
		}
		holds(t, name, "old")
	}
	c := writing(name, "abc", 0o644, was)
	c.Content = func() (io.ReadCloser, error) { return nil, errors.New("the store lost it") }
	if err := l.Apply(t.Context(), c); err == nil {
		t.Error("a missing content was taken")
	}
	holds(t, name, "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Apply(ctx, writing(name, "abc", 0o644, was)); err == nil {
		t.Error("it was written after the end of its context")
	}
	holds(t, name, "old")
}

func TestSweepRemovesWhatOneInterruptedChangeLeft(t *testing.T) {
	l, dir := newLocal(t, ""), t.TempDir()
	for _, name := range []string{".shannot-abc-1-0011223344556677.tmp", ".shannot-abc-2-0011223344556677.tmp", ".shannot-other", "file"} {
		put(t, filepath.Join(dir, name), "x", 0o600)
	}
	if err := os.Mkdir(filepath.Join(dir, ".shannot-abc-1-dir.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Sweep(t.Context(), "abc-1", filepath.Join(dir, "file")); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != ".shannot-abc-2-0011223344556677.tmp .shannot-other file" {
		t.Errorf("left: %s", got)
	}
	if err := l.Sweep(t.Context(), "../x", filepath.Join(dir, "file")); err == nil {
		t.Error("an id that is no id was taken")
	}
}

// TestChangesAreMadeWithTheAccountsRights has root change files for another user: the kernel decides as for that one.
func TestChangesAreMadeWithTheAccountsRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	l := newLocal(t, "nobody")
	a := l.Account()
	top := t.TempDir()
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	for up := top; up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
		_ = os.Chmod(up, 0o755) // #nosec G302 -- t.TempDir is for its owner only
	}
	theirs, roots := filepath.Join(top, "theirs"), filepath.Join(top, "roots")
	for _, d := range []string{theirs, roots} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(theirs, int(a.UID), int(a.GID)); err != nil {
		t.Fatal(err)
	}
	c := writing(filepath.Join(theirs, "new"), "text", 0o644, nil)
	c.UID, c.GID = a.UID, a.GID
	if err := l.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s := state(t, l, c.Path); s.UID != a.UID || s.GID != a.GID {
		t.Errorf("the new file belongs to %d:%d", s.UID, s.GID)
	}

	// The content may be where the account cannot look; what it owns it can change in every way.
	kept := filepath.Join(top, "kept")
	put(t, kept, "kept", 0o600)
	c.Content = func() (io.ReadCloser, error) { return os.Open(kept) }
	c.Size, c.SHA256, c.Was, c.Mode = 4, sha256.Sum256([]byte("kept")), state(t, l, c.Path), 0o600
	for _, one := range []targets.Change{
		c, {ID: "t", Op: targets.Chmod, Path: c.Path, Mode: 0o640}, {ID: "t", Op: targets.Chown, Path: c.Path, UID: a.UID, GID: a.GID, Mode: 0o644},
		{ID: "t", Op: targets.Touch, Path: c.Path, Mtime: time.Unix(9, 0)}, {ID: "t", Op: targets.Rename, Path: c.Path, To: c.Path + "2"},
		{ID: "t", Op: targets.Rename, Path: c.Path + "2", To: c.Path}, {ID: "t", Op: targets.Mkdir, Path: c.Path + "-dir", UID: a.UID, GID: a.GID, Mode: 0o700},
		{ID: "t", Op: targets.Rmdir, Path: c.Path + "-dir"}, {ID: "t", Op: targets.Symlink, Path: c.Path + "-link", To: "x", UID: a.UID, GID: a.GID},
		{ID: "t", Op: targets.Delete, Path: c.Path + "-link"},
	} {
		one.Was = state(t, l, one.Path)
		if err := l.Apply(t.Context(), one); err != nil {
			t.Fatalf("%s of its own: %v", one.Op, err)
		}
	}
	holds(t, c.Path, "kept")

	mine := filepath.Join(theirs, "root-owned")
	put(t, mine, "root's", 0o644)
	held := state(t, l, mine)
	secret := filepath.Join(roots, "file")
	put(t, secret, "root's", 0o666)
	for what, c := range map[string]targets.Change{
		"a new file in a folder of root":             writing(filepath.Join(roots, "new"), "x", 0o644, nil),
		"a file of root in its own folder":           writing(mine, "x", 0o644, held),
		"a file that it may write, not its folder":   writing(secret, "x", 0o666, state(t, l, secret)),
		"a file given to root":                       {ID: "t", Op: targets.Chown, Path: c.Path, Mode: 0o644, Was: state(t, l, c.Path)},
		"the mode of root's file":                    {ID: "t", Op: targets.Chmod, Path: mine, Mode: 0o4755, Was: held},
		"the owner of root's file":                   {ID: "t", Op: targets.Chown, Path: mine, UID: a.UID, GID: a.GID, Mode: 0o644, Was: held},
		"the removal of root's file":                 {ID: "t", Op: targets.Delete, Path: secret, Was: state(t, l, secret)},
		"a directory in root's folder":               {ID: "t", Op: targets.Mkdir, Path: filepath.Join(roots, "d"), Mode: 0o755},
		"a link in root's folder":                    {ID: "t", Op: targets.Symlink, Path: filepath.Join(roots, "l"), To: "x"},
		"a move out of root's folder":                {ID: "t", Op: targets.Rename, Path: secret, To: filepath.Join(theirs, "moved"), Was: state(t, l, secret)},
		"a set-group-ID file of a group not its own": {ID: "t", Op: targets.Chown, Path: c.Path, UID: a.UID, GID: 0, Mode: 0o2755, Was: state(t, l, c.Path)},
	} {
		err := l.Apply(t.Context(), c)
		if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) {
			t.Errorf("%s: %v, want EACCES or EPERM", what, err)
		}
	}
	holds(t, mine, "root's")
	holds(t, secret, "root's")
	holds(t, c.Path, "kept")
	if s := state(t, l, c.Path); s.UID != a.UID || s.Perm() != 0o644 {
		t.Errorf("after refusals %+v", s)
	}
	// The rights of the rest of the process are what they were.
	if err := os.WriteFile(filepath.Join(roots, "by-root"), nil, 0o600); err != nil {
		t.Error(err)
	}
	// What the account may remove but not read is verified all the same.
	unreadable := filepath.Join(theirs, "unreadable")
	put(t, unreadable, "hidden", 0o600)
	if err := l.Apply(t.Context(), targets.Change{ID: "t", Op: targets.Delete, Path: unreadable, Was: state(t, l, unreadable)}); err != nil {
		t.Errorf("remove a file that it cannot read: %v", err)
	}
}

// TestReadersSeeTheOldFileOrTheNew reads while a file is replaced many times.
func TestReadersSeeTheOldFileOrTheNew(t *testing.T) {
	l, name := newLocal(t, ""), filepath.Join(t.TempDir(), "file")
	a, b := strings.Repeat("a", 64<<10), strings.Repeat("b", 64<<10)
	put(t, name, a, 0o644)
	stop, seen := make(chan struct{}), make(chan string, 1)
	go func() {
		defer close(seen)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if text, err := os.ReadFile(name); err != nil || string(text) != a && string(text) != b {
				seen <- string(bytes.TrimRight(text, "ab")) + " " + errorText(err)
				return
			}
		}
	}()
	for i := range 40 {
		text := b
		if i%2 == 1 {
			text = a
		}
		if err := l.Apply(t.Context(), writing(name, text, 0o644, state(t, l, name))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if got, ok := <-seen; ok {
		t.Errorf("a reader saw %q", got)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
