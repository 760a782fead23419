package gateway

import (
	"fmt"
	"sync"
	"testing"
)

// Two hundred honest scripts of one agent at once, each in a connection of its own: all are served, though eight at a time.
func TestBurstOfHonestScriptsIsServed(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	r := start(t, "")
	const scripts = 200
	var all sync.WaitGroup
	for i := range scripts {
		all.Go(func() {
			c, err := r.dial(r.agent)
			if err != nil {
				t.Errorf("script %d: %v", i, err)
				return
			}
			defer func() { _ = c.Close() }()
			stdout, stderr, status := output(t, c, "", fmt.Sprintf("print(%d)", i))
			if want := fmt.Sprintf("%d\n", i); status != 0 || stdout != want {
				t.Errorf("script %d: status %d, %q, %q", i, status, stdout, stderr)
			}
		})
	}
	all.Wait()
}
