package journal

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"shannot-gateway/approvals/render"
)

// Shown are the details of an operation as people read them, in the same order for every front end: what would happen, where and
// as whom, how risky it is and why, whether it can be undone, who asks; then the rest of what a decision rests on; then, in
// ProofSection, what names it exactly; and last what came of it.
func (s *Session) Shown(op *Operation) []Detail {
	details := slices.Clone(s.Details(op))
	for i := range details {
		details[i].shorten(op.Command)
	}
	details = append(details, Detail{Name: "asks", Label: "asks", Section: WorkSection, Value: Asker{s.Identity, s.Name, s.Analysis}})
	slices.SortStableFunc(details, func(a, b Detail) int { return cmp.Compare(a.rank(), b.rank()) })
	return details
}

// first are the names of the details that come first, in their order.
var first = []string{"effect", "summary", "user", "cwd", "verdict", "undo", "rollback", "asks"}

// rank is where a detail stands among others.
func (d *Detail) rank() int {
	switch {
	case d.Section == ResultSection:
		return 100
	case d.Section == ProofSection:
		return 90
	case d.Scratch > 0:
		return 80
	}
	if i := slices.Index(first, d.Name); i >= 0 {
		return i
	}
	return 50
}

// shorten leaves to ProofSection what says nothing that people would not expect, and shows short words in one row.
func (d *Detail) shorten(c *Command) {
	if c == nil || d.Scratch > 0 {
		return
	}
	switch v := d.Value.(type) {
	case Argv:
		if text, ok := ShellText(v); ok {
			d.Value = shellArgv{v, text}
		} else if isPlain(v) {
			d.Value = plainArgv(v)
		}
	case EnvChanges:
		if len(v) == 0 {
			d.Section = ProofSection
		}
	case Stdin:
		if (v.From == "" || v.From == InputNone) && v.SHA256 == "" && len(v.Data) == 0 {
			d.Section = ProofSection
		}
	case Path:
		if d.Name == "executable" && isExpected(string(v), c.Argv) {
			d.Section = ProofSection
		}
	}
}

// isExpected reports whether a program is the one that its name stands for on every system: in one of the directories that only root
// writes, and of the name that the command says.
func isExpected(program string, argv []string) bool {
	if len(argv) == 0 || path.Base(program) != path.Base(argv[0]) || strings.Contains(argv[0], "/") && argv[0] != program {
		return false
	}
	if _, flagged := render.Flag(program); flagged || word(program).String() != program {
		return false
	}
	return slices.Contains([]string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}, path.Dir(program))
}

// maxPlain is how long a command may be that is shown in one row, in bytes.
const maxPlain = 400

// isPlain reports whether the words of a command can be told apart in one row, and hold nothing to be warned of.
func isPlain(argv []string) bool {
	n := 0
	for _, w := range argv {
		n += len(w) + 1
		if _, flagged := render.Flag(w); flagged || word(w).String() != w {
			return false
		}
	}
	return len(argv) > 0 && n <= maxPlain
}

// plainArgv is a command whose words can be told apart in one row.
type plainArgv []string

func (a plainArgv) rows(label string, yield func(Row) bool) {
	yield(Row{label, render.Argv(a), Strong, false})
}

// shellArgv is a command that is given shell text.
type shellArgv struct {
	argv []string
	text string
}

// rows are the shell text, a command in each row. Nothing of it is left out, and nothing is written otherwise than it came.
func (a shellArgv) rows(label string, yield func(Row) bool) {
	if !yield(Row{label, render.Format("%s and the shell text below, %d bytes", render.Argv(a.argv[:2]), len(a.text)), Strong, true}) {
		return
	}
	pieces := shellPieces(a.text)
	for i, n := 0, 0; i < len(pieces); {
		same := 1
		for i+same < len(pieces) && strings.TrimLeft(pieces[i+same], " ") == strings.TrimLeft(pieces[i], " ") {
			same++
		}
		text := render.Block(pieces[i])
		if same > 1 {
			text = text.With("  ×%d", same)
		}
		if n++; !yield(Row{shellLabel(n), text, Strong, false}) || !warn(pieces[i], yield) {
			return
		}
		i += same
	}
}

func shellLabel(n int) string { return render.Format("shell %d", n).String() }

// maxCut bounds the shell text that is taken apart, in bytes. Longer text is shown line by line.
const maxCut = 64 << 10

// shellPieces cuts shell text into its lines, and long lines before each command.
func shellPieces(text string) []string {
	cuts := map[int]bool{}
	if len(text) <= maxCut {
		if file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), ""); err == nil {
			syntax.Walk(file, func(n syntax.Node) bool {
				if s, ok := n.(*syntax.Stmt); ok {
					cuts[int(s.Pos().Offset())] = true // #nosec G115 -- at most maxCut
				}
				return true
			})
		}
	}
	var pieces []string
	at := 0
	for l := range strings.SplitSeq(text, "\n") {
		from := 0
		for i := 1; i < len(l) && len(l) > longLine; i++ {
			if !cuts[at+i] {
				continue
			}
			end := from + len(strings.TrimRight(l[from:i], " "))
			pieces, from = append(pieces, l[from:end]), end
		}
		pieces = append(pieces, l[from:])
		at += len(l) + 1
	}
	return pieces
}

// longLine is how long a line of shell text may be that is shown in one piece, in bytes.
const longLine = 72

// Asker is who asks, with their words, which prove nothing.
type Asker struct{ Agent, Name, Analysis string }

// maxAsked is how much of an agent's analysis stands beside its operation, in bytes; all of it is with the session.
const maxAsked = 300

func (a Asker) rows(label string, yield func(Row) bool) {
	text := render.Line(a.Agent)
	switch analysis := a.Analysis; {
	case a.Name == "" && analysis == "":
		text = text.With(", and says no reason")
	default:
		text = text.With(", in its own words:")
		if a.Name != "" {
			text = text.With(" “%s”", a.Name)
		}
		cut := len(analysis) > maxAsked
		if cut {
			analysis = strings.ToValidUTF8(analysis[:maxAsked], "")
		}
		if analysis != "" {
			text = text.With(" “%s”", analysis)
		}
		if cut {
			text = text.With(" … and more")
		}
	}
	yield(Row{label, text, Plain, true})
}
