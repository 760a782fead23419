//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"shannot-gateway/targets"
)

// attempt is something that a rehearsed command tries. Those of files succeed in the rehearsal, and must not on the host. Others print
// ESCAPED where they succeed. Their payloads change a tree of the test, reach sockets and a process of the test, or ask the kernel
// for what it refuses before it does anything.
type attempt struct{ name, text string }

// onFiles change the test's tree. Each does so where it runs without a rehearsal, which the test tries on another tree.
var onFiles = []attempt{
	{"write", "echo x > a"}, {"append", "echo x >> a"}, {"remove", "rm a"}, {"remove a tree", "rm -r tree"}, {"rename", "mv a b"},
	{"rename a tree", "mv tree t2"}, {"exchange", "mv tree/x a"}, {"link", "ln a hard"}, {"write a link", "ln tree/x hard2; echo x >> hard2"}, {"mode", "chmod 600 a"},
	{"time", "touch -d 2001-01-01 a"}, {"truncate", "truncate -s 0 a"}, {"overwrite in place", "dd if=/dev/zero of=a bs=1 count=1 conv=notrunc 2>/dev/null"},
	{"symlink in its place", "ln -sf /etc/passwd a"}, {"directory", "mkdir new"}, {"fifo", "mkfifo fifo"}, {"edit", "sed -i s/o/u/ a"}, {"install", "install -m 755 a b"},
	{"archive", "tar cf /dev/shm/t$$ tree && rm -r tree/x && tar xf /dev/shm/t$$"}, {"through /proc/self/cwd", "echo x > /proc/self/cwd/a"},
	{"through /proc/self/root", "echo x > /proc/self/root$D/a"}, {"through dots", "echo x > tree/../a"}, {"directory's mode", "chmod 700 tree"},
	{"mapping", "python3 -c \"import mmap; f=open('a','r+b'); m=mmap.mmap(f.fileno(),0); m[0]=88; m.flush()\""},
	{"opened again", "python3 -c \"import os; r=os.open('a',0); w=os.open('/proc/self/fd/%d'%r,1); os.write(w,b'X')\""},
	{"path descriptor", "python3 -c \"import os; r=os.open('a',os.O_PATH); os.chmod('/proc/self/fd/%d'%r,0o600)\""},
	{"unnamed file", "python3 -c \"import os; r=os.open('.',os.O_TMPFILE|os.O_WRONLY,0o644); os.write(r,b'x'); os.link('/proc/self/fd/%d'%r,'named',src_dir_fd=os.open('/',0))\""},
	{"copy in the kernel", "python3 -c \"import os; os.copy_file_range(os.open('tree/x',0),os.open('a',os.O_WRONLY),1)\""},
	{"send in the kernel", "python3 -c \"import os; os.sendfile(os.open('a',os.O_WRONLY),os.open('tree/x',0),0,1)\""},
	{"allocate", "python3 -c \"import os; os.posix_fallocate(os.open('a',os.O_WRONLY),0,8192)\""},
	{"below a descriptor", "python3 -c \"import os; os.unlink('x',dir_fd=os.open('tree',0))\""},
	{"times of a descriptor", "python3 -c \"import os; os.utime(os.open('a',0),(1,1))\""},
	{"another process", "sh -c 'sh -c \"echo x > a\"'"}, {"in the background", "(echo x > a) & wait"}, {"in another session", "setsid -w sh -c 'echo x > a'"},
}

