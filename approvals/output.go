package approvals

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
)

// Stream says where a chunk of a session's output belongs.
type Stream byte

// Streams.
const (
	StreamStdout Stream = 1
	StreamStderr Stream = 2
	StreamNotice Stream = 3 // a line of the gateway's own, without "shannot: " and newline
	StreamState  Stream = 4 // the session's status changed: Chunk.Status
)

// Chunk is a piece of a session's output.
type Chunk struct {
	Stream Stream
	Data   []byte // valid until the receiver returns
	Status Status // with StreamState
}

// maxChunk bounds one record of an output file, in bytes.
const maxChunk = 64 << 10

const recordHeader = 5 // stream, four bytes length

// maxNotices bounds the gateway's own lines in one session's record, in bytes.
const maxNotices = 4 << 20

// output is a session's recorded output: a file of records that grows at its end, with any number of readers.
type output struct {
	limit int64 // bytes of stdout and stderr, 0 for none

	mu      sync.Mutex
	file    *os.File
	size    int64 // bytes of whole records
	used    int64 // bytes of stdout and stderr
	said    int64 // bytes of notices
	cut     bool  // something is missing: the limit was reached, or the disk is full
	sealed  bool  // the script and its commands add nothing any more
	closed  bool
	changed chan struct{} // closed and replaced when something was added
}

// createOutput makes a session's file. An earlier run's is removed, not emptied: who reads it still may.
func createOutput(name string, limit int64) (*output, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: record output: %w", ErrStore, err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // #nosec G304 -- a name of our own making
	if err != nil {
		return nil, fmt.Errorf("%w: record output: %w", ErrStore, err)
	}
	return &output{file: f, limit: limit, changed: make(chan struct{})}, nil
}

// add appends a record. Past the limit it fails with ErrOutputLimit, for stdout and stderr.
func (o *output) add(stream Stream, p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.sealed && (stream == StreamStdout || stream == StreamStderr) {
		return 0, os.ErrClosed
	}
	written := 0
	for len(p) > 0 {
		n := min(len(p), maxChunk)
		if stream == StreamStdout || stream == StreamStderr {
			if o.limit > 0 {
				n = int(min(int64(n), o.limit-o.used))
			}
			if n == 0 {
				o.cut = true
				o.wake()
				return written, ErrOutputLimit
			}
			o.used += int64(n)
		}
		if stream == StreamNotice {
			if o.said += int64(n); o.said > maxNotices {
				return written, ErrOutputLimit
			}
		}
		record := make([]byte, recordHeader+n)
		record[0] = byte(stream)
		binary.LittleEndian.PutUint32(record[1:], uint32(n)) // #nosec G115 -- at most maxChunk
		copy(record[recordHeader:], p[:n])
		if _, err := o.file.WriteAt(record, o.size); err != nil {
			o.cut = true
			return written, fmt.Errorf("%w: record output: %w", ErrStore, err)
		}
		o.size += int64(len(record))
		written += n
		p = p[n:]
	}
	o.wake()
	return written, nil
}

func (o *output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) truncated() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cut
}

// seal lets nothing be added but the gateway's own words, and returns the size in bytes.
func (o *output) seal() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
	return o.size
}

// close makes the output durable and ends it; readers get to its end.
func (o *output) close() error { return o.end(true) }

// end is close. One that is kept elsewhere next need not be durable itself.
func (o *output) end(durable bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	defer o.wake()
	var err error
	if durable && o.size > 0 {
		err = o.file.Sync()
	}
	if cerr := o.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		o.cut = true
		return fmt.Errorf("%w: record output: %w", ErrStore, err)
	}
	return nil
}

// kept is how many bytes of stdout and stderr were kept.
func (o *output) kept() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.used
}

func (o *output) state() (size int64, closed bool, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size, o.closed, o.changed
}

// follow calls fn with every record, those to come included, until the output is closed. States of the time before are
// left out: they hold no more.
func (o *output) follow(ctx context.Context, name string, fn func(Chunk) error) error {
	f, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = f.Close() }()
	past, _, _ := o.state()
	var at int64
	for {
		size, closed, changed := o.state()
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

// replayOutput calls fn with the recorded stdout and stderr of a session that runs no more.
func replayOutput(name string, fn func(Chunk) error) error {
	f, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = f.Close() }()
	return replayRecords(f, fn)
}

// replayRecords is replayOutput for what is open.
func replayRecords(r io.Reader, fn func(Chunk) error) error {
	err := readRecords(r, 0, math.MaxInt64, func(c Chunk) error {
		if c.Stream == StreamNotice || c.Stream == StreamState {
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
		case StreamStdout, StreamStderr, StreamNotice:
		case StreamState:
			if old {
				continue
			}
			c.Status = Status(data)
		default:
			return errors.New("read recorded output: unknown stream")
		}
		if err := fn(c); err != nil {
			return err
		}
	}
}

// recorder is one of a session's streams as a writer.
type recorder struct {
	out    *output
	stream Stream
}

// Write records p. It fails with ErrOutputLimit past the limit.
func (r recorder) Write(p []byte) (int, error) { return r.out.add(r.stream, p) }
