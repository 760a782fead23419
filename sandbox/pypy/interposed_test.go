//go:build linux && (amd64 || arm64)

package pypy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/pypy/pypytest"
)

// double of a sandboxed PyPy, which was built once for all tests. TestMain removes it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

// interposedEngine runs scripts in an ordinary PyPy of this machine, behind the layers.
func interposedEngine(t testing.TB) *Engine {
	t.Helper()
	if missing := pypytest.Missing(); missing != "" {
		t.Skip("this machine has no " + missing)
	}
	b := &built
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "shannot-pypy-"); b.err == nil {
			b.err = pypytest.Build("testdata", b.dir)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	e := New(Options{Executable: filepath.Join(b.dir, "pypy3-c"), Library: b.dir})
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// inEngine runs scripts over this host's files in an engine.
func inEngine(e *Engine) func(t *testing.T, script string) conformance.Outcome {
	return func(t *testing.T, script string) conformance.Outcome {
		t.Helper()
		job, stdout, stderr := unmountedHostJob(t, script)
		result, err := e.Run(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		return conformance.Outcome{Stdout: stdout.String(), Stderr: stderr.String(), Result: result}
	}
}

func TestOrdinaryPyPyDoesWhatEveryEngineDoes(t *testing.T) {
	t.Parallel()
	e := interposedEngine(t)
	if testing.Short() {
		conformance.Check(t, slices.Concat(conformance.Files[:6], conformance.Commands[:4]), inEngine(e))
		return
	}
	checkAll(t, e)
}

// checkAll runs every script that an interpreter of this engine must run.
func checkAll(t *testing.T, e *Engine) {
	for name, cases := range map[string][]conformance.Case{
		"files": conformance.Files, "commands": conformance.Commands, "threads": conformance.Threads, "guest": guestCases,
		"interpreter": interpreterCases,
	} {
		t.Run(name, func(t *testing.T) { conformance.Check(t, cases, inEngine(e)) })
	}
}

func TestOrdinaryPyPyEndsAtItsLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("an interpreter for each limit")
	}
	e := interposedEngine(t)
	for _, c := range []struct {
		name, script string
		want         sandbox.Cause
	}{
		{"memory", "l = []\nwhile True: l.append(bytearray(1 << 20))", sandbox.Memory},
		{"memory that is caught", "l = []\ntry:\n    while True: l.append(bytearray(1 << 20))\nexcept MemoryError: del l", sandbox.Exited},
		{"files", "l = []\nwhile True: l.append(open('/etc/hostname'))", sandbox.Files},
		{"writes", "with open('/tmp/x', 'wb') as f:\n    while True: f.write(b'x' * 1000000)", sandbox.Written},
		{"processor time", "while True: pass", sandbox.CPUTime},
		{"elapsed time", "import time; time.sleep(60)", sandbox.WallTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			job, stdout, stderr := unmountedHostJob(t, c.script)
			job.Limits = sandbox.Limits{Memory: 256 << 20, Write: 4 << 20, CPU: 2 * time.Second}
			if c.want == sandbox.WallTime {
				job.Limits = sandbox.Limits{Wall: time.Second}
			}
			r, err := e.Run(t.Context(), job)
			if err != nil || r.Cause != c.want || (r.ExitCode == 0) != (c.want == sandbox.Exited) {
				t.Errorf("%+v, %v, stdout %q, stderr %s", r, err, stdout, stderr)
			}
		})
	}
}

// A script that sleeps asks once, and waits for the answer. The table of calls is everybody's, so nothing runs beside this test.
func TestSleepIsOneQuestion(t *testing.T) {
	e := interposedEngine(t)
	f := functions["select(ipppp)i"]
	asked, answer := 0, f.call
	f.call = func(c *calls, a []uint64) (int64, error) {
		if c.identity.job.Session == t.Name() { // not the run that compiles the library
			asked++
		}
		return answer(c, a)
	}
	defer func() {
		_ = e.Close() // the run that compiles the library has ended then
		f.call = answer
	}()
	if got := inEngine(e)(t, "import threading, time\nbegun = time.time(); time.sleep(0.3); print(time.time() - begun >= 0.3)"); got.Stdout != "True\n" || asked != 1 {
		t.Errorf("asked %d times: %+v", asked, got)
	}
	_ = e.Close() // what compiles the library has ended
}

