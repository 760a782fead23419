package tui

import (
	"strings"
	"time"

	"shannot-gateway/approvals/render"
)

// maxParagraphs bounds the memory of a page. A page that was cut there says so and can never count as seen.
const maxParagraphs = 50_000

// paragraph is a text with a gutter before it. It wraps to the width of the page; rows after the first have the
// continuation mark in their gutter, where no text can ever stand.
type paragraph struct {
	gutter line
	text   line
	prose  bool // wraps between words
	// cache, where it is set, keeps the rows for the next time: for text that is drawn again and again and does not
	// change.
	cache *wrapped
}

// wrapped are the rows of a paragraph for a width.
type wrapped struct {
	width int
	rows  []row
}

// continued stands in the gutter of a row that continues the one above.
const continued = "↳"

// row is a part of a paragraph that fits on one row of the screen.
type row struct {
	paragraph int
	start     int // bytes of the paragraph before this row
	end       int // and up to its end
	line      line
}

// page is a text that scrolls, and knows what of it has been on the screen for long enough to be read.
type page struct {
	paragraphs []paragraph
	full       bool // no more paragraphs were taken
	tail       bool // stays at the end when it grows
	width      int
	height     int
	top        int
	rows       []row
	seen       []int             // bytes of each paragraph, from its start, that have been read; -1 for none
	since      map[int]time.Time // when the rows in the window came into it
	find       finder
	findAt     int // the row that was found last
}

// position is a place in the text that does not depend on the width of the screen.
type position struct{ paragraph, end int }

func (p position) before(q position) bool {
	return p.paragraph < q.paragraph || p.paragraph == q.paragraph && p.end < q.end
}

func newPage() *page { return &page{findAt: -1} }

// add appends a paragraph.
func (p *page) add(gutter, text line) { p.put(paragraph{gutter: gutter, text: text}) }

// addProse appends a paragraph that wraps between words.
func (p *page) addProse(gutter, text line) {
	p.put(paragraph{gutter: gutter, text: text, prose: true})
}

func (p *page) put(q paragraph) {
	switch {
	case p.full:
	case len(p.paragraphs) == maxParagraphs:
		p.full = true
		p.paragraphs = append(p.paragraphs, paragraph{text: own(toneDanger, "… too long for this screen: the rest is not shown here. `show ID` prints all of it.")})
	default:
		p.paragraphs = append(p.paragraphs, q)
	}
}

// replace puts other paragraphs in the place of the present ones. What has been read stays read up to the first
// difference.
func (p *page) replace(q *page) {
	same := 0
	for same < min(len(p.paragraphs), len(q.paragraphs)) && equal(p.paragraphs[same], q.paragraphs[same]) {
		same++
	}
	p.seen = p.seen[:min(same, len(p.seen))]
	p.paragraphs, p.full = q.paragraphs, q.full
	if p.width > 0 {
		p.rewrap(p.width)
	}
}

func equal(a, b paragraph) bool {
	if a.cache != nil && a.cache == b.cache {
		return true
	}
	return a.prose == b.prose && a.gutter.plain() == b.gutter.plain() && a.text.plain() == b.text.plain()
}

// layout wraps the page for a window, keeping its place in the text.
func (p *page) layout(width, height int) {
	atEnd := p.atEnd()
	if width != p.width || p.rows == nil {
		p.rewrap(width)
	}
	p.height = max(height, 1)
	if p.tail && atEnd {
		p.top = len(p.rows)
	}
	p.scroll(0)
}

// atEnd reports whether the end of the text is in the window.
func (p *page) atEnd() bool { return p.top >= len(p.rows)-p.height }

// rewrap cuts the text into rows anew. The window stays at its place in the text, or at the end where it follows that.
func (p *page) rewrap(width int) {
	atEnd := p.atEnd()
	var at position
	if p.top > 0 && p.top < len(p.rows) {
		at = p.rows[p.top].position()
	}
	p.width, p.since = width, nil
	p.wrap()
	p.top = 0
	for p.top < len(p.rows)-1 && p.rows[p.top].position().before(at) {
		p.top++
	}
	if p.tail && atEnd {
		p.top = len(p.rows)
	}
	p.scroll(0)
}

func (r row) position() position { return position{r.paragraph, r.end} }

func (p *page) wrap() {
	p.rows = make([]row, 0, len(p.paragraphs))
	for i, q := range p.paragraphs {
		if q.cache == nil {
			p.rows = append(p.rows, q.wrap(i, p.width)...)
			continue
		}
		if q.cache.width != p.width {
			*q.cache = wrapped{p.width, q.wrap(i, p.width)}
		}
		for _, r := range q.cache.rows {
			r.paragraph = i
			p.rows = append(p.rows, r)
		}
	}
}

