package approvals

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestOneJudgementAtATimeForEachIdentity lets an identity wait for itself alone.
func TestOneJudgementAtATimeForEachIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		done, err := turns.take(t.Context(), "claude")
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error)
		go func() {
			done, err := turns.take(t.Context(), "claude")
			if err == nil {
				done()
			}
			second <- err
		}()
		synctest.Wait()
		select {
		case <-second:
			t.Fatal("two judgements of one identity at once")
		default:
		}
		other, err := turns.take(t.Context(), "gpt")
		if err != nil {
			t.Fatal("another identity waits for it:", err)
		}
		other()
		left := errors.New("left")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(left)
		if _, err := turns.take(ctx, "claude"); !errors.Is(err, left) {
			t.Errorf("who has left gets %v", err)
		}
		done()
		if err := <-second; err != nil {
			t.Error(err)
		}
		if len(turns.of) != 0 {
			t.Errorf("%d turns are remembered", len(turns.of))
		}
	})
}