func TestOrdinaryPyPyTakesArgumentsInputAndTheTargetsZone(t *testing.T) {
	e := interposedEngine(t)
	target := targetFiles()
	target.AddFile("/etc/localtime", 0o644, []byte("TZif2 and what else\nCET-1CEST,M3.5.0,M10.5.0/3\n"))
	job, stdout, stderr := unmountedJob(t, target)
	job.Args = []string{"-c", `
import os, sys, time
print(sys.argv, sys.stdin.read())
for t in (1700000000, 1690000000): print(time.strftime("%H:%M %Z %Y-%m-%d", time.localtime(t)), time.mktime(time.localtime(t)) == t)
print(os.uname()[1], sorted(os.environ)[0], len(os.urandom(3)), os.getuid())
sys.stdout.buffer.write(b"\xff\x00\n"); sys.stdout.flush()`, "a b", "é", "-x"}
	job.Stdin = strings.NewReader("input é\n")
	if _, err := e.Run(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("['-c', 'a b', 'é', '-x'] input é\n\n23:13 CET 2023-11-14 True\n06:26 CEST 2023-07-22 True\n%s %s 3 %d\n\xff\x00\n",
		job.Host.Nodename, strings.SplitN(slices.Min(job.Env), "=", 2)[0], job.Host.UID)
	if stdout.String() != want {
		t.Errorf("got %q, want %q, stderr %s", stdout, want, stderr)
	}
}

// interpreterCases are what only an interpreter without the modules of an ordinary one can show.
var interpreterCases = []conformance.Case{
	{Name: "names and text are UTF-8", Script: `
import os, sys
with open("/tmp/é", "w") as f: f.write("ü\n")
print(os.listdir("/tmp"), open("/tmp/é").read(), sys.getfilesystemencoding(), "日本")
try: open("/tmp/ñ")
except OSError as e: print(e)`, Want: "['é'] ü\n utf-8 日本\n[Errno 2] No such file or directory: '/tmp/ñ'\n"},
	{Name: "tables and base64", Script: `
import base64, csv, io, email.message
print(base64.b64encode(b"abc"), list(csv.reader(['a,"b,c"'])))`, Want: "b'YWJj' [['a', 'b,c']]\n"},
	{Name: "archives", Script: `
import base64, gzip, io, zipfile
old = base64.b64decode("H4sIAAAAAAACA8tIzcnJVyjPL8pJ4QIALTsIrwwAAAA=")
with open("/tmp/old.gz", "wb") as f: f.write(old)
with gzip.open("/tmp/old.gz", "rt") as f: print(f.read(), end="")
with gzip.open("/tmp/new.gz", "wb") as f: f.write(b"x" * 100000)
with gzip.open("/tmp/new.gz") as f: print(len(f.read()))
with zipfile.ZipFile("/tmp/a.zip", "w", zipfile.ZIP_DEFLATED) as z: z.writestr("a", "text")
print(zipfile.ZipFile("/tmp/a.zip").read("a"))`, Want: "hello world\n100000\nb'text'\n"},
	{Name: "XML", Script: `
import io, xml.dom.minidom, xml.etree.ElementTree as ET, xml.sax, plistlib
root = ET.fromstring('<?xml version="1.0"?><a x="1&amp;2"><b xmlns="urn:b">t\u00e9xt</b><!-- c --><c/>tail</a>')
print(root.get("x"), [(e.tag, e.text, e.tail) for e in root], ET.tostring(root))
print([e.tag for _, e in ET.iterparse(io.BytesIO(b"<a>" + b"<b/>" * 3 + b"</a>"))])
print(xml.dom.minidom.parseString("<a><b c='d'>e</b></a>").getElementsByTagName("b")[0].toxml())
try: ET.fromstring("<a><b></a>")
except ET.ParseError as e: print(e, e.code, e.position)
class Names(xml.sax.ContentHandler):
    def startElement(self, name, attrs): print(name, dict(attrs))
xml.sax.parseString(b"<a b='c'><d/></a>", Names())`,
		Want: "1&2 [('{urn:b}b', 'téxt', None), ('c', None, 'tail')] b'<a xmlns:ns0=\"urn:b\" x=\"1&amp;2\"><ns0:b>t&#233;xt</ns0:b><c />tail</a>'\n" +
			"['b', 'b', 'b', 'a']\n<b c=\"d\">e</b>\nmismatched tag: line 1, column 8 7 (1, 8)\na {'b': 'c'}\nd {}\n"},
	{Name: "threads that wait for ever are told why", Script: `
import queue, threading
held, some, open_tasks = threading.Lock(), threading.Condition(), queue.Queue()
held.acquire(); open_tasks.put(1)
def condition():
    with some: some.wait()
for wait in (held.acquire, condition, open_tasks.join, queue.Queue().get, threading.Event().wait, threading.Semaphore(0).acquire, threading.Barrier(2).wait):
    try: wait()
    except RuntimeError as e: print(str(e)[:73])`,
		Want: strings.Repeat("this would wait for ever: the interpreter of this sandbox has one thread,\n", 7)},
	{Name: "threads that take turns are ended, and it is said", Script: `
import io, queue, sys, threading
sys.stderr = said = io.StringIO()
a, b = threading.Event(), threading.Event()
def turns(mine, other):
    for _ in range(3): mine.wait(); mine.clear(); other.set()
pair = [threading.Thread(target=turns, args=(a, b), name="one"), threading.Thread(target=turns, args=(b, a), name="other")]
for t in pair: t.start()
a.set()
for t in pair: t.join()
print("other is ended where it waits" in said.getvalue(), "RuntimeError: this would wait for ever" in said.getvalue())
said.truncate(0); q, stop = queue.Queue(), threading.Event()
def look():
    while not stop.is_set():
        try: q.get(timeout=0.001); q.task_done()
        except queue.Empty: pass
t = threading.Thread(target=look); t.start(); q.put(1); q.join(); stop.set(); t.join()
print("waits again and again" in said.getvalue())`, Want: "True True\nTrue\n"},
	{Name: "host names beyond ASCII", Script: `
import unicodedata, urllib.parse
print("b\u00fccher.example".encode("idna"), b"xn--bcher-kva.example".decode("idna"), "fa\u00df.de".encode("idna"))
print(urllib.parse.urlsplit("http://b\u00fccher.example/").netloc, unicodedata.normalize("NFKC", "\ufb01"), unicodedata.category("\u00e9"))
for bad in (lambda: urllib.parse.urlsplit("http://example.com\uff03@a"), lambda: "\u0627a".encode("idna"), lambda: unicodedata.name("x")):
    try: bad()
    except ValueError as e: print(str(e)[:12])`,
		Want: "b'xn--bcher-kva.example' bücher.example b'fass.de'\nbücher.example fi Ll\nnetloc 'exam\nencoding wit\nno such name\n"},
	{Name: "mappings", Script: `
import mmap, os, re
with open("/tmp/f", "wb") as f: f.write(b"line one\nline two\nend")
with open("/tmp/f", "r+b") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
    print(len(m), m[:4], m[0], m.find(b"two"), m.readline(), m.tell(), re.findall(br"l\w+", m), b"two" in m, m.size(), m.read(4))
    for change in (lambda: m.write(b"x"), lambda: m.resize(1), lambda: m.__setitem__(0, 1)):
        try: change()
        except TypeError as e: print("read" in str(e), end=" ")
    for how in ({}, dict(access=mmap.ACCESS_WRITE), dict(access=mmap.ACCESS_COPY)):
        try: mmap.mmap(f.fileno(), 0, **how)
        except OSError as e: print(e.errno, end=" ")
try: m.read()
except ValueError as e: print(e)`,
		Want: "21 b'line' 108 14 b'line one\\n' 9 [b'line', b'line'] True 21 b'line'\nTrue True True 19 19 19 mmap closed or invalid\n"},
	{Name: "terminals and limits", Script: `
import getpass, os, pty, resource, termios, tty
for fd in (0, 99):
    for ask in (termios.tcgetattr, tty.setraw):
        try: ask(fd)
        except termios.error as e: print(e.args[0], end=" ")
for make in (pty.openpty, pty.fork, os.openpty, os.forkpty):
    try: make()
    except OSError: print("refused", end=" ")
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrusage(resource.RUSAGE_SELF).ru_utime >= 0, resource.getpagesize())
try: resource.setrlimit(resource.RLIMIT_NOFILE, (1, 1))
except ValueError as e: print(e)`, Want: "25 25 9 9 refused refused refused refused (256, 256) True 4096\nnot allowed to raise maximum limit\n"},
	{Name: "modules that are not there", Script: `
for name in "bz2 lzma ctypes sqlite3 ssl curses syslog".split():
    try: __import__(name)
    except ImportError as e: print(e)
import asyncio, dbm, shutil, tarfile, zipfile, uuid, decimal, statistics`,
		Want: "bz2 is not in the PyPy of the Shannot sandbox: run the script with --engine native, or start bzcat\n" +
			"lzma is not in the PyPy of the Shannot sandbox: run the script with --engine native, or start xzcat\n" +
			"ctypes is not in the PyPy of the Shannot sandbox: run the script with --engine native\n" +
			"sqlite3 is not in the PyPy of the Shannot sandbox: run the script with --engine native\n" +
			"ssl is not in the PyPy of the Shannot sandbox, which has no network: --engine native has the module\n" +
			"curses is not in the PyPy of the Shannot sandbox: run the script with --engine native\n" +
			"syslog is not in the PyPy of the Shannot sandbox: run the script with --engine native, or start logger\n"},
	{Name: "timers and events", Script: `
import subprocess, threading, time
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
watchdog = threading.Timer(60, p.kill); watchdog.start()
print(p.communicate(b"x")[0], p.returncode, watchdog.is_alive()); watchdog.cancel(); print(watchdog.is_alive())
begun = time.monotonic(); print(threading.Event().wait(0.1), time.monotonic() - begun >= 0.1)
later = threading.Timer(0.01, print, ["later"]); later.start(); print("first"); later.join()
threading.Timer(0.01, print, ["at the end"]).start(); print("end")`, Want: "b'x' 0 True\nFalse\nFalse True\nfirst\nlater\nend\nat the end\n"},
	{Name: "hashes", Script: `
import hashlib
print(hashlib.sha3_256(b"").hexdigest()[:8], hashlib.blake2b(b"", digest_size=4).hexdigest(), hashlib.md5(b"").hexdigest()[:8])`,
		Want: "a7ffc6f8 1271cf25 d41d8cd9\n"},
	{Name: "locks", Script: `
import fcntl
with open("/tmp/lock", "w") as f: print(fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB))
try: fcntl.flock(f, fcntl.LOCK_UN)
except ValueError: print("closed")`, Want: "None\nclosed\n"},
	{Name: "memory of the target", Script: `
import multiprocessing, os
assert multiprocessing.cpu_count() == os.cpu_count() > 0
total = [int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith("MemTotal")][0]
print(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") == total * 1024)`, Want: "True\n"},
}
