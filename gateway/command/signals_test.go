package command

import (
	"syscall"
	"testing"
)

// A signal that comes while a session begins ends that session too, and not the verb alone.
func TestASignalThatCameBeforeASessionEndsIt(t *testing.T) {
	c := &Call{signal: &signalled{}}
	ended, cancelled := 0, 0
	c.signal.take(syscall.SIGTERM, func() { ended++ })
	undo := c.onSignal(func() { cancelled++ })
	if ended != 1 || cancelled != 1 {
		t.Errorf("ended %d times, cancelled %d times", ended, cancelled)
	}
	c.signal.take(syscall.SIGTERM, func() { ended++ })
	undo()
	if ended != 1 || cancelled != 2 {
		t.Errorf("ended %d times, cancelled %d times", ended, cancelled)
	}
}
