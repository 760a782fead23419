package journal

import (
	"fmt"
	"iter"
	"path"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// Row is one line of a detail for people: a label and text that is safe to print.
type Row struct {
	Label string // "" goes on with the row before
	Text  render.Text
	Tone  Tone
	// Prose says that the text is sentences of the gateway's own, which may be wrapped between words.
	Prose bool
}

// Tone says how much a row matters.
type Tone int

// Tones.
const (
	Plain Tone = iota
	Strong
	Caution
	Danger
	Faint
)

// warningLabel stands before a warning of the row above it.
const warningLabel = "  !"

// Value is what a detail says. What it holds is as it was recorded, not rendered unless its type says so.
type Value interface {
	// rows calls yield with each row of the value for people.
	rows(label string, yield func(Row) bool)
}

// Rows are the detail for people, none where another one says the same.
func (d *Detail) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) { d.Value.rows(d.Label, yield) }
}

// Values.
type (
	// Words are the gateway's own.
	Words struct {
		Tone Tone
		Text render.Text
	}
	// Stored was rendered when it was recorded.
	Stored string
	// Unseen is for programs: people are told by other details.
	Unseen string
	// Number is a count.
	Number int
	// Path is a path on the target.
	Path string
	// Argv is an argument vector.
	Argv []string
	// Account is a user on a target.
	Account struct{ User, Target string }
	// EnvChanges is how an environment differs from the session's: "KEY=VALUE" set, "-KEY" unset.
	EnvChanges []string
	// Environment is a whole environment, KEY=VALUE.
	Environment []string
	// Digest is a SHA-256 in hex.
	Digest string
	// Moment is a time.
	Moment time.Time
	// Who is an identity and the fingerprint of its key.
	Who struct{ Name, Key string }
	// Entry is what is at a path, or will be; nil for nothing.
	Entry struct{ *FileState }
	// Verdict is what the policy said. Why was rendered when it was recorded.
	Verdict struct {
		Verdict policy.Verdict
		Risk    policy.Risk
		Why     string
	}
	// Effect says what a command does, as the policy reads it. Text was rendered when it was recorded.
	Effect struct {
		Text string
		Risk policy.Risk
	}
	// Stdin is where a command's standard input comes from, and all of it where it is known.
	Stdin struct {
		From   string
		Data   []byte
		SHA256 string // hex
	}
	// Earlier are the changes of files that are made before a command, by number and by digest.
	Earlier struct {
		N       []int
		Digests []string
	}
	// Rights are the permission bits and the owner that a change sets.
	Rights struct {
		Mode     uint32
		UID, GID uint32
		Was      *FileState // what they replace
		// InAfter says that the state after the change shows them, so that people need only be told what changes.
		InAfter bool
	}
	// Written is what a write puts into a file.
	Written struct {
		Size   int64 // bytes
		SHA256 string
	}
	// Undo says whether a change can be rolled back, or why not.
	Undo struct {
		Kept bool
		Lost string
	}
	// Content stands where the difference of a file's content belongs, which is read beside the journal.
	Content struct{ File *File }
	// ScriptLine is the line of the script that asked, by the script's own word.
	ScriptLine struct {
		N    int
		Text string // "" where it is not known
	}
	// Ended is how a command ended.
	Ended struct{ ExitCode, Signal int }
)

func (w Words) rows(label string, yield func(Row) bool) { yield(Row{label, w.Text, w.Tone, true}) }

func (s Stored) rows(label string, yield func(Row) bool) {
	yield(Row{label, render.Stored(string(s)), Plain, true})
}

func (Unseen) rows(string, func(Row) bool) {}

func (n Number) rows(label string, yield func(Row) bool) {
	yield(Row{label, render.Format("%d", int(n)), Plain, true})
}

func (p Path) rows(label string, yield func(Row) bool) {
	_ = yield(Row{label, word(string(p)), Strong, false}) && warn(string(p), yield)
}

