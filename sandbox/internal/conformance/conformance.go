// Package conformance is what every engine must do, for tests. It has scripts that assert for themselves, in the Python that
// all engines understand (3.6), and a gate for their commands that lets everything pass, which only a test may have. It
// knows the contract of engines, and no engine. The scripts close what they write: an interpreter that does not count
// references writes what is left in a buffer when it gets to it.
package conformance

import (
	"testing"

	"shannot-gateway/sandbox"
)

// Case is a script and what it must print. Its exit status must be 0.
type Case struct{ Name, Script, Want string }

// Outcome is what a run of a script came to.
type Outcome struct {
	Stdout, Stderr string
	Result         sandbox.Result
}

// Check runs each case and compares.
func Check(t *testing.T, cases []Case, run func(t *testing.T, script string) Outcome) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			got := run(t, c.Script)
			if got.Result.Cause != sandbox.Exited || got.Result.ExitCode != 0 || got.Stdout != c.Want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.Result, got.Stdout, c.Want, got.Stderr)
			}
		})
	}
}

// Files are scripts that start no command.
var Files = []Case{
	{"hello", `print("hello")`, "hello\n"},
	{"json and re", "import json, re\nprint(json.loads('[1, {\"a\": null}]'), re.findall(r'\\d+', 'a1b22'))", "[1, {'a': None}] ['1', '22']\n"},
	{"datetime", "import datetime\nprint(datetime.date(2026, 2, 28) + datetime.timedelta(days=1))", "2026-03-01\n"},
	{"walk", `
import os
n = sum(len(files) for _, _, files in os.walk("/etc"))
print(n > 10)`, "True\n"},
	{"own writes in scratch", `
import os, pathlib
p = pathlib.Path("/tmp/a/b/c.txt"); p.parent.mkdir(parents=True); p.write_text("one\ntwo\n")
with p.open("a") as f: f.write("three\n")
print(p.read_text().splitlines(), p.stat().st_size, os.listdir("/tmp/a"), [d for d, _, _ in os.walk("/tmp")])`,
		"['one', 'two', 'three'] 14 ['b'] ['/tmp', '/tmp/a', '/tmp/a/b']\n"},
	{"own writes in the overlay", `
import os
with open("/etc/shannot-new.conf", "w") as f: f.write("x = 1\n")
with open("/etc/hostname", "a") as f: f.write("changed")
print(open("/etc/shannot-new.conf").read(), "shannot-new.conf" in os.listdir("/etc"), open("/etc/hostname").read().endswith("changed"), os.stat("/etc/shannot-new.conf").st_size)
os.rename("/etc/shannot-new.conf", "/etc/shannot-old.conf"); os.unlink("/etc/hostname")
print(os.path.exists("/etc/hostname"), any(n == "hostname" for n in os.listdir("/etc")), os.path.exists("/etc/shannot-old.conf"))`,
		"x = 1\n True True 6\nFalse False True\n"},
	{"shutil and tempfile", `
import shutil, tempfile, os
with tempfile.TemporaryDirectory() as d:
    os.makedirs(d + "/x/y")
    with open(d + "/x/y/f", "w") as f: f.write("1")
    shutil.copytree(d + "/x", d + "/z"); shutil.move(d + "/z", d + "/w"); shutil.rmtree(d + "/x")
    print(sorted(os.listdir(d)), open(d + "/w/y/f").read())
print(os.path.exists(d))`, "['w'] 1\nFalse\n"},
	{"links", `
import os
os.symlink("a", "/tmp/l")
with open("/tmp/a", "w") as f: f.write("A")
os.link("/tmp/a", "/tmp/h")
print(os.readlink("/tmp/l"), open("/tmp/l").read(), os.stat("/tmp/h").st_nlink, os.path.samefile("/tmp/a", "/tmp/h"))`, "a A 2 True\n"},
	{"metadata", `
import os
open("/tmp/m", "w").close(); os.chmod("/tmp/m", 0o751); os.utime("/tmp/m", (1000, 2000))
st = os.stat("/tmp/m"); print(oct(st.st_mode), st.st_mtime, st.st_atime, st.st_uid, os.access("/tmp/m", os.X_OK))`, "0o100751 2000.0 1000.0 1000 True\n"},
	{"directory descriptors", `
import os
os.mkdir("/tmp/d"); fd = os.open("/tmp/d", os.O_RDONLY | os.O_DIRECTORY)
f = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd); os.write(f, b"zz"); os.close(f)
print(os.listdir(fd), os.stat("f", dir_fd=fd).st_size); os.fchdir(fd); print(os.getcwd(), open("f").read())
print(os.listdir(fd))`, "['f'] 2\n/tmp/d zz\n['f']\n"},
	{"directories that move", `
import os
def tried(f, *args, **kwds):
    try: return f(*args, **kwds)
    except OSError as e: return e.errno
os.makedirs("/tmp/a/b"); os.chdir("/tmp/a/b"); os.rename("/tmp/a", "/tmp/z"); os.makedirs("/tmp/a/b")
with open("f", "w") as f: f.write("here")
print(os.getcwd(), os.listdir("/tmp/z/b"), os.listdir("/tmp/a/b"))
os.mkdir("/tmp/d"); fd = os.open("/tmp/d", os.O_RDONLY); os.rename("/tmp/d", "/tmp/now"); os.mkdir("/tmp/d")
os.close(os.open("in", os.O_CREAT | os.O_WRONLY, dir_fd=fd)); print(os.listdir("/tmp/now"), os.listdir("/tmp/d"), os.listdir(fd))
os.mkdir("/tmp/gone"); os.chdir("/tmp/gone"); os.rmdir("/tmp/gone"); print(tried(os.getcwd), tried(os.stat, "x"), tried(os.open, "x", os.O_CREAT | os.O_WRONLY))
os.mkdir("/tmp/gone"); print(tried(os.getcwd)); os.fchdir(fd); print(os.getcwd(), os.path.exists("in")); os.chdir("/")`,
		"/tmp/z/b ['f'] []\n['in'] [] ['in']\n2 2 2\n2\n/tmp/now True\n"},
	{"names of descriptors", `
import os
os.mkdir("/tmp/d"); fd = os.open("/tmp/d", os.O_RDONLY); os.rename("/tmp/d", "/tmp/e")
with open("/tmp/f", "w") as f: print(os.readlink("/proc/self/fd/%d" % fd), os.readlink("/proc/self/fd/%d" % f.fileno()))
fd = os.open("/tmp/e", 0o10000000)  # O_PATH
try: os.listdir(fd)
except OSError as e: print(e.errno)`, "/tmp/e /tmp/f\n9\n"},
	{"many entries", `
import os
for i in range(3000): open(f"/tmp/file-{i:05}", "w").close()
names = os.listdir("/tmp"); print(len(names), len(set(names)))
for e in os.scandir("/tmp"): os.unlink(e.path)
print(os.listdir("/tmp"))`, "3000 3000\n[]\n"},
	{"hidden files are absent", `
import os
print(os.path.exists("/etc/shadow"), "shadow" in os.listdir("/etc"))
try: open("/etc/shadow")
except FileNotFoundError: print("absent")`, "False False\nabsent\n"},
	{"large read", `
with open("/tmp/big", "wb") as f: f.write(b"x" * 3_000_000)
print(len(open("/tmp/big", "rb").read()))`, "3000000\n"},
	{"statvfs", "import os, shutil; a, b = os.statvfs('/usr'), os.statvfs('/tmp'); print(shutil.disk_usage('/tmp').total > 0, a.f_blocks * a.f_frsize != b.f_blocks * b.f_frsize, a.f_namemax, os.fstatvfs(os.open('/usr', 0)).f_blocks == a.f_blocks)", "True True 255 True\n"},
	// A monitor opens such a file once and rewinds it.
	{"files of the kernel are read anew", `
import os, time
def fresh(read):
    before = read()
    while read() == before: time.sleep(0.01)
    return len(before) > 3
with open("/proc/uptime") as f: print(fresh(lambda: (f.seek(0), f.read())[1]))
fd = os.open("/proc/uptime", os.O_RDONLY)
print(os.fstat(fd).st_size, fresh(lambda: os.pread(fd, 100, 0)), os.lseek(fd, 0, os.SEEK_CUR), os.read(fd, 4) + os.read(fd, 100) != b"", os.read(fd, 1))
print(fresh(lambda: (os.lseek(fd, 0, os.SEEK_SET), os.read(fd, 100))[1]))`, "True\n0 True 0 True b''\nTrue\n"},
	{"proc", `print("MemTotal" in open("/proc/meminfo").read())`, "True\n"},
}

