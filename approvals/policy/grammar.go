package policy

import (
	"regexp"
	"slices"
	"strings"
)

// arg is one word of a command, as far as it is known before anything runs.
type arg struct {
	text    string   // the value if known, else the best guess, for spotting what to refuse
	known   bool     // text is the value, whichever shell reads it
	many    bool     // may be no word, or several
	dash    bool     // not known, and may begin with "-"
	number  bool     // not known, and a number or nothing
	closed  bool     // not known, and one of text and others
	plain   bool     // of a loop's variable: each value stays one word where a shell splits it
	lead    string   // of a word that is not known: how it begins, whichever shell reads it
	filled  bool     // not known, and certainly not empty beyond lead
	names   string   // a hidden file that what the word holds may name
	fetches bool     // holds the output of a download
	roots   []string // of a word that is not known: the directories, each with a slash at its end, below one of which it is
	others  []string // what else the word may be, where it is one of several
}

// grammar is a row of the table, ready for use.
type grammar struct {
	any, names, bare    bool
	single, abbreviates bool
	bundled             bool
	walled              bool // words that are not known may be there, where the target has a wall
	flagKinds
	words
	harmful string // what the program as a whole does, "" if it may read
	need    []string
	beside  []beside
	sub     map[string]*grammar
	// run takes over for a program with a language of its own.
	run func(c *call, name string, args []arg) Decision
	// builtin: a part of the shell, which no list needs to name.
	builtin bool
}

// beside are flags that are harmless where one of need is there.
type beside struct{ flags, need []string }

// words are what a grammar says of operands and of the values of flags.
type words struct {
	max           int // the greatest number of operands, -1 for any number
	match, values *regexp.Regexp
	avoid         *regexp.Regexp // what no operand and no value may hold
	refuse        map[string]bool
}

// flagKinds are the flags that a grammar knows.
type flagKinds struct {
	flags map[string]kind   // with their dashes
	longs []string          // those of them with two dashes, sorted
	harm  map[string]string // what a harmful flag does
	sure  map[string]bool   // flags that take the next word for their value, whatever it is
}

// judge checks the words against the grammar, and returns the subcommands it met on the way.
func (g *grammar) judge(c *call, name string, args []arg) ([]string, Decision) {
	switch {
	case g.harmful != "":
		return nil, ask(Caution, shown(name)+" "+g.harmful)
	case g.any:
		return nil, g.anyBut(name, args)
	case g.run != nil:
		return nil, g.run(c, name, args)
	}
	if g.bundled && len(args) > 0 && args[0].known && isBundle(args[0].text) {
		args = append([]arg{{text: "-" + args[0].text, known: true}}, args[1:]...)
	}
	r := reading{grammar: g, call: c, name: name, args: args, have: map[string]bool{}}
	for ; r.at < len(args); r.at++ {
		if known, d, over := r.word(args[r.at]); over || d.Verdict != Allow {
			return known, d
		}
	}
	if g.sub != nil && !g.bare {
		return nil, ask(Caution, shown(name)+" without a subcommand is not known to only read")
	}
	return nil, g.checkNeed(name, r.have)
}

// reading goes through the words of a program by its grammar.
type reading struct {
	*grammar
	call     *call
	name     string
	args     []arg
	at       int // the word that is read
	operands int // so far
	have     map[string]bool
}

// word judges the next word, with the value that it may take. over: all words are judged, with these subcommands.
func (r *reading) word(a arg) (subcommands []string, d Decision, over bool) {
	switch {
	case !a.known && !a.many && r.leads(a, r.have):
		return nil, allow(), false
	case r.unsettled(&a):
		return nil, unknownWord(r.name, a), true
	case a.known && a.text == "--" && r.sub == nil && !r.single:
		for _, rest := range r.args[r.at+1:] {
			if d := r.checkOperand(r.name, rest, &r.operands, r.have); d.Verdict != Allow {
				return nil, d, true
			}
		}
		return nil, r.checkNeed(r.name, r.have), true
	case a.known && len(a.text) > 1 && a.text[0] == '-':
		return nil, r.flag(a), false
	case r.sub != nil:
		if d := r.checkNeed(r.name, r.have); d.Verdict != Allow {
			return nil, d, true
		}
		subcommands, d = r.judgeSub(r.call, r.name, r.args[r.at:])
		return subcommands, d, true
	}
	return nil, r.checkOperand(r.name, a, &r.operands, r.have), false
}

// unsettled reports whether a word may become something that the grammar cannot judge.
func (r *reading) unsettled(a *arg) bool {
	if a.known {
		return false
	}
	several := a.many && (r.max >= 0 || r.sub != nil)
	return (a.dash || several) && (!a.number || a.dash) && (r.call.bare || !r.walled)
}

