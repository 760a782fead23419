package architecture

import (
	"strings"
	"testing"
)

// TestRowsOfTablesHaveAllTheirCells finds a row that a browser would show torn: a bar in a cell is written \|, in code too.
func TestRowsOfTablesHaveAllTheirCells(t *testing.T) {
	for _, from := range pages(t) {
		cells := 0 // of the table's head; 0 outside of one
		for line := range strings.Lines(prose(page(t, from))) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "|") {
				cells = 0
				continue
			}
			n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") - 1
			if cells == 0 {
				cells = n
			}
			if n != cells || !strings.HasSuffix(line, "|") {
				t.Errorf("%s: a row of a table with %d cells has %d: %s", from, cells, n, line)
			}
		}
	}
}
