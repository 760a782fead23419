//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
)

func TestFurtherInterpretersRunInTheSameSandbox(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, script, want string }{
		{"run", `print(run("import sys; print(6 * 7, sys.executable, sys.argv[1:])", "a b", ""))`, "42 /opt/shannot/bin/python3.14 ['a b', '']\n\n"},
		{"bytes that are no text", `
print(subprocess.run([sys.executable, "-c", "import os, sys; print(os.fsencode(sys.argv[1]), os.environb[b'X'])", b"\xff\xfe"], env={b"X": b"\xfd"}, stdout=-1).stdout)`, "b\"b'\\\\xff\\\\xfe' b'\\\\xfd'\\n\"\n"},
		{"exit status and signal", `
print([subprocess.call([sys.executable, "-c", c]) for c in ("raise SystemExit(9)", "import os; os.kill(os.getpid(), 15)", "1")])`, "[9, -15, 0]\n"},
		{"one view of the files", `
open("/tmp/a", "w").write("from the parent"); open("/etc/hosts", "a").write("# changed")
print(run("print(open('/tmp/a').read(), open('/etc/hosts').read().endswith('# changed')); open('/tmp/b', 'w').write('back')"), open("/tmp/b").read())`, "from the parent True\n back\n"},
		{"its own directory and umask", `
os.mkdir("/tmp/d"); os.umask(0o077)
print(subprocess.run([sys.executable, "-c", "import os; print(os.getcwd(), oct(os.umask(0))); os.chdir('/')"], cwd="/tmp/d", capture_output=True, text=True).stdout, os.getcwd())`, "/tmp/d 0o77\n /\n"},
		{"its own /proc/self", `
print(run("import os; print(open('/proc/self/cmdline').read().split(chr(0))[3:4], os.listdir('/proc/self/fd')[:3], os.readlink('/proc/self/cwd'))", "x"), open("/proc/self/cmdline").read().split(chr(0))[1:])`, "['x'] ['0', '1', '2'] /\n ['-', '']\n"},
		{"process ids", `
p = subprocess.Popen([sys.executable, "-c", "import os; print(os.getpid(), os.getppid(), os.getpgid(0) == os.getpid())"], stdout=-1, text=True)
print(p.communicate()[0] == f"{p.pid} {os.getpid()} True\n", os.getppid())`, "True 1\n"},
		{"environment", `print(run("import os; print(os.environ.get('A'), os.environ['SHANNOT_SANDBOX'], 'MALLOC_ARENA_MAX' in os.environ)", env={**os.environ, "A": "1"}))`, "1 1 False\n\n"},
		{"input and a pipeline", `
a = subprocess.Popen([sys.executable, "-c", "print('b'); print('a')"], stdout=-1)
b = subprocess.Popen(["sort"], stdin=a.stdout, stdout=-1); print(b.communicate()[0])
print(subprocess.run([sys.executable, "-c", "print(len(input()))"], input=b"x" * 300_000, capture_output=True).stdout)`, "b'a\\nb\\n'\nb'300000\\n'\n"},
		{"files as streams", `
with open("/tmp/out", "w") as f: subprocess.run([sys.executable, "-c", "import os; print(os.fstat(1).st_size); print(os.fstat(1).st_uid)"], stdout=f)
print(open("/tmp/out").read())`, "0\n1000\n\n"},
		{"passed descriptors", `
r, w = os.pipe(); f = open("/tmp/passed", "w+"); d = os.open("/tmp", os.O_RDONLY)
code = "import os, sys; w, f, d = map(int, sys.argv[1:]); os.write(w, b'pipe'); os.write(f, b'file'); print(os.listdir(d)); print(len(os.listdir('/proc/self/fd')))"
print(subprocess.run([sys.executable, "-c", code, str(w), str(f.fileno()), str(d)], pass_fds=[w, f.fileno(), d], capture_output=True, text=True).stdout)
print(os.read(r, 10), open("/tmp/passed").read())`, "['passed']\n7\n\nb'pipe' file\n"},
		{"commands of its own", `print(run("import subprocess; subprocess.run(['echo', 'from a command']); print(subprocess.run(['false']).returncode)"))`, "from a command\n1\n\n"},
		{"kill and wait", `
import signal
p = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], stdout=-1)
p.stdout.readline(); print(p.poll()); p.terminate(); print(p.wait())
signal.signal(signal.SIGUSR1, lambda *a: print("from the child"))
q = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getppid(), signal.SIGUSR1)"]); q.wait()`, "None\n-15\nfrom the child\n"},
		{"exec of itself", `print("first", flush=True); os.execv(sys.executable, [sys.executable, "-c", "print('second'); raise SystemExit(0)"])`, "first\nsecond\n"},
		{"asyncio", `
import asyncio
async def main():
    ps = [await asyncio.create_subprocess_exec(sys.executable, "-c", f"print({i})", stdout=-1) for i in range(4)]
    print([(await p.communicate())[0] for p in ps])
asyncio.run(main())`, "[b'0\\n', b'1\\n', b'2\\n', b'3\\n']\n"},
		{"module", `print(subprocess.run([sys.executable, "-m", "json.tool"], input='{"a":1}', capture_output=True, text=True).stdout)`, "{\n    \"a\": 1\n}\n\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, `
import os, subprocess, sys
def run(code, *args, **options): return subprocess.run([sys.executable, "-c", code, *args], stdout=-1, text=True, **options).stdout
`+c.script)
			if got.result.Cause != sandbox.Exited || got.result.ExitCode != 0 || got.stdout != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, c.want, got.stderr)
			}
		})
	}
}

func TestMultiprocessingSpawns(t *testing.T) {
	t.Parallel()
	got := runScript(t, `
import pathlib, subprocess, sys
pathlib.Path("/tmp/work.py").write_text('''
import multiprocessing, concurrent.futures, os
def square(x): return x * x
def put(q, lock):
    with lock: q.put(os.getpid())
if __name__ == "__main__":
    print(multiprocessing.get_start_method())
    with multiprocessing.Pool(3) as pool: print(pool.map(square, range(10)))
    with concurrent.futures.ProcessPoolExecutor(2) as pool: print(list(pool.map(square, range(5))))
    q, lock = multiprocessing.Queue(), multiprocessing.Lock()
    p = multiprocessing.Process(target=put, args=(q, lock)); p.start(); print(q.get() == p.pid); p.join(); print(p.exitcode)
    from multiprocessing import shared_memory
    m = shared_memory.SharedMemory(create=True, size=10); m.buf[0] = 7
    n = shared_memory.SharedMemory(m.name); print(bytes(n.buf[:1])); n.close(); m.close(); m.unlink()
    print([f for f in os.listdir("/dev/shm") if f.startswith("psm")])
    from multiprocessing.managers import SharedMemoryManager
    for manager in (multiprocessing.Manager, SharedMemoryManager().start):
        try: manager()
        except PermissionError as e: print(e.strerror[:53])
''')
sys.exit(subprocess.call([sys.executable, "/tmp/work.py"]))`)
	want := "spawn\n[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n[0, 1, 4, 9, 16]\nTrue\n0\nb'\\x07'\n[]\n" +
		strings.Repeat("multiprocessing's managers serve on sockets, which do\n", 2)
	if got.result.ExitCode != 0 || got.stdout != want {
		t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, want, got.stderr)
	}
}

// A script on standard input has no file that a further process could run for its functions.
func TestMultiprocessingHasTheFunctionsOfAScriptOnStandardInput(t *testing.T) {
	run := func(script string) (stdout, stderr string, code int) {
		job, out, errs := jobFor(t, script)
		job.Script = script
		result := runJob(t, job)
		return out.String(), errs.String(), result.ExitCode
	}
	const guarded = `
import concurrent.futures, multiprocessing, os
def square(x): return __name__, x * x
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(2) as pool: print(list(pool.map(square, range(3))))
    with multiprocessing.Pool(1) as pool: print(pool.apply(square, (3,)))
    try: open("/dev/shannot-script.py", "w")
    except OSError: print("read only")`
	out, errs, code := run(guarded)
	if want := "[('__mp_main__', 0), ('__mp_main__', 1), ('__mp_main__', 4)]\n('__mp_main__', 9)\nread only\n"; out != want || code != 0 {
		t.Errorf("%d: %q, want %q: %s", code, out, want, errs)
	}
	// What all processes would do again is not begun.
	out, errs, code = run(`
import multiprocessing
print("once")
multiprocessing.Process(target=print, args=("again",)).start()`)
	if code != 1 || out != "once\n" || strings.Count(errs, "\n  File \"<stdin>\"") != 1 || !strings.Contains(errs, "from its beginning") {
		t.Errorf("%d: %q %s", code, out, errs)
	}
	// Code of -c and of a terminal is nobody's file; what is imported works.
	job, stdout, stderr := jobFor(t, "")
	job.Args = []string{"-c", "import multiprocessing, math\nwith multiprocessing.Pool(1) as p: print(p.map(math.sqrt, [4]), __import__('os').path.exists('/dev/shannot-script.py'))"}
	job.Script = job.Args[1]
	if result := runJob(t, job); result.ExitCode != 0 || stdout.String() != "[2.0] False\n" {
		t.Errorf("%+v: %q %s", result, stdout, stderr)
	}
}

func TestForkBombsOfInterpretersAreBounded(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"wide", `
import subprocess, sys
ps = []
try:
    while len(ps) < 100: ps.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
except BlockingIOError as e: print(len(ps), e.strerror)
for p in ps: p.kill(); p.wait()
print(subprocess.call([sys.executable, "-c", "1"]))`, "3 limits.processes allows 4 interpreters at once\n0\n"},
		{"deep", `
import subprocess, sys
code = '''
import subprocess, sys
try: subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[1], str(int(sys.argv[2]) + 1)])
except BlockingIOError: print(sys.argv[2])
'''
subprocess.run([sys.executable, "-c", code, code, "1"])`, "3\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job, stdout, stderr := jobFor(t, c.script)
			job.Limits.Processes = 4
			if r := runJob(t, job); r.ExitCode != 0 || stdout.String() != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", r, stdout, c.want, stderr)
			}
		})
	}
}

// Chains of interpreters whose parents leave at once end at the depth, and with the session.
func TestInterpretersThatAreLeftBehindEndWithTheSession(t *testing.T) {
	t.Parallel()
	job, stdout, stderr := jobFor(t, `
import subprocess, sys
code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[1]]); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", code, code]); print("left", flush=True)`)
	job.Limits.Wall = 5 * time.Second // until then it must have begun, on a busy machine too
	if r := runJob(t, job); r.Cause != sandbox.WallTime || stdout.String() != "left\n" {
		t.Errorf("%+v stdout %q stderr %s", r, stdout, stderr)
	}
}