// flag judges a flag, and the word after it where that is its value.
func (r *reading) flag(a arg) Decision {
	takes, d := r.checkFlag(r.name, a.text, r.have)
	if d.Verdict != Allow || !takes {
		return d
	}
	if r.at++; r.at >= len(r.args) {
		return d
	}
	return r.checkValue(r.name, a.text, r.args[r.at])
}

// isBundle reports whether a word is flags without their dash, of which the last may take a value.
func isBundle(text string) bool {
	at := strings.IndexByte(text, 'f')
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && (at < 0 || at == len(text)-1)
}

// anyBut judges the words of a program that only reads, but for the flags that are listed as harmful.
func (g *grammar) anyBut(name string, args []arg) Decision {
	if len(g.harm) == 0 && g.avoid == nil {
		return allow()
	}
	for _, a := range args {
		if g.avoid != nil && g.avoid.MatchString(a.text) {
			return ask(Caution, shown(name)+" may do more than read with "+shown(a.text))
		}
		switch {
		case a.known && a.text == "--":
			return allow()
		case !strings.HasPrefix(a.text, "-") || !a.known:
		case strings.HasPrefix(a.text, "--"):
			flag, _, _ := strings.Cut(a.text, "=")
			for _, long := range g.longs {
				if len(flag) > 2 && strings.HasPrefix(long, flag) && g.flags[long] == harmfulFlag {
					return g.refusal(name, a.text, long)
				}
			}
		default:
			for i := 1; i < len(a.text); i++ {
				if flag := "-" + a.text[i:i+1]; g.flags[flag] == harmfulFlag {
					return g.refusal(name, a.text, flag)
				}
			}
		}
	}
	return allow()
}

// matches reports whether the word matches, whatever it becomes.
func (a *arg) matches(e *regexp.Regexp) bool {
	if !a.known && !a.closed || !e.MatchString(a.text) {
		return false
	}
	for _, other := range a.others {
		if !a.known && !e.MatchString(other) {
			return false
		}
	}
	return true
}

// leads reports whether the beginning of a word is a harmless flag with its value, so that the rest of the word is no
// more than that. A short flag whose value may turn out empty would take the next word for it.
func (g *grammar) leads(a arg, have map[string]bool) bool {
	lead := a.lead
	if g.values != nil || g.avoid != nil || len(lead) < 2 || lead[0] != '-' {
		return false
	}
	if strings.HasPrefix(lead, "--") || g.single {
		flag, _, attached := strings.Cut(lead, "=")
		k := g.flags[flag]
		have[flag] = true
		return attached && (k == valueFlag || k == optionalFlag)
	}
	for i := 1; i < len(lead); i++ {
		flag := "-" + lead[i:i+1]
		switch g.flags[flag] {
		case plainFlag:
		case valueFlag, optionalFlag:
			have[flag] = true
			return i < len(lead)-1 || a.filled
		default:
			return false
		}
	}
	return false
}

// checkValue judges the word after a flag. It must be one that can only be the flag's value: where a value is optional, a
// program takes a word that looks like a flag for one. Some flags certainly need a value.
func (g *grammar) checkValue(name, flag string, a arg) Decision {
	sure := g.sure[flag] || len(flag) > 2 && flag[1] != '-' && g.sure["-"+flag[len(flag)-1:]]
	certain := !a.many && (sure || !a.dash) || a.number && !a.dash
	if a.known && !sure {
		certain = len(a.text) < 2 || a.text[0] != '-' || a.text[1] >= '0' && a.text[1] <= '9'
	}
	if !certain {
		return ask(Unknown, "whether "+shown(a.text)+" is a value or a flag of "+shown(name)+" is not certain")
	}
	if g.values != nil && !a.matches(g.values) || g.avoid != nil && (!a.known || g.avoid.MatchString(a.text)) {
		return ask(Caution, shown(name)+" may do more than read with the value "+shown(a.text))
	}
	return allow()
}

// judgeSub judges a subcommand and what follows it.
func (g *grammar) judgeSub(c *call, name string, args []arg) ([]string, Decision) {
	sub, ok := g.sub[args[0].text]
	if !args[0].known || !ok {
		return nil, ask(Caution, shown(name+" "+args[0].text)+" is not known to only read")
	}
	words, d := sub.judge(c, name+" "+args[0].text, args[1:])
	return append([]string{args[0].text}, words...), d
}

