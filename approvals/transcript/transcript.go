// Package transcript makes lines of what a terminal was sent: what stands on a terminal in the end, without the redraw of every
// key. It never loses a line that was on the screen in full: what clears the screen ends its lines, and a line of which something
// was taken away says so. Its input is hostile. Time and memory are bounded, and nothing of the result is safe to print before
// approvals/render has seen it.
package transcript

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/ansi/parser"
	"github.com/clipperhouse/displaywidth"
)

// Bounds of a transcript.
const (
	maxLines = 10_000  // lines that are kept; the oldest go first, and are counted
	maxBytes = 1 << 20 // bytes of them
	maxOpen  = 64      // rows that the cursor can go back to
	maxCells = 1024    // columns of a row; a longer one goes on in the next
	maxCell  = 16      // bytes of a character with what combines with it
	maxText  = 4096    // bytes of a title and the like: a terminal shows nothing of it
	maxMoved = 4 << 20 // columns that insertions, deletions and repetitions move in all; later ones are left out
)

// Line is a line of a transcript. Text is untrusted.
type Line struct {
	Text string
	// Edited says that something stood in the line, or was erased with it, that is not in Text: somebody corrected what they
	// typed, or a program has drawn over what it wrote.
	Edited bool
	// Continues says that the line was too long and goes on in the next.
	Continues bool
	// Note says that the line is the gateway's own, and was not on the terminal.
	Note bool
}

// Reader reads what a terminal is sent.
type Reader struct {
	parser *ansi.Parser

	char   []byte // the beginning of a character of which more is to come
	hidden int    // bytes of a title, or of another text that is not shown, so far

	done    []Line // what no cursor reaches any more, behind first
	first   int
	bytes   int // of done behind first
	dropped int

	rows      []row // what the cursor reaches; never empty
	x, y      int   // the cursor; x may be beyond the row's end
	savedX    int
	savedY    int
	last      string // the character that was printed last, "" for none
	moved     int
	alternate bool // another screen than the usual one is shown
}

// row is a row of the screen. A cell is a character with what combines with it, or "" behind one that is two columns wide.
type row struct {
	cells             []string
	edited, continues bool
}

// New makes a Reader of an empty terminal.
func New() *Reader {
	r := &Reader{parser: ansi.NewParser(), rows: make([]row, 1)}
	r.parser.SetDataSize(64) // titles and the like say nothing here
	r.parser.SetHandler(ansi.Handler{Print: r.print, Execute: r.execute, HandleCsi: r.sequence, HandleEsc: r.escape})
	return r
}

// Write reads what the terminal is sent next. It never fails.
func (r *Reader) Write(p []byte) (int, error) {
	for _, b := range p {
		r.read(b)
	}
	return len(p), nil
}

// read takes a byte. What is beyond ASCII is decoded here: the parser would take the beginning of a character for one with whatever
// follows, and a byte of one for a sequence.
func (r *Reader) read(b byte) {
	switch r.parser.State() {
	case parser.DcsEntryState, parser.DcsIntermediateState, parser.DcsParamState, parser.DcsStringState,
		parser.OscStringState, parser.SosStringState, parser.PmStringState, parser.ApcStringState: // a terminal shows nothing of it
		if r.hidden++; b != '\r' && b != '\n' && r.hidden <= maxText {
			r.parser.Advance(b)
			return
		}
		r.parser.Reset()
		r.rows[r.y].edited = true
	case parser.GroundState:
	default:
		if b >= utf8.RuneSelf { // ends the sequence
			r.parser.Reset()
		}
	}
	r.hidden = 0
	if b < utf8.RuneSelf {
		for ; len(r.char) > 0; r.char = r.char[1:] {
			r.print(utf8.RuneError)
		}
		r.parser.Advance(b)
		return
	}
	r.char = append(r.char, b)
	for len(r.char) > 0 && utf8.FullRune(r.char) {
		char, size := utf8.DecodeRune(r.char)
		r.print(char)
		r.char = r.char[size:]
	}
}

// Note puts a line of the gateway's own where the terminal stands: before the row of the cursor.
func (r *Reader) Note(text string) {
	below := slices.Clone(r.rows[r.y:])
	r.commit(r.rows[:r.y])
	r.keep(Line{Text: text, Note: true})
	r.rows, r.y = below, 0
	r.savedY = 0
}

// Lines are the lines so far, and how many came before them and are not kept. The last ones may change yet.
func (r *Reader) Lines() (lines []Line, dropped int) {
	lines = slices.Clone(r.done[r.first:])
	open := r.rows
	for len(open) > 0 && open[len(open)-1].empty() {
		open = open[:len(open)-1]
	}
	for i := range open {
		lines = append(lines, open[i].line())
	}
	return lines, r.dropped
}

