package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/gateway/config"
	"shannot-gateway/targets"
)

// without are a gateway's settings with one identity less.
func (r *running) without(name string) Settings {
	s := r.settings
	c := *s.Config
	c.Identities = slices.DeleteFunc(slices.Clone(c.Identities), func(i config.Identity) bool { return i.Name == name })
	s.Config = &c
	return s
}

// An agent whose key is taken away had opened a channel in time, to ask for something later.
func TestAReloadTakesAKeyAwayFromWhoIsConnected(t *testing.T) {
	r := start(t, "")
	c := r.as(r.agent)
	early, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	idle := r.as(r.agent) // has proved its key, and asks for nothing
	other := r.as(r.approver)
	if err := r.gateway.Reload(r.without("claude")); err != nil {
		t.Fatal(err)
	}
	if err := early.Run("whoami"); err == nil {
		t.Error("a channel of before the reload is served")
	}
	_, _ = c.Wait(), idle.Wait() // both end
	if _, err := r.dial(r.agent); err == nil {
		t.Error("the key still logs in")
	}
	if _, _, status := output(t, other, "whoami", ""); status != 0 {
		t.Errorf("somebody else's connection: status %d", status)
	}
	// It is given back.
	if err := r.gateway.Reload(r.settings); err != nil {
		t.Fatal(err)
	}
	if _, _, status := output(t, r.as(r.agent), "whoami", ""); status != 0 {
		t.Errorf("after it was given back: status %d", status)
	}
}

// The table of connections does not know a client before its handshake has ended: what it opens then is looked at with the
// keys of that moment.
func TestAChannelIsOpenedByTheKeysOfItsMoment(t *testing.T) {
	r := start(t, "")
	c := r.as(r.agent)
	r.gateway.connections.mu.Lock() // as if its handshake had just ended
	for held := range r.gateway.connections.all {
		held.member = nil
	}
	r.gateway.connections.mu.Unlock()
	if err := r.gateway.Reload(r.without("claude")); err != nil {
		t.Fatal(err)
	}
	var refused *gossh.OpenChannelError
	if _, err := c.NewSession(); !errors.As(err, &refused) {
		t.Errorf("%v, want a channel that is refused", err)
	}
}

// Who is called what by which key, and in which role: all of it has to be as it was.
func TestNobodyDecidesWhoIsNotInTheConfigurationAnyMore(t *testing.T) {
	r := start(t, "[profile]\nauto_approve = [\"echo\"]\n")
	var alice journal.Identity
	for key, m := range r.gateway.settings.Load().keys {
		if m.key != key {
			t.Fatal("a member does not know its key")
		}
		if m.identity.Name == "alice" {
			alice = m.identity
		}
	}
	agent := r.as(r.agent)
	s, err := agent.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	feed := r.gateway.Sessions().Subscribe(t.Context(), journal.Identity{Name: "claude"})
	if err := s.Start("exec -- touch /nonexistent/x"); err != nil {
		t.Fatal(err)
	}
	id := ""
	for e := range feed {
		if e.Kind == events.Waiting {
			id = e.Session
			break
		}
	}
	if err := r.gateway.Reload(r.without("alice")); err != nil {
		t.Fatal(err)
	}
	for name, decide := range map[string]func(context.Context) error{
		"approve": func(ctx context.Context) error {
			_, err := r.gateway.Sessions().Approve(ctx, id, alice, decision.Approval{Waiting: strings.Repeat("0", 64)})
			return err
		},
		"reject": func(ctx context.Context) error {
			_, err := r.gateway.Sessions().Reject(ctx, id, alice, nil, "no")
			return err
		},
		"rollback": func(ctx context.Context) error {
			_, err := r.gateway.Sessions().Rollback(ctx, id, alice, false, false)
			return err
		},
		"revoke": func(ctx context.Context) error {
			_, err := r.gateway.Sessions().Revoke(ctx, 1, alice)
			return err
		},
	} {
		if err := decide(t.Context()); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("%s: %v, want ErrNotPermitted", name, err)
		}
	}
	for _, other := range []journal.Identity{
		{Name: alice.Name, Role: journal.Admin, Fingerprint: alice.Fingerprint}, {Name: "bob", Role: alice.Role, Fingerprint: alice.Fingerprint},
		{Name: alice.Name, Role: alice.Role},
	} {
		if _, err := r.gateway.Sessions().Reject(t.Context(), id, other, nil, "no"); !errors.Is(err, journal.ErrNotPermitted) {
			t.Errorf("%+v decides: %v", other, err)
		}
	}
	if err := r.gateway.Reload(r.settings); err != nil {
		t.Fatal(err)
	}
	if _, err := r.gateway.Sessions().Reject(t.Context(), id, alice, nil, "no"); err != nil {
		t.Error(err)
	}
	_ = s.Wait()
}

// A configuration that is no good changes nothing.
func TestAReloadThatFailsChangesNothing(t *testing.T) {
	r := start(t, "")
	before := r.gateway.settings.Load()
	bad := r.settings
	c := *bad.Config
	c.Files.Read = []string{"relative"}
	bad.Config = &c
	if err := r.gateway.Reload(bad); err == nil {
		t.Error("a read policy that is none was taken")
	}
	if r.gateway.settings.Load() != before {
		t.Error("the settings are others")
	}
}

