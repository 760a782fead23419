package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/examples"
	"shannot-gateway/gateway/config"
)

// demoCommand is `demo [--go-client]`.
func (p *program) demoCommand() *cobra.Command {
	goClient := false
	cmd := &cobra.Command{
		Use:   "demo [--go-client]",
		Short: "see it work: no configuration, nothing stays behind",
		Long: `Shows all of it in a minute: a gateway with throwaway keys, an agent that sends a script, and an approver who decides. ` +
			`Nothing stays behind but the unpacked interpreter in your cache directory.`,
		Example: "shannot-gateway demo",
	}
	cmd.Flags().BoolVar(&goClient, "go-client", false, "use the built-in SSH client instead of ssh")
	return p.does(cmd, func(ctx context.Context, _ []string) int { return p.demo(ctx, goClient) })
}

// demo shows the whole of it: a gateway that lives for a minute, an agent, an approver, one script.
func (p *program) demo(ctx context.Context, goClient bool) int {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	d := &demonstration{out: p.stdout}
	status, err := d.run(ctx, goClient)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("the demo was interrupted")
		}
		return p.fail(err)
	}
	return status
}

// demonstration is one run of the demo. Two clients talk at once, so lines are written under a lock.
type demonstration struct {
	mu     sync.Mutex
	out    io.Writer
	dir    string
	client demoClient
}

// demoClient runs a command line as one of the demo's two people.
type demoClient interface {
	run(ctx context.Context, who, line string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error)
}

// The demo's two people.
const (
	demoAgent    = "agent"
	demoApprover = "approver"
)

func (d *demonstration) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

func (d *demonstration) run(ctx context.Context, goClient bool) (int, error) {
	var err error
	if d.dir, err = os.MkdirTemp("", "shannot-demo-"); err != nil {
		return 0, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(d.dir) }()
	d.say("Shannot gateway: an AI agent checks this machine, and you decide what it may change.")
	d.say("")
	runtime, err := cacheRuntime()
	if err != nil {
		return 0, err
	}
	if found, _ := filepath.Glob(filepath.Join(runtime, "python-*")); len(found) == 0 {
		d.say("(Unpacking Python for the sandbox to %s; only this first time.)", runtime)
	}
	g, address, stop, err := d.start(ctx, runtime)
	if err != nil {
		return 0, err
	}
	defer stop()
	return d.play(ctx, g, address, goClient)
}

// start starts a gateway with throwaway keys on a free port of the loopback interface.
func (d *demonstration) start(ctx context.Context, runtime string) (g *assembled, address string, stop func(), err error) {
	text := fmt.Sprintf("listen = \"127.0.0.1:0\"\nstate = %q\n", filepath.Join(d.dir, "state"))
	for _, who := range []string{demoAgent, demoApprover} {
		public, err := writeKey(filepath.Join(d.dir, who))
		if err != nil {
			return nil, "", nil, fmt.Errorf("make a key: %w", err)
		}
		text += fmt.Sprintf("[identities.demo-%s]\nrole = %q\nkeys = [%q]\n", who, who, public)
	}
	c, err := config.Parse([]byte(text), "")
	if err != nil {
		return nil, "", nil, err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if g, err = assemble(ctx, c, runtime, log); err != nil {
		return nil, "", nil, err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		g.close()
		return nil, "", nil, fmt.Errorf("listen: %w", err)
	}
	serving, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(serving, l) }()
	return g, l.Addr().String(), func() { cancel(); <-done; g.close() }, nil
}

// writeKey writes a new private key and returns the public one, as a line of authorized_keys.
func writeKey(name string) (string, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := gossh.MarshalPrivateKey(private, "demo")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

// play is the story: the agent's script runs, is held, is approved, and ends.
func (d *demonstration) play(ctx context.Context, g *assembled, address string, goClient bool) (int, error) {
	var err error
	if d.client, err = newDemoClient(d.dir, address, g.keys[0], goClient); err != nil {
		return 0, err
	}
	d.say("A gateway listens on %s. An agent, who has nothing but an SSH client, sends it a script:", address)
	d.say("")
	d.say("  agent$ ssh shannot@demo < examples/check_system.py")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := g.Sessions().Subscribe(ctx, journal.Identity{Name: "demo-" + demoAgent, Role: journal.Agent})
	type end struct {
		status int
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		stdout, stderr := d.stream("  | "), d.stream("  ! ")
		status, err := d.client.run(ctx, demoAgent, "", strings.NewReader(examples.CheckSystem), stdout, stderr)
		stdout.flush()
		stderr.flush()
		ended <- end{status, err}
	}()
	for {
		select {
		case e := <-ended:
			if e.err != nil {
				return 0, fmt.Errorf("the agent's ssh: %w", e.err)
			}
			return d.close(e.status), nil
		case event, open := <-feed:
			if !open {
				feed = nil
			} else if event.Kind == events.Waiting {
				if err := d.decide(ctx, event.Session); err != nil {
					return 0, err
				}
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// decide is what the approver does.
func (d *demonstration) decide(ctx context.Context, id string) error {
	d.say("")
	d.say("The script is held: it waits inside subprocess.run(). Nothing has been changed.")
	d.say("An approver, with a key of their own, looks at it. (At a terminal: ssh -t shannot@demo approve)")
	approve := ""
	for _, line := range []string{"list", "show " + id, ""} {
		if line == "" { // what show ended with
			line = approve
		}
		d.say("")
		d.say("  approver$ ssh shannot@demo %s", line)
		var out bytes.Buffer
		status, err := d.client.run(ctx, demoApprover, line, nil, &out, &out)
		if err != nil || status != 0 {
			return fmt.Errorf("ssh %s: exit status %d: %w: %s", line, status, err, out.String())
		}
		text := out.String()
		if strings.HasPrefix(line, "show") {
			approve = lastLine(text)
			text = waitingOnly(text)
		}
		d.indent("  # ", text)
	}
	d.say("")
	d.say("Approved. The script goes on from where it stood:")
	return nil
}

func lastLine(text string) string {
	text = strings.TrimRight(text, "\n")
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// waitingOnly leaves out of what show printed the script and the operations that ran without a human.
func waitingOnly(text string) string {
	const mark = "\noperation "
	head, _, _ := strings.Cut(text, "\nscript (")
	var waiting []string
	parts := strings.Split(text, mark)
	for _, part := range parts[1:] {
		if first, _, _ := strings.Cut(part, "\n"); strings.HasSuffix(first, ": waiting") {
			waiting = append(waiting, mark[1:]+part)
		}
	}
	return head + "\n  (The script and the commands that ran at once are in it too; left out here.)\n" + strings.Join(waiting, "\n")
}

func (d *demonstration) close(status int) int {
	d.say("")
	d.say("The agent's ssh ended with exit status %d. The demo's gateway, keys and files are gone.", status)
	d.say("For real: shannot-gateway init, then shannot-gateway serve.")
	return status
}

func (d *demonstration) indent(prefix, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		d.say("%s", strings.TrimRight(prefix+line, " "))
	}
}

// lineWriter writes whole lines with a prefix.
type lineWriter struct {
	d      *demonstration
	prefix string
	rest   []byte
}

func (d *demonstration) stream(prefix string) *lineWriter { return &lineWriter{d: d, prefix: prefix} }

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.d.say("%s", strings.TrimRight(w.prefix+string(line), " "))
		w.rest = rest
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.d.say("%s%s", w.prefix, w.rest)
		w.rest = nil
	}
}
