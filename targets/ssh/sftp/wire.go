package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/vfs"
)

// Packet types, draft-ietf-secsh-filexfer-02, section 3.
const (
	typeInit     = 1
	typeVersion  = 2
	typeOpen     = 3
	typeClose    = 4
	typeRead     = 5
	typeWrite    = 6
	typeLstat    = 7
	typeFstat    = 8
	typeSetstat  = 9
	typeFsetstat = 10
	typeOpendir  = 11
	typeReaddir  = 12
	typeRemove   = 13
	typeMkdir    = 14
	typeRmdir    = 15
	typeRealpath = 16
	typeStat     = 17
	typeRename   = 18
	typeReadlink = 19
	typeSymlink  = 20
	typeStatus   = 101
	typeHandle   = 102
	typeData     = 103
	typeName     = 104
	typeAttrs    = 105
	typeExtended = 200
)

// Status codes, section 7.
const (
	statusOK               = 0
	statusEOF              = 1
	statusNoSuchFile       = 2
	statusPermissionDenied = 3
	statusFailure          = 4
	statusBadMessage       = 5
	statusNoConnection     = 6
	statusConnectionLost   = 7
	statusUnsupported      = 8
)

// Flags that say which attributes follow, section 5.
const (
	attrSize        = 0x00000001
	attrOwner       = 0x00000002
	attrPermissions = 0x00000004
	attrTimes       = 0x00000008
	attrExtended    = 0x80000000
)

// Bounds of what a server may send. OpenSSH's own largest packet is 256 KiB, and its handles have 4 bytes.
const (
	maxPacket   = 256<<10 + 1024
	maxHandle   = 256 // as the protocol has it
	maxPath     = 4095
	maxName     = 255
	maxVersions = 64 // extensions that a server may announce
)

// ErrProtocol is wrapped by the error that ends a connection to a server that does not keep to the protocol.
var ErrProtocol = errors.New("the SFTP server broke the protocol")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// encoder builds a packet.
type encoder []byte

func (e *encoder) uint32(v uint32) { *e = binary.BigEndian.AppendUint32(*e, v) }
func (e *encoder) uint64(v uint64) { *e = binary.BigEndian.AppendUint64(*e, v) }
func (e *encoder) string(s string) {
	e.uint32(uint32(len(s))) // #nosec G115 -- paths and handles, bounded by maxPacket
	*e = append(*e, s...)
}

// decoder takes a packet apart. After the first thing that is missing it gives zero values and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n := d.uint32()
	if n > maxPacket {
		d.b, d.bad = nil, true
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return string(d.bytes()) }

// Attributes are what a server says of a file.
type Attributes struct {
	Flags        uint32 // which of the rest the server gave, see the methods
	Size         uint64 // bytes
	UID, GID     uint32
	Mode         uint32 // as st_mode: type and permission bits
	Atime, Mtime uint32 // seconds since 1970
}

func (d *decoder) attributes() Attributes {
	a := Attributes{Flags: d.uint32()}
	if a.Flags&attrSize != 0 {
		a.Size = d.uint64()
	}
	if a.Flags&attrOwner != 0 {
		a.UID, a.GID = d.uint32(), d.uint32()
	}
	if a.Flags&attrPermissions != 0 {
		a.Mode = d.uint32()
	}
	if a.Flags&attrTimes != 0 {
		a.Atime, a.Mtime = d.uint32(), d.uint32()
	}
	if a.Flags&attrExtended != 0 {
		n := d.uint32()
		for i := uint32(0); i < n && !d.bad; i++ {
			d.bytes()
			d.bytes()
		}
	}
	return a
}

func (e *encoder) attributes(a Attributes) {
	e.uint32(a.Flags &^ attrExtended)
	if a.Flags&attrSize != 0 {
		e.uint64(a.Size)
	}
	if a.Flags&attrOwner != 0 {
		e.uint32(a.UID)
		e.uint32(a.GID)
	}
	if a.Flags&attrPermissions != 0 {
		e.uint32(a.Mode)
	}
	if a.Flags&attrTimes != 0 {
		e.uint32(a.Atime)
		e.uint32(a.Mtime)
	}
}

// Info is the attributes as a view of files has them. EIO where the server does not say what type of file it is, or
// gives a size that no file has.
func (a Attributes) Info() (vfs.Info, error) {
	if a.Flags&attrPermissions == 0 || a.Mode&syscall.S_IFMT == 0 || a.Size > 1<<62 {
		return vfs.Info{}, syscall.EIO
	}
	info := vfs.Info{
		Mode: a.Mode & (syscall.S_IFMT | 0o7777), Nlink: 1, UID: a.UID, GID: a.GID, Size: int64(a.Size), // #nosec G115 -- bounded above
		Atime: time.Unix(int64(a.Atime), 0), Mtime: time.Unix(int64(a.Mtime), 0), Ctime: time.Unix(int64(a.Mtime), 0),
	}
	info.Blocks = (info.Size + 511) / 512
	return info, nil
}

// Same reports whether two looks saw the same file, as far as the protocol tells.
func (a Attributes) Same(b Attributes) bool {
	return a.Flags&^attrExtended == b.Flags&^attrExtended && a.Size == b.Size && a.UID == b.UID && a.GID == b.GID &&
		a.Mode == b.Mode && a.Mtime == b.Mtime
}

// Entry is a name in a directory, with what the server says of the file itself.
type Entry struct {
	Name string
	Attributes
}

// names decodes a NAME packet. A server that sends a name which no directory can hold is not believed at all.
func (d *decoder) names() ([]Entry, error) {
	n := d.uint32()
	// An entry takes at least two lengths and the flags.
	if d.bad || uint64(n)*12 > uint64(len(d.b)) {
		return nil, broken("a listing promises %d entries in %d bytes", n, len(d.b))
	}
	out := make([]Entry, 0, n)
	for range n {
		name := d.string()
		d.bytes() // the long name, for people
		a := d.attributes()
		if d.bad {
			return nil, broken("a listing is cut short")
		}
		out = append(out, Entry{Name: name, Attributes: a})
	}
	return out, nil
}

// validName reports whether a directory can hold the name.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, "/\x00")
}

// A StatusError is a server's refusal.
type StatusError struct {
	Code    uint32
	Message string // the server's own words, not to be trusted
}

// Error says what the server said.
func (e *StatusError) Error() string {
	return fmt.Sprintf("SFTP status %d: %q", e.Code, e.Message)
}

// Unwrap gives the errno that is nearest to the status.
func (e *StatusError) Unwrap() error {
	switch e.Code {
	case statusNoSuchFile:
		return syscall.ENOENT
	case statusPermissionDenied:
		return syscall.EACCES
	case statusUnsupported:
		return syscall.EOPNOTSUPP
	}
	return syscall.EIO
}

func (d *decoder) status() *StatusError {
	e := &StatusError{Code: d.uint32()}
	if len(d.b) > 0 { // version 3 has a message, some servers none
		message := d.bytes()
		e.Message = string(message[:min(len(message), 256)])
	}
	return e
}
