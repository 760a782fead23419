package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
	"shannot-gateway/hostkeys"
)

var crashKills = flag.Int("crash.kills", 0, "how often TestKilledGatewayKeepsItsPromises kills the gateway; 0 means 200, or 4 with -short")

// How much happens at the same time in the crash suite.
const (
	crashAgents    = 3
	crashApprovers = 2
	crashPatience  = 2 * time.Second
	crashLines     = 20_000 // of a file that a script writes, its mark in each
)

// TestKilledGatewayKeepsItsPromises kills a real gateway with SIGKILL, again and again, while agents run scripts and
// commands and approvers decide. After each kill the journal and the audit log are whole; at the end, when all that
// was parked has been decided, no command has run twice, none that was approved is missing, none ran that was not.
func TestKilledGatewayKeepsItsPromises(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the sandbox needs Linux")
	}
	kills := *crashKills
	if kills == 0 {
		kills = 200
		if testing.Short() {
			kills = 4
		}
	}
	c := newCrashSuite(t)
	for n := range kills {
		c.round = n
		c.serve()
		ctx, cancel := context.WithCancel(context.Background())
		load := c.load(ctx)
		c.moment()
		c.kill()
		cancel()
		load.Wait()
		c.whole()
		if t.Failed() {
			t.Fatalf("after kill %d", n+1)
		}
	}
	c.serve()
	c.settle()
	if err := c.end(os.Interrupt); err != nil {
		t.Errorf("the gateway ended with: %v", err)
	}
	c.whole()
	c.account(kills)
}

// crashSuite is a state directory, whoever uses it, and what they were told.
type crashSuite struct {
	tb      testing.TB
	dir     string
	state   string
	log     string // what commands append their marks to
	files   string // the directory that scripts write to
	config  string
	signers map[string]ssh.Signer
	cmd     *exec.Cmd
	done    chan error
	address string
	round   int
	stderr  syncBuffer

	decided chan struct{} // has one for each decision, as far as there is room

	mu       sync.Mutex
	approved map[string]bool // "session operation" that an approver was told was approved
	rejected map[string]bool
}

// syncBuffer is a bytes.Buffer for a process and its test.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.Bytes()
	return string(text[max(0, len(text)-4000):])
}

func newCrashSuite(t *testing.T) *crashSuite {
	t.Helper()
	c := &crashSuite{tb: t, dir: t.TempDir(), signers: map[string]ssh.Signer{}, decided: make(chan struct{}, 1), approved: map[string]bool{}, rejected: map[string]bool{}}
	c.state, c.log, c.config = filepath.Join(c.dir, "state"), filepath.Join(c.dir, "log"), filepath.Join(c.dir, "gateway.toml")
	cache := filepath.Join(mustCacheDir(t), "shannot-gateway", "runtime")
	c.files = filepath.Join(c.dir, "files")
	for _, d := range []string{cache, c.state, c.files} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(cache, filepath.Join(c.state, "runtime")); err != nil {
		t.Fatal(err)
	}
	self, err := user.Current() // who owns the files that are changed
	if err != nil {
		t.Fatal(err)
	}
	text := "listen = \"127.0.0.1:0\"\n[local]\nrun_as = \"" + self.Username + "\"\n[limits]\nhold = \"400ms\"\nsessions_per_identity = 0\nsessions = 12\n[files]\nscratch = []\nread = [\"/usr\", \"/bin\", \"/lib\", \"/lib64\", \"/etc\", \"" + c.files + "\"]\n"
	add := func(name, role string) {
		public, private, err := ed25519.GenerateKey(crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if c.signers[name], err = ssh.NewSignerFromKey(private); err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("[identities.%s]\nrole = %q\nkeys = [%q]\n", name, role, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
	}
	for i := range crashAgents {
		add(fmt.Sprintf("agent%d", i), "agent")
	}
	for i := range crashApprovers {
		add(fmt.Sprintf("approver%d", i), "approver")
	}
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd != nil {
			c.kill()
		}
	})
	return c
}

