package policy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is the longest line, in bytes, that Serve reads.
const MaxLine = 1 << 20

// request is one line of Serve's input: Argv or Shell is set.
type request struct {
	ID    json.RawMessage `json:"id"`
	Argv  []string        `json:"argv"`
	Shell *string         `json:"shell"`
	Env   []string        `json:"env"`
}

// reply is one line of its output.
type reply struct {
	ID      json.RawMessage `json:"id"`
	Verdict Verdict         `json:"verdict"`
	Risk    Risk            `json:"risk"`
	Reason  string          `json:"reason"`
}

// Serve answers JSON lines {"id","argv"} or {"id","shell"}, each with an optional "env" (as Context.EnvChanges), with
// {"id","verdict","risk","reason"}. A line that is no such request, or is longer than MaxLine, is answered ask, with
// the reason, and the next one is read. Serve returns at the end of r, or with the error of a read or write.
func Serve(r io.Reader, w io.Writer, j *Judge) error {
	in := bufio.NewReaderSize(r, 64<<10)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for {
		line, long, err := readLine(in)
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading requests: %w", err)
		}
		end := err == io.EOF
		var answer reply
		switch {
		case long:
			answer = bad(nil, fmt.Sprintf("line is longer than %d bytes", MaxLine))
		case len(trimBlank(line)) == 0:
			if end {
				return nil
			}
			continue
		default:
			answer = j.answer(line)
		}
		if err := out.Encode(answer); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
		if end {
			return nil
		}
	}
}

// readLine reads a line; one that is too long is read to its end and not kept.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		piece, err := in.ReadSlice('\n')
		if len(line)+len(piece) > MaxLine+1 {
			long, line = true, nil
		}
		if !long {
			line = append(line, piece...)
		}
		if err != bufio.ErrBufferFull {
			return line, long, err
		}
	}
}

func trimBlank(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}

func bad(id json.RawMessage, why string) reply {
	if len(id) == 0 || !json.Valid(id) {
		id = json.RawMessage("null")
	}
	return reply{id, Ask, Unknown, "not a request: " + why}
}

// answer judges one request.
func (j *Judge) answer(line []byte) reply {
	var q request
	if !utf8.Valid(line) {
		return bad(nil, "line is not UTF-8")
	}
	if err := json.Unmarshal(line, &q); err != nil {
		return bad(q.ID, shown(err.Error()))
	}
	if (q.Argv != nil) == (q.Shell != nil) {
		return bad(q.ID, "it has exactly one of argv and shell")
	}
	var d Decision
	if q.Shell != nil {
		d = j.Shell(*q.Shell, Context{EnvChanges: q.Env})
	} else {
		d = j.Argv(q.Argv, Context{EnvChanges: q.Env})
	}
	if len(q.ID) == 0 {
		q.ID = json.RawMessage("null")
	}
	return reply{q.ID, d.Verdict, d.Risk, d.Reason}
}
