//go:build linux && (amd64 || arm64)

package native

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// calls_ARCH.txt are the names and numbers of the kernel's table, from golang.org/x/sys/unix; calls_compat.txt are
// entries that the kernel's symbols name beside these, which no 64-bit process reaches: those of other architectures,
// of 32-bit programs, and older names.
//
//go:embed testdata/calls_*.txt
var callFiles embed.FS

// knownCalls are the system calls of an architecture by name.
func knownCalls(tb testing.TB, arch string) map[string]int {
	tb.Helper()
	text, err := callFiles.ReadFile("testdata/calls_" + arch + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		if calls[name], err = strconv.Atoi(number); err != nil {
			tb.Fatal(fmt.Errorf("%s: %w", arch, err))
		}
	}
	return calls
}
