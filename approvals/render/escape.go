package render

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// position says what the first word of a text stands for.
type position bool

const (
	atOperand position = false
	atCommand position = true // the first word names a program
)

// maxMarks is how many combining marks may stand on one base: what written languages need, not what covers the
// lines above.
const maxMarks = 2

// appendLine writes s, word by word, because whether a letter of another script is shown depends on its word. quote,
// if not zero, is escaped as well.
func appendLine(b *strings.Builder, s string, at position, quote byte) {
	for len(s) > 0 {
		n := strings.IndexFunc(s, endsWord)
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			appendWord(b, s[:n], at, quote)
			at = atOperand
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		appendRune(b, s[:size], r, quote)
		if strings.ContainsRune(";|&(`{!\n", r) {
			at = atCommand
		}
		s = s[size:]
	}
}

// endsWord reports whether r parts words. A stray byte does not: it stands inside a word.
func endsWord(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || strings.ContainsRune(";|&()`{}<>!", r)
}

// appendWord writes one word. Letters that are not Latin are shown as themselves only in a word that has no letter of
// ASCII, is no path, host or option, and is not the first of a command.
func appendWord(b *strings.Builder, word string, at position, quote byte) {
	if isASCIIWord(word) {
		for i := 0; i < len(word); i++ {
			appendRune(b, word[i:i+1], rune(word[i]), quote)
		}
		return
	}
	strict := at == atCommand || strings.ContainsFunc(word, func(r rune) bool {
		return isASCIIAlnum(r) || strings.ContainsRune("/.:@=~-_", r) || r > unicode.MaxASCII && unicode.Is(unicode.Latin, r)
	})
	marks, base := 0, false
	for len(word) > 0 {
		r, size := utf8.DecodeRuneInString(word)
		piece := word[:size]
		word = word[size:]
		if isMark(r) {
			marks++
			if !base || marks > maxMarks || !isShown(r) || strict {
				appendEscape(b, piece, r)
			} else {
				b.WriteString(piece)
			}
			continue
		}
		marks, base = 0, unicode.IsLetter(r) || unicode.IsNumber(r)
		if strict && unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) {
			base = false
			appendEscape(b, piece, r)
			continue
		}
		base = appendRune(b, piece, r, quote) && base
	}
}

// appendRune writes one character, or the byte that could not be decoded as one, and reports whether it stands as
// itself.
func appendRune(b *strings.Builder, piece string, r rune, quote byte) bool {
	switch {
	case r == '\\', quote != 0 && r == rune(quote):
		b.WriteByte('\\')
		b.WriteByte(byte(r)) // #nosec G115 -- a backslash or a quote
		return false
	case r == utf8.RuneError && len(piece) == 1, !isShown(r):
		appendEscape(b, piece, r)
		return false
	}
	b.WriteString(piece)
	return true
}

const hexDigits = "0123456789abcdef"

// appendEscape writes the escape of one character or stray byte.
func appendEscape(b *strings.Builder, piece string, r rune) {
	if i := strings.IndexRune("\a\b\t\n\v\f\r", r); i >= 0 && len(piece) == 1 {
		b.WriteByte('\\')
		b.WriteByte("abtnvfr"[i])
		return
	}
	if len(piece) == 1 || r < 0xa0 {
		for i := 0; i < len(piece); i++ {
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[piece[i]>>4])
			b.WriteByte(hexDigits[piece[i]&15])
		}
		return
	}
	letter, digits := byte('u'), 4
	if r > 0xffff {
		letter, digits = 'U', 8
	}
	b.WriteByte('\\')
	b.WriteByte(letter)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[(r>>shift)&15])
	}
}

// isShown reports whether a character may stand as itself: it is visible, takes part in no reordering, and is not
// drawn like a character that a shell or a path gives a meaning to. The classes are those of the Unicode Character
// Database (UAX #44) that Go's tables carry; what they do not assign is not shown.
func isShown(r rune) bool {
	if r < 0x7f {
		return r >= 0x20
	}
	switch {
	case !unicode.IsPrint(r), // controls, formats, private use, surrogates, unassigned, every blank but U+0020
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, rightToLeft),
		unicode.Is(lookAlike, r):
		return false
	case unicode.IsLetter(r) && unicode.Is(unicode.Common, r):
		return r < 0x100 // ª, µ, º; the others are styled copies of ordinary letters
	case unicode.Is(unicode.Latin, r):
		return r <= 0x24f && r != 'ı' && !(r >= 0x1c0 && r <= 0x1c3) || r >= 0x1e00 && r <= 0x1eff
	}
	return true
}

