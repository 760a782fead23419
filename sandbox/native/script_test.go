//go:build linux && (amd64 || arm64)

package native

import (
	"strings"
	"testing"

	"shannot-gateway/sandbox"
)

// Each script asserts for itself; its last line says what it must print.
func TestOrdinaryScriptsBehaveAsInCPython(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"hello", `print("hello")`, "hello\n"},
		{"arguments", `import sys; print(sys.argv, sys.executable)`, "['-'] /opt/shannot/bin/python3.14\n"},
		{"reads the host", `print(open("/etc/hostname").read() == __import__("subprocess").run(["cat", "/etc/hostname"], capture_output=True, text=True).stdout)`, "True\n"},
		{"proc", `print("MemTotal" in open("/proc/meminfo").read())`, "True\n"},
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
open("/etc/shannot-new.conf", "w").write("x = 1\n")
with open("/etc/hostname", "a") as f: f.write("changed")
print(open("/etc/shannot-new.conf").read(), "shannot-new.conf" in os.listdir("/etc"), open("/etc/hostname").read().endswith("changed"), os.stat("/etc/shannot-new.conf").st_size)
os.rename("/etc/shannot-new.conf", "/etc/shannot-old.conf"); os.unlink("/etc/hostname")
print(os.path.exists("/etc/hostname"), any(n == "hostname" for n in os.listdir("/etc")), os.path.exists("/etc/shannot-old.conf"))`,
			"x = 1\n True True 6\nFalse False True\n"},
		{"shutil and tempfile", `
import shutil, tempfile, os
with tempfile.TemporaryDirectory() as d:
    os.makedirs(d + "/x/y"); open(d + "/x/y/f", "w").write("1")
    shutil.copytree(d + "/x", d + "/z"); shutil.move(d + "/z", d + "/w"); shutil.rmtree(d + "/x")
    print(sorted(os.listdir(d)), open(d + "/w/y/f").read())
print(os.path.exists(d))`, "['w'] 1\nFalse\n"},
		{"links", `
