package relay

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// longName is a line of ls -l, which clients show as it is (draft-ietf-secsh-filexfer-02, section 7).
func longName(e entry) string {
	when := e.Mtime
	if when.IsZero() { // of a target's own directory
		when = time.Unix(0, 0)
	}
	const halfYear = 365 * 24 * time.Hour / 2
	layout := "Jan _2 15:04"
	if age := time.Since(when); age > halfYear || age < -time.Hour {
		layout = "Jan _2  2006"
	}
	return fmt.Sprintf("%s %4d %-8d %-8d %8d %s %s", modeString(e.Mode), max(1, e.Nlink), e.UID, e.GID, e.Size, when.UTC().Format(layout), e.name)
}

// modeString is st_mode as ls -l shows it.
func modeString(mode uint32) string {
	var b strings.Builder
	kinds := map[uint32]byte{
		syscall.S_IFDIR: 'd', syscall.S_IFLNK: 'l', syscall.S_IFIFO: 'p', syscall.S_IFSOCK: 's', syscall.S_IFBLK: 'b', syscall.S_IFCHR: 'c',
	}
	kind := kinds[mode&syscall.S_IFMT]
	if kind == 0 {
		kind = '-'
	}
	b.WriteByte(kind)
	for i, special := range []struct {
		bit        uint32
		with, bare byte
	}{{syscall.S_ISUID, 's', 'S'}, {syscall.S_ISGID, 's', 'S'}, {syscall.S_ISVTX, 't', 'T'}} {
		bits := mode >> (6 - 3*i) & 7
		for j, letter := range []byte("rw") {
			if bits&(4>>j) == 0 {
				letter = '-'
			}
			b.WriteByte(letter)
		}
		execute := byte('-')
		switch set, may := mode&special.bit != 0, bits&1 != 0; {
		case set && may:
			execute = special.with
		case set:
			execute = special.bare
		case may:
			execute = 'x'
		}
		b.WriteByte(execute)
	}
	return b.String()
}
