package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
)

// resultPause is the least time between two looks at the output of an operation that runs.
const resultPause = 150 * time.Millisecond

// followOperation follows what one operation writes, from its start to its end. The session's own output does not have
// it where the script keeps what its commands say to itself.
func followOperation(ctx context.Context, work *workers, b Backend, me journal.Identity, id string, n int) *transcript {
	ctx, cancel := context.WithCancel(ctx)
	o := &transcript{stop: cancel, changed: make(chan struct{}, 1)}
	cmd := work.command(func() tea.Msg {
		for seen := 0; ; {
			s, err := b.Session(me, id)
			if err != nil {
				o.end("", err)
				return nil
			}
			// The end is looked for before the output, so that nothing written in between is missed.
			over := s.Status.Final() || operationOver(&s, n)
			at := 0
			err = b.OperationOutput(me, id, n, func(c output.Chunk) error {
				if at++; at > seen {
					seen = at
					o.take(c)
				}
				return ctx.Err()
			})
			if err != nil || over || !pause(ctx, resultPause) {
				o.end(s.Status, err)
				return nil
			}
		}
	})
	go func() {
		if fault, ok := cmd().(faultMsg); ok {
			o.end("", fmt.Errorf("follow the operation: %v", fault.value))
		}
	}()
	return o
}

// operationOver reports whether operation n will write nothing more.
func operationOver(s *journal.Session, n int) bool {
	for i := range s.Operations {
		if op := &s.Operations[i]; op.N == n {
			return !op.Finished.IsZero() || op.Decision != journal.Approved && op.Decision != journal.Allowed && op.Decision != journal.Waiting
		}
	}
	return true
}

// close ends following the operation.
func (v *operationView) close() {
	if v.output != nil {
		v.output.stop()
	}
}

// followResult follows the operation's output once it has been started, and returns what waits for news of it.
func (v *operationView) followResult(m *model) tea.Cmd {
	if v.output != nil || v.op.Command == nil || v.op.Started.IsZero() {
		return nil
	}
	v.output = followOperation(m.ctx, m.work, m.backend, m.me, m.session.id, v.op.N)
	return awaitOutput(m.ctx, m.work, v.output)
}
