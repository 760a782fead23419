//go:build linux && (amd64 || arm64)

package shell

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/internal/selftest"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/vfs"
)

func TestMain(m *testing.M) {
	Init()
	native.Init()
	status := m.Run()
	for _, dir := range []string{madeRuntime, madePrograms} {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(status)
}

var madeRuntime string

// sandboxed is an engine with a shell in it.
var sandboxed = sync.OnceValues(func() (*native.Engine, error) {
	dir, err := os.MkdirTemp("", "shell-runtime-")
	if err != nil {
		return nil, err
	}
	madeRuntime = dir
	program, err := os.Executable()
	if raceDetector {
		program, err = builtProgram()
	}
	if err != nil {
		return nil, err
	}
	engine := native.New(native.Options{Runtime: filepath.Join(dir, "runtime"), Shell: native.Shell{Executable: program, Takes: Takes}})
	if err := engine.HasShell(context.Background()); err != nil { // it unpacks the interpreter without the bound of a trial run
		return nil, err
	}
	return engine, New(engine).Check(context.Background())
})

// programName is the built program beside the tests of another user.
const programName = "shell-program"

// builtProgram is testdata/program, without what the detector of races needs.
var builtProgram = sync.OnceValues(func() (string, error) {
	if here, err := filepath.Abs(programName); err == nil {
		if _, err := os.Stat(here); err == nil {
			return here, nil
		}
	}
	dir, err := os.MkdirTemp("", "shell-program-")
	if err != nil {
		return "", err
	}
	madePrograms = dir
	program := filepath.Join(dir, programName)
	build := exec.Command("go", "build", "-o", program, "./testdata/program") // #nosec G204 -- the test's
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return program, nil
})

var madePrograms string

func engine(t testing.TB) *Engine {
	t.Helper()
	host, err := sandboxed()
	if err != nil {
		t.Fatal(err)
	}
	return New(host)
}

// ran is what a run has done.
type ran struct {
	sandbox.Result
	stdout, stderr string
	view           *vfs.Session
}

// runJob runs a job in the sandbox; set may change it.
func runJob(t testing.TB, set func(*sandbox.Job), args ...string) ran {
	t.Helper()
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Scratch: []string{"/tmp"}, Now: time.Now, MaxBytes: 64 << 20, MaxFile: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	var stdout, stderr bytes.Buffer
	job := sandbox.Job{
		Session: t.Name(), Args: args, Env: testEnv, Dir: "/tmp", FS: view, Stdin: strings.NewReader(testInput), Stdout: &stdout, Stderr: &stderr,
		Commands: conformance.Exec{}, Limits: sandbox.Limits{Wall: time.Minute, Memory: 512 << 20, Write: 64 << 20, Threads: 64, Processes: 16},
	}
	if set != nil {
		set(&job)
	}
	result, err := engine(t).Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return ran{result, stdout.String(), stderr.String(), view}
}

func TestTextInTheSandbox(t *testing.T) {
	for _, c := range []struct{ text, stdout string }{
		{`echo hello; echo $((6*7))`, "hello\n42\n"},
		{`/bin/echo from outside`, "from outside\n"},
		{`echo abc | tr a-z A-Z | cat`, "ABC\n"},
		{`x=$(/bin/echo sub); echo "[$x]"`, "[sub]\n"},
		{`cat`, testInput},
		{`read x; echo "<$x>"; cat`, "<line one>\nline two\n"},
		{`echo a > f; cat < f; /bin/cat < f`, "a\na\n"},
		{"cat <<EOF\n$((1+1)) here\nEOF", "2 here\n"},
		{`for i in 1 2 3; do /bin/echo $i; done | sort -r`, "3\n2\n1\n"},
		{`while read l; do echo "p $l"; done < <(printf '1\n2\n')`, "p 1\np 2\n"},
		{`[ -d /etc ] && echo dir; [[ -f /etc/passwd ]] && echo file`, "dir\nfile\n"},
		{`cd /etc && pwd; ls -d passwd`, "/etc\npasswd\n"},
		{`echo $1-$2-$0`, "first-second arg-name\n"},
		{`command -v ls >/dev/null && echo found; command -v nosuch &>/dev/null || echo missing`, "found\nmissing\n"},
		{`echo x >/dev/stderr 2>/dev/null; echo >/dev/null; echo done`, "done\n"},
		{`: > g1; : > g2; echo g*; [ -s g1 ] || echo empty`, "g1 g2\nempty\n"},
		{`echo one >> l; echo two >> l; while read x; do echo "$x" | cat; done < l`, "one\ntwo\n"},
		{`set -o pipefail; false | true; echo $?`, "1\n"},
		{`sleep 0.01 & wait; echo waited`, "waited\n"},
		{`python3 -c 'print(6*7)'`, "42\n"},
		{`echo 'print("from stdin")' | python3 -`, "from stdin\n"},
		{"python3 - a b <<'EOF'\nimport sys\nprint(sys.argv)\nEOF", "['-', 'a', 'b']\n"},
		{`echo "print(open('/tmp/f').read())" > s.py; echo -n shared > f; python3 s.py`, "shared\n"},
		{`python3 -c 'import sys; print("out"); print("err", file=sys.stderr)' 2>&1 | sort | head -1`, "err\n"},
		{`bash -c 'echo $1' _ nested; sh -c 'exit 3'; echo $?`, "nested\n3\n"},
		{`echo 'echo "script $1"' > s.sh; bash s.sh x; sh < s.sh`, "script x\nscript \n"},
		{`echo "a b" | xargs -n1 echo`, "a\nb\n"},
		{`trap 'echo bye' EXIT; echo hi`, "hi\nbye\n"},
		{`mapfile -t a < /etc/hostname; echo ${#a[@]}`, "1\n"},
		{`yes | head -2`, "y\ny\n"},
	} {
		got := runJob(t, nil, "-c", c.text, "name", "first", "second arg")
		if got.stdout != c.stdout || got.Cause != sandbox.Exited {
			t.Errorf("%s\n\tstdout %q, not %q; %+v, said %q", c.text, got.stdout, c.stdout, got.Result, got.stderr)
		}
	}
}

// TestWalls shows what the program in the sandbox cannot do, whatever it is made to.
func TestWalls(t *testing.T) {
	program, err := builtProgram()
	if err != nil {
		t.Skip(err)
	}
	if _, err := sandboxed(); err != nil {
		t.Fatal(err)
	}
	host := native.New(native.Options{Runtime: filepath.Join(madeRuntime, "runtime"), Shell: native.Shell{Executable: program}})
	t.Cleanup(func() { _ = host.Close() })
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := vfs.NewPolicy([]string{"/"}, []string{secret})
	if err != nil {
		t.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	var stdout, stderr bytes.Buffer
	result, err := New(host).Run(t.Context(), sandbox.Job{
		Session: t.Name(), Args: []string{"-c", "walls", secret}, Dir: "/", FS: view, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Commands: selftest.RefuseAll{}, Limits: sandbox.Limits{Wall: time.Minute, Memory: 512 << 20},
	})
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%v %+v: %s%s", err, result, &stdout, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(lines) != 15 {
		t.Errorf("%d attempts: %s", len(lines), &stdout)
	}
	for _, line := range lines {
		what, outcome, _ := strings.Cut(line, ": ")
		if refused := outcome != "<nil>"; refused == (what == "open for writing on the host") {
			t.Errorf("%s", line)
		}
	}
	if _, err := os.Lstat("/etc/shannot-test-wall"); err == nil {
		t.Error("a file was made on the host")
	}
}

// TestHiddenFilesAreNotThere shows the session's view of files to a text.
func TestHiddenFilesAreNotThere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"shown", "hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := vfs.NewPolicy([]string{"/"}, []string{filepath.Join(dir, "hidden")})
	if err != nil {
		t.Fatal(err)
	}
	hiding := func(job *sandbox.Job) {
		view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/var/tmp"}, MaxBytes: 1 << 20, MaxFile: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = view.Close() })
		job.FS, job.Dir, job.Commands = view, dir, selftest.RefuseAll{}
	}
	for text, want := range map[string]string{
		`echo *`:                        "shown\n",
		`[ -e hidden ] || echo no`:      "no\n",
		`echo "$(<hidden)"`:             "\n",
		`read x < hidden; echo "[$x]"`:  "[]\n",
		`. ./hidden; echo $?`:           "1\n",
		`mapfile -t a < shown; echo $a`: "shown\n",
		`echo new > made; echo *; echo more >> shown; echo "$(<shown)"`: "made shown\nshownmore\n",
	} {
		if got := runJob(t, hiding, "-c", text); got.stdout != want {
			t.Errorf("%s\n\tstdout %q, not %q; said %q", text, got.stdout, want, got.stderr)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "shown")); err != nil || string(text) != "shown" { // #nosec G304 -- the test's
		t.Errorf("the host's file holds %q, %v", text, err)
	}
}

