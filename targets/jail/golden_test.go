//go:build linux && (amd64 || arm64)

package jail

import (
	"flag"
	"fmt"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

var update = flag.Bool("update", false, "write testdata/treatments_… anew")

// A change of what the filters do to any call shows in these files; -update writes them anew.
func TestTreatmentsOfCallsAreThoseWrittenDown(t *testing.T) {
	for kind, k := range kinds {
		for _, abi := range []int{5, 6} {
			raw, err := bpf.Assemble(program(rules(k, abi)))
			if err != nil {
				t.Fatal(err)
			}
			var p []unix.SockFilter
			for _, in := range raw {
				p = append(p, unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K})
			}
			seccomptest.Golden(t, fmt.Sprintf("%s%d", kind, abi), auditArch, p, func(uint32) string { return "" }, *update)
		}
	}
}
