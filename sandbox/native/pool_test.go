//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// warmEngine is an engine of the test's own that starts n interpreters ahead.
func warmEngine(tb testing.TB, n int) *Engine {
	tb.Helper()
	e := New(Options{Runtime: engine(tb).options.Runtime, Warm: n})
	e.pool.pause = 0 // who waits for what was begun can tell when that is all
	tb.Cleanup(func() { _ = e.Close() })
	return e
}

// settled returns the interpreters that wait, once all that were begun do.
func settled(tb testing.TB, e *Engine) []*preforked {
	tb.Helper()
	e.pool.filling.Wait()
	e.pool.mu.Lock()
	entries := slices.Clone(e.pool.entries)
	e.pool.mu.Unlock()
	for _, w := range entries {
		select {
		case <-w.run.handshake.ready:
		case <-tb.Context().Done():
			tb.Fatal("an interpreter does not come to the point where it waits")
		}
	}
	return entries
}

// standing returns the interpreters that wait for a job, of which there is one at least.
func standing(tb testing.TB, e *Engine, job sandbox.Job) []*preforked {
	tb.Helper()
	if _, _, err := e.prepare(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	key := keyOfJob(tb, e, job)
	e.pool.refill(e, key, job)
	entries := slices.DeleteFunc(settled(tb, e), func(w *preforked) bool { return w.key != key })
	if len(entries) == 0 {
		tb.Fatal("no interpreter waits")
	}
	return entries
}

// warmed runs a script in an interpreter that waited for it.
func warmed(t *testing.T, e *Engine, change func(*sandbox.Job), script string) outcomeOf {
	t.Helper()
	job, stdout, stderr := jobFor(t, script)
	if change != nil {
		change(&job)
	}
	entries := standing(t, e, job)
	pid := entries[0].run.proc.PID
	result, err := e.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range settled(t, e) {
		if w.run.proc.PID == pid {
			t.Fatal("the interpreter that waited was not taken")
		}
	}
	return outcomeOf{stdout.String(), stderr.String(), result}
}

// A script cannot tell whether its interpreter was started for it or before it, apart from its age.
func TestWaitingInterpreterBecomesTheSessions(t *testing.T) {
	const script = `
import os, sys, time, locale, threading
print(sys.argv, sys.orig_argv[1:], sys.flags, sys.path)
print(dict(os.environ), os.getcwd(), os.getuid(), os.uname(), os.umask(0))
print(sorted(os.listdir("/proc/self/fd")), open("/proc/self/cmdline").read(), open("/proc/self/environ").read())
print(time.tzname, time.timezone, locale.getlocale(), sys.stdin.encoding, sys.stdout.line_buffering)
print(sorted(sys.modules), __name__, __file__ if "__file__" in globals() else None, threading.active_count())
print(sys.stdin.read())
print(os.path.exists("/etc/passwd"), os.listdir("/tmp"))
fd = os.open("/etc/passwd", os.O_RDONLY); print(fd)
print(os.popen("echo from a command").read())
1/0
`
	change := func(job *sandbox.Job) {
		job.Args = []string{"-", "one", "zwei drei"}
		job.Dir, job.Host.Nodename = "/etc", "elsewhere"
	}
	e := warmEngine(t, 1)
	warm := warmed(t, e, change, script)
	job, stdout, stderr := jobFor(t, script)
	change(&job)
	result := runJob(t, job)
	if cold := (outcomeOf{stdout.String(), stderr.String(), result}); cold != warm {
		t.Errorf("started for it: %+v\nwaited: %+v", cold, warm)
	}
	if !strings.Contains(warm.stderr, "ZeroDivisionError") {
		t.Error(warm.stderr)
	}
}

func TestTimeZoneOfAWaitingInterpreterIsTheTargets(t *testing.T) {
	zone, err := os.ReadFile("/usr/share/zoneinfo/Asia/Kathmandu")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "localtime"), zone, 0o644); err != nil {
		t.Fatal(err)
	}
	got := warmed(t, warmEngine(t, 1), func(job *sandbox.Job) { job.FS = viewOf(t, dir) }, `
import time; print(time.tzname, time.timezone)`)
	if want := "('+0545', '+0545') -20700\n"; got.stdout != want {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// An interpreter sees one session in its life, and each begins without a trace of another.
func TestSessionsShareNothingThroughThePool(t *testing.T) {
	e := warmEngine(t, 2)
	const script = `import os, sys, random
marks = [m for m in ("builtins_mark",) if hasattr(__builtins__, m)], os.environ.get("MARK"), os.listdir("/tmp")
__builtins__.builtins_mark = os.environ["MARK"] = "left behind"
open("/tmp/mark", "w").write("left behind")
print(marks, os.getpid(), hash("x"), random.random())`
	seen := map[string]bool{}
	for range 6 {
		got := warmed(t, e, nil, script)
		if !strings.HasPrefix(got.stdout, "([], None, []) ") || seen[got.stdout] {
			t.Fatalf("%+v", got)
		}
		seen[got.stdout] = true
	}
	if pids := waitingPids(t, e); len(pids) != 2 {
		t.Errorf("%d interpreters wait, want 2", len(pids))
	}
}

func waitingPids(t *testing.T, e *Engine) []int {
	t.Helper()
	var pids []int
	for _, w := range settled(t, e) {
		pids = append(pids, w.run.proc.PID)
	}
	return pids
}

func TestLimitsCountFromTheSession(t *testing.T) {
	e := warmEngine(t, 1)
	limits := func(wall, cpu time.Duration) func(*sandbox.Job) {
		return func(job *sandbox.Job) { job.Limits.Wall, job.Limits.CPU = wall, cpu }
	}
	if got := warmed(t, e, limits(300*time.Millisecond, 0), "import time; time.sleep(60)"); got.result.Cause != sandbox.WallTime {
		t.Errorf("%+v", got.result)
	}
	if got := warmed(t, e, limits(0, 300*time.Millisecond), "while True: pass"); got.result.Cause != sandbox.CPUTime {
		t.Errorf("%+v", got.result)
	}
	if got := warmed(t, e, func(job *sandbox.Job) { job.Limits.Write = 1 << 20 }, "open('/tmp/x', 'wb').write(bytes(2 << 20))"); got.result.ExitCode == 0 {
		t.Errorf("%+v", got.result)
	}
}

func TestEndOfTheSessionEndsAWaitingInterpreter(t *testing.T) {
	e := warmEngine(t, 1)
	job, stdout, _ := jobFor(t, "print('up', flush=True)\nimport time; time.sleep(600)")
	standing(t, e, job)
	ctx, cancel := context.WithCancel(t.Context())
	job.Stdout = writerFunc(func(p []byte) (int, error) { cancel(); return stdout.Write(p) })
	result, err := e.Run(ctx, job)
	if err != nil || result.Cause != sandbox.Stopped {
		t.Errorf("%+v, %v", result, err)
	}
}

// What makes an interpreter another one is never given to the wrong session.
func TestOnlyAnInterpreterOfTheSameKindIsTaken(t *testing.T) {
	e := warmEngine(t, 1)
	base, _, _ := jobFor(t, "")
	key := func(change func(*sandbox.Job)) string {
		job := base
		change(&job)
		return keyOfJob(t, e, job)
	}
	if _, _, err := e.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	same := key(func(*sandbox.Job) {})
	for name, change := range map[string]func(*sandbox.Job){
		"environment": func(j *sandbox.Job) { j.Env = append(slices.Clone(j.Env), "PYTHONHASHSEED=0") },
		"memory":      func(j *sandbox.Job) { j.Limits.Memory++ },
		"files":       func(j *sandbox.Job) { j.Limits.Files = 17 },
		"processor":   func(j *sandbox.Job) { j.Limits.CPU += time.Second },
		"code":        func(j *sandbox.Job) { j.Args = []string{"-c", "1"} },
		"terminal":    func(j *sandbox.Job) { j.Terminal = &sandbox.Terminal{} },
	} {
		if key(change) == same {
			t.Errorf("%s: the same kind", name)
		}
	}
	if got := key(func(j *sandbox.Job) { j.Args = []string{"-", "x"}; j.Dir = "/etc"; j.Limits.Wall = 1 }); got != same {
		t.Error("what a session brings makes another kind")
	}
	if key(func(j *sandbox.Job) { j.Args = nil }) != "" || key(func(j *sandbox.Job) { j.Terminal = &sandbox.Terminal{} }) != "" {
		t.Error("a prompt is taken from the pool")
	}
}

func TestDeadInterpreterIsNotTaken(t *testing.T) {
	e := warmEngine(t, 1)
	job, stdout, _ := jobFor(t, "print(1)")
	for _, w := range standing(t, e, job) {
		w.run.proc.Kill()
		if err := w.run.proc.AwaitExit(); err != nil {
			t.Fatal(err)
		}
	}
	if result, err := e.Run(t.Context(), job); err != nil || result.ExitCode != 0 || stdout.String() != "1\n" {
		t.Errorf("%+v, %v, %q", result, err, stdout)
	}
	if got := waitingPids(t, e); len(got) != 1 {
		t.Errorf("%v wait", got)
	}
}

func TestCloseEndsWaitingInterpreters(t *testing.T) {
	e := warmEngine(t, 3)
	job, _, _ := jobFor(t, "")
	standing(t, e, job)
	pids := waitingPids(t, e)
	if err := e.Close(); err != nil || len(pids) != 3 {
		t.Fatal(err, pids)
	}
	for _, pid := range pids {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			t.Errorf("%d is still there", pid)
		}
	}
}

