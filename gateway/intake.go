package gateway

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/sandbox"
)

// The gateway reads ahead what a client gives a shell command on stdin, up to a size and for a moment. What has ended by
// then is known before anyone decides, and is part of the decision. The rest is a stream.
const (
	maxIntake  = 1 << 20 // bytes
	intakeTime = 250 * time.Millisecond
)

// intake reads a client's stdin ahead.
type intake struct {
	pieces chan []byte
	done   chan struct{}
	once   sync.Once
	rest   []byte
	came   atomic.Bool // the client has sent something
}

func newIntake(from io.Reader) *intake {
	in := &intake{pieces: make(chan []byte), done: make(chan struct{})}
	go func() {
		defer close(in.pieces)
		for {
			piece := make([]byte, 32<<10)
			n, err := from.Read(piece)
			if n > 0 {
				in.came.Store(true)
				select {
				case in.pieces <- piece[:n]:
				case <-in.done:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// gather returns what came, and whether that is all.
func (in *intake) gather(limit int, timeout <-chan time.Time) (content []byte, all bool) {
	for len(content) <= limit {
		select {
		case piece, more := <-in.pieces:
			if !more {
				return content, true
			}
			content = append(content, piece...)
		case <-timeout:
			return content, false
		}
	}
	return content, false
}

// Read implements io.Reader for what gather did not take.
func (in *intake) Read(p []byte) (int, error) {
	if len(in.rest) == 0 {
		piece, more := <-in.pieces
		if !more {
			return 0, io.EOF
		}
		in.rest = piece
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// close lets go of the client's stdin.
func (in *intake) close() { in.once.Do(func() { close(in.done) }) }

// input is a shell command's standard input as the gate wants it.
type input struct {
	kind    string // "none", "data", "stream"
	content []byte
	reader  io.Reader
}

// known is an input whose whole content is there.
func known(kind string, content []byte) input {
	if len(content) == 0 {
		return input{kind: string(sandbox.NoInput)}
	}
	return input{kind: kind, content: content, reader: bytes.NewReader(content)}
}

func (in *intake) input() input {
	timer := time.NewTimer(intakeTime)
	defer timer.Stop()
	content, all := in.gather(maxIntake, timer.C)
	if all {
		return known(string(sandbox.DataInput), content)
	}
	return input{kind: string(sandbox.PipeInput), reader: io.MultiReader(bytes.NewReader(content), in)}
}
