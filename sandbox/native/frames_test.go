//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"strings"
	"testing"
)

// readFrame reads a whole message.
func readFrame(r io.Reader) ([][]byte, error) {
	n, err := readSize(r)
	if err != nil {
		return nil, err
	}
	return readBody(r, n)
}

func startItems(argv ...string) [][]byte {
	list := func(items ...string) []byte {
		b := make([][]byte, len(items))
		for i, s := range items {
			b[i] = []byte(s)
		}
		return encodeList(b...)
	}
	return [][]byte{
		[]byte(opStart), encodeInt(3), encodeInt(0), encodeInt(1), encodeInt(-1),
		list(argv...), list("/bin/ls"), encodeList(list("A=1", "B=")), []byte("/tmp"), list("in"),
		encodeList(encodeInt(7)),
	}
}

func TestStartRequestDecodesWhatTheGuestEncodes(t *testing.T) {
	var wire bytes.Buffer
	if err := writeFrame(&wire, startItems("ls", "-l", "", "\xff")...); err != nil {
		t.Fatal(err)
	}
	items, err := readFrame(&wire)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeStart(items)
	want := startRequest{
		line: 3, stdin: 0, stdout: 1, stderr: -1, argv: []string{"ls", "-l", "", "\xff"},
		executables: []string{"/bin/ls"}, env: []string{"A=1", "B="}, dir: "/tmp",
		input: []byte("in"), hasInput: true, pass: []int32{7},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestMalformedStartRequestsAreRefused(t *testing.T) {
	cases := map[string]func([][]byte) [][]byte{
		"unknown request":          func(b [][]byte) [][]byte { b[itemOp] = []byte("exec"); return b },
		"missing item":             func(b [][]byte) [][]byte { return b[:itemInput] },
		"additional item":          func(b [][]byte) [][]byte { return append(b, nil) },
		"short number":             func(b [][]byte) [][]byte { b[itemLine] = []byte{1}; return b },
		"descriptor too large":     func(b [][]byte) [][]byte { b[itemStdin] = encodeInt(1 << 40); return b },
		"no arguments":             func(b [][]byte) [][]byte { b[itemArgv] = encodeList(); return b },
		"argument with NUL":        func(b [][]byte) [][]byte { b[itemArgv] = encodeList([]byte("a\x00b")); return b },
		"directory with NUL":       func(b [][]byte) [][]byte { b[itemDir] = []byte("/\x00"); return b },
		"executable with NUL":      func(b [][]byte) [][]byte { b[itemExecutables] = encodeList([]byte("/bin/ls\x00")); return b },
		"two environments":         func(b [][]byte) [][]byte { b[itemEnv] = encodeList(encodeList(), encodeList()); return b },
		"standard stream passed":   func(b [][]byte) [][]byte { b[itemPass] = encodeList(encodeInt(2)); return b },
		"negative one passed":      func(b [][]byte) [][]byte { b[itemPass] = encodeList(encodeInt(-3)); return b },
		"passed twice":             func(b [][]byte) [][]byte { b[itemPass] = encodeList(encodeInt(9), encodeInt(9)); return b },
		"no descriptor's number":   func(b [][]byte) [][]byte { b[itemPass] = encodeList(encodeInt(1 << 32)); return b },
		"two inputs":               func(b [][]byte) [][]byte { b[itemInput] = encodeList(nil, nil); return b },
		"environment with NUL":     func(b [][]byte) [][]byte { b[itemEnv] = encodeList(encodeList([]byte("A=\x00"))); return b },
		"list with a false count":  func(b [][]byte) [][]byte { b[itemArgv] = []byte{9, 0, 0, 0}; return b },
		"list with bytes after it": func(b [][]byte) [][]byte { b[itemArgv] = append(b[itemArgv], 0); return b },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			if q, err := decodeStart(spoil(startItems("ls"))); err == nil {
				t.Errorf("accepted as %+v", q)
			}
		})
	}
}

func TestFrameOverTheBoundIsRefusedBeforeItIsRead(t *testing.T) {
	wire := binary.LittleEndian.AppendUint32(nil, maxFrame+1)
	if _, err := readFrame(bytes.NewReader(wire)); err != errFrame {
		t.Errorf("error %v, want %v", err, errFrame)
	}
}

func FuzzGuestFrame(f *testing.F) {
	var wire bytes.Buffer
	_ = writeFrame(&wire, startItems("ls", "-l")...)
	f.Add(wire.Bytes())
	f.Add([]byte{4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, wire []byte) {
		items, err := readFrame(bytes.NewReader(wire))
		if err != nil {
			return
		}
		again, err := decodeList(encodeList(items...))
		if err != nil || len(again) != len(items) {
			t.Fatalf("a list that was read does not survive: %v", err)
		}
		q, err := decodeStart(items)
		if err != nil {
			return
		}
		for _, s := range append(append(q.argv, q.executables...), append(q.env, q.dir)...) {
			if strings.ContainsRune(s, 0) {
				t.Fatalf("a NUL got through in %q", s)
			}
		}
	})
}
