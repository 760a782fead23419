package journal

import (
	"strings"
	"time"

	"shannot-gateway/approvals/render"
)

// Detail is one fact about an operation. Details come in the order in which people should read them. Front ends lay
// them out and compute nothing about an operation themselves, so that all of them show the same.
type Detail struct {
	// Name is the fact's name for programs. It never changes its meaning.
	Name string
	// Label is its name for people, in lower case.
	Label   string
	Section Section
	// Scratch is 0 for the operation itself, and N for the Nth file of scratch that a command is given.
	Scratch int
	Value   Value
	// Covers names the fields of the digest's encoding that the detail shows, as Covered has them.
	Covers []string
}

// Section says what a detail is about, so that a front end with little room can put sections in places of their own.
type Section int

// Sections.
const (
	// JudgedSection is what the policy and humans said of the operation.
	JudgedSection Section = iota
	// WorkSection is what the operation does, where, and as whom: a decision rests on it.
	WorkSection
	// ProofSection names the operation exactly: the whole environment and the digest.
	ProofSection
	// ResultSection is what came of the operation.
	ResultSection
)

// Details are all facts about an operation of the session. They are those of the operation, with the text of the
// script's line that asked for it.
func (s *Session) Details(op *Operation) []Detail {
	details := op.Details()
	for i := range details {
		if l, ok := details[i].Value.(ScriptLine); ok && !s.Shell {
			lines := strings.SplitN(s.Script, "\n", l.N+1)
			if l.N <= len(lines) {
				l.Text = strings.TrimLeft(lines[l.N-1], " \t")
				details[i].Value = l
			}
		}
	}
	return details
}

// Details are all facts about the operation: all that its digest covers, what was decided, and what came of it.
func (o *Operation) Details() []Detail {
	d := details{section: JudgedSection}
	d.add("kind", "kind", Unseen(o.Kind))
	if o.Effect != "" { // what people should read before anything else
		d.section = WorkSection
		d.add("effect", "effect", Effect{o.Effect, o.Risk})
		d.add("undo", "undo", Stored(o.Undo))
		d.section = JudgedSection
	}
	d.judged(o)
	d.section = WorkSection
	switch {
	case o.File != nil:
		d.add("summary", "does", Stored(o.Summary))
		d.file(o.File)
	case o.Command != nil:
		d.add("summary", "does", Unseen(o.Summary)) // argv and what comes with it say it in full
		d.command(o.Command)
	default:
		d.add("summary", "does", Stored(o.Summary))
	}
	d.section = ProofSection
	if c := o.Command; c != nil {
		d.add("env", "env", Environment(c.Env), "env")
	}
	d.add("digest", "digest", Digest(o.Digest))
	d.section = ResultSection
	d.result(o)
	return d.list
}

// Details are all facts about the change of a file that its digest covers, and whether it can be undone.
func (f *File) Details() []Detail {
	d := details{section: WorkSection}
	d.file(f)
	return d.list
}

// details collects them.
type details struct {
	list    []Detail
	section Section
	scratch int
}

func (d *details) add(name, label string, v Value, covers ...string) {
	d.list = append(d.list, Detail{Name: name, Label: label, Section: d.section, Scratch: d.scratch, Value: v, Covers: covers})
}

// moment adds a time, unless it is none. What people read of it ends at milliseconds; no digest covers it.
func (d *details) moment(name, label string, t time.Time) {
	if !t.IsZero() {
		d.add(name, label, Moment(t.Truncate(time.Millisecond)))
	}
}

func (d *details) judged(o *Operation) {
	d.add("verdict", "policy", Verdict{o.Verdict, o.Risk, o.Why})
	d.add("decision", "decision", decided(o.Decision))
	if o.By != "" {
		d.add("by", "decided by", Who{o.By, o.ByKey})
	}
	d.moment("decided", "decided", o.Decided)
	if o.Reason != "" {
		d.add("decision_reason", "reason", Stored(o.Reason))
	}
	if o.Grant > 0 {
		d.add("grant", "grant", Number(o.Grant))
	}
	if words := o.Decision.Explained(); !words.Empty() {
		d.add("outcome", "outcome", Words{Caution, words})
	}
}

// decided is a decision that people are told of; that an operation waits is said wherever it is named.
func decided(d Decision) Value {
	if d == Waiting {
		return Unseen(d)
	}
	return Words{Plain, render.Line(string(d))}
}

