package command

import (
	"fmt"
	"time"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
)

// operationJSON is an operation as programs read it: its details, laid out. A string that is not UTF-8 has escapes, and
// is beside it in base64.
type operationJSON struct {
	N        int    `json:"n"`
	Kind     string `json:"kind"`
	Summary  string `json:"summary"`
	Effect   string `json:"effect,omitempty"` // what it does in a sentence; not there where the policy has none
	Undo     string `json:"undo,omitempty"`   // whether it can be undone: "no", or "no", "yes" or "partly" with words
	Verdict  string `json:"verdict"`
	Risk     string `json:"risk"` // danger needs the target's name with an approval
	Reason   string `json:"reason"`
	Decision string `json:"decision"`
	By       string `json:"by"`
	// Of a command.
	Argv          []string `json:"argv,omitempty"`
	ArgvB64       [][]byte `json:"argv_b64,omitempty"`
	Executable    string   `json:"executable,omitempty"`
	ExecutableB64 []byte   `json:"executable_b64,omitempty"`
	Cwd           string   `json:"cwd,omitempty"`
	CwdB64        []byte   `json:"cwd_b64,omitempty"`
	Env           []string `json:"env,omitempty"`
	EnvB64        [][]byte `json:"env_b64,omitempty"`
	User          string   `json:"user,omitempty"`
	Stdin         *string  `json:"stdin,omitempty"` // where all of it is known
	StdinB64      []byte   `json:"stdin_b64,omitempty"`
	// Of a change of a file; File has all of it.
	Path    string `json:"path,omitempty"`
	PathB64 []byte `json:"path_b64,omitempty"`
	Diff    string `json:"diff,omitempty"`

	ExitCode *int   `json:"exit_code"`
	Digest   string `json:"digest"`

	Target         string     `json:"target,omitempty"`
	StdinFrom      string     `json:"stdin_from,omitempty"`
	StdinBytes     *int       `json:"stdin_bytes,omitempty"`
	StdinTruncated bool       `json:"stdin_truncated,omitempty"`
	StdinSHA256    string     `json:"stdin_sha256,omitempty"`
	EnvChanges     []string   `json:"env_changes,omitempty"`
	Needs          []int      `json:"needs,omitempty"` // the operations on files that come before it
	BeforeDigests  []string   `json:"before_digests,omitempty"`
	Scratch        []fileJSON `json:"scratch,omitempty"`
	Line           int        `json:"line,omitempty"`
	LineText       string     `json:"line_text,omitempty"`
	File           *fileJSON  `json:"file,omitempty"`

	ByKey          string `json:"by_key,omitempty"`
	DecisionReason string `json:"decision_reason,omitempty"` // of a rejection, or of an approval by a grant
	Grant          int    `json:"grant,omitempty"`           // that it was approved by
	Outcome        string `json:"outcome,omitempty"`         // what its decision means, where the word alone does not say it
	Decided        string `json:"decided,omitempty"`
	Started        string `json:"started,omitempty"`
	Finished       string `json:"finished,omitempty"`
	Signal         int    `json:"signal,omitempty"`
	OutputCut      bool   `json:"output_truncated,omitempty"` // its recorded output is not whole

	stdinLimit int // bytes of standard input that are repeated
}

