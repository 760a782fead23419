package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of what a client sends. A client that is over them is told so, and served on.
const (
	maxLine     = 16 << 20 // of a message, in bytes
	maxCalls    = 64       // that have no answer yet
	maxInFlight = 32 << 20 // of messages that have no answer yet, in bytes
	maxNotice   = 64 << 10 // of a message that wants no answer, in bytes: nobody counts those
)

// transport is a connection that is there already.
type transport struct{ *wire }

// Connect implements sdk.Transport.
func (t *transport) Connect(context.Context) (sdk.Connection, error) { return t.wire, nil }

// wire is a connection of messages, one a line, whose client may be hostile: a line that is no message is answered, and is not the end.
type wire struct {
	lines *bufio.Reader

	mu     sync.Mutex // of writing
	to     io.Writer
	failed error

	open      sync.Mutex
	calls     map[jsonrpc.ID]unanswered // that have no answer yet
	answering int                       // requests whose answer the client has not taken yet; their ids may be used again
	weight    int                       // the sum of the sizes of both
	first     jsonrpc.ID                // the last request to initialize
	version   string                    // that was agreed on by it; "" for none

	queued []jsonrpc.Message // of a batch, for the only reader

	read   chan message // from the goroutine that reads
	closed chan struct{}
	once   sync.Once
}

// unanswered is a request that has no answer yet.
type unanswered struct {
	size  int    // in bytes
	batch *batch // that it is part of; nil for none
}

// message is a line of the client.
type message struct {
	line []byte
	err  error
}

// newWire begins to read. What is read ends with the reader, or after Close.
func newWire(from io.Reader, to io.Writer) *wire {
	w := &wire{lines: bufio.NewReaderSize(from, 64<<10), to: to, calls: map[jsonrpc.ID]unanswered{}, read: make(chan message), closed: make(chan struct{})}
	go func() { // ends with the channel that it reads
		for {
			line, err := w.line()
			select {
			case w.read <- message{line, err}:
			case <-w.closed:
				return
			}
			if err != nil && !errors.Is(err, errLong) {
				return
			}
		}
	}()
	return w
}

// errLong says that a line was dropped.
var errLong = fmt.Errorf("a message has at most %d bytes", maxLine)

// line reads a line without its end. One that is too long is read to its end, and dropped.
func (w *wire) line() ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := w.lines.ReadSlice('\n')
		if long = long || len(line)+len(piece) > maxLine+1; long {
			line = nil
		} else {
			line = append(line, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && (len(line) == 0 && !long || !errors.Is(err, io.EOF)):
			return nil, err
		case long:
			return nil, errLong
		default: // the last line may have no end
			return bytes.TrimSpace(line), nil
		}
	}
}

// Read implements sdk.Connection: it returns the next message that can be served.
func (w *wire) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		if len(w.queued) > 0 {
			next := w.queued[0]
			w.queued = w.queued[1:]
			return next, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-w.closed:
			return nil, io.EOF
		case m := <-w.read:
			if m.err != nil && !errors.Is(m.err, errLong) {
				return nil, m.err
			}
			if len(m.line) == 0 && m.err == nil {
				continue
			}
			if m.err == nil && m.line[0] == '[' && json.Valid(m.line) && w.hasBatches() {
				if err := w.takeBatch(m.line); err != nil {
					return nil, err
				}
				continue
			}
			msg, id, err := w.take(m, nil)
			if err == nil {
				return msg, nil
			}
			if err := w.refuse(id, err); err != nil {
				return nil, err
			}
		}
	}
}

// take makes a message of a line, or says what is wrong with it, to the request with an id where that is known.
// Where it is part of a batch, that is told of it.
func (w *wire) take(m message, in *batch) (jsonrpc.Message, jsonrpc.ID, *jsonrpc.Error) {
	none := jsonrpc.ID{}
	switch {
	case m.err != nil:
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: m.err.Error()}
	case !json.Valid(m.line): // which bounds how deep it is, too
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: "this line is not JSON: a message is one line"}
	case m.line[0] != '{':
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "a message is a JSON object; batches are of the versions 2024-11-05 and 2025-03-26"}
	}
	msg, err := jsonrpc.DecodeMessage(m.line)
	if err != nil {
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "this is no message of JSON-RPC 2.0"}
	}
	request, ok := msg.(*jsonrpc.Request)
	switch {
	case !ok: // nobody was asked anything
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "this server asks nothing, so there is nothing to answer"}
	case !request.IsCall() && len(m.line) > maxNotice:
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: fmt.Sprintf("a notification has at most %d bytes", maxNotice)}
	case !request.IsCall():
		return msg, none, nil
	}
	if request.Method == "subscriptions/listen" {
		if err := checkListen(request.Params); err != nil {
			return nil, request.ID, err
		}
	}
	w.open.Lock()
	defer w.open.Unlock()
	switch _, used := w.calls[request.ID]; {
	case used:
		return nil, none, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "a request with this id has no answer yet"}
	case len(w.calls)+w.answering >= maxCalls, w.weight+len(m.line) > maxInFlight:
		return nil, request.ID, &jsonrpc.Error{Code: codeBusy, Message: fmt.Sprintf(
			"busy: at most %d requests and %d bytes wait for an answer at a time; nothing was started; try again when one is answered", maxCalls, maxInFlight)}
	}
	if request.Method == "initialize" {
		w.first = request.ID
	}
	w.calls[request.ID] = unanswered{len(m.line), in}
	if in != nil {
		in.asked++
	}
	w.weight += len(m.line)
	return msg, none, nil
}

// codeBusy is of the range that JSON-RPC leaves to servers.
const codeBusy = -32000

// refuse answers with an error; a request whose id is not known is answered with null, as JSON-RPC 2.0 has it.
func (w *wire) refuse(id jsonrpc.ID, why *jsonrpc.Error) error {
	line, err := refusal(id, why)
	if err != nil {
		return err
	}
	return w.write(line)
}

// refusal is such an answer.
func refusal(id jsonrpc.ID, why *jsonrpc.Error) ([]byte, error) {
	line, err := json.Marshal(struct {
		Version string         `json:"jsonrpc"`
		ID      any            `json:"id"`
		Error   *jsonrpc.Error `json:"error"`
	}{"2.0", id.Raw(), why})
	if err != nil {
		return nil, fmt.Errorf("encode an error: %w", err)
	}
	return line, nil
}

// Write implements sdk.Connection.
func (w *wire) Write(_ context.Context, msg jsonrpc.Message) error {
	line, err := jsonrpc.EncodeMessage(msg)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	r, ok := msg.(*jsonrpc.Response)
	if !ok {
		return w.write(line)
	}
	line, done := w.answer(r, line)
	if line == nil {
		return nil
	}
	if err := w.write(line); err != nil {
		return err
	}
	w.open.Lock()
	defer w.open.Unlock()
	w.answering -= done.requests
	w.weight -= done.bytes
	return nil
}

// write writes a line. After a failure there is no other: it may have been written in part.
func (w *wire) write(line []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		_, w.failed = w.to.Write(append(line, '\n'))
	}
	return w.failed
}

// Close implements sdk.Connection.
func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// SessionID implements sdk.Connection.
func (*wire) SessionID() string { return "" }
