package command

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// newRehearse is `rehearse ID [--op N] [--json]`.
func newRehearse() *verb {
	var n int
	var asJSON bool
	r := &verb{words: anyWords, Command: &cobra.Command{
		Use:   "rehearse ID [--op N] [--json]",
		Short: "show what waiting commands would do, without doing it",
		Long: `Runs the commands of a session that wait, on top of the changes of files before them, in a copy of the gateway's own host ` +
			`whose changes are thrown away. Prints exit status, output, every change of a file, and what a command tried beyond files: there is no ` +
			`network, no other process and no device. Nothing is decided.`,
		Example: `ssh HOST rehearse ID
ssh HOST rehearse ID --op 3 --json`,
	}}
	r.Flags().IntVar(&n, "op", 0, "only up to this operation")
	r.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	r.run = func(ctx context.Context, v *Verbs, c *invocation) int { return rehearse(ctx, v, c, n, asJSON) }
	return r
}

// rehearse prints what the commands of a session would do that wait.
func rehearse(ctx context.Context, v *Verbs, c *invocation, n int, asJSON bool) int {
	id, err := c.oneID()
	if err != nil {
		return c.usage(err)
	}
	if n < 0 {
		return c.usage(fmt.Errorf("--op %d: operations are numbered from 1", n))
	}
	r, err := v.Sessions.Rehearse(ctx, id, c.Identity, n)
	switch {
	case err != nil:
		return c.fail(id, err)
	case asJSON:
		return c.json(rehearsalOf(r))
	}
	sendPage(v, c, func(p *page) { p.rehearsal(r) })
	return ExitOK
}

// rehearsal prints what commands would do.
func (p *page) rehearsal(r *rehearsal.Result) {
	_, _ = fmt.Fprintf(p.w, "rehearsal of session %s on %s: nothing was done on the host, nothing is decided\n", r.Session, render.Line(r.Target))
	p.field("digest", r.Digest)
	for i := range r.Operations {
		p.rehearsed(&r.Operations[i])
	}
	for _, text := range r.Absent {
		p.field("not there", render.Line(text))
	}
}

func (p *page) rehearsed(o *rehearsal.Operation) {
	_, _ = fmt.Fprintf(p.w, "\noperation %d  %s\n", o.N, render.Stored(o.Summary))
	switch {
	case o.Stopped != "":
		p.field("stopped", render.Line(o.Stopped))
	case o.Exit.Signal != 0:
		p.field("ended by", render.Line(o.Exit.Signal.String()))
	default:
		p.field("exit status", strconv.Itoa(o.Exit.Code))
	}
	if o.Guessed != "" {
		p.field("differs", render.Line(o.Guessed))
	}
	if o.Withheld != "" {
		p.field("withheld", render.Line("output and contents: "+o.Withheld))
	}
	for _, out := range []struct {
		name string
		text []byte
	}{{"stdout", o.Stdout}, {"stderr", o.Stderr}} {
		if len(out.text) > 0 {
			p.field(out.name, fmt.Sprintf("%d bytes", len(out.text)))
			p.lines(string(out.text)) // with numbers: no line of it looks like one of the page
		}
	}
	if o.OutputCut {
		p.field("output", "there was more of it")
	}
	for i := range o.Refused {
		a := &o.Refused[i]
		p.field("could not", render.Line(fmt.Sprintf("%s %s (%d times)", a.What, a.About, a.Times)))
	}
	if len(o.Refused) > 0 {
		p.field("so", "it does more than change files, and may do other things where that succeeds")
	}
	for _, name := range o.Left {
		p.field("left running", render.Line(name))
	}
	if len(o.Changes) == 0 {
		p.field("changes", "none")
	}
	for i := range o.Changes {
		p.rehearsedChange(&o.Changes[i])
	}
	if o.ChangesCut {
		p.field("changes", "there are more of them, which are not shown")
	}
}

// rehearsedChange prints one path.
func (p *page) rehearsedChange(c *targets.RehearsedChange) {
	p.field(c.Kind, render.Line(c.Path))
	if c.From != "" {
		p.field("  from", render.Line(c.From))
	}
	for _, text := range aboutChange(c) {
		p.field("", render.Line(text))
	}
	if c.Contents && c.Kind != targets.Deleted {
		d := diff.Compare(c.Before, c.After, diff.Context)
		if d.Binary {
			p.field("", fmt.Sprintf("NOT shown: no text; %d bytes", len(c.After)))
			return
		}
		p.hunks(d)
	}
}

// aboutChange is what is said of a change beside its content.
func aboutChange(c *targets.RehearsedChange) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch {
	case c.Kind == targets.Deleted && c.Was.IsDir() && c.Counted:
		add("a directory with %d files and directories below it, %d bytes", c.Files, c.Bytes)
	case c.Kind == targets.Deleted && c.Was.IsDir():
		add("a directory with at least %d files and directories below it, %d bytes", c.Files, c.Bytes)
	case c.Kind == targets.Deleted && c.Was != nil:
		add("%d bytes", c.Was.Size)
	}
	if c.Is == nil {
		return lines
	}
	switch {
	case c.Was == nil, c.Kind == targets.Changed && c.Was.Type() != c.Is.Type():
		add("%s, mode %04o, owner %d:%d", typeOf(c.Is), c.Is.Perm(), c.Is.UID, c.Is.GID)
	default:
		if c.Was.Perm() != c.Is.Perm() {
			add("mode %04o, was %04o", c.Is.Perm(), c.Was.Perm())
		}
		if c.Was.UID != c.Is.UID || c.Was.GID != c.Is.GID {
			add("owner %d:%d, was %d:%d", c.Is.UID, c.Is.GID, c.Was.UID, c.Was.GID)
		}
	}
	if c.Is.IsLink() && c.Is.Link != "" {
		add("a link to %s", c.Is.Link)
	}
	switch {
	case c.Hidden:
		add("what it holds is hidden")
	case c.Is.IsRegular() && !c.Contents && (c.Kind == targets.Made || c.Kind == targets.Changed) && c.From == "":
		add("its content is not shown, %d bytes", c.Is.Size)
	}
	return lines
}

