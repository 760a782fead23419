package ssh

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"shannot-gateway/targets/ssh/sshdtest"
)

// serveAgent serves an ssh-agent's protocol, or whatever else, on a socket.
func serveAgent(t *testing.T, serve func(net.Conn)) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // the name of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return socket
}

// holding is an agent with the key of a server's account.
func holding(t *testing.T, s *sshdtest.Server) func(net.Conn) {
	t.Helper()
	text, err := os.ReadFile(s.Client)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	return func(conn net.Conn) { _ = agent.ServeAgent(ring, conn) }
}

func TestEveryWayToLogInWorks(t *testing.T) {
	s := sshdtest.Start(t)
	text, err := os.ReadFile(s.Client)
	if err != nil {
		t.Fatal(err)
	}
	own, err := gossh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	with := serveAgent(t, holding(t, s))
	without := serveAgent(t, func(conn net.Conn) { _ = agent.ServeAgent(agent.NewKeyring(), conn) })
	home, empty := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		login        Login
		socket, home string
		says         string // where it does not
	}{
		"a file":                          {login: Login{Key: s.Client}},
		"an agent":                        {login: Login{Agent: with}},
		"the gateway's own key":           {login: Login{Own: own}},
		"the usual agent":                 {socket: with},
		"the usual file":                  {home: home},
		"a usual agent that is not there": {socket: filepath.Join(empty, "none"), home: home},
		"nothing":                         {says: "unable to authenticate"},
		"an agent without a key":          {login: Login{Agent: without}, says: "unable to authenticate"},
		"no agent":                        {login: Login{Agent: filepath.Join(empty, "none")}, says: "connect to the ssh-agent: "},
		// One that is named is the only one.
		"another agent than the usual": {login: Login{Agent: without}, socket: with, home: home, says: "unable to authenticate"},
		"no file":                      {login: Login{Key: filepath.Join(empty, "none")}, socket: with, home: home, says: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SSH_AUTH_SOCK", c.socket)
			if c.home == "" {
				c.home = empty
			}
			t.Setenv("HOME", c.home)
			hop := hopTo(s, "prod")
			hop.Login = c.login
			err := newTarget(t, hop).Connect(t.Context())
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v; want %q", err, c.says)
			}
		})
	}
}

func TestALockedKeySaysWhatToDo(t *testing.T) {
	s := sshdtest.Start(t)
	_, private, err := ed25519.GenerateKey(randomReader())
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	hop := hopTo(s, "prod")
	hop.Login = Login{Key: name}
	if err := newTarget(t, hop).Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "load it into an ssh-agent") {
		t.Errorf("%v", err)
	}
}

// An agent that does not answer, or answers nonsense, ends the attempt with its time, not with the agent's.
func TestAnAgentThatDoesNotAnswerIsGivenUp(t *testing.T) {
	s := sshdtest.Start(t)
	for name, serve := range map[string]func(net.Conn){
		"says nothing": func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) },
		"says nonsense": func(conn net.Conn) {
			_, _ = conn.Write([]byte("\x00\x00\x00\x05\x0cnonsense, without an end"))
			_, _ = io.Copy(io.Discard, conn)
		},
		"is endless": func(conn net.Conn) { _, _ = conn.Write([]byte("\xff\xff\xff\xff")); _, _ = io.Copy(io.Discard, conn) },
	} {
		t.Run(name, func(t *testing.T) {
			hop := hopTo(s, "prod")
			hop.Login = Login{Agent: serveAgent(t, serve)}
			target := New(Options{Hops: []Hop{hop}, Timeout: 500 * time.Millisecond})
			t.Cleanup(func() { _ = target.Close() })
			ended := make(chan error, 1)
			go func() { ended <- target.Connect(t.Context()) }()
			select {
			case err := <-ended:
				var unreachable *UnreachableError
				if !errors.As(err, &unreachable) {
					t.Errorf("%v, want that it cannot be reached", err)
				}
			case <-time.After(time.Minute):
				t.Error("it waits for the agent")
			}
		})
	}
}
