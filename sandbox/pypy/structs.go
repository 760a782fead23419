//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"
	"runtime"
	"time"

	"shannot-gateway/vfs"
)

// The structures below are those of the C library on 64-bit Linux, little-endian.

func word(p []byte, at int) int64 { return int64(binary.LittleEndian.Uint64(p[at:])) } // #nosec G115 -- the bits

// encodeStat encodes struct stat of this machine's architecture, which is the child's.
func encodeStat(info vfs.Info) []byte { return encodeStatFor(runtime.GOARCH, info) }

// statBlock is st_blksize, in bytes.
const statBlock = 4096

// encodeStatFor encodes struct stat: 144 bytes on amd64, 128 on arm64.
func encodeStatFor(arch string, info vfs.Info) []byte {
	b := binary.LittleEndian
	p := b.AppendUint64(nil, info.Dev)
	p = b.AppendUint64(p, info.Ino)
	if arch == "arm64" {
		p = b.AppendUint32(p, info.Mode)
		p = b.AppendUint32(p, uint32(info.Nlink)) // #nosec G115 -- a nlink_t
		p = b.AppendUint32(p, info.UID)
		p = b.AppendUint32(p, info.GID)
		p = b.AppendUint64(p, uint64(info.Rdev))
		p = b.AppendUint64(p, 0)
		p = b.AppendUint64(p, uint64(info.Size)) // #nosec G115 -- the bits
		p = b.AppendUint64(p, statBlock)         // four bytes and their padding
	} else {
		p = b.AppendUint64(p, info.Nlink)
		p = b.AppendUint32(p, info.Mode)
		p = b.AppendUint32(p, info.UID)
		p = b.AppendUint32(p, info.GID)
		p = b.AppendUint32(p, 0)
		p = b.AppendUint64(p, uint64(info.Rdev))
		p = b.AppendUint64(p, uint64(info.Size)) // #nosec G115 -- the bits
		p = b.AppendUint64(p, statBlock)
	}
	p = b.AppendUint64(p, uint64(info.Blocks)) // #nosec G115 -- the bits
	for _, t := range []time.Time{info.Atime, info.Mtime, info.Ctime} {
		p = append(p, encodeTimespec(t)...)
	}
	if arch == "arm64" {
		return append(p, make([]byte, 8)...)
	}
	return append(p, make([]byte, 24)...)
}

// encodeTimespec encodes struct timespec. The zero time is the epoch.
func encodeTimespec(t time.Time) []byte {
	if t.IsZero() {
		return make([]byte, 16)
	}
	return encodeDuration(t.Unix(), int64(t.Nanosecond()))
}

// encodeDuration encodes struct timespec, or struct timeval with microseconds.
func encodeDuration(seconds, fraction int64) []byte {
	return append(le64(uint64(seconds)), le64(uint64(fraction))...) // #nosec G115 -- the bits
}

// encodeStatvfs encodes struct statvfs, see statvfs(3).
func encodeStatvfs(s vfs.Space) []byte {
	const valid = 0x20 // ST_VALID of linux/statfs.h, which statvfs(3) does not show
	var p []byte
	for _, v := range []uint64{
		uint64(s.BlockSize), uint64(s.FragmentSize), s.Blocks, s.Free, s.Available, s.Files, s.FreeFiles, s.FreeFiles,
		0, uint64(s.Flags &^ valid), uint64(s.MaxName),
	} {
		p = append(p, le64(v)...)
	}
	return append(p, make([]byte, 24)...)
}

// utsField is the size of a field of struct utsname with its NUL.
const utsField = 65

// encodeUname encodes struct utsname. Texts that are too long are cut.
func encodeUname(fields ...string) []byte {
	p := make([]byte, len(fields)*utsField)
	for i, f := range fields {
		copy(p[i*utsField:(i+1)*utsField-1], f)
	}
	return p
}
