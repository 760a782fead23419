package command

import (
	"fmt"
	"io"
	"unicode/utf8"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// sessionJSON is a session as scripts read it. Output is there only in answers of run, exec and wait.
type sessionJSON struct {
	Session string `json:"session"`
	// Target and Group are there for a session of a group alone.
	Target string `json:"target,omitempty"`
	Group  string `json:"group,omitempty"`

	Status    approvals.Status `json:"status"`
	ExitCode  *int             `json:"exit_code"` // null while it is not final
	Stdout    *string          `json:"stdout,omitempty"`
	StdoutB64 []byte           `json:"stdout_b64,omitempty"`
	Stderr    *string          `json:"stderr,omitempty"`
	StderrB64 []byte           `json:"stderr_b64,omitempty"`
	Truncated bool             `json:"truncated"`

	Reason string `json:"reason,omitempty"` // why it was rejected or what ended it

	// WaitingDigest is the digest of all that waits, in hex, and not there where nothing does. approve --digest names it.
	WaitingDigest string `json:"waiting_digest,omitempty"`
	// GroupWaitingDigest is that of all sessions of a group, where they were shown together.
	GroupWaitingDigest string `json:"group_waiting_digest,omitempty"`
	// Obstacle is why nothing of it can be approved now, whoever asks; absent where nothing is in the way.
	Obstacle   string          `json:"obstacle,omitempty"`
	Operations []operationJSON `json:"operations"`
	Reads      *readsJSON      `json:"reads,omitempty"` // in answers of show
}

type operationJSON struct {
	N        int    `json:"n"`
	Kind     string `json:"kind"`
	Summary  string `json:"summary"`
	Verdict  string `json:"verdict"`
	Risk     string `json:"risk"` // danger needs the target's name with an approval
	Decision string `json:"decision"`
	By       string `json:"by"`
	ExitCode *int   `json:"exit_code"`
	Digest   string `json:"digest"`
	Grant    int    `json:"grant,omitempty"`  // that it was approved by
	Reason   string `json:"reason,omitempty"` // of a rejection
	// Of a change of a file.
	File *fileJSON `json:"file,omitempty"`
	// Of a command: the operations on files that come before it, and what it is given of scratch.
	Needs   []int      `json:"needs,omitempty"`
	Scratch []fileJSON `json:"scratch,omitempty"`
}

// fileJSON is a change of a file. Paths that are not UTF-8 are shown as text with escapes, and in base64.
type fileJSON struct {
	Op      string         `json:"op"`
	Path    string         `json:"path"`
	PathB64 []byte         `json:"path_b64,omitempty"`
	To      string         `json:"to,omitempty"` // a new name, or a link's text
	ToB64   []byte         `json:"to_b64,omitempty"`
	Before  *fileStateJSON `json:"before"` // null for nothing
	Mode    string         `json:"mode,omitempty"`
	UID     *uint32        `json:"uid,omitempty"`
	GID     *uint32        `json:"gid,omitempty"`
	Size    *int64         `json:"size,omitempty"`
	SHA256  string         `json:"sha256,omitempty"`
	// Rollback says whether it can be undone; NoRollback why not.
	Rollback   bool   `json:"rollback"`
	NoRollback string `json:"no_rollback,omitempty"`
	// Diff is the unified diff of text.
	Diff   string `json:"diff,omitempty"`
	Binary bool   `json:"binary,omitempty"`
}

type fileStateJSON struct {
	Mode   string `json:"mode"` // octal, with the type, as st_mode
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size"`
	Link   string `json:"link,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// text is a byte string as JSON can hold it.
func text(e approvals.Exact) (shown string, exact []byte) {
	if utf8.ValidString(string(e)) {
		return string(e), nil
	}
	return string(render.Line(string(e))), []byte(e)
}

func describeFile(f *approvals.File) *fileJSON {
	out := &fileJSON{Op: string(f.Op), SHA256: f.SHA256, Rollback: f.Kept, NoRollback: f.Lost}
	out.Path, out.PathB64 = text(f.Path)
	out.To, out.ToB64 = text(f.To)
	if s := f.Was; s != nil {
		link, _ := text(s.Link)
		out.Before = &fileStateJSON{Mode: fmt.Sprintf("%o", s.Mode), UID: s.UID, GID: s.GID, Size: s.Size, Link: link, SHA256: s.SHA256}
	}
	if f.Perms {
		out.Mode, out.UID, out.GID = fmt.Sprintf("%04o", f.Mode), &f.UID, &f.GID
	}
	if f.Op == journal.Write {
		out.Size = &f.Size
	}
	return out
}

// withDiff adds what a change writes.
func (f *fileJSON) withDiff(d diff.Diff, ok bool) {
	if !ok {
		return
	}
	f.Binary, f.Diff = d.Binary, d.String()
}

func describe(s approvals.Session) sessionJSON {
	out := sessionJSON{
		Session: s.ID, Status: s.Status, Truncated: s.Truncated, Reason: s.Reason,
		WaitingDigest: s.WaitingDigest(), Operations: []operationJSON{},
	}
	if s.Group != "" {
		out.Target, out.Group = s.Target, s.Group
	}
	if s.Status.Final() {
		status := exitStatus(s)
		out.ExitCode = &status
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		o := operationJSON{
			N: op.N, Kind: string(op.Kind), Summary: op.Summary, Verdict: string(op.Verdict), Risk: string(op.Risk),
			Decision: string(op.Decision), By: op.By, Reason: op.Reason, ExitCode: op.ExitCode, Digest: op.Digest, Grant: op.Grant,
		}
		if op.File != nil {
			o.File = describeFile(op.File)
		}
		if op.Command != nil {
			o.Needs = op.Command.Needs
			for i := range op.Command.Scratch {
				o.Scratch = append(o.Scratch, *describeFile(&op.Command.Scratch[i]))
			}
		}
		out.Operations = append(out.Operations, o)
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

// writeJSON writes one value and a newline, in which what looks like the gateway's own mark is spelled otherwise. Every verb that answers in JSON does it by this.
func writeJSON(w io.Writer, value any) error { return render.JSON(lines{w, `\u003a`}, value) }
