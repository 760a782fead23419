package tui

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"shannot-gateway/approvals/render"
)

// colourPython returns the tone of every byte of a Python program, by the rules of Python's own lexical analysis (The
// Python Language Reference, chapter 2, version 3.14). What a comment hides or a string holds must look like that to
// Python too, or an agent could dress up a call as a remark. Replacement fields of formatted strings are code, as deep as
// they nest.
func colourPython(script string) []tone {
	c := colourer{src: script, tones: make([]tone, len(script))}
	for c.at < len(c.src) {
		switch f := c.top(); f.kind {
		case inLiteral, inSpec:
			c.text(f)
		case inProgram, inField:
			c.code(f)
		}
	}
	return c.tones
}

// colourer is one pass over a program.
type colourer struct {
	src   string
	tones []tone
	at    int
	open  []frame // what is open, the innermost last
}

// frame is a part of the program that is open.
type frame struct {
	kind      frameKind
	quote     string // of a literal: what ends it
	raw       bool
	formatted bool
	depth     int // of brackets in a field
}

type frameKind int

const (
	inProgram frameKind = iota
	inLiteral           // a string, bytes or formatted string
	inField             // a replacement field, where there is code
	inSpec              // the format specification of a field, which is text up to the field's end
)

// maxNestedStrings bounds how deep formatted strings nest: CPython allows 150.
const maxNestedStrings = 200

func (c *colourer) top() *frame {
	if len(c.open) == 0 {
		return &frame{}
	}
	return &c.open[len(c.open)-1]
}

func (c *colourer) push(f frame) {
	if len(c.open) < maxNestedStrings {
		c.open = append(c.open, f)
	}
}

func (c *colourer) pop() { c.open = c.open[:len(c.open)-1] }

// take gives the next n bytes a tone.
func (c *colourer) take(n int, t tone) {
	for end := min(c.at+n, len(c.src)); c.at < end; c.at++ {
		c.tones[c.at] = t
	}
}

// code colours one token outside of strings.
func (c *colourer) code(f *frame) {
	b := c.src[c.at]
	switch {
	case b == '#':
		n := strings.IndexAny(c.src[c.at:], "\r\n") // a carriage return alone ends a line, too
		if n < 0 {
			n = len(c.src)
		}
		c.take(n, toneComment)
	case b == '"' || b == '\'':
		c.begin("")
	case isNamePart(b) && (b < '0' || b > '9'):
		c.name()
	case isNamePart(b):
		for c.at < len(c.src) && isNamePart(c.src[c.at]) { // a number, letters of a suffix or base included
			c.take(1, tonePlain)
		}
	case f.kind == inField && f.depth == 0 && b == '}':
		c.take(1, toneString)
		c.pop()
	case f.kind == inField && f.depth == 0 && b == ':':
		c.take(1, toneString)
		f.kind = inSpec
	default:
		switch b {
		case '(', '[', '{':
			f.depth++
		case ')', ']', '}':
			f.depth = max(f.depth-1, 0)
		}
		c.take(1, tonePlain)
	}
}

// name colours a name: a keyword, a prefix of a string, or any other.
func (c *colourer) name() {
	end := c.at
	for end < len(c.src) && isNamePart(c.src[end]) {
		end++
	}
	word := c.src[c.at:end]
	if end < len(c.src) && (c.src[end] == '"' || c.src[end] == '\'') && isPrefix(word) {
		c.begin(word)
		return
	}
	if pythonKeywords[word] {
		c.take(len(word), toneKeyword)
	} else {
		c.take(len(word), tonePlain)
	}
}

// begin opens a string.
func (c *colourer) begin(prefix string) {
	at := c.at + len(prefix)
	quote := c.src[at : at+1]
	if strings.HasPrefix(c.src[at:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	c.take(len(prefix)+len(quote), toneString)
	c.push(frame{
		kind: inLiteral, quote: quote, raw: strings.ContainsAny(prefix, "rR"), formatted: strings.ContainsAny(prefix, "fFtT"),
	})
}

// text colours a piece of an open string.
func (c *colourer) text(f *frame) {
	rest := c.src[c.at:]
	switch b := rest[0]; {
	case f.kind == inLiteral && strings.HasPrefix(rest, f.quote):
		c.take(len(f.quote), toneString)
		c.pop()
	case f.kind == inLiteral && (b == '\n' || b == '\r') && len(f.quote) == 1:
		c.take(1, tonePlain) // an error to Python; what follows is code again
		c.pop()
	case b == '\\' && f.kind == inLiteral:
		c.escape(f, rest)
	case f.kind == inSpec && b == '}':
		c.take(1, toneString)
		c.pop()
	case f.kind == inLiteral && f.formatted && (strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "}}")):
		c.take(2, toneString)
	case (f.formatted || f.kind == inSpec) && b == '{':
		c.take(1, toneString)
		c.push(frame{kind: inField})
	default:
		c.take(1, toneString)
	}
}

// escape colours a backslash and what it takes with it.
func (c *colourer) escape(f *frame, rest string) {
	n := 2
	switch {
	case len(rest) > 1 && f.formatted && (rest[1] == '{' || rest[1] == '}'):
		n = 1 // it does not take a brace's meaning away
	case !f.raw && f.formatted && strings.HasPrefix(rest, `\N{`):
		n = 3
		if end := strings.IndexAny(rest, "}\n\"'"); end >= 0 && rest[end] == '}' {
			n = end + 1
		}
	case strings.HasPrefix(rest, "\\\r\n"):
		n = 3
	}
	c.take(n, toneString)
}

// isNamePart reports whether b may stand in a name; all of what is not ASCII may.
func isNamePart(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf
}

// isPrefix reports whether a name directly before a quote belongs to the string.
func isPrefix(word string) bool {
	switch strings.ToLower(word) {
	case "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt":
		return true
	}
	return false
}

var pythonKeywords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("False None True and as assert async await break class continue def del elif else except " +
		"finally for from global if import in is lambda nonlocal not or pass raise return try while with yield") {
		m[w] = true
	}
	return m
}()

// toned renders untrusted text whose bytes have tones. The text is rendered as a whole, since what is escaped depends
// on the word around it, and coloured afterwards.
func toned(untrusted string, tones []tone) line {
	text := render.Line(untrusted)
	var l line
	from, raw := 0, 0
	for at := 0; at < text.Len(); {
		size, bytes := unrender(text.String()[at:])
		if raw >= len(tones) {
			return line{{tonePlain, text}}
		}
		t := tones[raw]
		at, raw = at+size, raw+bytes
		if at == text.Len() || raw < len(tones) && tones[raw] != t {
			part, _ := text.Cut(at)
			_, part = part.Cut(from)
			l = append(l, span{t, part})
			from = at
		}
	}
	return l
}

// unrender measures the first piece of rendered text: its length, and that of what it stands for, in bytes.
func unrender(s string) (size, bytes int) {
	if s[0] != '\\' || len(s) < 2 {
		_, n := utf8.DecodeRuneInString(s)
		return n, n
	}
	size = min(escapeSize(s[1]), len(s))
	if size <= 4 {
		return size, 1
	}
	r, err := strconv.ParseUint(s[2:size], 16, 32)
	if err != nil {
		return size, 1
	}
	return size, max(utf8.RuneLen(rune(r)), 1) // #nosec G115 -- at most eight hex digits of a character
}