// A script that says it waits gets no session of another's.
func TestScriptCannotWaitForASession(t *testing.T) {
	const script = `
import os
fd = os.open("/dev/shannot", os.O_RDWR)
body = (1).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"wait"
os.write(fd, len(body).to_bytes(4, "little") + body)
print(os.read(fd, 100))
import time; time.sleep(60)`
	e := warmEngine(t, 1)
	for name, got := range map[string]outcomeOf{"cold": runScript(t, script), "warm": warmed(t, e, nil, script)} {
		if got.result.Cause != sandbox.Protocol {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWaitingInterpreterSeesNothingOfATarget(t *testing.T) {
	e := warmEngine(t, 1)
	job, _, _ := jobFor(t, "")
	for _, w := range standing(t, e, job) {
		for _, name := range []string{"/etc", "/etc/passwd", "/home", "/proc/1", "/tmp"} {
			if _, err := w.view.Stat(name); !errors.Is(err, unix.ENOENT) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.view.Stat(Interpreter); err != nil {
			t.Error(err)
		}
	}
}

// viewOf is a view whose /etc is a directory of the test's.
func viewOf(t *testing.T, etc string) *vfs.Session {
	t.Helper()
	view, err := vfs.NewSession(vfs.Config{Scratch: []string{"/tmp"}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	source, err := vfs.NewDir(etc)
	if err != nil {
		t.Fatal(err)
	}
	if err := view.Mount(vfs.Mount{Path: "/etc", Source: source}); err != nil {
		t.Fatal(err)
	}
	return view
}

func keyOfJob(tb testing.TB, e *Engine, job sandbox.Job) string {
	tb.Helper()
	config, err := e.configFor(job)
	if err != nil {
		tb.Fatal(err)
	}
	return keyOf(config, job)
}

// What is started ahead is started after a pause, and never where the engine was closed meanwhile.
func TestNextInterpreterIsStartedAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{pause: refillPause}
		var refilled atomic.Int32
		refill := sync.OnceFunc(func() { refilled.Add(1) })
		after := func(d time.Duration, want int32) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := refilled.Load(); got != want {
				t.Errorf("it was started %d times, want %d", got, want)
			}
		}
		p.pauseBefore(time.AfterFunc(refillAfter, refill), refill)
		after(refillPause-1, 0) // the script's end is told first
		after(1, 1)
		after(refillAfter, 1)
		// A script that takes long has had its turn before.
		refilled.Store(0)
		refill = sync.OnceFunc(func() { refilled.Add(1) })
		long := time.AfterFunc(refillAfter, refill)
		after(refillAfter, 1)
		p.pauseBefore(long, refill)
		after(refillPause, 1)
	})
	e := warmEngine(t, 1)
	job, _, _ := jobFor(t, "")
	key := keyOfJob(t, e, job)
	e.pool.close()
	e.pool.refill(e, key, job)
	if e.pool.busy || len(e.pool.entries) > 0 {
		t.Error("a closed engine starts an interpreter")
	}
}
