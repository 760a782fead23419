package policy

import (
	"strings"
)

// arg is one word of a command, as far as it is known before anything runs.
type arg struct {
	text    string // the value if known, else the best guess, for spotting what to refuse
	known   bool   // text is the value, whichever shell reads it
	many    bool   // may be no word, or several
	dash    bool   // not known, and may begin with "-"
	fetches bool   // holds the output of a download
}

// grammar says how a program is used when it only reads. It lists what is harmless; all else asks. Abbreviated long
// flags are not harmless, because they may stand for one that is not listed.
type grammar struct {
	// any: no flag or operand makes the program do more than read, whatever its words are.
	any bool
	// short flags without a value, with a value (attached, or the next word), with an optional value (attached).
	short, value, optional string
	// long flags without "--": "all", "lines=" (a value, after "=" or as the next word), "color?" (only after "=").
	long []string
	// single: long flags have one dash ("-noout"), and short ones are not bundled.
	single bool
	// banned short flags and long names, for a program with many harmless flags: each other flag is harmless, and a
	// value is judged as if it were a flag.
	banned     string
	bannedLong []string
	// max is the greatest number of operands, -1 for any number; operand judges one, nil for any text.
	max     int
	operand func(string) bool
	// need: one of these flags must be there, or the program does something else ("-n" to look up no names).
	need []string
	// sub: the first operand is a subcommand. bare: harmless without one.
	sub  map[string]*grammar
	bare bool
	// run takes over for a program with a language of its own.
	run func(c *call, name string, args []arg) Decision
	// builtin: a part of the shell, which no list needs to name.
	builtin bool
}

// judge checks the words against the grammar, and returns the subcommands it met on the way.
func (g *grammar) judge(c *call, name string, args []arg) ([]string, Decision) {
	if g.any {
		return nil, allow()
	}
	if g.run != nil {
		return nil, g.run(c, name, args)
	}
	if g.banned != "" || g.bannedLong != nil {
		return nil, g.judgeBanned(name, args)
	}
	operands, have := 0, map[string]bool{}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !a.known && (a.dash || a.many && (g.max >= 0 || g.sub != nil)) {
			return nil, unknownWord(name, a)
		}
		if a.known && a.text == "--" && g.sub == nil && !g.single {
			for _, rest := range args[i+1:] {
				if d := g.checkOperand(name, rest, &operands); d.Verdict != Allow {
					return nil, d
				}
			}
			break
		}
		if a.known && len(a.text) > 1 && a.text[0] == '-' {
			takes, d := g.checkFlag(name, a.text, have)
			if d.Verdict != Allow {
				return nil, d
			}
			if takes {
				if i++; i < len(args) && !isValue(args[i]) {
					return nil, ask(Unknown, "whether "+shown(args[i].text)+" is a value or a flag of "+shown(name)+" is not certain")
				}
			}
			continue
		}
		if g.sub != nil {
			return g.judgeSub(c, name, args[i:])
		}
		if d := g.checkOperand(name, a, &operands); d.Verdict != Allow {
			return nil, d
		}
	}
	if g.sub != nil && !g.bare {
		return nil, ask(Caution, shown(name)+" without a subcommand is not known to only read")
	}
	return nil, g.checkNeed(name, have)
}

// isValue reports whether the word after a flag can only be its value: where a value is optional, a program takes a
// word that looks like a flag for one.
func isValue(a arg) bool {
	if !a.known {
		return !a.many && !a.dash
	}
	return len(a.text) < 2 || a.text[0] != '-' || a.text[1] >= '0' && a.text[1] <= '9'
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

func (g *grammar) checkOperand(name string, a arg, operands *int) Decision {
	*operands++
	if g.max >= 0 && (*operands > g.max || a.many) {
		return ask(Caution, shown(name)+" may do more than read with the operand "+shown(a.text))
	}
	if g.operand != nil && (!a.known || !g.operand(a.text)) {
		return ask(Caution, shown(name)+" may do more than read with the operand "+shown(a.text))
	}
	return allow()
}

func (g *grammar) checkNeed(name string, have map[string]bool) Decision {
	if g.need == nil {
		return allow()
	}
	for _, flag := range g.need {
		if have[flag] {
			return allow()
		}
	}
	return ask(Caution, shown(name)+" without "+strings.Join(g.need, " or ")+" is not known to only read")
}

// checkFlag judges one word that begins with a dash, and reports whether the next word is its value.
func (g *grammar) checkFlag(name, word string, have map[string]bool) (bool, Decision) {
	unknown := ask(Caution, shown(name)+" may do more than read with "+shown(word))
	if strings.HasPrefix(word, "--") || g.single {
		long, _, attached := strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
		for _, known := range g.long {
			base := strings.TrimRight(known, "=?")
			if base != long {
				continue
			}
			have[word[:len(word)-len(strings.TrimLeft(word, "-"))]+long] = true
			return known[len(known)-1] == '=' && !attached, allow()
		}
		return false, unknown
	}
	for i := 1; i < len(word); i++ {
		have["-"+word[i:i+1]] = true
		switch letter := word[i]; {
		case strings.IndexByte(g.short, letter) >= 0:
		case strings.IndexByte(g.value, letter) >= 0:
			return i == len(word)-1, allow()
		case strings.IndexByte(g.optional, letter) >= 0:
			return false, allow()
		default:
			return false, unknown
		}
	}
	return false, allow()
}

// judgeBanned judges a program of which a few flags do more than read.
func (g *grammar) judgeBanned(name string, args []arg) Decision {
	operands, ended := 0, false
	have := map[string]bool{}
	for _, a := range args {
		switch {
		case !a.known && a.dash && !ended:
			return unknownWord(name, a)
		case a.known && a.text == "--":
			ended = true
			continue
		case ended || len(a.text) < 2 || a.text[0] != '-':
			if d := g.checkOperand(name, a, &operands); d.Verdict != Allow {
				return d
			}
			continue
		}
		long, isLong := strings.CutPrefix(a.text, "--")
		if !isLong {
			if strings.ContainsAny(a.text[1:], g.banned) {
				return ask(Caution, shown(name)+" may do more than read with "+shown(a.text))
			}
			for i := range a.text[1:] {
				have["-"+a.text[i+1:i+2]] = true
			}
			continue
		}
		long, _, _ = strings.Cut(long, "=")
		have["--"+long] = true
		for _, banned := range g.bannedLong {
			if strings.HasPrefix(banned, long) {
				return ask(Caution, shown(name)+" may do more than read with "+shown(a.text))
			}
		}
	}
	return g.checkNeed(name, have)
}

func unknownWord(name string, a arg) Decision {
	return ask(Unknown, "what "+shown(name)+" is given is not known before the shell expands "+shown(a.text))
}