// isMark reports whether r is drawn on the character before it.
func isMark(r rune) bool { return r >= 0x300 && unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) }

func isASCIIAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func isASCIIWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// rightToLeft holds the scripts whose letters make a terminal reorder what stands beside them (UAX #9, classes R and
// AL): the blocks that are reserved for such scripts.
var rightToLeft = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x0590, Hi: 0x08ff, Stride: 1}, {Lo: 0xfb1d, Hi: 0xfdff, Stride: 1}, {Lo: 0xfe70, Hi: 0xfeff, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x10800, Hi: 0x10fff, Stride: 1}, {Lo: 0x1e800, Hi: 0x1efff, Stride: 1}},
}

// lookAlike holds characters that are neither letters nor marks and are drawn like a blank or like a character that
// a shell, a path, a host name or this package gives a meaning to.
var lookAlike = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00b4, Hi: 0x00b4, Stride: 1}, // acute accent, as a quote
		{Lo: 0x02b0, Hi: 0x02ff, Stride: 1}, // modifier letters: quotes, colons, carets
		{Lo: 0x0375, Hi: 0x0375, Stride: 1}, // Greek numeral sign, as a comma
		{Lo: 0x037e, Hi: 0x037e, Stride: 1}, // Greek question mark, as a semicolon
		{Lo: 0x0387, Hi: 0x0387, Stride: 1},
		{Lo: 0x0589, Hi: 0x0589, Stride: 1}, // Armenian full stop, as a colon
		{Lo: 0x2010, Hi: 0x2013, Stride: 1}, // hyphens and the en dash
		{Lo: 0x2018, Hi: 0x201f, Stride: 1}, // quotes
		{Lo: 0x2024, Hi: 0x2026, Stride: 1}, // dot leaders; the ellipsis is the mark of a cut
		{Lo: 0x2032, Hi: 0x2037, Stride: 1}, // primes
		{Lo: 0x203c, Hi: 0x203c, Stride: 1},
		{Lo: 0x2043, Hi: 0x2044, Stride: 1}, // hyphen bullet, fraction slash
		{Lo: 0x204e, Hi: 0x204f, Stride: 1}, // low asterisk, reversed semicolon
		{Lo: 0x2052, Hi: 0x2053, Stride: 1},
		{Lo: 0x2212, Hi: 0x2212, Stride: 1}, // minus
		{Lo: 0x2215, Hi: 0x2219, Stride: 1}, // division slash, set minus, operators
		{Lo: 0x2223, Hi: 0x2223, Stride: 1}, // divides, as a pipe
		{Lo: 0x2236, Hi: 0x2236, Stride: 1}, // ratio, as a colon
		{Lo: 0x223c, Hi: 0x223c, Stride: 1}, // tilde operator
		{Lo: 0x22c5, Hi: 0x22c5, Stride: 1},
		{Lo: 0x23d0, Hi: 0x23d0, Stride: 1},
		{Lo: 0x2758, Hi: 0x275e, Stride: 1}, // bars and quotes
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // the blank Braille pattern
		{Lo: 0x29f5, Hi: 0x29f9, Stride: 1}, // reverse solidus and its kin
		{Lo: 0x3001, Hi: 0x3002, Stride: 1},
		{Lo: 0x3033, Hi: 0x3035, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xa789, Hi: 0xa78a, Stride: 1}, // modifier colon, equals
		{Lo: 0xfe10, Hi: 0xfe6f, Stride: 1}, // vertical and small forms
		{Lo: 0xff01, Hi: 0xff65, Stride: 1}, // full-width forms of ASCII
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // half-width Hangul filler
		{Lo: 0xffe0, Hi: 0xffff, Stride: 1}, // full-width signs; the replacement character
	},
	R32: []unicode.Range32{
		{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}, // null notehead
		{Lo: 0x1d16d, Hi: 0x1d182, Stride: 1}, // musical marks and formats
		{Lo: 0x1f100, Hi: 0x1f1ff, Stride: 1}, // enclosed letters; regional indicators, which join into flags
		{Lo: 0x1f3fb, Hi: 0x1f3ff, Stride: 1}, // modifiers, which join with the character before
		{Lo: 0x1fbf0, Hi: 0x1fbf9, Stride: 1}, // segmented digits
	},
}
