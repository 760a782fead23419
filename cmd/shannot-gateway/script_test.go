package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/crypto/ssh"

	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/pypy/pypytest"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/local"
	"shannot-gateway/targets/ssh/sshdtest"
)

func TestMain(m *testing.M) {
	shell.Init()
	native.Init()
	if program := os.Getenv(shellEnv); program != "" {
		shellExecutable = program
	}
	jail.Init()
	local.Init()
	// Scripts wait more than they work. A number that is given on the command line is parsed later, and counts.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(raceReporter{m, os.Stdout}, testPrograms)
}

// testPrograms are what the scripts can run beside what is installed.
var testPrograms = map[string]func(){"shannot-gateway": main}

// TestScripts runs the scripts under testdata/script: the real executable, the real OpenSSH client, agents and
// attackers. They are the specification of what a user meets.
//
// Each script has a directory with a key pair for everybody in scriptKeys and a file ssh_config with a host of that
// name, so that `exec ssh -F ssh_config agent df -h` is what an agent types. ${SELF} is the user that runs the tests, for
// run_as where a script needs that user's own rights, which may be root's. The commands below are added:
//
//	serve [flags]   writes gateway.toml with ${AGENT} and so on replaced by public keys, starts the gateway, waits for its line
//	                and puts its process id into GATEWAY_PID
//	reload [FILE]   writes FILE (gateway.toml) as serve does, sends SIGHUP, waits for what the gateway says about it, and
//	                puts that into the file reload.log
//	sigterm         ends the gateway with SIGTERM and waits for the end
//	crash           sends SIGKILL and waits for the end
//	id NAME FILE    takes the session's id out of a notice in FILE into the variable NAME
//	shown NAME ID   reads what waits in a session or group as its approver would, with show, and puts the line that approves
//	                it, which show ends with, into the variable NAME: exec ssh -F ssh_config approver $NAME
//	approve ID [flags…]  does both, and fails where that fails; stderr is what ssh printed there
//	group NAME ID   puts the id of the group that a session belongs to into the variable NAME
//	held NAME       waits until some session is held and puts its id into the variable NAME
//	target NAME [line…]  starts an OpenSSH server of the script's own, with these lines in its configuration, and puts its
//	                port, key file, account, fingerprint and line of known_hosts into NAME_PORT, NAME_KEY, NAME_USER,
//	                NAME_FINGERPRINT and NAME_KNOWN; for one that runs already it does the same anew, with a new host key
//	drop NAME       cuts all connections of that server
//	tasks plain|shell  plays what agents type at their first try, see cmdTasks
//	mcp WHAT        has a client of the Model Context Protocol do something, see cmdMCP
//	pypy DIR        puts a double of a sandboxed PyPy there that runs Python; the condition pypy says whether it can be made
func TestScripts(t *testing.T) {
	t.Parallel() // the crash test waits as much
	if runtime.GOOS != "linux" {
		t.Skip("the sandbox needs Linux")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no OpenSSH client on this machine: install openssh-client to run the end-to-end scripts")
	}
	refuseStop(t)
	cache := filepath.Join(mustCacheDir(t), "shannot-gateway", "runtime")
	sandboxed := sync.OnceValues(func() (string, error) {
		dir := t.TempDir()
		return dir, pypytest.Build("../../sandbox/pypy/testdata", dir)
	})
	shellProgram := builtShell(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv(shellEnv, shellProgram)
			return setupScript(env, cache)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe, "reload": cmdReload, "sigterm": cmdSigterm, "crash": cmdCrash, "id": cmdID, "held": cmdHeld,
			"shown": cmdShown, "approve": cmdApprove, "group": cmdGroup,
			"mcp":    cmdMCP,
			"tasks":  cmdTasks,
			"target": cmdTarget, "drop": cmdDrop,
			"pypy": func(ts *testscript.TestScript, neg bool, args []string) {
				dir, err := sandboxed()
				ts.Check(err)
				ts.Check(os.Symlink(dir, ts.MkAbs(args[0])))
			},
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "jail":
				return jail.Check() == nil, nil
			case "shell":
				return !raceDetector || shellProgram != "", nil
			case "pypy":
				return pypytest.Missing() == "", nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// shellEnv names the program that is the shell of the sandbox in the place of the tests' own, "" for that.
const shellEnv = "SHANNOT_TEST_SHELL"

// builtShell is such a program where the tests' own cannot be it, "" where it can, or where none can be built.
func builtShell(t *testing.T) string {
	t.Helper()
	if !raceDetector {
		return ""
	}
	program := filepath.Join(t.TempDir(), "shell")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../sandbox/shell/testdata/program") // #nosec G204 -- the test's
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Logf("no shell for the sandbox: %v: %s", err, out)
		return ""
	}
	return program
}

// refuseStop fails for a script with the library's own command stop, which ends a script there and calls it passed. The
// end of the gateway is sigterm.
func refuseStop(t *testing.T) {
	t.Helper()
	names, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d scripts, %v", len(names), err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(archive.Comment), "\n") {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "stop" {
				t.Errorf("%s:%d: stop ends the script, and what follows is not run; the gateway is ended by sigterm", name, i+1)
			}
		}
	}
}