func TestInterpretersShareOneBudget(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, script string
		set          func(*sandbox.Limits)
		want         sandbox.Cause
	}{
		{"processor time in sum", `
import subprocess, sys
while True: subprocess.run([sys.executable, "-c", "for i in range(3_000_000): pass"])`,
			func(l *sandbox.Limits) { l.CPU = time.Second }, sandbox.CPUTime},
		{"memory in sum", `
import subprocess, sys
ps = [subprocess.Popen([sys.executable, "-c", "b = bytearray(60 << 20); b[:] = b'x' * len(b); input()"], stdin=-1) for _ in range(6)]
for p in ps: p.wait()`,
			func(l *sandbox.Limits) { l.Memory = 200 << 20 }, sandbox.Memory},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job, _, stderr := jobFor(t, c.script)
			c.set(&job.Limits)
			if r := runJob(t, job); r.Cause != c.want || r.Detail == "" {
				t.Errorf("%+v, want cause %q; stderr %s", r, c.want, stderr)
			}
		})
	}
}

func TestThreadsOfAllInterpretersAreBounded(t *testing.T) {
	got := runScript(t, `
import subprocess, sys
code = '''
import threading
stop = threading.Event(); n = 0
try:
    while n < 1000: threading.Thread(target=stop.wait, daemon=True).start(); n += 1
except RuntimeError: pass
print(n, flush=True); input()
'''
ps = [subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) for _ in range(3)]
n = sum(int(p.stdout.readline()) for p in ps); print(40 < n < 64)
for p in ps: p.kill()`)
	if got.stdout != "True\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

// greedy takes all that it can get of everything, and never stops by itself.
const greedy = `
import os, subprocess, sys, threading
def take(f):
    while True:
        try: f()
        except BaseException: pass
kept = []
def descriptors(): kept.append(os.pipe())
def nodes(): os.mkdir(f"/tmp/{os.urandom(8).hex()}")
def files():
    with open(f"/tmp/{os.urandom(8).hex()}", "wb") as f: f.write(bytes(1 << 20))
def requests():
    fd = os.open("/dev/shannot", os.O_RDWR); kept.append(fd); os.write(fd, (4 << 20).to_bytes(4, "little") + b"x")
def interpreters(): kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
def commands(): kept.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
def memory(): kept.append(bytearray(os.urandom(64) * (1 << 14)))
def threads(): threading.Thread(target=threading.Event().wait, daemon=True).start()
def output(): os.write(2, b"x" * 4096)
for f in (descriptors, nodes, files, requests, interpreters, commands, memory, threads, output):
    threading.Thread(target=take, args=(f,), daemon=True).start()
print("taking", flush=True)
take(lambda: os.stat("/"))
`

// greedySessions run at once beside one that asks for little.
const greedySessions = 4

func TestScriptsThatFillEverythingCostTheGatewayLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("runs against a wall clock of seconds")
	}
	e := engine(t)
	runScript(t, "print()") // what is made once is made
	memory, _ := procfs.ResidentMemory(os.Getpid())
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	taking, done := make(chan struct{}, greedySessions), make(chan sandbox.Result, greedySessions)
	for range greedySessions {
		job, _, _ := jobFor(t, greedy)
		job.Limits = sandbox.Limits{
			Wall: 8 * time.Second, CPU: 30 * time.Second, Memory: 256 << 20, Write: 32 << 20, Processes: 4, Threads: 32, Files: 256, Calls: 20_000,
		}
		var once sync.Once
		job.Stdout = writerFunc(func(p []byte) (int, error) { once.Do(func() { taking <- struct{}{} }); return len(p), nil })
		job.Stderr = io.Discard
		go func() {
			r, err := e.Run(t.Context(), job)
			if err != nil {
				t.Error(err)
			}
			_ = job.FS.Close()
			done <- r
		}()
	}
	for range greedySessions {
		<-taking
	}
	// Another session answers meanwhile.
	for range 3 {
		if got := runScript(t, "import subprocess; print(subprocess.check_output(['echo', 'fine']))"); got.stdout != "b'fine\\n'\n" {
			t.Errorf("another session: %+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
		}
	}
	// What the views hold is in memory files, which do not count here; requests and records do.
	const most = greedySessions * (100 << 20)
	now, _ := procfs.ResidentMemory(os.Getpid())
	if grown := now - memory; grown > most {
		t.Errorf("the gateway grew by %d MiB", grown>>20)
	}
	for range greedySessions {
		if r := <-done; r.Cause == sandbox.Exited || r.Cause == sandbox.Stopped || r.Detail == "" {
			t.Errorf("%+v", r)
		}
	}
	if e.options.Warm > 0 {
		return // what waits in the pool comes and goes
	}
	// Nothing of them is left. Connections close a moment after their interpreters.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(supervisor.Tick) {
		fds, running := openDescriptors(t), runtime.NumGoroutine()
		if len(fds) <= len(descriptors) && running <= goroutines {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%q descriptors and %d goroutines are left of %q and %d before\n%s", fds, running, descriptors, goroutines, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// openDescriptors tells where the descriptors of this process lead.
func openDescriptors(t *testing.T) (leads []string) {
	t.Helper()
	names, err := procfs.Names("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		to, err := os.Readlink("/proc/self/fd/" + n)
		if err == nil && to != "/" { // which each job of these tests keeps of its own, see vfs.NewHost
			leads = append(leads, n+" "+to)
		}
	}
	return leads
}

// What a process has used is told by its clock and its pages as by its files. A first stage, which is a copy of the
// gateway, has used no memory.
func TestUseOfAProcessIsWhatTheKernelSays(t *testing.T) {
	t.Run("from a file", func(t *testing.T) { useOf(t, exec.Command("cat")) })
	t.Run("from memory, as where the root is in memory", func(t *testing.T) {
		name, err := exec.LookPath("cat")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := unix.MemfdCreate("cat", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "cat")
		defer func() { _ = file.Close() }()
		if _, err := file.Write(text); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("cat")
		cmd.Path, cmd.Err = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
		if shared := useOf(t, cmd); shared == 0 {
			t.Error("none of it is in memory that could be shared")
		}
	})
}

// useOf starts a process that repeats its input, looks at what is told of it, and returns how much memory it may share.
func useOf(t *testing.T, cmd *exec.Cmd) (shared int64) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	if _, err := io.WriteString(in, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it does nothing any more
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	own, shared := procfs.ResidentMemory(pid)
	if all := procfs.ResidentPages(pid); own <= 0 || all < own+shared {
		t.Errorf("%d bytes in all, %d of them its own, %d shared", all, own, shared)
	}
	if cpu := procfs.CPUTime(os.Getpid()); cpu <= 0 || procfs.CPUTime(pid) <= 0 {
		t.Errorf("this process has used %v", cpu)
	}
	member := &run{proc: supervisor.Attach(supervisor.State{PID: pid})}
	f := &members{all: map[*run]int{member: pid, {}: 0}}
	if _, memory := f.used(nil, 0, 1); memory != 0 {
		t.Errorf("a first stage has used %d bytes", memory)
	}
	member.proc = supervisor.Attach(supervisor.State{PID: member.proc.PID, Loaded: true})
	// Pages that others have too count in part, and who has them changes.
	if _, memory := f.used(nil, 0, own+shared-1); memory < own || memory > own+shared {
		t.Errorf("%d bytes above the limit, %d of them shared, told as %d", own+shared, shared, memory)
	}
	if _, memory := f.used(nil, 0, 1<<40); memory < own+shared || memory > 1<<40 {
		t.Errorf("%d bytes below the limit, told as %d", own+shared, memory)
	}
	if cpu := procfs.CPUTime(posix.FirstPID); cpu != 0 {
		t.Errorf("nobody has used %v", cpu)
	}
	return shared
}

// A script is not held to account for what the gateway has in memory, of which it begins as a copy.
func TestMemoryOfTheGatewayIsNotTheScripts(t *testing.T) {
	firstStage(t, func(p *supervisor.Process) {
		own, _ := procfs.ResidentMemory(p.PID)
		member := &run{proc: p}
		f := &processTree{root: &run{}, members: members{all: map[*run]int{member: p.PID}}, turn: turn{asking: member}}
		if _, memory := f.used(nil, 0, 1); own == 0 || memory != 0 {
			t.Errorf("%d bytes of the gateway's count as %d of the script's", own, memory)
		}
		// Nor is it shown, by its maps or otherwise, until it is an interpreter.
		shown := &processes{tree: f}
		dir := fmt.Sprintf("/%d", p.PID)
		for _, name := range []string{dir, dir + "/maps", dir + "/stat"} {
			if _, err := shown.Lstat(name); err != unix.ENOENT {
				t.Errorf("%s is there: %v", name, err)
			}
		}
		if _, err := shown.Open(dir+"/maps", unix.O_RDONLY); err != unix.ENOENT {
			t.Errorf("its maps are read: %v", err)
		}
		if list, err := shown.ReadDir("/"); err != nil || len(list) != 2 { // self and thread-self
			t.Errorf("%v, %v", list, err)
		}
		member.proc = supervisor.Attach(supervisor.State{PID: member.proc.PID, Loaded: true})
		if _, err := shown.Lstat(dir + "/maps"); err != nil {
			t.Errorf("an interpreter's maps: %v", err)
		}
	})
}

// stageLook is whom the calls of an interpreter are for that never comes to one.
type stageLook struct{ look func() }

func (s stageLook) Started()                   { s.look() }
func (stageLook) Loaded(error)                 {}
func (stageLook) Answer(*seccomp.Notification) {}
func (stageLook) Ended(error)                  {}
func (stageLook) Panicked(any)                 {}

// firstStage starts an interpreter, calls look while it is a first stage that waits for its exec, and ends it.
func firstStage(t *testing.T, look func(p *supervisor.Process)) {
	t.Helper()
	e := engine(t)
	_, loader, err := e.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	job, _, _ := jobFor(t, "")
	config, err := e.configFor(job)
	if err != nil {
		t.Fatal(err)
	}
	p := supervisor.New(func(msg string, args ...any) { t.Error(msg, args) })
	defer p.Close()
	err = p.Start(loader, config, [3]*os.File{}, stageLook{func() {
		look(p)
		p.Kill()
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.Reap()
}
