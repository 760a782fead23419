// Package sshdtest starts OpenSSH's own server for tests: on loopback, with throwaway keys, for the user that runs the test.
// It knows nothing of the gateway. It must never touch the machine's own server or its keys. Begin with Start.
package sshdtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// Server is a running server.
type Server struct {
	Dir      string // configuration and keys
	Host     string
	Port     int
	User     string // the account to log in as, the test's own
	HostKey  gossh.PublicKey
	Client   string // file with the private key that it takes
	sshd     string
	listener net.Listener

	mu     sync.Mutex
	ended  *sync.Cond // of a connection
	delay  time.Duration
	hung   chan struct{} // closed when it goes on; nil while nothing hangs
	closed bool
	connections
}

// connections are those that the server serves, and how many there were.
type connections struct {
	conns   map[net.Conn]bool
	made    int
	serving int
}

// ErrNone is returned where this machine has no OpenSSH server.
var ErrNone = errors.New("no OpenSSH server on this machine: install openssh-server")

// Start starts a server for a test, or skips the test where there is none on this machine. Lines are added to its
// configuration.
func Start(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	s, err := New(tb.TempDir(), lines...)
	if errors.Is(err, ErrNone) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// New starts a server whose files are in dir. Close it.
func New(dir string, lines ...string) (*Server, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
		if _, err := os.Stat(sshd); err != nil {
			return nil, ErrNone
		}
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNone, err)
		}
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, Host: "127.0.0.1", User: me.Username, sshd: sshd, connections: connections{conns: map[net.Conn]bool{}}}
	s.ended = sync.NewCond(&s.mu)
	s.Client = filepath.Join(dir, "client")
	client, err := makeKey(s.Client)
	if err != nil {
		return nil, err
	}
	if s.HostKey, err = makeKey(filepath.Join(dir, "host")); err != nil {
		return nil, err
	}
	if err := s.write("authorized_keys", string(gossh.MarshalAuthorizedKey(client))); err != nil {
		return nil, err
	}
	if err := s.Configure(lines...); err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.Port = s.listener.Addr().(*net.TCPAddr).Port
	go s.accept(s.listener)
	return s, nil
}

// Rebind listens anew, on another port: in the network namespace of the calling thread, where that is another one.
func (s *Server) Rebind() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_ = s.listener.Close()
	s.listener, s.Port = l, l.Addr().(*net.TCPAddr).Port
	go s.accept(l)
	return nil
}

// Close stops the server, cuts its connections, and waits until nothing writes below its directory any more.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.closed = true
	if s.hung != nil {
		close(s.hung)
		s.hung = nil
	}
	s.mu.Unlock()
	s.Drop()
	gone := make(chan struct{})
	go func() { defer close(gone); s.Ended() }()
	select {
	case <-gone:
	case <-time.After(30 * time.Second): // a server that does not end is no reason for a test not to
	}
}

// Configure writes the configuration anew. It holds for connections from now on.
func (s *Server) Configure(lines ...string) error {
	return s.write("sshd_config", strings.Join(append([]string{
		"HostKey " + filepath.Join(s.Dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(s.Dir, "authorized_keys"),
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
		"PidFile none",
	}, append(lines, "LogLevel ERROR", "Subsystem sftp internal-sftp")...), "\n")+"\n") // of two equal words the first one counts
}

func (s *Server) write(name, text string) error {
	return os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600)
}

// NewHostKey gives the server another host key from now on.
func (s *Server) NewHostKey() (err error) {
	s.HostKey, err = makeKey(filepath.Join(s.Dir, "host"))
	return err
}

// NewKey makes an Ed25519 key, writes it to a file and returns its public half.
func NewKey(tb testing.TB, file string) gossh.PublicKey {
	tb.Helper()
	key, err := makeKey(file)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func makeKey(file string) (gossh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "test")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return gossh.NewPublicKey(public)
}

// Log is what the server has logged so far, of connections that have ended all of it: see Ended.
func (s *Server) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(text)
}

// Ended returns once no connection is left.
func (s *Server) Ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.serving > 0 {
		s.ended.Wait()
	}
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Fingerprint is the host key's.
func (s *Server) Fingerprint() string { return gossh.FingerprintSHA256(s.HostKey) }

// KnownHosts is the server's line for a known_hosts file.
func (s *Server) KnownHosts() string {
	return fmt.Sprintf("[%s]:%d %s", s.Host, s.Port, gossh.MarshalAuthorizedKey(s.HostKey))
}

// SetDelay holds back every byte, in both directions, for so long: half of a round trip.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Hang keeps all connections, and lets no byte more through, as a target does that was stopped.
func (s *Server) Hang() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hung == nil && !s.closed {
		s.hung = make(chan struct{})
	}
}

// hanging is a connection on which Hang works.
type hanging struct {
	net.Conn
	s *Server
}

// Write implements net.Conn.
func (h hanging) Write(p []byte) (int, error) {
	h.s.mu.Lock()
	hung := h.s.hung
	h.s.mu.Unlock()
	if hung != nil {
		<-hung
	}
	return h.Conn.Write(p)
}

// Connections is how many connections were made so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// Drop cuts all connections.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
	clear(s.conns)
}

func (s *Server) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = conn.Close()
			continue
		}
		s.conns[conn] = true
		s.made++
		s.serving++
		delay := s.delay
		s.mu.Unlock()
		go func() {
			s.serve(conn, delay)
			s.mu.Lock()
			s.serving--
			s.mu.Unlock()
			s.ended.Broadcast()
		}()
	}
}

// serve runs a server of its own for a connection, as inetd would.
func (s *Server) serve(outer net.Conn, delay time.Duration) {
	defer func() { _ = outer.Close() }()
	inner, ours, err := pair()
	if err != nil {
		return
	}
	defer func() { _ = ours.Close() }()
	cmd := exec.Command(s.sshd, "-i", "-e", "-f", filepath.Join(s.Dir, "sshd_config")) // #nosec G204 -- a test
	cmd.Stdin, cmd.Stdout = inner, inner
	if log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		cmd.Stderr = log
		defer func() { _ = log.Close() }()
	}
	err = cmd.Start()
	_ = inner.Close()
	if err != nil {
		return
	}
	go func() {
		Delayed(hanging{ours, s}, outer, delay)
		_ = ours.(*net.TCPConn).CloseWrite()
	}()
	Delayed(hanging{outer, s}, ours, delay)
	_ = outer.Close()
	_ = cmd.Wait()
}

// pair is a connected pair of loopback sockets: sshd wants to know an address of its client.
func pair() (*os.File, net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = l.Close() }()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	theirs, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close())
	}
	defer func() { _ = theirs.Close() }()
	f, err := theirs.(*net.TCPConn).File()
	return f, ours, err
}

// Delayed copies until the end of from, each piece so long after it came, with no bound on what is on its way: a long
// line, not a narrow one.
func Delayed(to, from net.Conn, delay time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	line := make(chan piece, 4096)
	go func() {
		defer close(line)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				line <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range line {
		if wait := time.Until(p.due); wait > 0 {
			time.Sleep(wait)
		}
		if _, err := to.Write(p.data); err != nil {
			_ = from.Close()
			for range line {
				continue
			}
			return
		}
	}
}
