package approvals

import (
	"context"
	"sync"

	"shannot-gateway/approvals/policy"
)

// turns let each identity have one command judged at a time. A judgement is bounded, but not free: whoever asks for many at
// once, by scripts or by the verb policy, waits for themself and takes one processor at most.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	place chan struct{} // holds a value while somebody has the turn
	users int           // who has it or waits for it
}

// take waits for an identity's turn. It fails with the context's cause.
func (t *turns) take(ctx context.Context, identity string) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	own := t.of[identity]
	if own == nil {
		own = &turn{place: make(chan struct{}, 1)}
		t.of[identity] = own
	}
	own.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.of, identity)
		}
	}
	select {
	case own.place <- struct{}{}:
		return func() { <-own.place; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// JudgeShell says what the policy makes of a command line of an identity's, which is not run.
func (m *Manager) JudgeShell(ctx context.Context, by Identity, text string, c policy.Context) (policy.Decision, error) {
	done, err := m.turns.take(ctx, by.Name)
	if err != nil {
		return policy.Decision{}, err
	}
	defer done()
	return m.rules.Load().Judge.Shell(text, c), nil
}
