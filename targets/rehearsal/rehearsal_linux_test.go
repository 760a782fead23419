//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/targets"
)

func TestMain(m *testing.M) {
	Init(func(*targets.Account) (targets.FileTarget, error) {
		return nil, errors.New("these tests make no changes")
	})
	os.Exit(m.Run())
}

// need skips where this machine makes no world.
func need(t testing.TB) {
	t.Helper()
	_, err := Run(context.Background(), targets.Rehearsal{Limits: targets.DefaultRehearsalLimits}, nil)
	if errors.Is(err, targets.ErrNoRehearsal) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// base is a directory for trees that commands change. It lies below a top directory that every user's world has.
func base(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// put makes files with their contents below a directory.
func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// shell is a command of shell text.
func shell(dir, text string) targets.RehearsalStep {
	return targets.RehearsalStep{Command: &targets.RehearsedCommand{
		Path: "/bin/sh", Argv: []string{"sh", "-c", text}, Dir: dir, Env: []string{"PATH=" + targets.Path, "LANG=C.UTF-8"},
	}}
}

// run runs shell texts one after the other and returns their effects.
func run(t testing.TB, hidden func(string) bool, dir string, texts ...string) []targets.Effect {
	t.Helper()
	r := targets.Rehearsal{Hidden: hidden, Limits: targets.DefaultRehearsalLimits}
	for _, text := range texts {
		r.Steps = append(r.Steps, shell(dir, text))
	}
	out, err := Run(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Effects) != len(texts) {
		t.Fatalf("%d effects of %d commands", len(out.Effects), len(texts))
	}
	return out.Effects
}

// lines are changes below a directory in words.
func lines(dir string, e targets.Effect) string {
	var b strings.Builder
	for _, c := range e.Changes {
		rest, ok := strings.CutPrefix(c.Path, dir+"/")
		if !ok {
			continue
		}
		_, _ = fmt.Fprintf(&b, "%s %s", c.Kind, rest)
		if c.From != "" {
			_, _ = fmt.Fprintf(&b, " from %s", strings.TrimPrefix(c.From, dir+"/"))
		}
		if c.Contents {
			_, _ = fmt.Fprintf(&b, " %q>%q", c.Before, c.After)
		}
		if c.Kind == targets.Attributes {
			_, _ = fmt.Fprintf(&b, " %o>%o", c.Was.Perm(), c.Is.Perm())
		}
		if c.Kind == targets.Deleted && c.Was.IsDir() {
			_, _ = fmt.Fprintf(&b, " %d files %d bytes", c.Files, c.Bytes)
		}
		_, _ = b.WriteString("\n")
	}
	return b.String()
}

// TestChangesAreThoseOfTheCommand compares what a rehearsal says with what the command does, and holds that the host has none of it.
func TestChangesAreThoseOfTheCommand(t *testing.T) {
	need(t)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "cat a >/dev/null", ""},
		{"edit", "sed -i s/one/two/ a", "changed a \"one\\n\">\"two\\n\"\n"},
		{"append", "echo more >> a", "changed a \"one\\n\">\"one\\nmore\\n\"\n"},
		{"made", "echo x > new; mkdir d; echo y > d/z", "made d\nmade d/z \"\">\"y\\n\"\nmade new \"\">\"x\\n\"\n"},
		{"deleted", "rm a", "deleted a\n"},
		{"tree", "rm -r tree", "deleted tree 4 files 6 bytes\n"},
		{"mode", "chmod 600 a; chmod 700 tree", "attributes a 644>600\nattributes tree 755>700\n"},
		{"renamed", "mv a b", "renamed b from a\n"},
		{"replaced", "mv a tree/x", "changed tree/x \"1\\n\">\"one\\n\"\ndeleted a \"one\\n\">\"\"\n"},
		{"linked", "ln a b", "made b from a \"\">\"one\\n\"\n"},
		{"symlink", "ln -s a s", "made s\n"},
		{"touched", "touch -d 2001-01-01 a", "touched a\n"},
		{"again", "rm -r tree; mkdir tree; echo n > tree/x", "changed tree/x \"1\\n\">\"n\\n\"\ndeleted tree/deep 1 files 2 bytes\ndeleted tree/y\n"},
		{"kind", "rm -r tree; echo f > tree", "changed tree \"\">\"f\\n\"\n"},
		{"back", "mv a b; mv b a", ""},
		{"moved tree", "mv tree t2", "deleted tree 4 files 6 bytes\nmade t2\nmade t2/deep\nmade t2/deep/z \"\">\"3\\n\"\nmade t2/x \"\">\"1\\n\"\nmade t2/y \"\">\"2\\n\"\n"},
		{"temporary", "echo x > new; rm new", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := base(t)
			put(t, dir, map[string]string{"a": "one\n", "tree/x": "1\n", "tree/y": "2\n", "tree/deep/z": "3\n"})
			before := snapshot(t, dir)
			e := run(t, nil, dir, c.text)[0]
			if e.Exit != (targets.Exit{}) || len(e.Stderr) > 0 {
				t.Errorf("%+v: %s", e.Exit, e.Stderr)
			}
			got, want := strings.Split(lines(dir, e), "\n"), strings.Split(c.want, "\n")
			slices.Sort(got)
			slices.Sort(want)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), c.want)
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("the host has changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

// snapshot is everything about a tree of the host, times included.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var s syscall.Stat_t
		if err := syscall.Lstat(name, &s); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&b, "%s %o %d:%d %d %d %v %v", name, s.Mode, s.Uid, s.Gid, s.Size, s.Nlink, s.Mtim, s.Ctim)
		if d.Type().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(&b, " %q", content)
		}
		_, _ = b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// BenchmarkSed is a rehearsal of the smallest change.
func BenchmarkSed(b *testing.B) {
	need(b)
	dir := b.TempDir()
	put(b, dir, map[string]string{"a": "one\n"})
	for b.Loop() {
		if e := run(b, nil, dir, "sed -i s/one/two/ a")[0]; len(e.Changes) == 0 || e.Exit.Code != 0 {
			b.Fatalf("%+v", e)
		}
	}
}
