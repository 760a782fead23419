package gateway

import (
	"context"
	"fmt"
	"time"

	"shannot-gateway/targets"
)

// How often, and for how long, a target is tried that a parked session needs.
const (
	reachAttempts = 6
	firstPause    = time.Second
	reachPatience = 10 * time.Second // of one attempt
)

// reach connects to a remote target for a parked session: once, or patiently where nobody waits for it.
func (r *runner) reach(ctx context.Context, t targets.Target, identity string, patient bool) error {
	name := t.Name()
	t, done := targets.For(t, identity, "")
	defer done()
	remote, ok := t.(targets.Remote)
	if !ok {
		return nil
	}
	connect := func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, reachPatience, fmt.Errorf("no answer within %v", reachPatience))
		defer cancel()
		return remote.Connect(ctx)
	}
	err := connect()
	for try := 0; err != nil && patient && try < reachAttempts; try++ {
		r.log.Warn("connect for a parked session", "target", name, "error", err)
		select {
		case <-time.After(firstPause << try):
			err = connect()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("the target %s cannot be reached: %w", name, err)
	}
	return nil
}
