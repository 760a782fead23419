package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/pypy"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/local"
)

// checkup prints findings, one a line, and remembers whether serve could do its work.
type checkup struct {
	p      *program
	failed bool
}

func (c *checkup) report(mark, name, detail string) {
	_, _ = fmt.Fprintf(c.p.stdout, "%-4s %s: %s\n", mark, name, detail)
}

func (c *checkup) ok(name, format string, args ...any) {
	c.report("ok", name, fmt.Sprintf(format, args...))
}

func (c *checkup) warn(name, format string, args ...any) {
	c.report("warn", name, fmt.Sprintf(format, args...))
}

func (c *checkup) fail(name string, err error) {
	c.failed = true
	c.report("FAIL", name, err.Error())
}

// doctorCommand is `doctor [--config FILE] [--state DIR] [--remotes]`.
func (p *program) doctorCommand() *cobra.Command {
	var where place
	connect := false
	cmd := &cobra.Command{
		Use:   "doctor [--config FILE] [--state DIR] [--remotes]",
		Short: "say what works on this machine",
		Long: `Says line by line what works on this machine: the kernel, the sandbox, the configuration and its identities, the state ` +
			`directory, the journal and the audit log. The exit status is 1 where serve could not do its work.`,
		Example: `shannot-gateway doctor
shannot-gateway doctor --config config.toml --remotes`,
	}
	where.flags(cmd)
	cmd.Flags().BoolVar(&connect, "remotes", false, "connect to the remote targets, too")
	return p.does(cmd, func(ctx context.Context, _ []string) int { return p.doctor(ctx, where, connect) })
}

func (p *program) doctor(ctx context.Context, where place, connect bool) int {
	check := &checkup{p: p}
	c, err := loadConfig(where.config, "", where.state)
	if err != nil {
		check.fail("configuration", err)
		if where.state == "" {
			where.state = stateOf(where.config)
		}
		if c, err = config.Load(""); err == nil {
			err = c.SetState(where.state)
		}
		if err != nil {
			return p.fail(err)
		}
		check.running(ctx, c) // by the configuration before
		return exitFailure    // what else is to be looked at, the file would say
	} else if c.Path == "" {
		check.warn("configuration", "none; shannot-gateway init writes one")
	} else {
		check.ok("configuration", "%s", c.Path)
	}
	check.kernel(ctx)
	check.state(c)
	check.modes(c)
	check.running(ctx, c)
	check.journal(c)
	check.audit(c)
	check.interpreter(ctx, c)
	check.pypy(ctx, c)
	check.people(c)
	check.commands(c)
	check.remotes(ctx, c, connect)
	check.address(c)
	if check.failed {
		return exitFailure
	}
	return exitOK
}

func (c *checkup) kernel(ctx context.Context) {
	for _, f := range native.Probe(ctx) {
		switch {
		case f.OK:
			c.ok(f.Name, "%s", f.Detail)
		case f.Required:
			c.fail(f.Name, errors.New(f.Detail))
		default:
			c.warn(f.Name, "%s", f.Detail)
		}
	}
}

// state checks that the state directory can be written, or made.
func (c *checkup) state(conf *config.Config) {
	info, err := os.Stat(conf.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(conf.State)
		for {
			if _, err := os.Stat(parent); err == nil || parent == "/" {
				break
			}
			parent = filepath.Dir(parent)
		}
		if err := unix.Access(parent, unix.W_OK); err != nil {
			c.fail("state directory", fmt.Errorf("%s does not exist and cannot be made in %s: %w", conf.State, parent, err))
			return
		}
		c.ok("state directory", "%s will be made", conf.State)
	case err != nil:
		c.fail("state directory", err)
	case !info.IsDir():
		c.fail("state directory", fmt.Errorf("%s is not a directory", conf.State))
	default:
		f, err := os.CreateTemp(conf.State, ".doctor-*")
		if err != nil {
			c.fail("state directory", err)
			return
		}
		_ = f.Close()
		_ = os.Remove(f.Name())
		c.ok("state directory", "%s can be written", conf.State)
	}
}

// modes says whether somebody else can change what the gateway goes by.
func (c *checkup) modes(conf *config.Config) {
	switch err := conf.CheckState(); {
	case !conf.StrictModes:
		c.warn("modes", "strict_modes = false: nobody looks who else can change the gateway's files")
	case err != nil:
		c.fail("modes", err)
	default:
		c.ok("modes", "nobody else can change the configuration and the state directory")
	}
}

// running asks a gateway that runs with the state directory what it goes by.
func (c *checkup) running(ctx context.Context, conf *config.Config) {
	a, err := askGateway(ctx, conf.State, controlState)
	switch {
	case errors.Is(err, errNoGateway):
		c.ok("gateway", "none runs with this state directory")
	case err != nil:
		c.warn("gateway", "one may run, and cannot be asked: %s", render.Line(err.Error()))
	case a.Refused != "":
		c.warn("gateway", "it runs, and at %s it did NOT take up its configuration, the one before stays in force: %s", a.RefusedAt, render.Line(a.Refused))
	case conf.Path == a.File && conf.SHA256 != a.SHA256:
		c.warn("gateway", "it runs by an earlier configuration; %s has changed since: shannot-gateway reload", conf.Path)
	default:
		c.ok("gateway", "it runs by %s (sha256 %s)", render.Line(a.File), a.SHA256)
	}
}

