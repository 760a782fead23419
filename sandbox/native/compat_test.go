//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// The scripts under testdata/compat/scripts do what ordinary scripts do, in a directory of their own, and print what came
// of it. Beside each stands what CPython prints without a sandbox. prelude.py is put before each.
//
//go:embed testdata/compat/scripts
var compatScripts embed.FS

const compatDir = "testdata/compat/scripts"

func readScript(tb testing.TB, name string) string {
	tb.Helper()
	text, err := compatScripts.ReadFile(compatDir + "/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestScriptsDoInTheSandboxWhatTheyDoInCPython runs each script without a sandbox, in scratch, and over a directory of the
// host, which must stay as it was.
func TestScriptsDoInTheSandboxWhatTheyDoInCPython(t *testing.T) {
	engine(t)
	entries, err := compatScripts.ReadDir(compatDir)
	if err != nil {
		t.Fatal(err)
	}
	prelude := readScript(t, "prelude.py")
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".py")
		if !ok || name == "prelude" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := prelude + readScript(t, name+".py")
			if *update {
				err := os.WriteFile(filepath.Join(compatDir, name+".want"), []byte(bareCompat(t, script)), 0o644)
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			want := readScript(t, name+".want")
			if !testing.Short() {
				sameLines(t, "without a sandbox", bareCompat(t, script), want)
			}
			sameLines(t, "in scratch", scratchCompat(t, script), want)
			sameLines(t, "over a directory of the host", overlayCompat(t, prelude, script), want)
		})
	}
}

// sameLines reports the first line that is not as it should be.
func sameLines(t *testing.T, where, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	at := 0
	for at < len(g) && at < len(w) && g[at] == w[at] {
		at++
	}
	line := func(lines []string) string {
		if at < len(lines) {
			return lines[at]
		}
		return "(the end)"
	}
	t.Errorf("%s, line %d:\n got %s\nwant %s", where, at+1, line(g), line(w))
}

// bareCompat is what the script prints without a sandbox.
func bareCompat(t *testing.T, script string) string {
	t.Helper()
	return bareIn(t, t.TempDir(), script)
}

// withoutGuest returns a directory for the front of an interpreter's path, so that it is as Python's makers made it: the
// guest's part would ask for a gateway, and imports in a way of its own. It may be called on any goroutine.
func withoutGuest(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sitecustomize.py"), nil, 0o600); err != nil {
		tb.Error(err)
	}
	return dir
}

func bareIn(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(engine(t).installed().root, pythonBinary), "-s", "-")
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, strings.NewReader(script), time.Second
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LANG=C.UTF-8", "TMPDIR=" + t.TempDir(), "PYTHONPATH=" + withoutGuest(t)}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("without a sandbox: %v: %s", err, tail(stderr.String()))
	}
	return string(out)
}

// boxedCompat is what the script prints in the sandbox, in a directory of its view.
func boxedCompat(t *testing.T, script, dir string, config vfs.Config) string {
	t.Helper()
	job, stdout, stderr := jobFor(t, script)
	config.Base, config.Now, config.MaxBytes, config.MaxFile = vfs.NewHost(), time.Now, 64<<20, 32<<20
	config.UID, config.GID = uint32(os.Geteuid()), uint32(os.Getegid())
	view, err := vfs.NewSession(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	job.FS, job.Dir, job.Host.UID, job.Host.GID = view, dir, config.UID, config.GID
	job.Limits.Wall = patience
	if result := runJob(t, job); result.Cause != sandbox.Exited || result.ExitCode != 0 {
		t.Errorf("in %s: %+v: %s", dir, result, tail(stderr.String()))
	}
	return stdout.String()
}

// scratchCompat runs the script where everything is the session's own.
func scratchCompat(t *testing.T, script string) string {
	t.Helper()
	policy, err := vfs.NewPolicy(narrowRead(), vfs.DefaultHide())
	if err != nil {
		t.Fatal(err)
	}
	return boxedCompat(t, script, "/tmp", vfs.Config{Policy: policy, Scratch: []string{"/tmp", "/var/tmp"}})
}

// overlayCompat runs the script where the host has what the prelude makes.
func overlayCompat(t *testing.T, prelude, script string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "compat-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bareIn(t, dir, prelude)
	before := treeOf(t, dir)
	policy, err := vfs.NewPolicy(append(narrowRead(), dir), vfs.DefaultHide())
	if err != nil {
		t.Fatal(err)
	}
	out := boxedCompat(t, script, dir, vfs.Config{Policy: policy, Scratch: []string{"/var/tmp"}})
	if after := treeOf(t, dir); !slices.Equal(before, after) {
		t.Errorf("the host's directory was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	return out
}

// treeOf lists a directory with the attributes and texts of its files.
func treeOf(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(name)
		if err != nil {
			return err
		}
		line := name + " " + st.Mode().String() + " " + st.ModTime().String()
		switch {
		case st.Mode().IsRegular():
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += " " + string(text)
		case st.Mode()&os.ModeSymlink != 0:
			text, err := os.Readlink(name)
			if err != nil {
				return err
			}
			line += " " + text
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