// beyondFiles print ESCAPED where they reach something outside. bare says that the same does so without a rehearsal, which shows that the
// attempt can succeed; the others may not be tried there, or need what not every host has.
var beyondFiles = []struct {
	attempt
	bare bool
}{
	{py("TCP", "socket.create_connection(('127.0.0.1',P),1)"), true},
	{py("UDP", "socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',('127.0.0.1',P))"), true},
	{py("connected UDP", "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.connect(('127.0.0.1',P)); s.send(b'x')"), true},
	{py("message", "socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendmsg([b'x'],[],0,('127.0.0.1',P))"), true},
	{py("unix socket", "socket.socket(socket.AF_UNIX).connect(D+'/s')"), true},
	{py("unix socket by a link", "os.symlink(D+'/s',D+'/sl'); socket.socket(socket.AF_UNIX).connect(D+'/sl')"), true},
	{py("unix socket by another name", "os.link(D+'/s',D+'/s2'); socket.socket(socket.AF_UNIX).connect(D+'/s2')"), true},
	{py("unix socket through /proc", "socket.socket(socket.AF_UNIX).connect('/proc/self/root'+D+'/s')"), true},
	{py("abstract socket", "socket.socket(socket.AF_UNIX).connect(chr(0)+A)"), true},
	{py("port", "socket.socket().bind(('127.0.0.1',0))"), true},
	{py("signal", "os.kill(V,0)"), true}, {py("stop", "os.kill(V,19)"), true}, {py("group", "os.killpg(V,0)"), true},
	{py("signal of a thread", "x(C.syscall(T,V,V,0))"), true}, {py("pidfd", "x(os.pidfd_open(V))"), true}, {py("priority", "os.getpriority(os.PRIO_PROCESS,V)"), true},
	{py("limits", "resource.prlimit(V,resource.RLIMIT_NOFILE)"), true}, {py("environment", "open('/proc/%d/environ'%V,'rb').read()"), true},
	{py("directory of a process", "os.readlink('/proc/%d/cwd'%V)"), true}, {py("affinity", "os.sched_getaffinity(V)"), true},
	{py("signal 1", "os.kill(1,0)"), false}, {py("memory of a process", "open('/proc/1/mem','rb')"), false}, {py("root of process 1", "os.listdir('/proc/1/root/')"), false},
	{py("files of process 1", "os.listdir('/proc/1/fd')"), false}, {py("directory of process 1", "os.listdir('/proc/1/cwd/')"), false},
	{py("environment of process 1", "open('/proc/1/environ','rb').read()"), false},
	{py("trace", "x(C.ptrace(16,1,0,0))"), false}, {py("trace its parent", "x(C.ptrace(0x4206,os.getppid(),0,0))"), false},
	{py("mount tmpfs", "x(C.mount(b'none',D.encode(),b'tmpfs',0,None))"), false}, {py("bind", "x(C.mount(b'/',D.encode(),None,0x5000,None))"), false},
	{py("remount", "x(C.mount(None,b'/proc',None,0x20,None))"), false}, {py("unmount /proc", "x(C.umount2(b'/proc',2))"), false}, {py("unmount an overlay", "x(C.umount2(b'/usr',2))"), false},
	{py("pivot", "x(call('pivot_root',b'/',b'/'))"), false}, {py("chroot", "os.chroot('/')"), false}, {py("fsopen", "x(call('fsopen',b'tmpfs',0))"), false},
	{py("open_tree", "x(call('open_tree',-100,b'/',1))"), false}, {py("unshare", "x(C.unshare(0x10000000))"), false}, {py("unshare mounts", "x(C.unshare(0x20000))"), false},
	{py("clone a namespace", "x(call('clone',0x10000011,0,0,0,0))"), false}, {py("enter a namespace", "x(C.setns(os.open('/proc/self/ns/mnt',0),0))"), false},
	{py("disk", "os.mknod(D+'/disk',0o60600,os.makedev(8,0))"), false}, {py("memory", "os.mknod(D+'/mem',0o20600,os.makedev(1,1))"), false},
	{py("open /dev/mem", "open('/dev/mem','rb')"), false}, {py("open /dev/kmsg", "open('/dev/kmsg','rb')"), false}, {py("open a disk", "open('/dev/vda','rb')"), false},
	{py("terminal", "open('/dev/tty','rb')"), false}, {py("terminals", "open('/dev/ptmx','r+b')"), false}, {py("null's mode", "os.chmod('/dev/null',0o600)"), false},
	{py("name in /dev", "open('/dev/new','w')"), false}, {py("kernel's settings", "open('/proc/sys/kernel/core_pattern','r+')"), false},
	{py("own namespace's settings", "open('/proc/sys/kernel/hostname','w')"), false}, {py("sysrq", "os.write(os.open('/proc/sysrq-trigger',1),b'') and 0; assert open('/proc/sysrq-trigger').read()!=''"), false},
	{py("kernel's memory", "x(len(open('/proc/kcore','rb').read(1))-1)"), false}, {py("kernel's log", "x(C.klogctl(8,None,0))"), false},
	{py("user map", "open('/proc/self/uid_map','w')"), false}, {py("hardware", "x(len(os.listdir('/sys'))-1)"), false}, {py("host's name", "x(C.sethostname(b'escaped',7))"), false},
	{py("clock", "x(call('clock_settime',0,struct.pack('qq',0,-1)), 22)"), false}, {py("module", "x(call('init_module',0,0,0), 14)"), false}, {py("bpf", "x(call('bpf',0,0,0), 14, 22)"), false},
	{py("performance", "x(call('perf_event_open',0,0,0,0,0), 14)"), false}, {py("keys", "x(call('keyctl',0,-3,1))"), false}, {py("a key", "x(call('add_key',b'user',b'escape',b'x',1,-2))"), false},
	{py("rings", "x(call('io_uring_setup',1,0), 14)"), false}, {py("handles", "x(call('open_by_handle_at',-100,0,0), 14)"), false},
	{py("faults", "x(call('userfaultfd',0))"), false}, {py("memory file", "x(call('memfd_create',b'x',0))"), false}, {py("shared memory", "x(call('shmget',0,4096,0o1600))"), false},
	{py("queue", "x(call('msgget',0,0o1600))"), false}, {py("swap", "x(C.swapon(D.encode(),0), 22)"), false}, {py("reboot", "x(call('reboot',0,0,0,0), 22)"), false},
	{py("quota", "x(call('quotactl',0,0,0,0), 22)"), false}, {py("accounting", "x(call('acct',D.encode()), 13, 21)"), false}, {py("kernel", "x(call('kexec_load',0,0,0,0))"), false},
	{py("own filter", "x(call('seccomp',1,0,0), 14)"), false}, {py("other calls", "x(call('process_vm_readv',1,0,0,0,0,0))"), false},
	{py("packets", "socket.socket(17,3)"), false}, {py("raw IP", "socket.socket(2,3,1)"), false}, {py("virtual machines", "socket.socket(40,1)"), false}, {py("ciphers", "socket.socket(38,5)"), false},
	{py("interface up", "fcntl.ioctl(socket.socket(),0x8914,struct.pack('16sH',b'lo',1)+bytes(22))"), false}, {py("typed input", "fcntl.ioctl(0,0x5412,b'x')"), false},
	{py("watch files", "x(call('fanotify_init',0,0), 22)"), false}, {py("marks of the overlay", "os.setxattr(D+'/a','trusted.overlay.opaque',b'y')"), false},
	{py("marks of a user's overlay", "os.setxattr(D+'/a','user.overlay.opaque',b'y'); assert not os.getxattr(D+'/a','user.overlay.opaque'); x(0)"), false},
	{py("upper layers", "os.listdir('/.shannot-rehearsal')"), false}, {py("inherited files", "x(-1 if len(os.listdir('/proc/self/fd')) <= 4 else 0)"), false},
	{py("writable mounts", "x(0 if [l for l in open('/proc/self/mounts') if l.split()[2] not in ('overlay','tmpfs') and 'ro' not in l.split()[3].split(',')] else -1)"), false},
	{py("capabilities", "x(0 if int([l for l in open('/proc/self/status') if l.startswith('CapBnd')][0].split()[1],16)&int([l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1],16)&(1<<21|1<<12|1<<16|1<<27|1<<19) else -1)"), false},
	{py("new privileges", "x(-1 if 'NoNewPrivs:\\t1' in open('/proc/self/status').read() else 0)"), false},
	{py("gateway's environment", "x(0 if 'GODEBUG' in os.environ or 'HOME' in os.environ else -1)"), false},
}

