//go:build linux

package seccomptest

import (
	"testing"

	"shannot-gateway/internal/linux/seccomp"
)

// CallNumber is a system call's number, which must be there.
func CallNumber(tb testing.TB, call string) uint32 {
	tb.Helper()
	n, here := seccomp.Number(call)
	if !here {
		tb.Fatalf("no system call %s here", call)
	}
	return n
}