import os
os.symlink("a", "/tmp/l"); open("/tmp/a", "w").write("A"); os.link("/tmp/a", "/tmp/h")
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
		{"many entries", `
import os
for i in range(3000): open(f"/tmp/file-{i:05}", "w").close()
names = os.listdir("/tmp"); print(len(names), len(set(names)))
for e in os.scandir("/tmp"): os.unlink(e.path)
print(os.listdir("/tmp"))`, "3000 3000\n[]\n"},
		{"threads", `
import threading
total = []
ts = [threading.Thread(target=lambda i=i: total.append(i)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]; print(sum(total))`, "190\n"},
		{"pool", "from concurrent.futures import ThreadPoolExecutor as T\nprint(list(T(4).map(lambda x: x * x, range(5))))", "[0, 1, 4, 9, 16]\n"},
		{"asyncio", `
import asyncio
async def main():
    p = await asyncio.create_subprocess_exec("echo", "from asyncio", stdout=asyncio.subprocess.PIPE)
    print((await p.communicate())[0], p.returncode)
asyncio.run(main())`, "b'from asyncio\\n' 0\n"},
		{"signals of its own", `
import signal, time, os
signal.signal(signal.SIGALRM, lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.1)
signal.signal(signal.SIGUSR1, lambda *a: print("usr1")); os.kill(os.getpid(), signal.SIGUSR1)`, "alarm\nusr1\n"},
		{"uname and user", "import os, socket\nprint(os.uname().nodename, os.getuid(), socket.gethostname())", "target-1 1000 target-1\n"},
		{"sqlite", `
import sqlite3
c = sqlite3.connect("/tmp/x.db"); c.execute("pragma journal_mode=wal"); c.execute("create table t (a)"); c.execute("insert into t values (7)"); c.commit()
print(sqlite3.connect("/tmp/x.db").execute("select a from t").fetchall())`, "[(7,)]\n"},
		{"mmap", `
import mmap
open("/tmp/mm", "wb").write(b"0123456789")
with open("/tmp/mm", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0); m[0:2] = b"AB"; m.flush()
print(open("/tmp/mm").read())`, "AB23456789\n"},
		{"devices", `
import os
print(open("/dev/zero", "rb").read(3), len(os.urandom(5)), open("/dev/null", "w").write("x"), sorted(os.listdir("/dev"))[:3])
try: open("/dev/full", "w", buffering=1).write("x\n")
except OSError as e: print(e.strerror)`, "b'\\x00\\x00\\x00' 5 1 ['fd', 'full', 'null']\nNo space left on device\n"},
		{"standard library", `
import csv, hashlib, zipfile, tarfile, logging, glob, fnmatch, collections, decimal, statistics, gzip, base64, uuid, configparser, argparse, string, textwrap, urllib.parse, email, html, platform, getpass, inspect, ctypes, ssl
print(hashlib.sha256(b"").hexdigest()[:8], platform.node(), ctypes.CDLL(None).abs(-3))`, "e3b0c442 target-1 3\n"},
		{"hidden files are absent", `
import os
print(os.path.exists("/etc/shadow"), "shadow" in os.listdir("/etc"))
try: open("/etc/shadow")
except FileNotFoundError: print("absent")`, "False False\nabsent\n"},
		{"sandbox is told", "import os; print(os.environ['SHANNOT_SANDBOX'], 'MALLOC_ARENA_MAX' in os.environ)", "1 False\n"},
		{"large read", `
open("/tmp/big", "wb").write(b"x" * 3_000_000)
print(len(open("/tmp/big", "rb").read()))`, "3000000\n"},
		{"reads its own streams by name", "print(open('/dev/fd/0').read() == '', open('/proc/self/exe', 'rb').read(4))", "True b'\\x7fELF'\n"},
		{"statvfs", "import shutil; print(shutil.disk_usage('/tmp').total > 0)", "True\n"},
		{"fcntl locks", `
import fcntl
f = open("/tmp/lock", "w"); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); print("locked")`, "locked\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, c.script)
			if got.result.Cause != sandbox.Exited || got.result.ExitCode != 0 || got.stdout != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, c.want, got.stderr)
			}
		})
	}
}

