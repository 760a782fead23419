package command

import (
	"context"
	"maps"
	"slices"
	"sync"
	"syscall"
)

// signalled is a signal that a client has sent, and what it does.
type signalled struct {
	mu   sync.Mutex
	came syscall.Signal
	next int
	do   map[int]func() // one for each session of the line; the verb ends where there is none
}

// interruptible is a context for a verb that a client's signal ends, where it does nothing else. stop must be called.
func (c *Call) interruptible(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	if c.Signals == nil {
		return ctx, cancel
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case sig := <-c.Signals:
				c.signal.take(sig, cancel)
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel()
		watching.Wait()
	}
}

// take does what a signal does. The first one is what the verb ended by.
func (s *signalled) take(sig syscall.Signal, end func()) {
	s.mu.Lock()
	if s.came == 0 {
		s.came = sig
	}
	do := slices.Collect(maps.Values(s.do))
	s.mu.Unlock()
	if len(do) == 0 {
		do = append(do, end)
	}
	for _, do := range do {
		do()
	}
}

// onSignal has a signal do something instead of ending the verb, until undo is called. Where one came before, that is done at once:
// the verb is ending, and what it has begun must not go on.
func (c *Call) onSignal(do func()) (undo func()) {
	undo, came := c.signal.add(do)
	if came {
		do()
	}
	return undo
}

func (s *signalled) add(do func()) (undo func(), came bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.do == nil {
		s.do = map[int]func(){}
	}
	s.next++
	n := s.next
	s.do[n] = do
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.do, n)
	}, s.came != 0
}

// signalledStatus is the exit status of a verb: what a shell gives for what a signal ended, where one came and it did not end
// well by itself.
func (c *Call) signalledStatus(status int) int {
	c.signal.mu.Lock()
	defer c.signal.mu.Unlock()
	if c.signal.came == 0 || status != ExitNotPermitted && status != ExitFault && status != ExitWaiting {
		return status
	}
	return 128 + int(c.signal.came)
}
