//go:build linux && (amd64 || arm64)

package native

import (
	"strings"
	"testing"
)

// Each part that the engine cannot do without keeps it from starting, under its own name; a missing further layer does not.
func TestMissingRequiredPartsAreRefusedWithTheReason(t *testing.T) {
	required := map[string]bool{
		"kernel 5.14 or newer": true, "seccomp user notification": true, "pidfd_getfd": true, "sealed memory files": true, "glibc": true,
	}
	found := Probe(t.Context())
	if err := missing(found); err != nil {
		t.Fatalf("this machine: %v", err)
	}
	for i := range found {
		f := found[i]
		if f.Required != required[f.Name] {
			t.Errorf("%s: required is %v", f.Name, f.Required)
		}
		delete(required, f.Name)
		found[i].OK, found[i].Detail = false, "taken away"
		err := missing(found)
		if f.Required && (err == nil || !strings.HasPrefix(err.Error(), f.Name+": taken away")) {
			t.Errorf("without %s: %v", f.Name, err)
		}
		if !f.Required && err != nil {
			t.Errorf("without %s, which is not required: %v", f.Name, err)
		}
		found[i] = f
	}
	for name := range required {
		t.Errorf("nobody looks for %s", name)
	}
}
