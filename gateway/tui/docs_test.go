package tui

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestDocumentationShowsEveryPicture keeps docs/approving.md and the pictures together: each picture that it names is one
// that the scenes draw, and the other way round.
func TestDocumentationShowsEveryPicture(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "approving.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`pictures/([a-z-]+)\.svg`).FindAllSubmatch(text, -1) {
		named[string(m[1])] = true
	}
	drawn := map[string]bool{}
	for _, s := range scenes {
		if s.picture != (Size{}) {
			drawn[s.name] = true
		}
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "pictures", "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f[:len(f)-len(".svg")]); !drawn[name] {
			t.Errorf("%s is drawn by no scene", f)
		}
	}
	for name := range named {
		if !drawn[name] {
			t.Errorf("docs/approving.md shows %s, which no scene draws", name)
		}
	}
	for name := range drawn {
		if !named[name] {
			t.Errorf("docs/approving.md does not show %s", name)
		}
	}
}
