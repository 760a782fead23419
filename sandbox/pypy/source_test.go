//go:build linux && (amd64 || arm64)

package pypy

import (
	"io"
	"strings"
	"testing"
)

// Who sees the end of the input sees that there is no more of it: else a command that a script starts then would have one at one
// time and none at another, and be another operation.
func TestTheEndOfTheInputIsKnownBeforeItIsSeen(t *testing.T) {
	for range 2000 {
		s, err := newSource(strings.NewReader("x"), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s.read); err != nil {
			t.Fatal(err)
		}
		if !s.done.Load() {
			t.Fatal("the end was seen, and is not known")
		}
		s.close()
	}
}