// rows are the whole command, the lines of its shell text, and each word by itself.
func (a Argv) rows(label string, yield func(Row) bool) {
	if len(a) == 0 {
		yield(Row{label, render.Own("nothing: it has no words"), Danger, true})
		return
	}
	if !yield(Row{label, render.Argv(a), Strong, false}) {
		return
	}
	text, isShell := ShellText(a)
	if isShell {
		n := 0
		for l := range strings.SplitSeq(text, "\n") {
			if n++; !yield(Row{fmt.Sprintf("shell %d", n), render.Block(l), Plain, false}) || !warn(l, yield) {
				return
			}
		}
	}
	for i, w := range a {
		row := Row{fmt.Sprintf("argv[%d]", i), word(w), Plain, false}
		if isShell && i == 2 {
			row.Text, row.Tone, row.Prose = render.Format("the shell text above, %d bytes", len(w)), Faint, true
			if !yield(row) {
				return
			}
			continue
		}
		if !yield(row) || !warn(w, yield) {
			return
		}
	}
}

// ShellText is TEXT of sh -c TEXT.
func ShellText(argv []string) (string, bool) {
	if len(argv) != 3 || argv[1] != "-c" {
		return "", false
	}
	switch path.Base(argv[0]) {
	case "sh", "bash", "dash", "ash", "zsh", "ksh":
		return argv[2], true
	}
	return "", false
}

func (a Account) rows(label string, yield func(Row) bool) {
	_ = yield(Row{label, render.Format("%s on %s", a.User, a.Target), Strong, false}) && warn(a.User, yield) && warn(a.Target, yield)
}

func (e EnvChanges) rows(label string, yield func(Row) bool) {
	if len(e) == 0 {
		yield(Row{label, render.Own("unchanged"), Faint, true})
	}
	for _, kv := range e {
		text := render.Format("set %s", kv)
		if name, ok := strings.CutPrefix(kv, "-"); ok {
			text = render.Format("unset %s", name)
		}
		if !yield(Row{label, text, Caution, false}) {
			return
		}
		label = ""
	}
}

func (e Environment) rows(label string, yield func(Row) bool) {
	for i, kv := range e {
		if !yield(Row{fmt.Sprintf("%s %d", label, i+1), render.Line(kv), Faint, false}) {
			return
		}
	}
}

func (d Digest) rows(label string, yield func(Row) bool) {
	if d != "" {
		yield(Row{label, render.Line(string(d)), Faint, false})
	}
}

func (m Moment) rows(label string, yield func(Row) bool) {
	yield(Row{label, render.Line(moment(time.Time(m))), Plain, false})
}

func (w Who) rows(label string, yield func(Row) bool) {
	text := render.Line(w.Name)
	if w.Key != "" {
		text = text.With(" %s", w.Key)
	}
	yield(Row{label, text, Plain, false})
}

func (s Entry) rows(label string, yield func(Row) bool) {
	yield(Row{label, s.words(), Plain, false})
}

func (v Verdict) rows(label string, yield func(Row) bool) {
	text := render.Format("%s (%s): %s", string(v.Verdict), string(v.Risk), render.Stored(v.Why))
	yield(Row{label, text, riskTone(v.Risk), true})
}

func riskTone(r policy.Risk) Tone {
	switch r {
	case policy.Danger:
		return Danger
	case policy.Caution, policy.Unknown:
		return Caution
	case policy.Safe:
	}
	return Plain
}

func (e Effect) rows(label string, yield func(Row) bool) {
	yield(Row{label, render.Stored(e.Text), riskTone(e.Risk), true})
}

// rows are where it comes from, and all of it where that is known.
func (s Stdin) rows(label string, yield func(Row) bool) {
	row := Row{label, render.Text{}, Caution, true}
	switch s.From {
	case "", InputNone:
		row.Text, row.Tone = render.Own("none"), Plain
	case InputFile:
		row.Text = render.Own("a file that the script has opened; what is in it is not shown")
	case InputStream:
		row.Text = render.Own("a stream from the script; what will come is not known yet")
	case InputData:
		row.Text, row.Tone = render.Format("%d bytes, all of them below", len(s.Data)), Plain
	default:
		row.Text, row.Prose = render.Line(s.From), false
	}
	if !yield(row) {
		return
	}
	if len(s.Data) > 0 {
		n := 0
		for l := range strings.SplitSeq(strings.TrimSuffix(string(s.Data), "\n"), "\n") {
			if n++; !yield(Row{fmt.Sprintf("%s %d", label, n), render.Block(l), Plain, false}) {
				return
			}
		}
		if !strings.HasSuffix(string(s.Data), "\n") && !yield(Row{"", render.Own("without a newline at its end"), Faint, true}) {
			return
		}
	}
	if s.SHA256 != "" {
		yield(Row{"  sha256", render.Line(s.SHA256), Faint, false})
	}
}

