// Package output records what scripts and their commands write, so that it can be followed as it comes, shown later, and given to a
// script that runs again. It must never give a script anything that was not checked as a whole.
package output

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"shannot-gateway/approvals/journal"
)

// Stream says where a chunk of a session's output belongs.
type Stream byte

// Streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
	Notice Stream = 3 // a line of the gateway's own, without "shannot: " and newline
	State  Stream = 4 // the session's status changed: Chunk.Status
)

// Chunk is a piece of a session's output.
type Chunk struct {
	Stream Stream
	Data   []byte         // valid until the receiver returns
	Status journal.Status // with State
}

// maxChunk bounds one record of an output file, in bytes.
const maxChunk = 64 << 10

const recordHeader = 5 // stream, four bytes length

// maxNotices bounds the gateway's own lines in one session's record, in bytes.
const maxNotices = 4 << 20

// Recording is what a script or a command has written: a file of records that grows at its end, with any number of readers.
type Recording struct {
	name  string // of the file
	limit int64  // bytes of stdout and stderr, 0 for none

	mu      sync.Mutex
	file    *os.File
	size    int64 // bytes of whole records
	used    int64 // bytes of stdout and stderr
	said    int64 // bytes of notices
	sealed  bool  // the script and its commands add nothing any more
	cut     bool  // something is missing: the limit was reached, or the disk is full
	closed  bool
	changed chan struct{} // closed and replaced when something was added
}

// create makes the file of a recording. An earlier run's is removed, not emptied: who reads it still may.
func create(name string, limit int64) (*Recording, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: record output: %w", journal.ErrStore, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- a name of our own making
	if err != nil {
		return nil, fmt.Errorf("%w: record output: %w", journal.ErrStore, err)
	}
	return &Recording{name: name, file: f, limit: limit, changed: make(chan struct{})}, nil
}

// Add appends a record. Past the limit it fails with journal.ErrOutputLimit, for stdout and stderr.
func (r *Recording) Add(stream Stream, p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.sealed && (stream == Stdout || stream == Stderr) {
		return 0, os.ErrClosed
	}
	written := 0
	for len(p) > 0 {
		n := min(len(p), maxChunk)
		if stream == Stdout || stream == Stderr {
			if r.limit > 0 {
				n = int(min(int64(n), r.limit-r.used))
			}
			if n == 0 {
				r.cut = true
				r.wake()
				return written, journal.ErrOutputLimit
			}
			r.used += int64(n)
		}
		if stream == Notice {
			if r.said += int64(n); r.said > maxNotices {
				return written, journal.ErrOutputLimit
			}
		}
		record := make([]byte, recordHeader+n)
		record[0] = byte(stream)
		binary.LittleEndian.PutUint32(record[1:], uint32(n)) // #nosec G115 -- at most maxChunk
		copy(record[recordHeader:], p[:n])
		if _, err := r.file.WriteAt(record, r.size); err != nil {
			r.cut = true
			return written, fmt.Errorf("%w: record output: %w", journal.ErrStore, err)
		}
		r.size += int64(len(record))
		written += n
		p = p[n:]
	}
	r.wake()
	return written, nil
}

func (r *Recording) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Truncated reports whether something is missing: the limit was reached, or the disk is full.
func (r *Recording) Truncated() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut
}

// seal lets nothing be added but the gateway's own words, and returns the size in bytes.
func (r *Recording) seal() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed = true
	return r.size
}

// Close makes the output durable and ends it; readers get to its end.
func (r *Recording) Close() error { return r.End(true) }

// End is Close. One that is kept elsewhere next need not be durable itself.
func (r *Recording) End(durable bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	defer r.wake()
	var err error
	if durable && r.size > 0 {
		err = r.file.Sync()
	}
	if cerr := r.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		r.cut = true
		return fmt.Errorf("%w: record output: %w", journal.ErrStore, err)
	}
	return nil
}

// Kept is how many bytes of stdout and stderr were kept.
func (r *Recording) Kept() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

func (r *Recording) state() (size int64, closed bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size, r.closed, r.changed
}

// Follow calls fn with every record, those to come included, until the output is closed. States of the time before are
// left out: they hold no more.
func (r *Recording) Follow(ctx context.Context, fn func(Chunk) error) error {
	f, err := os.Open(r.name)
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = f.Close() }()
	past, _, _ := r.state()
	var at int64
	for {
		size, closed, changed := r.state()
		if at < size {
			if err := readRecords(io.NewSectionReader(f, at, size-at), at, past, fn); err != nil {
				return err
			}
			at = size
			continue
		}
		if closed {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Replay calls fn with the recorded stdout and stderr that r gives, of a session or a command that runs no more.
func Replay(r io.Reader, fn func(Chunk) error) error {
	err := readRecords(r, 0, math.MaxInt64, func(c Chunk) error {
		if c.Stream == Notice || c.Stream == State {
			return nil // it was news while the session was alive
		}
		return fn(c)
	})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // the gateway died in the middle of the last record
	}
	return err
}

// readRecords decodes records that start at offset at. Of those before past, states are left out.
func readRecords(r io.Reader, at, past int64, fn func(Chunk) error) error {
	in := bufio.NewReader(r)
	for {
		var header [recordHeader]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := binary.LittleEndian.Uint32(header[1:])
		if n > maxChunk {
			return errors.New("read recorded output: malformed record")
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		old := at < past
		at += recordHeader + int64(n)
		c := Chunk{Stream: Stream(header[0]), Data: data}
		switch c.Stream {
		case Stdout, Stderr, Notice:
		case State:
			if old {
				continue
			}
			c.Status = journal.Status(data)
		default:
			return errors.New("read recorded output: unknown stream")
		}
		if err := fn(c); err != nil {
			return err
		}
	}
}

// recorder is one of a recording's streams.
type recorder struct {
	to     *Recording
	stream Stream
}

// Write records p. It fails with ErrOutputLimit past the limit.
func (r recorder) Write(p []byte) (int, error) { return r.to.Add(r.stream, p) }

// Writer records what is written to it. A write fails with journal.ErrOutputLimit past the limit.
func (r *Recording) Writer(s Stream) io.Writer { return recorder{r, s} }

// Tee passes on what is written to it, and records it. What does not fit any more is only passed on.
func (r *Recording) Tee(to io.Writer, s Stream) io.Writer {
	if to == nil {
		to = io.Discard
	}
	return &tee{to, r, s}
}

type tee struct {
	to     io.Writer
	record *Recording
	stream Stream
}

func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.record.Add(t.stream, p) // what is missing is known from the record
	return t.to.Write(p)
}
