package shell

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// here starts commands on this machine, for texts that are the test's own.
type here struct{}

// Start implements Starter.
func (here) Start(ctx context.Context, c Command) (int, error) {
	cmd := exec.CommandContext(ctx, c.Executable)
	cmd.Args, cmd.Env, cmd.Dir = c.Args, c.Env, c.Dir
	if c.Executable[0] != '/' {
		cmd.Path = filepath.Join(c.Dir, c.Executable)
	}
	if c.Stdin != nil {
		cmd.Stdin = c.Stdin
	}
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, _ := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, &Refused{ExitCannotRun, err.Error()}
	}
	return 0, nil
}

// result is what a text has done.
type result struct {
	stdout  string
	status  int
	files   string
	stderr  string
	refused error
}

// same reports whether two results are alike but for what was complained of.
func (r result) same(o result) bool {
	return r.stdout == o.stdout && r.status == o.status && r.files == o.files
}

var testEnv = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "LANG=C.UTF-8"}

// playground makes the directory that texts run in.
func playground(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "shell-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.txt": "alpha\nbeta\ngamma\n", "b.txt": "one\ntwo\nthree\n", "c.log": "error: x\nok\nerror: y\n", "d/e.txt": "deep\n",
		"d/.hidden": "h\n", "with space": "s\n", "lib.sh": "helper() { echo \"helped $1\"; }\nvalue=42\n", "empty": "", "nonl": "no newline",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- a test's
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { // #nosec G306 -- a test's
			t.Fatal(err)
		}
	}
	return dir
}

// tree is what is in a directory.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v", rel, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(name) // #nosec G304 -- a test's
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", text)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// outputsIn are files beside the playground that take what a text writes.
func outputsIn(t testing.TB) (dir string, stdout, stderr *os.File, read func() (string, string)) {
	t.Helper()
	dir, err := os.MkdirTemp("", "shell-out-")
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) // #nosec G304 -- a test's
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	stdout, stderr = open("out"), open("err")
	return dir, stdout, stderr, func() (string, string) {
		_ = stdout.Close()
		_ = stderr.Close()
		out, _ := os.ReadFile(filepath.Join(dir, "out"))  // #nosec G304 -- a test's
		errs, _ := os.ReadFile(filepath.Join(dir, "err")) // #nosec G304 -- a test's
		_ = os.RemoveAll(dir)
		return string(out), string(errs)
	}
}

const testInput = "line one\nline two\n"

// inBash runs a text in the real shell.
func inBash(t testing.TB, bash, text string) (r result) {
	t.Helper()
	dir := playground(t)
	defer func() { _ = os.RemoveAll(dir) }()
	_, stdout, stderr, read := outputsIn(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bash, "-c", text, "bash", "first", "second arg")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Stdin = dir, testEnv, stdout, stderr, strings.NewReader(testInput)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r.stdout, r.stderr = read()
	r.stdout = strings.ReplaceAll(r.stdout, dir, "DIR")
	r.status, r.files = cmd.ProcessState.ExitCode(), strings.ReplaceAll(tree(t, dir), dir, "DIR")
	return r
}

// inOurs runs it in the interpreter, in this process.
func inOurs(t testing.TB, text string) (r result) {
	t.Helper()
	return runOurs(t, text, here{})
}

// runOurs is inOurs with a starter.
func runOurs(t testing.TB, text string, start Starter) (r result) {
	t.Helper()
	file, err := Parse(text)
	var unsupported *Unsupported
	if errors.As(err, &unsupported) {
		return result{refused: err}
	}
	if err != nil {
		return result{status: ExitSyntax, stderr: err.Error(), refused: err}
	}
	dir := playground(t)
	defer func() { _ = os.RemoveAll(dir) }()
	scratch, stdout, stderr, read := outputsIn(t)
	in, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = write.WriteString(testInput)
	_ = write.Close()
	defer func() { _ = in.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r.status, r.refused = Interpret(ctx, file, Options{
		Name: "bash", Params: []string{"first", "second arg"}, Env: testEnv, Dir: dir, Scratch: scratch,
		Stdin: in, Stdout: stdout, Stderr: stderr, Start: start,
	})
	r.stdout, r.stderr = read()
	r.stdout = strings.ReplaceAll(r.stdout, dir, "DIR")
	r.files = strings.ReplaceAll(tree(t, dir), dir, "DIR")
	return r
}

// snippets reads a file of texts: one to a line, and lines that begin with a bar go on with it.
func snippets(t testing.TB, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name) // #nosec G304 -- the package's own
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "", strings.HasPrefix(line, "## "):
		case strings.HasPrefix(line, "|"):
			out[len(out)-1] += "\n" + line[1:]
		default:
			out = append(out, line)
		}
	}
	return out
}

func theBash(t testing.TB) string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("this machine has no bash to compare with")
	}
	version, err := exec.CommandContext(t.Context(), bash, "-c", "echo $BASH_VERSION").Output() // #nosec G204 -- the machine's
	if err != nil || !strings.HasPrefix(string(version), "5.2.") {
		t.Skipf("this machine has bash %s: the texts say what 5.2 does", strings.TrimSpace(string(version)))
	}
	return bash
}

// TestSameAsBash holds the interpreter against the real shell.
func TestSameAsBash(t *testing.T) {
	t.Parallel()
	bash := theBash(t)
	texts := snippets(t, "testdata/same.txt")
	if len(texts) < 500 {
		t.Errorf("%d texts", len(texts))
	}
	for i, text := range texts {
		if testing.Short() && i%7 != 0 {
			continue
		}
		got := inOurs(t, text)
		if got.refused != nil {
			t.Errorf("%s\n\trefused: %v", text, got.refused)
			continue
		}
		if want := inBash(t, bash, text); !got.same(want) {
			t.Errorf("%s\n\tstdout %q status %d\n\tbash   %q status %d\n\tsaid %q\n\tbash %q", text, got.stdout, got.status, want.stdout, want.status, got.stderr, want.stderr)
			if got.files != want.files {
				t.Errorf("\tfiles %s\n\tbash  %s", got.files, want.files)
			}
		}
	}
}

// TestRefusedByName shows that what would be answered otherwise than bash does is refused, with words, before or while it runs.
func TestRefusedByName(t *testing.T) {
	t.Parallel()
	for _, text := range snippets(t, "testdata/refused.txt") {
		got := inOurs(t, text)
		var unsupported *Unsupported
		if !errors.As(got.refused, &unsupported) {
			t.Errorf("%s\n\tis not refused: %q %d %v, said %q", text, got.stdout, got.status, got.refused, got.stderr)
		}
	}
}
