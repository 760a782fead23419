// Package render is the one way that untrusted text reaches a terminal, a log or a notice. What it returns holds no
// control character, nothing invisible, nothing that reorders its neighbours, and never stands for two different
// inputs: what cannot be shown as itself is shown as an escape, and nothing is dropped. It must never strip, shorten
// without a mark, or pass a byte on because it is probably harmless.
//
// The escapes:
//
//	\\                         a backslash of the text
//	\a \b \t \n \v \f \r       those controls
//	\xNN                       one byte: C0, DEL, each of the two bytes of a C1 control, a byte that is not UTF-8
//	\uNNNN \UNNNNNNNN          any other character that is not shown as itself
//	\'                         a quote within a quoted argument (Argv only)
//
// Hex digits are lower case. Because \xNN always stands for exactly one byte of the input, the character U+009B
// (\xc2\x9b) and the lone byte 0x9b (\x9b) differ, and the escapes can be undone: two inputs never render the same.
package render

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Line renders s on one line.
func Line(s string) Text {
	var b strings.Builder
	b.Grow(len(s) + 16)
	appendLine(&b, s, atCommand, 0)
	return Text{b.String()}
}

// Bytes renders b on one line, as Line does.
func Bytes(b []byte) Text { return Line(string(b)) }

// Block renders s with its newlines as line breaks and everything else escaped; a blank at the end of a line is \x20,
// since nobody would see it. Where several blocks share a screen
// the caller marks each line with a gutter, which the text cannot forge once it is inset.
func Block(s string) Text {
	var b strings.Builder
	b.Grow(len(s) + 16)
	for first := true; ; first = false {
		if !first {
			b.WriteByte('\n')
		}
		line, rest, more := strings.Cut(s, "\n")
		before, trailing := strings.CutSuffix(line, " ")
		appendLine(&b, before, atCommand, 0)
		if trailing {
			b.WriteString(`\x20`)
		}
		if !more {
			return Text{b.String()}
		}
		s = rest
	}
}

// Argv renders an argument list on one line. An argument made of plain characters alone stands bare; any other,
// and an empty one, stands in single quotes, within which a quote is \'. Arguments are separated by one blank.
// The result is for reading: it is not shell text.
func Argv(argv []string) Text {
	var b strings.Builder
	for i, arg := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if isPlain(arg) {
			b.WriteString(arg)
			continue
		}
		position := atOperand
		if i == 0 {
			position = atCommand
		}
		b.WriteByte('\'')
		appendLine(&b, arg, position, '\'')
		b.WriteByte('\'')
	}
	return Text{b.String()}
}

// isPlain reports whether an argument can stand without quotes.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !isASCIIAlnum(rune(c)) && !strings.ContainsRune("_@%+=:,./-", rune(c)) {
			return false
		}
	}
	return s != ""
}

// Mark begins what Fit puts in place of the text that it cut. No rendered text contains it otherwise.
const Mark = '…'

// Fit cuts t to at most width terminal cells and reports whether it cut. A cut text ends in the mark and the number of
// characters that are missing ("…+120"), as far as the width has room for them; an escape is never cut in two. A text
// of several lines is cut at its first line break.
func Fit(t Text, width int) (Text, bool) {
	line, _, several := strings.Cut(t.s, "\n")
	if !several && cells(line, width+1) <= width {
		return t, false
	}
	if width <= 0 {
		return Text{}, t.s != ""
	}
	total := utf8.RuneCountInString(t.s)
	// The mark is as long as the number of missing characters needs; total is the largest that it can be.
	mark := string(Mark) + "+" + strconv.Itoa(total)
	room := width - utf8.RuneCountInString(mark)
	if room < 0 {
		return Text{string(Mark)}, true
	}
	end, kept := 0, 0
	for used := 0; end < len(line); {
		size, chars, wide := unit(line[end:])
		if used+wide > room {
			break
		}
		used, end, kept = used+wide, end+size, kept+chars
	}
	return Text{line[:end] + string(Mark) + "+" + strconv.Itoa(total-kept)}, true
}

// Width is the number of terminal cells that a line of rendered text takes.
func Width(t Text) int { return cells(t.s, -1) }

// cells adds up the cells of s; it stops early once limit is reached, unless limit is negative.
func cells(s string, limit int) int {
	n := 0
	for _, r := range s {
		n += displaywidth.Rune(r)
		if limit >= 0 && n >= limit {
			return n
		}
	}
	return n
}

// unit measures the first piece of rendered text that must not be cut: an escape, or a character with its marks.
func unit(s string) (size, chars, wide int) {
	if s[0] == '\\' && len(s) > 1 {
		size = 2
		switch s[1] {
		case 'x':
			size = 4
		case 'u':
			size = 6
		case 'U':
			size = 10
		}
		size = min(size, len(s))
		return size, size, size
	}
	r, n := utf8.DecodeRuneInString(s)
	size, chars, wide = n, 1, displaywidth.Rune(r)
	for size < len(s) {
		r, n := utf8.DecodeRuneInString(s[size:])
		if !isMark(r) {
			break
		}
		size, chars = size+n, chars+1
	}
	return size, chars, wide
}
