//go:build linux && (amd64 || arm64)

package supervisor

import (
	"os"
	"testing"

	"shannot-gateway/sandbox/internal/conformance"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

// TestUnprivileged runs this package's tests again as a user without privileges.
func TestUnprivileged(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole package again, as another user")
	}
	conformance.AsOtherUser(t, []string{"testdata"}, "-test.count=1", "-test.timeout=5m")
}