// Commands are scripts that start commands of an ordinary Linux.
var Commands = withImports([]Case{
	{"run", `r = subprocess.run(["echo", "a b"], capture_output=True, text=True); print(r.returncode, repr(r.stdout))`, "0 'a b\\n'\n"},
	{"inherited output, in order", `print("before"); subprocess.run(["echo", "command"]); print("after")`, "before\ncommand\nafter\n"},
	{"shell", `print(subprocess.check_output("echo $((6*7)) | cat", shell=True))`, "b'42\\n'\n"},
	{"exit status", `print(subprocess.call(["sh", "-c", "exit 7"]))`, "7\n"},
	{"check", "try: subprocess.run(['false'], check=True)\nexcept subprocess.CalledProcessError as e: print(e.returncode)", "1\n"},
	{"stderr to stdout", `print(subprocess.run("echo out; echo err >&2; echo out", shell=True, stdout=-1, stderr=-2).stdout)`, "b'out\\nerr\\nout\\n'\n"},
	{"separate stderr", `r = subprocess.run("echo out; echo err >&2", shell=True, capture_output=True); print(r.stdout, r.stderr)`, "b'out\\n' b'err\\n'\n"},
	{"input", `print(len(subprocess.run(["cat"], input=b"x" * 300_000, capture_output=True).stdout))`, "300000\n"},
	{"text input", `print(subprocess.run(["cat"], input="é\n", capture_output=True, text=True).stdout)`, "é\n\n"},
	{"input that the command does not read", `print(subprocess.run(["true"], input=b"x" * 300_000).returncode)`, "0\n"},
	{"large input", `print(len(subprocess.run(["cat"], input=b"x" * 3_000_000, capture_output=True).stdout))`, "3000000\n"},
	{"streaming", `
p = subprocess.Popen(["cat"], stdin=-1, stdout=-1, bufsize=0)
for i in range(3):
    p.stdin.write(b"%d\n" % i); print(p.stdout.readline())
p.stdin.close(); print(p.wait())`, "b'0\\n'\nb'1\\n'\nb'2\\n'\n0\n"},
	{"pipeline", `
a = subprocess.Popen(["echo", "b\na"], stdout=-1); b = subprocess.Popen(["sort"], stdin=a.stdout, stdout=-1); a.stdout.close()
print(b.communicate()[0])`, "b'a\\nb\\n'\n"},
	{"timeout", "try: subprocess.run(['sleep', '60'], timeout=0.2)\nexcept subprocess.TimeoutExpired: print('timeout')", "timeout\n"},
	{"kill", "p = subprocess.Popen(['sleep', '60']); print(p.poll()); p.kill(); print(p.wait())", "None\n-9\n"},
	{"terminate", "p = subprocess.Popen(['sleep', '60']); p.terminate(); print(p.wait())", "-15\n"},
	{"not found", "try: subprocess.run(['no-such-program'])\nexcept FileNotFoundError as e: print(e.errno, e.filename)", "2 no-such-program\n"},
	{"no such directory", "try: subprocess.run(['true'], cwd='/no/such')\nexcept FileNotFoundError: print('absent')", "absent\n"},
	{"directory", `print(subprocess.check_output(["pwd"], cwd="/usr"))`, "b'/usr\\n'\n"},
	{"environment", `print(subprocess.check_output(["env"], env={"A": "1"}))`, "b'A=1\\n'\n"},
	{"to a file", `
with open("/tmp/out", "w") as f: f.write("first\n"); f.flush(); subprocess.run(["echo", "second"], stdout=f)
print(open("/tmp/out").read())`, "first\nsecond\n\n"},
	{"from a file", `
with open("/tmp/in", "w") as f: f.write("content")
print(subprocess.run(["cat"], stdin=open("/tmp/in"), capture_output=True).stdout)`, "b'content'\n"},
	{"devnull", `print(subprocess.run(["cat"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode)`, "0\n"},
	{"system", `print(os.system("echo sys; exit 3") >> 8)`, "sys\n3\n"},
	{"popen", `print(os.popen("echo p").read())`, "p\n\n"},
	{"getoutput", `print(subprocess.getstatusoutput("echo g; exit 2"))`, "(2, 'g')\n"},
	{"preexec_fn is refused with a reason", "try: subprocess.run(['true'], preexec_fn=print)\nexcept Exception as e: print(type(e).__name__, 'preexec_fn' in str(e))", "RuntimeError True\n"},
	{"too long an argument", `
try: subprocess.run(["true", "x" * (4 << 20)])
except OSError as e: print(e.errno == 7)`, "True\n"},
	{"broken pipe", `
p = subprocess.Popen(["sh", "-c", "yes"], stdout=-1); p.stdout.readline(); p.stdout.close(); print(p.wait() != 0)`, "True\n"},
})

