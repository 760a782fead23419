//go:build linux && (amd64 || arm64)

package native

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

func TestProcSelfIsTheScriptsOwn(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"arguments and environment", `
print(open("/proc/self/cmdline").read().split("\0"), open("/proc/self/comm").read().strip())
print("HOME=/" in open("/proc/self/environ").read().split("\0"))`, "['/opt/shannot/bin/python3.14', '-', ''] python3\nTrue\n"},
		{"directory, executable and root", `
os.chdir("/tmp"); print([os.readlink("/proc/self/" + n) for n in ("cwd", "exe", "root")])`, "['/tmp', '/opt/shannot/bin/python3.14', '/']\n"},
		{"descriptors", `
r, w = os.pipe(); names = os.listdir("/proc/self/fd"); print(str(r) in names, str(w) in names, os.path.exists("/proc/self/fd/99"))
os.write(w, b"x"); print(os.read(os.open(f"/proc/self/fd/{r}", os.O_RDONLY), 1))`, "True True False\nb'x'\n"},
		{"status", `
s = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print(s["Name"], s["State"], int(s["Pid"]) == os.getpid(), s["PPid"], s["Uid"].split(), s["Gid"].split(), s["NoNewPrivs"], s["CapEff"])
f = open("/proc/self/stat").read().split(); print(f[0] == str(os.getpid()), f[1:4], len(f) > 40)`,
			"python3 R (running) True 1 ['1000', '1000', '1000', '1000'] ['1000', '1000', '1000', '1000'] 1 0000000000000000\nTrue ['(python3)', 'R', '1'] True\n"},
		{"maps", `
import mmap
f = open("/etc/passwd", "rb"); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
lines = open("/proc/self/maps").read().splitlines()
names = {l.split(None, 5)[5] for l in lines if len(l.split(None, 5)) == 6}
print("[stack]" in names, any(n.endswith("libc.so.6") for n in names), sorted({n[:13] for n in names if not n.startswith("[")}))
print({tuple(l.split()[3:5]) for l in lines}, all(len(l.split()[0].split("-")) == 2 for l in lines))`, "True True ['/opt/shannot/']\n{('00:00', '0')} True\n"},
		{"the host's own", `
print([name for name in ("meminfo", "cpuinfo", "uptime", "loadavg", "version", "1/status", "net/dev", "net/tcp", "net/route", "self/mounts", "mounts", "self/mountinfo") if not open("/proc/" + name).read()])
print(any(p.isdigit() for p in os.listdir("/proc")), os.path.isdir("/sys/class"), open("/sys/kernel/ostype").read() if os.path.exists("/sys/kernel/ostype") else "Linux")`, "[]\nTrue True Linux\n"},
		{"identity", `
import platform, socket, pwd, getpass
u = os.uname(); print(u.sysname, u.nodename, u.release, u.version, u.machine, socket.gethostname(), platform.node())
print(os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups(), pwd.getpwuid(0).pw_name, os.environ["SHANNOT_SANDBOX"])`,
			"Linux target-1 6.1 #1 x86_64 target-1 target-1\n1000 1000 1000 1000 [] root 1\n"},
		{"devices", `
import errno
for path, mode in (("/dev/null", "r+b"), ("/dev/zero", "r+b"), ("/dev/full", "rb"), ("/dev/random", "rb"), ("/dev/urandom", "rb")):
    with open(path, mode, buffering=0) as f: print(path, len(f.read(4)), hex(os.fstat(f.fileno()).st_mode & 0o170000))
print([n for n in ("/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/tty", "/dev/ptmx", "/dev/console", "/dev/loop0") if os.path.exists(n)])
print(sorted(os.listdir("/dev")))`, `/dev/null 0 0x2000
/dev/zero 4 0x2000
/dev/full 4 0x2000
/dev/random 4 0x2000
/dev/urandom 4 0x2000
[]
['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']
`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := runScript(t, "import os\n"+c.script)
			if got.result.ExitCode != 0 || got.stdout != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", got.result, got.stdout, c.want, got.stderr)
			}
		})
	}
}

