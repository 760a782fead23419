package policy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Program says how a program is used when it only reads. It is a row of the package's table, and of a user's own
// ([programs.NAME] in the configuration). It lists what is harmless; all else asks.
type Program struct {
	// Any: whatever its words are, the program only reads.
	Any bool `toml:"any"`
	// Names: what the program shows of the files that it names is no more than names and numbers.
	Names bool `toml:"names"`
	// Flags are the harmless flags, separated by blanks. "-abc" are three short ones. "-n=" takes a value, attached or as
	// the next word; "-n==" takes the next word whatever it looks like (POSIX's getopt); "-n?" may have one attached.
	// "--lines", "--lines=", "--color?" are long ones.
	Flags string `toml:"flags"`
	// Global are harmless flags of the program and of each of its subcommands.
	Global string `toml:"global"`
	// Writes, Runs, Network, Changes and Harm are flags, without values, that write a file, run a program, use the
	// network, change the system, or do something else that is not reading. Each would ask without being listed; listed,
	// the reason says why. "*" means the program as a whole.
	Writes  string `toml:"writes"`
	Runs    string `toml:"runs"`
	Network string `toml:"network"`
	Changes string `toml:"changes"`
	Harm    string `toml:"harm"`
	// Need has flags of which one must be there; without it the program does something else. "/" stands for an operand
	// that is an absolute path, any other word for that operand.
	Need string `toml:"need"`
	// Beside: flags that are harmless only where one of others is there, too: {"-d --decompress" = "-c --stdout"}. "*"
	// stands for any operand, and among the others a word for that operand.
	Beside map[string]string `toml:"beside"`
	// Operands is how many operands there may be: a number, or "any". None, if it is absent.
	Operands any `toml:"operands"`
	// Match is a regular expression (RE2) that each operand must match as a whole; Values one for each flag's value.
	Match  string `toml:"match"`
	Values string `toml:"values"`
	// Avoid is a regular expression (RE2): an operand or a value of a flag that holds a match of it asks. It counts for
	// the subcommands that have none of their own.
	Avoid string `toml:"avoid"`
	// Refuse are operands that ask.
	Refuse string `toml:"refuse"`
	// SingleDash: long flags begin with one dash ("-noout"), and short ones are not bundled.
	SingleDash bool `toml:"single_dash"`
	// Abbreviates: the program takes the beginning of a long flag for the flag, and all of its long flags are listed.
	Abbreviates bool `toml:"abbreviates"`
	// Bundled: flags may stand in the first word without a dash (tar).
	Bundled bool `toml:"bundled"`
	// Walled: a wall of the target holds back all that the harmful flags do, so that words which are not known before the
	// shell expands them may be there.
	Walled bool `toml:"walled"`
	// Subcommands by name, or by several names separated by blanks. With Bare the program reads without one, too.
	Subcommands map[string]Program `toml:"subcommands"`
	Bare        bool               `toml:"bare"`
}

// Bounds of a table, far above what is useful.
const (
	maxRowText  = 16 << 10 // bytes of one list or expression
	maxRowDepth = 4        // subcommands within subcommands
)

// errTwice is the reason of a row that contradicts itself.
var errTwice = errors.New("is listed twice")

// kind is what is known of a flag.
type kind uint8

const (
	unknownFlag kind = iota
	plainFlag
	valueFlag    // takes a value, attached or as the next word
	optionalFlag // may have a value attached
	harmfulFlag
)

// compile checks a row and makes a grammar of it. global has the flags that the rows above give to all below, harm those
// that do harm there, too.
func (p Program) compile(global string, harm map[string]string, depth int) (*grammar, error) {
	g := &grammar{
		any: p.Any, names: p.Names, single: p.SingleDash, abbreviates: p.Abbreviates, bare: p.Bare, bundled: p.Bundled, walled: p.Walled,
		flagKinds: flagKinds{flags: map[string]kind{}, harm: map[string]string{}, sure: map[string]bool{}}, need: strings.Fields(p.Need),
	}
	global = strings.TrimSpace(global + " " + p.Global)
	for _, text := range []string{p.Flags, global, p.Writes, p.Runs, p.Network, p.Changes, p.Harm, p.Need, p.Match, p.Values, p.Avoid, p.Refuse} {
		if len(text) > maxRowText || depth > maxRowDepth {
			return nil, fmt.Errorf("it is longer than %d bytes or deeper than %d subcommands", maxRowText, maxRowDepth)
		}
	}
	for _, list := range []string{p.Flags, global} {
		if err := g.addFlags(list); err != nil {
			return nil, err
		}
	}
	for _, h := range []struct{ list, does string }{
		{p.Writes, "writes a file"}, {p.Runs, "runs a program"}, {p.Network, "uses the network"},
		{p.Changes, "changes the system"}, {p.Harm, "may do more than read"},
	} {
		if err := g.addHarm(h.list, h.does); err != nil {
			return nil, err
		}
	}
	if err := g.checkNeeded(); err != nil {
		return nil, err
	}
	if err := g.setBeside(p.Beside); err != nil {
		return nil, err
	}
	if err := g.setOperands(p); err != nil {
		return nil, err
	}
	for flag, does := range harm {
		if g.flags[flag] == unknownFlag {
			g.flags[flag], g.harm[flag] = harmfulFlag, does
		}
	}
	g.longs = slices.DeleteFunc(slices.Sorted(maps.Keys(g.flags)), func(f string) bool { return !strings.HasPrefix(f, "--") })
	return g, g.addSubcommands(p.Subcommands, global, depth)
}

