package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/local"
	"shannot-gateway/targets/ssh"
)

// The state directory's contents that are named here; the rest is named by who keeps it.
const (
	databaseFile  = "gateway.db"
	hostKeyFolder = "hostkeys"
	runtimeFolder = "runtime"
)

// noIdentity tells how to add the first identities.
const noIdentity = `Add at least an agent and an approver to the configuration, each with the content of a .pub file:

    [identities.claude]
    role = "agent"
    keys = ["ssh-ed25519 AAAA... claude"]

    [identities.alice]
    role = "approver"
    keys = ["ssh-ed25519 AAAA... alice"]

A new key is made by: ssh-keygen -t ed25519 -f FILE. To begin with a commented file: shannot-gateway init
`

// serveCommand is `serve [--config FILE] [--listen ADDR] [--state DIR]`.
func (p *program) serveCommand() *cobra.Command {
	var where place
	listen := ""
	cmd := &cobra.Command{
		Use:   "serve [--config FILE] [--listen ADDRESS] [--state DIR]",
		Short: "run the server",
		Long: `Runs the server in the foreground. It prints "listening on ADDRESS" on stderr once it accepts connections. SIGHUP makes it ` +
			`take up its configuration, SIGTERM lets what runs come to its end.`,
		Example: `shannot-gateway serve
shannot-gateway serve --config config.toml --listen 0.0.0.0:2222`,
	}
	where.flags(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "listen on `ADDRESS`, HOST:PORT, instead of the configuration's")
	return p.does(cmd, func(ctx context.Context, _ []string) int { return p.serve(ctx, where, listen) })
}

func (p *program) serve(ctx context.Context, where place, listen string) int {
	// From the beginning: with its default action the signal would end the process.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	load := func() (*config.Config, error) { return loadConfig(where.config, listen, where.state) }
	c, err := load()
	if err != nil {
		return p.fail(err)
	}
	if c.NobodyConnects() {
		for _, w := range c.Warnings {
			_, _ = fmt.Fprintf(p.stderr, "warning: %s\n", w)
		}
		if c.Path == "" {
			if name, err := defaultConfig(); err == nil {
				_, _ = fmt.Fprintf(p.stderr, "there is no configuration: %s does not exist, and --config names no other\n", name)
			}
		}
		_ = p.fail(gateway.ErrNoIdentities)
		_, _ = fmt.Fprintf(p.stderr, "\n%s", noIdentity)
		return exitFailure
	}
	log := newLog(p.stderr)
	if _, warning := local.Account(c.RunAs); warning != "" {
		log.Warn(warning)
	}
	if !c.Audit.Enabled {
		log.Warn("there is no audit log: [audit] enabled = false")
	}
	if err := checkModes(c, log); err != nil {
		return p.fail(err)
	}
	g, err := assemble(ctx, c, filepath.Join(c.State, runtimeFolder), log)
	if err != nil {
		return p.fail(err)
	}
	defer g.close()
	g.warnings(c)
	if n, err := jail.Sweep(time.Now()); n > 0 || err != nil {
		log.Info("removed temporary directories of commands, which a gateway that was killed has left", "number", n, "error", err)
	}
	asked, err := listenControl(c.State, func(word string) controlAnswer { return g.answer(word, load) })
	if err != nil {
		log.Warn("there is no control socket, so that shannot-gateway reload and doctor do not reach this gateway; SIGHUP does", "error", err)
	} else {
		defer func() { _ = asked.close() }()
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return p.fail(fmt.Errorf("listen: %w", err))
	}
	for _, key := range g.keys {
		_, _ = fmt.Fprintf(p.stderr, "host key %s %s\n", key.Type, key.Fingerprint())
	}
	_, _ = fmt.Fprintf(p.stderr, "listening on %s\n", l.Addr())
	go func() {
		for range hangup { // for as long as the process lives: nobody sends once it is stopped
			g.reload(load)
		}
	}()
	if err := g.Serve(ctx, l); err != nil {
		return p.fail(err)
	}
	return exitOK
}

// checkModes refuses a state directory that somebody else can change, or warns of what it would refuse.
func checkModes(c *config.Config, log *slog.Logger) error {
	err := c.CheckState()
	if c.StrictModes {
		return err
	}
	log.Warn("strict_modes = false: nobody looks who else can change the configuration, the files of keys and the state directory")
	if c.Path != "" {
		err = errors.Join(config.CheckModes(c.Path), err)
	}
	if err != nil {
		log.Warn("strict_modes would refuse this", "error", err)
	}
	return nil
}

// defaultConfig is the file that init writes where it is not told a directory.
func defaultConfig() (string, error) {
	if os.Geteuid() == 0 {
		return "/etc/shannot-gateway/config.toml", nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find your configuration directory: %w; name a file with --config", err)
	}
	return filepath.Join(dir, "shannot-gateway", "config.toml"), nil
}

