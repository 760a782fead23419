package vfs

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// parseDirents appends what one getdents64(2) call returned, without "." and "..". A record is d_ino (8 bytes), d_off
// (8), d_reclen (2), d_type (1) and a name that a NUL ends.
func parseDirents(buf []byte, out []Dirent) []Dirent {
	const nameAt = 19
	for len(buf) > nameAt {
		length := int(binary.NativeEndian.Uint16(buf[16:]))
		if length <= nameAt || length > len(buf) {
			return out
		}
		name, _, _ := bytes.Cut(buf[nameAt:length], []byte{0})
		if n := string(name); n != "." && n != ".." && n != "" {
			out = append(out, Dirent{Name: n, Ino: binary.NativeEndian.Uint64(buf), Type: direntType(buf[18])})
		}
		buf = buf[length:]
	}
	return out
}

// direntType turns DT_ values into S_IFMT bits (dirent.h: IFTODT is a shift by 12).
func direntType(t byte) uint32 {
	if t == unix.DT_UNKNOWN {
		return 0
	}
	return uint32(t) << 12 & unix.S_IFMT
}