// Taking the last key away is taking it away: nobody connects any more until somebody is given one.
func TestAReloadByWhichNobodyConnectsCounts(t *testing.T) {
	r := start(t, "")
	c := r.as(r.approver)
	keyless := r.settings
	conf := *keyless.Config
	conf.Identities = slices.Clone(conf.Identities)
	for i := range conf.Identities {
		conf.Identities[i].Keys = nil
	}
	keyless.Config = &conf
	if err := r.gateway.Reload(keyless); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it ends
	if _, err := r.dial(r.approver); err == nil {
		t.Error("the key still logs in")
	}
	if err := r.gateway.Reload(r.settings); err != nil {
		t.Fatal(err)
	}
	if _, _, status := output(t, r.as(r.approver), "whoami", ""); status != 0 {
		t.Errorf("after it was given back: status %d", status)
	}
}

// Clients come, ask and go while the configuration changes under them: each is served by one or refused, and the last
// word holds.
func TestReloadsWhileClientsAreServed(t *testing.T) {
	r := start(t, "[limits]\nsessions_per_identity = 0\nsessions = 0\n")
	var clients sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := r.dial(r.agent)
				if err != nil {
					continue
				}
				for _, line := range []string{"whoami", "targets", "exec -- echo x"} {
					if s, err := c.NewSession(); err == nil {
						_ = s.Run(line)
					}
				}
				_ = c.Close()
			}
		})
	}
	for i := range 24 {
		settings := r.settings
		if i%2 == 0 {
			settings = r.without("claude")
		}
		if err := r.gateway.Reload(settings); err != nil {
			t.Error(err)
		}
		_, _, _ = output(t, r.as(r.approver), "list", "")
	}
	close(done)
	clients.Wait()
	if err := r.gateway.Reload(r.without("claude")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.dial(r.agent); err == nil {
		t.Error("a key that was taken away logs in")
	}
}

// A command line that was there before the reload, and was long in sending its script, begins its session by what is in
// force when it has.
func TestASessionBeginsByTheSettingsOfItsMoment(t *testing.T) {
	r := start(t, "")
	began := r.gateway.settings.Load()
	var who journal.Identity
	for _, m := range began.keys {
		if m.identity.Name == "claude" {
			who = m.identity
		}
	}
	late := func(change func(*config.Config, *Settings)) (string, error) {
		t.Helper()
		s := r.settings
		c := *s.Config
		s.Config = &c
		change(&c, &s)
		if err := r.gateway.Reload(s); err != nil {
			t.Fatal(err)
		}
		id, _, err := began.runner.Start(t.Context(), approvals.Request{
			Identity: who, Target: began.Targets[0], Engine: config.NativeEngine, Args: []string{"-c", "pass"}, Script: "pass",
		}, nil)
		return id, err
	}
	if id, err := late(func(c *config.Config, _ *Settings) { c.Limits.Wall = 0 }); err != nil || id == "" {
		t.Errorf("with another limit: %v", err)
	}
	for says, change := range map[string]func(*config.Config, *Settings){
		"not in the configuration any more, or not for you": func(c *config.Config, _ *Settings) {
			c.Identities = slices.Clone(c.Identities)
			for i := range c.Identities {
				c.Identities[i].Targets = nil
			}
		},
		"the target local is not":          func(_ *config.Config, s *Settings) { s.Targets = nil },
		"has changed in the configuration": func(_ *config.Config, s *Settings) { s.Targets = []targets.Target{another{s.Targets[0]}} },
		"your key is not":                  func(c *config.Config, s *Settings) { c.Identities = r.without("claude").Config.Identities },
	} {
		if _, err := late(change); !errors.Is(err, journal.ErrNotPermitted) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

// another is a target of the same name.
type another struct{ targets.Target }

// What an SFTP client is shown ends with what it may see, and with nothing else.
func TestAnSFTPClientIsShownNothingOld(t *testing.T) {
	r := start(t, "")
	began := r.gateway.settings.Load()
	agent := func(s *settings) *member {
		for _, m := range s.keys {
			if m.identity.Name == "claude" {
				return m
			}
		}
		t.Fatal("there is no claude")
		return nil
	}
	for name, c := range map[string]struct {
		change func(*config.Config)
		same   bool
	}{
		"nothing":        {func(*config.Config) {}, true},
		"a limit":        {func(c *config.Config) { c.Limits.Sessions = 7 }, true},
		"what is hidden": {func(c *config.Config) { c.Files.Hide = append(slices.Clone(c.Files.Hide), "/etc/hosts") }, false},
		"what is read":   {func(c *config.Config) { c.Files.Read = []string{"/etc"} }, false},
		"its targets": {func(c *config.Config) {
			c.Identities = slices.Clone(c.Identities)
			for i := range c.Identities {
				c.Identities[i].Targets = []string{"other"}
			}
		}, false},
	} {
		s := r.settings
		changed := *s.Config
		s.Config = &changed
		c.change(&changed)
		now, err := r.gateway.with(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameShown(began, now, agent(began), agent(now)); got != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
	shown, stop := r.gateway.whileShown(t.Context(), began, agent(began))
	defer stop()
	if err := r.gateway.Reload(r.without("claude")); err != nil {
		t.Fatal(err)
	}
	<-shown.Done()
}
