// Package frames is what the guest inside a sandbox and its engine say to each other through /dev/shannot. Each message is a
// list: a count, then for every item its length and its bytes, and the whole behind its own length. All numbers have four
// bytes, little-endian. Items may be lists again, encoded the same way without the outer length. Every byte comes from the
// script: what does not fit exactly is ErrMalformed. The package knows the messages and does nothing that they ask for.
// Begin with ReadBody and DecodeStart in this file.
package frames

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"syscall"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// Bounds of a message from the guest: argv and environment together are at most what execve(2) takes on Linux with
// the usual 8 MiB stack, and an input that is larger than sandbox.MaxContent is streamed.
const (
	MaxSize   = 4 << 20 // bytes
	MaxPassed = 64      // descriptors that an interpreter is handed beside its standard streams
	MaxTried  = 64      // paths that are tried for one executable, as many as the gate tries; those behind them are dropped
	maxItems  = 1 << 16

	// maxDescriptor is above every number that a descriptor of a script can have.
	maxDescriptor = 1024
)

// PythonVariable begins the variable that tells the sandbox's shell where the sandbox's Python is.
const PythonVariable = "SHANNOT_PYTHON="

// ErrMalformed says that a message is none that a guest sends.
var ErrMalformed = errors.New("malformed message from the guest")

// ReadSize reads the size of the message that follows, in bytes.
func ReadSize(r io.Reader) (int, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > MaxSize {
		return 0, ErrMalformed
	}
	return int(n), nil
}

// ReadBody reads a message of n bytes.
func ReadBody(r io.Reader, n int) ([][]byte, error) {
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return DecodeList(body)
}

// DecodeList takes a list apart. The items share the memory of b.
func DecodeList(b []byte) ([][]byte, error) {
	if len(b) < 4 {
		return nil, ErrMalformed
	}
	count := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if count > maxItems || uint64(count)*4 > uint64(len(b)) {
		return nil, ErrMalformed
	}
	items := make([][]byte, 0, count)
	for range count {
		if len(b) < 4 {
			return nil, ErrMalformed
		}
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(n) > uint64(len(b)) {
			return nil, ErrMalformed
		}
		items = append(items, b[:n:n])
		b = b[n:]
	}
	if len(b) != 0 {
		return nil, ErrMalformed
	}
	return items, nil
}

// EncodeList is the inverse of DecodeList.
func EncodeList(items ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(items)))
	for _, item := range items {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(item)))
		b = append(b, item...)
	}
	return b
}

