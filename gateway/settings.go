package gateway

import (
	"errors"
	"fmt"
	"sync"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/audit"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/targets"
)

// Settings are what a running gateway can be given anew. Everything else of a configuration holds from start to end.
type Settings struct {
	Config  *config.Config
	Judge   approvals.Judge
	Targets []targets.Target // those that work; the configuration may name more
}

// settings are Settings and all that is made of them, as one value that never changes: a reload puts another one in its
// place. Who begins something takes it once, and stays with it.
type settings struct {
	Settings
	keys   keyring
	runner *runner
	verbs  *command.Verbs
}

// shared is what the runners of all settings have in common.
type shared struct {
	sessions *approvals.Manager // set once, before anything runs
	running  sync.WaitGroup
}

// with makes settings. Nothing of them is in force yet.
func (g *Gateway) with(s Settings) (*settings, error) {
	if len(s.Config.Identities) == 0 {
		return nil, ErrNoIdentities
	}
	runner, err := newRunner(g.options, s, g.shared)
	if err != nil {
		return nil, err
	}
	return &settings{Settings: s, keys: newKeyring(s.Config.Identities), runner: runner, verbs: &command.Verbs{
		Sessions: g.shared.sessions, Judge: s.Judge, Runner: runner, Targets: s.Targets, Config: s.Config, Version: g.options.Version,
		Audit: g.auditState, Engine: runner.ready, Screen: tui.Run, Plain: tui.RunPlain, Now: g.options.Now, Started: g.started,
	}}, nil
}

// rules are what sessions are judged and bounded by.
func (s Settings) rules() approvals.Rules {
	l := s.Config.Limits
	return approvals.Rules{Judge: s.Judge, Limits: approvals.Limits{
		Hold: l.Hold, Expire: l.Expire, Operations: l.Operations, Output: l.Output, Checkpoint: l.Checkpoint,
		Sessions: l.Sessions, SessionsPerIdentity: l.SessionsPerIdentity, Grant: l.Grant,
	}}
}

// Reload puts settings in force: for every command line from now on. Sessions that are alive keep those that they began
// with. A connection whose key, name or role is not in them ends, and who had it decides on nothing any more. It fails, and
// changes nothing, where they are no good or where that cannot be written into the audit log.
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
	g.settings.Store(fresh)
	// A client that comes by the old keys from here on opens no channel: see session. Those who have one are in the table.
	for _, c := range g.connections.closeOthers(func(m *member) bool { return fresh.keys.current(m) != nil }) {
		g.log.Info("connection closed: its key is not in the configuration any more", "identity", c.member.identity.Name,
			"key", c.member.identity.Fingerprint, "address", c.address)
	}
	return nil
}

// current is what is in force, and who a client is in it, nil where that is nobody any more.
func (g *Gateway) current(m *member) (*settings, *member) {
	now := g.settings.Load()
	return now, now.keys.current(m)
}

// known reports whether somebody may still connect as who they are.
func (g *Gateway) known(id approvals.Identity) bool {
	for _, m := range g.settings.Load().keys {
		if m.identity == id {
			return true
		}
	}
	return false
}

// errTakenAway ends what a client begins whose key has left the configuration since they connected.
var errTakenAway = errors.New("your key is not in the configuration any more")
