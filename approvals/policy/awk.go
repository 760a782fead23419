package policy

import (
	"regexp"
	"strings"
)

// judgeAwk judges awk(1): -F and -v are harmless, and the program is read for what writes or runs.
func judgeAwk(c *call, name string, args []arg) Decision {
	args, d, more := awkFlags(name, args)
	switch {
	case !more:
		return d
	case len(args) == 0:
		return allow() // prints its usage
	case !args[0].known:
		return unknownWord(name, args[0])
	}
	if why := awkProgram(args[0].text); why != "" {
		return ask(Caution, shown(name)+" "+why)
	}
	for _, a := range args[1:] {
		// gawk takes such a name for a connection.
		if !a.known && !a.below() && (c.bare || strings.HasPrefix(a.text, "/")) || strings.Contains(a.text+" "+strings.Join(a.others, " "), "/inet") {
			return ask(Caution, shown(name)+" reads "+shown(a.text))
		}
	}
	return allow()
}

// awkFlags reads the flags of awk and returns the words after them. more is false where the flags decide.
func awkFlags(name string, args []arg) (rest []arg, d Decision, more bool) {
	i := 0
	for ; i < len(args); i++ {
		a := args[i]
		if !a.known && !a.many && (strings.HasPrefix(a.lead, "-F") && (len(a.lead) > 2 || a.filled) || strings.HasPrefix(a.lead, "-v") && assignsOne(arg{text: a.lead[2:]})) {
			continue // no more than a separator, or a variable's value
		}
		if !a.known {
			return nil, unknownWord(name, a), false
		}
		if len(a.text) < 2 || a.text[0] != '-' {
			break
		}
		if a.text == "--" {
			i++
			break
		}
		switch {
		case a.text == "-v":
			if i++; i < len(args) && !args[i].known && !assignsOne(args[i]) {
				return nil, unknownWord(name, args[i]), false
			}
		case a.text == "-F":
			if i++; i < len(args) && args[i].many {
				return nil, unknownWord(name, args[i]), false
			}
		case strings.HasPrefix(a.text, "-F"), strings.HasPrefix(a.text, "-v"):
		case a.text == "--version", a.text == "-V":
			return nil, allow(), false
		default:
			return nil, ask(Caution, shown(name)+" may do more than read with "+shown(a.text)), false
		}
	}
	return args[min(i, len(args)):], allow(), true
}

// assignsOne reports whether a word that is not known whole sets one variable of the program's own to some text.
func assignsOne(a arg) bool {
	text := a.text
	if !a.known && a.lead != "" {
		text = a.lead
	}
	name, _, ok := strings.Cut(text, "=")
	return ok && !a.many && isVariable(name)
}

// awkWords are refused wherever they stand, even in a string: what they do does not show in the program.
var awkWords = []string{"getline", "extension", "ARGV", "ARGC", "SYMTAB", "FUNCTAB", "/inet", "@load", "@include"}

// awkProgram returns why a program may do more than read, or "". It is a scanner, not a parser: a program writes or runs
// only through the words above, an output redirection or a pipe, or an indirect call.
func awkProgram(text string) string {
	if awkSystem.MatchString(text) {
		return "holds system()"
	}
	for _, w := range awkWords {
		if strings.Contains(text, w) {
			return "holds " + shown(w)
		}
	}
	s := awkScanner{text: text}
	return s.scan()
}

// awkSystem matches a call of system(), also in what may be a string or a pattern.
var awkSystem = regexp.MustCompile(`system[\s\\]*\(|system\s*$`)

// toStream matches an output redirection to a stream that is open already, as the last thing of a statement.
var toStream = regexp.MustCompile(`^>>?[ \t]*"/dev/std(?:err|out)"(?:[ \t]*(?:[;}\n#]|$))`)

type awkScanner struct {
	text     string
	at       int
	operand  bool   // the last token ends a value, so that a slash divides
	unclear  bool   // the last token may or may not end a value
	last     string // the last token
	printing bool   // within a print or printf statement
	depth    int    // of parentheses
}

