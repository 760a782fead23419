package command

import (
	"io"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/journal"
)

// streamJSON is a line of an answer that is told while a session runs.
type streamJSON struct {
	V       int    `json:"v"`
	Seq     int    `json:"seq"` // from 1, of each session
	At      string `json:"at"`
	Kind    string `json:"kind"`
	Session string `json:"session,omitempty"`
	Target  string `json:"target,omitempty"`
	// Text, or Bytes where it is not UTF-8, is what the script has written, of the kinds stdout and stderr.
	Text   *string        `json:"text,omitempty"`
	Bytes  []byte         `json:"text_b64,omitempty"`
	Status journal.Status `json:"status,omitempty"` // of the kind status
	// Result is the session without its outputs, and Exit what the verb ends with, of the kind end.
	Result *sessionJSON `json:"result,omitempty"`
	Exit   *int         `json:"exit_status,omitempty"`
}

// Kinds of lines.
const (
	begunKind  = "begun"
	stdoutKind = "stdout"
	stderrKind = "stderr"
	statusKind = "status"
	endKind    = "end" // the last one
)

// streamed tells of a session in JSON lines. Its methods must not be called at the same time.
type streamed struct {
	to              io.Writer
	session, target string
	now             func() time.Time
	seq             int
	rest            [2][]byte // of stdout and stderr, the beginning of a character whose end has not come yet
}

// tell writes a line.
func (s *streamed) tell(line streamJSON) error {
	s.seq++
	line.V, line.Seq, line.At, line.Session, line.Target = jsonVersion, s.seq, stamp(s.now()), s.session, s.target
	return writeJSON(s.to, line)
}

// streamWriter takes what a script writes to one of its streams.
type streamWriter struct {
	*streamed
	kind string
	rest *[]byte
}

// of is where a stream of the script's goes.
func (s *streamed) of(kind string) io.Writer {
	at := 0
	if kind == stderrKind {
		at = 1
	}
	return &streamWriter{s, kind, &s.rest[at]}
}

// Write implements io.Writer. A character that is written in parts is told whole.
func (w *streamWriter) Write(p []byte) (int, error) {
	data := append(*w.rest, p...)
	whole := wholeCharacters(data)
	*w.rest = append([]byte{}, data[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	return len(p), w.piece(data[:whole])
}

// piece tells what was written.
func (w *streamWriter) piece(data []byte) error {
	line := streamJSON{Kind: w.kind}
	line.Text, line.Bytes = textOrBytes(data)
	return w.tell(line)
}

// wholeCharacters is how much of some bytes ends with no part of a character.
func wholeCharacters(p []byte) int {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}

// flush tells what is left of characters that have no end.
func (s *streamed) flush() error {
	for at, kind := range []string{stdoutKind, stderrKind} {
		rest := s.rest[at]
		if s.rest[at] = nil; len(rest) > 0 {
			if err := (&streamWriter{s, kind, &s.rest[at]}).piece(rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// state tells how the session stands now.
func (s *streamed) state(status journal.Status) error {
	if status.Final() {
		return nil // end says it
	}
	return s.tell(streamJSON{Kind: statusKind, Status: status})
}

// end tells how it has ended, or how it stands where nobody waits for more.
func (s *streamed) end(result *sessionJSON, exit int) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.tell(streamJSON{Kind: endKind, Result: result, Exit: &exit})
}

// endOf is a session as the last line has it.
func endOf(from Service, s journal.Session) *sessionJSON {
	out := wholeJSON(from, s)
	return &out
}