func TestCommandsBehaveAsInCPython(t *testing.T) {
	cases := []struct{ name, script, want string }{
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
open("/tmp/in", "w").write("content")
print(subprocess.run(["cat"], stdin=open("/tmp/in"), capture_output=True).stdout)`, "b'content'\n"},
		{"devnull", `print(subprocess.run(["cat"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode)`, "0\n"},
		{"system", `print(os.system("echo sys; exit 3") >> 8)`, "sys\n3\n"},
		{"popen", `print(os.popen("echo p").read())`, "p\n\n"},
		{"getoutput", `print(subprocess.getstatusoutput("echo g; exit 2"))`, "(2, 'g')\n"},
		{"posix_spawn", `
pid = os.posix_spawn("/bin/echo", ["echo", "spawned"], os.environ); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`, "spawned\n0\n"},
		{"spawnlp", `print(os.spawnlp(os.P_WAIT, "echo", "echo", "spawnlp"))`, "spawnlp\n0\n"},
		{"exec", `print("first", flush=True); os.execlp("sh", "sh", "-c", "echo second; exit 0")`, "first\nsecond\n"},
		{"wait for any", `
a = subprocess.Popen(["true"]); pid, status = os.wait(); print(pid == a.pid, status)`, "True 0\n"},
		{"alarm during a wait", `
import signal
def ring(*a): raise TimeoutError
signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.1)
p = subprocess.Popen(["sleep", "60"])
try: p.wait()
except TimeoutError: print("rang"); p.kill(); p.wait()`, "rang\n"},
		{"threads start commands", `
from concurrent.futures import ThreadPoolExecutor as T
print(sorted(T(8).map(lambda i: subprocess.check_output(["echo", str(i)]), range(8)))[-1])`, "b'7\\n'\n"},
		{"preexec_fn is refused with a reason", "try: subprocess.run(['true'], preexec_fn=print)\nexcept Exception as e: print(type(e).__name__, 'preexec_fn' in str(e))", "RuntimeError True\n"},
		{"other options are refused with a reason", `
for options in ({"user": "nobody"}, {"group": 1}, {"extra_groups": [1]}, {"umask": 0o77}, {"process_group": 1}, {"pass_fds": [os.dup(0)]}):
    try: subprocess.run(["true"], **options); print("ran", options)
    except (PermissionError, NotImplementedError) as e: print(type(e).__name__, e)`, `PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] commands run with the umask of the target; umask= does not work in the Shannot sandbox
PermissionError [Errno 1] each command leads a process group of its own; it cannot join another one
NotImplementedError pass_fds does not work in the Shannot sandbox: a command runs on the target and gets stdin, stdout and stderr alone
`},
		{"signal of a child's end", `
import signal, time
ended = []
signal.signal(signal.SIGCHLD, lambda *a: ended.append(os.waitpid(-1, os.WNOHANG)))
p = subprocess.Popen(["sh", "-c", "exit 3"])
while not ended: time.sleep(0.01)
print(ended == [(p.pid, 3 << 8)])`, "True\n"},
		{"signal of a child's end wakes a selector", `
import select, signal, socket
a, b = socket.socketpair(); a.setblocking(False); signal.set_wakeup_fd(a.fileno()); signal.signal(signal.SIGCHLD, lambda *a: None)
p = subprocess.Popen(["true"]); print(select.select([b], [], [], 30)[0] == [b], b.recv(1) == bytes([signal.SIGCHLD]), p.wait())`, "True True 0\n"},
		{"process group", `
import signal
p = subprocess.Popen("sleep 60 & sleep 60", shell=True, start_new_session=True)
print(os.getpgid(p.pid) == p.pid, os.getsid(p.pid) == p.pid, os.getpgid(0) == os.getpid() == os.getsid(0))
os.killpg(os.getpgid(p.pid), signal.SIGTERM); print(p.wait())
q = subprocess.Popen(["sleep", "60"], process_group=0); os.killpg(q.pid, signal.SIGKILL); print(q.wait())
try: os.getpgid(1)
except ProcessLookupError: print("no such process")`, "True True True\n-15\n-9\nno such process\n"},
		{"waitpid", `
a = subprocess.Popen(["sh", "-c", "exit 1"]); b = subprocess.Popen(["sh", "-c", "kill -TERM $$"])
got = dict(os.waitpid(-1, 0) for _ in range(2)); print(got[a.pid], got[b.pid])
try: os.waitpid(-1, 0)
except ChildProcessError: print("none left")
c = subprocess.Popen(["cat"], stdin=-1); print(os.waitpid(c.pid, os.WNOHANG)); c.stdin.close(); print(os.waitpid(-c.pid, 0)[1])
d = subprocess.Popen(["true"]); print(os.wait4(d.pid, 0)[1], len(os.wait3.__name__))`, "256 15\nnone left\n(0, 0)\n0\n0 5\n"},
		{"waitid", `
p = subprocess.Popen(["sh", "-c", "read x; exit 5"], stdin=-1)
print(os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOHANG)); p.stdin.close()
for flag in (os.WNOWAIT, 0):
    r = os.waitid(os.P_ALL, 0, os.WEXITED | flag); print(r.si_pid == p.pid, r.si_status, r.si_code == os.CLD_EXITED, r.si_signo, r.si_uid)
q = subprocess.Popen(["sleep", "60"]); q.kill(); r = os.waitid(os.P_PGID, q.pid, os.WEXITED); print(r.si_status, r.si_code == os.CLD_KILLED)
try: os.waitid(os.P_ALL, 0, os.WEXITED)
except ChildProcessError: print("none left")`, "None\nTrue 5 True 17 1000\nTrue 5 True 17 1000\n9 True\nnone left\n"},
		{"asyncio", `
import asyncio
async def main():
    a = await asyncio.create_subprocess_exec("sh", "-c", "cat; exit 4", stdin=-1, stdout=-1)
    print(await a.communicate(b"in"), a.returncode)
    b = await asyncio.create_subprocess_shell("echo $0; echo err >&2", stdout=-1, stderr=-1)
    print(await b.communicate(), b.returncode)
    c = await asyncio.create_subprocess_exec("sleep", "60"); c.terminate(); print(await c.wait())
    async with asyncio.TaskGroup() as g: runs = [g.create_task(asyncio.create_subprocess_exec("true")) for _ in range(8)]
    print([await r.result().wait() for r in runs])
asyncio.run(main())`, "(b'in', None) 4\n(b'/bin/sh\\n', b'err\\n') 0\n-15\n[0, 0, 0, 0, 0, 0, 0, 0]\n"},
		{"posix_spawn with actions", `
w = os.open("/tmp/spawned", os.O_WRONLY | os.O_CREAT)
actions = [(os.POSIX_SPAWN_DUP2, w, 1), (os.POSIX_SPAWN_OPEN, 0, "/etc/hostname", os.O_RDONLY, 0), (os.POSIX_SPAWN_CLOSE, 2)]
print(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawnp("cat", ["cat"], os.environ, file_actions=actions, setsid=True, setsigdef=[15]), 0)[1]))
print(open("/tmp/spawned").read() == open("/etc/hostname").read())
try: os.posix_spawn("/bin/true", ["true"], os.environ, setpgroup=1)
except PermissionError as e: print(e)`, "0\nTrue\n[Errno 1] each command leads a process group of its own; it cannot join another one\n"},
		{"forks are refused with a reason", `
