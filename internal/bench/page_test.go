package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const performancePage = "../../docs/performance.md"

// The page shows what the benchmark prints: each row, in order, with what is compared.
func TestThePageShowsEveryRow(t *testing.T) {
	page, err := os.ReadFile(performancePage)
	if err != nil {
		t.Fatal(err)
	}
	from, to, err := findResult(page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(page[from:to]), "\n"), "\n")
	if len(lines) != 2+len(rows) {
		t.Fatalf("the page has %d lines of a result, want the machine, a head and %d rows; bring it up to date with -page", len(lines), len(rows))
	}
	for i, r := range rows {
		line := strings.TrimSpace(lines[2+i])
		if !strings.HasPrefix(line, r.name+"  ") || !strings.HasSuffix(line, "  "+r.about) {
			t.Errorf("row %d of the page is %q, want %q about %q", i+1, line, r.name, r.about)
		}
	}
}

// These are what a user feels; each is in the benchmark under its name.
func TestRowsAreWhatAUserFeels(t *testing.T) {
	var names []string
	for _, r := range rows {
		if slices.Contains(names, r.name) || r.about == "" || r.run == nil {
			t.Errorf("the row %q is there twice, or is empty", r.name)
		}
		names = append(names, r.name)
	}
	for _, want := range []string{"hello", "hello shared", "df shared", "50 at once", "walk", "read", "proc", "scp", "approval", "memory", "start"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no row %q", want)
		}
	}
}

func TestAResultReplacesTheOneBefore(t *testing.T) {
	page := "# Page\n\n" + command + "    old machine\n    old row\n\nAnd more.\n"
	got, err := replaceResult([]byte(page), []byte("new machine  \na  1\nb  2\n"))
	if want := "# Page\n\n" + command + "    new machine\n    a  1\n    b  2\n\nAnd more.\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, page := range []string{"# Page\n", command + "No block.\n"} {
		if _, err := replaceResult([]byte(page), []byte("a\n")); err == nil {
			t.Errorf("%q has a place for a result", page)
		}
	}
}
