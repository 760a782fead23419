package command

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/clipperhouse/displaywidth"
	"pgregory.net/rapid"

	"shannot-gateway/approvals/render"
)

var update = flag.Bool("update", false, "write the golden tables, and the examples of docs/json.md, anew")

// listedRows have what makes tables go wrong: wide characters, combining marks, escapes, long names and words.
var listedRows = []listRow{
	{render.Own("k3v9x2"), render.Own("4s"), render.Own("held"), render.Own("claude"), render.Own("local"), render.Own("systemctl restart nginx")},
	{render.Own("p8q2m1"), render.Own("12m"), render.Own("parked"), render.Own("claude-on-the-build-machine"), render.Own("prod-web-frankfurt-1"), render.Line("apt-get install -y " + strings.Repeat("package ", 40))},
	{render.Own("a1b2c3"), render.Own("3h"), render.Own("running"), render.Line("エージェント"), render.Own("東京"), render.Line("echo 日本語のテキストを全角で表示する、とても長い行です。")},
	{render.Own("d4e5f6"), render.Own("99d"), render.Own("rolled_back"), render.Line("e\u0301le\u0300ve"), render.Own("local"), render.Line("printf 'cafe\u0301' > /etc/motd")},
	{render.Own("g7h8i9"), render.Own("now"), render.Own("timeout"), render.Line("a\x1b[31mb"), render.Own("local"), render.Line("rm \x1b[2J\u202e\n -rf")},
	{render.Own("j1k2l3"), render.Own("1s"), render.Own("done"), render.Own("c"), render.Own("t"), render.Text{}},
}

func TestListIsATableOfTheTerminalsWidth(t *testing.T) {
	for _, width := range []int{0, 40, 60, 80, 120, 200, 300} {
		name := filepath.Join("testdata", "list", fmt.Sprintf("%d.txt", width))
		got := listTable(listedRows, width)
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil || got != string(want) {
			t.Errorf("%d columns (%v), -update writes it anew:\n%s\nwant\n%s", width, err, got, want)
		}
	}
}

// Whatever stands in a table: a line for each session, no wider than the terminal, columns that begin at the same cell, ids whole.
func TestATableFitsItsTerminal(t *testing.T) {
	text := rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune("ab 日本\u0301\u200d\u202e\x1b\n\\👩🇩️é…")), rapid.Rune()), 0, 60, -1)
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(0, 400).Draw(t, "width")
		var rows []listRow
		for range rapid.IntRange(0, 8).Draw(t, "rows") {
			rows = append(rows, listRow{
				sessionColumn: render.Line(rapid.StringMatching("[a-z0-9]{6,8}").Draw(t, "id")), ageColumn: render.Own("12s"), statusColumn: render.Own("rolled_back"),
				identityColumn: render.Line(text.Draw(t, "identity")), targetColumn: render.Line(text.Draw(t, "target")), whatColumn: render.Line(text.Draw(t, "what")),
			})
		}
		lines := strings.Split(strings.TrimSuffix(listTable(rows, width), "\n"), "\n")
		if len(lines) != len(rows)+1 {
			t.Fatalf("%d lines for %d sessions: %q", len(lines), len(rows), lines)
		}
		most := 80
		if width > 0 {
			most = min(max(width, minTable), maxTable)
		}
		for i, line := range lines {
			if got := cellsOf(line); got > most && lipgloss.Width(line) > most {
				t.Fatalf("%d cells in a terminal of %d: %q", got, width, line)
			}
			if i > 0 && !slices.Contains(strings.Fields(line), rows[i-1][sessionColumn].String()) {
				t.Fatalf("the id %s is cut: %q", rows[i-1][sessionColumn], line)
			}
		}
	})
}

// cellsOf is a line's width in terminal cells, character by character.
func cellsOf(line string) (n int) {
	for _, r := range line {
		n += displaywidth.Rune(r)
	}
	return n
}
