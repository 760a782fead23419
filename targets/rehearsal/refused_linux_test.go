//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/targets"
)

// unprivilegedEnv is set in the run of this package's tests as a user without privileges.
const unprivilegedEnv = "SHANNOT_TEST_REHEARSAL_UNPRIVILEGED"

// TestUnprivileged runs this package's tests again as a user without privileges.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 || os.Getenv(unprivilegedEnv) != "" {
		t.Skip("not root: the tests run unprivileged already")
	}
	dir := t.TempDir()
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(dir, "own")
	if err := errors.Join(os.Mkdir(own, 0o700), os.Chown(own, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "rehearsal.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = own, append(os.Environ(), unprivilegedEnv+"=1", "TMPDIR="+own)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: TestChangesAreThoseOfTheCommand") {
		t.Logf("the tests were skipped:\n%s", out)
	}
}

// needProgram skips where a program is missing.
func needProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
}

// attempts are what a command tried, in words.
func attempts(e targets.Effect) string {
	var list []string
	for _, r := range e.Refused {
		list = append(list, strings.TrimSpace(r.What+" "+r.About))
	}
	return strings.Join(list, "\n")
}

// TestWhatACommandTriesBeyondFilesIsTold: each attempt fails and is told in words.
func TestWhatACommandTriesBeyondFilesIsTold(t *testing.T) {
	need(t)
	needProgram(t, "python3")
	dir := base(t)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	here := tcp.Addr().String()
	for _, c := range []struct{ code, want string }{
		{"socket.create_connection(('10.0.0.5', 443), 1)", "connect 10.0.0.5:443"},
		{"socket.create_connection(('127.0.0.1', " + here[strings.LastIndex(here, ":")+1:] + "), 1)", "connect " + here},
		{"socket.create_connection(('::1', 80), 1)", "connect [::1]:80"},
		{"s=socket.socket(socket.AF_UNIX); s.connect('" + filepath.Join(dir, "s") + "')", "connect " + filepath.Join(dir, "s")},
		{"s=socket.socket(socket.AF_UNIX); s.connect('\\0abstract')", "connect @abstract"},
		{"s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('9.9.9.9', 53))", "send 9.9.9.9:53"},
		{"s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendmsg([b'x'], [], 0, ('9.9.9.9', 53))", "send 9.9.9.9:53"},
		{"s=socket.socket(); s.bind(('0.0.0.0', 8080))", "listen 0.0.0.0:8080"},
		{"os.kill(1, 15)", "signal SIGTERM to process 1"},
		{"os.kill(-1, 9)", "signal SIGKILL to every process"},
		{"os.kill(" + strconv.Itoa(os.Getpid()+100000) + ", 15)", "signal SIGTERM to process " + strconv.Itoa(os.Getpid()+100000)},
		{"os.chroot('/')", "change the root"},
		{"ctypes.CDLL(None, use_errno=True).sethostname(b'x', 1) == 0 or x", "set the host's name"},
		{"ctypes.CDLL(None).unshare(0x10000000) == 0 or x", "make a namespace"},
		{"ctypes.CDLL(None).mount(b'none', b'/mnt', b'tmpfs', 0, None) == 0 or x", "mount a file system"},
		{"ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 or x", "trace a process"},
		{"socket.socket(40, socket.SOCK_STREAM)", "open a socket of another family 40"},
	} {
		text := "exec python3 -c \"import os, socket, ctypes\n" + c.code + "\" 2>&1"
		e := run(t, nil, dir, strings.ReplaceAll(text, "\\0", "\\x00"))[0]
		if e.Exit.Code == 0 {
			t.Errorf("%s succeeds", c.code)
		}
		if got := attempts(e); got != c.want {
			t.Errorf("%s is told as %q, want %q; it printed %s", c.code, got, c.want, e.Stdout)
		}
	}
}

// TestOwnProcessesAreACommandsOwn: a command may signal and talk to what it has started, and is told of nothing then.
func TestOwnProcessesAreACommandsOwn(t *testing.T) {
	need(t)
	e := run(t, nil, "/", "sleep 60 & kill $!; wait $!; echo $?; (echo a; echo b) | sort -r | cat; kill -0 $$ && echo alive")[0]
	if string(e.Stdout) != "143\nb\na\nalive\n" || len(e.Refused) > 0 || e.Exit.Code != 0 {
		t.Errorf("%s%s %+v", e.Stdout, e.Stderr, e)
	}
}

// TestNothingSurvives: what a command leaves running is told and ends with the world.
func TestNothingSurvives(t *testing.T) {
	need(t)
	mark := "7" + strconv.Itoa(os.Getpid())
	e := run(t, nil, "/", "setsid sleep "+mark+" >/dev/null 2>&1 & sleep "+mark+" >/dev/null 2>&1 & while [ $(ps ax -o args | grep -c '^sleep "+mark+"') -lt 2 ]; do :; done; exit 3")[0]
	if len(e.Left) != 2 || e.Left[0] != "sleep" || e.Exit.Code != 3 {
		t.Errorf("%+v", e)
	}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), "sleep\x00"+mark) {
			t.Errorf("%s is alive: %q", name, text)
		}
	}
}