// loadConfig reads a configuration, the default one where none is named and it is there, and applies the flags.
func loadConfig(file, listen, state string) (*config.Config, error) {
	if file == "" {
		name, err := defaultConfig()
		if err == nil {
			if _, err := os.Stat(name); err == nil {
				file = name
			}
		}
	}
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	if listen != "" {
		if _, _, err := net.SplitHostPort(listen); err != nil {
			return nil, fmt.Errorf("--listen %q: %w; write HOST:PORT", listen, err)
		}
		c.Listen = listen
	}
	if state != "" {
		if err := c.SetState(state); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// assembled is a gateway with what has to be closed after it.
type assembled struct {
	*gateway.Gateway
	keys   []hostkeys.Key
	closes []func() error
	log    *slog.Logger
	host   targets.Target // the gateway's own

	reloading sync.Mutex
	// What is in force.
	config  *config.Config
	remotes map[string]*ssh.Target
	over    bool // the gateway is ending
}

func (a *assembled) close() {
	for i := len(a.closes) - 1; i >= 0; i-- {
		_ = a.closes[i]()
	}
}

// assemble builds a gateway out of its rooms. It fails where anything that a session will need does not work.
func assemble(ctx context.Context, c *config.Config, runtime string, log *slog.Logger) (*assembled, error) {
	a := &assembled{log: log, config: c}
	err := a.build(ctx, c, runtime, log)
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *assembled) build(ctx context.Context, c *config.Config, runtime string, log *slog.Logger) error {
	judge, err := gateway.NewJudge(c)
	if err != nil {
		return err
	}
	account, _ := local.Account(c.RunAs)
	host, err := local.New(local.Options{RunAs: account, Jail: c.Jail})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w; name another with --state", err)
	}
	if a.keys, err = hostkeys.Load(filepath.Join(c.State, hostKeyFolder), c.HostKeys, rand.Reader); err != nil {
		return err
	}
	if err := journalIsThere(c); err != nil {
		return err
	}
	a.host = host
	if a.remotes, err = remoteTargets(c, log, nil, nil); err != nil {
		return err
	}
	a.closes = append(a.closes, a.closeRemotes)
	kept := store.Options{
		Keep: c.Retention.Sessions, KeepEach: c.Retention.SessionsPerIdentity, BytesEach: c.Retention.BytesPerIdentity, Age: c.Retention.Age, Log: log,
	}
	var record *audit.Log
	if c.Audit.Enabled {
		if record, err = a.openAudit(c, log); err != nil {
			return err
		}
		kept.Auditor = record
	}
	journal, err := store.Open(filepath.Join(c.State, databaseFile), kept)
	if err != nil {
		return err
	}
	a.closes = append(a.closes, journal.Close)
	engine := native.New(native.Options{Runtime: runtime, Warm: c.Native.Warm, Shell: ownShell(c), Log: log})
	a.closes = append(a.closes, engine.Close)
	if err := engine.Check(ctx); err != nil {
		return errors.Join(fmt.Errorf("the sandbox does not work on this machine: %w", err),
			errors.New("run shannot-gateway doctor to see what is missing"))
	}
	other := pypyEngine(c, runtime, log)
	a.closes = append(a.closes, other.Close)
	if c.Engine == other.Name() {
		if err := other.Check(ctx); err != nil {
			return fmt.Errorf("engine = %q does not work on this machine: %w", c.Engine, err)
		}
	}
	engines := []sandbox.Engine{other}
	if c.Shell.Enabled {
		sh := shell.New(engine)
		if err := sh.Check(ctx); err != nil {
			return fmt.Errorf("[engines.shell] enabled = true: the sandboxed shell does not work on this machine: %w", err)
		}
		engines = append(engines, sh)
	}
	a.Gateway, err = gateway.New(gateway.Options{
		Config: c, HostKeys: a.keys, Store: journal, Over: journal.Over, Blobs: journal, Grants: journal, Audit: record, Judge: judge, Engine: engine,
		Engines: engines, Targets: a.targets(a.remotes),
		Version: version(), Log: log,
	})
	return err
}

// shellExecutable is the program that becomes the shell of a sandbox: this one.
var shellExecutable = "/proc/self/exe"

// ownShell makes this program the sandbox's shell, where the configuration wants one.
func ownShell(c *config.Config) native.Shell {
	if !c.Shell.Enabled {
		return native.Shell{}
	}
	return native.Shell{Executable: shellExecutable, Takes: shell.Takes}
}

// targets are the gateway's own host and the remotes, by name.
func (a *assembled) targets(remotes map[string]*ssh.Target) []targets.Target {
	all := []targets.Target{a.host}
	for _, name := range slices.Sorted(maps.Keys(remotes)) {
		all = append(all, remotes[name])
	}
	return all
}

// openAudit opens the audit log and records this start. It is closed after everything that writes to it.
func (a *assembled) openAudit(c *config.Config, log *slog.Logger) (*audit.Log, error) {
	l, keys, err := openLog(c, a.keys[0], log)
	if err != nil {
		return nil, err
	}
	a.closes = append(a.closes, func() error {
		l.Later(audit.Event{Event: audit.Stop})
		return l.Close()
	})
	err = l.Append(audit.Event{Event: audit.Start, Version: version(), Config: c.Path, ConfigSHA256: c.SHA256, Key: a.keys[0].Fingerprint()})
	if err == nil {
		l.Watch(audit.Check{Keys: keys})
	}
	return l, err
}
