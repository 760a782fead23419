package tui

import (
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// sideBySide is the width from which differences stand side by side, in cells, until the human chooses.
const sideBySide = 120

// filesPane are all changes of files that a session asks for, or has asked for. What was read here counts as read.
type filesPane struct {
	page     *page
	contents *contents
	whole    bool // with every line that stays as it is
	chosen   bool // the human has chosen between side by side and one below the other
	side     bool
	width    int  // for which it is drawn
	stale    bool // and has to be drawn anew
	sections []section
}

func newFilesPane(b Backend) *filesPane {
	return &filesPane{page: newPage(), contents: newContents(b), stale: true}
}

// key handles a key on the pane.
func (f *filesPane) key(k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keyWhole):
		f.whole, f.stale = !f.whole, true
	case key.Matches(k, keySide):
		f.side, f.chosen, f.stale = !f.isSide(f.width), true, true
	default:
		f.page.key(k)
	}
}

func (f *filesPane) isSide(width int) bool {
	if f.chosen {
		return f.side
	}
	return width >= sideBySide
}

// draw draws the pane for a window, where anything has changed.
func (f *filesPane) draw(s *journal.Session, width int) {
	if !f.stale && width == f.width {
		return
	}
	f.width, f.stale = width, false
	p := newPage()
	f.sections = f.sections[:0]
	n := 0
	for i := range s.Operations {
		op := &s.Operations[i]
		if op.File != nil {
			n++
			word, t := decisionWord(op.Decision)
			p.addProse(nil, join(format(toneStrong, "── operation %d ", op.N), own(t, word+" "), own(riskTone(op.Risk), riskWord(op.Risk)+" "),
				line{{toneStrong, op.File.Summary()}}))
			from := len(p.paragraphs) - 1
			p.addProse(label("Policy"), line{{tonePlain, render.Stored(op.Why)}})
			f.change(p, op.File)
			f.sections = append(f.sections, section{op.N, op.Digest, from, len(p.paragraphs)})
		}
		if op.Command == nil {
			continue
		}
		for i := range op.Command.Scratch {
			n++
			p.addProse(nil, join(format(toneStrong, "── put on the target for operation %d, and removed at the end: ", op.N), line{{toneStrong, op.Command.Scratch[i].Summary()}}))
			f.change(p, &op.Command.Scratch[i])
		}
	}
	if n == 0 {
		p.addProse(nil, own(toneDim, "It has not changed any file on its target. What a script writes below its scratch folders is private and vanishes."))
	}
	f.page.replace(p)
}

// noteRead remembers which changes have been on the pane to their end: they need not be read again where they are decided on.
func (v *sessionView) noteRead(m *model) {
	f := v.files
	if v.pane != paneFiles || f.page.full {
		return
	}
	for _, at := range f.sections {
		if op := operationOf(&v.session, at.n); op != nil && op.Digest == at.digest && f.page.sawParagraphs(at.from, at.to) {
			(&operationView{op: *op, contents: f.contents}).remember(m, &v.session)
		}
	}
}

// change describes one change with its difference.
func (f *filesPane) change(p *page, file *journal.File) {
	for _, d := range file.Details() {
		if _, ok := d.Value.(journal.Content); !ok {
			describeDetail(p, &d)
			continue
		}
		c := f.contents.of(file, f.whole)
		switch {
		case !describeContent(p, d.Label, file, c):
		case f.isSide(f.width):
			f.beside(p, c.diff)
		default:
			describeDiff(p, c.diff)
		}
	}
	p.add(nil, nil)
}

// beside shows a difference in two columns, the old content on the left.
func (f *filesPane) beside(p *page, d diff.Diff) {
	column := max((f.width-1)/2, 9)
	for _, h := range d.Hunks {
		p.add(nil, hunkLine(h))
		for _, pair := range pairs(h.Lines) {
			left, right := columnRows(pair[0], column, toneRemoved), columnRows(pair[1], column, toneAdded)
			for i := range max(len(left), len(right)) {
				var l, r line
				if i < len(left) {
					l = left[i]
				}
				if i < len(right) {
					r = right[i]
				}
				p.add(nil, join(l, own(toneDim, render.Blanks(column-l.cells())+"│"), r))
			}
		}
	}
}

// pairs puts the lines of a hunk side by side: what stays beside itself, what is removed beside what is added for it.
func pairs(lines []diff.Line) [][2]*diff.Line {
	var all [][2]*diff.Line
	for i := 0; i < len(lines); {
		if lines[i].Kind == diff.Same {
			all = append(all, [2]*diff.Line{&lines[i], &lines[i]})
			i++
			continue
		}
		end := i
		for end < len(lines) && lines[end].Kind != diff.Same {
			end++
		}
		var old, added []*diff.Line
		for ; i < end; i++ {
			if lines[i].Kind == diff.Removed {
				old = append(old, &lines[i])
			} else {
				added = append(added, &lines[i])
			}
		}
		for k := range max(len(old), len(added)) {
			var pair [2]*diff.Line
			if k < len(old) {
				pair[0] = old[k]
			}
			if k < len(added) {
				pair[1] = added[k]
			}
			all = append(all, pair)
		}
	}
	return all
}

// columnRows is a line of a file in as many rows as its column needs.
func columnRows(l *diff.Line, width int, changed tone) []line {
	if l == nil {
		return nil
	}
	t, n, sign := tonePlain, l.New, " "
	switch l.Kind {
	case diff.Added:
		t, sign = changed, "+"
	case diff.Removed:
		t, n, sign = changed, l.Old, "-"
	case diff.Same:
		if changed == toneRemoved {
			n = l.Old
		}
	}
	gutter := format(t, "%5d %s ", n, sign)
	rest := line{{t, render.Block(l.Text)}}
	if l.Open {
		rest = append(slices.Clone(rest), span{toneDim, render.Own("  (no newline at the end)")})
	}
	var rows []line
	for {
		first, after := rest.split(max(width-gutter.cells(), 1))
		rows = append(rows, join(gutter, first))
		if len(after) == 0 {
			return rows
		}
		rest, gutter = after, own(toneMark, "      "+continued+" ")
	}
}