// wrap cuts the paragraph into rows of at most width cells.
func (q paragraph) wrap(index, width int) []row {
	gutter := q.gutter
	if gutter.cells() >= width {
		gutter = gutter.fit(max(width-1, 0))
	}
	next := own(toneMark, render.Blanks(gutter.cells()-2)+continued+" ")
	var rows []row
	rest, end := q.text, 0
	for {
		room := max(width-gutter.cells(), 1)
		first, after := rest.split(room)
		if q.prose && len(after) > 0 {
			first, after = breakWord(first, after, room)
		}
		start := end
		end += len(first.plain())
		rows = append(rows, row{index, start, end, join(gutter, first)})
		if len(after) == 0 {
			return rows
		}
		rest, gutter = after, next
	}
}

// breakWord moves the word that the cut went through to the next row, unless it takes most of the row.
func breakWord(first, after line, room int) (line, line) {
	text := first.plain()
	at := strings.LastIndexByte(text, ' ')
	if at < room/2 {
		return first, after
	}
	head, tail := first.split(cells(text[:at+1]))
	return head, join(tail, after)
}

// scroll moves the window by n rows, within the text.
func (p *page) scroll(n int) {
	p.top = max(min(p.top+n, len(p.rows)-p.height), 0)
}

// markSeen notes that the rows in the window are on the screen. Those that have been there for long enough count as read.
// It returns how long the others need, 0 where there is none.
func (p *page) markSeen(now time.Time, enough time.Duration) (left time.Duration) {
	for len(p.seen) < len(p.paragraphs) {
		p.seen = append(p.seen, -1)
	}
	since := make(map[int]time.Time, p.height)
	for i := p.top; i < min(p.top+p.height, len(p.rows)); i++ {
		came, there := p.since[i]
		if !there {
			came = now
		}
		since[i] = came
		if p.rows[i].read(p.seen) {
			continue
		}
		if more := enough - now.Sub(came); more > 0 {
			left = max(left, more)
			continue
		}
		if r := p.rows[i]; p.seen[r.paragraph] >= r.start || r.start == 0 {
			p.seen[r.paragraph] = r.end
		}
	}
	p.since = since
	return left
}

// covered says that something else is on the screen in the place of the page.
func (p *page) covered() { p.since = nil }

// read reports whether the row is among what has been read of its paragraph.
func (r row) read(seen []int) bool { return r.paragraph < len(seen) && seen[r.paragraph] >= r.end }

// unread is how many rows have not been read, and the first of them.
func (p *page) unread() (n, first int) {
	first = len(p.rows)
	for i := len(p.rows) - 1; i >= 0; i-- {
		if !p.rows[i].read(p.seen) {
			n, first = n+1, i
		}
	}
	return n, first
}

// inWindow reports whether a row is in the window.
func (p *page) inWindow(row int) bool { return row >= p.top && row < p.top+p.height }

// windowRows is how many rows are in the window.
func (p *page) windowRows() int { return min(p.height, len(p.rows)-p.top) }

// readAll makes all of the page count as read.
func (p *page) readAll() { p.readParagraphs(0, len(p.paragraphs)) }

// readParagraphs makes some paragraphs count as read.
func (p *page) readParagraphs(from, to int) {
	for len(p.seen) < len(p.paragraphs) {
		p.seen = append(p.seen, -1)
	}
	for i := from; i < to; i++ {
		p.seen[i] = max(p.seen[i], p.paragraphs[i].text.size())
	}
}

// allSeen reports whether all of the text has been read.
func (p *page) allSeen() bool { return len(p.rows) > 0 && p.sawParagraphs(0, len(p.paragraphs)) }

// sawParagraphs reports whether all of some paragraphs has been read.
func (p *page) sawParagraphs(from, to int) bool {
	if p.full || to > len(p.seen) {
		return false
	}
	for i := from; i < to; i++ {
		if p.seen[i] < p.paragraphs[i].text.size() {
			return false
		}
	}
	return true
}

// forget makes nothing of the page count as read.
func (p *page) forget() { p.seen, p.since = nil, nil }

// next shows the next window of rows; at the end of the text it goes back to what has not been read.
func (p *page) next() {
	if p.top+p.height < len(p.rows) {
		p.scroll(max(p.height-1, 1))
		return
	}
	if n, first := p.unread(); n > 0 && first < p.top {
		p.scroll(first - p.top)
	}
}

// window returns the rows on the screen.
func (p *page) window() []line {
	lines := make([]line, 0, p.height)
	word := ""
	if !p.find.open {
		word = asciiLower(p.find.text())
	}
	for i := p.top; i < len(p.rows) && i < p.top+p.height; i++ {
		lines = append(lines, p.rows[i].line.marked(word))
	}
	return lines
}