// fileJSON is a change of a file.
type fileJSON struct {
	Op       string         `json:"op"`
	Path     string         `json:"path"`
	PathB64  []byte         `json:"path_b64,omitempty"`
	To       string         `json:"to,omitempty"` // a new name, or a link's text
	ToB64    []byte         `json:"to_b64,omitempty"`
	Target   string         `json:"target"`
	User     string         `json:"user"`
	Before   *fileStateJSON `json:"before"` // null for nothing
	ToBefore *fileStateJSON `json:"to_before,omitempty"`
	After    *fileStateJSON `json:"after,omitempty"`
	ToAfter  *fileStateJSON `json:"to_after,omitempty"`
	Mode     string         `json:"mode,omitempty"`
	UID      *uint32        `json:"uid,omitempty"`
	GID      *uint32        `json:"gid,omitempty"`
	Mtime    string         `json:"mtime,omitempty"`
	Size     *int64         `json:"size,omitempty"`
	SHA256   string         `json:"sha256,omitempty"`
	// Rollback says whether it can be undone; NoRollback why not.
	Rollback   bool   `json:"rollback"`
	NoRollback string `json:"no_rollback,omitempty"`
	Warning    string `json:"warning,omitempty"`
	// Diff is the unified diff of text.
	Diff          string `json:"diff,omitempty"`
	DiffTruncated bool   `json:"diff_truncated,omitempty"`
	DiffError     string `json:"diff_error,omitempty"` // why it cannot be shown
	Binary        bool   `json:"binary,omitempty"`
	// Of a file of scratch.
	Summary string `json:"summary,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

type fileStateJSON struct {
	Mode    string `json:"mode"` // octal, with the type, as st_mode
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Size    int64  `json:"size"`
	Mtime   string `json:"mtime,omitempty"`
	Link    string `json:"link,omitempty"`
	LinkB64 []byte `json:"link_b64,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
}

// exactStamp is a time to the nanosecond, as a digest covers it.
func exactStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// describeOperation lays the details of an operation out.
func describeOperation(s *journal.Session, op *journal.Operation, stdin int) operationJSON {
	out := operationJSON{N: op.N, Decision: string(op.Decision), stdinLimit: stdin}
	for _, d := range s.Details(op) {
		switch {
		case d.Scratch > 0:
			if len(out.Scratch) < d.Scratch {
				out.Scratch = append(out.Scratch, fileJSON{})
			}
			out.Scratch[d.Scratch-1].take(&d)
		case op.File == nil || !out.takes(&d):
			out.take(&d)
		}
	}
	if f := out.File; f != nil {
		out.Path, out.PathB64, out.User, out.Target = f.Path, f.PathB64, f.User, f.Target
	}
	return out
}

// takes gives a detail to the change of a file and reports whether it is about one.
func (o *operationJSON) takes(d *journal.Detail) bool {
	if d.Section != journal.WorkSection || d.Name == "summary" {
		return false
	}
	if o.File == nil {
		o.File = &fileJSON{}
	}
	return o.File.take(d)
}

// take puts a detail of the operation itself into its field. It reports whether it has one.
func (o *operationJSON) take(d *journal.Detail) bool {
	switch v := d.Value.(type) {
	case journal.Verdict:
		o.Verdict, o.Risk, o.Reason = string(v.Verdict), string(v.Risk), v.Why
	case journal.Effect:
		o.Effect = v.Text
	case journal.Who:
		o.By, o.ByKey = v.Name, v.Key
	case journal.Argv:
		o.Argv, o.ArgvB64 = exactList(v)
	case journal.Environment:
		o.Env, o.EnvB64 = exactList(v)
	case journal.EnvChanges:
		o.EnvChanges, _ = exactList(v)
	case journal.Account:
		o.User, o.Target = v.User, v.Target
	case journal.Stdin:
		o.stdin(v)
	case journal.Earlier:
		o.Needs, o.BeforeDigests = v.N, v.Digests
	case journal.ScriptLine:
		o.Line, o.LineText = v.N, v.Text
	case journal.Ended:
		o.ExitCode, o.Signal = &v.ExitCode, v.Signal
	case journal.Digest:
		o.Digest = string(v)
	case journal.Number:
		o.Grant = int(v)
	default:
		return o.named(d)
	}
	return true
}

// named takes details whose type alone does not say what they are.
func (o *operationJSON) named(d *journal.Detail) bool {
	if d.Name == "output_cut" {
		o.OutputCut = true
		return true
	}
	return takeText(d, map[string]*string{
		"kind": &o.Kind, "summary": &o.Summary, "undo": &o.Undo, "decision": &o.Decision, "decision_reason": &o.DecisionReason,
		"outcome": &o.Outcome, "decided": &o.Decided, "started": &o.Started, "finished": &o.Finished,
	}, map[string]exactField{"executable": {&o.Executable, &o.ExecutableB64}, "cwd": {&o.Cwd, &o.CwdB64}})
}

