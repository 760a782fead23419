//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/internal/supervisor"
)

func TestMain(m *testing.M) {
	Init()
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

// compiledChild builds testdata/child.c with a library beside it, as an executable is installed. It says what is defined.
func compiledChild(t *testing.T, version, extra string, flags ...string) string {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("this machine has no C compiler")
	}
	dir := t.TempDir()
	for _, name := range libraryDirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "pypy3-c")
	args := append([]string{"-O1", "-o", out, `-DVERSION="` + version + `"`, `-DEXTRA="` + extra + `"`}, flags...)
	if text, err := exec.Command(compiler, append(args, "testdata/child.c")...).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v: %s", err, text)
	}
	return out
}

func childEngine(t *testing.T) *Engine {
	t.Helper()
	e := New(Options{Executable: compiledChild(t, "20001", "")})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// obey runs words of testdata/child.c.
func obey(t *testing.T, e *Engine, script string, change func(*sandbox.Job)) conformance.Outcome {
	t.Helper()
	job, stdout, stderr := unmountedJob(t, targetFiles())
	job.Stdin = strings.NewReader(script)
	if change != nil {
		change(&job)
	}
	result, err := e.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return conformance.Outcome{Stdout: stdout.String(), Stderr: stderr.String(), Result: result}
}

func TestEngineRunsAnExecutableBehindTheLayers(t *testing.T) {
	e := childEngine(t)
	if err := e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := e.Probe(t.Context()); len(f) != 1 || !f[0].OK || f[0].Required {
		t.Errorf("probe %+v", f)
	}
	got := obey(t, e, "cat /etc/hostname\ncat /etc/secret\nreal /etc/hostname\nfork\nprint('end')", nil)
	if got.Stdout != "target-1\nerrno 2\n-1 errno 1\n-1 errno 38\nend\n" || got.Result != (sandbox.Result{Cause: sandbox.Exited}) {
		t.Errorf("%+v", got)
	}
	if got := obey(t, e, "", func(j *sandbox.Job) { j.Args = []string{"-c", "print('code')\nexit 9"} }); got.Stdout != "code\n" || got.Result.ExitCode != 9 {
		t.Errorf("%+v", got)
	}
}

// onOutput calls a function when a script has said something.
type onOutput func()

func (f onOutput) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// The kernel shows everybody on the machine what a process was started with.
func TestCodeIsInNobodysCommandLine(t *testing.T) {
	e := childEngine(t)
	job, _, stderr := unmountedJob(t, targetFiles())
	const marker = "password-of-a-pypy-script"
	job.Args = []string{"-c", "print('up')\nloop " + marker, marker}
	ctx, cancel := context.WithCancel(t.Context())
	looked := 0
	job.Stdout = onOutput(func() {
		defer cancel()
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Error(err)
		}
		for _, name := range lines {
			line, _ := os.ReadFile(name) // of one that has ended there is none
			if bytes.Contains(line, []byte(Interpreter)) {
				looked++
			}
			if bytes.Contains(line, []byte(marker)) {
				t.Errorf("%s is %q", name, line)
			}
		}
	})
	if _, err := e.Run(ctx, job); err != nil {
		t.Fatal(err)
	}
	if looked == 0 {
		t.Errorf("no interpreter was found; stderr %s", stderr)
	}
}