// Settled is how many of the lines will not change any more, nor those before them that are not kept.
func (r *Reader) Settled() int { return len(r.done) - r.first }

func (w *row) empty() bool { return !w.edited && w.text() == "" }

func (w *row) text() string { return strings.TrimRight(strings.Join(w.cells, ""), " ") }

func (w *row) line() Line { return Line{Text: w.text(), Edited: w.edited, Continues: w.continues} }

// keep adds a line that does not change any more.
func (r *Reader) keep(l Line) {
	r.done = append(r.done, l)
	r.bytes += len(l.Text)
	for len(r.done)-r.first > 1 && (len(r.done)-r.first > maxLines || r.bytes > maxBytes) {
		r.bytes -= len(r.done[r.first].Text)
		r.first++
		r.dropped++
	}
	if r.first > maxLines {
		r.done, r.first = slices.Clone(r.done[r.first:]), 0
	}
}

// commit keeps rows that the cursor does not reach any more.
func (r *Reader) commit(rows []row) {
	for i := range rows {
		r.keep(rows[i].line())
	}
}

// fresh ends all rows, as a cleared screen does, and begins with the cursor in a column of an empty one.
func (r *Reader) fresh(x int) {
	for len(r.rows) > 0 && r.rows[len(r.rows)-1].empty() {
		r.rows = r.rows[:len(r.rows)-1]
	}
	r.commit(r.rows)
	r.rows = make([]row, 1, maxOpen)
	r.x, r.y, r.savedX, r.savedY = bounded(x, maxCells), 0, 0, 0
}

// bounded is a column or row, or a count of them, from 0 to less than limit.
func bounded(n, limit int) int { return min(max(n, 0), limit-1) }

// newLine moves the cursor down a row, and makes that where there is none.
func (r *Reader) newLine() {
	if r.y++; r.y < len(r.rows) {
		return
	}
	if len(r.rows) == maxOpen {
		r.commit(r.rows[:1])
		copy(r.rows, r.rows[1:])
		r.rows = r.rows[:maxOpen-1]
		r.y, r.savedY = maxOpen-1, max(r.savedY-1, 0)
	}
	r.rows = append(r.rows, row{})
}

// print puts a character where the cursor is.
func (r *Reader) print(char rune) {
	text := string(char)
	width := 1
	if char >= utf8.RuneSelf {
		width = displaywidth.Rune(char)
	}
	w := &r.rows[r.y]
	if width == 0 && r.x > 0 && r.x <= len(w.cells) {
		at := r.x - 1
		for at > 0 && w.cells[at] == "" {
			at--
		}
		if len(w.cells[at])+len(text) <= maxCell {
			w.cells[at] += text
			r.last = ""
			return
		}
	}
	r.put(text, max(width, 1))
	r.last = text
}

// put puts a character of some columns where the cursor is.
func (r *Reader) put(text string, width int) {
	if r.x+width > maxCells {
		r.rows[r.y].continues = true
		r.newLine()
		r.x = 0
	}
	w := &r.rows[r.y]
	for len(w.cells) < r.x+width {
		w.cells = append(w.cells, " ")
	}
	for i := range width {
		if i > 0 {
			text = ""
		}
		if was := w.cells[r.x+i]; was != " " && was != text {
			w.edited = true
		}
		w.cells[r.x+i] = text
	}
	r.x += width
	if r.x < len(w.cells) && w.cells[r.x] == "" { // half of a wide character is none
		w.cells[r.x], w.edited = " ", true
	}
}

// execute obeys a control character. Others show nothing on a terminal.
func (r *Reader) execute(b byte) {
	switch b {
	case '\n', '\v', '\f':
		r.newLine()
	case '\r':
		r.x = 0
	case '\b':
		r.x = max(r.x-1, 0)
	case '\t':
		r.x = bounded((r.x/8+1)*8, maxCells)
	}
}

// escape obeys an escape sequence without parameters.
func (r *Reader) escape(cmd ansi.Cmd) {
	if cmd.Intermediate() != 0 || cmd.Prefix() != 0 {
		return
	}
	switch cmd.Final() {
	case '7':
		r.savedX, r.savedY = r.x, r.y
	case '8':
		r.x, r.y = r.savedX, min(r.savedY, len(r.rows)-1)
	case 'D':
		r.newLine()
	case 'E':
		r.x = 0
		r.newLine()
	case 'M':
		r.y = max(r.y-1, 0)
	case 'c':
		r.fresh(0)
	}
}