func (g *grammar) checkOperand(name string, a arg, operands *int, have map[string]bool) Decision {
	*operands++
	have["*"] = true
	bad := g.max >= 0 && (*operands > g.max || a.many) || g.refuse[a.text] || g.avoid != nil && (!a.known || g.avoid.MatchString(a.text)) ||
		g.match != nil && !a.matches(g.match)
	if bad {
		return ask(Caution, shown(name)+" may do more than read with the operand "+shown(a.text))
	}
	if strings.HasPrefix(a.text, "/") {
		have["/"] = true
	}
	if a.known {
		have[a.text] = true
	}
	return allow()
}

func (g *grammar) checkNeed(name string, have map[string]bool) Decision {
	there := func(flag string) bool { return have[flag] }
	for _, b := range g.beside {
		if slices.ContainsFunc(b.flags, there) && !slices.ContainsFunc(b.need, there) {
			return without(name, b.need)
		}
	}
	if len(g.need) > 0 && !slices.ContainsFunc(g.need, there) {
		return without(name, g.need)
	}
	return allow()
}

func without(name string, need []string) Decision {
	return ask(Caution, shown(name)+" without "+strings.Join(need, " or ")+" is not known to only read")
}

// checkFlag judges one word that begins with a dash, and reports whether the next word is its value.
func (g *grammar) checkFlag(name, word string, have map[string]bool) (bool, Decision) {
	if strings.HasPrefix(word, "--") || g.single {
		return g.checkLong(name, word, have)
	}
	for i := 1; i < len(word); i++ {
		flag := "-" + word[i:i+1]
		have[flag] = true
		switch g.flags[flag] {
		case plainFlag:
		case valueFlag, optionalFlag:
			rest := word[i+1:]
			if rest != "" && !g.mayValue(rest) {
				return false, ask(Caution, shown(name)+" may do more than read with the value "+shown(rest))
			}
			return rest == "" && g.flags[flag] == valueFlag, allow()
		case harmfulFlag:
			return false, g.refusal(name, word, flag)
		default:
			return false, ask(Caution, shown(name)+" may do more than read with "+shown(word))
		}
	}
	return false, allow()
}

// mayValue reports whether a value that is attached to a flag is harmless. Some programs take "-o=x" for "-o x", others for
// the value "=x".
func (g *grammar) mayValue(value string) bool {
	if rest, ok := strings.CutPrefix(value, "="); ok && g.avoid != nil && g.avoid.MatchString(rest) {
		return false
	}
	return (g.values == nil || g.values.MatchString(value)) && (g.avoid == nil || !g.avoid.MatchString(value))
}

// checkLong judges a long flag.
func (g *grammar) checkLong(name, word string, have map[string]bool) (bool, Decision) {
	flag, value, attached := strings.Cut(word, "=")
	k := g.flags[flag]
	if k == unknownFlag && g.single && strings.HasPrefix(flag, "--") {
		flag = flag[1:] // such programs take two dashes as well
		k = g.flags[flag]
	}
	if k == unknownFlag && g.abbreviates {
		flag, k = g.abbreviated(flag)
	}
	have[flag] = true
	switch k {
	case plainFlag, valueFlag, optionalFlag:
		if attached && k == plainFlag { // "--dry-run=false" is the opposite of the flag
			return false, ask(Caution, shown(name)+" may do more than read with "+shown(word))
		}
		if attached && !g.mayValue(value) {
			return false, ask(Caution, shown(name)+" may do more than read with the value "+shown(value))
		}
		return k == valueFlag && !attached, allow()
	case harmfulFlag:
		return false, g.refusal(name, word, flag)
	default: // nothing of the kind for the others
	}
	return false, ask(Caution, shown(name)+" may do more than read with "+shown(word))
}

// abbreviated returns the flag that the beginning of one stands for. The beginning of a harmful flag counts as that flag.
// The beginning of several harmless ones must mean the same to each.
func (g *grammar) abbreviated(flag string) (string, kind) {
	found, k := flag, unknownFlag
	for _, long := range g.longs {
		if !strings.HasPrefix(long, flag) {
			continue
		}
		switch is := g.flags[long]; {
		case is == harmfulFlag:
			return long, is
		case k == unknownFlag:
			found, k = long, is
		case k != is:
			return flag, unknownFlag
		}
	}
	return found, k
}

// refusal asks because of a flag that is known to do harm.
func (g *grammar) refusal(name, word, flag string) Decision {
	why := shown(name) + " " + g.harm[flag] + " with " + shown(word)
	if flag != word && strings.HasPrefix(flag, "--") && !strings.HasPrefix(word, flag) {
		why += ", short for " + shown(flag)
	}
	return ask(Caution, why)
}

func unknownWord(name string, a arg) Decision {
	return ask(Unknown, "what "+shown(name)+" is given is not known before the shell expands "+shown(a.text))
}
