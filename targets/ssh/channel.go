package ssh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"shannot-gateway/targets/ssh/sftp"
)

// channel is a view's SFTP channel. It is made when the view first asks, and anew when it broke.
type channel struct {
	target *Target
	ctx    context.Context
	say    func(string)  // tells the agent; nil where nobody listens
	making chan struct{} // holds one: who opens a channel

	mu     sync.Mutex
	relay  *relay
	closed bool
	told   bool
}

func newChannel(ctx context.Context, t *Target, say func(string)) *channel {
	return &channel{target: t, ctx: ctx, say: say, making: make(chan struct{}, 1)}
}

// close lets get fail from now on.
func (c *channel) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

// take takes the channel away, once it is closed; nil where there is none.
func (c *channel) take() *relay {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.relay
	c.relay = nil
	return r
}

// get returns the SFTP channel, a new one where there is none that works. It opens one at a time.
func (c *channel) get() (*relay, error) {
	if r, err := c.standing(); r != nil || err != nil {
		return r, err
	}
	select {
	case c.making <- struct{}{}:
	case <-c.ctx.Done():
		return nil, syscall.EIO
	}
	defer func() { <-c.making }()
	if r, err := c.standing(); r != nil || err != nil { // by somebody else
		return r, err
	}
	fresh, err := c.target.pool.relay(c.ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.target.pool.giveBack(fresh)
		return nil, syscall.EIO
	}
	old := c.relay
	c.relay = fresh
	c.mu.Unlock()
	if old != nil {
		c.target.pool.end(old)
	}
	return fresh, nil
}

// standing is the channel that there is, nil where none works.
func (c *channel) standing() (*relay, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, syscall.EIO
	}
	if c.relay != nil && c.relay.Err() == nil {
		return c.relay, nil
	}
	return nil, nil
}

// maxAsked is how often a view asks a question over connections that break. Each idle channel of the pool may be one that
// broke unnoticed, and then a fresh one must have its chance.
const maxAsked = maxIdleRelays + 2

// ask runs a question, and asks it again where the connection broke under it: a question changes nothing.
func ask[T any](v *View, question func(*relay) (T, error)) (T, error) {
	for try := 1; ; try++ {
		r, err := v.channel.get()
		if err != nil {
			var none T
			return none, v.channel.failure(err)
		}
		answer, err := question(r)
		if err == nil || r.Err() == nil {
			return answer, v.channel.failure(err)
		}
		if try >= maxAsked || errors.Is(err, sftp.ErrTimeout) || errors.Is(err, sftp.ErrProtocol) {
			return answer, v.channel.failure(err)
		}
	}
}

// failure turns what went wrong into the errno that a script sees. Of a failing connection it tells the agent once, in
// words.
func (c *channel) failure(err error) error {
	if err == nil {
		return nil
	}
	var unreachable *UnreachableError
	out := syscall.EIO
	switch {
	case errors.As(err, &unreachable):
		out = syscall.EHOSTUNREACH
	case errors.Is(err, sftp.ErrTimeout):
		out = syscall.ETIMEDOUT
	case errors.Is(err, sftp.ErrProtocol):
		out = syscall.EPROTO
	case errors.Is(err, sftp.ErrEnded):
		out = syscall.ECONNRESET
	default:
		var e syscall.Errno
		if errors.As(err, &e) {
			return e
		}
		if c.ctx.Err() != nil {
			return syscall.EINTR
		}
	}
	c.tell(err)
	return out
}

func (c *channel) tell(err error) {
	c.mu.Lock()
	first := !c.told
	c.told = true
	c.mu.Unlock()
	c.target.log.Warn("read from a target", "target", c.target.Name(), "error", err)
	if first && c.say != nil {
		c.say(fmt.Sprintf("reading from the target %s failed: %v", c.target.Name(), err))
	}
}
