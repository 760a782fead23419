package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
)

// remotes checks what the gateway needs to log in on each remote target, and with connect whether that works. Without
// connect it sends nothing anywhere, and makes no key.
func (c *checkup) remotes(ctx context.Context, conf *config.Config, connect bool) {
	names := slices.Sorted(maps.Keys(conf.Remotes))
	if len(names) == 0 {
		return
	}
	var tried []tried
	if connect {
		tried = tryRemotes(ctx, conf, names)
	}
	for i, name := range names {
		label := "remote " + name
		switch err := checkLogin(conf, conf.Remotes[name]); {
		case err != nil:
			c.fail(label, errors.New(render.Line(err.Error()).String()))
			continue
		case connect && tried[i].err != nil:
			c.fail(label, errors.New(render.Line(tried[i].err.Error()).String()))
			continue
		case connect && tried[i].commands != nil:
			c.warn(label, "%s: %s", tried[i].said, render.Line(tried[i].commands.Error()))
			continue
		case connect && tried[i].printed != "":
			c.warn(label, "%s; %s", tried[i].said, tried[i].prints())
			continue
		case connect:
			c.ok(label, "%s", tried[i].said)
			continue
		}
		r := conf.Remotes[name]
		known, err := hostKeyKnown(conf, name)
		switch {
		case err != nil:
			c.fail(label, errors.New(render.Line(err.Error()).String()))
		case !known:
			c.warn(label, "its host key is not known, so that it is not talked to: shannot-gateway targets trust %s", name)
		case !slices.ContainsFunc(conf.Identities, func(i config.Identity) bool { return i.Role != journal.Approver && slices.Contains(i.Targets, name) }) && !jumpedThrough(conf, name):
			c.warn(label, "no identity may use it: targets = [%q]", name)
		default:
			c.ok(label, "%s@%s port %d, %s; doctor --remotes connects", r.User, r.Host, r.Port, login(r))
		}
	}
}

// checkLogin says why the gateway could not log in with what the configuration gives it, nil where it could.
func checkLogin(conf *config.Config, r config.Remote) error {
	own := func(purpose string) error {
		_, err := hostkeys.ReadPrivate(filepath.Join(conf.State, clientKeyFolder, purpose+"_"+string(hostkeys.Ed25519)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // made at the first start, or by targets add
		}
		return err
	}
	switch {
	case r.Certificate:
		return own("ca")
	case r.Key != "":
		_, err := hostkeys.ReadPrivate(r.Key)
		var locked *ssh.PassphraseMissingError
		if errors.As(err, &locked) {
			return fmt.Errorf("the key %s is protected by a passphrase: load it into an ssh-agent and name its socket with agent", r.Key)
		}
		return err
	case r.Agent != "":
		info, err := os.Stat(r.Agent)
		if err == nil && info.Mode().Type() != fs.ModeSocket {
			err = fmt.Errorf("%s is not the socket of an ssh-agent", r.Agent)
		}
		return err
	}
	return own("client")
}

// hostKeyKnown reports whether there is any key that the target's host may show.
func hostKeyKnown(conf *config.Config, name string) (bool, error) {
	r := conf.Remotes[name]
	known, err := hostkeys.LoadKnown(knownOptions(conf, name, r))
	if err != nil {
		return false, err
	}
	algorithms := known.Algorithms(net.JoinHostPort(r.Host, strconv.Itoa(r.Port)))
	return len(algorithms) > 0 && algorithms[0] != nil, nil
}

// jumpedThrough reports whether a remote is on the way to another one.
func jumpedThrough(conf *config.Config, name string) bool {
	for _, r := range conf.Remotes {
		if slices.Contains(r.Jump, name) {
			return true
		}
	}
	return false
}

// tried is what came of connecting to a target.
type tried struct {
	said     string // by the target, rendered
	err      error
	commands error  // why no command runs, where files can be read
	printed  string // with a command that prints nothing
}

// prints says that a start-up file prints.
func (t tried) prints() string {
	return fmt.Sprintf("a start-up file of its account prints %q, which is then in the output of every command", render.Line(t.printed))
}

// tryRemotes connects to targets, logs in, reads and starts a command that does nothing, all of it as a session would, and
// closes the connections.
func tryRemotes(ctx context.Context, conf *config.Config, names []string) []tried {
	out := make([]tried, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { out[i] = tryRemote(ctx, conf, name) })
	}
	all.Wait()
	return out
}

func tryRemote(ctx context.Context, conf *config.Config, name string) tried {
	target, err := remoteTarget(conf, name, quiet())
	if err != nil {
		return tried{err: err}
	}
	defer func() { _ = target.Close() }()
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	if err := target.Connect(ctx); err != nil {
		return tried{err: err}
	}
	u, a := target.Uname(), target.Account()
	t := tried{said: fmt.Sprintf("%s %s %s %s, ", render.Line(u.Nodename), render.Line(u.Sysname), render.Line(u.Release), render.Line(u.Machine))}
	t.printed, t.commands = target.TryCommand(ctx)
	if t.commands != nil {
		t.said += "files can be read, commands do not run"
	} else {
		t.said += "commands run as " + render.Line(a.Name).String()
		_, what := target.Wall()
		t.said += "; wall around those that run unasked: " + render.Line(what).String()
	}
	return t
}
