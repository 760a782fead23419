package turns

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestOneJudgementAtATimeForEachIdentity lets an identity wait for itself alone.
func TestOneJudgementAtATimeForEachIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		done, err := turns.Take(t.Context(), "claude", 1)
		if err != nil {
			t.Fatal(err)
		}
		second := make(chan error)
		go func() {
			done, err := turns.Take(t.Context(), "claude", 1)
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
		other, err := turns.Take(t.Context(), "gpt", 1)
		if err != nil {
			t.Fatal("another identity waits for it:", err)
		}
		other()
		left := errors.New("left")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(left)
		if _, err := turns.Take(ctx, "claude", 1); !errors.Is(err, left) {
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

// TestTurnsComeInOrder hands out as many turns as there are, and the next ones to whoever has waited longest.
func TestTurnsComeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		var given []func()
		for range 2 {
			done, err := turns.Take(t.Context(), "claude", 2)
			if err != nil {
				t.Fatal(err)
			}
			given = append(given, done)
		}
		order := make(chan int, 3)
		for i := range 3 {
			go func() {
				if done, err := turns.Take(t.Context(), "claude", 2); err == nil {
					order <- i
					done()
				}
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Error("more turns than there are")
		}
		given[0]()
		given[0]() // once more is nothing
		synctest.Wait()
		for want := range 3 {
			if got := <-order; got != want {
				t.Errorf("%d came before %d", got, want)
			}
		}
		given[1]()
		if len(turns.of) != 0 {
			t.Errorf("%d identities are remembered", len(turns.of))
		}
	})
}
