//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/vfs"
)

func TestMain(m *testing.M) {
	Init()
	if os.Getenv(memoryEnv) != "" {
		holdMemory()
	}
	if os.Getenv(gatewayEnv) != "" {
		runGateway()
	}
	if signal.Ignored(unix.SIGINT) { // as in a job in the background, and so in the Python that scripts are compared with
		signal.Notify(make(chan os.Signal, 1), unix.SIGINT)
	}
	// What runs beside others waits more than it works. A number that is given on the command line is parsed later, and counts.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	status := m.Run()
	removeOpenRuntime()
	os.Exit(status)
}

// unprivilegedEnv is set in the run of this package's tests as an unprivileged user.
const unprivilegedEnv = "SHANNOT_TEST_RUNTIME"

var testEngine = sync.OnceValues(func() (*Engine, error) {
	dir, warm := os.Getenv(unprivilegedEnv), 1
	if dir == "" {
		warm = 0
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(cache, "shannot-gateway", "runtime")
	}
	e := New(Options{Runtime: dir, Warm: warm})
	_, _, err := e.prepare(context.Background())
	return e, err
})

func engine(tb testing.TB) *Engine {
	tb.Helper()
	e, err := testEngine()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// outcomeOf is what a test run of a script came to.
type outcomeOf struct {
	stdout, stderr string
	result         sandbox.Result
}

// patience bounds a script that ends by itself, however busy the machine is.
const patience = 5 * time.Minute

// jobMemory is the limit of memory of a test's job, in bytes.
const jobMemory = 512 << 20

// defaultPolicy is one for all sessions, as a target's is.
var defaultPolicy = sync.OnceValues(func() (*vfs.Policy, error) { return vfs.NewPolicy(narrowRead(), vfs.DefaultHide()) })

// jobFor makes a job over this host's files; the test may change it.
func jobFor(tb testing.TB, script string) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	tb.Helper()
	policy, err := defaultPolicy()
	if err != nil {
		tb.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{
		Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp", "/var/tmp"}, MaxBytes: 64 << 20, MaxFile: 32 << 20,
		UID: 1000, GID: 1000, Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = view.Close() })
	stdout, stderr := new(bytes.Buffer), new(bytes.Buffer)
	job := sandbox.Job{
		Session: tb.Name(), Args: []string{"-"}, Dir: "/", FS: view,
		Env:   []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LANG=C.UTF-8", "SHANNOT_SANDBOX=1"},
		Stdin: strings.NewReader(script), Stdout: stdout, Stderr: stderr, Commands: conformance.Exec{},
		Limits: sandbox.Limits{Wall: patience, CPU: 30 * time.Second, Memory: jobMemory, Write: 32 << 20, Processes: 16, Threads: 64},
		Host:   sandbox.Host{Sysname: "Linux", Nodename: "target-1", Release: "6.1", Version: "#1", Machine: "x86_64", UID: 1000, GID: 1000},
	}
	return job, stdout, stderr
}

func runJob(tb testing.TB, job sandbox.Job) sandbox.Result {
	tb.Helper()
	result, err := engine(tb).Run(tb.Context(), job)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

// runWithMemory is runScript with a limit of memory, whatever build this is.
func runWithMemory(tb testing.TB, script string) outcomeOf {
	tb.Helper()
	job, stdout, stderr := jobFor(tb, script)
	job.Limits.Memory = jobMemory
	result := runJob(tb, job)
	return outcomeOf{stdout.String(), stderr.String(), result}
}

func runScript(tb testing.TB, script string) outcomeOf {
	tb.Helper()
	job, stdout, stderr := jobFor(tb, script)
	result := runJob(tb, job)
	return outcomeOf{stdout.String(), stderr.String(), result}
}

// copyTree copies a file or a tree for another user.
func copyTree(tb testing.TB, to, from string) {
	tb.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		tb.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// TestUnprivileged runs this package's tests again as a user without privileges, and with interpreters that were started
// ahead where a script can be given to one.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the tests run unprivileged already")
	}
	if testing.Short() {
		t.Skip("the whole package again, as another user")
	}
	const uid = 65533
	dir, err := os.MkdirTemp("", "shannot-unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in, _, err := engine(t).prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runtime := filepath.Join(dir, "runtime")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	copyTree(t, runtime+"/", in.root)
	binary := filepath.Join(dir, "native.test")
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyTree(t, binary, own)
	copyTree(t, dir, "testdata") // which tests read beside their program
	if out, err := exec.Command("chown", "-R", "65533:65533", dir).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.count=1", "-test.timeout=15m")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, unprivilegedEnv + "=" + runtime}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as uid %d: %v\n%s", uid, err, out)
	}
}

// narrowRead shows less than all that the account may read, so that there is something that is not listed.
func narrowRead() []string {
	return []string{"/etc", "/proc", "/sys", "/var/log", "/usr", "/home", "/bin", "/sbin", "/lib", "/lib32", "/lib64"}
}