// serve starts the gateway and waits until it listens.
func (c *crashSuite) serve() {
	c.tb.Helper()
	path, err := exec.LookPath("shannot-gateway")
	if err != nil {
		c.tb.Fatal(err)
	}
	c.cmd = exec.Command(path, "serve", "--config", c.config, "--state", c.state)
	out, err := c.cmd.StderrPipe()
	if err != nil {
		c.tb.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.tb.Fatal(err)
	}
	c.done = make(chan error, 1)
	listening := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if a, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- a
			}
			if !strings.Contains(lines.Text(), "command=list") && !strings.Contains(lines.Text(), "msg=disconnect") {
				_, _ = fmt.Fprintln(&c.stderr, lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, out)
		c.done <- c.cmd.Wait()
	}()
	select {
	case c.address = <-listening:
	case err := <-c.done:
		c.cmd = nil
		c.tb.Fatalf("the gateway did not start after %d kills: %v\n%s", c.round, err, c.stderr.tail())
	case <-time.After(time.Minute):
		c.tb.Fatalf("the gateway does not listen after %d kills\n%s", c.round, c.stderr.tail())
	}
}

func (c *crashSuite) end(sig os.Signal) error {
	_ = c.cmd.Process.Signal(sig)
	err := <-c.done
	c.cmd = nil
	return err
}

func (c *crashSuite) kill() { _ = c.end(os.Kill) }

// load has everybody work until their connections break.
func (c *crashSuite) load(ctx context.Context) *sync.WaitGroup {
	var all sync.WaitGroup
	for i := range crashAgents {
		all.Go(func() { c.agent(ctx, fmt.Sprintf("agent%d", i), c.round) })
	}
	for i := range crashApprovers {
		all.Go(func() { c.approver(ctx, fmt.Sprintf("approver%d", i)) })
	}
	return &all
}

func (c *crashSuite) dial(name string) (*ssh.Client, error) {
	return ssh.Dial("tcp", c.address, &ssh.ClientConfig{
		User: "shannot", Auth: []ssh.AuthMethod{ssh.PublicKeys(c.signers[name])}, Timeout: time.Minute,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a gateway of this test's own on the loopback interface
	})
}

// say runs one command line. err is about the connection.
func say(client *ssh.Client, line, stdin string) (out string, status int, err error) {
	s, err := client.NewSession()
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = s.Close() }()
	s.Stdin = strings.NewReader(stdin)
	text, err := s.Output(line)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return string(text), exit.ExitStatus(), nil
	}
	return string(text), 0, err
}

