//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAKilledGatewayUnpackedIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"unpacking-1", "unpacking-2"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "python"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that it ends before the library is compiled
	if _, err := install(ctx, dir); err == nil {
		t.Error("installed after the end of its context")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".lock" {
			t.Errorf("%s is left", e.Name())
		}
	}
}
