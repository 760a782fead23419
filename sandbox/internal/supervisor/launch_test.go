//go:build linux && (amd64 || arm64)

package supervisor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Where close_range(2) is refused, each descriptor is marked by itself.
func TestDescriptorsAreMarkedOneByOne(t *testing.T) {
	inherited, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(inherited) }()
	if flags, err := unix.FcntlInt(uintptr(inherited), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		t.Fatalf("flags %#x, %v before", flags, err)
	}
	if err := markDescriptors(inherited); err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(inherited), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