func TestEngineNamesEachEnd(t *testing.T) {
	t.Parallel()
	e := childEngine(t)
	for _, c := range []struct {
		name, script string
		limits       sandbox.Limits
		want         sandbox.Result
		stderr       string
	}{
		{name: "a crash", script: "crash", want: sandbox.Result{Cause: sandbox.Exited, ExitCode: 139, Signal: syscall.SIGSEGV}},
		{name: "a fatal error", script: "fatal RPython traceback", stderr: "RPython traceback\n",
			want: sandbox.Result{Cause: sandbox.Exited, ExitCode: 134, Signal: syscall.SIGABRT}},
		{name: "elapsed time", script: "loop", limits: sandbox.Limits{Wall: 2 * supervisor.Tick},
			want: sandbox.Result{Cause: sandbox.WallTime, ExitCode: 137, Signal: syscall.SIGKILL}},
		{name: "processor time", script: "loop", limits: sandbox.Limits{CPU: time.Second},
			want: sandbox.Result{Cause: sandbox.CPUTime, ExitCode: 137, Signal: syscall.SIGKILL}},
		{name: "memory", script: "eat", limits: sandbox.Limits{Memory: 64 << 20}, stderr: "out of memory: couldn't allocate the next arena\n",
			want: sandbox.Result{Cause: sandbox.Memory, ExitCode: 134, Signal: syscall.SIGABRT}},
		{name: "a broken protocol", script: "garbage", want: sandbox.Result{Cause: sandbox.Protocol, ExitCode: 137, Signal: syscall.SIGKILL}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := obey(t, e, c.script, func(j *sandbox.Job) { j.Limits = c.limits })
			detail := got.Result.Detail
			got.Result.Detail = ""
			if got.Result != c.want || got.Stderr != c.stderr || (detail == "") != (c.want.Cause == sandbox.Exited) {
				t.Errorf("%+v, detail %q", got, detail)
			}
		})
	}
}

func TestChildsOwnLibraryKnowsTheTargetsZone(t *testing.T) {
	e := childEngine(t)
	target := targetFiles()
	target.AddFile("/etc/localtime", 0o644, []byte("TZif2 and what else\nCET-1CEST,M3.5.0,M10.5.0/3\n"))
	job, stdout, _ := unmountedJob(t, target)
	job.Stdin = strings.NewReader("zone 1700000000\nzone 1690000000")
	if _, err := e.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "23:13 CET\n06:26 CEST\n" {
		t.Errorf("got %q", stdout)
	}
	if got := obey(t, e, "zone 1700000000", nil); got.Stdout != "22:13 UTC\n" {
		t.Errorf("without a zone: %q", got.Stdout)
	}
}

func TestStaticExecutableIsStartedWithoutALoader(t *testing.T) {
	e := New(Options{Executable: compiledChild(t, "20001", "", "-static")})
	if got := obey(t, e, "print('static')\nreal /etc/hostname", nil); got.Stdout != "static\n-1 errno 1\n" {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNoPyPySandboxIsRefusedWithTheReason(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	missing := func() *Engine { return New(Options{Runtime: t.TempDir()}) }
	for _, c := range []struct {
		name string
		e    *Engine
		want string
	}{
		{"none", missing(), "shannot-gateway runtime install pypy"},
		{"a name that is none", New(Options{Executable: "/no/such/pypy"}), "no such file"},
		{"a text", New(Options{Executable: "/etc/hostname", Library: libraryOnly(t)}), "read the pypy-sandbox executable"},
		{"another program", New(Options{Executable: "/bin/true", Library: libraryOnly(t)}), "does not say the version"},
		{"no library", New(Options{Executable: "/bin/true"}), "library under [engines.pypy]"},
		{"a false library", New(Options{Executable: "/bin/true", Library: "/etc"}), "has no lib-python/3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.e.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if f := c.e.Probe(t.Context()); len(f) != 1 || f[0].OK {
				t.Errorf("probe %+v", f)
			}
		})
	}
	if err := missing().Check(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("%v", err)
	}
}