// typeOf names the type of a file.
func typeOf(s *targets.State) string {
	switch {
	case s.IsRegular():
		return "a file"
	case s.IsDir():
		return "a directory"
	case s.IsLink():
		return "a link"
	}
	return "a FIFO, socket or device"
}

// rehearsalJSON is a rehearsal as programs read it.
type rehearsalJSON struct {
	V          int             `json:"v"`
	Session    string          `json:"session"`
	Digest     string          `json:"digest"` // the waiting digest of what was rehearsed
	Target     string          `json:"target"`
	At         string          `json:"at"`
	Operations []rehearsedJSON `json:"operations"`
	Absent     []string        `json:"absent,omitempty"` // places of the host that the rehearsal did not have, with the reason
}

// rehearsedJSON is what one command would do.
type rehearsedJSON struct {
	N                int           `json:"n"`
	ExitCode         int           `json:"exit_code"` // 128 and the signal where one ended it
	Stopped          string        `json:"stopped,omitempty"`
	Stdout           *string       `json:"stdout"`
	StdoutB64        []byte        `json:"stdout_b64,omitempty"`
	Stderr           *string       `json:"stderr"`
	StderrB64        []byte        `json:"stderr_b64,omitempty"`
	Truncated        bool          `json:"truncated,omitempty"`
	Withheld         string        `json:"withheld,omitempty"` // why neither output nor contents are given
	Differs          string        `json:"differs,omitempty"`  // what a real run will have and this one had not
	Changes          []changedJSON `json:"changes"`
	ChangesTruncated bool          `json:"changes_truncated,omitempty"`
	Refused          []refusedJSON `json:"refused"`
	RefusedTruncated bool          `json:"refused_truncated,omitempty"`
	Left             []string      `json:"left,omitempty"` // processes that it left running
}

// changedJSON is one path that a command would change.
type changedJSON struct {
	Kind          string         `json:"kind"`
	Path          string         `json:"path"`
	PathB64       []byte         `json:"path_b64,omitempty"`
	From          string         `json:"from,omitempty"` // a renamed one's old name; another name of a hard link
	FromB64       []byte         `json:"from_b64,omitempty"`
	Before        *fileStateJSON `json:"before"` // null for nothing
	After         *fileStateJSON `json:"after"`  // null for nothing
	Diff          string         `json:"diff,omitempty"`
	DiffTruncated bool           `json:"diff_truncated,omitempty"`
	Binary        bool           `json:"binary,omitempty"`
	Hidden        bool           `json:"hidden,omitempty"`
	Files         *int64         `json:"files,omitempty"` // below a deleted directory
	Bytes         *int64         `json:"bytes,omitempty"`
	Uncounted     bool           `json:"uncounted,omitempty"` // there are more
}

// refusedJSON is something that a command tried and could not.
type refusedJSON struct {
	What  string `json:"what"`
	About string `json:"about,omitempty"`
	Times int    `json:"times"`
}

func rehearsalOf(r *rehearsal.Result) *rehearsalJSON {
	out := &rehearsalJSON{V: jsonVersion, Session: r.Session, Digest: r.Digest, Target: r.Target, At: exactStamp(r.At), Absent: r.Absent, Operations: []rehearsedJSON{}}
	for i := range r.Operations {
		o := &r.Operations[i]
		j := rehearsedJSON{
			N: o.N, ExitCode: o.Exit.Status(), Stopped: o.Stopped, Truncated: o.OutputCut, Withheld: o.Withheld, Differs: o.Guessed,
			Changes: []changedJSON{}, ChangesTruncated: o.ChangesCut, Refused: []refusedJSON{}, RefusedTruncated: o.RefusedCut, Left: o.Left,
		}
		j.Stdout, j.StdoutB64 = textOrBytes(o.Stdout)
		j.Stderr, j.StderrB64 = textOrBytes(o.Stderr)
		for k := range o.Changes {
			j.Changes = append(j.Changes, changedOf(&o.Changes[k]))
		}
		for _, a := range o.Refused {
			j.Refused = append(j.Refused, refusedJSON{a.What, a.About, a.Times})
		}
		out.Operations = append(out.Operations, j)
	}
	return out
}

func changedOf(c *targets.RehearsedChange) changedJSON {
	out := changedJSON{Kind: c.Kind, Hidden: c.Hidden, Before: describeState(change.StateOf(c.Was)), After: describeState(change.StateOf(c.Is))}
	out.Path, out.PathB64 = exactText(c.Path)
	out.From, out.FromB64 = exactText(c.From)
	if c.Kind == targets.Deleted && c.Was.IsDir() {
		out.Files, out.Bytes, out.Uncounted = &c.Files, &c.Bytes, !c.Counted
	}
	if c.Contents && c.Kind != targets.Deleted {
		d := diff.Compare(c.Before, c.After, diff.Context)
		out.Binary = d.Binary
		out.Diff, out.DiffTruncated = cutText(d.String(), maxJSONDiff)
	}
	return out
}
