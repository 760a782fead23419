// Package sftpwire is the messages of the SSH File Transfer Protocol, version 3 (draft-ietf-secsh-filexfer-02), as both
// sides of it write and read them: numbers, strings, attributes, whole packets. It bounds what it reads and believes nothing
// beyond that. It knows no file and no connection. gateway/relay serves with it, targets/ssh asks with it.
package sftpwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Packet types, draft-ietf-secsh-filexfer-02, section 3.
const (
	TypeInit          = 1
	TypeVersion       = 2
	TypeOpen          = 3
	TypeClose         = 4
	TypeRead          = 5
	TypeWrite         = 6
	TypeLstat         = 7
	TypeFstat         = 8
	TypeSetstat       = 9
	TypeFsetstat      = 10
	TypeOpendir       = 11
	TypeReaddir       = 12
	TypeRemove        = 13
	TypeMkdir         = 14
	TypeRmdir         = 15
	TypeRealpath      = 16
	TypeStat          = 17
	TypeRename        = 18
	TypeReadlink      = 19
	TypeSymlink       = 20
	TypeStatus        = 101
	TypeHandle        = 102
	TypeData          = 103
	TypeName          = 104
	TypeAttrs         = 105
	TypeExtended      = 200
	TypeExtendedReply = 201
)

// Status codes, section 7.
const (
	StatusOK               = 0
	StatusEOF              = 1
	StatusNoSuchFile       = 2
	StatusPermissionDenied = 3
	StatusFailure          = 4
	StatusBadMessage       = 5
	StatusNoConnection     = 6
	StatusConnectionLost   = 7
	StatusUnsupported      = 8
)

// Flags that say which attributes follow, section 5.
const (
	AttrSize        = 0x00000001
	AttrOwner       = 0x00000002
	AttrPermissions = 0x00000004
	AttrTimes       = 0x00000008
	AttrExtended    = 0x80000000
)

// MaxPacket is the largest packet that is read, in bytes: OpenSSH's own largest is 256 KiB.
const MaxPacket = 256<<10 + 1024

// ErrLength is wrapped by the error for a packet that is empty or larger than MaxPacket.
var ErrLength = errors.New("a packet of a length that is none")

// ReadPacket reads one packet: its type and what follows.
func ReadPacket(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[:4])
	if length < 1 || length > MaxPacket {
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrLength, length)
	}
	body = make([]byte, length-1)
	_, err = io.ReadFull(r, body)
	return head[4], body, err
}

// NewPacket begins a packet.
func NewPacket(kind byte) Encoder { return Encoder{0, 0, 0, 0, kind} }

// Finish writes a packet's length, and returns the packet.
func (e *Encoder) Finish() []byte {
	binary.BigEndian.PutUint32(*e, uint32(len(*e)-4)) // #nosec G115 -- far below 4 GiB
	return *e
}

// Encoder builds a packet.
type Encoder []byte

// Uint32 appends a number.
func (e *Encoder) Uint32(v uint32) { *e = binary.BigEndian.AppendUint32(*e, v) }

// Uint64 appends a number.
func (e *Encoder) Uint64(v uint64) { *e = binary.BigEndian.AppendUint64(*e, v) }

// String appends a string with its length.
func (e *Encoder) String(s string) {
	e.Uint32(uint32(len(s))) // #nosec G115 -- paths and handles, bounded by MaxPacket
	*e = append(*e, s...)
}

// Decoder takes a packet apart. After the first thing that is missing it gives zero values, and Bad reports true.
type Decoder struct {
	b   []byte
	bad bool
}

// NewDecoder reads a packet, of which it keeps no copy.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Bad reports whether something was missing.
func (d *Decoder) Bad() bool { return d.bad }

// Rest is what has not been read.
func (d *Decoder) Rest() []byte { return d.b }

func (d *Decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

// Uint32 reads a number.
func (d *Decoder) Uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads a number.
func (d *Decoder) Uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bytes reads a string, which stays a part of the packet.
func (d *Decoder) Bytes() []byte {
	n := d.Uint32()
	if n > MaxPacket {
		d.b, d.bad = nil, true
		return nil
	}
	return d.take(int(n))
}

// String reads a string.
func (d *Decoder) String() string { return string(d.Bytes()) }

// Attributes are what one side says of a file.
type Attributes struct {
	Flags        uint32 // which of the rest are there: AttrSize and so on
	Size         uint64 // bytes
	UID, GID     uint32
	Mode         uint32 // as st_mode: type and permission bits
	Atime, Mtime uint32 // seconds since 1970
}

// Attributes reads attributes; extended ones are read over.
func (d *Decoder) Attributes() Attributes {
	a := Attributes{Flags: d.Uint32()}
	if a.Flags&AttrSize != 0 {
		a.Size = d.Uint64()
	}
	if a.Flags&AttrOwner != 0 {
		a.UID, a.GID = d.Uint32(), d.Uint32()
	}
	if a.Flags&AttrPermissions != 0 {
		a.Mode = d.Uint32()
	}
	if a.Flags&AttrTimes != 0 {
		a.Atime, a.Mtime = d.Uint32(), d.Uint32()
	}
	if a.Flags&AttrExtended != 0 {
		n := d.Uint32()
		for i := uint32(0); i < n && !d.bad; i++ {
			d.Bytes()
			d.Bytes()
		}
	}
	return a
}

// Attributes appends attributes, without extended ones.
func (e *Encoder) Attributes(a Attributes) {
	e.Uint32(a.Flags &^ AttrExtended)
	if a.Flags&AttrSize != 0 {
		e.Uint64(a.Size)
	}
	if a.Flags&AttrOwner != 0 {
		e.Uint32(a.UID)
		e.Uint32(a.GID)
	}
	if a.Flags&AttrPermissions != 0 {
		e.Uint32(a.Mode)
	}
	if a.Flags&AttrTimes != 0 {
		e.Uint32(a.Atime)
		e.Uint32(a.Mtime)
	}
}

// Same reports whether two looks saw the same file, as far as the protocol tells.
func (a Attributes) Same(b Attributes) bool {
	return a.Flags&^AttrExtended == b.Flags&^AttrExtended && a.Size == b.Size && a.UID == b.UID && a.GID == b.GID &&
		a.Mode == b.Mode && a.Mtime == b.Mtime
}
