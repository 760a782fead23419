package sftpwire_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"shannot-gateway/internal/sftpwire"
)

func TestPacketsGoThereAndBack(t *testing.T) {
	p := sftpwire.NewPacket(sftpwire.TypeOpen)
	p.Uint32(7)
	p.String("/etc/hosts")
	p.Uint64(1 << 40)
	want := sftpwire.Attributes{
		Flags: sftpwire.AttrSize | sftpwire.AttrOwner | sftpwire.AttrPermissions | sftpwire.AttrTimes,
		Size:  1 << 33, UID: 1, GID: 2, Mode: 0o100600, Atime: 3, Mtime: 4,
	}
	p.Attributes(want)
	kind, body, err := sftpwire.ReadPacket(bytes.NewReader(p.Finish()))
	if err != nil || kind != sftpwire.TypeOpen {
		t.Fatalf("type %d, %v", kind, err)
	}
	d := sftpwire.NewDecoder(body)
	if id, name, size := d.Uint32(), d.String(), d.Uint64(); id != 7 || name != "/etc/hosts" || size != 1<<40 {
		t.Errorf("%d %q %d", id, name, size)
	}
	if got := d.Attributes(); !reflect.DeepEqual(got, want) || d.Bad() || len(d.Rest()) != 0 {
		t.Errorf("%+v, bad %v, %d bytes left", got, d.Bad(), len(d.Rest()))
	}
}

func TestPacketsOfNoLengthAreRefused(t *testing.T) {
	for name, head := range map[string][]byte{"empty": {0, 0, 0, 0, 1}, "too large": {0, 5, 0, 0, 1}} {
		if _, _, err := sftpwire.ReadPacket(bytes.NewReader(head)); !errors.Is(err, sftpwire.ErrLength) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := sftpwire.ReadPacket(bytes.NewReader([]byte{0, 0, 0, 9, 1, 2})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
}

// What is read never goes beyond the packet, and what is missing is told.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Add([]byte{128, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		d := sftpwire.NewDecoder(data)
		a := d.Attributes()
		text := d.Bytes()
		if d.Bad() && text != nil {
			t.Error("bytes that are not there")
		}
		if d.Bad() || a.Flags&sftpwire.AttrExtended != 0 {
			return
		}
		var e sftpwire.Encoder
		e.Attributes(a)
		e.String(string(text))
		if got := data[:len(data)-len(d.Rest())]; !bytes.Equal(got, e) {
			t.Errorf("%x became %x", got, []byte(e))
		}
	})
}
