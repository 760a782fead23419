package ssh

import (
	"bytes"
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
	"shannot-gateway/targets/ssh/sshdtest"
)

// writing is the change that puts text at a path; was is what is there.
func writing(path, text string, mode uint32, was *targets.State) targets.Change {
	return targets.Change{
		ID: "test-1", Op: targets.Write, Path: path, Mode: mode, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()),
		Content: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		Size:    int64(len(text)), SHA256: sha256.Sum256([]byte(text)), Was: was,
	}
}

func stateOf(t *testing.T, target *Target, path string) *targets.State {
	t.Helper()
	s, err := target.State(t.Context(), path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return s
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

// tree is a directory as text, with modes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rest := ""
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			rest = fmt.Sprintf(" %q", text)
		case info.Mode()&os.ModeSymlink != 0:
			rest, err = os.Readlink(name)
			rest = " -> " + rest
		}
		fmt.Fprintf(&b, "%s %s%s\n", strings.TrimPrefix(name, dir+"/"), info.Mode(), rest)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestChangesAreMadeAsTheyWereDecided(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	for _, c := range []struct {
		name   string
		before func(dir string)
		change func(dir string) targets.Change
		want   string
	}{
		{"a new file", nil, func(dir string) targets.Change { return writing(dir+"/new", "text", 0o640, nil) },
			"new -rw-r----- \"text\"\n"},
		{"an empty file", nil, func(dir string) targets.Change { return writing(dir+"/new", "", 0o4755, nil) },
			"new urwxr-xr-x \"\"\n"},
		{"a file replaced", func(dir string) { put(t, dir+"/f", "old", 0o600) }, func(dir string) targets.Change {
			return writing(dir+"/f", "new", 0o644, stateOf(t, target, dir+"/f"))
		}, "f -rw-r--r-- \"new\"\n"},
		{"a large file", nil, func(dir string) targets.Change {
			return writing(dir+"/f", strings.Repeat("0123456789", 300_000), 0o600, nil)
		}, fmt.Sprintf("f -rw------- %q\n", strings.Repeat("0123456789", 300_000))},
		{"a file removed", func(dir string) { put(t, dir+"/f", "old", 0o600) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Delete, Path: dir + "/f", Was: stateOf(t, target, dir+"/f")}
		}, ""},
		{"a link removed", func(dir string) { _ = os.Symlink("/etc/passwd", dir+"/f") }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Delete, Path: dir + "/f", Was: stateOf(t, target, dir+"/f")}
		}, ""},
		{"a directory made", nil, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Mkdir, Path: dir + "/d", Mode: 0o2750, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
		}, "d dgrwxr-x---\n"},
		{"a directory removed", func(dir string) { _ = os.Mkdir(dir+"/d", 0o755) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Rmdir, Path: dir + "/d", Was: stateOf(t, target, dir+"/d")}
		}, ""},
		{"a link made", nil, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Symlink, Path: dir + "/l", To: "../some where", UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
		}, "l Lrwxrwxrwx -> ../some where\n"},
		{"a link replaced", func(dir string) { _ = os.Symlink("old", dir+"/l") }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Symlink, Path: dir + "/l", To: "new", Was: stateOf(t, target, dir+"/l"), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
		}, "l Lrwxrwxrwx -> new\n"},
		{"a file renamed", func(dir string) { put(t, dir+"/a", "a", 0o600) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Rename, Path: dir + "/a", To: dir + "/b", Was: stateOf(t, target, dir+"/a")}
		}, "b -rw------- \"a\"\n"},
		{"a file renamed over another", func(dir string) { put(t, dir+"/a", "a", 0o600); put(t, dir+"/b", "b", 0o600) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Rename, Path: dir + "/a", To: dir + "/b", Was: stateOf(t, target, dir+"/a"), WasTo: stateOf(t, target, dir+"/b")}
		}, "b -rw------- \"a\"\n"},
		{"a mode", func(dir string) { put(t, dir+"/f", "x", 0o600) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Chmod, Path: dir + "/f", Mode: 0o1755, Was: stateOf(t, target, dir+"/f")}
		}, "f trwxr-xr-x \"x\"\n"},
		{"a directory's mode", func(dir string) { _ = os.Mkdir(dir+"/d", 0o755) }, func(dir string) targets.Change {
			return targets.Change{ID: "x", Op: targets.Chmod, Path: dir + "/d", Mode: 0o700, Was: stateOf(t, target, dir+"/d")}
		}, "d drwx------\n"},
	} {
		dir := t.TempDir()
		if c.before != nil {
			c.before(dir)
		}
		if err := target.Apply(t.Context(), c.change(dir)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := tree(t, dir); got != c.want {
			t.Errorf("%s: %.200q, want %.200q", c.name, got, c.want)
		}
	}
}