// Write writes one message, at once.
func Write(w io.Writer, items ...[]byte) error {
	body := EncodeList(items...)
	_, err := w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// EncodeInt encodes a number as an item.
func EncodeInt(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

// DecodeInt is the inverse of EncodeInt.
func DecodeInt(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, ErrMalformed
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// DecodeInt32 is DecodeInt for descriptors and line numbers.
func DecodeInt32(b []byte) (int32, error) {
	v, err := DecodeInt(b)
	if err != nil || v < math.MinInt32 || v > math.MaxInt32 {
		return 0, ErrMalformed
	}
	return int32(v), nil
}

// Start is a request to start a command.
type Start struct {
	Line                  int32
	Stdin, Stdout, Stderr int32 // descriptors of the script, -1 for none
	Argv, Executables     []string
	Env                   []string
	InheritEnv            bool
	Dir                   string // "" means the working directory
	Input                 []byte // everything that will be written to stdin, where HasInput
	HasInput              bool
	Pass                  []int32 // further descriptors, for an interpreter
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

// The requests: to start something, to say which limit's error the script ends with, and to wait for a session.
const (
	OpStart = "start"
	OpLimit = "limit"
	OpWait  = "wait"
)

// DecodeStart takes a start request apart.
func DecodeStart(items [][]byte) (q Start, err error) {
	if len(items) != itemCount || string(items[itemOp]) != OpStart {
		return q, ErrMalformed
	}
	for i, to := range map[int]*int32{itemLine: &q.Line, itemStdin: &q.Stdin, itemStdout: &q.Stdout, itemStderr: &q.Stderr} {
		if *to, err = DecodeInt32(items[i]); err != nil {
			return q, err
		}
	}
	if q.Argv, err = decodeStrings(items[itemArgv]); err != nil {
		return q, err
	}
	if q.Executables, err = decodeStrings(items[itemExecutables]); err != nil {
		return q, err
	}
	q.Executables = q.Executables[:min(len(q.Executables), MaxTried)]
	outer, err := DecodeList(items[itemEnv])
	switch {
	case err != nil || len(outer) > 1:
		return q, ErrMalformed
	case len(outer) == 0:
		q.InheritEnv = true
	default:
		if q.Env, err = decodeStrings(outer[0]); err != nil {
			return q, err
		}
	}
	input, err := DecodeList(items[itemInput])
	if err != nil || len(input) > 1 {
		return q, ErrMalformed
	}
	if len(input) == 1 {
		q.Input, q.HasInput = input[0], true
	}
	if q.Pass, err = DecodeDescriptors(items[itemPass]); err != nil {
		return q, err
	}
	q.Dir = string(items[itemDir])
	if len(q.Argv) == 0 || hasNUL(q.Dir) {
		return q, ErrMalformed
	}
	return q, nil
}

// decodeStrings decodes a list of C strings: a NUL would end one early in the kernel, after it was judged whole here.
func decodeStrings(b []byte) ([]string, error) {
	items, err := DecodeList(b)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = string(item)
		if hasNUL(out[i]) {
			return nil, ErrMalformed
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

// DecodeDescriptors decodes the numbers of descriptors to pass on. Standard streams are not among them.
func DecodeDescriptors(b []byte) ([]int32, error) {
	items, err := DecodeList(b)
	if err != nil || len(items) > MaxPassed {
		return nil, ErrMalformed
	}
	var out []int32
	for _, item := range items {
		if len(item) != 8 {
			return nil, ErrMalformed
		}
		n := binary.LittleEndian.Uint64(item)
		if n < 3 || n >= maxDescriptor || slices.Contains(out, int32(n)) { // #nosec G115 -- compared first
			return nil, ErrMalformed
		}
		out = append(out, int32(n)) // #nosec G115 -- below maxDescriptor
	}
	return out, nil
}

// EncodeStart is the inverse of DecodeStart.
func EncodeStart(q Start) [][]byte {
	texts := func(list []string) []byte {
		items := make([][]byte, len(list))
		for i, t := range list {
			items[i] = []byte(t)
		}
		return EncodeList(items...)
	}
	env, input := EncodeList(), EncodeList()
	if !q.InheritEnv {
		env = EncodeList(texts(q.Env))
	}
	if q.HasInput {
		input = EncodeList(q.Input)
	}
	pass := make([][]byte, len(q.Pass))
	for i, fd := range q.Pass {
		pass[i] = EncodeInt(int64(fd))
	}
	return [][]byte{
		itemOp: []byte(OpStart), itemLine: EncodeInt(int64(q.Line)), itemStdin: EncodeInt(int64(q.Stdin)), itemStdout: EncodeInt(int64(q.Stdout)),
		itemStderr: EncodeInt(int64(q.Stderr)), itemArgv: texts(q.Argv), itemExecutables: texts(q.Executables), itemEnv: env,
		itemDir: []byte(q.Dir), itemInput: input, itemPass: EncodeList(pass...),
	}
}

// ErrReply says that an answer is none that the supervisor gives.
var ErrReply = errors.New("malformed answer of the supervisor")

// DecodeStartReply is the inverse of StartReply: a process id, or a *sandbox.Refusal.
func DecodeStartReply(items [][]byte) (pid int, err error) {
	if len(items) < 2 {
		return 0, ErrReply
	}
	number, err := DecodeInt(items[1])
	switch {
	case err != nil:
		return 0, ErrReply
	case string(items[0]) == "ok" && len(items) == 2:
		return int(number), nil
	case string(items[0]) == "error" && len(items) == 3:
		return 0, &sandbox.Refusal{Errno: syscall.Errno(number), Reason: string(items[2])} // #nosec G115 -- an errno
	}
	return 0, ErrReply
}

// StartReply encodes a started command's process id, or the error that the guest raises as OSError.
func StartReply(pid int, err error) [][]byte {
	if err == nil {
		return [][]byte{[]byte("ok"), EncodeInt(int64(pid))}
	}
	var refusal *sandbox.Refusal
	if errors.As(err, &refusal) {
		return [][]byte{[]byte("error"), EncodeInt(int64(refusal.Errno)), []byte(refusal.Reason)}
	}
	return [][]byte{[]byte("error"), EncodeInt(int64(vfs.ErrnoOf(err))), nil}
}
