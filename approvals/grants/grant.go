package grants

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// Kind says what a grant lets run.
type Kind string

// Kinds of grants.
const (
	Exact Kind = "exact" // the command that was approved, byte for byte, as its digest has it
	Shape Kind = "shape" // the same program with the same words, some of which may vary
)

// Grant is an approver's standing answer to a command that the policy asks about. It is made of an operation that this
// approver approved, names everything that must be the same, and never outlives its session or its time. What the policy denies
// stays denied.
type Grant struct {
	N    int
	Kind Kind
	// Session is the only session that the grant is for; empty for every session of the identity on the target, until Until.
	Session  string
	Identity string
	Target   string
	Until    time.Time // zero for the session's life

	RunAs, Path, Dir string
	Argv             journal.Strings // as it was approved
	Env, EnvChanges  journal.Strings // of a command that it covers, both are the same
	Digest           string          // of the operation that was approved
	Varies           []VaryingWord   `json:",omitempty"`
	// Line says that the words of a shape are those of a plain command line, which Argv has as text for a shell.
	Line bool `json:",omitempty"`
	// Danger says that the operation was dangerous when it was approved. No other shape covers what is.
	Danger bool   `json:",omitempty"`
	From   Origin // where it comes from

	By, ByKey string
	Created   time.Time
	Revoked   time.Time // zero while it is not
	RevokedBy string    `json:",omitempty"`
}

// Origin names the operation that a grant was made of.
type Origin struct {
	Session string
	N       int
}

// VaryingWord is a word of a command that may be another: Prefix, which stays, and something of the class.
type VaryingWord struct {
	Word   int // index in Words
	Prefix string
	Class  string // "number" or "name"
}