func TestOwnersAndTimesAreSet(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	target := connect(t, sshdtest.Start(t))
	dir := t.TempDir()
	put(t, dir+"/f", "x", 0o755)
	c := targets.Change{ID: "x", Op: targets.Chown, Path: dir + "/f", UID: 12, GID: 34, Mode: 0o4755, Was: stateOf(t, target, dir+"/f")}
	if err := target.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s := stateOf(t, target, dir+"/f"); s.UID != 12 || s.GID != 34 || s.Perm() != 0o4755 {
		t.Errorf("%+v", s)
	}
	at := time.Unix(1_234_567_890, 0)
	if err := target.Apply(t.Context(), targets.Change{ID: "x", Op: targets.Touch, Path: dir + "/f", Mtime: at, Was: stateOf(t, target, dir+"/f")}); err != nil {
		t.Fatal(err)
	}
	if s := stateOf(t, target, dir+"/f"); !s.Mtime.Equal(at) {
		t.Errorf("%v, want %v", s.Mtime, at)
	}
	w := writing(dir+"/g", "x", 0o640, nil)
	w.UID, w.GID, w.Mtime = 12, 34, at
	if err := target.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	link := targets.Change{ID: "x", Op: targets.Symlink, Path: dir + "/l", To: "g", UID: 12, GID: 34}
	if err := target.Apply(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if s := stateOf(t, target, dir+"/l"); s.Link != "g" || s.UID != 12 || s.GID != 34 {
		t.Errorf("a link: %+v", s)
	}
	if s := stateOf(t, target, dir+"/g"); s.UID != 12 || s.GID != 34 || s.Perm() != 0o640 || !s.Mtime.Equal(at) {
		t.Errorf("%+v", s)
	}
}

func TestWhatChangedSinceIsAConflict(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	for name, since := range map[string]func(f string) error{
		"other content":   func(f string) error { return os.WriteFile(f, []byte("OLD"), 0o600) },
		"another mode":    func(f string) error { return os.Chmod(f, 0o644) },
		"gone":            os.Remove,
		"a directory now": func(f string) error { return errors.Join(os.Remove(f), os.Mkdir(f, 0o700)) },
		"a link now":      func(f string) error { return errors.Join(os.Remove(f), os.Symlink("/etc/passwd", f)) },
		"a link before": func(f string) error {
			d := filepath.Dir(f)
			return errors.Join(os.Rename(d, d+"2"), os.Symlink(d+"2", d))
		},
	} {
		dir := t.TempDir() + "/d"
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f := dir + "/f"
		put(t, f, "old", 0o600)
		was := stateOf(t, target, f)
		if err := since(f); err != nil {
			t.Fatal(err)
		}
		before := tree(t, filepath.Dir(dir))
		for _, c := range []targets.Change{
			writing(f, "new", 0o600, was),
			{ID: "x", Op: targets.Delete, Path: f, Was: was},
			{ID: "x", Op: targets.Chmod, Path: f, Mode: 0o777, Was: was},
			{ID: "x", Op: targets.Rename, Path: f, To: dir + "/to", Was: was},
		} {
			if err := target.Apply(t.Context(), c); !errors.Is(err, targets.ErrConflict) {
				t.Errorf("%s, %s: %v, want ErrConflict", name, c.Op, err)
			}
		}
		if after := tree(t, filepath.Dir(dir)); after != before {
			t.Errorf("%s: it was changed nevertheless: %q, was %q", name, after, before)
		}
	}
	dir := t.TempDir()
	put(t, dir+"/there", "x", 0o600)
	for _, c := range []targets.Change{
		writing(dir+"/there", "new", 0o600, nil),
		{ID: "x", Op: targets.Mkdir, Path: dir + "/there", Mode: 0o700},
		{ID: "x", Op: targets.Symlink, Path: dir + "/there", To: "x"},
	} {
		if err := target.Apply(t.Context(), c); !errors.Is(err, targets.ErrConflict) {
			t.Errorf("%s where something is: %v, want ErrConflict", c.Op, err)
		}
	}
	if got := tree(t, dir); got != "there -rw------- \"x\"\n" {
		t.Errorf("%q", got)
	}
}

func TestContentThatIsNotTheDecidedOneIsNotWritten(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	dir := t.TempDir()
	good := writing(dir+"/f", "text", 0o600, nil)
	for name, content := range map[string]func() (io.ReadCloser, error){
		"other":   func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("TEXT")), nil },
		"shorter": func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("tex")), nil },
		"longer":  func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("text!")), nil },
		"failing": func() (io.ReadCloser, error) { return nil, errors.New("disk") },
	} {
		c := good
		c.Content = content
		if err := target.Apply(t.Context(), c); err == nil {
			t.Errorf("%s was written", name)
		}
		if got := tree(t, dir); got != "" {
			t.Errorf("%s left %q", name, got)
		}
	}
	for name, c := range map[string]targets.Change{
		"a relative path": writing("f", "x", 0o600, nil), "an unclean path": writing(dir+"/../f", "x", 0o600, nil),
		"the root": writing("/", "x", 0o600, nil), "a NUL": writing(dir+"/a\x00b", "x", 0o600, nil),
	} {
		if err := target.Apply(t.Context(), c); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", name, err)
		}
	}
}

