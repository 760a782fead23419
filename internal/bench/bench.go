package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
)

// bench is a gateway and a server of OpenSSH's that run beside each other, and a directory for both.
type bench struct {
	rounds         int
	dir            string // private
	shown          string // that scripts may read
	small          string // with smallFiles files, below shown
	binary         string
	server         *exec.Cmd
	other          *exec.Cmd
	gateway        *host // as the agent
	approver, sshd *host
}

func newBench(ctx context.Context, binary string, rounds int) (*bench, error) {
	dir, err := os.MkdirTemp("", "shannot-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{rounds: rounds, dir: dir, binary: binary, shown: filepath.Join(dir, "shown"), small: filepath.Join(dir, "shown", "small")}
	if err := b.prepare(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) error {
	if err := os.MkdirAll(b.small, 0o755); err != nil { // #nosec G301 -- to be read by scripts
		return err
	}
	for i := range smallFiles {
		if err := os.WriteFile(filepath.Join(b.small, strconv.Itoa(i)), []byte("a small file\n"), 0o644); err != nil { // #nosec G306 -- to be read by scripts
			return err
		}
	}
	if b.binary == "" {
		b.binary = filepath.Join(b.dir, "shannot-gateway")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "./cmd/shannot-gateway").CombinedOutput(); err != nil {
			return fmt.Errorf("build the gateway: %w: %s", err, out)
		}
	}
	keys := map[string]string{}
	for _, name := range []string{"agent", "approver", "hostkey"} {
		public, err := writeKey(filepath.Join(b.dir, name))
		if err != nil {
			return err
		}
		keys[name] = public
	}
	config := fmt.Sprintf(`[identities.agent]
role = "agent"
keys = [%q]
[identities.approver]
role = "approver"
keys = [%q]
[local]
run_as = "root"
[files]
read = ["/etc", "/proc", "/sys", "/usr", %q]
scratch = ["/var/tmp"]
[limits]
sessions_per_identity = 64
cpu = "5m"
`, keys["agent"], keys["approver"], b.shown)
	if os.Geteuid() != 0 {
		config = strings.Replace(config, "[local]\nrun_as = \"root\"\n", "", 1)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "gateway.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	address, server, _, err := b.serve(ctx, filepath.Join(b.dir, "state"))
	if err != nil {
		return err
	}
	b.server = server
	b.gateway = &host{b: b, address: address, key: "agent"}
	b.approver = &host{b: b, address: address, key: "approver"}
	return b.startSSHD(ctx, keys["agent"])
}

// serve starts a gateway, and returns how long it took until it listened.
func (b *bench) serve(ctx context.Context, state string) (address string, server *exec.Cmd, took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, b.binary, "serve", "--config", filepath.Join(b.dir, "gateway.toml"), "--state", state, "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, 0, err
	}
	from := time.Now()
	if err := cmd.Start(); err != nil {
		return "", nil, 0, err
	}
	lines := bufio.NewScanner(stderr)
	var said []string
	for lines.Scan() {
		if a, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			took = time.Since(from)
			go func() {
				for lines.Scan() { // nobody reads them, and the gateway must not wait for that
				}
			}()
			return a, cmd, took, nil
		}
		said = append(said, lines.Text())
	}
	return "", nil, 0, fmt.Errorf("the gateway does not start: %w: %s", cmd.Wait(), strings.Join(said, "\n"))
}

// stop ends a server and waits for it.
func stop(cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

func (b *bench) close() {
	stop(b.server)
	stop(b.other)
	_ = os.RemoveAll(b.dir)
}

func (b *bench) startSSHD(ctx context.Context, public string) error {
	path, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		return errors.New("OpenSSH's server is not here: install openssh-server")
	}
	authorized := filepath.Join(b.dir, "authorized")
	if err := os.WriteFile(authorized, []byte(public+"\n"), 0o600); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // #nosec G301 -- where its package makes it
			return err
		}
	}
	b.other = exec.CommandContext(ctx, path, "-D", "-e", "-f", "/dev/null", "-p", port, "-h", filepath.Join(b.dir, "hostkey"), // #nosec G204 -- the server that is measured
		"-o", "ListenAddress=127.0.0.1", "-o", "AuthorizedKeysFile="+authorized, "-o", "StrictModes=no", "-o", "UsePAM=no",
		"-o", "PermitRootLogin=yes", "-o", "PidFile=none", "-o", "MaxStartups=200", "-o", "Subsystem=sftp internal-sftp",
		// What the account's own start-up files do is no part of the comparison: bash reads ~/.bashrc where sshd starts it.
		"-o", "SetEnv=HOME="+b.dir)
	stderr, err := b.other.StderrPipe()
	if err != nil {
		return err
	}
	if err := b.other.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "listening") {
			go func() {
				for lines.Scan() {
				}
			}()
			b.sshd = &host{b: b, address: address, key: "agent"}
			return nil
		}
	}
	return errors.New("OpenSSH's server does not start here")
}