import pty
for f in (os.fork, os.forkpty, pty.fork, lambda: pty.spawn(["true"])):
    try: f(); print("forked")
    except (PermissionError, RuntimeError) as e: print(e)`, `[Errno 1] os.fork does not work in the Shannot sandbox; use subprocess or threading
[Errno 1] there are no pseudo-terminals in the Shannot sandbox: commands run without one; use subprocess
there are no pseudo-terminals in the Shannot sandbox: commands run without one; use subprocess
there are no pseudo-terminals in the Shannot sandbox: commands run without one; use subprocess
`},
		{"threads that come and go", `
import threading
def start():
    try: subprocess.run(["no-such-program"])
    except FileNotFoundError: found.append(1)
found = []
for _ in range(400): t = threading.Thread(target=start); t.start(); t.join()
print(len(found), len(os.listdir("/proc/self/fd")) < 10)`, "400 True\n"},
		{"too long an argument", `
try: subprocess.run(["true", "x" * (4 << 20)])
except OSError as e: print(e.errno == 7)`, "True\n"},
		{"broken pipe", `
p = subprocess.Popen(["sh", "-c", "yes"], stdout=-1); p.stdout.readline(); p.stdout.close(); print(p.wait() != 0)`, "True\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, "import os, subprocess, sys\n"+c.script)
			if got.result.Cause != sandbox.Exited || got.result.ExitCode != 0 || got.stdout != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, c.want, got.stderr)
			}
		})
	}
}

func TestScriptEndsAsPythonEnds(t *testing.T) {
	cases := []struct {
		name, script string
		exit         int
		stderr       string
	}{
		{"exit", "raise SystemExit(9)", 9, ""},
		{"exception", "1/0", 1, "ZeroDivisionError"},
		{"syntax error", "print(", 1, `File "<stdin>", line 1`},
		{"own signal", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, ""},
		{"abort", "import os; os.abort()", 134, ""},
		{"interrupt", "import os, signal; os.kill(os.getpid(), signal.SIGINT)", 130, "KeyboardInterrupt"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, c.script)
			if got.result.Cause != sandbox.Exited || got.result.ExitCode != c.exit || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("%+v, want exit %d\nstderr: %s", got.result, c.exit, got.stderr)
			}
		})
	}
}
