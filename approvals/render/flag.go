package render

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFlagged is how many words a flag repeats. The text itself is shown whole beside it.
const maxFlagged = 8

// ASCII renders s on one line with nothing but printable ASCII: every other character is an escape.
func ASCII(s string) Text {
	var b strings.Builder
	b.Grow(len(s) + 16)
	appendASCII(&b, s)
	return Text{b.String()}
}

func appendASCII(b *strings.Builder, s string) {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r >= 0x20 && r < 0x7f:
			b.WriteByte(byte(r))
		default:
			appendEscape(b, s[:size], r)
		}
		s = s[size:]
	}
}

// Flag warns of the words of s that hold characters outside ASCII: it names their scripts, says where one name mixes
// several (UTS #39, section 5), and repeats the words with escapes, since a letter of another script can look like one
// of Latin. ok is false where there is nothing to warn of. It is for names of programs, paths, hosts and users, and
// for arguments, which may be any of them.
func Flag(s string) (flag Text, ok bool) {
	if isASCIIWord(s) {
		return Text{}, false
	}
	var words []string
	var scripts []string
	mixed, more := false, 0
	for _, w := range strings.FieldsFunc(s, endsWord) {
		if isASCIIWord(w) {
			continue
		}
		for part := range strings.FieldsFuncSeq(w, partsName) {
			if isASCIIWord(part) {
				continue
			}
			own := scriptsOf(part)
			mixed = mixed || len(own) > 1
			for _, name := range own {
				if !slices.Contains(scripts, name) {
					scripts = append(scripts, name)
				}
			}
		}
		if len(words) < maxFlagged {
			words = append(words, ASCII(w).s)
		} else {
			more++
		}
	}
	var b strings.Builder
	b.WriteString("non-ASCII characters")
	if mixed {
		b.WriteString(", scripts mixed in a name")
	}
	if len(scripts) > 0 {
		b.WriteString(" (" + strings.Join(scripts, ", ") + ")")
	}
	b.WriteString(": " + strings.Join(words, " "))
	if more > 0 {
		fmt.Fprintf(&b, " and %d more words", more)
	}
	return Text{b.String()}, true
}

// partsName reports whether r parts names: elements of a path, labels of a host.
func partsName(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
}

// scriptsOf names the scripts of a name's letters, in their order (UAX #24). Characters that several scripts share
// have none.
func scriptsOf(word string) []string {
	var names []string
	for _, r := range word {
		if !unicode.IsLetter(r) {
			continue
		}
		name := "Latin"
		if r >= utf8.RuneSelf {
			name = scriptOf(r)
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// scriptNames are the names of Go's tables in a fixed order; the ones that are asked for most come first.
var scriptNames = func() []string {
	names := []string{"Latin", "Cyrillic", "Greek", "Han", "Hiragana", "Katakana", "Hangul", "Arabic", "Hebrew"}
	var rest []string
	for name := range unicode.Scripts {
		if name != "Common" && name != "Inherited" && !slices.Contains(names, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return append(names, rest...)
}()

func scriptOf(r rune) string {
	for _, name := range scriptNames {
		if unicode.Is(unicode.Scripts[name], r) {
			return name
		}
	}
	return ""
}
