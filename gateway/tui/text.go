package tui

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"shannot-gateway/approvals/render"
)

// span is a piece of text in one tone. Its text is the screen's own or has passed the renderer.
type span struct {
	tone tone
	text render.Text
}

// line is one row of the screen, or a longer text before it is wrapped.
type line []span

// own makes a line of the screen's own words, which are constants.
func own(t tone, words render.Words) line { return line{{t, render.Own(words)}} }

// format makes a line of the screen's own words with something in them; what is not rendered is.
func format(t tone, words render.Words, args ...any) line {
	return line{{t, render.Format(words, args...)}}
}

// shown makes a line of untrusted text; the renderer makes it safe to print.
func shown(t tone, untrusted string) line { return line{{t, render.Line(untrusted)}} }

// join puts lines one after another.
func join(lines ...line) line {
	var all line
	for _, l := range lines {
		all = append(all, l...)
	}
	return all
}

// behind puts a line behind others, with what stands between them; nothing where it is nothing.
func behind(l line) line {
	if l == nil {
		return nil
	}
	return join(own(tonePlain, " · "), l)
}

// bold returns the line with its plain text strong, where strong is true.
func (l line) bold(strong bool) line {
	if !strong {
		return l
	}
	l = slices.Clone(l)
	for i := range l {
		if l[i].tone == tonePlain {
			l[i].tone = toneStrong
		}
	}
	return l
}

// cells is the width of the line in character cells.
func (l line) cells() int {
	n := 0
	for _, s := range l {
		n += cells(s.text.String())
	}
	return n
}

// size is the length of the line's text in bytes.
func (l line) size() int {
	n := 0
	for _, s := range l {
		n += s.text.Len()
	}
	return n
}

// plain is the line's text.
func (l line) plain() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text.String())
	}
	return b.String()
}

// fit returns the line in at most width cells. What is cut off is marked.
func (l line) fit(width int) line {
	if l.cells() <= width {
		return l
	}
	if width < 1 {
		return nil
	}
	first, _ := l.split(width - 1)
	return append(first, span{toneMark, render.Own("…")})
}

// split returns what fits in width cells, at least one character of it unless width is less than 1, and the rest.
func (l line) split(width int) (first, rest line) {
	for i, s := range l {
		at, used := cut(s.text.String(), width, len(first) == 0)
		if at == s.text.Len() {
			first = append(first, s)
			width -= used
			continue
		}
		before, after := s.text.Cut(at)
		if at > 0 {
			first = append(first, span{s.tone, before})
		}
		rest = append(line{{s.tone, after}}, l[i+1:]...)
		return first, rest
	}
	return first, nil
}

// cut returns how many bytes of s fit in width cells and the cells they take. With some it is at least one cluster.
func cut(s string, width int, some bool) (at, used int) {
	if width < 1 {
		return 0, 0
	}
	for at < len(s) {
		n, w := cluster(s[at:])
		if used+w > width && (at > 0 || !some) {
			break
		}
		at, used = at+n, used+w
	}
	return at, used
}

// cells is the width of s in character cells.
func cells(s string) int {
	n := 0
	for len(s) > 0 {
		size, w := cluster(s)
		s, n = s[size:], n+w
	}
	return n
}

// cluster returns the length in bytes of the first piece of s that stays together on a row, an escape of the renderer
// or a grapheme cluster, and its width in cells. Terminals differ about the width of some clusters: it is the larger
// one, so that a row is never longer than the screen.
func cluster(s string) (size, width int) {
	if s[0] == '\\' && len(s) > 1 {
		size = min(escapeSize(s[1]), len(s))
		if isASCII(s[:size]) {
			return size, size
		}
	}
	if s[0] < 0x80 && (len(s) == 1 || s[1] < 0x80) {
		return 1, 1
	}
	// The frames and marks of the screen itself, which stand in every row.
	if r, n := utf8.DecodeRuneInString(s); (r >= 0x2500 && r <= 0x257f || r == '↳') && (len(s) == n || s[n] < 0x80) {
		return n, 1
	}
	c, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	_, wc := ansi.FirstGraphemeCluster(s, ansi.WcWidth)
	return max(len(c), 1), max(w, wc)
}

// escapeSize is the length of the renderer's escape that begins with a backslash and c.
func escapeSize(c byte) int {
	switch c {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// clean is the last line of defence behind the renderer. Where the renderer let a control or format character through, the
// text is rendered once more, whoever made the line.
func (l line) clean() line {
	if !slices.ContainsFunc(l, func(s span) bool { return !printable(s.text.String()) }) {
		return l
	}
	l = slices.Clone(l)
	for i, s := range l {
		l[i].text = render.Line(s.text.String())
	}
	return l
}

func printable(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) }

// hidden reports whether a terminal would act on r or show nothing for it.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
