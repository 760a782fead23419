package gateway

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/targets"
)

// Settings are what a running gateway can be given anew. Everything else of a configuration holds from start to end.
type Settings struct {
	Config  *config.Config
	Judge   gate.Judge
	Targets []targets.Target // those that work; the configuration may name more
}

// settings are Settings and all that is made of them, as one value that never changes. A reload puts another one in its
// place. Whatever begins takes it once, and stays with it.
type settings struct {
	Settings
	keys     keyring
	people   people
	runner   *runner
	verbs    *command.Verbs
	replaced chan struct{} // closed once others are in force
}

// shared is what the runners of all settings have in common.
type shared struct {
	settings atomic.Pointer[settings] // in force
	sessions *approvals.Manager       // set once, before anything runs
	running  sync.WaitGroup
	refusal  atomic.Pointer[command.Refusal] // the last reload, where that was refused
}

// with makes settings. Nothing of them is in force yet.
func (g *Gateway) with(s Settings) (*settings, error) {
	runner, err := newRunner(g.options, s, g.shared)
	if err != nil {
		return nil, err
	}
	return &settings{Settings: s, replaced: make(chan struct{}), keys: newKeyring(s.Config.Identities), people: newPeople(s.Config.Identities), runner: runner, verbs: &command.Verbs{
		Sessions: g.shared.sessions, Runner: runner, Targets: s.Targets, Config: s.Config, Version: g.options.Version,
		Audit: g.auditState, Verified: g.auditVerified, Reload: g.LastReload, Engine: runner.ready, Starts: runner.starts, Now: g.options.Now, Started: g.started,
		Connections: g.connections.count, Answers: &g.answers, Fronts: command.Fronts{Screen: tui.Run, Plain: tui.RunPlain, MCP: g.serveMCP},
	}}, nil
}

// rules are what sessions are judged and bounded by.
func (s Settings) rules() gate.Rules {
	l := s.Config.Limits
	return gate.Rules{Judge: s.Judge, NoRehearsals: s.Config.Rehearsal == config.RehearseNever, Limits: gate.Limits{
		Hold: l.Hold, Expire: l.Expire, Operations: l.Operations, Output: l.Output, Checkpoint: l.Checkpoint,
		Sessions: l.Sessions, SessionsPerIdentity: l.SessionsPerIdentity, Grant: l.Grant, Queue: l.Queue,
	}}
}

// Reload puts settings in force, for every command line from now on. Sessions that are alive keep those that they began
// with. A connection ends whose key, name or role is not in the new ones, and who had it decides on nothing any more.
// What approvers see and decide on shrinks at once, on open screens too.
//
// Reload takes up settings by which nobody can connect as well: they are what is left when the last key is taken away. It
// fails, and changes nothing, where the settings are no good or the audit log cannot be written.
func (g *Gateway) Reload(s Settings) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	fresh, err := g.with(s)
	if err != nil {
		return err
	}
	if log := g.options.Audit; log != nil {
		if err := log.Append(audit.Event{Event: audit.Reload, Config: s.Config.Path, ConfigSHA256: s.Config.SHA256}); err != nil {
			return fmt.Errorf("record it in the audit log: %w", err)
		}
	}
	g.sessions.SetRules(s.rules())
	g.connections.reload(s.Config)
	close(g.settings.Swap(fresh).replaced)
	g.refusal.Store(nil)
	g.sessions.Rescoped()
	// A client that comes by the old keys from here on opens no channel: see session. Those who have one are in the table.
	for _, c := range g.connections.closeOthers(func(m *member) bool { return fresh.keys.current(m) != nil }) {
		g.log.Info("connection closed: its key is not in the configuration any more", "identity", c.member.identity.Name,
			"key", c.member.identity.Fingerprint, "address", c.host)
	}
	return nil
}

// current is what is in force, and who a client is in it, nil where that is nobody any more.
func (g *Gateway) current(m *member) (*settings, *member) {
	now := g.settings.Load()
	return now, now.keys.current(m)
}

// latest is the runner for a session that a client asked for by older settings: it may have been long in sending its
// script. The settings in force have to name who asks, and the target as it was.
func (r *runner) latest(who journal.Identity, target string) (*runner, error) {
	now := r.settings.Load()
	if now.runner == r {
		return r, nil
	}
	m := now.keys.of(who)
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: %w", journal.ErrNotPermitted, errTakenAway)
	case !slices.Contains(m.targets, target) || now.runner.target(target) == nil:
		return nil, fmt.Errorf("%w: the target %s is not in the configuration any more, or not for you", journal.ErrNotPermitted, target)
	case now.runner.target(target) != r.target(target):
		return nil, fmt.Errorf("%w: the target %s has changed in the configuration: ask again", journal.ErrNotPermitted, target)
	}
	return now.runner, nil
}

// whileShown returns a context that ends once a member is shown other files than by some settings.
func (g *Gateway) whileShown(ctx context.Context, set *settings, m *member) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for {
			select {
			case <-set.replaced:
			case <-ctx.Done():
				return
			}
			now, who := g.current(m)
			if who == nil || !sameShown(set, now, m, who) {
				return
			}
			set, m = now, who
		}
	}()
	return ctx, cancel
}

// sameShown reports whether a member is shown the same by two settings, by each as who they are there.
func sameShown(a, b *settings, inA, inB *member) bool {
	files := func(s *settings, name string) config.Files {
		if r, ok := s.Config.Remotes[name]; ok {
			return r.Files
		}
		return s.Config.Files
	}
	return slices.Equal(inA.targets, inB.targets) && !slices.ContainsFunc(inA.targets, func(name string) bool {
		return a.runner.target(name) != b.runner.target(name) || !reflect.DeepEqual(files(a, name), files(b, name))
	})
}

// ReloadRefused notes that a configuration was not taken up, for status and the audit log. So nobody takes it for the one
// in force.
func (g *Gateway) ReloadRefused(file string, why error) {
	g.refusal.Store(&command.Refusal{At: g.options.Now(), Why: why.Error()})
	if log := g.options.Audit; log != nil {
		if err := log.Append(audit.Event{Event: audit.ReloadRefused, Config: file, Reason: why.Error()}); err != nil {
			g.log.Error("record in the audit log that the configuration was not reloaded", "error", err)
		}
	}
}

// LastReload is why the configuration in force is not the newest one, nil where it is.
func (g *Gateway) LastReload() *command.Refusal { return g.refusal.Load() }

// standing says who somebody is by the settings in force.
func (g *Gateway) standing(name, fingerprint string) (scope.Standing, bool) {
	return g.settings.Load().people.standing(name, fingerprint)
}

// errTakenAway ends what a client begins whose key has left the configuration since they connected.
var errTakenAway = errors.New("your key is not in the configuration any more")