func writeKey(name string) (public string, err error) {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	key, err := gossh.NewPublicKey(pub)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key))), os.WriteFile(name, pem.EncodeToMemory(block), 0o600)
}

// few is the same with fewer rounds, for what takes long.
func (b *bench) few(rounds int) *bench {
	c := *b
	c.rounds = min(b.rounds, rounds)
	return &c
}

// compare times two things in turns.
func (b *bench) compare(one, other func() error) (result, error) {
	timed := func(f func() error) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			from := time.Now()
			err := f()
			return time.Since(from), err
		}
	}
	return b.compareTimes(timed(one), timed(other))
}

// compareTimes is compare for what tells its own time. The first of each is not counted.
func (b *bench) compareTimes(one, other func() (time.Duration, error)) (result, error) {
	var ones, others []time.Duration
	for i := range b.rounds + 1 {
		a, err := one()
		if err != nil {
			return result{}, err
		}
		z, err := other()
		if err != nil {
			return result{}, err
		}
		if i > 0 {
			ones, others = append(ones, a), append(others, z)
		}
	}
	a, z := median(ones), median(others)
	return result{milliseconds(a), milliseconds(z), float64(a) / float64(z)}, nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// pss is the memory of the gateway and all that it has started, in bytes.
func (b *bench) pss() (int64, error) {
	total, todo := int64(0), []int{b.server.Process.Pid}
	for len(todo) > 0 {
		pid := todo[0]
		todo = todo[1:]
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				if err != nil {
					return 0, err
				}
				total += n << 10
			}
		}
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, t := range tasks {
			text, _ := os.ReadFile(t)
			for _, word := range strings.Fields(string(text)) {
				if child, err := strconv.Atoi(word); err == nil {
					todo = append(todo, child)
				}
			}
		}
	}
	return total, nil
}

// parkedSession waits for a human.
func parkedSession(id string) (journal.Session, error) {
	s := journal.Session{ID: id, Identity: "agent", Target: "local", Engine: "native", Args: journal.Strings{"-"}, Script: hello}
	now := time.Now()
	begun := s.Apply(journal.Event{What: journal.Begin, At: now})
	_, added := s.Add(journal.Operation{
		Kind: journal.CommandKind, Summary: "touch x", Verdict: "ask", Risk: "unknown", Created: now,
		Command: &journal.Command{Target: "local", RunAs: "root", Path: "/usr/bin/touch", Argv: journal.Strings{"touch", id}, Dir: "/", Input: "none"},
	}, journal.Event{What: journal.Ask})
	return s, errors.Join(begun, added, s.Apply(journal.Event{What: journal.Park, Deadline: now.Add(24 * time.Hour)}))
}

// restart starts gateways with and without many parked sessions.
func restart(ctx context.Context, b *bench) (result, error) {
	full, empty := filepath.Join(b.dir, "full"), filepath.Join(b.dir, "empty")
	for _, dir := range []string{full, empty} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return result{}, err
		}
		if err := os.Symlink(filepath.Join(b.dir, "state", "runtime"), filepath.Join(dir, "runtime")); err != nil {
			return result{}, err
		}
	}
	s, err := store.Open(filepath.Join(full, "gateway.db"), store.Options{})
	if err != nil {
		return result{}, err
	}
	for i := range parked {
		digits := strconv.FormatInt(int64(i), 10)
		id := "a" + strings.Repeat("0", 7-len(digits)) + digits
		session, failed := parkedSession(id)
		if err = errors.Join(failed, s.Create(session)); err != nil {
			break
		}
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return result{}, err
	}
	start := func(state string) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			_, server, took, err := b.serve(ctx, state)
			stop(server)
			return took, err
		}
	}
	return b.few(3).compareTimes(start(full), start(empty))
}
