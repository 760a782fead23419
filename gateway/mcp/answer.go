package mcp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// Bounds of what a model reads of one answer, in bytes.
const (
	maxShown = 16 << 10 // of a stream
	maxDiff  = 8 << 10  // of a change
	maxOps   = 20       // operations that wait
)

// pending is the status of a session that waits for a human.
const pending = "pending_approval"

// outcome is what a tool that runs something answers.
type outcome struct {
	Status   string `json:"status" jsonschema:"pending_approval, running, done, failed (ended non-zero), planned, rejected, cancelled, expired, timeout; refused where nothing was started"`
	Session  string `json:"session,omitempty" jsonschema:"id, for session_result and cancel_session"`
	Target   string `json:"target,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`

	Stdout        string `json:"stdout,omitempty"`
	Stderr        string `json:"stderr,omitempty"`
	StdoutLeftOut string `json:"stdout_left_out,omitempty" jsonschema:"what was cut in the middle, and how to get it"`
	StderrLeftOut string `json:"stderr_left_out,omitempty"`

	Waiting  []waiting `json:"waiting,omitempty" jsonschema:"what waits for a human, as the human sees it"`
	Deadline string    `json:"deadline,omitempty" jsonschema:"when it expires undecided"`
	TellUser string    `json:"tell_user,omitempty" jsonschema:"words for your user"`
	Next     string    `json:"next,omitempty" jsonschema:"what to do now"`
	Notices  []string  `json:"notices,omitempty" jsonschema:"the gateway's own words"`
	Others   []string  `json:"other_sessions,omitempty" jsonschema:"of further targets: get each with session_result"`
}

// waiting is an operation that a human decides on.
type waiting struct {
	N       int    `json:"n"`
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
	Reason  string `json:"reason,omitempty"`
	Effect  string `json:"effect,omitempty"`
	Undo    string `json:"undo,omitempty"`
	Risk    string `json:"risk,omitempty"`
	Diff    string `json:"diff,omitempty"`
}

// outcomeOf puts an answer of run, exec or wait into words. Of what it wrote, shown says how much is told.
func outcomeOf(a *answered, shown window) *outcome {
	all := a.sessions()
	if len(all) == 0 {
		out := &outcome{Status: "refused", Notices: a.notices, Next: "read notices: nothing was started"}
		if a.status == command.ExitWaiting || a.status == command.ExitOK {
			out.Status = "unknown"
		}
		return out
	}
	s := all[0]
	out := &outcome{Status: s.Status, Session: s.Session, Target: s.Target, ExitCode: s.ExitCode, Notices: a.notices}
	for _, other := range all[1:] {
		out.Others = append(out.Others, other.Session+" on "+other.Target+": "+other.Status)
	}
	out.Stdout, out.StdoutLeftOut = shown.of(s.Session, "stdout", text(s.Stdout, s.StdoutB64))
	out.Stderr, out.StderrLeftOut = shown.of(s.Session, "stderr", text(s.Stderr, s.StderrB64))
	if s.Truncated {
		out.Notices = append(out.Notices, "the output is longer than the gateway keeps")
	}
	out.take(&s)
	switch s.Status {
	case "held", "parked":
		out.wait(&s)
	case "running":
		out.Next = fmt.Sprintf("it runs on: call session_result with session %q", s.Session)
	case "rejected":
		out.Next = "a human or the policy said no: do not ask for it again and look for no way around it; ask your user"
	case "done":
		if strings.HasPrefix(s.Script, writeFileHead) && len(s.Operations) == 0 {
			out.Next = "nothing has changed: the file held this already, or it is in scratch (/tmp), which has vanished with the session"
		}
	}
	return out
}

// take takes down what a session waits for.
func (o *outcome) take(s *session) {
	for i := range s.Operations {
		op := &s.Operations[i]
		if op.Decision != "waiting" || len(o.Waiting) == maxOps {
			continue
		}
		diff, left := window{limit: maxDiff}.of("", "", op.Diff)
		if left != "" {
			diff += "\n" + left
		}
		o.Waiting = append(o.Waiting, waiting{op.N, op.Kind, op.Summary, op.Reason, op.Effect, op.Undo, op.Risk, diff})
	}
}

// wait says what a session waits for. What it waits for may have been decided on already.
func (o *outcome) wait(s *session) {
	if s.GoesOn {
		o.Status, o.Next = "running", fmt.Sprintf("it was decided on and goes on: call session_result with session %q", s.Session)
		return
	}
	o.Status = pending
	if s.Deadline != nil {
		o.Deadline = *s.Deadline
	}
	what := make([]string, 0, len(o.Waiting))
	for _, w := range o.Waiting {
		what = append(what, w.Summary)
	}
	o.TellUser = fmt.Sprintf("Session %s on %s waits for an approver: %s. An approver decides with: ssh -t HOST approve %s (HOST: the gateway).",
		s.Session, s.Target, strings.Join(what, "; "), s.Session)
	o.Next = fmt.Sprintf("tell your user, then call session_result with session %q; do not start it again. You cannot approve it yourself", s.Session)
	if s.Obstacle != "" {
		o.Notices = append(o.Notices, "it cannot be approved now: "+s.Obstacle)
	}
}

// result is an outcome as a tool's result: the gateway's words first, then what the script wrote, each in a piece of its own, so that
// no script can speak for the gateway.
func (o *outcome) result() *sdk.CallToolResult {
	about := *o
	about.Stdout, about.Stderr = "", ""
	pieces := []sdk.Content{&sdk.TextContent{Text: indented(about)}}
	for _, stream := range []struct{ name, text string }{{"stdout", o.Stdout}, {"stderr", o.Stderr}} {
		if stream.text != "" {
			pieces = append(pieces, &sdk.TextContent{Text: stream.name + ":\n" + stream.text})
		}
	}
	failed := []string{"refused", "unknown", "rejected", "cancelled", "expired", "timeout"}
	return &sdk.CallToolResult{Content: pieces, IsError: slices.Contains(failed, o.Status)}
}

// indented is a value as JSON for a reader.
func indented(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// window is how much of a stream is told: from an offset, where one is asked for, else both its ends.
type window struct {
	stream string // that the offset is about; "" for the ends of both
	offset int64
	limit  int64 // bytes
}

// of is what is told of a text, and what is not.
func (w window) of(id, stream, s string) (shown, left string) {
	switch {
	case w.stream != "" && w.stream != stream:
		return "", ""
	case w.stream != "":
		return w.from(id, s)
	case int64(len(s)) <= w.limit:
		return s, ""
	}
	head, tail := boundary(s, int(w.limit/2)), boundary(s, len(s)-int(w.limit/2))
	left = fmt.Sprintf("bytes %d to %d of %d left out", head, tail, len(s))
	mark := "\n[... " + left + " ...]\n"
	if id != "" {
		left += fmt.Sprintf("; get them with session_result: session %q, stream %q, offset %d", id, stream, head)
	}
	return s[:head] + mark + s[tail:], left
}

// from is a text from the window's offset on.
func (w window) from(id, s string) (shown, left string) {
	start := boundary(s, int(min(max(w.offset, 0), int64(len(s)))))
	end := len(s)
	if int64(end-start) > w.limit {
		end = boundary(s, start+int(w.limit))
		left = fmt.Sprintf("bytes from %d of %d left out; get them with session_result: session %q, stream %q, offset %d", end, len(s), id, w.stream, end)
	}
	return s[start:end], left
}

// boundary is the place of a character's beginning at or before an offset.
func boundary(s string, at int) int {
	for at > 0 && at < len(s) && !utf8.RuneStart(s[at]) {
		at--
	}
	return at
}