func TestContentIsReadForACheckpoint(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	dir := t.TempDir()
	text := strings.Repeat("0123456789abcdef\n", 200_000)
	put(t, dir+"/f", text, 0o640)
	_ = os.Symlink("f", dir+"/l")
	r, s, err := target.Content(t.Context(), dir+"/f")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != text || s.Size != int64(len(text)) || s.Perm() != 0o640 {
		t.Errorf("%d bytes, %+v, %v", len(got), s, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := target.Content(t.Context(), dir+"/l"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link: %v, want ELOOP", err)
	}
	if s := stateOf(t, target, dir+"/f"); !s.Hashed || s.SHA256 != sha256.Sum256([]byte(text)) {
		t.Errorf("%+v", s)
	}
	if s, err := target.State(t.Context(), dir+"/none/f"); s != nil || err != nil {
		t.Errorf("nothing: %+v, %v", s, err)
	}
}

func TestAnInterruptedChangeIsSweptAway(t *testing.T) {
	s := sshdtest.Start(t)
	target := connect(t, s)
	dir := t.TempDir()
	put(t, dir+"/f", "old", 0o600)
	put(t, dir+"/.shannot-other-0123.tmp", "somebody else's", 0o600)
	c := writing(dir+"/f", strings.Repeat("x", 10<<20), 0o600, stateOf(t, target, dir+"/f"))
	content := c.Content
	c.Content = func() (io.ReadCloser, error) {
		in, err := content()
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(in, 1<<20), dropper(s.Drop), in), in}, err
	}
	if err := target.Apply(t.Context(), c); !errors.Is(err, targets.ErrInterrupted) || !errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "\n") {
		t.Errorf("over a connection that broke: %v, want ErrInterrupted", err)
	}
	if text, err := os.ReadFile(dir + "/f"); string(text) != "old" || err != nil {
		t.Errorf("the file holds %d bytes, %v", len(text), err)
	}
	if err := target.Sweep(t.Context(), "test-1", dir+"/f"); err != nil {
		t.Error(err)
	}
	if got := tree(t, dir); got != ".shannot-other-0123.tmp -rw------- \"somebody else's\"\nf -rw------- \"old\"\n" {
		t.Errorf("%q", got)
	}
}

// dropper cuts the connections when it is read, and has nothing to read.
type dropper func()

func (d dropper) Read([]byte) (int, error) {
	d()
	return 0, io.EOF
}

func TestReadingInOrderTakesShortPiecesAsTheyCome(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	short := func(p []byte, off int64) (int, error) {
		if off >= int64(len(text)) {
			return 0, io.EOF
		}
		return copy(p[:min(len(p), 1+int(off%7919))], text[off:]), nil
	}
	_, target := startFake(t, map[string]*fakeFile{"/f": {mode: 0o644, size: int64(len(text)), read: short}})
	r, _, err := target.Content(context.Background(), "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got, err := io.ReadAll(r); !bytes.Equal(got, text) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
