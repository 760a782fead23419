package gateway

import (
	"context"
	"time"

	"shannot-gateway/targets"
)

// How often, and for how long, a target is tried that a parked session needs.
const (
	reachAttempts = 6
	firstPause    = time.Second
)

// reach connects to a remote target for a session that nobody waits for. Where that fails for long the session starts
// nevertheless, and says itself what is wrong.
func (r *runner) reach(t targets.Target, identity string) {
	t, done := targets.For(t, identity, "")
	defer done()
	remote, ok := t.(targets.Remote)
	if !ok {
		return
	}
	for try := range reachAttempts {
		err := remote.Connect(context.Background())
		if err == nil {
			return
		}
		r.log.Warn("connect for a parked session", "target", t.Name(), "error", err)
		time.Sleep(firstPause << try)
	}
}