// sequence obeys a control sequence. Those that only change how characters look, concealed ones included, are left out.
func (r *Reader) sequence(cmd ansi.Cmd, params ansi.Params) {
	if cmd.Intermediate() != 0 {
		return
	}
	if cmd.Prefix() != 0 {
		r.mode(cmd, params)
		return
	}
	first, _, _ := params.Param(0, 0)
	count := bounded(max(first, 1), maxCells+1)
	switch cmd.Final() {
	case 'A':
		r.y = max(r.y-count, 0)
	case 'B':
		r.y = min(r.y+count, len(r.rows)-1)
	case 'C':
		r.x = bounded(r.x+count, maxCells)
	case 'D':
		r.x = max(r.x-count, 0)
	case 'E':
		r.x, r.y = 0, min(r.y+count, len(r.rows)-1)
	case 'F':
		r.x, r.y = 0, max(r.y-count, 0)
	case 'G', '`':
		r.x = bounded(count-1, maxCells)
	case 'H', 'f':
		column, _, _ := params.Param(1, 1)
		r.fresh(column - 1)
	case 'd':
		r.fresh(r.x)
	case 'J':
		r.eraseScreen(first)
	case 'K':
		r.eraseRow(first)
	case '@', 'P', 'X', 'b':
		r.shift(cmd.Final(), count)
	case 'L', 'M':
		r.shiftRows(cmd.Final() == 'L', count)
	case 's':
		r.savedX, r.savedY = r.x, r.y
	case 'u':
		r.x, r.y = r.savedX, min(r.savedY, len(r.rows)-1)
	}
}

// mode obeys what takes another screen. Other modes say nothing of what stands there.
func (r *Reader) mode(cmd ansi.Cmd, params ansi.Params) {
	if cmd.Prefix() != '?' || cmd.Final() != 'h' && cmd.Final() != 'l' {
		return
	}
	for i := range params {
		switch mode, _, _ := params.Param(i, 0); mode {
		case 47, 1047, 1049:
			if on := cmd.Final() == 'h'; on != r.alternate {
				r.alternate = on
				r.fresh(0)
			}
		}
	}
}

// eraseScreen erases what is below the cursor. Where all of the screen is erased, its rows have been lines.
func (r *Reader) eraseScreen(what int) {
	if what != 0 {
		if what == 2 || what == 3 {
			r.fresh(r.x)
		}
		return
	}
	r.eraseRow(0)
	for i := r.y + 1; i < len(r.rows); i++ {
		if !r.rows[i].empty() {
			r.rows[r.y].edited = true
		}
	}
	r.rows = r.rows[:r.y+1]
}

// eraseRow erases the row of the cursor: behind the cursor, before it, or all.
func (r *Reader) eraseRow(what int) {
	w := &r.rows[r.y]
	from, to := 0, len(w.cells)
	switch what {
	case 0:
		from = min(r.x, to)
	case 1:
		to = min(r.x+1, to)
	case 2:
	default:
		return
	}
	w.blank(from, to)
	if to == len(w.cells) {
		w.cells = w.cells[:from]
	}
}

// blank erases cells.
func (w *row) blank(from, to int) {
	for i := from; i < to; i++ {
		if w.cells[i] != " " {
			w.edited = true
		}
		w.cells[i] = " "
	}
}

// shift inserts, deletes, erases or repeats characters where the cursor is.
func (r *Reader) shift(final byte, count int) {
	w := &r.rows[r.y]
	if r.moved += max(count, len(w.cells)-r.x, 0); r.moved > maxMoved {
		w.edited = true
		return
	}
	end := min(r.x+count, len(w.cells))
	switch {
	case final == 'b':
		if r.last == "" {
			return
		}
		for range count {
			r.put(r.last, max(displaywidth.String(r.last), 1))
		}
	case r.x >= len(w.cells):
	case final == '@':
		w.cells = slices.Insert(w.cells, r.x, slices.Repeat([]string{" "}, min(count, maxCells-r.x))...)
		if len(w.cells) > maxCells {
			w.blank(maxCells, len(w.cells))
			w.cells = w.cells[:maxCells]
		}
	case final == 'P':
		w.blank(r.x, end)
		w.cells = slices.Delete(w.cells, r.x, end)
	case final == 'X':
		w.blank(r.x, end)
	}
}

// shiftRows inserts empty rows above the row of the cursor, or deletes it and those below.
func (r *Reader) shiftRows(insert bool, count int) {
	if insert {
		n := min(count, maxOpen-len(r.rows))
		r.rows = slices.Insert(r.rows, r.y, make([]row, n)...)
		r.x = 0
		return
	}
	end := min(r.y+count, len(r.rows))
	gone := slices.ContainsFunc(r.rows[r.y:end], func(w row) bool { return !w.empty() })
	r.rows = slices.Delete(r.rows, r.y, end)
	if r.y == len(r.rows) {
		r.rows = append(r.rows, row{})
	}
	r.rows[r.y].edited = r.rows[r.y].edited || gone
	r.x = 0
}
