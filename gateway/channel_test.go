package gateway

import (
	"errors"
	"io"
	"slices"
	"sync"
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
