//go:build linux && (amd64 || arm64)

package native

import (
	"testing"

	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

// A change of what the filters do to any call shows in these files; -update writes them anew.
func TestTreatmentsOfCallsAreThoseWrittenDown(t *testing.T) {
	program, err := buildFilter(testPID)
	if err != nil {
		t.Fatal(err)
	}
	name := func(n uint32) string { return callNames[int32(n)] }
	seccomptest.Golden(t, "engine", auditArch, program, name, *update)
	if program, err = buildConfinedFilter(testPID); err != nil {
		t.Fatal(err)
	}
	seccomptest.Golden(t, "confined", auditArch, program, name, *update)
}
