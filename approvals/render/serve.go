package render

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is the longest line, in bytes, that Serve reads.
const MaxLine = 16 << 20

// request is one line of Serve's input. Exactly one of the fields after ID is set.
type request struct {
	ID      json.RawMessage `json:"id"`
	Text    *string         `json:"text"`
	B64     *string         `json:"b64"`
	Shell   *string         `json:"shell"`
	Argv    []string        `json:"argv"`
	ArgvB64 []string        `json:"argv_b64"`
}

// reply is one line of its output.
type reply struct {
	ID    json.RawMessage `json:"id"`
	Shown *string         `json:"shown,omitempty"`
	Error string          `json:"error,omitempty"`
}

// Serve answers JSON lines: {"id","text"}, {"id","b64"}, {"id","shell"}, {"id","argv"} or {"id","argv_b64"} (each
// argument in base64) with {"id","shown"}. Text and base64 bytes are rendered by Line, shell text by Block, arguments
// by Argv. A line that is no such request is answered {"id","error"} and the next one is read. A line longer than
// MaxLine is answered the same way. Serve returns at the end of r, or with the error of a read or write.
func Serve(r io.Reader, w io.Writer) error {
	return Answer(r, w, MaxLine, func(line []byte, err error) any {
		if err != nil {
			return reply{ID: json.RawMessage("null"), Error: err.Error()}
		}
		return serveLine(line)
	})
}

// ErrLong is what Answer says of a line that is too long.
var ErrLong = errors.New("line is too long")

// Answer reads lines and writes what answer makes of each as a line of JSON, before it reads the next. Blank lines are passed
// over. Of a line longer than limit bytes answer gets ErrLong, with the limit, and no text. Answer returns at the end of r, or
// with the error of a read or write.
func Answer(r io.Reader, w io.Writer, limit int, answer func(line []byte, err error) any) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := bufio.NewWriter(w)
	for {
		line, err := readLine(in, limit)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, ErrLong):
			return fmt.Errorf("reading requests: %w", err)
		case err == nil && len(bytes.TrimSpace(line)) == 0:
			continue
		}
		if err := JSON(out, answer(line, err)); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
}

// readLine reads a line without its newline. A line that is too long is read to its end, not kept, and reported as
// ErrLong. The last line may lack a newline.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := in.ReadSlice('\n')
		if len(line)+len(piece) > limit+1 {
			long, line = true, nil
		}
		if !long {
			line = append(line, piece...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && (long || len(line) > 0):
			err = nil
		}
		if err == nil && long {
			err = fmt.Errorf("%w: more than %d bytes; send less text at once", ErrLong, limit)
		}
		return bytes.TrimSuffix(line, []byte("\n")), err
	}
}

// serveLine answers one request.
func serveLine(line []byte) reply {
	var q request
	if !utf8.Valid(line) {
		return reply{ID: json.RawMessage("null"), Error: "line is not UTF-8; send such bytes as b64"}
	}
	if err := json.Unmarshal(line, &q); err != nil {
		return reply{ID: idOf(q.ID), Error: "not a request: " + Line(err.Error()).s}
	}
	shown, err := q.render()
	if err != nil {
		return reply{ID: idOf(q.ID), Error: Line(err.Error()).s}
	}
	s := shown.s
	return reply{ID: idOf(q.ID), Shown: &s}
}

// idOf is the id to answer with: null where there is none.
func idOf(id json.RawMessage) json.RawMessage {
	if len(id) == 0 || !json.Valid(id) {
		return json.RawMessage("null")
	}
	return id
}

// render makes the text of the one field that is set.
func (q *request) render() (Text, error) {
	var texts []Text
	if q.Text != nil {
		texts = append(texts, Line(*q.Text))
	}
	if q.Shell != nil {
		texts = append(texts, Block(*q.Shell))
	}
	if q.Argv != nil {
		texts = append(texts, Argv(q.Argv))
	}
	if q.B64 != nil {
		b, err := base64.StdEncoding.DecodeString(*q.B64)
		if err != nil {
			return Text{}, fmt.Errorf("decoding b64: %w", err)
		}
		texts = append(texts, Bytes(b))
	}
	if q.ArgvB64 != nil {
		argv := make([]string, len(q.ArgvB64))
		for i, arg := range q.ArgvB64 {
			b, err := base64.StdEncoding.DecodeString(arg)
			if err != nil {
				return Text{}, fmt.Errorf("decoding argv_b64[%d]: %w", i, err)
			}
			argv[i] = string(b)
		}
		texts = append(texts, Argv(argv))
	}
	if len(texts) != 1 {
		return Text{}, errors.New("a request has exactly one of text, b64, shell, argv, argv_b64")
	}
	return texts[0], nil
}
