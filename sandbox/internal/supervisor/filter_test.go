//go:build linux && (amd64 || arm64)

package supervisor

import (
	"flag"
	"testing"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

var update = flag.Bool("update", false, "write the files of treatments anew")

// A change of what the filter does to any call shows in these files; -update writes them anew.
func TestTreatmentsOfCallsAreThoseWrittenDown(t *testing.T) {
	program, err := confinedPolicy.Compile()
	if err != nil {
		t.Fatal(err)
	}
	const pid = 4242
	name := func(n uint32) string { return seccomp.Name(int32(n)) }
	seccomptest.Golden(t, "confined", seccomp.AuditArch, program.For(pid), name, *update)
}

func TestEveryRowIsReached(t *testing.T) { seccomptest.EveryRowIsReached(t, confinedPolicy) }
