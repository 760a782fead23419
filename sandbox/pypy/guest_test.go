//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/examples"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/guest"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/vfs"
)

// ordinaryPython is a Python of this machine, which testdata/double.py turns into a double of a pypy-sandbox: the
// guest's modules and the standard library then run over the real driver. It is no test of a real executable.
var ordinaryPython = sync.OnceValue(func() string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		found, err := exec.LookPath(name)
		if err == nil && exec.Command(found, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 9))").Run() == nil {
			return found
		}
	}
	return ""
})

// pythonChild is a double in Python.
type pythonChild struct {
	cmd     *exec.Cmd
	calls   *os.File
	answers *os.File
	stderr  bytes.Buffer
	waited  sync.Once
	status  syscall.WaitStatus
}

func (c *pythonChild) PID() int                     { return c.cmd.Process.Pid }
func (c *pythonChild) WithPID(do func(pid int))     {}
func (c *pythonChild) Used() (time.Duration, int64) { return 0, 0 }
func (c *pythonChild) Calls() io.Reader             { return c.calls }
func (c *pythonChild) Answers() io.Writer           { return c.answers }
func (c *pythonChild) Settle()                      {}
func (c *pythonChild) Kill()                        { _ = c.cmd.Process.Kill() }
func (c *pythonChild) Messages() string             { return "" }

func (c *pythonChild) Wait() syscall.WaitStatus {
	c.waited.Do(func() {
		_ = c.cmd.Wait()
		c.status = c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	})
	return c.status
}

