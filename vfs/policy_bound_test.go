package vfs

import (
	"fmt"
	"testing"
)

// However many places of a tree differ for a policy, it remembers so many, and judges all of them.
func TestPolicyRemembersSoManyPositions(t *testing.T) {
	var read []string
	for i := range 1500 {
		read = append(read, fmt.Sprintf("/d%d/e/f/x", i))
	}
	p, err := NewPolicy(read, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i := range 1500 {
			for name, want := range map[string]Verdict{"/e": Ancestor, "/e/f": Ancestor, "/e/f/x": Visible, "/e/f/x/y": Visible, "/e/f/y": Hidden, "/x": Hidden} {
				if got := p.Decide(fmt.Sprintf("/d%d%s", i, name)); got != want {
					t.Fatalf("/d%d%s: %d", i, name, got)
				}
			}
		}
	}
	if n := len(p.root.known.all); n != maxPositions {
		t.Errorf("%d are remembered", n)
	}
}
