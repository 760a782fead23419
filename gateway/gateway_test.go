package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/config"
)

// output runs one command line and returns what came on stdout, stderr and the exit status.
func output(tb testing.TB, c *gossh.Client, line, stdin string) (stdout, stderr string, status int) {
	tb.Helper()
	s, err := c.NewSession()
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var out, errs bytes.Buffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader(stdin), &out, &errs
	err = s.Run(line)
	var exit *gossh.ExitError
	switch {
	case errors.As(err, &exit):
		status = exit.ExitStatus()
	case err != nil:
		tb.Fatalf("%q: %v", line, err)
	}
	return out.String(), errs.String(), status
}

// shown is the line that approves what waits in a session, which show ends with.
func shown(tb testing.TB, approver *gossh.Client, id string) string {
	tb.Helper()
	out, errs, status := output(tb, approver, "show "+id, "")
	if status != 0 {
		tb.Fatalf("show: %d, %q", status, errs)
	}
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	return lines[len(lines)-1]
}

// impostor offers somebody else's public key and signs with its own.
type impostor struct {
	gossh.Signer
	claims gossh.PublicKey
	asked  *int
}

func (i impostor) PublicKey() gossh.PublicKey { return i.claims }

func (i impostor) Sign(random io.Reader, data []byte) (*gossh.Signature, error) {
	*i.asked++ // the server said that it would accept the key
	return i.Signer.Sign(random, data)
}

// The whole attack, with a client that offers a key and goes on with another, is testdata/script/auth_confusion.txtar
// of the executable: this library's client cannot offer a key without signing. Here: the callback remembers nothing.
func TestAskingAboutAKeyChangesNothing(t *testing.T) {
	agent, agentKey := newSigner(t)
	approver, approverKey := newSigner(t)
	c, err := config.Parse(fmt.Appendf(nil, "[identities.claude]\nrole = \"agent\"\nkeys = [%q]\n[identities.alice]\nrole = \"approver\"\nkeys = [%q]\n",
		strings.TrimSpace(agentKey), strings.TrimSpace(approverKey)), "")
	if err != nil {
		t.Fatal(err)
	}
	ring := newKeyring(c.Identities)
	who := func(key gossh.PublicKey) string {
		p, err := ring.authenticate(nil, key)
		if err != nil {
			t.Fatal(err)
		}
		return memberOf(&gossh.ServerConn{Permissions: p}).identity.Name
	}
	for range 2 {
		if got := who(approver.PublicKey()); got != "alice" {
			t.Errorf("the approver's key belongs to %q", got)
		}
		if got := who(agent.PublicKey()); got != "claude" {
			t.Errorf("the agent's key, asked about after the approver's, belongs to %q", got)
		}
	}
	stranger, _ := newSigner(t)
	if p, err := ring.authenticate(nil, stranger.PublicKey()); err == nil || p != nil {
		t.Errorf("a stranger's key: %v, %v", p, err)
	}
	if m := memberOf(&gossh.ServerConn{}); m != nil {
		t.Errorf("a connection without permissions belongs to %+v", m)
	}
}

