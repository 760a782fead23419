//go:build linux && (amd64 || arm64)

package pypy

import (
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/affinity"
)

// The driver and its child take turns, each waiting for the other. Where the child asks many questions one after the other,
// as it does while it imports, both stay on one processor. Nothing is lost by that, since only one of them ever runs;
// but a child that computes must be free to move, and is within denseTime; so must a command that the driver's thread starts.

// A child asks many questions where it asks denseCalls within denseTime.
const (
	denseCalls = 64
	denseTime  = 20 * time.Millisecond
)

// dialogue tells bursts of a child's calls.
type dialogue struct {
	pair  *affinity.Pair
	burst affinity.Burst
}

func (d *dialogue) init(child process) {
	d.pair, d.burst = affinity.New(denseTime, child.WithPID), affinity.Burst{Turns: denseCalls, Within: denseTime}
}

// turn counts a call, and keeps both sides together or sets them free. The driver's thread calls it.
func (d *dialogue) turn(now time.Time) {
	if d.burst.Next(now) {
		d.pair.Pin()
	} else {
		d.pair.Unpin()
	}
}

// turns is a pipe to or from the child that the driver's own thread waits for: to be woken by the runtime's poller takes
// another thread's help. It ends with the child, which has its other end alone.
type turns struct{ pipe *os.File }

// Read implements io.Reader.
func (t turns) Read(p []byte) (int, error) {
	n, err := onPipe(t.pipe, func(fd int) (int, error) { return retry(func() (int, error) { return unix.Read(fd, p) }) })
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (t turns) Write(p []byte) (done int, err error) {
	for done < len(p) && err == nil {
		var n int
		n, err = onPipe(t.pipe, func(fd int) (int, error) { return retry(func() (int, error) { return unix.Write(fd, p[done:]) }) })
		done += n
	}
	return done, err
}
