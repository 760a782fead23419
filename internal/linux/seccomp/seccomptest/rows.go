//go:build linux && (amd64 || arm64)

package seccomptest

import (
	"testing"

	"shannot-gateway/internal/linux/seccomp"
)

// EveryRowIsReached fails where a row of a policy stands below others that decide every case of its call.
func EveryRowIsReached(t *testing.T, p seccomp.Policy) {
	t.Helper()
	last := map[string]bool{} // calls of which a row decides every case
	for _, r := range p.Rows {
		if last[r.Call] {
			t.Errorf("%s has a row that nothing reaches", r.Call)
		}
		last[r.Call] = len(r.When) == 0 || r.Otherwise != 0
	}
}
