package local

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
)

// accessOf is an access control list of tags with their permissions; one for a user is for uid 12345.
func accessOf(entries ...[2]uint16) []byte {
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		id := ^uint32(0)
		if e[0] == 0x02 {
			id = 12345
		}
		list = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(list, e[0]), e[1])
		list = binary.LittleEndian.AppendUint32(list, id)
	}
	return list
}

// A secret replaces what everybody may read. Between its access control list and its mode nobody but its owner may open it.
func TestANewContentIsAtNoMomentOpenToMoreThanItsMode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := accessOf([2]uint16{0x01, 6}, [2]uint16{0x02, 6}, [2]uint16{0x04, 4}, [2]uint16{0x10, 6}, [2]uint16{0x20, 6})
	if err := unix.Setxattr(name, accessList, old, 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("no access control lists here")
	} else if err != nil {
		t.Fatal(err)
	}
	fs := open(t, &targets.Change{Path: name})
	defer fs.close()
	temp := name + "-new"
	made, err := fs.NewFile(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Close() }()
	f := made.(*newFile) //nolint:forcetypeassert // it is
	if err := f.copyAttributes(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(temp); err != nil || info.Mode() != 0o600 {
		t.Errorf("with the list it has %v, %v", info.Mode(), err)
	}
	if err := made.Finish(change.Attributes{Mode: 0o640, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Like: name}); err != nil {
		t.Fatal(err)
	}
	list := make([]byte, 100)
	n, err := unix.Getxattr(temp, accessList, list)
	want := accessOf([2]uint16{0x01, 6}, [2]uint16{0x02, 6}, [2]uint16{0x04, 4}, [2]uint16{0x10, 4}, [2]uint16{0x20, 0})
	if err != nil || string(list[:n]) != string(want) {
		t.Errorf("its list is %x, %v; want %x", list[:max(n, 0)], err, want)
	}
}

func TestModesLimitAccessControlLists(t *testing.T) {
	for _, c := range []struct {
		list, want []byte
		mode       uint32
	}{
		{accessOf([2]uint16{0x01, 7}, [2]uint16{0x04, 7}, [2]uint16{0x20, 7}), accessOf([2]uint16{0x01, 6}, [2]uint16{0x04, 4}, [2]uint16{0x20, 0}), 0o640},
		{accessOf([2]uint16{0x01, 0}, [2]uint16{0x20, 0}), accessOf([2]uint16{0x01, 7}, [2]uint16{0x20, 1}), 0o4751},
		{[]byte{2, 0, 0}, []byte{2, 0, 0}, 0}, {nil, nil, 0o777}, {accessOf([2]uint16{0x20, 7})[:11], accessOf([2]uint16{0x20, 7})[:11], 0},
	} {
		if limitAccess(c.list, c.mode); string(c.list) != string(c.want) {
			t.Errorf("%x, want %x", c.list, c.want)
		}
	}
}