// exactField is a text, and in place of it its bytes where it is none.
type exactField struct {
	text  *string
	bytes *[]byte
}

// takeText puts a detail into the field of its name, and reports whether there is one.
func takeText(d *journal.Detail, texts map[string]*string, exact map[string]exactField) bool {
	if to := texts[d.Name]; to != nil {
		*to = plain(d.Value)
		return true
	}
	to, ok := exact[d.Name]
	if ok {
		*to.text, *to.bytes = exactText(plain(d.Value))
	}
	return ok
}

// plain is a value that is a string.
func plain(v journal.Value) string {
	switch v := v.(type) {
	case journal.Stored:
		return string(v)
	case journal.Unseen:
		return string(v)
	case journal.Words:
		return v.Text.String()
	case journal.Path:
		return string(v)
	case journal.Moment:
		return exactStamp(time.Time(v))
	}
	return ""
}

// stdin says where standard input comes from, and repeats as much of it as there is room for.
func (o *operationJSON) stdin(s journal.Stdin) {
	o.StdinFrom, o.StdinSHA256 = s.From, s.SHA256
	if s.SHA256 == "" {
		return
	}
	size := len(s.Data)
	o.StdinBytes = &size
	text, bytes := textOrBytes(s.Data)
	if text != nil {
		*text, o.StdinTruncated = cutText(*text, o.stdinLimit)
	} else if len(bytes) > o.stdinLimit {
		bytes, o.StdinTruncated = bytes[:o.stdinLimit], true
	}
	o.Stdin, o.StdinB64 = text, bytes
}

// take puts a detail of a change into its field. It reports whether it has one.
func (f *fileJSON) take(d *journal.Detail) bool {
	switch v := d.Value.(type) {
	case journal.Account:
		f.User, f.Target = v.User, v.Target
	case journal.Rights:
		f.Mode, f.UID, f.GID = fmt.Sprintf("%04o", v.Mode), &v.UID, &v.GID
	case journal.Undo:
		f.Rollback, f.NoRollback = v.Kept, v.Lost
	case journal.Written:
		f.Size, f.SHA256 = &v.Size, v.SHA256
	case journal.Digest:
		f.Digest = string(v)
	case journal.Entry:
		return f.state(d.Name, describeState(v.FileState))
	case journal.Content: // withDiff has it
	default:
		return f.named(d)
	}
	return true
}

// state takes what is, or will be, at one of the change's paths.
func (f *fileJSON) state(name string, s *fileStateJSON) bool {
	switch name {
	case "before":
		f.Before = s
	case "to_before":
		f.ToBefore = s
	case "after":
		if f.After = s; s != nil && f.Op == string(journal.Write) {
			f.Size, f.SHA256 = &s.Size, s.SHA256
		}
	case "to_after":
		f.ToAfter = s
	default:
		return false
	}
	return true
}

// named takes details whose type alone does not say what they are.
func (f *fileJSON) named(d *journal.Detail) bool {
	switch d.Name {
	case "mtime_now", "rights_unset": // where there is no field
		return true
	}
	return takeText(d, map[string]*string{"op": &f.Op, "mtime": &f.Mtime, "warning": &f.Warning, "summary": &f.Summary},
		map[string]exactField{"path": {&f.Path, &f.PathB64}, "to": {&f.To, &f.ToB64}})
}

func describeState(s *journal.FileState) *fileStateJSON {
	if s == nil {
		return nil
	}
	out := &fileStateJSON{Mode: fmt.Sprintf("%o", s.Mode), UID: s.UID, GID: s.GID, Size: s.Size, Mtime: exactStamp(s.Mtime), SHA256: s.SHA256}
	out.Link, out.LinkB64 = exactText(string(s.Link))
	return out
}

// withDiff adds what a change writes.
func (f *fileJSON) withDiff(d diff.Diff, ok bool, err error) {
	switch {
	case err != nil:
		f.DiffError = err.Error()
	case ok:
		f.Binary = d.Binary
		f.Diff, f.DiffTruncated = cutText(d.String(), maxJSONDiff)
	}
}
