package policy

import (
	"encoding/json"
	"io"
	"unicode/utf8"

	"shannot-gateway/approvals/render"
)

// MaxLine is the longest line, in bytes, that Serve reads.
const MaxLine = 1 << 20

// request is one line of Serve's input: Argv or Shell is set.
type request struct {
	ID    json.RawMessage `json:"id"`
	Argv  []string        `json:"argv"`
	Shell *string         `json:"shell"`
	Env   []string        `json:"env"`
	Dir   string          `json:"dir"`
}

// reply is one line of its output.
type reply struct {
	ID      json.RawMessage `json:"id"`
	Verdict Verdict         `json:"verdict"`
	Risk    Risk            `json:"risk"`
	Reason  string          `json:"reason"`
	Effect  string          `json:"effect,omitempty"`
	Undo    string          `json:"undo,omitempty"`
}

// Serve answers JSON lines {"id","argv"} or {"id","shell"} with {"id","verdict","risk","reason"}, and "effect" and
// "undo" where they are known. A request may have
// "env" (as Context.EnvChanges) and "dir" (as Context.Dir). Where a line is no request, or is longer than MaxLine, the
// answer is ask, with the reason, and Serve reads the next one. It returns at the end of r, or with the error of a read
// or write.
func Serve(r io.Reader, w io.Writer, j *Judge) error {
	return render.Answer(r, w, MaxLine, func(line []byte, err error) any {
		if err != nil {
			return bad(nil, err.Error())
		}
		return j.answer(line)
	})
}

func bad(id json.RawMessage, why string) reply {
	if len(id) == 0 || !json.Valid(id) {
		id = json.RawMessage("null")
	}
	return reply{ID: id, Verdict: Ask, Risk: Unknown, Reason: "not a request: " + why}
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
		d = j.Shell(*q.Shell, Context{EnvChanges: q.Env, Dir: q.Dir})
	} else {
		d = j.Argv(q.Argv, Context{EnvChanges: q.Env, Dir: q.Dir})
	}
	if len(q.ID) == 0 {
		q.ID = json.RawMessage("null")
	}
	return reply{q.ID, d.Verdict, d.Risk, d.Reason, d.Effect, d.Undo}
}