func libraryOnly(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range libraryDirs {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOtherProtocolAndUnknownFunctionsAreTold(t *testing.T) {
	e := New(Options{Executable: compiledChild(t, "20002", "")})
	if err := e.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "version 20002") {
		t.Errorf("%v", err)
	}
	e = New(Options{Executable: compiledChild(t, "20001", " io_uring_setup(ip)i")})
	if err := e.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if f := e.Probe(t.Context()); f[0].OK || !strings.Contains(f[0].Detail, "io_uring_setup") {
		t.Errorf("probe %+v", f)
	}
}

func TestExecutableIsFoundOnPath(t *testing.T) {
	child := compiledChild(t, "20001", "")
	if err := os.Rename(child, filepath.Join(filepath.Dir(child), "pypy-sandbox")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(child)+":"+os.Getenv("PATH"))
	if err := New(Options{Runtime: t.TempDir()}).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDumpIsReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "no pypy-sandbox",
		"Version: x\n":                "no pypy-sandbox",
		"Version: 1\n":                "version 1 of",
		"Version: 20001\n":            `for ""`,
		"Version: 20001\nPlatform: p": `for "p"`,
	} {
		if _, err := readDump(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	missing, err := readDump("Version: 20001\nPlatform: linux2\nFuncs: open(pii)i what(i)i close(i)i\n")
	if err != nil || len(missing) != 1 || missing[0] != "what(i)i" {
		t.Errorf("%q, %v", missing, err)
	}
}

func TestEngineRefusesATerminal(t *testing.T) {
	e := childEngine(t)
	job, _, _ := unmountedJob(t, targetFiles())
	job.Terminal = &sandbox.Terminal{}
	if _, err := e.Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "native engine") {
		t.Errorf("%v", err)
	}
	if _, err := e.Run(t.Context(), sandbox.Job{}); err == nil {
		t.Error("an empty job runs")
	}
}

func TestCancelledRunEndsTheExecutable(t *testing.T) {
	e := childEngine(t)
	if _, err := e.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	job, _, _ := unmountedJob(t, targetFiles())
	started := &startedWriter{begun: make(chan struct{})}
	job.Stdin, job.Stdout = strings.NewReader("print('x')\nloop"), started
	done := make(chan sandbox.Result, 1)
	go func() {
		r, err := e.Run(ctx, job)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	<-started.begun
	cancel(errors.New("gone"))
	if r := <-done; r.Cause != sandbox.Stopped || r.Detail != "gone" {
		t.Errorf("%+v", r)
	}
}

type startedWriter struct{ begun chan struct{} }

func (w *startedWriter) Write(p []byte) (int, error) { close(w.begun); return len(p), nil }

// realExecutable is a real pypy-sandbox of this machine: the one that SHANNOT_PYPY names, or one on PATH.
func realExecutable(t *testing.T) *Engine {
	t.Helper()
	name := os.Getenv("SHANNOT_PYPY")
	if name == "" {
		for _, n := range ExecutableNames() {
			if found, err := exec.LookPath(n); err == nil {
				name = found
				break
			}
		}
	}
	if name == "" {
		t.Skip("no real pypy-sandbox executable: name one by SHANNOT_PYPY, and its library by SHANNOT_PYPY_LIBRARY")
	}
	e := New(Options{Executable: name, Library: os.Getenv("SHANNOT_PYPY_LIBRARY")})
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRealExecutableDoesWhatEveryEngineDoes(t *testing.T) {
	e := realExecutable(t)
	checkAll(t, e)
}

// TestUnprivileged runs this package's shorter tests again as a user without privileges.
func TestUnprivileged(t *testing.T) {
	if testing.Short() {
		t.Skip("the package again, as another user")
	}
	conformance.AsOtherUser(t, []string{"testdata"}, "-test.count=1", "-test.short", "-test.timeout=15m")
}

func TestCodeOnTheCommandLineReachesAnASCIIInterpreter(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"-", "é"}, []string{"-", "é"}},
		{[]string{"-c", "print('a\n')", "é"}, []string{"-c", "print('a\n')", "é"}},
		{[]string{"-c"}, []string{"-c"}},
		{[]string{"-c", "print('é\\n')\n", "é"}, []string{"-c", `exec(compile(b'print(\x27\xc3\xa9\x5cn\x27)\x0a', '<string>', 'exec', 0, True))`, "é"}},
	} {
		if got := asciiCode(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q", c.in, got)
		}
	}
}

func TestLibrarysByteCodeIsServedAndNotWritten(t *testing.T) {
	t.Parallel()
	e := interposedEngine(t)
	if got := inEngine(e)(t, "pass"); got.Result.ExitCode != 0 {
		t.Fatalf("%+v", got)
	}
	<-e.program.compiled
	job, stdout, stderr := unmountedHostJob(t, `
import importlib.util, json, os, subprocess
for module in (os, json, subprocess):
    with open(module.__cached__, "rb") as f: print(f.read(4) == importlib.util.MAGIC_NUMBER)
for name in (json.__cached__, json.__cached__ + "x"):
    try: open(name, "wb")
    except OSError: print("not written")
`)
	if _, err := e.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "True\nTrue\nTrue\nnot written\nnot written\n" {
		t.Errorf("%q, stderr %s", stdout, stderr)
	}
}