func mustCacheDir(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// scriptKeys are the people of the scripts. eve has a key that no configuration names.
var scriptKeys = []string{"agent", "other", "approver", "second", "admin", "eve"}

func setupScript(env *testscript.Env, cache string) error {
	env.Setenv("HOME", env.WorkDir)
	self, err := user.Current()
	if err != nil {
		return err
	}
	env.Setenv("SELF", self.Username)
	double, err := filepath.Abs("../../sandbox/pypy/testdata/child.c")
	if err != nil {
		return err
	}
	env.Setenv("PYPY_DOUBLE", double)
	env.Setenv("EXAMPLES", filepath.Join(filepath.Dir(double), "../../../examples"))
	// One unpacked interpreter for all scripts: the gateway takes it for its own.
	if err := os.Mkdir(filepath.Join(env.WorkDir, "state"), 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(cache, filepath.Join(env.WorkDir, "state", "runtime")); err != nil {
		return err
	}
	for _, name := range scriptKeys {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		block, err := ssh.MarshalPrivateKey(private, name)
		if err != nil {
			return err
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			return err
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " " + name
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(env.WorkDir, name+".pub"), []byte(line+"\n"), 0o600); err != nil {
			return err
		}
		env.Setenv(strings.ToUpper(name), line)
	}
	g := &scriptGateway{}
	env.Values[gatewayKey{}] = g
	env.Values[serversKey{}] = map[string]*sshdtest.Server{}
	env.Defer(func() { g.end(syscall.SIGKILL) })
	socket := filepath.Join(env.WorkDir, "tmux.sock")
	env.Defer(func() { // a script that fails leaves its terminals behind
		if _, err := os.Stat(socket); err == nil {
			_ = exec.Command("tmux", "-S", socket, "kill-server").Run()
		}
	})
	return nil
}

type gatewayKey struct{}

// scriptGateway is a script's gateway process.
type scriptGateway struct {
	addr string
	cmd  *exec.Cmd
	done chan error
	log  scriptLog
}

// scriptLog is what a gateway says, line by line.
type scriptLog struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed with the next line
}

func (l *scriptLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// from returns the lines from the nth on, and what is closed when there is one more.
func (l *scriptLog) from(n int) (lines []string, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return slices.Clone(l.lines[n:]), l.more
}

func (l *scriptLog) String() string {
	lines, _ := l.from(0)
	return strings.Join(lines, "\n")
}

// endsIn is how long a gateway may take to end, in a machine that has much else to do.
const endsIn = 2 * time.Minute

func (g *scriptGateway) end(sig syscall.Signal) error {
	if g.cmd == nil {
		return nil
	}
	_ = g.cmd.Process.Signal(sig)
	select {
	case err := <-g.done:
		g.cmd = nil
		return err
	case <-time.After(endsIn):
		_ = g.cmd.Process.Kill()
		return fmt.Errorf("the gateway did not end within %v of %v", endsIn, sig)
	}
}

// writeConfig writes the configuration that the gateway reads.
func writeConfig(ts *testscript.TestScript, from string) {
	expanded := os.Expand(ts.ReadFile(from), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs("gateway.run.toml"), []byte(expanded), 0o600))
}

func cmdReload(ts *testscript.TestScript, neg bool, args []string) {
	from := "gateway.toml"
	if len(args) > 0 {
		from = args[0]
	}
	writeConfig(ts, from)
	g := ts.Value(gatewayKey{}).(*scriptGateway)
	before, _ := g.log.from(0)
	ts.Check(g.cmd.Process.Signal(syscall.SIGHUP))
	late := time.After(endsIn)
	for {
		lines, more := g.log.from(len(before))
		for i, line := range lines {
			if strings.Contains(line, "configuration reloaded") || strings.Contains(line, "configuration was not reloaded") {
				ts.Check(os.WriteFile(ts.MkAbs("reload.log"), []byte(strings.Join(lines[:i+1], "\n")+"\n"), 0o600))
				return
			}
		}
		select {
		case <-more:
		case <-late:
			ts.Logf("%s", g.log.String())
			ts.Fatalf("the gateway says nothing of its configuration")
		}
	}
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	writeConfig(ts, "gateway.toml")
	g := ts.Value(gatewayKey{}).(*scriptGateway)
	if g.cmd != nil {
		ts.Fatalf("a gateway runs already")
	}
	path, err := exec.LookPath("shannot-gateway")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{
		"serve", "--config", ts.MkAbs("gateway.run.toml"), "--listen", "127.0.0.1:0", "--state", ts.MkAbs("state"),
	}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Setenv("GATEWAY_PID", strconv.Itoa(cmd.Process.Pid))
	g.cmd, g.done = cmd, make(chan error, 1)
	addr := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if a, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				addr <- a
			}
			g.log.add(lines.Text())
		}
		_, _ = io.Copy(io.Discard, stderr)
		g.done <- cmd.Wait()
	}()
	select {
	case a := <-addr:
		g.addr = a
		writeClientConfig(ts, a)
	case err := <-g.done:
		g.cmd = nil
		ts.Logf("%s", g.log.String())
		ts.Fatalf("the gateway did not start: %v", err)
	case <-time.After(endsIn):
		ts.Fatalf("the gateway does not listen")
	}
}

