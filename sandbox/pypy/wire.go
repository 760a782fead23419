//go:build linux && (amd64 || arm64)

package pypy

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"syscall"
)

// Version is the protocol that this driver speaks.
const Version = 20001

// Bounds of what the child may say in one message, in bytes.
const (
	maxRequest = 512     // the name and the arguments of a call
	maxPath    = 4096    // a path with its NUL, PATH_MAX of limits.h
	maxCommand = 1 << 20 // a command line, or one variable of the environment
	maxBlock   = 1 << 20 // what one read or write moves
)

// subverted is why a child is ended: it said what no interpreter says.
type subverted struct{ what string }

func (e *subverted) Error() string { return "the interpreter broke its protocol: " + e.what }

// A request is one call of the child.
type request struct {
	function *function
	args     []uint64 // valid until the next request
}

// wire is the two pipes to the child. A failure to read or write is final; it is returned by every call from then on.
type wire struct {
	in  *bufio.Reader
	out io.Writer

	pending []byte // memory commands that were not sent yet
	err     error

	name  [255]byte
	words [maxRequest / 8]uint64
}

func newWire(in io.Reader, out io.Writer) *wire {
	return &wire{in: bufio.NewReaderSize(in, 64<<10), out: out}
}

// fail remembers the first failure.
func (w *wire) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

func (w *wire) read(p []byte) error {
	if w.err != nil {
		return w.err
	}
	if _, err := io.ReadFull(w.in, p); err != nil {
		return w.fail(io.EOF) // in the middle of a message too: the child is gone
	}
	return nil
}

func (w *wire) readWord() (uint64, error) {
	var word [8]byte
	if err := w.read(word[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(word[:]), nil
}

// next reads a request. io.EOF says that the child has ended.
func (w *wire) next() (request, error) {
	var size [1]byte
	if err := w.read(size[:]); err != nil {
		return request{}, err
	}
	if size[0] == 0 {
		return request{}, w.fail(&subverted{"a call without a name"})
	}
	name := w.name[:size[0]]
	if err := w.read(name); err != nil {
		return request{}, err
	}
	f := functions[string(name)]
	if f == nil {
		var ok bool
		if f, ok = unknownFunction(string(name)); !ok {
			return request{}, w.fail(&subverted{"a call that is none"})
		}
	}
	if len(name)+8*f.words > maxRequest {
		return request{}, w.fail(&subverted{"a call with too many arguments"})
	}
	for i := range f.words {
		word, err := w.readWord()
		if err != nil {
			return request{}, err
		}
		w.words[i] = word
	}
	return request{f, w.words[:f.words]}, nil
}

// flush sends what is pending.
func (w *wire) flush() error {
	if w.err != nil {
		return w.err
	}
	if len(w.pending) == 0 {
		return nil
	}
	_, err := w.out.Write(w.pending)
	w.pending = w.pending[:0]
	if err != nil {
		return w.fail(io.EOF) // the child's end is closed; how it ended says why
	}
	return nil
}

func (w *wire) command(letter byte, words ...uint64) {
	w.pending = append(w.pending, letter)
	for _, word := range words {
		w.pending = binary.LittleEndian.AppendUint64(w.pending, word)
	}
}

// texts reads C strings of at most limit bytes with their NULs, in one round trip. EFAULT for a null pointer,
// ENAMETOOLONG for a longer one.
func (w *wire) texts(limit uint64, addresses ...uint64) ([]string, error) {
	for _, a := range addresses {
		if a == 0 {
			return nil, syscall.EFAULT
		}
	}
	for _, a := range addresses {
		w.command('Z', a, limit)
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	out := make([]string, len(addresses))
	long := false
	for i := range out {
		size, err := w.readWord()
		if err != nil {
			return nil, err
		}
		if size > limit {
			return nil, w.fail(&subverted{"a string longer than it was asked for"})
		}
		b := make([]byte, size)
		if err := w.read(b); err != nil {
			return nil, err
		}
		text, rest, _ := strings.Cut(string(b), "\x00")
		if rest != "" || len(text) != len(b) {
			return nil, w.fail(&subverted{"a string with a NUL in it"})
		}
		long = long || size >= limit
		out[i] = text
	}
	if long {
		return nil, syscall.ENAMETOOLONG
	}
	return out, nil
}

// path reads one path.
func (w *wire) path(address uint64) (string, error) {
	names, err := w.texts(maxPath, address)
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// fetch reads memory into p. EFAULT for a null pointer.
func (w *wire) fetch(address uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if address == 0 {
		return syscall.EFAULT
	}
	w.command('R', address, uint64(len(p)))
	if err := w.flush(); err != nil {
		return err
	}
	return w.read(p)
}

// store writes memory, with the result or the next question. EFAULT for a null pointer.
func (w *wire) store(address uint64, p []byte) error {
	if address == 0 {
		return syscall.EFAULT
	}
	w.command('W', address, uint64(len(p)))
	w.pending = append(w.pending, p...)
	return w.err
}

// allocate stores each block in memory that the child allocates for it, in one round trip. ENOMEM where it has none.
func (w *wire) allocate(blocks ...[]byte) ([]uint64, error) {
	for _, b := range blocks {
		w.command('M', uint64(len(b)))
		w.pending = append(w.pending, b...)
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	out := make([]uint64, len(blocks))
	none := false
	for i := range out {
		address, err := w.readWord()
		if err != nil {
			return nil, err
		}
		none = none || address == 0
		out[i] = address
	}
	if none {
		return nil, syscall.ENOMEM
	}
	return out, nil
}

// free gives memory back that allocate got.
func (w *wire) free(address uint64) { w.command('F', address) }

// setErrno sets what the caller will find in errno, for a result that says so by itself.
func (w *wire) setErrno(errno syscall.Errno) {
	w.pending = append(w.pending, 'E')
	w.pending = binary.LittleEndian.AppendUint32(w.pending, uint32(errno))
}

// finish ends the exchange with a result of the function's type.
func (w *wire) finish(f *function, value uint64, errno syscall.Errno) error {
	if errno != 0 {
		w.setErrno(errno)
	}
	if f.result == 'v' {
		w.pending = append(w.pending, 'v')
	} else {
		w.command(f.result, value)
	}
	if err := w.flush(); err != nil {
		return err
	}
	if cap(w.pending) > 2*maxBlock {
		w.pending = nil // one large answer does not keep its room for ever
	}
	return nil
}