func (e Earlier) rows(label string, yield func(Row) bool) {
	for i, digest := range e.Digests {
		text := render.Format("a change of a file, digest %s", digest)
		if i < len(e.N) {
			text = render.Format("operation %d, digest %s", e.N[i], digest)
		}
		if !yield(Row{label, text, Plain, false}) {
			return
		}
	}
}

// rows are what changes where something is replaced, else what is set.
func (r Rights) rows(label string, yield func(Row) bool) {
	text := render.Format("mode %04o, owner %d:%d", r.Mode, r.UID, r.GID)
	tone := Plain
	if was := r.Was; was != nil {
		var changes []render.Text
		if old := was.Mode & 0o7777; old != r.Mode {
			changes = append(changes, render.Format("mode %04o -> %04o", old, r.Mode))
		}
		if was.UID != r.UID || was.GID != r.GID {
			changes = append(changes, render.Format("owner %d:%d -> %d:%d", was.UID, was.GID, r.UID, r.GID))
		}
		if changes != nil {
			text, tone = render.Join(changes, ", "), Caution
		}
	}
	if tone == Plain && r.InAfter {
		return
	}
	yield(Row{label, text, tone, false})
}

func (w Written) rows(label string, yield func(Row) bool) {
	text := render.Format("%d bytes", w.Size)
	if w.SHA256 != "" {
		text = text.With(", sha256 %s", w.SHA256)
	}
	yield(Row{label, text, Plain, false})
}

func (u Undo) rows(label string, yield func(Row) bool) {
	switch {
	case u.Lost != "":
		yield(Row{label, render.Format("not possible: %s", u.Lost), Caution, true})
	case u.Kept:
		yield(Row{label, render.Own("possible: what is there before is kept"), Plain, true})
	}
}

func (Content) rows(string, func(Row) bool) {}

func (l ScriptLine) rows(label string, yield func(Row) bool) {
	text := render.Format("%d of the script, by its own word", l.N)
	if l.Text != "" {
		text = text.With(": %s", l.Text)
	}
	yield(Row{label, text, Plain, false})
}

func (e Ended) rows(label string, yield func(Row) bool) {
	row := Row{label, render.Format("exit %d", e.ExitCode), Plain, true}
	if e.Signal != 0 {
		row.Text, row.Tone = render.Format("exit %d, by signal %d", e.ExitCode, e.Signal), Danger
	}
	yield(row)
}

// word is untrusted text whose bounds are visible.
func word(s string) render.Text { return render.Argv([]string{s}) }

// warn warns of characters outside ASCII in the row before it. It reports whether to go on.
func warn(untrusted string, yield func(Row) bool) bool {
	warning, ok := render.Flag(untrusted)
	return !ok || yield(Row{warningLabel, warning, Caution, false})
}

// words says what a state is, in one line: all of it that a digest covers.
func (s *FileState) words() render.Text {
	if s == nil {
		return render.Own("nothing")
	}
	rights := render.Format("mode %04o, owner %d:%d", s.Mode&0o7777, s.UID, s.GID)
	size := render.Format("%d bytes", s.Size)
	var text render.Text
	switch s.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		text = render.Format("file, %s, %s", size, rights)
		switch {
		case s.SHA256 != "":
		case s.Mtime.IsZero():
			text = text.With(", content not read")
		default:
			text = text.With(", content not read, last changed %s", moment(s.Mtime))
		}
	case syscall.S_IFDIR:
		text = render.Format("directory, %s", rights)
		if s.Size != 0 {
			text = text.With(", %s", size)
		}
	case syscall.S_IFLNK:
		text = render.Format("link to %s, %s", word(string(s.Link)), rights)
		if s.Size != int64(len(s.Link)) {
			text = text.With(", %s", size)
		}
	default:
		text = render.Format("a device, FIFO or socket (type %o), %s", s.Mode&syscall.S_IFMT>>12, rights)
		if s.Size != 0 {
			text = text.With(", %s", size)
		}
	}
	if s.Link != "" && s.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		text = text.With(", link to %s", word(string(s.Link)))
	}
	if s.SHA256 != "" {
		text = text.With(", sha256 %s", s.SHA256)
	}
	return text
}