// guestDir is a directory with the guest's modules, but for those that an ordinary Python has built in.
func guestDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range guest.PyPyFiles() {
		if name == "_thread.py" || name == "_signal.py" || name == "hashlib.py" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runInDouble runs a job in the Python double.
func runInDouble(t *testing.T, job sandbox.Job) sandbox.Result {
	t.Helper()
	python := ordinaryPython()
	if python == "" {
		t.Skip("this machine has no python3")
	}
	c := &pythonChild{}
	theirIn, answers := pipe(t)
	calls, theirOut := pipe(t)
	c.calls, c.answers = calls, answers
	c.cmd = exec.Command(python, append([]string{"-I", "-S", "testdata/double.py", guestDir(t)}, job.Args...)...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirIn, theirOut, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	result, err := converse(t.Context(), job, c, time.Now, func(m string, a ...any) { t.Log(m, a) })
	if err != nil {
		t.Fatal(err)
	}
	if c.stderr.Len() > 0 {
		t.Logf("the double says: %s", c.stderr.String())
	}
	return result
}

// hostJob is a job over this host's files, as the other engine's tests have it.
func hostJob(t *testing.T, script string) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	job, stdout, stderr := unmountedHostJob(t, script)
	if err := mount(job, testLibrary(t), time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	return job, stdout, stderr
}

// unmountedHostJob is hostJob without the engine's own trees.
func unmountedHostJob(t testing.TB, script string) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	policy, err := vfs.NewPolicy(vfs.DefaultRead(), vfs.DefaultHide())
	if err != nil {
		t.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{
		Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp", "/var/tmp"}, MaxBytes: 64 << 20, MaxFile: 32 << 20, UID: 1000, GID: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	stdout, stderr := new(bytes.Buffer), new(bytes.Buffer)
	return sandbox.Job{
		Session: t.Name(), Args: []string{"-"}, Dir: "/", FS: view,
		Env:   []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LANG=C.UTF-8", "SHANNOT_SANDBOX=1"},
		Stdin: strings.NewReader(script), Stdout: stdout, Stderr: stderr, Commands: conformance.Exec{},
		Limits: sandbox.Limits{Wall: time.Minute, Memory: 512 << 20, Write: 32 << 20},
		Host:   sandbox.Host{Sysname: "Linux", Nodename: "target-1", Release: "6.1", Version: "#1", Machine: "x86_64", UID: 1000, GID: 1000},
	}, stdout, stderr
}

func doubleRun(t *testing.T, script string) conformance.Outcome {
	job, stdout, stderr := hostJob(t, script)
	result := runInDouble(t, job)
	return conformance.Outcome{Stdout: stdout.String(), Stderr: stderr.String(), Result: result}
}

func TestFilesThroughTheDriver(t *testing.T) {
	if testing.Short() {
		t.Skip("an interpreter for each case")
	}
	conformance.Check(t, conformance.Files, doubleRun)
}

func TestCommandsThroughTheGuestsSubprocess(t *testing.T) {
	if testing.Short() {
		t.Skip("an interpreter for each case")
	}
	conformance.Check(t, conformance.Commands, doubleRun)
}

func TestExampleRunsUnchanged(t *testing.T) {
	got := doubleRun(t, examples.CheckSystem)
	for _, want := range []string{"== Disk usage: df -h", "Filesystem", "MemTotal", "removed it again"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("no %q in %q; stderr %s", want, got.Stdout, got.Stderr)
		}
	}
	if got.Result.Cause != sandbox.Exited || got.Result.ExitCode != 0 {
		t.Errorf("%+v", got.Result)
	}
}

func TestGuestModules(t *testing.T) {
	t.Parallel()
	conformance.Check(t, guestCases, doubleRun)
}

// guestCases are what the guest's modules must do, in any interpreter.
var guestCases = []conformance.Case{
	{Name: "refused command", Script: `
import subprocess, os
for f in (lambda: subprocess.run(["no-such-program"]), lambda: subprocess.run(["true"], cwd="/no/such")):
    try: f()
    except FileNotFoundError as e: print(e.errno)`, Want: "2\n2\n"},
	{Name: "repr and errors", Script: `
import subprocess
print(subprocess.run(["echo", "a b"], stdout=subprocess.PIPE, universal_newlines=True))
try: subprocess.check_output("echo out; exit 3", shell=True)
except subprocess.CalledProcessError as e: print(e, e.output)
try: subprocess.check_call(["false"])
except subprocess.CalledProcessError as e: print(e.cmd)
for bad in (dict(capture_output=True, stdout=1), dict(input=b"", stdin=0), dict(text=True, universal_newlines=False)):
    try: subprocess.run(["true"], **bad)
    except Exception as e: print(type(e).__name__)
print(subprocess.list2cmdline(["a b", 'c"d', ""]))`,
		Want: "CompletedProcess(args=['echo', 'a b'], returncode=0, stdout='a b\\n')\nCommand 'echo out; exit 3' returned non-zero exit status 3. b'out\\n'\n['false']\nValueError\nValueError\nSubprocessError\n\"a b\" c\\\"d \"\"\n"},
	{Name: "timeout keeps what came, and communicate goes on", Script: `
import subprocess
p = subprocess.Popen("echo early; sleep 1; echo late", shell=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
try: p.communicate(timeout=0.3)
except subprocess.TimeoutExpired as e: print(e.output)
print(p.communicate()[0], p.returncode)`, Want: "b'early\\n'\nb'early\\nlate\\n' 0\n"},
	{Name: "text in lines", Script: `
import subprocess
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True, bufsize=1)
p.stdin.write("one\n"); print(repr(p.stdout.readline())); print(p.communicate("two\n"))`, Want: "'one\\n'\n('two\\n', None)\n"},
	{Name: "socket", Script: `
import socket, urllib.request
print(socket.gethostname(), socket.inet_aton("127.0.0.1"))
for f in (socket.socket, lambda: socket.create_connection(("1.1.1.1", 80))):
    try: f()
    except PermissionError as e: print("network" in str(e))
try: urllib.request.urlopen("http://192.0.2.1/")
except OSError as e: print(type(e).__name__)`, Want: "target-1 b'\\x7f\\x00\\x00\\x01'\nTrue\nTrue\nURLError\n"},
	{Name: "users and groups", Script: `
import pwd, grp, os
print(pwd.getpwuid(0).pw_name, pwd.getpwnam("root").pw_dir, grp.getgrgid(0).gr_name, pwd.getpwnam("root")[2])
try: pwd.getpwnam("no such user")
except KeyError: print("unknown")`, Want: "root /root root 0\nunknown\n"},
	{Name: "select", Script: `
import select, os
r, w = os.pipe()
print(select.select([r], [w], [], 0) == ([], [w], [])); os.write(w, b"x"); print(select.select([r], [], [], None)[0] == [r])
print(select.select([], [], [], 0.01))`, Want: "True\nTrue\n([], [], [])\n"},
	{Name: "sleep, and times as the target has them", Script: `
import time, os
t = time.monotonic(); time.sleep(0.05); print(time.monotonic() - t >= 0.05, len(os.urandom(8)))`, Want: "True 8\n"},
	{Name: "exit is a name", Script: "print('é')\nexit(0)", Want: "é\n"},
}

func TestGuestBlamesTheLimit(t *testing.T) {
	job, _, stderr := hostJob(t, "open('/tmp/big', 'wb', 0).write(b'x' * 5000000); open('/tmp/big', 'ab', 0).write(b'x')")
	job.Limits.Write = 1 << 20
	if got := runInDouble(t, job); got.Cause != sandbox.Written || got.ExitCode != 1 {
		t.Errorf("%+v, stderr %s", got, stderr)
	}
}

func TestPlatformStartsNoCommands(t *testing.T) {
	gate := new(recorder)
	job, stdout, stderr := hostJob(t, "import platform; print(platform.node(), platform.system(), platform._syscmd_file('x', 'd'), platform._syscmd_uname('-p', 'd'))")
	job.Commands = gate
	runInDouble(t, job)
	if stdout.String() != "target-1 Linux d d\n" || len(gate.started()) != 0 {
		t.Errorf("stdout %q stderr %q, %d commands", stdout, stderr, len(gate.started()))
	}
}

func TestRefusalReachesTheScriptWithItsReason(t *testing.T) {
	job, stdout, stderr := hostJob(t, `
import subprocess, os
try: subprocess.run(["reboot"])
except PermissionError as e: print(e)
print(os.system("reboot") >> 8)`)
	job.Commands = conformance.Refuse{}
	runInDouble(t, job)
	if stdout.String() != "[Errno 13] not today: 'reboot'\n126\n" || stderr.String() != "sh: not today\n" {
		t.Errorf("stdout %q stderr %q", stdout, stderr)
	}
}