// TestHiddenFilesAreNeitherReadNorShown tries what would show the content of a hidden file.
func TestHiddenFilesAreNeitherReadNorShown(t *testing.T) {
	need(t)
	const secret = "marker-of-the-hidden"
	for _, text := range []string{
		"cat keys/one", "cat keys/../keys/one", "cat link", "cp keys/one copy; cat copy", "mv keys/one out; cat out", "ln keys/one out; cat out",
		"mv keys/one out; cat out > other; mv out keys/one; cat other", "mv keys/one out; cat out; rm -r keys", "mv keys out; cat out/one",
		"chmod 644 keys/one; cat keys/one", "head -c 5 keys/one; cat < keys/one", "echo x >> keys/one; cat keys/one", "tar cf - keys", "grep -r . keys",
		"exec 3<keys/one; cat <&3", "sh keys/one", ". keys/one", "cat /proc/self/cwd/keys/one", "cd keys; cat one", "sed -i s/x/y/ keys/one", "cp -al keys k2; cat k2/one",
		"ln -sf keys/one l2; cat l2", "dd if=keys/one", "mv keys/one a; cat a; cp a keys/two",
	} {
		dir := base(t)
		put(t, dir, map[string]string{"keys/one": secret + "\n", "a": "x\n"})
		if err := os.Symlink("keys/one", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		before := snapshot(t, dir)
		hidden := func(name string) bool { return name == dir+"/keys" || strings.HasPrefix(name, dir+"/keys/") }
		for i, e := range run(t, hidden, dir, text, "cat out copy other k2/one keys/one 2>&1") {
			all := string(e.Stdout) + string(e.Stderr) + lines(dir, e)
			for _, c := range e.Changes {
				all += string(c.Before) + string(c.After)
			}
			if strings.Contains(all, secret) {
				t.Errorf("%q, command %d, shows it: %s", text, i+1, all)
			}
		}
		if snapshot(t, dir) != before {
			t.Errorf("%q has changed the host", text)
		}
	}
	dir := base(t)
	put(t, dir, map[string]string{"keys/one": secret + "\n", "a": "x\n"})
	hidden := func(name string) bool { return strings.HasPrefix(name, dir+"/keys/") }
	e := run(t, hidden, dir, "cat keys/one; sed -i s/x/y/ a; cat a")[0]
	if string(e.Stdout) != "y\n" || e.Withheld != "" || attempts(e) != "open a hidden file "+dir+"/keys/one" || lines(dir, e) != "changed a \"x\\n\">\"y\\n\"\n" {
		t.Errorf("what is not hidden is not shown: %+v", e)
	}
}

// TestLimitsOfARehearsal holds that each limit ends a command, and that what was known then is told.
func TestLimitsOfARehearsal(t *testing.T) {
	need(t)
	needProgram(t, "python3")
	dir := base(t)
	put(t, dir, map[string]string{"a": "x\n"})
	for _, c := range []struct {
		name, text, want string
		limit            func(*targets.RehearsalLimits)
	}{
		{"time", "echo y > a; sleep 600", "longer", func(l *targets.RehearsalLimits) { l.Wall = 1e9 }},
		{"memory", "exec python3 -c 'x = [bytearray(1 << 20) for i in range(100)]\nimport time; time.sleep(600)'", "memory", func(l *targets.RehearsalLimits) { l.Memory = 64 << 20 }},
		{"disk", "head -c 100000000 /dev/zero > big", "", func(l *targets.RehearsalLimits) { l.Disk = 8 << 20 }},
		{"processes", "i=0; while [ $i -lt 100 ]; do sleep 600 & i=$((i+1)); done", "", func(l *targets.RehearsalLimits) { l.Processes = 16; l.Wall = 5e9 }},
		{"output", "head -c 1000000 /dev/zero", "", func(l *targets.RehearsalLimits) { l.Output = 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := targets.DefaultRehearsalLimits
			c.limit(&limits)
			out, err := Run(context.Background(), targets.Rehearsal{Steps: []targets.RehearsalStep{shell(dir, c.text)}, Limits: limits}, nil)
			if err != nil {
				t.Fatal(err)
			}
			e := out.Effects[0]
			switch {
			case c.name == "memory" && e.Exit.Code != 0: // RLIMIT_DATA was first
			case !strings.Contains(e.Stopped, c.want):
				t.Errorf("stopped: %q", e.Stopped)
			case c.name == "disk" && e.Exit.Code == 0, c.name == "processes" && len(e.Left) > 16:
				t.Errorf("it did all of it: %+v", e.Exit)
			case c.name == "output" && (!e.OutputCut || len(e.Stdout) != 1000):
				t.Errorf("%d bytes", len(e.Stdout))
			case c.name == "time" && lines(dir, e) != "changed a \"x\\n\">\"y\\n\"\n":
				t.Error(lines(dir, e))
			}
		})
	}
}

// TestAnEndedContextEndsTheWorld.
func TestAnEndedContextEndsTheWorld(t *testing.T) {
	need(t)
	dir := base(t)
	ctx, cancel := context.WithCancel(context.Background())
	asked := func(string) bool { cancel(); return false } // the world is there
	_, err := Run(ctx, targets.Rehearsal{Steps: []targets.RehearsalStep{shell(dir, "cat /etc/passwd >/dev/null; sleep 600")}, Hidden: asked, Limits: targets.DefaultRehearsalLimits}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestStandInsHaveNoHashes(t *testing.T) {
	got := string(withoutHashes([]byte("root:$y$j9T$abc:19000:0:99999:7:::\ndaemon:*:19000::::::\nx:!$6$abc:1:\nopen::1:\ngarbage $6$abc\n")))
	want := "root:*:19000:0:99999:7:::\ndaemon:*:19000::::::\nx:*:1:\nopen::1:\n\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
