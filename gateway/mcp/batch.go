package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// batch is several messages in one line, as JSON-RPC 2.0 has it and these versions of the protocol had it. Its answers go in one line, too,
// once all of them are there.
type batch struct {
	asked   int // requests that are to be answered
	done    answeredBy
	answers [][]byte
}

// hasBatches reports whether the version that was agreed on has batches.
func (w *wire) hasBatches() bool {
	w.open.Lock()
	defer w.open.Unlock()
	return w.version == "2024-11-05" || w.version == "2025-03-26"
}

// takeBatch takes the messages of a line that is an array. A message that cannot be served is answered among the others.
func (w *wire) takeBatch(line []byte) error {
	parts, err := partsOf(line)
	if err != nil {
		return w.refuse(jsonrpc.ID{}, err)
	}
	b := &batch{}
	for _, part := range parts {
		msg, id, err := w.take(message{line: part}, b)
		if err == nil {
			w.queued = append(w.queued, msg)
			continue
		}
		answer, wrong := refusal(id, err)
		if wrong != nil {
			return wrong
		}
		b.answers = append(b.answers, answer)
	}
	// None of its requests has been served yet: what is queued is read after this.
	if b.asked == 0 && len(b.answers) > 0 {
		return w.write(b.line())
	}
	return nil
}

// partsOf parts an array, which is known to be JSON.
func partsOf(line []byte) ([]json.RawMessage, *jsonrpc.Error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if _, err := dec.Token(); err != nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: err.Error()}
	}
	var parts []json.RawMessage
	for dec.More() {
		var part json.RawMessage
		if err := dec.Decode(&part); err != nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeParseError, Message: err.Error()}
		}
		if parts = append(parts, part); len(parts) > maxCalls {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: fmt.Sprintf("a batch has at most %d messages; nothing of it was done", maxCalls)}
		}
	}
	if len(parts) == 0 {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest, Message: "the batch is empty"}
	}
	return parts, nil
}

// line is its answers.
func (b *batch) line() []byte {
	return append(append([]byte{'['}, bytes.Join(b.answers, []byte{','})...), ']')
}

// answeredBy are requests that a line answers. They count until the client has taken it.
type answeredBy struct{ requests, bytes int }

// answer takes down the answer to a request. It returns the line that is to be written now, nil for none, and what that answers.
func (w *wire) answer(r *jsonrpc.Response, line []byte) (now []byte, done answeredBy) {
	w.open.Lock()
	defer w.open.Unlock()
	if r.ID == w.first && r.Error == nil && w.version == "" {
		var agreed struct {
			Version string `json:"protocolVersion"`
		}
		if json.Unmarshal(r.Result, &agreed) == nil {
			w.version = agreed.Version
		}
	}
	call, ok := w.calls[r.ID]
	if !ok { // of none that counts
		return line, done
	}
	delete(w.calls, r.ID)
	w.answering++
	b := call.batch
	if b == nil {
		return line, answeredBy{1, call.size}
	}
	b.answers = append(b.answers, line)
	b.done.requests++
	b.done.bytes += call.size
	if b.done.requests < b.asked {
		return nil, done
	}
	return b.line(), b.done
}
