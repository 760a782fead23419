package gateway

import (
	"bufio"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/hostkeys"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/pypy"
	"shannot-gateway/sandbox/pypy/pypytest"
	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

// freed is how long a place may stay taken after a cancellation before a test fails. What is promised is two seconds; the
// rest is for a busy machine. What is stuck for good is so for longer.
const freed = time.Minute

// permissive lets every command run but "held", which waits for a human.
type permissive struct{}

func (permissive) Argv(argv []string, _ policy.Context) policy.Decision {
	if filepath.Base(argv[0]) == "held" || len(argv) > 1 && argv[1] == "held" {
		return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: "a test"}
	}
	return policy.Decision{Verdict: policy.Allow, Risk: policy.Safe, Reason: "a test"}
}

func (p permissive) Shell(text string, c policy.Context) policy.Decision {
	return p.Argv(strings.Fields(text), c)
}

// hanging is a host on which a file hangs whoever opens it, as one on a server that went away does.
type hanging struct {
	targets.Target
	files hangingFiles
}

func (h hanging) Files() vfs.Source { return h.files }

type hangingFiles struct {
	vfs.Source
	until <-chan struct{}
}

const hangs = "/etc/hostname"

func (h hangingFiles) Open(name string, flags int) (int, error) {
	if name == hangs {
		<-h.until
		return -1, syscall.EIO
	}
	return h.Source.Open(name, flags)
}

// A way of being stuck: a script that says "stuck" and then is.
type stuckWay struct {
	name, script string
	flags        string // of run
	line         string // a command line instead of a script
	terminal     bool   // the script is typed at a terminal
	deaf         bool   // the client takes none of the output
	hang         bool   // the target hangs once the script is stuck
	short        bool   // tried by short runs too, where the native engine on the gateway's own host has tried it already
}

const begin = "import os, sys, time, threading, subprocess, signal, socket\ndef stuck(): print('stuck', flush=True)\n"

// everywhere are ways that need nothing but an engine and commands.
var everywhere = []stuckWay{
	{name: "a sleep", script: "stuck(); time.sleep(600)"},
	{name: "a loop", script: "stuck()\nwhile True: pass"},
	{name: "calls without end", short: true, script: "stuck()\nwhile True: os.stat('/')"},
	{name: "a command", script: "p = subprocess.Popen(['sleep', '600']); stuck(); p.wait()"},
	{name: "a command that is left running", script: "subprocess.Popen(['sleep', '600'], stdin=subprocess.DEVNULL); stuck()"},
	{name: "a command that reads what it writes, of a script that is gone", script: `
r, w = os.pipe(); os.write(w, b"x" * 60000); subprocess.Popen(["cat"], stdin=r, stdout=w); stuck()`},
	{name: "a command that writes more than it reads, of a script that is gone", short: true, script: `
r, w = os.pipe(); subprocess.Popen(["sh", "-c", "cat /dev/zero"], stdin=r, stdout=w); stuck()`},
	{name: "a pipe that nobody reads", script: `
r, w = os.pipe(); p = subprocess.Popen(["cat", "/dev/zero"], stdout=w); stuck(); p.wait()`},
	{name: "a pipe that nobody writes", script: `
r, w = os.pipe(); p = subprocess.Popen(["cat"], stdin=r); stuck(); p.wait()`},
	{name: "a command that ignores signals", script: `
p = subprocess.Popen(["sh", "-c", "trap '' HUP INT TERM; echo stuck; while :; do sleep 1; done"]); p.wait()`},
	// Where the jail holds it, setsid is refused.
	{name: "a command whose children have a session of their own and hold its streams", short: true, script: `
p = subprocess.Popen(["sh", "-c", "(setsid sleep 90 || sleep 90) & echo stuck; wait"], stdout=subprocess.PIPE); p.stdout.readline(); stuck(); p.communicate()`},
	{name: "a command that is held", short: true, script: "stuck(); subprocess.run(['env', 'held'])"},
	{name: "a walk through links", script: `
os.chdir("/tmp"); deep = "d/.." + "/d/.." * 600; os.mkdir("d"); os.symlink(deep, "l0")
for i in range(1, 38): os.symlink("l%d/" % (i - 1) + deep, "l%d" % i)
stuck()
while True: os.path.exists("l37")`},
	{name: "a command line", short: true, line: "exec -- sh -c 'echo stuck; sleep 600'"},
	{name: "a command line that waits for what its client does not send", line: "exec -- sh -c 'echo stuck; cat'"},
	{name: "a command line that writes to a client that does not read", short: true, line: "exec -- sh -c 'echo stuck; cat /dev/zero'", deaf: true},
}