// agent begins sessions and does not wait for them. Each command appends a mark of its own to the file.
func (c *crashSuite) agent(ctx context.Context, name string, round int) {
	client, err := c.dial(name)
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	for i := 0; ctx.Err() == nil; i++ {
		mark := func(n int) string { return fmt.Sprintf("%s-%d-%d-%d", name, round, i, n) }
		if rand.IntN(3) == 0 {
			_, _, err = say(client, fmt.Sprintf("exec --wait 0s -- echo %s >> %s", mark(1), c.log), "")
		} else {
			script := "import subprocess\n"
			for n := 1; n <= 1+rand.IntN(3); n++ {
				if rand.IntN(2) == 0 {
					script += fmt.Sprintf("open('%s', 'w').write('%s\\n' * %d)\n", filepath.Join(c.files, mark(n)), mark(n), crashLines)
				} else {
					script += fmt.Sprintf("subprocess.run(['sh', '-c', 'echo %s >> %s'])\n", mark(n), c.log)
				}
			}
			_, _, err = say(client, "run --wait 0s", script)
		}
		if err != nil {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// waiting is what `list --json` says of a session.
type waiting struct {
	Session, Status string
	WaitingDigest   string `json:"waiting_digest"`
	Operations      []struct {
		N        int
		Decision string
	}
}

// approver decides on everything that waits, and remembers what it was told.
func (c *crashSuite) approver(ctx context.Context, name string) {
	client, err := c.dial(name)
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	for ctx.Err() == nil {
		left, err := c.decide(client)
		if err != nil {
			return
		}
		if left == 0 {
			pause(ctx, 20*time.Millisecond)
		}
	}
}

// decide goes once through what there is, and says how many sessions have not ended.
func (c *crashSuite) decide(client *ssh.Client) (left int, err error) {
	out, _, err := say(client, "list --json", "")
	if err != nil {
		return 0, err
	}
	var sessions []waiting
	if err := json.Unmarshal([]byte(out), &sessions); err != nil {
		c.tb.Errorf("list: %v in %q", err, out)
		return 0, err
	}
	for i := len(sessions) - 1; i >= 0; i-- { // the oldest first
		for _, o := range sessions[i].Operations {
			if o.Decision != "waiting" {
				continue
			}
			line, told := fmt.Sprintf("approve %s --digest %s --op %d", sessions[i].Session, sessions[i].WaitingDigest, o.N), c.approved
			if rand.IntN(8) == 0 {
				line, told = fmt.Sprintf("reject %s --op %d --reason no", sessions[i].Session, o.N), c.rejected
			}
			_, status, err := say(client, line, "")
			if err != nil {
				return 0, err
			}
			if status != 0 {
				_, _ = fmt.Fprintf(&c.stderr, "%s: status %d\n", line, status)
			}
			if status == 0 {
				c.mu.Lock()
				told[fmt.Sprintf("%s %d", sessions[i].Session, o.N)] = true
				c.mu.Unlock()
				select {
				case c.decided <- struct{}{}:
				default:
				}
			}
		}
	}
	return len(sessions), nil
}

// settle decides until nothing is left.
func (c *crashSuite) settle() {
	c.tb.Helper()
	client, err := c.dial("approver0")
	if err != nil {
		c.tb.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	// It may take long, but it goes on.
	for fewest, deadline := math.MaxInt, time.Now(); ; {
		left, err := c.decide(client)
		if err != nil {
			c.tb.Fatal(err)
		}
		if left == 0 {
			return
		}
		if left < fewest {
			fewest, deadline = left, time.Now().Add(time.Minute)
		}
		if time.Now().After(deadline) {
			out, _, _ := say(client, "list --json", "")
			c.tb.Fatalf("%d sessions do not come to an end:\n%s\n%s", left, out, c.stderr.tail())
		}
		pause(context.Background(), 20*time.Millisecond)
	}
}

// moment returns at a random one: after so many decisions, and then a little later.
func (c *crashSuite) moment() {
	patience := time.After(crashPatience)
	for range rand.IntN(5) {
		select {
		case <-c.decided:
		case <-patience:
			return
		}
	}
	time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // nothing waits for what happens meanwhile
}

// whole checks the journal and the audit log of a gateway that does not run.
func (c *crashSuite) whole() {
	c.tb.Helper()
	r, err := store.Inspect(filepath.Join(c.state, databaseFile))
	if err != nil {
		c.tb.Fatal(err)
	}
	for _, f := range r.Findings {
		c.tb.Errorf("journal: %s", f)
	}
	keys, err := hostkeys.Existing(filepath.Join(c.state, hostKeyFolder))
	if err != nil {
		c.tb.Fatal(err)
	}
	anchor, err := store.Anchor(filepath.Join(c.state, databaseFile))
	if err != nil {
		c.tb.Fatal(err)
	}
	v, err := audit.Verify(filepath.Join(c.state, "audit"), audit.Check{Keys: fingerprints(keys), Anchor: anchor})
	if err != nil {
		c.tb.Fatal(err)
	}
	for _, f := range v.Findings {
		c.tb.Errorf("audit log: %s", f)
	}
}

// account compares what ran with the journal, what the approvers were told, and the audit log.
func (c *crashSuite) account(kills int) {
	c.tb.Helper()
	ran := map[string]int{}
	text, err := os.ReadFile(c.log)
	if err != nil {
		c.tb.Fatal(err)
	}
	for _, mark := range strings.Fields(string(text)) {
		if ran[mark]++; ran[mark] > 1 {
			c.tb.Errorf("%s ran %d times", mark, ran[mark])
		}
	}
	written := c.written()
	for mark, n := range written {
		ran[mark] += n
	}
	s, err := store.Open(filepath.Join(c.state, databaseFile), store.Options{})
	if err != nil {
		c.tb.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	sessions, err := s.Sessions(true, func(*journal.Session) bool { return true })
	if err != nil {
		c.tb.Fatal(err)
	}
	logged := c.logged()
	counts := map[journal.Decision]int{}
	known := map[string]bool{}
	for _, session := range sessions {
		if !session.Status.Final() {
			c.tb.Errorf("session %s is %s", session.ID, session.Status)
		}
		for _, o := range session.Operations {
			counts[o.Decision]++
			id := fmt.Sprintf("%s %d", session.ID, o.N)
			known[id] = true
			c.check(id, session, o, ran, logged)
		}
	}
	for id := range c.approved {
		if !known[id] {
			c.tb.Errorf("operation %s was approved, and is not in the journal", id)
		}
	}
	c.tb.Logf("%d kills, %d sessions, %d commands, %d files, decisions %v, %d approvals and %d rejections acknowledged",
		kills, len(sessions), len(ran)-len(written), len(written), counts, len(c.approved), len(c.rejected))
	if len(ran) == 0 || kills >= 50 && (len(written) == 0 || len(written) == len(ran) || counts[journal.Rejected] == 0 || counts[journal.Unknown] == 0) {
		c.tb.Error("too little happened for this test to show anything")
	}
}

// check is account for one operation.
func (c *crashSuite) check(id string, session journal.Session, o journal.Operation, ran map[string]int, logged map[string]bool) {
	c.tb.Helper()
	var mark string
	if o.Command != nil {
		argv := o.Command.Argv
		mark = strings.Fields(argv[len(argv)-1])[1] // echo MARK >> FILE
	} else {
		mark = filepath.Base(string(o.File.Path))
	}
	n := ran[mark]
	switch {
	case o.Decision == journal.Approved && (o.Finished.IsZero() || o.Command != nil && o.ExitCode == nil):
		c.tb.Errorf("operation %s was approved, and never came to an end", id)
	case o.Decision == journal.Approved && (o.ExitCode == nil || *o.ExitCode == 0) && n != 1:
		c.tb.Errorf("operation %s says that it ran, and %s is there %d times", id, mark, n)
	case o.Started.IsZero() && n != 0:
		c.tb.Errorf("operation %s is %s and was never started, and %s is there", id, o.Decision, mark)
	}
	if c.approved[id] && o.Decision != journal.Approved && o.Decision != journal.Unknown && (o.Decision != journal.Cancelled || session.Status != journal.StatusFailed) {
		c.tb.Errorf("operation %s was approved, and is %s in a session that is %s (%s)", id, o.Decision, session.Status, session.Reason)
	}
	if c.rejected[id] && (o.Decision != journal.Rejected || n != 0) {
		c.tb.Errorf("operation %s was rejected, and is %s; %s is there %d times", id, o.Decision, mark, n)
	}
	if !logged["operation "+id] {
		c.tb.Errorf("operation %s is not in the audit log", id)
	}
	if (o.Decision == journal.Approved || o.Decision == journal.Rejected) && !logged["decision "+id] {
		c.tb.Errorf("the decision on operation %s is not in the audit log", id)
	}
	if !o.Started.IsZero() && !logged["execution "+id] {
		c.tb.Errorf("the start of operation %s is not in the audit log", id)
	}
}

// written lists the marks of the files that were written, and fails for one that is not whole or is left over.
func (c *crashSuite) written() map[string]int {
	c.tb.Helper()
	entries, err := os.ReadDir(c.files)
	if err != nil {
		c.tb.Fatal(err)
	}
	out := map[string]int{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(c.files, e.Name()))
		if err != nil {
			c.tb.Fatal(err)
		}
		if string(text) != strings.Repeat(e.Name()+"\n", crashLines) {
			c.tb.Errorf("%s was left with %d bytes that begin with %.40q", e.Name(), len(text), text)
		}
		out[e.Name()]++
	}
	return out
}

// logged lists what the audit log tells of operations.
func (c *crashSuite) logged() map[string]bool {
	c.tb.Helper()
	names, err := filepath.Glob(filepath.Join(c.state, "audit", "audit-*.jsonl"))
	if err != nil {
		c.tb.Fatal(err)
	}
	out := map[string]bool{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			c.tb.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var e audit.Event
			if err := json.Unmarshal(line, &e); err != nil {
				c.tb.Fatalf("%q: %v", line, err)
			}
			out[fmt.Sprintf("%s %s %d", e.Event, e.Session, e.Operation)] = true
		}
	}
	return out
}
