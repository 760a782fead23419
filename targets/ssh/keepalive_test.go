package ssh

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/targets/ssh/sshdtest"
)

// quietConn is an SSH connection that answers questions as a test says.
type quietConn struct {
	gossh.Conn
	answer func() error
	asked  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (c *quietConn) SendRequest(name string, wantReply bool, _ []byte) (bool, []byte, error) {
	if name != "keepalive@openssh.com" || !wantReply {
		return false, nil, errors.New("that is no sign of life")
	}
	select {
	case c.asked <- struct{}{}:
	case <-c.closed:
	}
	return false, nil, c.answer()
}

func (c *quietConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func TestAConnectionThatAnswersIsKept(t *testing.T) {
	c := &quietConn{answer: func() error { return nil }, asked: make(chan struct{}), closed: make(chan struct{})}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); KeepAlive(c, time.Millisecond, stop) }()
	for range 4 * maxSilent { // a refusal is an answer
		<-c.asked
	}
	close(stop)
	<-ended
	defer func() { _ = c.Close() }()
	select {
	case <-c.closed:
		t.Error("it was closed")
	default:
	}
}

func TestAConnectionThatDoesNotAnswerIsClosed(t *testing.T) {
	c := &quietConn{asked: make(chan struct{}, 1), closed: make(chan struct{})}
	c.answer = func() error { <-c.closed; return errors.New("it is closed") }
	KeepAlive(c, time.Millisecond, make(chan struct{}))
	<-c.closed
	if n := len(c.asked); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// hole is a connection that swallows everything from a moment on, as one does whose way is gone.
type hole struct {
	net.Conn
	open   *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (h *hole) Write(p []byte) (int, error) {
	if h.open.Load() {
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func (h *hole) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// A connection that nobody uses, and whose other end is gone without a word, is noticed, and the next use makes another.
func TestAConnectionThatDiesUnnoticedIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s := sshdtest.Start(t)
	var swallow atomic.Bool
	made := make(chan *hole, 2)
	target := New(Options{Hops: []Hop{hopTo(s, "prod")}, Keepalive: time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		h := &hole{Conn: conn, open: &swallow, closed: make(chan struct{})}
		made <- h
		return h, nil
	}})
	t.Cleanup(func() { _ = target.Close() })
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := <-made
	swallow.Store(true)
	<-first.closed // by the gateway
	swallow.Store(false)
	if err := target.Connect(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	<-made
}
