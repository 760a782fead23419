package command

import (
	"strings"

	"charm.land/lipgloss/v2"
	lipglosstable "charm.land/lipgloss/v2/table"

	"shannot-gateway/approvals/render"
)

// The columns of list.
const (
	sessionColumn = iota
	ageColumn
	statusColumn
	identityColumn
	targetColumn
	whatColumn
	listColumns
)

// listRow is what list says of one session.
type listRow [listColumns]render.Text

var listTitles = listRow{
	render.Own("SESSION"), render.Own("AGE"), render.Own("STATUS"), render.Own("IDENTITY"), render.Own("TARGET"), render.Own("WHAT"),
}

// plainWidths are the columns, in terminal cells, for who has no terminal: always the same, 80 in all.
var plainWidths = [listColumns]int{8, 4, 11, 12, 10, 30}

const (
	// minTable and maxTable are between which widths a table follows its terminal, in cells.
	minTable, maxTable = 40, 300
	// minName is as narrow as the names of identities and targets get, and minWhat what is left for the last column before
	// a column of names is left out.
	minName, minWhat = 8, 20
	// columnGap parts two columns.
	columnGap = 1
)

// listTable lays rows out in columns by display width, each cell cut with a visible mark where it has to be. width is the
// terminal's, in cells, 0 for none. A session's id, age and status are never cut. No line ends with a blank.
func listTable(rows []listRow, width int) string {
	widths := plainWidths
	if width > 0 {
		widths = fittedWidths(rows, min(max(width, minTable), maxTable))
	}
	t := lipglosstable.New().Wrap(false).Border(lipgloss.Border{}).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderHeader(false).BorderColumn(false).BorderRow(false)
	var styles []lipgloss.Style
	for i, w := range widths {
		switch {
		case i == whatColumn:
			styles = append(styles, lipgloss.NewStyle().Width(w))
		case w > 0:
			styles = append(styles, lipgloss.NewStyle().Width(w+columnGap).PaddingRight(columnGap))
		}
	}
	t.StyleFunc(func(_, col int) lipgloss.Style { return styles[col] })
	t.Headers(fitted(listTitles, widths)...)
	for _, row := range rows {
		t.Row(fitted(row, widths)...)
	}
	var b strings.Builder
	for line := range strings.SplitSeq(t.Render(), "\n") {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// fitted are a row's cells in the columns that are shown.
func fitted(row listRow, widths [listColumns]int) []string {
	var cells []string
	for i, cell := range row {
		if widths[i] > 0 {
			fit, _ := render.Fit(cell, widths[i])
			cells = append(cells, fit.String())
		}
	}
	return cells
}

// fittedWidths are the widths of columns that fill a terminal, 0 for one that is left out. Names have at most a quarter each of
// what ids, ages and statuses leave.
func fittedWidths(rows []listRow, total int) (widths [listColumns]int) {
	for i, title := range listTitles {
		widths[i] = render.Width(title)
		for _, row := range rows {
			widths[i] = max(widths[i], min(render.Width(row[i]), maxTable))
		}
	}
	room := total - widths[sessionColumn] - widths[ageColumn] - widths[statusColumn] - 3*columnGap
	for _, name := range []int{identityColumn, targetColumn} {
		widths[name] = min(widths[name], max(room/4, minName))
	}
	left := func() int { return room - widths[identityColumn] - widths[targetColumn] - 2*columnGap }
	for _, name := range []int{targetColumn, identityColumn} {
		if left() < minWhat {
			widths[name] = -columnGap // it takes no gap either
		}
	}
	widths[whatColumn] = max(left(), 1)
	for i := range widths {
		widths[i] = max(widths[i], 0)
	}
	return widths
}