// Threads are scripts whose threads can be run one after the other.
var Threads = []Case{
	{"a worker for each result", `
import threading
found = []
threads = [threading.Thread(target=found.append, args=(n,)) for n in range(5)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(found), [t.is_alive() for t in threads], threading.active_count())`, "[0, 1, 2, 3, 4] [False, False, False, False, False] 1\n"},
	{"workers of a queue that is joined", `
import queue, threading
q, done = queue.Queue(), []
def work():
    while True:
        done.append(q.get()); q.task_done()
for _ in range(3): threading.Thread(target=work, daemon=True).start()
for n in range(5): q.put(n)
q.join(); print(sorted(done))`, "[0, 1, 2, 3, 4]\n"},
	{"workers that are told the end", `
import queue, threading
q, done = queue.Queue(), []
def work():
    for n in iter(q.get, None): done.append(n)
    done.append(10)
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
for n in range(5): q.put(n)
for t in threads: q.put(None)
for t in threads: t.join()
print(sorted(done))`, "[0, 1, 2, 3, 4, 10, 10, 10]\n"},
	{"queues that hold little", `
import queue, threading
q, got = queue.Queue(maxsize=2), []
def produce():
    for n in range(6): q.put(n)
    q.put(None)
def consume():
    for n in iter(q.get, None): got.append(n)
p, c = threading.Thread(target=produce), threading.Thread(target=consume)
c.start(); p.start(); c.join(); p.join()
c = threading.Thread(target=consume); c.start(); produce(); c.join()
print(got)`, "[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]\n"},
	{"events, conditions and semaphores", `
import threading
asked, answered = threading.Event(), threading.Event()
def answer(): asked.wait(); answered.set()
t = threading.Thread(target=answer); t.start(); asked.set(); print(answered.wait()); t.join()
some, items = threading.Condition(), []
def provide():
    with some: items.append(1); some.notify()
threading.Thread(target=provide).start()
with some:
    while not items: some.wait()
s = threading.Semaphore(0); threading.Thread(target=s.release).start(); print(items, s.acquire())
print(threading.Event().wait(0.01), threading.Lock().acquire(timeout=0.01))`, "True\n[1] True\nFalse True\n"},
	{"somebody looks whether it is done", `
import threading, time
done = []
threading.Thread(target=done.append, args=(1,)).start()
while not done: time.sleep(0.001)
t = threading.Thread(target=done.append, args=(2,)); t.start()
while t.is_alive(): pass
print(done)`, "[1, 2]\n"},
	{"something that goes on until it is told", `
import threading
stop = threading.Event()
def tick():
    while not stop.wait(0.01): pass
    print("stopped")
t = threading.Thread(target=tick); t.start(); print(sum(range(1000))); stop.set(); t.join()`, "499500\nstopped\n"},
	{"a reader of what a command prints", `
import subprocess, threading
out = []
p = subprocess.Popen(["head", "-c", "300000", "/dev/zero"], stdout=subprocess.PIPE)
t = threading.Thread(target=lambda: out.append(len(p.stdout.read()))); t.start(); print(p.wait()); t.join(); print(out)`, "0\n[300000]\n"},
	{"pools", `
from concurrent.futures import ThreadPoolExecutor, as_completed
from multiprocessing.pool import ThreadPool
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(len, ["a", "bb"])), pool.submit(int, "x").exception().__class__.__name__)
    print(sorted(f.result() for f in as_completed([pool.submit(abs, -n) for n in range(3)])))
with ThreadPool(3) as pool:
    print(pool.map(abs, [-1, 2]), pool.starmap(pow, [(2, 3)]), list(pool.imap(abs, [-3])), pool.apply(max, (1, 2)))
    r = pool.apply_async(int, ("x",)); r.wait(); print(r.successful())`, "[1, 2] ValueError\n[0, 1, 2]\n[1, 2] [8] [3] 2\nFalse\n"},
	{"at the end", `
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
t = threading.Thread(target=lambda: print("thread")); print("main"); t.start()`, "main\nthread\n"},
}

func withImports(cases []Case) []Case {
	for i := range cases {
		cases[i].Script = "import os, subprocess, sys\n" + cases[i].Script
	}
	return cases
}
