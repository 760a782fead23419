package policy

import (
	"strings"
	"sync"
)

// sedFlags are the flags of sed that only say how it reads.
var sedFlags = sync.OnceValue(func() *grammar {
	g, err := Program{
		Flags:  "-nErsuz -el= --quiet --silent --regexp-extended --separate --unbuffered --null-data --expression= --line-length= --posix --sandbox --debug --help --version",
		Writes: "-i --in-place", Runs: "-f --file", Harm: "--follow-symlinks", Abbreviates: true,
	}.compile("", nil, 0)
	if err != nil {
		panic("the flags of sed: " + err.Error())
	}
	return g
})

// judgeSed judges sed(1): its flags, and its script command by command. "w" writes, "e" runs, "-i" edits.
func judgeSed(c *call, name string, args []arg) Decision {
	var scripts, operands []arg
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case !a.known && (a.dash || a.many) && (c.bare || len(operands)+len(scripts) == 0):
			return unknownWord(name, a)
		case a.text == "--" && a.known:
			operands = append(operands, args[i+1:]...)
			i = len(args)
			continue
		case len(a.text) < 2 || a.text[0] != '-' || !a.known:
			operands = append(operands, a)
			continue
		}
		takes, d := sedFlags().checkFlag(name, a.text, map[string]bool{})
		if d.Verdict != Allow {
			return d
		}
		if script, ok := attachedScript(a); ok {
			scripts = append(scripts, script)
		}
		if takes {
			if i++; i < len(args) && args[i].many {
				return unknownWord(name, args[i])
			}
			if i < len(args) && !strings.HasSuffix(a.text, "l") && !strings.HasPrefix(a.text, "--l") {
				scripts = append(scripts, args[i])
			}
		}
	}
	if len(scripts) == 0 {
		if len(operands) == 0 {
			return allow() // prints its usage
		}
		scripts = operands[:1]
	}
	return judgeSedScripts(c, name, scripts)
}

// judgeSedScripts judges what a call of sed is told to do.
func judgeSedScripts(c *call, name string, scripts []arg) Decision {
	texts := make([]string, len(scripts))
	for i, s := range scripts {
		if !s.known {
			return unknownWord(name, s)
		}
		texts[i] = s.text
	}
	p := sedParser{text: strings.Join(texts, "\n")}
	if why := p.script(); why != "" {
		return ask(Caution, "sed "+why)
	}
	for _, file := range p.reads {
		if why := c.secret(file, true); why != "" {
			return ask(Caution, "sed "+why)
		}
	}
	return allow()
}

// attachedScript is the script within a flag's own word ("-nes/a/b/", "--expression=p").
func attachedScript(a arg) (arg, bool) {
	if flag, text, ok := strings.Cut(a.text, "="); ok && len(flag) > len("--") && strings.HasPrefix("--expression", flag) {
		return arg{text: text, known: a.known}, true
	}
	if strings.HasPrefix(a.text, "--") {
		return arg{}, false
	}
	at := strings.IndexAny(a.text, "el")
	if at < 0 || a.text[at] == 'l' || at == len(a.text)-1 {
		return arg{}, false
	}
	return arg{text: a.text[at+1:], known: a.known}, true
}

// sedParser reads a script as GNU sed does. Where implementations differ it gives up, which asks.
type sedParser struct {
	text  string
	at    int
	reads []string // files that the commands r and R read
}

func (p *sedParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *sedParser) skip(set string) {
	for p.at < len(p.text) && strings.IndexByte(set, p.text[p.at]) >= 0 {
		p.at++
	}
}

// script returns why the script is not known to only read, or "".
func (p *sedParser) script() string {
	if strings.IndexByte(p.text, 0) >= 0 {
		return "has a script with a NUL byte"
	}
	for {
		p.skip(" \t\n;}")
		if p.at >= len(p.text) {
			return ""
		}
		if p.peek() == '#' {
			p.line()
			continue
		}
		if why := p.addresses(); why != "" {
			return why
		}
		if why := p.command(); why != "" {
			return why
		}
	}
}

func (p *sedParser) line() {
	if n := strings.IndexByte(p.text[p.at:], '\n'); n >= 0 {
		p.at += n
		return
	}
	p.at = len(p.text)
}

func (p *sedParser) addresses() string {
	for {
		p.skip(" \t")
		switch ch := p.peek(); {
		case ch >= '0' && ch <= '9', ch == '$', ch == ',', ch == '~', ch == '+', ch == '!':
			p.at++
		case ch == '/', ch == '\\':
			if ch == '\\' {
				p.at++
			}
			delim := p.peek()
			if p.at++; !p.pattern(delim, true) {
				return "has an address that is not understood"
			}
			p.skip("IM")
		default:
			return ""
		}
	}
}

// pattern moves past the next delimiter. A delimiter within brackets is read differently by different programs.
func (p *sedParser) pattern(delim byte, brackets bool) bool {
	if delim == 0 || delim == '\n' || delim == '\\' || delim >= 0x80 {
		return false
	}
	open := false
	for ; p.at < len(p.text); p.at++ {
		switch ch := p.text[p.at]; {
		case ch == '\\':
			p.at++
		case ch == delim:
			p.at++
			return !open
		case ch == '\n' && brackets:
			return false
		case ch == '[' && brackets:
			open = true
		case ch == ']':
			open = false
		}
	}
	return false
}

func (p *sedParser) command() string {
	ch := p.peek()
	p.at++
	switch {
	case strings.IndexByte("{}=dDgGhHnNpPxzF", ch) >= 0 && ch != 0:
		if ch == '{' {
			return ""
		}
	case strings.IndexByte("qQlL", ch) >= 0 && ch != 0:
		p.skip(" \t0123456789")
	case strings.IndexByte("btT:", ch) >= 0 && ch != 0:
		p.skip(" ")
		for p.at < len(p.text) && isAwkWord(p.text[p.at]) {
			p.at++
		}
		return p.endOfCommand()
	case strings.IndexByte("aic", ch) >= 0 && ch != 0:
		return p.insertion()
	case ch == 'r' || ch == 'R':
		start := p.at
		if p.line(); strings.ContainsAny(p.text[start:p.at], ";}") {
			return "has a file name that another sed ends earlier"
		}
		p.reads = append(p.reads, strings.TrimSpace(p.text[start:p.at]))
		return ""
	case ch == 's' || ch == 'y':
		return p.substitution(ch)
	default:
		return "has the command " + shown(string(rune(ch))) + ", which is not known to only read"
	}
	return p.endOfCommand()
}

func (p *sedParser) endOfCommand() string {
	p.skip(" \t")
	switch p.peek() {
	case ';', '\n', '}', '#':
		return ""
	case 0:
		if p.at >= len(p.text) {
			return ""
		}
	}
	return "has " + shown(p.text[p.at:]) + " where a command should end"
}

// insertion moves past the text of a, i or c: to the end of the line, and on after a backslash.
func (p *sedParser) insertion() string {
	for ; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case '\n':
			return ""
		}
	}
	return ""
}

// substitution moves past s or y. The flags w and e of s write and run.
func (p *sedParser) substitution(ch byte) string {
	delim := p.peek()
	p.at++
	if !p.pattern(delim, true) || !p.pattern(delim, false) {
		return "has a pattern that is not understood"
	}
	if ch == 's' {
		p.skip("gpiIMm0123456789")
		if f := p.peek(); f == 'w' || f == 'e' {
			return "has the flag " + shown(string(rune(f))) + " of s, which writes or runs"
		}
	}
	return p.endOfCommand()
}
