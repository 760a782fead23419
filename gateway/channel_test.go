package gateway

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	gossh "golang.org/x/crypto/ssh"
)

// noted is a channel that notes what is done with it. A write of nothing waits until it is closed.
type noted struct {
	gossh.Channel
	closed chan struct{}

	mu   sync.Mutex
	done []string
}

func (n *noted) note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.done = append(n.done, what)
}

func (n *noted) Write(p []byte) (int, error) {
	n.note("write " + string(p))
	if len(p) == 0 {
		<-n.closed
		return 0, io.EOF
	}
	return len(p), nil
}

func (n *noted) Read([]byte) (int, error) { return 0, io.EOF }
func (n *noted) Stderr() io.ReadWriter    { return n }
func (n *noted) CloseWrite() error        { n.note("eof"); return nil }

func (n *noted) Close() error {
	n.note("close")
	select {
	case <-n.closed:
	default:
		close(n.closed)
	}
	return nil
}

// The library's channel is no place for two at once: nobody writes while it is ended, and it is ended once.
func TestAChannelIsEndedOnceAndNotWhileSomebodyWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet := &noted{closed: make(chan struct{})}
		o := &orderedChannel{Channel: quiet}
		_, _ = o.Write([]byte("a"))
		_, _ = o.Stderr().Write([]byte("b"))
		_, _ = o.Close(), o.Close()
		for _, w := range []io.Writer{o, o.Stderr()} {
			if _, err := w.Write([]byte("c")); !errors.Is(err, io.EOF) {
				t.Errorf("a write after the end: %v", err)
			}
		}
		if want := []string{"write a", "write b", "eof", "close", "close"}; !slices.Equal(quiet.done, want) {
			t.Errorf("%v, want %v", quiet.done, want)
		}
		busy := &noted{closed: make(chan struct{})}
		o = &orderedChannel{Channel: busy}
		go func() { _, _ = o.Stderr().Write(nil) }()
		synctest.Wait()
		_ = o.Close()
		synctest.Wait()
		if want := []string{"write ", "close"}; !slices.Equal(busy.done, want) {
			t.Errorf("while somebody writes: %v, want %v", busy.done, want)
		}
	})
}

// crowd is a channel that notes whether two ever write into one of its streams at once.
type crowd struct {
	gossh.Channel
	stdout, stderr crowdedStream
}

type crowdedStream struct {
	io.Reader
	inside  atomic.Int32
	crowded atomic.Bool
}

// Write implements io.Writer.
func (s *crowdedStream) Write(p []byte) (int, error) {
	if s.inside.Add(1) > 1 {
		s.crowded.Store(true)
	}
	defer s.inside.Add(-1)
	for range 10 {
		runtime.Gosched()
	}
	return len(p), nil
}

func (c *crowd) Write(p []byte) (int, error) { return c.stdout.Write(p) }
func (c *crowd) Stderr() io.ReadWriter       { return &c.stderr }

// The gateway's own notices come from timers too, beside what the work in the channel says. The library's streams have one
// buffer each, for whoever writes.
func TestNoTwoWriteIntoAStreamAtOnce(t *testing.T) {
	c := &crowd{}
	o := &orderedChannel{Channel: c}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				_, _ = o.Write([]byte("out"))
				_, _ = o.Stderr().Write([]byte("err"))
			}
		})
	}
	all.Wait()
	if c.stdout.crowded.Load() || c.stderr.crowded.Load() {
		t.Errorf("two wrote at once: into standard output %v, into standard error %v", c.stdout.crowded.Load(), c.stderr.crowded.Load())
	}
}