// nativeWays are ways that need threads, signals or processes of the interpreter's own.
var nativeWays = []stuckWay{
	{name: "a script that stopped itself", script: "stuck(); os.kill(os.getpid(), signal.SIGSTOP)"},
	{name: "every signal ignored", script: `
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
stuck()
while True: pass`},
	{name: "calls of many threads", script: `
def look():
    while True: os.stat("/etc")
for _ in range(20): threading.Thread(target=look).start()
stuck()`},
	{name: "a socket that nobody reads", script: `
a, b = socket.socketpair(); p = subprocess.Popen(["cat", "/dev/zero"], stdout=a); stuck(); p.wait()`},
	{name: "a socket that nobody writes", script: `
a, b = socket.socketpair(); p = subprocess.Popen(["cat"], stdin=a); stuck(); p.wait()`},
	{name: "further interpreters", script: `
p = [subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]) for _ in range(3)]
stuck(); [q.wait() for q in p]`},
	{name: "requests that overlap, held", script: `
for _ in range(4): threading.Thread(target=lambda: subprocess.run(["env", "held"])).start()
time.sleep(0.5); stuck()`},
	{name: "one request with more executables than there are", script: `
import sitecustomize as s
os.chdir("/tmp"); deep = "d/.." + "/d/.." * 600; os.mkdir("d"); os.symlink(deep, "l0")
for i in range(1, 38): os.symlink("l%d/" % (i - 1) + deep, "l%d" % i)
fd = os.open("/dev/shannot", os.O_RDWR)
items = [b"start", 0, -1, -1, -1, s._list([b"ls"]), s._list([b"/tmp/l37/%d" % i for i in range(60000)]), s._list([]), b"", s._list([]), s._list([])]
body = s._list(items); stuck(); os.write(fd, len(body).to_bytes(4, "little") + body); os.read(fd, 100); time.sleep(600)`},
	{name: "a terminal", script: "import time; print('stu' + 'ck'); time.sleep(600)\n", terminal: true},
	{name: "output for a client that does not read", script: "stuck()\nwhile True: print('x' * 1000)", deaf: true},
}

// elsewhere are the ways of everywhere that are tried on another target or in another engine.
func elsewhere() []stuckWay {
	if !testing.Short() {
		return everywhere
	}
	return slices.DeleteFunc(slices.Clone(everywhere), func(w stuckWay) bool { return !w.short })
}

func TestCancellationFreesThePlaceHoweverASessionIsStuck(t *testing.T) {
	t.Parallel()
	until := make(chan struct{})
	r := startAltered(t, "[limits]\nsessions_per_identity = 1\noutput = \"0\"\n", nil, func(o *Options) {
		o.Judge = permissive{}
		host := o.Targets[0]
		o.Targets = []targets.Target{hanging{host, hangingFiles{host.Files(), until}}}
	})
	t.Cleanup(func() { close(until) })
	ways := append(append([]stuckWay{{name: "a file of the host that hangs", script: "stuck(); open('" + hangs + "')"}}, everywhere...), nativeWays...)
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { r.freesThePlace(t, w) })
	}
}

func TestCancellationFreesThePlaceInPyPy(t *testing.T) {
	t.Parallel()
	if missing := pypytest.Missing(); missing != "" {
		t.Skip("this machine has no ", missing)
	}
	dir := t.TempDir()
	if err := pypytest.Build("../sandbox/pypy/testdata", dir); err != nil {
		t.Fatal(err)
	}
	engine := pypy.New(pypy.Options{Executable: filepath.Join(dir, "pypy3-c"), Library: dir})
	t.Cleanup(func() { _ = engine.Close() })
	r := startAltered(t, "[limits]\nsessions_per_identity = 1\noutput = \"0\"\n", nil, func(o *Options) {
		o.Judge, o.Engines = permissive{}, []sandbox.Engine{engine}
	})
	for _, w := range elsewhere() {
		if w.line != "" {
			continue
		}
		w.flags += " --engine pypy"
		t.Run(w.name, func(t *testing.T) { r.freesThePlace(t, w) })
	}
}

// remoteGateway is a gateway of which "local" is a host over SSH.
func remoteGateway(t *testing.T) (*running, *sshdtest.Server) {
	t.Helper()
	return remoteGatewayWith(t, "sessions_per_identity = 1\noutput = \"0\"\n")
}