// py is an attempt in Python. x prints ESCAPED for a result that is no error, and for one with an errno that a call has only behind the
// filter.
func py(name, code string) attempt { return attempt{name, code} }

// prelude is what the attempts use; numbers of system calls are those of this machine.
const prelude = `import os, sys, socket, ctypes, fcntl, struct, resource, platform
C = ctypes.CDLL(None, use_errno=True)
D, P, V, A = os.environ['D'], int(os.environ['P']), int(os.environ['V']), os.environ['A']
AMD = dict(pivot_root=155, fsopen=430, open_tree=428, clone=56, init_module=175, bpf=321, perf_event_open=298, keyctl=250, add_key=248, io_uring_setup=425, open_by_handle_at=304, userfaultfd=323, memfd_create=319, shmget=29, msgget=68, reboot=169, quotactl=179, acct=163, kexec_load=246, seccomp=317, process_vm_readv=310, fanotify_init=300, tgkill=234, clock_settime=227)
ARM = dict(pivot_root=41, fsopen=430, open_tree=428, clone=220, init_module=105, bpf=280, perf_event_open=241, keyctl=219, add_key=217, io_uring_setup=425, open_by_handle_at=265, userfaultfd=282, memfd_create=279, shmget=194, msgget=186, reboot=142, quotactl=60, acct=89, kexec_load=104, seccomp=277, process_vm_readv=270, fanotify_init=262, tgkill=131, clock_settime=112)
N = AMD if platform.machine() == 'x86_64' else ARM
T = N['tgkill']
def call(name, *args): return C.syscall(N[name], *args)
class No(Exception): pass
def x(result, *reached):
    if result < 0 and ctypes.get_errno() not in reached: raise No('errno %d' % ctypes.get_errno())
try:
    exec(sys.argv[1])
except (OSError, No, PermissionError, AssertionError, ProcessLookupError) as e:
    print('held:', type(e).__name__, e)
else:
    print('ESCAPED')
`

// outside is what the attempts must not reach: a tree, sockets and a process.
type outside struct {
	dir string
	env []string
}

