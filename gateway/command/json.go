package command

import (
	"io"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// jsonVersion is the version of all JSON about sessions, operations and events: see docs/json.md. Within a version fields
// are added, and none is taken away or gets another meaning.
const jsonVersion = 1

// Bounds of what an answer in JSON repeats of one operation, in bytes. What is longer is cut, and a field says so.
const (
	maxJSONStdin = 256 << 10
	maxJSONDiff  = 256 << 10
	// maxListed is the bound of standard input in `list`, which answers for many sessions at once.
	maxListed = 4 << 10
)

// sessionJSON is a session as programs read it. docs/json.md describes each field.
type sessionJSON struct {
	V             int            `json:"v"`
	Session       string         `json:"session"`
	Status        journal.Status `json:"status"`
	Identity      string         `json:"identity"`
	Target        string         `json:"target"`
	Name          string         `json:"name"`
	Analysis      string         `json:"analysis"`
	Created       string         `json:"created"`
	Deadline      *string        `json:"deadline"`                 // null where nothing ends by itself
	WaitingDigest string         `json:"waiting_digest,omitempty"` // not there where nothing waits
	RestDigest    string         `json:"rest_digest,omitempty"`    // not there where no rest of a text can be approved
	ExitCode      *int           `json:"exit_code"`                // null while it is not final
	// In answers of run, exec and wait.
	Stdout    *string `json:"stdout,omitempty"`
	StdoutB64 []byte  `json:"stdout_b64,omitempty"`
	Stderr    *string `json:"stderr,omitempty"`
	StderrB64 []byte  `json:"stderr_b64,omitempty"`
	Truncated bool    `json:"truncated"`

	RestBy string `json:"rest_by,omitempty"` // who approved the rest of its text
	Group  string `json:"group,omitempty"`
	Key    string `json:"key,omitempty"`
	Engine string `json:"engine,omitempty"`
	Plan   bool   `json:"plan,omitempty"`
	Ended  string `json:"ended,omitempty"`
	GoesOn bool   `json:"goes_on,omitempty"`
	Reason string `json:"reason,omitempty"` // why it was rejected or what ended it
	// GroupWaitingDigest is that of all sessions of a group, where they were shown together.
	GroupWaitingDigest string `json:"group_waiting_digest,omitempty"`
	// Obstacle is why nothing of it can be approved now, whoever asks; absent where nothing is in the way.
	Obstacle     string   `json:"obstacle,omitempty"`
	Damage       string   `json:"damage,omitempty"` // what of its content is not as it was kept
	Shell        bool     `json:"shell,omitempty"`  // the script is shell text
	Args         []string `json:"args,omitempty"`
	ArgsB64      [][]byte `json:"args_b64,omitempty"`
	ScriptSHA256 string   `json:"script_sha256,omitempty"`
	Script       string   `json:"script,omitempty"` // not in answers of list

	Operations []operationJSON `json:"operations"`
	Reads      *readsJSON      `json:"reads,omitempty"`      // in answers of show
	Transcript *transcriptJSON `json:"transcript,omitempty"` // in answers of show, of a session at a terminal
}

// exactText is a byte string as JSON can hold it: with escapes for people, and in base64, where it is not UTF-8.
func exactText(s string) (shown string, exact []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return render.Line(s).String(), []byte(s)
}

// exactList is exactText for a list, all of it in base64 where one of it is not UTF-8.
func exactList(l []string) (shown []string, exact [][]byte) {
	shown = make([]string, len(l))
	whole := true
	for i, s := range l {
		var b []byte
		shown[i], b = exactText(s)
		whole = whole && b == nil
	}
	if whole {
		return shown, nil
	}
	exact = make([][]byte, len(l))
	for i, s := range l {
		exact[i] = []byte(s)
	}
	return shown, exact
}

// stamp is a time as JSON has it, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// describe is a session without its outputs, and without what is read beside the journal; of each operation's standard
// input it has at most stdin bytes.
func describe(s journal.Session, stdin int) sessionJSON {
	out := sessionJSON{
		V: jsonVersion, Session: s.ID, Status: s.Status, Identity: s.Identity, Target: s.Target, Name: s.Name, Analysis: s.Analysis,
		Created: stamp(s.Created), WaitingDigest: s.WaitingDigest(), RestDigest: s.RestDigest(), Truncated: s.Truncated, Operations: []operationJSON{},
		Group: s.Group, Key: s.Key, Engine: s.Engine, Plan: s.Plan, Ended: stamp(s.Ended), GoesOn: s.GoesOn, Reason: s.Reason,
		Damage: s.Damage, Shell: s.Shell, ScriptSHA256: s.ScriptSHA256,
	}
	if s.Rest != nil {
		out.RestBy = s.Rest.By
	}
	if at := stamp(s.Deadline); at != "" {
		out.Deadline = &at
	}
	if s.Args != nil {
		out.Args, out.ArgsB64 = exactList(s.Args)
	}
	if s.Status.Final() {
		status := exitStatus(s)
		out.ExitCode = &status
	}
	for i := range s.Operations {
		out.Operations = append(out.Operations, describeOperation(&s, &s.Operations[i], stdin))
	}
	return out
}

// wholeJSON is all of a session but its outputs.
func wholeJSON(from Service, s journal.Session) sessionJSON {
	out := describe(s, maxJSONStdin)
	out.Script, out.Obstacle = s.Script, from.Obstacle(&s)
	for i := range s.Operations {
		op, o := &s.Operations[i], &out.Operations[i]
		if f := op.File; f != nil {
			o.File.withDiff(from.Diff(f, diff.Context))
			o.Diff = o.File.Diff
		}
		if c := op.Command; c != nil {
			for n := range c.Scratch {
				o.Scratch[n].withDiff(from.Diff(&c.Scratch[n], diff.Context))
			}
		}
	}
	return out
}

// withOutput adds what was collected: text where it is UTF-8, base64 where it is not.
func (s *sessionJSON) withOutput(stdout, stderr *collector) {
	s.Truncated = s.Truncated || stdout.truncated || stderr.truncated
	s.Stdout, s.StdoutB64 = textOrBytes(stdout.data)
	s.Stderr, s.StderrB64 = textOrBytes(stderr.data)
}

// textOrBytes is text where it is UTF-8, else bytes.
func textOrBytes(b []byte) (*string, []byte) {
	if !utf8.Valid(b) {
		return nil, b
	}
	text := string(b)
	return &text, nil
}

// cutText cuts a text to at most limit bytes, at the beginning of a character.
func cutText(s string, limit int) (string, bool) {
	if len(s) <= limit {
		return s, false
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit], true
}

// json answers with a value and returns the exit status.
func (c *invocation) json(value any) int {
	if err := writeJSON(c.Stdout, value); err != nil {
		return ExitFault // the client is gone
	}
	return ExitOK
}

// writeJSON writes one value and a newline, in which what looks like the gateway's own mark is spelled otherwise. Every verb that answers in JSON does it by this.
func writeJSON(w io.Writer, value any) error { return render.JSON(lines{w, `\u003a`}, value) }
