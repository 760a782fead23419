//go:build linux && (amd64 || arm64)

package pypy

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkCall is the driver and two pipes: a call without arguments, one that looks at a file, and one that opens, reads
// and closes it.
func BenchmarkCall(b *testing.B) {
	begun := func(b *testing.B) *double {
		c, _, _ := begin(b, nil)
		return c
	}
	b.Run("getuid", func(b *testing.B) {
		c := begun(b)
		for b.Loop() {
			c.call("getuid()i")
		}
	})
	b.Run("stat", func(b *testing.B) {
		c := begun(b)
		name, out := c.text("/etc/hostname"), c.room(144)
		for b.Loop() {
			c.call("stat64(pp)i", name, out)
		}
	})
	b.Run("open read close", func(b *testing.B) {
		c := begun(b)
		name, out := c.text("/etc/hostname"), c.room(8192)
		for b.Loop() {
			fd := uint64(c.call("open(pii)i", name, unix.O_RDONLY, 0))
			c.call("read(ipi)i", fd, out, 8192)
			c.call("close(i)i", fd)
		}
	})
}
