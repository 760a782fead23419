package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals"
	"shannot-gateway/gateway/config"
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
	var alice approvals.Identity
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
	events := r.gateway.Sessions().Subscribe(t.Context())
	if err := s.Start("exec -- touch /nonexistent/x"); err != nil {
		t.Fatal(err)
	}
	id := ""
	for e := range events {
		if e.Kind == approvals.EventWaiting {
			id = e.Session
			break
		}
	}
	if err := r.gateway.Reload(r.without("alice")); err != nil {
		t.Fatal(err)
	}
	for name, decide := range map[string]func(context.Context) error{
		"approve": func(ctx context.Context) error {
			_, err := r.gateway.Sessions().Approve(ctx, id, alice, nil, "")
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
		if err := decide(t.Context()); !errors.Is(err, approvals.ErrNotPermitted) {
			t.Errorf("%s: %v, want ErrNotPermitted", name, err)
		}
	}
	for _, other := range []approvals.Identity{
		{Name: alice.Name, Role: approvals.Admin, Fingerprint: alice.Fingerprint}, {Name: "bob", Role: alice.Role, Fingerprint: alice.Fingerprint},
		{Name: alice.Name, Role: alice.Role},
	} {
		if r.gateway.known(other) {
			t.Errorf("%+v is known", other)
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
	nobody := r.settings
	nobody.Config = &config.Config{}
	if err := r.gateway.Reload(nobody); !errors.Is(err, ErrNoIdentities) {
		t.Errorf("%v, want ErrNoIdentities", err)
	}
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