func TestPublicKeysAreTheOnlyWayIn(t *testing.T) {
	r := start(t, "")
	stranger, _ := newSigner(t)
	asked := 0
	methods := map[string][]gossh.AuthMethod{
		"nothing":           nil,
		"an unknown key":    {gossh.PublicKeys(stranger)},
		"a false signature": {gossh.PublicKeys(impostor{stranger, r.approver.PublicKey(), &asked})},
		"a password":        {gossh.Password("")},
		"keyboard": {gossh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			return make([]string, len(q)), nil
		})},
	}
	for name, auth := range methods {
		c, err := gossh.Dial("tcp", r.address, &gossh.ClientConfig{User: "shannot", Auth: auth, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
		if err == nil {
			_ = c.Close()
			t.Errorf("%s got in", name)
		}
	}
}

func TestOnlySessionsAndTheirOwnRequestsAreServed(t *testing.T) {
	r := start(t, "")
	c := r.as(r.agent)
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "x11", "auth-agent@openssh.com", "tun@openssh.com", "direct-streamlocal@openssh.com", "no-such-type"} {
		if _, _, err := c.OpenChannel(kind, nil); err == nil {
			t.Errorf("channel type %s was opened", kind)
		}
	}
	for _, kind := range []string{"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "no-such-request"} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("global request %s: %v, %v; want a refusal", kind, ok, err)
		}
	}
	channel, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(requests)
	payloads := map[string][]byte{
		"auth-agent-req@openssh.com": nil,
		"x11-req":                    nil,
		"env":                        gossh.Marshal(struct{ K, V string }{"LD_PRELOAD", "/tmp/x.so"}),
		"subsystem":                  gossh.Marshal(struct{ Name string }{"netconf"}),
		"exec":                       gossh.Marshal(struct{ Command string }{"whoami\x00"}),
		"break":                      nil,
		"no-such-request":            nil,
	}
	for kind, payload := range payloads {
		if ok, err := channel.SendRequest(kind, true, payload); ok || err != nil {
			t.Errorf("request %s: %v, %v; want a refusal", kind, ok, err)
		}
	}
	// Of the environment, only what a terminal says about its colours is taken, and only for the approval screen.
	for kv, want := range map[[2]string]bool{
		{"NO_COLOR", "1"}: true, {"COLORTERM", "truecolor"}: true, {"NO_COLOR", strings.Repeat("x", 33)}: false,
		{"COLORTERM", "true\x1b[2J"}: false, {"TERM", "xterm"}: false, {"LC_ALL", "C"}: false, {"no_color", "1"}: false,
	} {
		if ok, err := channel.SendRequest("env", true, gossh.Marshal(struct{ K, V string }{kv[0], kv[1]})); ok != want || err != nil {
			t.Errorf("env %q: %v, %v; want %v", kv, ok, err, want)
		}
	}
	// None of it was the end of the connection.
	if out, _, _ := output(t, c, "whoami", ""); !strings.Contains(out, "claude") {
		t.Errorf("afterwards whoami says %q", out)
	}
}

func TestChannelsOfAConnectionAreCapped(t *testing.T) {
	r := start(t, "")
	c := r.as(r.agent)
	maxChannels := r.settings.Config.Connections.Channels
	for i := range maxChannels {
		_, requests, err := c.OpenChannel("session", nil)
		if err != nil {
			t.Fatalf("channel %d: %v", i+1, err)
		}
		go gossh.DiscardRequests(requests)
	}
	if _, _, err := c.OpenChannel("session", nil); err == nil {
		t.Errorf("channel %d was opened", maxChannels+1)
	}
}

func TestClientsThatDisappearDoNotBringTheServerDown(t *testing.T) {
	r := start(t, "")
	for range 20 {
		c := r.as(r.agent)
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start("run -c 'import sys; [print(i) for i in range(10**6)]'"); err != nil {
			t.Fatal(err)
		}
		_, _ = out.Read(make([]byte, 10))
		_ = c.Close() // in the middle of the output
		for _, id := range r.open() {
			if _, errs, status := output(t, r.as(r.agent), "cancel "+id, ""); status != 0 && !strings.Contains(errs, id) {
				t.Fatalf("cancel: %d %s", status, errs)
			}
		}
	}
	if out, _, status := output(t, r.as(r.agent), "", "print('still here')"); out != "still here\n" || status != 0 {
		t.Errorf("afterwards: %q, status %d", out, status)
	}
}

// open lists the agent's sessions that have not ended.
func (r *running) open() (ids []string) {
	out, _, _ := output(r.tb, r.as(r.agent), "list", "")
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if f := strings.Fields(line); i > 0 && len(f) > 0 {
			ids = append(ids, f[0])
		}
	}
	return ids
}

func TestServerWithoutAnIdentityDoesNotStart(t *testing.T) {
	if _, err := New(Options{Config: &config.Config{}}); !errors.Is(err, ErrNoIdentities) {
		t.Errorf("%v, want ErrNoIdentities", err)
	}
}
