package frames

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"shannot-gateway/sandbox"
)

// readFrame reads a whole message.
func readFrame(r io.Reader) ([][]byte, error) {
	n, err := ReadSize(r)
	if err != nil {
		return nil, err
	}
	return ReadBody(r, n)
}

func startItems(argv ...string) [][]byte {
	list := func(items ...string) []byte {
		b := make([][]byte, len(items))
		for i, s := range items {
			b[i] = []byte(s)
		}
		return EncodeList(b...)
	}
	return [][]byte{
		[]byte(OpStart), EncodeInt(3), EncodeInt(0), EncodeInt(1), EncodeInt(-1),
		list(argv...), list("/bin/ls"), EncodeList(list("A=1", "B=")), []byte("/tmp"), list("in"),
		EncodeList(EncodeInt(7)),
	}
}

func TestStartRequestDecodesWhatTheGuestEncodes(t *testing.T) {
	var wire bytes.Buffer
	if err := Write(&wire, startItems("ls", "-l", "", "\xff")...); err != nil {
		t.Fatal(err)
	}
	items, err := readFrame(&wire)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeStart(items)
	want := Start{
		Line: 3, Stdin: 0, Stdout: 1, Stderr: -1, Argv: []string{"ls", "-l", "", "\xff"},
		Executables: []string{"/bin/ls"}, Env: []string{"A=1", "B="}, Dir: "/tmp",
		Input: []byte("in"), HasInput: true, Pass: []int32{7},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestExecutablesAreBounded(t *testing.T) {
	items := startItems("ls")
	var many [][]byte
	for range 60_000 {
		many = append(many, []byte("/bin/ls"))
	}
	items[itemExecutables] = EncodeList(many...)
	if got, err := DecodeStart(items); err != nil || len(got.Executables) != MaxTried {
		t.Errorf("%d executables, %v", len(got.Executables), err)
	}
}

func TestMalformedStartRequestsAreRefused(t *testing.T) {
	cases := map[string]func([][]byte) [][]byte{
		"unknown request":          func(b [][]byte) [][]byte { b[itemOp] = []byte("exec"); return b },
		"missing item":             func(b [][]byte) [][]byte { return b[:itemInput] },
		"additional item":          func(b [][]byte) [][]byte { return append(b, nil) },
		"short number":             func(b [][]byte) [][]byte { b[itemLine] = []byte{1}; return b },
		"descriptor too large":     func(b [][]byte) [][]byte { b[itemStdin] = EncodeInt(1 << 40); return b },
		"no arguments":             func(b [][]byte) [][]byte { b[itemArgv] = EncodeList(); return b },
		"argument with NUL":        func(b [][]byte) [][]byte { b[itemArgv] = EncodeList([]byte("a\x00b")); return b },
		"directory with NUL":       func(b [][]byte) [][]byte { b[itemDir] = []byte("/\x00"); return b },
		"executable with NUL":      func(b [][]byte) [][]byte { b[itemExecutables] = EncodeList([]byte("/bin/ls\x00")); return b },
		"two environments":         func(b [][]byte) [][]byte { b[itemEnv] = EncodeList(EncodeList(), EncodeList()); return b },
		"standard stream passed":   func(b [][]byte) [][]byte { b[itemPass] = EncodeList(EncodeInt(2)); return b },
		"negative one passed":      func(b [][]byte) [][]byte { b[itemPass] = EncodeList(EncodeInt(-3)); return b },
		"passed twice":             func(b [][]byte) [][]byte { b[itemPass] = EncodeList(EncodeInt(9), EncodeInt(9)); return b },
		"no descriptor's number":   func(b [][]byte) [][]byte { b[itemPass] = EncodeList(EncodeInt(1 << 32)); return b },
		"two inputs":               func(b [][]byte) [][]byte { b[itemInput] = EncodeList(nil, nil); return b },
		"environment with NUL":     func(b [][]byte) [][]byte { b[itemEnv] = EncodeList(EncodeList([]byte("A=\x00"))); return b },
		"list with a false count":  func(b [][]byte) [][]byte { b[itemArgv] = []byte{9, 0, 0, 0}; return b },
		"list with bytes after it": func(b [][]byte) [][]byte { b[itemArgv] = append(b[itemArgv], 0); return b },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			if q, err := DecodeStart(spoil(startItems("ls"))); err == nil {
				t.Errorf("accepted as %+v", q)
			}
		})
	}
}

func TestFrameOverTheBoundIsRefusedBeforeItIsRead(t *testing.T) {
	wire := binary.LittleEndian.AppendUint32(nil, MaxSize+1)
	if _, err := readFrame(bytes.NewReader(wire)); err != ErrMalformed {
		t.Errorf("error %v, want %v", err, ErrMalformed)
	}
}

func FuzzGuestFrame(f *testing.F) {
	var wire bytes.Buffer
	_ = Write(&wire, startItems("ls", "-l")...)
	f.Add(wire.Bytes())
	f.Add([]byte{4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, wire []byte) {
		items, err := readFrame(bytes.NewReader(wire))
		if err != nil {
			return
		}
		again, err := DecodeList(EncodeList(items...))
		if err != nil || len(again) != len(items) {
			t.Fatalf("a list that was read does not survive: %v", err)
		}
		q, err := DecodeStart(items)
		if err != nil {
			return
		}
		if again, err := DecodeStart(EncodeStart(q)); err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("a request that was read does not survive: %+v, %v\nfrom %+v", again, err, q)
		}
		for _, s := range append(append(q.Argv, q.Executables...), append(q.Env, q.Dir)...) {
			if strings.ContainsRune(s, 0) {
				t.Fatalf("a NUL got through in %q", s)
			}
		}
	})
}

func FuzzPassedDescriptors(f *testing.F) {
	f.Add(EncodeList(EncodeInt(3), EncodeInt(1023)))
	f.Add([]byte{1, 0, 0, 0, 8, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		fds, err := DecodeDescriptors(b)
		for _, fd := range fds {
			if err != nil || fd < 3 || fd >= maxDescriptor {
				t.Errorf("%d, %v from %q", fd, err, b)
			}
		}
	})
}

func TestAnswersAreReadAsTheyAreWritten(t *testing.T) {
	if pid, err := DecodeStartReply(StartReply(42, nil)); pid != 42 || err != nil {
		t.Errorf("%d, %v", pid, err)
	}
	var refusal *sandbox.Refusal
	_, err := DecodeStartReply(StartReply(0, &sandbox.Refusal{Errno: 13, Reason: "no"}))
	if !errors.As(err, &refusal) || refusal.Errno != 13 || refusal.Reason != "no" {
		t.Errorf("%v", err)
	}
	for _, items := range [][][]byte{nil, {[]byte("ok")}, {[]byte("ok"), {1}}, {[]byte("error"), EncodeInt(1)}, {[]byte("x"), EncodeInt(1), nil}} {
		if _, err := DecodeStartReply(items); !errors.Is(err, ErrReply) {
			t.Errorf("%q: %v", items, err)
		}
	}
}
