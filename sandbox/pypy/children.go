//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"errors"
	"shannot-gateway/sandbox/internal/posix"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func (w *childCalls) waitpid(a []uint64) (int64, error) {
	pid, options := posix.WaitTarget(i32(a[0])), i32(a[2])
	if options&^(unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED) != 0 {
		return 0, unix.EINVAL
	}
	for {
		changed := w.children.Changed()
		c, any := w.children.Waitable(pid)
		switch {
		case !any:
			return 0, unix.ECHILD
		case c != nil:
			if a[1] != 0 {
				if err := w.wire.store(a[1], le32(c.Status())); err != nil {
					return 0, err
				}
			}
			w.children.Remove(c)
			return int64(c.PID), nil
		case options&unix.WNOHANG != 0:
			return 0, nil
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			return 0, context.Cause(w.ctx)
		}
	}
}

func (w *childCalls) kill(a []uint64) (int64, error) { return w.signal(int(i32(a[0])), i32(a[1])) }

func (w *childCalls) killpg(a []uint64) (int64, error) {
	if pid := int(i32(a[0])); w.children.Get(pid) != nil {
		return w.signal(pid, i32(a[1]))
	}
	return 0, unix.ESRCH
}

// signal sends a signal to a command, or ends the script as its own would.
func (w *childCalls) signal(pid int, sig int32) (int64, error) {
	if !posix.ValidSignal(sig) {
		return 0, unix.EINVAL
	}
	if pid == w.child.PID() || pid == 0 {
		return w.signalSelf(syscall.Signal(sig))
	}
	c := w.children.Get(pid)
	switch {
	case c == nil && pid < 0:
		return 0, unix.EPERM
	case c == nil:
		return 0, unix.ESRCH
	}
	return 0, c.Signal(sig)
}

// ignored are the signals whose default is to do nothing; this interpreter has no handlers of its own.
var ignored = map[syscall.Signal]bool{0: true, unix.SIGCHLD: true, unix.SIGURG: true, unix.SIGWINCH: true, unix.SIGCONT: true}

func (w *childCalls) signalSelf(sig syscall.Signal) (int64, error) {
	if ignored[sig] {
		return 0, nil
	}
	w.end.asked, w.end.code = true, 128+int(sig)
	return 0, errEnd
}

// selectCall answers select(2). Without descriptors it is how the interpreter sleeps.
func (c *pollCalls) selectCall(a []uint64) (int64, error) {
	n := i32(a[0])
	if n < 0 || n > 1024 {
		return 0, unix.EINVAL
	}
	wait := time.Duration(-1)
	if a[4] != 0 {
		var p [16]byte
		if err := c.wire.fetch(a[4], p[:]); err != nil {
			return 0, err
		}
		seconds, micros := word(p[:], 0), word(p[:], 8)
		if seconds < 0 || micros < 0 || micros >= 1e6 {
			return 0, unix.EINVAL
		}
		const most = 1 << 31 // seconds, longer than any session
		wait = time.Duration(min(seconds, most))*time.Second + time.Duration(micros)*time.Microsecond
	}
	reads, err := c.readSet(a[1], n)
	if err != nil {
		return 0, err
	}
	writes, err := c.readSet(a[2], n)
	if err != nil {
		return 0, err
	}
	canRead, canWrite, err := c.poll(reads, writes, wait)
	if err != nil {
		return 0, err
	}
	for i, set := range [3][]int32{canRead, canWrite, nil} {
		if address := a[1+i]; address != 0 {
			if err := c.wire.store(address, encodeSet(set, n)); err != nil {
				return 0, err
			}
		}
	}
	return int64(len(canRead) + len(canWrite)), nil
}

// setSize is how many bytes of a fd_set hold n descriptors: whole words.
func setSize(n int32) int { return int(n+63) / 64 * 8 }

func (c *pollCalls) readSet(address uint64, n int32) ([]int32, error) {
	if address == 0 {
		return nil, nil
	}
	p := make([]byte, setSize(n))
	if err := c.wire.fetch(address, p); err != nil {
		return nil, err
	}
	var out []int32
	for fd := range n {
		if p[fd/8]&(1<<(fd%8)) != 0 {
			out = append(out, fd)
		}
	}
	return out, nil
}

func encodeSet(set []int32, n int32) []byte {
	p := make([]byte, setSize(n))
	for _, fd := range set {
		p[fd/8] |= 1 << (fd % 8)
	}
	return p
}

// pollStep is how long the kernel waits for pipes before the driver looks at its own state.
const pollStep = 50 * time.Millisecond

// poll waits until one of the descriptors is ready, the time is over (a negative one never is), or the run ends. What
// is no pipe is always ready. EBADF for a descriptor that is not open.
func (c *pollCalls) poll(reads, writes []int32, wait time.Duration) (canRead, canWrite []int32, err error) {
	if len(reads)+len(writes) == 0 {
		if wait < 0 {
			<-c.ctx.Done()
			return nil, nil, context.Cause(c.ctx)
		}
		return nil, nil, sleep(c.ctx, wait)
	}
	deadline := time.Now().Add(wait)
	for {
		step := pollStep
		if wait >= 0 {
			step = min(step, max(time.Until(deadline), 0))
		}
		canRead, canWrite, err = c.pollOnce(reads, writes, step)
		switch {
		case err != nil || len(canRead)+len(canWrite) > 0:
			return canRead, canWrite, err
		case context.Cause(c.ctx) != nil:
			return nil, nil, context.Cause(c.ctx)
		case wait >= 0 && time.Until(deadline) <= 0:
			return nil, nil, nil
		}
	}
}

// pollOnce asks the kernel once, and does not wait where something is ready already.
func (c *pollCalls) pollOnce(reads, writes []int32, step time.Duration) (canRead, canWrite []int32, err error) {
	var list []unix.PollFd
	var ready []bool
	for i, fd := range append(append([]int32(nil), reads...), writes...) {
		x, err := c.find(fd)
		if err != nil {
			return nil, nil, err
		}
		p, always := unix.PollFd{Fd: -1}, true
		if x.kind == pipeEnd {
			host, err := onPipe(x.pipe, func(fd int) (int, error) { return fd, nil })
			if err != nil {
				return nil, nil, err
			}
			p.Fd, p.Events, always = int32(host), unix.POLLIN, false // #nosec G115 -- a descriptor
			if i >= len(reads) {
				p.Events = unix.POLLOUT
			}
		}
		if always {
			step = 0
		}
		list, ready = append(list, p), append(ready, always)
	}
	if _, err := unix.Poll(list, int(step/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
		return nil, nil, err
	}
	for i, p := range list {
		if !ready[i] && p.Revents == 0 {
			continue
		}
		if i < len(reads) {
			canRead = append(canRead, reads[i])
		} else {
			canWrite = append(canWrite, writes[i-len(reads)])
		}
	}
	return canRead, canWrite, nil
}
