//go:build linux && (amd64 || arm64)

package native

import (
	"testing"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

// A change of what the filters do to any call shows in these files; -update writes them anew.
func TestTreatmentsOfCallsAreThoseWrittenDown(t *testing.T) {
	name := func(n uint32) string { return seccomp.Name(int32(n)) }
	seccomptest.Golden(t, "engine", seccomp.AuditArch, filterFor(t, enginePolicy), name, *update)
}