// recorder is a gate that writes down what it is asked.
type recorder struct {
	mu    sync.Mutex
	asked []sandbox.Command
	err   error
}

// Start implements sandbox.Commander.
func (r *recorder) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	r.mu.Lock()
	r.asked = append(r.asked, c)
	r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return conformance.Exec{}.Start(ctx, c)
}

// TestCommandsAreAskedForByTheirRealWords shows what the gate gets.
func TestCommandsAreAskedForByTheirRealWords(t *testing.T) {
	gate := &recorder{}
	got := runJob(t, func(job *sandbox.Job) { job.Commands = gate; job.Dir = "/etc" },
		"-c", "cd /usr; x='a  b'; /bin/echo \"$x\" $x pass?d {1,2}; A=1 env >/dev/null\ncat <<< known >/dev/null; ls /etc/passw* | cat >/dev/null")
	if got.ExitCode != 0 || len(gate.asked) != 5 {
		t.Fatalf("%+v %+v %s", got.Result, gate.asked, got.stderr)
	}
	first := gate.asked[0]
	if want := []string{"/bin/echo", "a  b", "a", "b", "pass?d", "1", "2"}; strings.Join(first.Argv, "|") != strings.Join(want, "|") || first.Dir != "/usr" || first.Env != nil || first.Line != 1 {
		t.Errorf("%+v", first)
	}
	if env := gate.asked[1]; env.Executables[0] != "/usr/bin/env" || len(env.Env) != len(testEnv)+1 || env.Env[len(env.Env)-1] != "A=1" {
		t.Errorf("%+v", env)
	}
	if cat := gate.asked[2]; cat.Input != sandbox.DataInput || string(cat.Content) != "known\n" || cat.Line != 2 {
		t.Errorf("%+v", cat)
	}
}