// Explained says what the decision means where its word alone does not, "" where it does.
func (d Decision) Explained() render.Text {
	switch d {
	case Unknown:
		return render.Own("the gateway stopped while it ran; whether it ran is not known")
	case Conflicted:
		return render.Own("the target held something else by then; nothing was changed")
	case Failed:
		return render.Own("it could not be made; nothing was changed")
	case Planned:
		return render.Own("nothing of a plan runs, and nobody decides on it")
	case Waiting, Allowed, Denied, Approved, Rejected, Expired, Cancelled:
	}
	return render.Text{}
}

func (d *details) command(c *Command) {
	d.add("user", "as user", Account{c.RunAs, c.Target}, "user", "target")
	d.add("argv", "runs", Argv(c.Argv), "argv")
	d.add("executable", "executable", Path(c.Path), "executable")
	d.add("cwd", "directory", Path(c.Dir), "cwd")
	d.add("env_changes", "environment", EnvChanges(c.EnvChanges))
	d.add("stdin", "stdin", Stdin{c.Input, c.InputData, c.InputSHA256}, "stdin_from", "stdin_sha256")
	if len(c.Before) > 0 {
		d.add("before_digests", "before it", Earlier{c.Needs, c.Before}, "before_digests")
	}
	for i := range c.Scratch {
		f := &c.Scratch[i]
		d.scratch = i + 1
		d.add("summary", "scratch", Words{Caution, render.Format("put on the target for it, and removed at the session's end: %s", f.Summary())}, "scratch")
		d.file(f)
		d.add("digest", "digest", Digest(f.Digest()), "scratch")
	}
	d.scratch = 0
	if c.Line > 0 {
		d.add("line", "line", ScriptLine{N: c.Line})
	}
}

func (d *details) file(f *File) {
	d.add("op", "kind", Stored(f.Op), "op")
	d.add("path", "path", Path(f.Path), "path")
	switch f.Op {
	case Rename:
		d.add("to", "new name", Path(f.To), "to")
	case Symlink:
		d.add("to", "leads to", Path(f.To), "to")
	default:
		if f.To != "" {
			d.add("to", "other name", Path(f.To), "to")
		}
	}
	d.add("user", "as user", Account{f.RunAs, f.Target}, "user", "target")
	d.add("before", "before", Entry{f.Was}, "before")
	if f.Op == Rename || f.WasTo != nil {
		d.add("to_before", "replaces", Entry{f.WasTo}, "to_before")
	}
	at, to := f.after()
	if f.Op == Write {
		d.add("after", "after", Entry{at}, "size", "sha256")
	} else {
		d.add("after", "after", Entry{at})
		if f.Size != 0 || f.SHA256 != "" {
			d.add("written", "writes", Written{f.Size, f.SHA256}, "size", "sha256")
		}
	}
	if f.Op == Rename {
		d.add("to_after", "becomes", Entry{to})
	}
	if f.Perms {
		d.add("mode", "rights", Rights{f.Mode, f.UID, f.GID, f.Was, f.rightsInAfter()}, "rights")
	} else if f.rightsInAfter() {
		d.add("rights_unset", "rights", Words{Caution, render.Own("none are set, whatever stands above")}, "rights")
	}
	switch {
	case !f.Mtime.IsZero():
		d.add("mtime", "time set", Moment(f.Mtime), "mtime")
	case f.Op == Touch:
		d.add("mtime_now", "time set", Words{Plain, render.Own("the moment when it is made")}, "mtime")
	}
	if f.Op == Write && f.Size > LargeWrite {
		d.add("warning", "warning", Words{Caution, render.Format("large: %.1f MiB are written", float64(f.Size)/(1<<20))})
	}
	d.add("rollback", "rollback", Undo{f.Kept, f.Lost})
	d.add("diff", "content", Content{f})
}

// rightsInAfter reports whether what is there after the change shows the rights that it sets.
func (f *File) rightsInAfter() bool {
	switch f.Op {
	case Write, Mkdir, Chmod, Chown:
		return true
	case Symlink:
		return f.Mode == 0o777
	default: // nothing of the kind for the others
	}
	return false
}

func (d *details) result(o *Operation) {
	d.moment("started", "started", o.Started)
	d.moment("finished", "finished", o.Finished)
	if o.ExitCode != nil {
		d.add("exit_code", "ended", Ended{*o.ExitCode, o.Signal})
	}
	if o.OutputCut {
		d.add("output_cut", "output", Words{Caution, render.Own("the recorded output is not whole: it reached its limit")})
	}
}