func writeClientConfig(ts *testscript.TestScript, addr string) {
	var b strings.Builder
	_, port, _ := strings.Cut(addr, ":")
	for _, name := range scriptKeys {
		fmt.Fprintf(&b, `Host %s
	HostName 127.0.0.1
	Port %s
	User shannot
	IdentityFile %s
	IdentitiesOnly yes
	IdentityAgent none
	UserKnownHostsFile %s
	StrictHostKeyChecking accept-new
	LogLevel ERROR
	BatchMode yes

`, name, port, ts.MkAbs(name), ts.MkAbs("known_hosts"))
	}
	// Somebody who offers the approver's public half, which they found, before their own key.
	fmt.Fprintf(&b, "Host attack\n\tHostName 127.0.0.1\n\tPort %s\n\tUser shannot\n\tIdentityFile %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n"+
		"\tIdentityAgent none\n\tUserKnownHostsFile %s\n\tStrictHostKeyChecking accept-new\n\tBatchMode yes\n",
		port, ts.MkAbs("approver-only.pub"), ts.MkAbs("agent"), ts.MkAbs("known_hosts"))
	ts.Check(os.WriteFile(ts.MkAbs("ssh_config"), []byte(b.String()), 0o600))
	_ = os.Remove(ts.MkAbs("known_hosts"))
}

func cmdSigterm(ts *testscript.TestScript, neg bool, args []string) {
	g := ts.Value(gatewayKey{}).(*scriptGateway)
	if len(args) > 0 {
		ts.Fatalf("usage: sigterm")
	}
	if err := g.end(syscall.SIGTERM); err != nil {
		ts.Logf("%s", g.log.String())
		ts.Fatalf("the gateway ended with: %v", err)
	}
}

func cmdCrash(ts *testscript.TestScript, neg bool, args []string) {
	g := ts.Value(gatewayKey{}).(*scriptGateway)
	_ = g.end(syscall.SIGKILL)
}

// cmdID reads the id that a gateway's notice names.
func cmdID(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: id NAME FILE")
	}
	text := ts.ReadFile(args[1])
	_, after, ok := strings.Cut(text, " wait ")
	if !ok {
		ts.Fatalf("no \"wait ID\" in %q", text)
	}
	ts.Setenv(args[0], strings.FieldsFunc(after, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z') })[0])
}

// asApprover connects as the scripts' approver, for what a script only wants to know: what a client meets is OpenSSH's to show.
func asApprover(ts *testscript.TestScript) *ssh.Client {
	key, err := ssh.ParsePrivateKey([]byte(ts.ReadFile("approver")))
	ts.Check(err)
	client, err := ssh.Dial("tcp", ts.Value(gatewayKey{}).(*scriptGateway).addr, &ssh.ClientConfig{
		User: "shannot", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), // #nosec G106 -- the test's own gateway
	})
	ts.Check(err)
	return client
}

