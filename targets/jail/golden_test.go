//go:build linux && (amd64 || arm64)

package jail

import (
	"flag"
	"fmt"
	"testing"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

var update = flag.Bool("update", false, "write testdata/treatments_… anew")

// A change of what the filters do to any call shows in these files; -update writes them anew.
func TestTreatmentsOfCallsAreThoseWrittenDown(t *testing.T) {
	for kind, k := range kinds {
		for _, abi := range []int{5, 6} {
			name := func(n uint32) string { return seccomp.Name(int32(n)) }
			seccomptest.Golden(t, fmt.Sprintf("%s%d", kind, abi), seccomp.AuditArch, filterOf(t, k, abi), name, *update)
		}
	}
}