// addFlags reads a list of harmless flags.
func (g *grammar) addFlags(list string) error {
	for _, word := range strings.Fields(list) {
		k := plainFlag
		name := word
		sure := false
		switch word[len(word)-1] {
		case '=':
			k, name = valueFlag, word[:len(word)-1]
			if shorter, ok := strings.CutSuffix(name, "="); ok {
				name, sure = shorter, true
			}
		case '?':
			k, name = optionalFlag, word[:len(word)-1]
		}
		names, err := g.split(name)
		if err != nil {
			return err
		}
		for _, n := range names {
			if old, ok := g.flags[n]; ok && old != k {
				if old == plainFlag && k == valueFlag || old == valueFlag && k == plainFlag {
					g.flags[n] = optionalFlag // "--stat" and "--stat="
					continue
				}
				return fmt.Errorf("the flag %s %w", n, errTwice)
			}
			g.flags[n] = k
			if sure {
				g.sure[n] = true
			}
		}
	}
	return nil
}

// addHarm reads a list of flags that do more than read.
func (g *grammar) addHarm(list, does string) error {
	for _, word := range strings.Fields(list) {
		if word == "*" {
			g.harmful = does
			continue
		}
		names, err := g.split(word)
		if err != nil {
			return err
		}
		for _, n := range names {
			if _, ok := g.flags[n]; ok {
				return fmt.Errorf("the flag %s %w", n, errTwice)
			}
			g.flags[n], g.harm[n] = harmfulFlag, does
		}
	}
	return nil
}

// split makes the flags of a word: each letter after one dash, unless long flags have one dash.
func (g *grammar) split(word string) ([]string, error) {
	switch {
	case len(word) < 2 || word[0] != '-' || word == "--" || strings.ContainsAny(word, "=?"):
		return nil, fmt.Errorf("%q is not a flag; write it with its dashes", word)
	case g.single || word[1] == '-':
		return []string{word}, nil
	}
	var names []string
	for _, letter := range word[1:] {
		if letter > '~' || letter == '-' {
			return nil, fmt.Errorf("%q is not a flag; short ones are single letters, long ones have two dashes", word)
		}
		names = append(names, "-"+string(letter))
	}
	return names, nil
}

// checkNeeded looks whether each flag that is needed is one.
func (g *grammar) checkNeeded() error {
	for _, flag := range g.need {
		if k := g.flags[flag]; flag[0] == '-' && (k == unknownFlag || k == harmfulFlag) {
			return fmt.Errorf("the flag %s is needed, and not among flags", flag)
		}
	}
	return nil
}

// setBeside reads which flags need others.
func (g *grammar) setBeside(list map[string]string) error {
	for _, flags := range slices.Sorted(maps.Keys(list)) {
		b := beside{flags: strings.Fields(flags), need: strings.Fields(list[flags])}
		if len(b.flags) == 0 || len(b.need) == 0 || len(flags)+len(list[flags]) > maxRowText {
			return errors.New("beside: flags, and those of which they need one, are words")
		}
		for _, flag := range slices.Concat(b.flags, b.need) {
			if k := g.flags[flag]; flag[0] == '-' && (k == unknownFlag || k == harmfulFlag) {
				return fmt.Errorf("the flag %s of beside is not among flags", flag)
			}
		}
		g.beside = append(g.beside, b)
	}
	return nil
}

// setOperands reads what is said of operands and values.
func (g *grammar) setOperands(p Program) error {
	switch n := p.Operands.(type) {
	case nil:
	case int64:
		if n < 0 {
			return errors.New("operands is a number that is not negative, or \"any\"")
		}
		g.max = int(min(n, maxRowText))
	case string:
		if g.max = -1; n != "any" {
			return errors.New("operands is a number, or \"any\"")
		}
	default:
		return errors.New("operands is a number, or \"any\"")
	}
	if len(p.Subcommands) > 0 && p.Operands != nil {
		return errors.New("it has subcommands and operands: operands belong to a subcommand")
	}
	for _, e := range []struct {
		text string
		to   **regexp.Regexp
	}{{p.Match, &g.match}, {p.Values, &g.values}} {
		if e.text == "" {
			continue
		}
		compiled, err := regexp.Compile(`\A(?:` + e.text + `)\z`)
		if err != nil {
			return fmt.Errorf("reading a regular expression: %w", err)
		}
		*e.to = compiled
	}
	if p.Avoid != "" {
		compiled, err := regexp.Compile(p.Avoid)
		if err != nil {
			return fmt.Errorf("reading a regular expression: %w", err)
		}
		g.avoid = compiled
	}
	for _, word := range strings.Fields(p.Refuse) {
		if g.refuse == nil {
			g.refuse = map[string]bool{}
		}
		g.refuse[word] = true
	}
	return nil
}

func (g *grammar) addSubcommands(list map[string]Program, global string, depth int) error {
	for names, p := range list {
		p.SingleDash, p.Abbreviates = p.SingleDash || g.single, p.Abbreviates || g.abbreviates
		if p.Avoid == "" && g.avoid != nil {
			p.Avoid = g.avoid.String()
		}
		sub, err := p.compile(global, g.harm, depth+1)
		if err != nil {
			return fmt.Errorf("subcommand %q: %w", names, err)
		}
		if strings.TrimSpace(names) == "" {
			return errors.New("a subcommand has no name")
		}
		for _, name := range strings.Fields(names) {
			if g.sub == nil {
				g.sub = map[string]*grammar{}
			}
			if _, ok := g.sub[name]; ok || name[0] == '-' {
				return fmt.Errorf("the subcommand %q %w, or begins with a dash", name, errTwice)
			}
			g.sub[name] = sub
		}
	}
	return nil
}