// TestRefusalsOfTheGate shows what a text sees of them.
func TestRefusalsOfTheGate(t *testing.T) {
	gate := &recorder{err: &sandbox.Refusal{Errno: 13, Reason: "nobody may"}}
	got := runJob(t, func(job *sandbox.Job) { job.Commands = gate }, "-c", "/bin/echo x; echo $?; /bin/echo y || echo no; nosuchprogram; echo $?")
	if got.stdout != "126\nno\n127\n" || !strings.Contains(got.stderr, "bash: line 1: /bin/echo: nobody may\n") || !strings.Contains(got.stderr, "nosuchprogram: command not found") {
		t.Errorf("%q, said %q", got.stdout, got.stderr)
	}
}

// TestLimitsHoldATextToo ends texts that would not end, or take too much.
func TestLimitsHoldATextToo(t *testing.T) {
	for _, c := range []struct {
		what, text string
		limits     sandbox.Limits
		cause      sandbox.Cause
	}{
		{"time", `while :; do :; done`, sandbox.Limits{Wall: time.Second, Memory: 512 << 20}, sandbox.WallTime},
		{"processor time", `while :; do :; done`, sandbox.Limits{Wall: time.Minute, CPU: time.Second, Memory: 512 << 20}, sandbox.CPUTime},
		{"memory", `x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done`, sandbox.Limits{Wall: time.Minute, Memory: 256 << 20}, sandbox.Memory},
	} {
		got := runJob(t, func(job *sandbox.Job) { job.Limits = c.limits }, "-c", c.text)
		if got.Cause != c.cause && (got.Cause != sandbox.Exited || got.ExitCode == 0) {
			t.Errorf("%s: %+v, said %.300q", c.what, got.Result, got.stderr)
		}
	}
	got := runJob(t, nil, "-c", `f() { f; }; f; echo never`)
	if got.stdout != "" || got.ExitCode == 0 {
		t.Errorf("endless calls: %+v %q %.300q", got.Result, got.stdout, got.stderr)
	}
}

// TestJobsEndWithTheirText shows that nothing outlives a text.
func TestJobsEndWithTheirText(t *testing.T) {
	got := runJob(t, nil, "-c", `sleep 3600 & echo started; (sleep 3601 &); bash -c 'sleep 3602 &'; exit 3`)
	if got.stdout != "started\n" || got.ExitCode != 3 || got.Cause != sandbox.Exited {
		t.Errorf("%+v %q, said %q", got.Result, got.stdout, got.stderr)
	}
}

// TestPythonsShellIsTheSandboxs shows subprocess with shell=True.
func TestPythonsShellIsTheSandboxs(t *testing.T) {
	host, err := sandboxed()
	if err != nil {
		t.Fatal(err)
	}
	gate := &recorder{}
	got := runJob(t, func(job *sandbox.Job) { job.Commands = gate }, "-c", `python3 -c '
import os, subprocess
print(subprocess.run("[[ -d /etc ]] && echo y; /bin/echo real; exit 3", shell=True, executable="/bin/bash", capture_output=True, text=True))
print(os.system("echo system; exit 2") >> 8)'`)
	if !strings.Contains(got.stdout, `returncode=3, stdout='y\nreal\n', stderr=''`) || !strings.Contains(got.stdout, "system\n2\n") {
		t.Errorf("%q, said %q", got.stdout, got.stderr)
	}
	if len(gate.asked) != 1 || gate.asked[0].Argv[0] != "/bin/echo" {
		t.Errorf("%+v", gate.asked)
	}
	_ = host
}

// TestUnprivileged runs what needs a sandbox again as a user without privileges.
func TestUnprivileged(t *testing.T) {
	if testing.Short() {
		t.Skip("much of the package again, as another user")
	}
	program, err := builtProgram()
	if err != nil {
		t.Skip(err)
	}
	conformance.AsOtherUser(t, []string{"testdata", program}, "-test.count=1", "-test.timeout=5m", "-test.run=Sandbox|Walls|Hidden|Words|Refusals|Limits|Python|Jobs")
}
