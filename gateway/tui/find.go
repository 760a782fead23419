package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// finder looks for a word in a page.
type finder struct {
	prompt
	found line // how the last look went
}

// findKey handles a key while the word is typed.
func (p *page) findKey(k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keyCancel):
		p.find = finder{}
	case key.Matches(k, keyEnter):
		p.find.open = false
		p.findNext()
	default:
		p.find.field.key(k)
	}
}

// finding reports whether a word is looked for; a page that is none looks for nothing.
func (p *page) finding() bool { return p != nil && p.find.text() != "" }

// findNext moves to the next row below the top one that has the word. Behind the last comes the first. What it jumps over
// does not count as seen.
func (p *page) findNext() {
	word := asciiLower(p.find.text())
	if word == "" {
		p.find = finder{}
		return
	}
	var hits []int
	for i := range p.rows {
		if strings.Contains(asciiLower(p.rows[i].line.plain()), word) {
			hits = append(hits, i)
		}
	}
	if len(hits) == 0 {
		p.find.found = own(toneCaution, "  not found")
		return
	}
	at := 0
	for at < len(hits)-1 && hits[at] <= p.findAt {
		at++
	}
	if hits[at] <= p.findAt {
		at = 0
	}
	p.findAt = hits[at]
	p.scroll(hits[at] - p.top)
	p.find.found = format(toneDim, "  %d of %d, ⏎ next", at+1, len(hits))
}

// findLine is the prompt, or what was looked for; nil where nothing is.
func (p *page) findLine() line {
	if !p.find.open && p.find.text() == "" {
		return nil
	}
	return join(p.find.line("/"), p.find.found)
}

// marked returns the line with what was found in it marked.
func (l line) marked(word string) line {
	if word == "" {
		return l
	}
	text, at := asciiLower(l.plain()), 0
	var marked line
	for {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return append(marked, l.slice(at, len(text))...)
		}
		marked = append(marked, l.slice(at, at+i)...)
		for _, s := range l.slice(at+i, at+i+len(word)) {
			marked = append(marked, span{toneFound, s.text})
		}
		at += i + len(word)
	}
}

// slice returns the bytes of the line's text from one place to another.
func (l line) slice(from, to int) line {
	var part line
	for _, s := range l {
		n := s.text.Len()
		if a, b := max(from, 0), min(to, n); a < b {
			text, _ := s.text.Cut(b)
			_, text = text.Cut(a)
			part = append(part, span{s.tone, text})
		}
		from, to = from-n, to-n
	}
	return part
}

// asciiLower lowers ASCII letters alone: the text keeps its length.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
