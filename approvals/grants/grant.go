package grants

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
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
	From             Origin          // where it comes from

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
	Word   int // index in Argv
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
	Vary []int         // of a shape: the words that may vary, counted from 0 at the program's name as show counts them
	For  time.Duration // 0 for the session alone
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

// Shape is the command with its varying parts spelled out, rendered: safe to print.
func (g *Grant) Shape() string {
	words := make([]string, len(g.Argv))
	for i, w := range g.Argv {
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
	return fmt.Sprintf("%s: %s (%s, %s in %s as %s%s)", scope, g.Shape(), g.Kind, render.Line(g.Path), render.Line(g.Dir), render.Line(g.RunAs), env)
}

// covers reports whether a command is one that the grant was made for.
func (g *Grant) covers(c *journal.Command, digest string) bool {
	if g.Target != c.Target || g.RunAs != c.RunAs {
		return false
	}
	if g.Kind == Exact {
		return g.Digest == digest
	}
	if g.Kind != Shape || g.Path != c.Path || g.Dir != c.Dir || c.Input != journal.InputNone ||
		!slices.Equal(g.Env, c.Env) || !slices.Equal(g.EnvChanges, c.EnvChanges) || len(g.Argv) != len(c.Argv) {
		return false
	}
	for i := range c.Argv {
		if !g.allows(i, c.Argv[i]) {
			return false
		}
	}
	return true
}

// allows reports whether a word may stand at its place.
func (g *Grant) allows(i int, word string) bool {
	for _, v := range g.Varies {
		if v.Word == i {
			rest, ok := strings.CutPrefix(word, v.Prefix)
			class := classes[v.Class]
			return ok && class != nil && class.MatchString(rest) && !strings.Contains(rest, "..")
		}
	}
	return g.Argv[i] == word
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
		From: Origin{session.ID, n}, By: by.Name, ByKey: by.Fingerprint, Created: now,
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
		if err := g.vary(s.Vary, c); err != nil {
			return bad("%v", err)
		}
	default:
		return bad("grants are exact or shape, not %q", s.Kind)
	}
	return g, nil
}

// vary makes words of a shape vary.
func (g *Grant) vary(words []int, c *journal.Command) error {
	name := filepath.Base(c.Path)
	switch {
	case len(words) == 0:
		return errors.New("a shape needs at least one word that varies")
	case policy.RunsOthers(name):
		return fmt.Errorf("%s runs what is in its words, so that only the exact command can be granted", render.Line(name))
	case c.Input != journal.InputNone:
		return errors.New("a command with standard input can be granted exactly only")
	}
	for _, i := range slices.Compact(slices.Sorted(slices.Values(words))) {
		if i < 1 || i >= len(c.Argv) {
			return fmt.Errorf("it has no word %d after the program's name", i)
		}
		v, err := varying(c.Argv[i])
		if err != nil {
			return fmt.Errorf("word %d, %s: %w", i, render.Argv([]string{c.Argv[i]}), err)
		}
		v.Word = i
		g.Varies = append(g.Varies, v)
	}
	return nil
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
