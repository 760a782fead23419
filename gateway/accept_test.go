package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/gateway/config"
)

// failing is a listener that gives these errors, one after the other, and a connection after each.
type failing struct {
	net.Listener
	errs []error
	turn bool
}

func (f *failing) Accept() (net.Conn, error) {
	switch f.turn = !f.turn; {
	case len(f.errs) == 0:
		return nil, &net.OpError{Op: "accept", Err: net.ErrClosed}
	case f.turn:
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", f.errs[0])}
	}
	f.errs = f.errs[1:]
	ours, theirs := net.Pipe()
	_ = theirs.Close()
	return ours, nil
}

func TestNoErrorOfAcceptEndsTheServer(t *testing.T) {
	all := []error{
		syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPERM,
		syscall.EPROTO, syscall.ENETDOWN, syscall.EINVAL, syscall.EBADF, errors.New("something else"),
	}
	accepted, shed := 0, 0
	var slept []time.Duration
	var text bytes.Buffer
	err := accepting{
		listener: &failing{errs: all},
		handle:   func(c net.Conn) { accepted++; _ = c.Close() },
		shed:     func() bool { shed++; return true },
		sleep:    func(_ context.Context, d time.Duration) { slept = append(slept, d) },
		log:      &occasionally{to: slog.New(slog.NewTextHandler(&text, nil)), now: func() time.Time { return time.Unix(1, 0) }},
	}.run(t.Context())
	if !errors.Is(err, net.ErrClosed) || accepted != len(all) || shed != len(all) {
		t.Errorf("%v after %d connections and %d that made room; want the end of the listener after %d", err, accepted, shed, len(all))
	}
	for _, d := range slept {
		if d != firstAcceptPause { // each was followed by a connection
			t.Errorf("a pause of %s", d)
		}
	}
	if lines := strings.Count(text.String(), "\n"); lines != 1 {
		t.Errorf("%d lines in the log:\n%s", lines, text.String())
	}
}

// persistent is a listener that fails until it is told to end.
type persistent struct {
	net.Listener
	left int
	stop context.CancelFunc
}

func (p *persistent) Accept() (net.Conn, error) {
	if p.left--; p.left == 0 {
		p.stop()
	}
	return nil, syscall.EMFILE
}

func TestPausesOfAcceptGrowToASecond(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var slept []time.Duration
	now := time.Unix(1, 0)
	var text bytes.Buffer
	err := accepting{
		listener: &persistent{left: 31, stop: stop}, shed: func() bool { return false },
		sleep: func(_ context.Context, d time.Duration) { slept = append(slept, d); now = now.Add(d) },
		log:   &occasionally{to: slog.New(slog.NewTextHandler(&text, nil)), now: func() time.Time { return now }},
	}.run(ctx)
	if !errors.Is(err, syscall.EMFILE) || len(slept) != 30 {
		t.Errorf("%v after %d pauses", err, len(slept))
	}
	if slept[0] != firstAcceptPause || slept[1] != 2*firstAcceptPause || slept[29] != lastAcceptPause {
		t.Errorf("pauses %v", slept)
	}
	if lines := strings.Count(text.String(), "\n"); lines != 3 || !strings.Contains(text.String(), "unsaid=") {
		t.Errorf("%d lines in the log for 23 seconds:\n%s", lines, text.String())
	}
}

const acceptChild = "SHANNOT_TEST_ACCEPT_CHILD"

// A process that has used up its descriptors goes on once it has some, and makes room for itself.
func TestServerOutlivesTheEndOfItsDescriptors(t *testing.T) {
	if os.Getenv(acceptChild) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestServerOutlivesTheEndOfItsDescriptors$", "-test.v")
		c.Env = append(os.Environ(), acceptChild+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r := start(t, "")
	silent := opened(t, r, "127.0.0.1", 200, "")
	eventually(t, "they are there", func() bool { return r.gateway.connections.count().LoggingIn == len(silent) })
	// The clients' descriptors are of this process too: they go, and the server's stay.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	// One descriptor is free, for the client: accept has none.
	free, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	low := syscall.Rlimit{Cur: uint64(free.Fd()) + 1, Max: limit.Max} // #nosec G115 -- a descriptor
	_ = free.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each makes room for itself
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Errorf("a connection without a descriptor for it: %v", err)
		}
		_ = c.Close()
	}
	eventually(t, "one of those that were there has made room", func() bool {
		return r.gateway.connections.count().LoggingIn <= len(silent)
	})
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	r.logsIn("alice", r.approver)
}

func TestConnectionsLeaveDescriptorsToSessions(t *testing.T) {
	c := config.Config{Connections: config.DefaultConnections(), Identities: make([]config.Identity, 2)}
	for _, tt := range []struct {
		files   uint64
		pending int
		warns   bool
	}{{0, 1024, false}, {1024, 256, true}, {4000, 1000, true}, {4095, 1023, false}, {1 << 20, 1024, false}, {1 << 62, 1024, false}} {
		if got := pendingLimit(c.Connections, tt.files); got != tt.pending {
			t.Errorf("of %d files %d are for logins, want %d", tt.files, got, tt.pending)
		}
		if warns := fewDescriptors(&c, tt.files) != ""; warns != tt.warns {
			t.Errorf("with %d files: warns %v", tt.files, warns)
		}
	}
}

func TestWhatNobodyHasReadIsSeen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if unread(c) {
		t.Error("something is there before anything was sent")
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was sent is there", func() bool { return unread(c) })
	if _, err := c.Read(make([]byte, 2)); err != nil || unread(c) {
		t.Errorf("it is still there when it was read: %v", err)
	}
	_ = client.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || unread(c) {
		t.Errorf("an end counts as something: %d, %v", n, err)
	}
	_ = c.Close()
	if unread(c) || unread(struct{ net.Conn }{c}) {
		t.Error("something is there where nothing can be")
	}
}