// otherProcesses is a target where every number is a process.
type otherProcesses struct{ vfs.Source }

func (otherProcesses) process(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc/")
	first, _, _ := strings.Cut(rest, "/")
	_, isNumber := posix.Number(first)
	return ok && isNumber
}

func (o otherProcesses) Lstat(name string) (vfs.Info, error) {
	if !o.process(name) {
		return o.Source.Lstat(name)
	}
	if strings.Count(name, "/") == 2 {
		return vfs.Info{Mode: unix.S_IFDIR | 0o555, Nlink: 2}, nil
	}
	return vfs.Info{Mode: unix.S_IFREG | 0o444, Nlink: 1}, nil
}

func (o otherProcesses) Open(name string, flags int) (int, error) {
	if !o.process(name) {
		return o.Source.Open(name, flags)
	}
	return vfs.Sealed("other", []byte("another's"))
}

// The number that a script knows of itself, or of an interpreter that it has started, is never another process's.
func TestProcByNumberIsTheScriptsOwn(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"the script's own", `
read = lambda *p: open(os.path.join("/proc", *p)).read()
print({read(me, n) == read("self", n) for n in ("cmdline", "environ", "comm", "maps")}, "Uid:\t1000\t1000" in read(me, "status"), read(me, "stat").split()[3])
print(os.readlink("/proc/self") == me, os.path.realpath("/proc/self/fd") == f"/proc/{me}/fd", os.readlink(f"/proc/{me}/exe"), read("1", "cmdline"))
names = os.listdir("/proc"); print(names.count(me), names.count("self"), names.count("thread-self"), sorted(os.listdir("/proc/self")) == sorted(os.listdir("/proc/" + me)))`,
			"{True} True 1\nTrue True /opt/shannot/bin/python3.14 another's\n1 1 1 True\n"},
		{"directories that are open", `
d = os.open("/proc", os.O_RDONLY); e = os.open(me, os.O_RDONLY, dir_fd=d); os.chdir("/proc/self")
read = lambda name, dir: os.read(os.open(name, os.O_RDONLY, dir_fd=dir), 99)
print(read(me + "/comm", d), read("comm", e), open("comm").read().strip(), os.getcwd() == "/proc/" + me, sorted(os.listdir(e)) == sorted(os.listdir(".")))`,
			"b'python3\\n' b'python3\\n' python3 True True\n"},
		{"descriptors", `
import stat
f = open("/tmp/file", "w+"); f.write("text"); f.flush(); n = f.fileno()
print([stat.filemode(os.lstat(f"/proc/self/fd/{fd}").st_mode) for fd in (0, 1, os.open("/etc", os.O_RDONLY))], [os.stat(n).st_mode == os.fstat(fd).st_mode for fd, n in enumerate(("/dev/stdin", "/dev/stdout", "/dev/stderr"))], os.path.islink("/dev/stdout"))
for dir in (f"/proc/{me}", "/proc/thread-self", f"/proc/self/task/{me}", f"/proc/{me}/task/{me}"):
    name = f"{dir}/fd/{n}"; os.chdir(dir + "/fd")
    print(os.readlink(name), os.stat(name).st_size, stat.filemode(os.lstat(name).st_mode), os.stat(str(n)).st_size, str(n) in os.listdir(), open(name).read() in ("text", ""))`,
			"['lr-x------', 'l-wx------', 'lr-x------'] [True, True, True] True\n" + strings.Repeat("/tmp/file 4 lrwx------ 4 True True\n", 4)},
		{"threads", `
import threading
def look():
    tid = str(threading.get_native_id())
    told.append((os.readlink("/proc/thread-self") == f"{me}/task/{tid}", open("/proc/thread-self/comm").read(), open(f"/proc/self/task/{tid}/comm").read(),
        open("/proc/thread-self/stat").read().split()[0] == tid, f"\nPid:\t{tid}\n" in open("/proc/thread-self/status").read(), sorted(os.listdir("/proc/self/task")) == sorted([me, tid])))
told = []; t = threading.Thread(target=look, name="looker"); t.start(); t.join(); print(*told)
print(os.readlink("/proc/thread-self") == f"{me}/task/{me}", open("/proc/thread-self/comm").read().strip(), "task" in os.listdir("/proc/thread-self"))`,
			"(True, 'looker\\n', 'looker\\n', True, True, True)\nTrue python3 False\n"},
		{"what is not there", `
print(*(os.path.lexists(n) for n in (f"/proc/0{me}", f"/proc/+{me}", f"/proc/{me}/task/1", f"/proc/{me}/task/0{me}", f"/proc/{me}/task/{me}/task", f"/proc/{me}/mem", "/proc/self/task/x", "/proc/self/fd/00")))
import errno
open("/tmp/own", "w").close()
for call in (lambda: os.unlink("/proc/self"), lambda: os.rmdir("/proc/" + me), lambda: os.rename("/proc/self", "/tmp/x"), lambda: os.rename("/tmp/own", "/proc/self"),
             lambda: os.mkdir("/proc/" + me), lambda: os.chmod("/proc/" + me, 0), lambda: open("/proc/self/comm", "w")):
    try: print(call())
    except OSError as e: print(errno.errorcode[e.errno], end=" ")`,
			"False False False False False False False False\nEROFS EROFS EXDEV EROFS EEXIST EROFS EROFS "},
		{"an interpreter that it started", `
p = subprocess.Popen([sys.executable, "-c", "import os; print(os.getpid(), open(f'/proc/{os.getppid()}/comm').read(), flush=True); input()", "here"], stdin=-1, stdout=-1, text=True)
print(p.stdout.readline() == f"{p.pid} python3\n", p.stdout.readline().strip())
at = f"/proc/{p.pid}"; print(open(at + "/cmdline").read().split("\0")[-2], open(at + "/stat").read().split()[3] == me, os.readlink(at + "/cwd"), os.listdir("/proc").count(str(p.pid)))
for call in (lambda: os.listdir(at + "/fd"), lambda: os.open(at + "/fd/0", os.O_RDONLY), lambda: os.readlink(at + "/fd/0")):
    try: print(call())
    except OSError as e: print(e.strerror)
p.communicate(""); print(open(at + "/cmdline").read())`,
			"True \nhere True / 1\nPermission denied\nNo such file or directory\nNo such file or directory\nanother's\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job, stdout, stderr := jobFor(t, "import os, subprocess, sys\nme = str(os.getpid())\n"+c.script)
			policy, err := defaultPolicy()
			if err != nil {
				t.Fatal(err)
			}
			job.FS, err = vfs.NewSession(vfs.Config{Base: otherProcesses{vfs.NewHost()}, Policy: policy, Scratch: []string{"/tmp"}, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = job.FS.Close() })
			if r := runJob(t, job); r.ExitCode != 0 || stdout.String() != c.want {
				t.Errorf("%+v\nstdout: %q\n  want: %q\nstderr: %s", r, stdout, c.want, stderr)
			}
		})
	}
}

func TestProcSelfNamesNothingOfTheGateway(t *testing.T) {
	in := engine(t).installed()
	got := runScript(t, `
import os
for root, dirs, files in os.walk("/proc/self"):
    for name in set(files) - {"exe"}: # the interpreter, which is large
        try: print(name, open(os.path.join(root, name), errors="replace").read())
        except OSError as e: print(name, e)
    for name in dirs + files:
        try: print(name, os.readlink(os.path.join(root, name)))
        except OSError: pass`)
	gateway := strconv.Itoa(os.Getpid())
	for _, field := range strings.Fields(got.stdout) {
		if field == gateway || strings.Contains(field, in.root) || strings.Contains(field, filepath.Base(in.root)) {
			t.Errorf("%q is told", field)
		}
	}
	if !strings.Contains(got.stdout, "VmPeak") {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}
