package journal

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of docs/journal.md anew")

// page is where the tables are shown, generated what their part of it begins with.
const (
	page      = "../../docs/journal.md"
	generated = "<!-- The rest is generated: go test ./approvals/journal -run Documented -update -->\n"
)

func TestTablesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, have, found := strings.Cut(string(text), generated)
	if !found {
		t.Fatalf("%s has no line %q", page, generated)
	}
	want := document(t)
	if *update {
		if err := os.WriteFile(page, []byte(before+generated+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s does not show the tables as they are: write it with go test ./approvals/journal -run Documented -update", page)
	}
}

// meanings are the comments of the constants of a type, by their values.
func meanings(t *testing.T, file, of string) map[string]string {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, d := range parsed.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			c, _ := s.(*ast.ValueSpec)
			if name, ok := c.Type.(*ast.Ident); !ok || name.Name != of {
				continue
			}
			value, err := strconv.Unquote(c.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[value] = strings.TrimSpace(c.Comment.Text())
		}
	}
	return found
}

// document is the generated part of the page.
func document(t *testing.T) string {
	var b strings.Builder
	line := func(cells ...string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	head := func(title string, cells ...string) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		line(cells...)
		line(strings.Split(strings.Repeat("---\n", len(cells)-1)+"---", "\n")...)
	}
	events := meanings(t, "event.go", "Occurrence")
	head("States of operations", "State", "Meaning", "Recorded", "Not recorded")
	states := meanings(t, "state.go", "State")
	for _, s := range orderedStates {
		line(code(string(s)), states[string(s)], codes(shapes[s].must), codes(shapes[s].never))
	}
	head("Transitions of operations", "Event", "Meaning", "From", "To", "Only when", "The event says", "Written")
	for _, r := range operationTable {
		when := ""
		if r.when != nil {
			when = r.when.words
		}
		line(code(string(r.what)), events[string(r.what)], codes(r.from), code(string(r.to)), when, says(r.carries, r.may), codes(r.sets))
	}
	head("Statuses of sessions", "Status", "Meaning", "Recorded", "Not recorded")
	statuses := meanings(t, "session.go", "Status")
	for _, s := range slices.Concat(open, finished, []Status{StatusRolledBack, StatusPlanned}) {
		line(code(string(s)), statuses[string(s)], codes(statusShapes[s].must), codes(statusShapes[s].never))
	}
	head("Transitions of sessions", "Event", "Meaning", "From", "To", "Only when", "The event says", "Written")
	for _, r := range sessionTable {
		line(code(string(r.what)), events[string(r.what)], codes(r.from), codes(r.to), r.whenWords, says(r.carries, r.may), codes(r.sets))
	}
	return b.String()
}

// orderedStates are the states in the order in which an operation comes to them.
var orderedStates = []State{
	StateNew, StateWaiting, StateApproved, StateRunning, StateDone, StateDenied, StateRejected, StateExpired, StateCancelled, StateConflict, StateFailed, StateUnknown, StatePlanned,
}

// code is a name as the page shows it. Facts in words stay words.
func code(s string) string {
	switch {
	case s == "":
		return "(new)"
	case strings.HasPrefix(s, "a ") || strings.HasPrefix(s, "an "):
		return s
	}
	return "`" + s + "`"
}

func codes[T ~string](all []T) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = code(string(s))
	}
	return strings.Join(out, ", ")
}

// says lists what an event must say, and what it may.
func says(must, may []string) string {
	out := codes(must)
	if len(may) > 0 {
		if out != "" {
			out += "; "
		}
		out += "perhaps " + codes(may)
	}
	return out
}

func TestEveryStateAndEventIsDocumented(t *testing.T) {
	for _, s := range orderedStates {
		if _, ok := shapes[s]; !ok {
			t.Errorf("the state %s has no shape", s)
		}
	}
	if len(orderedStates) != len(shapes) {
		t.Errorf("%d states are shown, there are %d", len(orderedStates), len(shapes))
	}
	for what, meaning := range meanings(t, "event.go", "Occurrence") {
		if meaning == "" {
			t.Errorf("what %q means is not said", what)
		}
	}
	for s, meaning := range meanings(t, "state.go", "State") {
		if meaning == "" {
			t.Errorf("what %q means is not said", s)
		}
	}
	operations, sessions := occurrences()
	if all := meanings(t, "event.go", "Occurrence"); len(all) != len(operations)+len(sessions) {
		t.Errorf("%d events are declared, and the tables have %d", len(all), len(operations)+len(sessions))
	}
}