func setUp(t *testing.T) *outside {
	t.Helper()
	dir := base(t)
	put(t, dir, map[string]string{"a": "one\n", "tree/x": "1\n", "tree/deep/z": "3\n"})
	victim := exec.Command("sleep", "600")
	victim.Env = []string{"SECRET=x"}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = victim.Process.Kill(); _ = victim.Wait() })
	name := fmt.Sprintf("shannot-escape-%d-%s", os.Getpid(), filepath.Base(dir))
	var listeners []net.Listener
	for _, l := range [][2]string{{"unix", filepath.Join(dir, "s")}, {"unix", "@" + name}, {"tcp", "127.0.0.1:0"}} {
		listener, err := net.Listen(l[0], l[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		listeners = append(listeners, listener)
	}
	_, port, _ := net.SplitHostPort(listeners[2].Addr().String())
	return &outside{dir: dir, env: []string{
		"PATH=" + targets.Path, "LANG=C.UTF-8", "D=" + dir, "P=" + port, "V=" + strconv.Itoa(victim.Process.Pid), "A=" + name,
	}}
}

// TestAttemptsToEscapeARehearsal runs all of them in one world. Nothing outside it may be other than before.
func TestAttemptsToEscapeARehearsal(t *testing.T) {
	need(t)
	needProgram(t, "python3")
	if n := len(onFiles) + len(beyondFiles); n < 80 {
		t.Fatalf("there are %d attempts", n)
	}
	o := setUp(t)
	before := snapshot(t, o.dir)
	r := targets.Rehearsal{Limits: targets.DefaultRehearsalLimits, Hidden: func(string) bool { return false }}
	r.Limits.Wall = 10 * 60e9 // a hundred interpreters on a busy machine
	var names []string
	step := func(name string, argv ...string) {
		names = append(names, name)
		r.Steps = append(r.Steps, targets.RehearsalStep{Command: &targets.RehearsedCommand{Path: "/bin/sh", Argv: argv, Dir: o.dir, Env: o.env}})
	}
	again := "rm -rf \"$D/a\" \"$D/tree\" && mkdir -p \"$D/tree/deep\" && echo one > a && echo 1 > tree/x && echo 3 > tree/deep/z\n"
	for _, a := range onFiles {
		step(a.name, "sh", "-c", again+a.text)
	}
	for _, a := range beyondFiles {
		step(a.name, "sh", "-c", again+"exec python3 -c \"$0\" \"$1\"", prelude, a.text)
	}
	host, _ := os.Hostname()
	out, err := Run(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range out.Effects {
		text := string(e.Stdout)
		switch {
		case e.Stopped != "":
			t.Errorf("%s was stopped: %s", names[i], e.Stopped)
		case strings.Contains(text, "ESCAPED"):
			t.Errorf("%s escapes", names[i])
		case i >= len(onFiles) && !strings.Contains(text, "held:"):
			t.Errorf("%s was not tried: %s%s", names[i], text, e.Stderr)
		}
	}
	if after := snapshot(t, o.dir); after != before {
		t.Errorf("the host has changed:\n%s\nwas\n%s", after, before)
	}
	if now, _ := os.Hostname(); now != host {
		t.Errorf("the host is called %s", now)
	}
	for _, name := range []string{"/dev/new", "/.shannot-rehearsal"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	for _, entry := range o.env {
		if pid, ok := strings.CutPrefix(entry, "V="); ok {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			if err != nil || !strings.Contains(string(stat), ") S ") {
				t.Errorf("the process outside is not as it was: %s %v", stat, err)
			}
		}
	}
}

// TestAttemptsSucceedWithoutARehearsal is the control: the same payloads change another tree, and reach other sockets and processes.
func TestAttemptsSucceedWithoutARehearsal(t *testing.T) {
	needProgram(t, "python3")
	bare := func(o *outside, argv ...string) string {
		cmd := exec.Command("/bin/sh", argv...)
		cmd.Dir, cmd.Env = o.dir, o.env
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	for _, a := range onFiles {
		o := setUp(t)
		before := snapshot(t, o.dir)
		text := bare(o, "-c", a.text)
		if snapshot(t, o.dir) == before {
			t.Errorf("%s changes nothing: %s", a.name, text)
		}
	}
	o := setUp(t)
	for _, a := range beyondFiles {
		if !a.bare || a.name == "group" || a.name == "stop" {
			continue // the victim is no leader; and it goes on being one
		}
		if text := bare(o, "-c", "exec python3 -c \"$0\" \"$1\"", prelude, a.text); !strings.Contains(text, "ESCAPED") {
			t.Errorf("%s fails for a reason of its own: %s", a.name, text)
		}
	}
}