// classes are what a varying part may be. None of them can be a flag, a path to another directory, or hold a character that
// a shell or a program splits.
var classes = map[string]*regexp.Regexp{
	"number": regexp.MustCompile(`\A[0-9]{1,19}\z`),
	"name":   regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}\z`),
}

// Spec is what an approver asks for.
type Spec struct {
	Kind Kind
	Vary []int         // of a shape: the words that may vary, counted from 0 at the program's name: those of Words
	For  time.Duration // 0 for the session alone
	// Links are the links on the way to the command's program, as the target has them now. Preview makes no shape of one that
	// is a link to what runs others.
	Links []string
}

// Errors of grants.
var (
	ErrNoGrant  = errors.New("no such grant")
	ErrBadGrant = errors.New("cannot be granted")
	// ErrNotGranted is wrapped where an operation was approved, and the grant could not be made.
	ErrNotGranted = errors.New("approved, and not granted")
)

// maxGrants bounds the grants that are kept, those that are over included.
const maxGrants = 1000

// Active reports whether the grant holds at that time.
func (g *Grant) Active(now time.Time) bool {
	return g.Revoked.IsZero() && (g.Session != "" || !g.Until.IsZero()) && (g.Until.IsZero() || now.Before(g.Until))
}

// Words are the words of a command that a shape counts: those of its argv, or of the plain command line that a shell is given.
func Words(argv []string) (words []string, line bool) {
	if text, ok := journal.ShellText(argv); ok {
		if words := policy.PlainWords(text); words != nil {
			return words, true
		}
	}
	return argv, false
}

// words are the words of the command that the grant was made of.
func (g *Grant) words() []string {
	if g.Line {
		words, _ := Words(g.Argv)
		return words
	}
	return g.Argv
}

// Shape is the command with its varying parts spelled out, rendered: safe to print.
func (g *Grant) Shape() string {
	of := g.words()
	words := make([]string, len(of))
	for i, w := range of {
		words[i] = render.Argv([]string{w}).String()
	}
	for _, v := range g.Varies {
		if v.Word < len(words) {
			words[v.Word] = render.Line(v.Prefix).String() + "<" + v.Class + ">"
		}
	}
	return strings.Join(words, " ")
}

// String is one line that spells out what the grant lets run, rendered.
func (g *Grant) String() string {
	scope := fmt.Sprintf("%s on %s until %s", render.Line(g.Identity), render.Line(g.Target), g.Until.UTC().Format(time.RFC3339))
	if g.Session != "" {
		scope = "session " + g.Session
	}
	env := ""
	if len(g.EnvChanges) > 0 {
		env = fmt.Sprintf(", environment %s", render.Argv(g.EnvChanges))
	}
	start := render.Line(g.Path).String()
	if g.Line {
		start = "a line of " + start
	}
	return fmt.Sprintf("%s: %s (%s, %s in %s as %s%s)", scope, g.Shape(), g.Kind, start, render.Line(g.Dir), render.Line(g.RunAs), env)
}

// covers reports whether an operation is of a command that the grant was made for.
func (g *Grant) covers(o *journal.Operation) bool {
	c := o.Command
	if g.Target != c.Target || g.RunAs != c.RunAs {
		return false
	}
	if g.Kind == Exact {
		return g.Digest == o.Digest
	}
	if o.Risk == policy.Danger && !g.Danger {
		return false
	}
	if g.Kind != Shape || g.Path != c.Path || g.Dir != c.Dir || c.Input != journal.InputNone ||
		!slices.Equal(g.Env, c.Env) || !slices.Equal(g.EnvChanges, c.EnvChanges) || len(g.Argv) != len(c.Argv) {
		return false
	}
	return g.allowsAll(c.Argv)
}

// allowsAll reports whether a command has the words of the grant's shape.
func (g *Grant) allowsAll(argv []string) bool {
	was, is := g.Argv, argv
	if g.Line {
		var line bool
		if is, line = Words(argv); !line || !slices.Equal(g.Argv[:2], argv[:2]) { // both are a shell, -c and a text
			return false
		}
		was = g.words()
	}
	if len(was) == 0 || len(was) != len(is) {
		return false
	}
	for i := range is {
		if !g.allows(i, was[i], is[i]) {
			return false
		}
	}
	return true
}

// CoversLine reports whether the grant lets a command line of some risk run that is given to the shell.
func (g *Grant) CoversLine(text string, risk policy.Risk) bool {
	shell, ok := journal.ShellText(g.Argv)
	return ok && (shell == text || g.Kind == Shape && g.Line && (g.Danger || risk != policy.Danger) && g.allowsAll([]string{g.Argv[0], g.Argv[1], text}))
}

// allows reports whether a word may stand at the place of another.
func (g *Grant) allows(i int, was, word string) bool {
	for _, v := range g.Varies {
		if v.Word == i {
			rest, ok := strings.CutPrefix(word, v.Prefix)
			class := classes[v.Class]
			return ok && class != nil && class.MatchString(rest) && !strings.Contains(rest, "..")
		}
	}
	return was == word
}

// Preview is the grant that a specification makes of an operation, without a number. It fails with ErrBadGrant, and the reason,
// where that cannot be granted. limit is the longest that a grant may last, 0 for any time.
func (s Spec) Preview(session journal.Session, n int, by journal.Identity, limit time.Duration, now time.Time) (Grant, error) {
	bad := func(why string, args ...any) (Grant, error) {
		return Grant{}, fmt.Errorf("operation %d of session %s %w: %s", n, session.ID, ErrBadGrant, fmt.Sprintf(why, args...))
	}
	o := session.Operation(n)
	if o == nil || o.Kind != journal.CommandKind || o.Command == nil {
		return bad("only a command can be granted")
	}
	c := o.Command
	switch {
	case o.Verdict != policy.Ask:
		return bad("the policy does not ask about it")
	case len(c.Before)+len(c.Scratch) > 0:
		return bad("changes of files go with it")
	case c.Input != journal.InputNone && c.Input != journal.InputData:
		return bad("its standard input is not known")
	case s.For < 0 || limit > 0 && s.For > limit:
		return bad("limits.grant allows %v at most", limit)
	}
	g := Grant{
		Kind: s.Kind, Session: session.ID, Identity: session.Identity, Target: c.Target, RunAs: c.RunAs, Path: c.Path, Dir: c.Dir,
		Argv: slices.Clone(c.Argv), Env: slices.Clone(c.Env), EnvChanges: slices.Clone(c.EnvChanges), Digest: o.Digest,
		Danger: o.Risk == policy.Danger, From: Origin{session.ID, n}, By: by.Name, ByKey: by.Fingerprint, Created: now,
	}
	if s.For > 0 {
		g.Session, g.Until = "", now.Add(s.For)
	}
	switch s.Kind {
	case Exact:
		if len(s.Vary) > 0 {
			return bad("an exact command has no word that varies; use shape")
		}
	case Shape:
		if err := g.vary(s, c); err != nil {
			return bad("%v", err)
		}
	default:
		return bad("grants are exact or shape, not %q", s.Kind)
	}
	return g, nil
}

// vary makes words of a shape vary.
func (g *Grant) vary(s Spec, c *journal.Command) error {
	words, line := Words(c.Argv)
	g.Line = line && isShell(c)
	if !g.Line {
		words = c.Argv
	}
	switch {
	case len(s.Vary) == 0:
		return errors.New("a shape needs at least one word that varies")
	case c.Input != journal.InputNone:
		return errors.New("a command with standard input can be granted exactly only")
	case g.Line && len(c.EnvChanges) > 0:
		return errors.New("it changes the environment, where a shell may look for its programs; only the exact command can be granted")
	}
	if why := varied(words, c, g.Line, s.Links); why != "" {
		return fmt.Errorf("%s; only the exact command can be granted", why)
	}
	for _, i := range slices.Compact(slices.Sorted(slices.Values(s.Vary))) {
		if i < 1 || i >= len(words) {
			return fmt.Errorf("it has no word %d after the program's name", i)
		}
		v, err := varying(words[i])
		if err != nil {
			return fmt.Errorf("word %d, %s: %w", i, render.Argv([]string{words[i]}), err)
		}
		v.Word = i
		g.Varies = append(g.Varies, v)
	}
	return nil
}

// isShell reports whether a command is a shell by the name of its file, too, whatever the first word says.
func isShell(c *journal.Command) bool {
	switch path.Base(c.Path) {
	case "sh", "bash", "dash", "ash":
		return path.Base(c.Path) == path.Base(c.Argv[0])
	}
	return false
}

// varied says why the words of a command must not be others, "" where they may.
func varied(words []string, c *journal.Command, line bool, links []string) string {
	file, argv0 := c.Path, words[0]
	if line && strings.Contains(argv0, "/") {
		file = argv0
	} else if line {
		file = "/bin/" + argv0 // whichever of the system's directories the shell finds it in
	}
	if why := policy.Varied(file, argv0, links...); why != "" {
		return why
	}
	return policy.VariedWords(argv0, words[1:])
}

// varying finds the part of a word that may vary: a number, a name, or the name of a file in the same directory, alone or behind a
// flag and "=".
func varying(word string) (v VaryingWord, err error) {
	if !utf8.ValidString(word) {
		return v, errors.New("it is not UTF-8")
	}
	rest := word
	if flag, value, ok := strings.Cut(word, "="); ok {
		v.Prefix, rest = flag+"=", value
	} else if strings.HasPrefix(word, "-") {
		return v, errors.New("a flag does not vary")
	}
	if strings.Contains(rest, "/") {
		dir, base := path.Split(rest)
		if !strings.HasPrefix(dir, "/") || path.Clean(dir)+"/" != dir && dir != "/" {
			return v, errors.New("a path that varies is absolute and clean")
		}
		v.Prefix, rest = v.Prefix+dir, base
	}
	for _, class := range []string{"number", "name"} {
		if classes[class].MatchString(rest) && !strings.Contains(rest, "..") {
			v.Class = class
			return v, nil
		}
	}
	return v, errors.New("it is neither a number nor a plain name")
}