// answer is what the gateway says to a line.
func answer(client *ssh.Client, line string) ([]byte, error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	defer func() { _ = session.Close() }()
	return session.Output(line)
}

// ask is answer to the scripts' approver, who says nothing else.
func ask(ts *testscript.TestScript, line string) []byte {
	client := asApprover(ts)
	defer func() { _ = client.Close() }()
	out, err := answer(client, line)
	ts.Check(err)
	return out
}

// heldIn is how long a script may take to come to a held operation, in a machine that has much else to do. lookAgain is how often
// the gateway is asked where no event says that something is new: one may have come before there was anybody to hear it.
const (
	heldIn    = 2 * time.Minute
	lookAgain = time.Second
)

// cmdHeld asks the gateway, as its approver would, until a session is held.
func cmdHeld(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: held NAME")
	}
	client := asApprover(ts)
	defer func() { _ = client.Close() }()
	news := listen(ts, client)
	for deadline := time.After(heldIn); ; {
		out, err := answer(client, "list --json")
		ts.Check(err)
		var sessions []struct{ Session, Status string }
		ts.Check(json.Unmarshal(out, &sessions))
		for _, s := range sessions {
			if s.Status == "held" {
				ts.Setenv(args[0], s.Session)
				return
			}
		}
		select {
		case <-news:
		case <-time.After(lookAgain):
		case <-deadline:
			ts.Fatalf("no session is held")
		}
	}
}

// listen gives what the approver hears of, until the client is closed.
func listen(ts *testscript.TestScript, client *ssh.Client) <-chan struct{} {
	session, err := client.NewSession()
	ts.Check(err)
	out, err := session.StdoutPipe()
	ts.Check(err)
	ts.Check(session.Start("watch --json"))
	news := make(chan struct{}, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case news <- struct{}{}:
			default:
			}
		}
	}()
	return news
}

// readShown runs show as the approver and returns the line that approves what it printed.
func readShown(ts *testscript.TestScript, id string) string {
	text := strings.TrimRight(string(ask(ts, "show "+id)), "\n")
	line := text[strings.LastIndexByte(text, '\n')+1:]
	if !strings.HasPrefix(line, "approve "+id+" --digest ") {
		ts.Fatalf("show %s does not end with a line that approves it:\n%s", id, text)
	}
	return line
}

func cmdShown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shown NAME ID")
	}
	ts.Setenv(args[0], readShown(ts, args[1]))
}

func cmdApprove(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: approve ID [flags…]")
	}
	words := append([]string{"-F", ts.MkAbs("ssh_config"), "approver", readShown(ts, args[0])}, args[1:]...)
	ts.Check(ts.Exec("ssh", words...))
}

// cmdGroup asks which group a session is of.
func cmdGroup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: group NAME ID")
	}
	var session struct{ Group string }
	ts.Check(json.Unmarshal(ask(ts, "show "+args[1]+" --json"), &session))
	ts.Setenv(args[0], session.Group)
}

type serversKey struct{}

// cmdTarget starts a server, or gives the one that runs a new host key.
func cmdTarget(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: target NAME [line…]")
	}
	servers := ts.Value(serversKey{}).(map[string]*sshdtest.Server)
	name := args[0]
	s := servers[name]
	if s != nil {
		ts.Check(s.NewHostKey())
	} else {
		dir := ts.MkAbs("target-" + name)
		ts.Check(os.Mkdir(dir, 0o700))
		var err error
		s, err = sshdtest.New(dir, args[1:]...)
		ts.Check(err)
		ts.Defer(s.Close)
		servers[name] = s
	}
	for what, value := range map[string]string{
		"PORT": fmt.Sprint(s.Port), "KEY": s.Client, "USER": s.User, "FINGERPRINT": s.Fingerprint(), "KNOWN": strings.TrimSpace(s.KnownHosts()),
	} {
		ts.Setenv(strings.ToUpper(name)+"_"+what, value)
	}
}

func cmdDrop(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Value(serversKey{}).(map[string]*sshdtest.Server)[name].Drop()
	}
}
