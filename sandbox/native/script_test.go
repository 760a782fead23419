//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// Each script asserts for itself; its last line says what it must print.
func TestOrdinaryScriptsBehaveAsInCPython(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, script, want string }{
		{"arguments", `import sys; print(sys.argv, sys.executable)`, "['-'] /opt/shannot/bin/python3.14\n"},
		{"reads the host", `print(open("/etc/hostname").read() == __import__("subprocess").run(["cat", "/etc/hostname"], capture_output=True, text=True).stdout)`, "True\n"},
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
		{"sandbox is told", "import os; print(os.environ['SHANNOT_SANDBOX'], 'MALLOC_ARENA_MAX' in os.environ)", "1 False\n"},
		{"reads its own streams by name", "print(open('/dev/fd/0').read() == '', open('/proc/self/exe', 'rb').read(4))", "True b'\\x7fELF'\n"},
		{"fcntl locks", `
import fcntl
f = open("/tmp/lock", "w"); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); print("locked")`, "locked\n"},
		// Where CPython was built with it, pathlib copies otherwise after this errno alone.
		{"copies that share blocks", `
import errno, fcntl
FICLONE = 0x40049409
with open("/etc/passwd", "rb") as a, open("/tmp/clone", "wb") as b:
    try: fcntl.ioctl(b, FICLONE, a.fileno())
    except OSError as e: print(e.errno == errno.EOPNOTSUPP)`, "True\n"},
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
	t.Parallel()
	cases := []struct{ name, script, want string }{
		{"posix_spawn", `
pid = os.posix_spawn("/bin/echo", ["echo", "spawned"], os.environ); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`, "spawned\n0\n"},
		{"spawnlp", `print(os.spawnlp(os.P_WAIT, "echo", "echo", "spawnlp"))`, "spawnlp\n0\n"},
		{"exec", `print("first", flush=True); os.execlp("sh", "sh", "-c", "echo second; exit 0")`, "first\nsecond\n"},
		{"wait for any", `
a = subprocess.Popen(["true"]); pid, status = os.wait(); print(pid == a.pid, status)`, "True 0\n"},
		{"alarm during a wait", `
import signal
def ring(*a): raise TimeoutError
signal.signal(signal.SIGALRM, ring)
p = subprocess.Popen(["sleep", "60"])
try: signal.setitimer(signal.ITIMER_REAL, 0.1); p.wait()
except TimeoutError: print("rang"); p.kill(); p.wait()`, "rang\n"},
		{"threads start commands", `
from concurrent.futures import ThreadPoolExecutor as T
print(sorted(T(8).map(lambda i: subprocess.check_output(["echo", str(i)]), range(8)))[-1])`, "b'7\\n'\n"},
		{"other options are refused with a reason", `
for options in ({"user": "nobody"}, {"group": 1}, {"extra_groups": [1]}, {"process_group": 1}, {"pass_fds": [os.dup(0)]}):
    try: subprocess.run(["true"], **options); print("ran", options)
    except (PermissionError, NotImplementedError) as e: print(type(e).__name__, e)`, `PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] commands run as the user that the gateway's operator chose
PermissionError [Errno 1] each command leads a process group of its own; it cannot join another one
NotImplementedError pass_fds does not work in the Shannot sandbox: a command runs on the target and gets stdin, stdout and stderr alone
`},
		{"what a child is told to do before it runs", `
import functools, resource, signal
def told(f=None, **options):
    shown = ["sh", "-c", "umask; ulimit -c; nice; pwd"]
    mask, core, nice, pwd = subprocess.run(shown, preexec_fn=f, capture_output=True, text=True, **options).stdout.split()
    return f"{mask} {core == '0'} {int(nice) - usual} {pwd}"
usual = int(subprocess.check_output("nice"))
class Runner:
    mask = None
    def prepare(self):
        self.reset()
        if self.mask: os.umask(self.mask)
    def reset(self):
        for s in (signal.SIGPIPE, signal.SIGINT): signal.signal(s, signal.SIG_DFL)
def all_of_it():
    import resource as r
    try: os.setpgid(os.getpid(), os.getpid())
    except OSError: pass
    soft, hard = r.getrlimit(r.RLIMIT_CORE)
    r.setrlimit(r.RLIMIT_CORE, (0, 0)); os.chdir("/etc"); os.umask(0o27); os.nice(2); os.closerange(3, 100)
unchanged = told()
print([told(f) == unchanged for f in (os.setsid, os.setpgrp, lambda: os.setpgid(0, 0), Runner().prepare, lambda: None)])
runner = Runner(); runner.mask = 0o70
masks = functools.partial(os.umask, 0o77), runner.prepare, None, lambda: os.umask(0o26)
print([told(f, **({} if i < 2 else {"umask": 0o77}))[:4] for i, f in enumerate(masks)])
print(told(all_of_it), told(lambda: os.chdir("bin"), cwd="/usr").split()[3])
ignoring = subprocess.run(["sh", "-c", "kill -INT $$; echo alive"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN), capture_output=True)
print(ignoring.stdout, os.umask(0o22) == 0o22)
print(subprocess.run([sys.executable, "-c", "import os; print(oct(os.umask(0)))"], umask=0o37, capture_output=True).stdout)
try: subprocess.run(["no-such-program"], umask=0o22)
except FileNotFoundError as e: print(e.filename)`, `[True, True, True, True, True]
['0077', '0070', '0077', '0026']
0027 True 2 /etc /usr/bin
b'alive\n' True
b'0o37\n'
no-such-program
`},
		{"what a child cannot do before a command runs", `
import ctypes
def careless():
    try: open("/tmp/marker", "w")
    except: pass
def fails(): raise ValueError
def fork_bomb():
    while True: os.fork()
marks = []
for f in (lambda: os.setuid(0), lambda: print("x"), careless, lambda: os.dup2(1, 2), lambda: os.environ.update(A="b"), lambda: os.putenv("a", "b"),
          lambda: sys.stdout.write("x"), lambda: os.close(0), lambda: os.setpgid(0, 5), fork_bomb, lambda: ctypes.CDLL(None).prctl(1, 15),
          lambda: __import__("shutil").rmtree("/tmp"), lambda: os.system("touch /tmp/marker"), lambda: marks.append(1)):
    try: subprocess.run(["true"], preexec_fn=f); print("ran")
    except RuntimeError as e: print(str(e).partition(",")[0], "|", str(e).rpartition("; ")[2][:28])
try: subprocess.run(["true"], preexec_fn=fails)
except subprocess.SubprocessError as e: print(e)
print(os.path.exists("/tmp/marker"), os.path.isdir("/tmp"), marks)`, `preexec_fn calls os.setuid | commands run as the user tha
preexec_fn calls print | print before the command sta
preexec_fn calls open | open it before the command s
preexec_fn calls os.dup2 | pass stdin=, stdout= and std
preexec_fn calls os.environ | pass env=
preexec_fn calls os.putenv | pass env=
preexec_fn calls TextIOWrapper.write | use cwd=, env=, umask=, star
preexec_fn calls os.close of a standard stream | use cwd=, env=, umask=, star
preexec_fn calls os.setpgid for another group | use cwd=, env=, umask=, star
preexec_fn calls os.fork | use cwd=, env=, umask=, star
preexec_fn calls ctypes.CDLL | use cwd=, env=, umask=, star
preexec_fn calls import shutil | use cwd=, env=, umask=, star
preexec_fn calls os.system | use cwd=, env=, umask=, star
ran
Exception occurred in preexec_fn.
False True []
`},
		{"a program's name is in errors as it was given", `
for name in ("no-such-program", b"no-such-program"):
    for argv in ([name], [name, "x"]):
        try: subprocess.run(argv)
        except FileNotFoundError as e: print(e.filename)`, "no-such-program\nno-such-program\nb'no-such-program'\nb'no-such-program'\n"},
		{"no network says so", `
import socket, urllib.request, asyncio, xmlrpc.client
async def opens(): await asyncio.open_connection("example.com", 80)
for f in (lambda: socket.socket(), lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), lambda: socket.socket(socket.AF_UNIX), lambda: socket.getaddrinfo("example.com", 80),
          lambda: socket.gethostbyname("example.com"), lambda: socket.gethostbyname_ex("example.com"), lambda: socket.gethostbyaddr("192.0.2.1"),
          lambda: socket.create_connection(("example.com", 80)), lambda: socket.create_connection(("127.0.0.1", 80)), lambda: socket.create_server(("", 0)),
          lambda: urllib.request.urlopen("http://example.com/"), lambda: asyncio.run(opens()), lambda: xmlrpc.client.ServerProxy("http://example.com").x()):
    try: f(); print("connected")
    except OSError as e: print(type(e).__name__, "there is no network in the Shannot sandbox: start a command" in str(e))
print(socket.getaddrinfo("127.0.0.1", 80)[0][4], [s.send(b"x") for s in socket.socketpair()], socket.socket(fileno=socket.socketpair()[0].detach()).type == socket.SOCK_STREAM)`, `PermissionError True
PermissionError True
PermissionError True
gaierror True
gaierror True
gaierror True
herror True
gaierror True
PermissionError True
PermissionError True
URLError True
gaierror True
gaierror True
('127.0.0.1', 80) [1, 1] True
`},
		{"a timer interrupts no call that the kernel does not interrupt", `
import signal, time
rung = 0
def ring(*a): global rung; rung += 1
signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
os.mkdir("/tmp/d"); open("/tmp/f", "w").close(); os.symlink("f", "/tmp/l")
wrong = set()
calls = {
    "exists": lambda: os.path.exists("/etc/passwd"), "isdir": lambda: os.path.isdir("/usr"), "stat": lambda: os.stat("/tmp/f").st_size == 0,
    "lstat": lambda: os.path.islink("/tmp/l"), "readlink": lambda: os.readlink("/tmp/l") == "f", "access": lambda: os.access("/etc/passwd", os.R_OK),
    "listdir": lambda: "d" in os.listdir("/tmp"), "scandir": lambda: [e.name for e in os.scandir("/tmp/d")] == [], "getcwd": lambda: os.getcwd() == "/",
    "getuid": lambda: os.getuid() == 1000, "umask": lambda: os.umask(0o22) == 0o22, "uname": lambda: os.uname().nodename == "target-1",
    "rename": lambda: (os.rename("/tmp/f", "/tmp/g"), os.rename("/tmp/g", "/tmp/f")), "mkdir": lambda: (os.mkdir("/tmp/e"), os.rmdir("/tmp/e")),
    "chmod": lambda: (os.chmod("/tmp/f", 0o600), os.utime("/tmp/f")), "statvfs": lambda: os.statvfs("/tmp").f_namemax == 255,
    "pipe": lambda: [os.close(fd) for fd in os.pipe()], "read": lambda: open("/proc/uptime").read() != "",
}
for _ in range(400):
    for name, call in calls.items():
        try: ok = call()
        except OSError as e: ok = e
        if not ok or isinstance(ok, OSError): wrong.add(f"{name} {ok}")
while not rung: pass
signal.setitimer(signal.ITIMER_REAL, 0)
print(wrong)
# A handler's exception ends the call.
def fail(*a): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, fail)
signal.setitimer(signal.ITIMER_REAL, 0.001)
try:
    while True: os.path.exists("/etc/passwd")
except KeyboardInterrupt: print("out of time")
print(os.stat in os.supports_dir_fd, os.mkdir in os.supports_dir_fd, os.chdir in os.supports_fd, __import__("inspect").signature(os.mkdir))`, "set()\nout of time\nTrue True True (path, mode=511, *, dir_fd=None)\n"},
		{"what stands in for built-in functions", `
import inspect
print([inspect.isbuiltin(f) for f in (os.stat, os.listdir, os.system, os.fork, os.getpid, len)], inspect.isbuiltin(subprocess.run))
print(os.system.__module__, os.execv.__name__)`, "[True, True, True, True, True, True] False\nposix execv\n"},
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
		{"arguments that CPython refuses", `
spawn = lambda *a, **k: os.posix_spawn("/bin/true", *a, **k)
for f in (lambda: os.execv("/bin/true", []), lambda: os.execve("/bin/true", [""], {}), lambda: os.execve("/bin/true", "a", {}),
          lambda: spawn([], None), lambda: os.posix_spawnp("true", [""], {}), lambda: os.spawnv(os.P_WAIT, "/bin/true", []),
          lambda: spawn(["a"], {"a=b": "c"}), lambda: spawn(["a"], {"a\0": "c"}), lambda: spawn(["a"], None, setsigdef=[99]),
          lambda: spawn(["a"], None, file_actions=[()]), lambda: spawn(["a"], None, file_actions=[(os.POSIX_SPAWN_CLOSE, 1, 2)]),
          lambda: spawn(["a"], None, file_actions=[(99,)]), lambda: spawn(["a"], None, file_actions=[(os.POSIX_SPAWN_CLOSE, "x")])):
    try: print("ran", f())
    except (TypeError, ValueError) as e: print(type(e).__name__, e)`, `ValueError execv() arg 2 must not be empty
ValueError execve: argv first element cannot be empty
TypeError execve: argv must be a tuple or list
ValueError posix_spawn: argv must not be empty
ValueError posix_spawnp: argv first element cannot be empty
ValueError argv must not be empty
ValueError illegal environment variable name
ValueError embedded null byte
ValueError signal number 99 out of range [1; 64]
TypeError Each file_actions element must be a non-empty tuple
TypeError A close file_action tuple must have 2 elements
TypeError Unknown file_actions identifier
TypeError 'str' object cannot be interpreted as an integer
`},
		{"environment past os.environ", `
os.putenv("PAST", "1"); os.environ["KNOWN"] = "2"; os.unsetenv("LANG")
print(subprocess.getoutput("echo $PAST$KNOWN$LANG"), subprocess.check_output([sys.executable, "-c", "import os; print(os.environ['PAST'])"]))`, "12 b'1\\n'\n"},
		{"names in errors", `
for cwd in ("/no/such", "/etc/hostname"):
    try: subprocess.run([sys.executable, "-c", ""], cwd=cwd)
    except OSError as e: print(e.errno, e.filename)
    try: subprocess.run("exit 0", shell=True, cwd=cwd)
    except OSError as e: print(e.errno, e.filename)
class Starts: start = os.posix_spawn
print(os.waitpid(Starts().start("/bin/true", ["true"], None), 0)[1])`, "2 /no/such\n2 /no/such\n20 /etc/hostname\n20 /etc/hostname\n0\n"},
		{"closed standard streams", `
out = os.dup(1); os.close(0); os.close(1)
codes = [subprocess.run(["sh", "-c", "read x; echo lost"]).returncode, subprocess.call([sys.executable, "-c", "print('lost')"])]
r = subprocess.run(["echo", "kept"], stdout=subprocess.PIPE)
os.open("/etc/passwd", os.O_RDONLY); os.open("/dev/null", os.O_WRONLY); subprocess.run(["true"]) # on 0 and 1, where nothing of the guest's is
os.dup2(out, 1); print(codes, r.stdout, os.read(0, 4))`, "[0, 0] b'kept\\n' b'root'\n"},
		{"an interpreter with closed streams", `
code = """
import errno, os, sys
def is_open(fd):
    try: return bool(os.fstat(fd))
    except OSError as e: return errno.errorcode[e.errno]
told = f"{[is_open(n) for n in range(4)]} {sys.stdin} {sys.stdout and sys.stdout.fileno()} {sys.stderr}\\n"
open("/tmp/told", "a").write(told)"""
for fd in (0, 1, 2): os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, n) for n in range(3) if n != fd]); os.wait()
os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, n) for n in range(3)]); os.wait()
kept = os.dup(0), os.dup(1); os.close(0); subprocess.run([sys.executable, "-c", code], stdout=-1, stderr=-1)
print(open("/tmp/told").read().replace("'", "").replace("<_io.TextIOWrapper name=", "").replace(" mode=w encoding=utf-8>", "").replace(" mode=r encoding=utf-8>", ""))`, `[True, EBADF, EBADF, EBADF] <stdin> None None
[EBADF, True, EBADF, EBADF] None 1 None
[EBADF, EBADF, True, EBADF] None None <stderr>
[EBADF, EBADF, EBADF, EBADF] None None None
[EBADF, True, True, EBADF] None 1 <stderr>

`},
		{"calls on what is not open, or cannot do them", `
import errno, fcntl
def tried(f, *args):
    try: return f(*args)
    except OSError as e: return errno.errorcode[e.errno]
r, w = os.pipe(); null = os.open("/dev/null", os.O_RDWR); f = os.open("/tmp/f", os.O_RDWR | os.O_CREAT); d = os.open("/etc", os.O_RDONLY); p = os.open("/etc", os.O_PATH); host = os.open("/etc/passwd", os.O_RDONLY)
for fd in (99, r, null, f, d, p, host):
    print(*(tried(*c) for c in ((os.fsync, fd), (os.fdatasync, fd), (os.tcsetpgrp, fd, os.getpgrp()), (fcntl.flock, fd, fcntl.LOCK_EX), (fcntl.flock, fd, 77), (os.posix_fadvise, fd, 0, 0, 0), (os.posix_fadvise, fd, 0, 0, 99))))`, `EBADF EBADF EBADF EBADF EINVAL EBADF EBADF
EINVAL EINVAL ENOTTY None EINVAL ESPIPE ESPIPE
EINVAL EINVAL ENOTTY None EINVAL None EINVAL
None None ENOTTY None EINVAL None EINVAL
None None ENOTTY None EINVAL None EINVAL
EBADF EBADF EBADF EBADF EINVAL EBADF EBADF
None None ENOTTY None EINVAL None EINVAL
`},
		{"signals to processes that are not there", `
p = subprocess.Popen(["true"]); p.wait()
for pid in (p.pid, 0x7ffffffe, 1):
    try: os.kill(pid, 0); print("there")
    except OSError as e: print(type(e).__name__)
print(os.getresuid(), os.getresgid(), os.nice(1) - os.nice(0))
try: os.setpriority(os.PRIO_USER, 0, 19); print("all of them")
except PermissionError: print("refused")
try: os.nice(-5); print("up")
except PermissionError: print("refused")`, "ProcessLookupError\nProcessLookupError\nPermissionError\n(1000, 1000, 1000) (1000, 1000, 1000) 0\nrefused\nrefused\n"},
		{"threads that come and go", `
import threading
def start():
    try: subprocess.run(["no-such-program"])
    except FileNotFoundError: found.append(1)
found = []
for _ in range(400): t = threading.Thread(target=start); t.start(); t.join()
print(len(found), len(os.listdir("/proc/self/fd")) < 10)`, "400 True\n"},
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

// What a file system holds is the target's to say, and of scratch the session's limit.
func TestFileSystemsAreAsLargeAsTheTargetSays(t *testing.T) {
	got := runScript(t, `
import os, shutil
for name in ("/", "/proc", "/usr/bin/env", "/etc/made"):
    if name == "/etc/made": os.mkdir(name)
    v = os.statvfs(name); fd = os.open(name, os.O_RDONLY); w = os.fstatvfs(fd)
    print(v.f_bsize, v.f_frsize, v.f_blocks, v.f_namemax, v.f_blocks == w.f_blocks, v.f_bavail <= v.f_bfree <= v.f_blocks, shutil.disk_usage(name).total == v.f_blocks * v.f_frsize)
print(shutil.disk_usage("/tmp").total, os.fstatvfs(os.pipe()[0]).f_blocks > 0)`)
	var want strings.Builder
	for _, name := range []string{"/", "/proc", "/usr/bin/env", "/etc"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(name, &fs); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&want, fs.Bsize, fs.Frsize, fs.Blocks, fs.Namelen, "True True True")
	}
	fmt.Fprintln(&want, 32<<20, "True")
	if got.stdout != want.String() {
		t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, want.String(), got.stderr)
	}
}
