//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// The guest's sitecustomize talks to the supervisor through the descriptor that opening /dev/shannot gives. Each
// message is a list: a count, then for every item its length and its bytes, all numbers four bytes, little-endian,
// and the whole behind its own length. Items may be lists again, encoded the same way without the outer length.

// Bounds of a message from the guest: argv and environment together are at most what execve(2) takes on Linux with
// the usual 8 MiB stack, and an input that is larger than sandbox.MaxContent is streamed.
const (
	maxFrame = 4 << 20
	maxItems = 1 << 16
)

var errFrame = errors.New("malformed message from the guest")

// readSize reads the size of the message that follows, in bytes.
func readSize(r io.Reader) (int, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxFrame {
		return 0, errFrame
	}
	return int(n), nil
}

// readBody reads a message of n bytes.
func readBody(r io.Reader, n int) ([][]byte, error) {
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return decodeList(body)
}

// decodeList takes a list apart. The items share the memory of b.
func decodeList(b []byte) ([][]byte, error) {
	if len(b) < 4 {
		return nil, errFrame
	}
	count := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if count > maxItems || uint64(count)*4 > uint64(len(b)) {
		return nil, errFrame
	}
	items := make([][]byte, 0, count)
	for range count {
		if len(b) < 4 {
			return nil, errFrame
		}
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(n) > uint64(len(b)) {
			return nil, errFrame
		}
		items = append(items, b[:n:n])
		b = b[n:]
	}
	if len(b) != 0 {
		return nil, errFrame
	}
	return items, nil
}

// encodeList is the inverse of decodeList.
func encodeList(items ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(items)))
	for _, item := range items {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(item)))
		b = append(b, item...)
	}
	return b
}

// writeFrame writes one message.
func writeFrame(w io.Writer, items ...[]byte) error {
	body := encodeList(items...)
	_, err := w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func encodeInt(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

func decodeInt(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, errFrame
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// decodeInt32 is for descriptors and line numbers.
func decodeInt32(b []byte) (int32, error) {
	v, err := decodeInt(b)
	if err != nil || v < math.MinInt32 || v > math.MaxInt32 {
		return 0, errFrame
	}
	return int32(v), nil
}

// startRequest is the one message that a guest sends: start a command.
type startRequest struct {
	line                  int32
	stdin, stdout, stderr int32 // descriptors of the script, -1 for none
	argv, executables     []string
	env                   []string
	inheritEnv            bool
	dir                   string // "" means the working directory
	input                 []byte // everything that will be written to stdin, where hasInput
	hasInput              bool
	pass                  []int32 // further descriptors, for an interpreter
}

// The items of a start request, in order.
const (
	itemOp = iota
	itemLine
	itemStdin
	itemStdout
	itemStderr
	itemArgv
	itemExecutables
	itemEnv // a list of one list, or of none for the script's own environment
	itemDir
	itemInput // a list of one item, the whole input, or of none
	itemPass  // a list of numbers, 8 bytes each
	itemCount
)

// The requests: to start something, and to say which limit's error the script ends with.
const (
	opStart = "start"
	opLimit = "limit"
)

func decodeStart(items [][]byte) (q startRequest, err error) {
	if len(items) != itemCount || string(items[itemOp]) != opStart {
		return q, errFrame
	}
	for i, to := range map[int]*int32{itemLine: &q.line, itemStdin: &q.stdin, itemStdout: &q.stdout, itemStderr: &q.stderr} {
		if *to, err = decodeInt32(items[i]); err != nil {
			return q, err
		}
	}
	if q.argv, err = decodeStrings(items[itemArgv]); err != nil {
		return q, err
	}
	if q.executables, err = decodeStrings(items[itemExecutables]); err != nil {
		return q, err
	}
	outer, err := decodeList(items[itemEnv])
	switch {
	case err != nil || len(outer) > 1:
		return q, errFrame
	case len(outer) == 0:
		q.inheritEnv = true
	default:
		if q.env, err = decodeStrings(outer[0]); err != nil {
			return q, err
		}
	}
	input, err := decodeList(items[itemInput])
	if err != nil || len(input) > 1 {
		return q, errFrame
	}
	if len(input) == 1 {
		q.input, q.hasInput = input[0], true
	}
	if q.pass, err = decodeDescriptors(items[itemPass]); err != nil {
		return q, err
	}
	q.dir = string(items[itemDir])
	if len(q.argv) == 0 || hasNUL(q.dir) {
		return q, errFrame
	}
	return q, nil
}

// decodeStrings decodes a list of C strings: a NUL would end one early in the kernel, after it was judged whole here.
func decodeStrings(b []byte) ([]string, error) {
	items, err := decodeList(b)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = string(item)
		if hasNUL(out[i]) {
			return nil, errFrame
		}
	}
	return out, nil
}

func hasNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}
