package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"mvdan.cc/sh/v3/syntax"

	"shannot-gateway/approvals/render"
)

// Bounds of what is said of a command's effect.
const (
	maxConsequences = 6   // sentences; the rest is counted
	maxSentence     = 300 // characters of one
	maxNamed        = 8   // operands that a sentence names
)

// consequence is what a command does to the system, in words: rendered, safe to print.
type consequence struct {
	risk         Risk
	effect, undo string
	row          *change // nil for a redirection
}

// change is one row of consequences.toml: what the program does in one way of using it.
type change struct {
	// Sub holds the words that the operands begin with, alternatives separated by "|". They are no operands of the sentence.
	Sub string `toml:"sub"`
	// With holds flags of which one must be there.
	With string `toml:"with"`
	// Match is a regular expression (RE2) that one of the operands must match as a whole.
	Match string `toml:"match"`
	Risk  Risk   `toml:"risk"`
	// Effect is the sentence. {all} are the operands, {1} the first, {last}, {rest} all but the first, {init} all but the
	// last; {-x --long} is the value of a flag; {y|ies} is the first
	// for one operand and the second for several. A row whose sentence would miss one of them does not count.
	Effect string `toml:"effect"`
	Undo   string `toml:"undo"`

	subs  [][]string
	with  []string
	match *regexp.Regexp
}

// changer is what is known of a program that changes something.
type changer struct {
	// Flags are those that the sentences are right with, as in a row of the table. Of another one the sentence says that it
	// may change what happens. Open says that others make no difference to the sentence.
	Flags      string `toml:"flags"`
	Open       bool   `toml:"open"`
	SingleDash bool   `toml:"single_dash"`
	// Bundled: flags may stand in the first word without a dash (tar).
	Bundled bool     `toml:"bundled"`
	Does    []change `toml:"does"`

	grammar *grammar
}

//go:embed consequences.toml
var consequencesText string

// consequences are the rows by program.
var consequences = sync.OnceValue(func() map[string]*changer {
	m, err := readConsequences(consequencesText)
	if err != nil {
		panic("the table of consequences: " + err.Error())
	}
	return m
})

// readConsequences reads the table's text. An error is a row that says nothing, or contradicts itself.
func readConsequences(text string) (map[string]*changer, error) {
	var d struct {
		Programs map[string]*changer `toml:"programs"`
	}
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(&d); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	m := map[string]*changer{}
	var failed []error
	for names, p := range d.Programs {
		if err := p.compile(); err != nil {
			failed = append(failed, fmt.Errorf("programs.%s: %w", names, err))
		}
		for _, name := range strings.Fields(names) {
			if m[name] != nil {
				return nil, fmt.Errorf("the program %s %w", name, errTwice)
			}
			m[name] = p
		}
	}
	return m, errors.Join(failed...)
}

