package architecture

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scripts are the end-to-end scripts, which pages name without their folder.
const scripts = "cmd/shannot-gateway/testdata/script"

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	testName = regexp.MustCompile(`^((?:Test|Fuzz|Benchmark)[A-Z]\w*)(…?)$`)
)

// testFuncs are the names of all tests, fuzz targets and benchmarks.
func testFuncs(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestTestsThatPagesNameExist keeps the proofs that pages name: a test that has another name by now proves nothing to a reader.
func TestTestsThatPagesNameExist(t *testing.T) {
	all := testFuncs(t)
	names := slices.Sorted(maps.Keys(all))
	for _, from := range pages(t) {
		for _, s := range spans(prose(page(t, from))) {
			if strings.HasSuffix(s, ".txtar") && s != ".txtar" && !strings.Contains(s, "*") {
				if _, err := os.Stat(filepath.Join(root, scripts, s)); err != nil {
					t.Errorf("%s names the script %s, which is not there", from, s)
				}
				continue
			}
			m := testName.FindStringSubmatch(s)
			if m == nil || all[m[1]] {
				continue
			}
			begins := func(name string) bool { return strings.HasPrefix(name, m[1]) }
			if m[2] == "" || !slices.ContainsFunc(names, begins) {
				t.Errorf("%s names %s, which is no test", from, s)
			}
		}
	}
}