// remoteGatewayWith is remoteGateway with limits.
func remoteGatewayWith(t *testing.T, limits string) (*running, *sshdtest.Server) {
	t.Helper()
	server := sshdtest.Start(t)
	r := startAltered(t, "[limits]\n"+limits, nil, func(o *Options) {
		o.Judge = permissive{}
		far := ssh.New(ssh.Options{Hops: []ssh.Hop{{
			Name: "local", Host: server.Host, Port: server.Port, User: server.User, Login: ssh.Login{Key: server.Client},
			Known: hostkeys.KnownOptions{Target: "local", Fingerprints: []string{server.Fingerprint()}},
		}}})
		o.Targets = []targets.Target{far}
		t.Cleanup(func() { _ = far.Close() })
	})
	return r, server
}

func TestCancellationFreesThePlaceOfARemoteTarget(t *testing.T) {
	t.Parallel()
	r, _ := remoteGateway(t)
	for _, w := range elsewhere() {
		t.Run(w.name, func(t *testing.T) { r.freesThePlace(t, w) })
	}
}

func TestCancellationFreesThePlaceOfATargetThatHangs(t *testing.T) {
	t.Parallel()
	for _, w := range []stuckWay{
		{name: "while a command runs", script: "p = subprocess.Popen(['sleep', '90']); stuck(); p.wait()"},
		{name: "while a command writes", script: "p = subprocess.Popen(['cat', '/dev/zero'], stdout=subprocess.PIPE); stuck()\nwhile True: p.stdout.read(4096)"},
		{name: "while files are read", script: "stuck()\nwhile True:\n    for n in os.listdir('/etc'): os.path.exists('/etc/%s/%d' % (n, time.time_ns()))"},
		{name: "before a command starts", script: "stuck()\nwhile True: subprocess.run(['true'])"},
		{name: "under a command line", line: "exec -- sh -c 'echo stuck; sleep 90'"},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			r, server := remoteGateway(t)
			w.hang = true
			r.freesThePlace(t, w, server)
		})
	}
}

// freesThePlace begins a session that gets stuck, cancels it, and waits until there is none alive.
func (r *running) freesThePlace(t *testing.T, w stuckWay, server ...*sshdtest.Server) {
	c, err := r.dial(r.agent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	out := r.begins(t, c, w)
	if w.deaf {
		out = io.LimitReader(out, 6)
	}
	said := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasSuffix(strings.TrimSpace(lines.Text()), "stuck") { // a terminal puts something before it
				said <- true
				break
			}
		}
		if !w.deaf {
			_, _ = io.Copy(io.Discard, out)
		}
		said <- false
	}()
	if !<-said {
		t.Fatal("it has ended before it was stuck")
	}
	if w.hang {
		server[0].Hang()
	}
	approver := r.as(r.approver)
	var id string
	for _, s := range r.alive(t) {
		id = s
	}
	began := time.Now()
	if _, stderr, status := output(t, approver, "cancel "+id, ""); status != 0 {
		t.Fatalf("cancel %s: status %d, %s", id, status, stderr)
	}
	for len(r.alive(t)) > 0 || r.places() > 0 {
		if time.Since(began) > freed {
			t.Fatalf("the place is still taken %v after the cancellation", freed)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("free after %v", time.Since(began).Round(time.Millisecond))
	// It is not over by its own doing, and nobody is told that it was.
	if s, err := r.gateway.Sessions().Session(journal.Identity{Name: "claude"}, id); err != nil || s.Status != journal.StatusCancelled {
		t.Errorf("the session is %q: %v", s.Status, err)
	}
}

// begins starts a session and returns its standard output.
func (r *running) begins(t *testing.T, c *gossh.Client, w stuckWay) io.Reader {
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	line := w.line
	switch {
	case w.terminal:
		if err := s.RequestPty("xterm", 24, 80, gossh.TerminalModes{}); err != nil {
			t.Fatal(err)
		}
		line = "python3"
	case line == "":
		line = "run" + w.flags + " -c " + quote(begin+w.script)
	}
	if err := s.Start(line); err != nil {
		t.Fatal(err)
	}
	if w.terminal {
		_, _ = io.WriteString(in, w.script)
	}
	return out
}

// quote is a text as one word of a command line.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// alive are the ids of the sessions that have not ended.
func (r *running) alive(t *testing.T) []string {
	all, err := r.gateway.Sessions().Sessions(journal.Identity{Name: "claude"}, approvals.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

// places is how many sessions take a place.
func (r *running) places() int {
	running, held, _ := r.gateway.Sessions().Counts(journal.Identity{Name: "claude"})
	return running + held
}
