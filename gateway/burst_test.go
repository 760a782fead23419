package gateway

import (
	"fmt"
	"sync"
	"testing"
)

// Two hundred honest scripts of one agent at once: all are served, though eight at a time.
func TestBurstOfHonestScriptsIsServed(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	r := start(t, "")
	const scripts, inConnection = 200, maxChannels
	var all sync.WaitGroup
	for at := 0; at < scripts; at += inConnection {
		c := r.as(r.agent)
		for i := range inConnection {
			all.Go(func() {
				stdout, stderr, status := output(t, c, "", fmt.Sprintf("print(%d)", at+i))
				if want := fmt.Sprintf("%d\n", at+i); status != 0 || stdout != want {
					t.Errorf("script %d: status %d, %q, %q", at+i, status, stdout, stderr)
				}
			})
		}
	}
	all.Wait()
}