func (p *changer) compile() error {
	g, err := Program{Flags: p.Flags, SingleDash: p.SingleDash}.compile("", nil, 0)
	if err != nil {
		return err
	}
	p.grammar = g
	if len(p.Does) == 0 {
		return errors.New("it says nothing")
	}
	for i := range p.Does {
		if err := p.Does[i].compile(g); err != nil {
			return fmt.Errorf("change %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *change) compile(g *grammar) error {
	switch r.Risk {
	case Caution, Danger, Unknown:
	case Safe:
		return errors.New("a change is not safe")
	default:
		return fmt.Errorf("%q is no risk", r.Risk)
	}
	if r.Effect == "" || r.Undo != "no" && !strings.HasPrefix(r.Undo, "no: ") && !strings.HasPrefix(r.Undo, "yes: ") && !strings.HasPrefix(r.Undo, "partly: ") {
		return errors.New(`effect is a sentence, and undo begins with "no", "yes: " or "partly: "`)
	}
	for alternative := range strings.SplitSeq(r.Sub, "|") {
		if words := strings.Fields(alternative); len(words) > 0 {
			r.subs = append(r.subs, words)
		}
	}
	for _, word := range strings.Fields(r.With) {
		names, err := g.split(word)
		if err != nil {
			return err
		}
		for _, n := range names {
			if g.flags[n] == unknownFlag {
				return fmt.Errorf("the flag %s is not among flags", n)
			}
		}
		r.with = append(r.with, names...)
	}
	if r.Match != "" {
		e, err := regexp.Compile(`\A(?:` + r.Match + `)\z`)
		if err != nil {
			return fmt.Errorf("reading a regular expression: %w", err)
		}
		r.match = e
	}
	return nil
}

// usage is how a program is used: its words, taken apart.
type usage struct {
	operands []arg
	have     map[string]bool
	values   map[string]arg
	odd      []string // flags that the table does not know
}

// parse takes the words of a command apart.
func (p *changer) parse(args []arg) usage {
	u := usage{have: map[string]bool{}, values: map[string]arg{}}
	for i := 0; i < len(args); i++ {
		a := args[i]
		text := a.text
		if p.Bundled && i == 0 && text != "" && text[0] != '-' && !strings.ContainsAny(text, "/.=") {
			text = "-" + text
		}
		switch {
		case text == "--":
			u.operands = append(u.operands, args[i+1:]...)
			return u
		case len(text) < 2 || text[0] != '-' || a.many && !a.known:
			u.operands = append(u.operands, a)
			continue
		}
		if flag := p.flag(a, text, &u); flag != "" && i+1 < len(args) {
			i++
			u.values[flag] = args[i]
		}
	}
	return u
}

// flag takes a word of flags apart. It returns the flag whose value is the next word, "" for none.
func (p *changer) flag(a arg, text string, u *usage) string {
	if strings.HasPrefix(text, "--") || p.SingleDash {
		name, value, attached := strings.Cut(text, "=")
		if p.grammar.flags[name] == unknownFlag && strings.HasPrefix(name, "--") {
			if long, k := p.grammar.abbreviated(name); k != unknownFlag {
				name = long
			}
		}
		u.have[name] = true
		switch k := p.grammar.flags[name]; {
		case k == unknownFlag:
			u.odd = append(u.odd, name)
		case attached:
			u.values[name] = arg{text: value, known: a.known}
		case k == valueFlag:
			return name
		}
		return ""
	}
	for i := 1; i < len(text); i++ {
		name := "-" + text[i:i+1]
		u.have[name] = true
		switch p.grammar.flags[name] {
		case unknownFlag:
			u.odd = append(u.odd, text)
			return ""
		case valueFlag, optionalFlag:
			if rest := text[i+1:]; rest != "" {
				u.values[name] = arg{text: strings.TrimPrefix(rest, "="), known: a.known}
			} else if p.grammar.flags[name] == valueFlag {
				return name
			}
			return ""
		case plainFlag, harmfulFlag:
		}
	}
	return ""
}

// consequenceOf is what a command does, as far as the table knows.
func consequenceOf(name string, args []arg) (consequence, bool) {
	p := consequences()[name]
	if p == nil {
		return consequence{}, false
	}
	u := p.parse(args)
	for i := range p.Does {
		r := &p.Does[i]
		left, ok := r.applies(u)
		if !ok {
			continue
		}
		said := sentence{usage: u, operands: left}
		effect, ok := said.fill(r.Effect)
		if !ok {
			continue
		}
		if len(u.odd) > 0 && !p.Open {
			effect += "; " + shown(u.odd[0]) + " may change that"
		}
		if said.unclear {
			effect += " (as far as the words are known before it runs)"
		}
		said.plain = true
		undo, ok := said.fill(r.Undo)
		if !ok {
			undo = "partly: not all of it is known"
		}
		return consequence{r.Risk, cut(effect), cut(undo), r}, true
	}
	return consequence{}, false
}

func cut(s string) string {
	t, _ := render.Fit(render.Stored(s), maxSentence)
	return t.String()
}

// applies reports whether the row is about this use, and returns the operands of its sentence.
func (r *change) applies(u usage) ([]arg, bool) {
	if len(r.with) > 0 && !slices.ContainsFunc(r.with, func(f string) bool { return u.have[f] }) {
		return nil, false
	}
	left, ok := u.operands, len(r.subs) == 0
	for _, words := range r.subs {
		if len(left) >= len(words) && slices.EqualFunc(left[:len(words)], words, func(a arg, w string) bool { return a.text == w }) {
			left, ok = left[len(words):], true
			break
		}
	}
	if !ok || r.match != nil && !slices.ContainsFunc(left, func(a arg) bool { return r.match.MatchString(a.text) }) {
		return nil, false
	}
	return left, true
}

// sentence fills the words of a command into a row's text.
type sentence struct {
	usage
	operands []arg
	unclear  bool // a word that was filled in is not known before the command runs
	plain    bool // words stand as in a command
}

var placeholder = regexp.MustCompile(`\{[^{}]+\}`)

// fill reports false where a word that the text needs is not there.
func (s *sentence) fill(text string) (string, bool) {
	complete := true
	filled := placeholder.ReplaceAllStringFunc(text, func(hole string) string {
		words, ok := s.words(hole[1 : len(hole)-1])
		complete = complete && ok
		return words
	})
	return filled, complete
}

// words are what stands in one placeholder's place.
func (s *sentence) words(what string) (string, bool) {
	n := len(s.operands)
	if one, many, ok := strings.Cut(what, "|"); ok {
		if n == 1 {
			return one, true
		}
		return many, true
	}
	switch {
	case what[0] == '-':
		for flag := range strings.FieldsSeq(what) {
			if v, ok := s.values[flag]; ok {
				return s.list([]arg{v}), true
			}
		}
	case what == "all" && n > 0:
		return s.list(s.operands), true
	case what == "last" && n > 0:
		return s.list(s.operands[n-1:]), true
	case what == "rest" && n > 1:
		return s.list(s.operands[1:]), true
	case what == "init" && n > 1:
		return s.list(s.operands[:n-1]), true
	case len(what) == 1 && what[0] >= '1' && what[0] <= '9' && int(what[0]-'1') < n:
		return s.list(s.operands[what[0]-'1' : what[0]-'0']), true
	}
	return "", false
}

// list names words one after the other.
func (s *sentence) list(args []arg) string {
	var names []string
	for _, a := range args {
		s.unclear = s.unclear || !a.known && !a.closed && a.text != readWords && a.text != "{}"
		for _, text := range append([]string{a.text}, a.others...) {
			switch text {
			case readWords:
				names = append(names, "the words that xargs reads")
			case "{}":
				names = append(names, "what find finds")
			default:
				names = append(names, shown(text))
			}
		}
	}
	switch n := len(names); {
	case s.plain:
		return strings.Join(names, " ")
	case n > maxNamed:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), n-maxNamed)
	case n > 1:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// readWords stands for what xargs adds to a command.
const readWords = "the words it reads"

// note records what a command does that asks, or that nothing is known of it.
func (c *call) note(name string, args []arg, d Decision) Decision {
	if d.Verdict != Ask {
		return d
	}
	if _, is := wrappers[name]; is || runsText(name, args) {
		return d // the command within has its own
	}
	made, known := consequenceOf(name, args)
	if !known && c.judge.programs[name] != nil && strings.HasSuffix(d.Reason, notListed) {
		return d // it reads
	}
	if !known {
		c.unclear = appendOnce(c.unclear, shown(name))
		return d
	}
	c.added(made)
	if d.Risk == Unknown || riskRank(made.risk) > riskRank(d.Risk) {
		d.Risk = made.risk
	}
	return d
}

// runsText reports whether a shell is given its text in a word, which is judged by itself.
func runsText(name string, args []arg) bool {
	if name == "eval" || name == "trap" || name == "su" || name == "script" {
		return true
	}
	return isShell(name) && slices.ContainsFunc(args, func(a arg) bool {
		return len(a.text) > 1 && a.text[0] == '-' && a.text[1] != '-' && strings.Contains(a.text, "c")
	})
}

// noteRedirection records what a redirection changes.
func (c *call) noteRedirection(op syntax.RedirOperator, to arg) {
	s := sentence{}
	does := "replaces the content of "
	if op == syntax.AppOut || op == syntax.AppAll {
		does = "appends to "
	}
	does += s.list([]arg{to})
	if s.unclear {
		does += " (as far as the name is known before it runs)"
	}
	c.added(consequence{Caution, cut(does), "no: the old content is not kept", nil})
}

// added keeps one consequence, once.
func (c *call) added(made consequence) {
	c.spend(costWord + len(made.effect)/bytesPerStep)
	if !slices.Contains(c.made, made) {
		c.hold(len(made.effect) + len(made.undo))
		c.made = append(c.made, made)
	}
}

func appendOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// concluded is the decision with what was noted on the way.
func (c *call) concluded(d Decision) Decision {
	if d.Verdict != Ask || len(c.made) == 0 {
		return d
	}
	var effects, undos []string
	for _, m := range c.made[:min(len(c.made), maxConsequences)] {
		effects, undos = append(effects, m.effect), appendOnce(undos, m.undo)
	}
	for _, m := range c.made {
		if riskRank(m.risk) > riskRank(d.Risk) {
			d.Risk = m.risk
		}
	}
	if more := len(c.made) - maxConsequences; more > 0 {
		effects = append(effects, fmt.Sprintf("and does %d more things", more))
		undos = appendOnce(undos, "no: not all of it is said here")
	}
	if n := len(c.unclear); n > 0 {
		effects = append(effects, "runs "+strings.Join(c.unclear[:min(n, maxNamed)], ", ")+", of which the policy knows no effect")
		undos = appendOnce(undos, "no: not all of it is known")
	}
	d.Effect, d.Undo = strings.Join(effects, "; "), joinUndo(undos)
	return d
}

// joinUndo says of several changes whether they can be undone.
func joinUndo(undos []string) string {
	if len(undos) == 1 {
		return undos[0]
	}
	all := "partly"
	if !slices.ContainsFunc(undos, func(u string) bool { return !strings.HasPrefix(u, "no") }) {
		all = "no"
	} else if !slices.ContainsFunc(undos, func(u string) bool { return !strings.HasPrefix(u, "yes") }) {
		all = "yes"
	}
	var how []string
	for _, u := range undos {
		if _, text, ok := strings.Cut(u, ": "); ok {
			how = append(how, text)
		}
	}
	if len(how) == 0 {
		return all
	}
	return all + ": " + strings.Join(how, "; ")
}

// riskRank orders risks by what an approver should see first.
func riskRank(r Risk) int {
	switch r {
	case Safe:
		return 0
	case Caution:
		return 1
	case Unknown:
		return 2
	case Danger:
		return 3
	}
	return 2
}
