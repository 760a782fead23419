package tui

import (
	"slices"
	"strings"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// labelWidth is the width of the labels before an operation's details, in cells.
const labelWidth = 12

// describe shows all details of an operation but what came of it, which describeResult has. What names it exactly is folded into one
// row, unless it is asked for.
func describe(s *journal.Session, op *journal.Operation, proof bool, from *contents) *page {
	p := newPage()
	describeTo(p, s, op, from, layoutOf{proof: proof})
	p.addProse(nil, format(toneDim, "── end of operation %d ──", op.N))
	return p
}

// layoutOf is how an operation's details are laid out.
type layoutOf struct {
	proof bool // with all that names it exactly
	// above reports which operations stand in the same text by themselves, and who asks does at its start; nil where the operation
	// stands alone.
	above func(n int) bool
	// said are the rows that stand above already and count until another one does, by name: where and as whom.
	said map[string]string
}

// skips reports whether a detail is left out of a text of several operations: it is said once for all of them.
func (as layoutOf) skips(d *journal.Detail) bool {
	if as.above == nil || d.Scratch > 0 {
		return false
	}
	switch d.Name {
	case "asks":
		return true
	case "line":
		return !as.proof
	case "user", "cwd":
		var text strings.Builder
		for row := range d.Rows() {
			text.WriteString(row.Text.String())
		}
		same := as.said[d.Name] == text.String()
		as.said[d.Name] = text.String()
		return same
	}
	return false
}

// describeTo is describe as a part of a text.
func describeTo(p *page, s *journal.Session, op *journal.Operation, from *contents, as layoutOf) {
	var folded []journal.Detail
	for _, d := range s.Shown(op) {
		switch {
		case d.Section == journal.ResultSection, as.skips(&d):
		case d.Section == journal.ProofSection:
			folded = append(folded, d)
		default:
			describeDetails(p, []journal.Detail{d}, from)
		}
		if earlier, ok := d.Value.(journal.Earlier); ok {
			describeEarlier(p, s, slices.DeleteFunc(slices.Clone(earlier.N), func(n int) bool { return as.above != nil && as.above(n) }), from)
		}
	}
	if as.above != nil && !as.proof {
		return
	}
	if !as.proof {
		p.addProse(label("Details"), fold(folded))
	} else {
		describeDetails(p, folded, from)
	}
}

// fold is what names an operation exactly in one row.
func fold(details []journal.Detail) line {
	var parts []line
	for _, d := range details {
		switch v := d.Value.(type) {
		case journal.Path:
			parts = append(parts, join(own(toneDim, "runs "), shown(toneDim, string(v))))
		case journal.EnvChanges:
			parts = append(parts, own(toneDim, "environment unchanged"))
		case journal.Stdin:
			parts = append(parts, own(toneDim, "no input"))
		case journal.Environment:
			parts = append(parts, format(toneDim, "%d variables", len(v)))
		case journal.Digest:
			parts = append(parts, join(own(toneDim, "digest "), shown(toneDim, string(v)).fit(13)))
		}
	}
	var l line
	for i, part := range parts {
		if i > 0 {
			l = join(l, own(toneDim, " · "))
		}
		l = join(l, part)
	}
	return join(l, own(toneDim, ": d shows all of it"))
}

// describeDetails shows details, each difference of a file's content in its place.
func describeDetails(p *page, details []journal.Detail, from *contents) {
	for i := range details {
		d := &details[i]
		if v, ok := d.Value.(journal.Content); ok {
			if c := from.of(v.File, false); describeContent(p, d.Label, v.File, c) {
				describeDiff(p, c.diff)
			}
			continue
		}
		describeDetail(p, d)
	}
}

// describeDetail shows one detail, as far as there is room for it.
func describeDetail(p *page, d *journal.Detail) {
	for row := range d.Rows() {
		if describeRow(p, row); p.full {
			return
		}
	}
}

// describeRow shows one row of a detail.
func describeRow(p *page, row journal.Row) {
	p.put(paragraph{gutter: label(capital(row.Label)), text: line{{toneOf(row.Tone), row.Text}}, prose: row.Prose})
}

// toneOf is how a row that matters so much looks.
func toneOf(t journal.Tone) tone {
	switch t {
	case journal.Strong:
		return toneStrong
	case journal.Caution:
		return toneCaution
	case journal.Danger:
		return toneDanger
	case journal.Faint:
		return toneDim
	case journal.Plain:
	}
	return tonePlain
}

// capital writes a label as the labels of this screen are written; what has a number stays as it is.
func capital(name string) string {
	if name == "" || strings.ContainsAny(name, "0123456789") {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// warn warns of characters outside ASCII in the line before it.
func warn(p *page, untrusted string) {
	if warning, ok := render.Flag(untrusted); ok {
		p.add(label("  !"), line{{toneCaution, warning}})
	}
}

// describeResult shows what an operation that was started has written, and how it ended.
func describeResult(p *page, s *journal.Session, op *journal.Operation, o *transcript) {
	if o != nil {
		p.addProse(nil, own(toneStrong, "Output:"))
		for _, q := range o.page().paragraphs {
			p.put(q)
		}
	}
	for _, d := range s.Details(op) {
		if d.Section == journal.ResultSection {
			describeDetail(p, &d)
		}
	}
}

// label is the gutter before a detail.
func label(name string) line { return padded(toneDim, render.Line(name), labelWidth) }
