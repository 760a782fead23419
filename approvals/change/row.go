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
		row.Text = render.Own("not shown, since what is there now was not kept: compare size and hash")
	case !ok:
	case d.Binary:
		row.Text = render.Own("no text, or too large to be shown: compare size and hash")
	default:
		row.Text, row.Tone = render.Line(d.Count()), journal.Faint
		return row, true
	}
	return row, false
}
