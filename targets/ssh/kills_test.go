package ssh

import (
	"sync"
	"testing"
)

// A command that ends by itself may be killed at the moment in which its session's use of the target ends.
func TestAKillMayBeginWhileSomebodyWaitsForAll(t *testing.T) {
	k := newKills()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { k.begin()() })
		all.Go(k.wait)
	}
	all.Wait()
	over := k.begin()
	ended := make(chan struct{})
	go func() {
		k.wait()
		close(ended)
	}()
	select {
	case <-ended:
		t.Fatal("nobody waited for one that is under way")
	default:
	}
	over()
	<-ended
}
