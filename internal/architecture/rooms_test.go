package architecture

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// room is a row of the table in ARCHITECTURE.md.
type room struct {
	prefixes []string // of packages; the first is the room's name
	imports  []string // names of rooms
	all      bool     // it may import every room further down
	floor    int      // the row, from the top
}

var span = regexp.MustCompile("`([^`]+)`")

// spans are the texts in backquotes.
func spans(s string) (found []string) {
	for _, m := range span.FindAllStringSubmatch(s, -1) {
		found = append(found, m[1])
	}
	return found
}

// rooms reads the table.
func rooms(t *testing.T) (all []room) {
	t.Helper()
	_, table, found := strings.Cut(page(t, "ARCHITECTURE.md"), "| --- | --- | --- | --- |\n")
	if !found {
		t.Fatal("ARCHITECTURE.md has no table of rooms")
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			break
		}
		r := room{
			prefixes: append(spans(cells[1]), spans(cells[2])...),
			imports:  spans(cells[3]),
			all:      strings.TrimSpace(cells[3]) == "everything below",
			floor:    len(all),
		}
		if len(spans(cells[1])) != 1 || (len(r.imports) == 0) != (r.all || strings.TrimSpace(cells[3]) == "nothing") {
			t.Fatalf("a row that cannot be read: %s", line)
		}
		all = append(all, r)
	}
	if len(all) < 10 {
		t.Fatalf("the table has only %d rooms", len(all))
	}
	return all
}

// name is the room's first prefix.
func (r *room) name() string { return r.prefixes[0] }

// roomOf finds the room with the longest prefix of a package's path, nil for none.
func roomOf(all []room, pkg string) (found *room) {
	longest := -1
	for i := range all {
		for _, p := range all[i].prefixes {
			if (pkg == p || strings.HasPrefix(pkg, p+"/")) && len(p) > longest {
				found, longest = &all[i], len(p)
			}
		}
	}
	return found
}

// mayImport reports whether the table lets packages of a room import those of another one.
func (r *room) mayImport(other *room) bool {
	return r == other || r.all && r.floor < other.floor || slices.Contains(r.imports, other.name())
}

func TestTableOfRoomsHasNoArrowUp(t *testing.T) {
	all := rooms(t)
	for _, r := range all {
		for _, name := range r.imports {
			other := slices.IndexFunc(all, func(o room) bool { return o.name() == name })
			switch {
			case other < 0:
				t.Errorf("%s may import %s, which is no room", r.name(), name)
			case other <= r.floor:
				t.Errorf("%s may import %s, which does not stand below it", r.name(), name)
			}
		}
	}
}

func TestPackagesImportOnlyWhatTheTableOfRoomsSays(t *testing.T) {
	all := rooms(t)
	for _, s := range sources(t) {
		from := roomOf(all, s.folder())
		if from == nil {
			t.Errorf("%s is in no room of ARCHITECTURE.md: add a row for its package", s.name)
			continue
		}
		for _, pkg := range s.imports() {
			if to := roomOf(all, pkg); to != nil && !from.mayImport(to) {
				t.Errorf("%s imports %s, which the room %s may not. Where the arrow goes down and should be there, add it to ARCHITECTURE.md",
					s.name, pkg, from.name())
			}
		}
	}
}

// TestTableOfRoomsListsNoArrowThatNobodyUses keeps the table as narrow as the code: an arrow that may be drawn again
// unnoticed, and a package that is not there any more, leave it.
func TestTableOfRoomsListsNoArrowThatNobodyUses(t *testing.T) {
	all := rooms(t)
	for _, unused := range unusedArrows(all, sources(t)) {
		t.Errorf("ARCHITECTURE.md: %s: remove it from the table", unused)
	}
}

// unusedArrows says which rooms list an import that none of their files has, and which packages are listed without a file.
func unusedArrows(all []room, files []source) (unused []string) {
	used, there := map[[2]string]bool{}, map[string]bool{}
	for _, s := range files {
		from := roomOf(all, s.folder())
		if from == nil {
			continue
		}
		for _, p := range from.prefixes {
			there[p] = there[p] || s.folder() == p || strings.HasPrefix(s.folder(), p+"/")
		}
		for _, pkg := range s.imports() {
			if to := roomOf(all, pkg); to != nil {
				used[[2]string{from.name(), to.name()}] = true
			}
		}
	}
	for _, r := range all {
		for _, to := range r.imports {
			if !used[[2]string{r.name(), to}] {
				unused = append(unused, "no file of "+r.name()+" imports "+to)
			}
		}
		for _, p := range r.prefixes {
			if !there[p] {
				unused = append(unused, "there is no package "+p)
			}
		}
	}
	return unused
}

func TestUnusedArrowsAreFound(t *testing.T) {
	top := room{prefixes: []string{"top", "beside"}, imports: []string{"middle", "bottom"}}
	all := []room{top, {prefixes: []string{"middle"}}, {prefixes: []string{"bottom"}}}
	files := []source{
		{"top/a.go", &ast.File{Imports: []*ast.ImportSpec{{Path: &ast.BasicLit{Value: `"` + module + `middle/part"`}}}}},
		{"middle/part/b.go", &ast.File{}}, {"bottom/c.go", &ast.File{}},
	}
	want := []string{"no file of top imports bottom", "there is no package beside"}
	if got := unusedArrows(all, files); !slices.Equal(got, want) {
		t.Errorf("unused are %q, want %q", got, want)
	}
}

// fileName is what a page may call a file or a folder of the repository: at least two parts.
var fileName = regexp.MustCompile(`^(cmd|gateway|approvals|sandbox|targets|vfs|hostkeys|internal|examples|docs|\.ci)(/[A-Za-z0-9_.-]+)+$`)

func TestFilesThatPagesNameExist(t *testing.T) {
	for _, from := range pages(t) {
		for _, name := range spans(page(t, from)) {
			if !fileName.MatchString(name) {
				continue
			}
			_, err := os.Stat(filepath.Join(root, name))
			_, attempt := os.Stat(filepath.Join(root, "sandbox/native/testdata/escape", name+".py")) // pages name those without folder
			if err != nil && attempt != nil {
				t.Errorf("%s names %s, which is not there", from, name)
			}
		}
	}
}
