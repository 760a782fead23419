package change

import (
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// ContentRow says what is known of the content of a change, from what Diff returned. differs reports whether there is a
// difference to show below it. The row's text is "" where a change has nothing to do with content.
func ContentRow(label string, f *journal.File, d diff.Diff, ok bool, err error) (row journal.Row, differs bool) {
	row = journal.Row{Label: label, Tone: journal.Caution, Prose: true}
	switch {
	case err != nil:
		row.Text, row.Tone = render.Format("it cannot be shown: %s", err), journal.Danger
	case !ok && f.Op == journal.Write:
		row.Text, row.Tone = render.Own("NOT shown, since what is there now was not kept: compare size and hash"), journal.Danger
	case !ok:
	case d.Binary:
		row.Text, row.Tone = unshown(d.Sample), journal.Danger
	default:
		row.Text, row.Tone = render.Line(d.Count()), journal.Faint
		return row, true
	}
	return row, false
}

// unshown says what is known of a content that is not shown.
func unshown(s *diff.Sample) render.Text {
	if s == nil {
		return render.Own("NOT shown: no text, or too large: compare size and hash")
	}
	text := render.Format("NOT shown: %s, %d bytes, begins %s", s.Type, s.Size, render.Bytes(s.Head))
	for i, in := range s.Strings {
		if i == 0 {
			text = text.With("; strings in it: %s", render.Argv([]string{in}))
		} else {
			text = text.With(" %s", render.Argv([]string{in}))
		}
	}
	return text
}
