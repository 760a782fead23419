package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fileInDoc is what a package's comment calls a file of its folder, or of another one by its path.
var fileInDoc = regexp.MustCompile(`[A-Za-z0-9_/]+\.(go|toml|py|md|c)\b`)

// TestEveryPackageSaysWhatItIsFor holds the comments at package clauses: each package has one, in one file, and the files that
// it sends a reader to exist.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	said := map[string][]string{}
	for _, s := range sources(t) {
		folder := s.folder()
		if said[folder] == nil {
			said[folder] = []string{}
		}
		if s.file.Doc == nil {
			continue
		}
		text := s.file.Doc.Text()
		if strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ") {
			if !strings.HasSuffix(s.name, "_other.go") { // the same package where the system lacks what it needs
				said[folder] = append(said[folder], s.name)
			}
			for _, name := range fileInDoc.FindAllString(text, -1) {
				_, here := os.Stat(filepath.Join(root, folder, name))
				_, testdata := os.Stat(filepath.Join(root, folder, "../testdata", name))
				_, there := os.Stat(filepath.Join(root, name))
				if here != nil && there != nil && testdata != nil {
					t.Errorf("%s: the comment of the package names %s, which is not there", s.name, name)
				}
			}
		}
	}
	for folder, names := range said {
		if len(names) != 1 {
			t.Errorf("package %s has %d comments: %v", folder, len(names), names)
		}
	}
}