// journal looks at the pages of the database that is there.
func (c *checkup) journal(conf *config.Config) {
	err := journalIsThere(conf)
	if err == nil {
		err = store.CheckPages(filepath.Join(conf.State, databaseFile))
	}
	switch {
	case errors.Is(err, store.ErrInUse):
		c.ok("journal", "a gateway that runs has it open")
	case errors.Is(err, fs.ErrNotExist):
		c.ok("journal", "it will be made")
	case err != nil:
		c.fail("journal", err)
	default:
		c.ok("journal", "its pages are whole (shannot-gateway store check looks at its records, too)")
	}
}

// audit verifies the log that is there.
func (c *checkup) audit(conf *config.Config) {
	if !conf.Audit.Enabled {
		c.warn("audit log", "off: [audit] enabled = false")
		return
	}
	v, err := verifyLog(conf, nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.ok("audit log", "%s will be made", conf.AuditDir())
	case err != nil:
		c.fail("audit log", err)
	case len(v.Findings) > 0:
		c.warn("audit log", "it is not as it was written: %s (shannot-gateway audit verify)", render.Line(v.Findings[0]))
	default:
		c.ok("audit log", "%d lines in %s", v.Lines, conf.AuditDir())
	}
}

// interpreter runs a line of Python in the sandbox, where the interpreter is installed, or else in the user's cache.
func (c *checkup) interpreter(ctx context.Context, conf *config.Config) {
	if c.failed {
		c.warn("trial run", "left out: something before it failed")
		return
	}
	dir := filepath.Join(conf.State, runtimeFolder)
	if _, err := os.Stat(conf.State); err != nil {
		if dir, err = cacheRuntime(); err != nil { // a service has no home directory
			if dir, err = os.MkdirTemp("", "shannot-doctor-"); err != nil {
				c.fail("trial run", err)
				return
			}
			defer func() { _ = os.RemoveAll(dir) }()
		}
	}
	engine := native.New(native.Options{Runtime: dir, Shell: ownShell(conf)})
	defer func() { _ = engine.Close() }()
	if err := engine.Check(ctx); err != nil {
		c.fail("trial run", err)
		return
	}
	c.ok("trial run", "Python runs in the sandbox (%s)", dir)
	if !conf.Shell.Enabled {
		c.ok("shell", "off: a line is judged as a whole, and what is approved runs in the target's shell ([engines.shell] enabled)")
	} else if err := shell.New(engine).Check(ctx); err != nil {
		c.fail("shell", err)
	} else {
		c.ok("shell", "on: shell text runs in the sandbox, each command is judged by its real words")
	}
}

// pypy says what the other engine would run. It is required where the configuration chooses it.
func (c *checkup) pypy(ctx context.Context, conf *config.Config) {
	engine := pypyEngine(conf, filepath.Join(conf.State, runtimeFolder), slog.New(slog.DiscardHandler))
	defer func() { _ = engine.Close() }()
	if conf.Engine == config.PyPyEngine {
		if err := engine.Check(ctx); err != nil {
			c.fail("pypy engine", err)
			return
		}
	} else if err := engine.Ready(ctx); errors.Is(err, pypy.ErrMissing) {
		c.ok("pypy engine", "not used; shannot-gateway runtime install pypy installs it")
		return
	}
	for _, f := range engine.Probe(ctx) {
		if f.OK {
			c.ok(f.Name, "%s", f.Detail)
		} else {
			c.warn(f.Name, "%s", f.Detail)
		}
	}
}

func (c *checkup) people(conf *config.Config) {
	agents, deciders := 0, 0
	for _, w := range conf.Warnings {
		c.warn("identities", "%s", w)
	}
	for _, id := range conf.Identities {
		if len(id.Keys) == 0 {
			continue
		}
		if id.Role == journal.Agent {
			agents++
		}
		if id.Role == journal.Approver || id.Role == journal.Admin {
			deciders++
		}
	}
	switch {
	case agents+deciders == 0:
		c.fail("identities", errors.New("none, so serve does not start; add keys to the configuration"))
	case deciders == 0:
		c.warn("identities", "no approver: what is asked is never answered")
	case agents == 0:
		c.warn("identities", "no agent: nobody but an admin can run anything")
	default:
		c.ok("identities", "%d of agents, %d who decide", agents, deciders)
	}
	if _, err := policy.New(conf.Profile); err != nil {
		c.fail("profile", err)
	} else {
		c.ok("profile", "%d commands run unasked, %d never run", len(conf.Profile.AutoApprove), len(conf.Profile.AlwaysDeny))
	}
}

func (c *checkup) commands(conf *config.Config) {
	account, warning := local.Account(conf.RunAs)
	host, err := local.New(local.Options{RunAs: account, Jail: conf.Jail})
	switch {
	case err != nil:
		c.fail("account", err)
	case warning != "":
		c.warn("account", "%s", warning)
	default:
		c.ok("account", "commands run and files are read as %s", host.Account().Name)
	}
	switch {
	case err != nil:
	case host.Jail() != nil:
		c.warn("jail", "commands that run unasked are held back by the policy alone: %s", host.Jail())
	default:
		c.ok("jail", "commands that run unasked: %s", jail.Detail())
		c.writers(conf)
	}
}

// writers names programs that the configuration lets run unasked and that the jail breaks.
func (c *checkup) writers(conf *config.Config) {
	j, err := policy.New(conf.Profile)
	if err != nil {
		return // reported with the profile
	}
	if names := j.Writers(); len(names) > 0 {
		c.warn("auto_approve", "held read-only, so that they fail where they write: %s; take them out, so that they ask", strings.Join(names, ", "))
	}
}

func (c *checkup) address(conf *config.Config) {
	l, err := net.Listen("tcp", conf.Listen)
	if err != nil {
		c.warn("address", "%s; a gateway may be running there", err)
		return
	}
	_ = l.Close()
	c.ok("address", "%s is free", conf.Listen)
}
