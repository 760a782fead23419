package command

import (
	"encoding/json"
	"io"
	"unicode/utf8"

	"shannot-gateway/approvals"
)

// sessionJSON is a session as scripts read it. Output is there only in answers of run, exec and wait.
type sessionJSON struct {
	Session   string           `json:"session"`
	Status    approvals.Status `json:"status"`
	ExitCode  *int             `json:"exit_code"` // null while it is not final
	Stdout    *string          `json:"stdout,omitempty"`
	StdoutB64 []byte           `json:"stdout_b64,omitempty"`
	Stderr    *string          `json:"stderr,omitempty"`
	StderrB64 []byte           `json:"stderr_b64,omitempty"`
	Truncated bool             `json:"truncated"`

	Reason string `json:"reason,omitempty"` // why it was rejected or what ended it

	Operations []operationJSON `json:"operations"`
}

type operationJSON struct {
	N        int    `json:"n"`
	Kind     string `json:"kind"`
	Summary  string `json:"summary"`
	Verdict  string `json:"verdict"`
	Decision string `json:"decision"`
	By       string `json:"by"`
	ExitCode *int   `json:"exit_code"`
	Digest   string `json:"digest"`
	Reason   string `json:"reason,omitempty"` // of a rejection
}

func describe(s approvals.Session) sessionJSON {
	out := sessionJSON{
		Session: s.ID, Status: s.Status, Truncated: s.Truncated, Reason: s.Reason, Operations: []operationJSON{},
	}
	if s.Status.Final() {
		status := exitStatus(s)
		out.ExitCode = &status
	}
	for _, op := range s.Operations {
		out.Operations = append(out.Operations, operationJSON{
			N: op.N, Kind: string(op.Kind), Summary: op.Summary, Verdict: string(op.Verdict),
			Decision: string(op.Decision), By: op.By, Reason: op.Reason, ExitCode: op.ExitCode, Digest: op.Digest,
		})
	}
	return out
}

// withOutput adds what was collected: text where it is UTF-8, base64 where it is not.
func withOutput(s approvals.Session, stdout, stderr *collector) sessionJSON {
	out := describe(s)
	out.Truncated = out.Truncated || stdout.truncated || stderr.truncated
	for _, stream := range []struct {
		from  *collector
		text  **string
		bytes *[]byte
	}{{stdout, &out.Stdout, &out.StdoutB64}, {stderr, &out.Stderr, &out.StderrB64}} {
		if utf8.Valid(stream.from.data) {
			text := string(stream.from.data)
			*stream.text = &text
		} else {
			*stream.bytes = stream.from.data
		}
	}
	return out
}

// writeJSON writes one value and a newline.
func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // a shell's < and > stay readable
	return e.Encode(value)
}