func (s *awkScanner) scan() string {
	for s.at < len(s.text) {
		ch := s.text[s.at]
		switch {
		case ch == ' ' || ch == '\t':
			s.at++
		case ch == '\\':
			if !strings.HasPrefix(s.text[s.at:], "\\\n") {
				return "has a stray backslash"
			}
			s.at += 2
		case ch == '#':
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
		case ch == '\n':
			if s.depth == 0 && s.last != "," && s.last != "&&" && s.last != "||" && s.last != "?" && s.last != ":" {
				s.printing = false
			}
			s.token("\n", false)
		case ch == '"':
			if !s.quoted('"') {
				return "has a string that is not understood"
			}
			s.operand, s.unclear, s.last = true, false, "string"
		case ch == '/' && !s.operand && !s.unclear:
			if !s.quoted('/') {
				return "has a pattern that is not understood"
			}
			s.operand, s.unclear, s.last = true, false, "pattern"
		case isAwkWord(ch):
			s.word()
		default:
			if why := s.punctuation(ch); why != "" {
				return why
			}
		}
	}
	return ""
}

// token moves past an operator.
func (s *awkScanner) token(text string, operand bool) {
	s.at += len(text)
	s.last, s.operand, s.unclear = text, operand, false
}

// quoted moves past a string or a pattern. Different programs read a delimiter within the brackets of a pattern
// differently.
func (s *awkScanner) quoted(delim byte) bool {
	open := false
	for s.at++; s.at < len(s.text); s.at++ {
		switch ch := s.text[s.at]; {
		case ch == '\\':
			s.at++
		case ch == '\n':
			return false
		case ch == delim:
			s.at++
			return !open
		case ch == '[' && delim == '/':
			open = true
		case ch == ']':
			open = false
		}
	}
	return false
}

func isAwkWord(ch byte) bool {
	return ch == '_' || ch == '.' || ch >= '0' && ch <= '9' || ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z'
}

func (s *awkScanner) word() {
	start := s.at
	for s.at < len(s.text) && isAwkWord(s.text[s.at]) {
		s.at++
	}
	s.last = s.text[start:s.at]
	s.operand, s.unclear = true, false
	switch s.last {
	case "print", "printf":
		s.printing, s.operand, s.depth = true, false, 0
	case "if", "else", "while", "for", "do", "in", "return", "exit", "delete", "function", "func", "case", "BEGIN", "END":
		s.operand = false
	}
}

func (s *awkScanner) punctuation(ch byte) string {
	rest := s.text[s.at:]
	switch {
	case strings.HasPrefix(rest, "||"), strings.HasPrefix(rest, "&&"):
		s.token(rest[:2], false)
		return ""
	case strings.HasPrefix(rest, "++"), strings.HasPrefix(rest, "--"):
		s.token(rest[:2], false)
		s.unclear = true
		return ""
	case ch == '|':
		return "holds a pipe"
	case ch == '@':
		return "holds an indirect call"
	case ch == '>' && s.printing && toStream.MatchString(rest):
		s.at += strings.LastIndexByte(toStream.FindString(rest), '"') + 1 // the program's own streams
		s.operand, s.unclear, s.last = true, false, "string"
		return ""
	case ch == '>' && (s.printing && s.depth <= 0 || strings.HasPrefix(rest, ">>")): // within parentheses it compares
		return "redirects its output"
	case ch == '/' && s.unclear && strings.ContainsAny(rest[1:], "|>@"):
		return "has a slash that may begin a pattern"
	case strings.IndexByte("+-*/%^!<>=~?:,;(){}[]$&", ch) < 0:
		return "holds " + shown(string(rune(ch)))
	}
	switch ch {
	case '(':
		s.depth++
	case ')':
		s.depth--
	case ';', '}', '{':
		s.printing = false
	}
	s.token(rest[:1], ch == ']')
	s.unclear = ch == ')'
	return ""
}
