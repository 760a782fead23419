//go:build linux && (amd64 || arm64)

package native

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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
print(s["Name"], int(s["Pid"]) == os.getpid(), s["PPid"], s["Uid"].split(), s["Gid"].split(), s["NoNewPrivs"], s["CapEff"])
f = open("/proc/self/stat").read().split(); print(f[0] == str(os.getpid()), f[1], f[3], len(f) > 40)`,
			"python3 True 1 ['1000', '1000', '1000', '1000'] ['1000', '1000', '1000', '1000'] 1 0000000000000000\nTrue (python3) 1 True\n"},
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

func TestProcSelfNamesNothingOfTheGateway(t *testing.T) {
	in := engine(t).installed()
	got := runScript(t, `
import os
for root, dirs, files in os.walk("/proc/self"):
    for name in files:
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
