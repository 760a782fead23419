package architecture

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// pages are the repository's pages, from its root.
func pages(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "ARCHITECTURE.md"}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		t.Fatal("docs has no pages", err)
	}
	for _, d := range docs {
		names = append(names, "docs/"+filepath.Base(d))
	}
	return names
}

// prose is a page without what stands in blocks of code.
func prose(text string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		} else if !fenced && !strings.HasPrefix(line, "    ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

var heading = regexp.MustCompile(`(?m)^#{1,6} (.*)$`)

// anchors are the names of a page's headings, as GitHub makes them: in lower case, without punctuation, a hyphen for each space.
func anchors(text string) (found []string) {
	for _, m := range heading.FindAllStringSubmatch(prose(text), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(m[1]) {
			switch {
			case r == ' ' || r == '-':
				b.WriteByte('-')
			case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				b.WriteRune(r)
			}
		}
		name := b.String()
		for n := 1; slices.Contains(found, name); n++ {
			name = fmt.Sprintf("%s-%d", b.String(), n)
		}
		found = append(found, name)
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// broken says what is wrong with a link of a page, "" for nothing. Links to other hosts are not looked at.
func broken(t *testing.T, from, to string) string {
	t.Helper()
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return ""
	}
	name, anchor, _ := strings.Cut(to, "#")
	target := from
	if name != "" {
		target = path.Join(path.Dir(from), name)
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "there is no " + target
	}
	if anchor != "" && !slices.Contains(anchors(page(t, target)), anchor) {
		return target + " has no heading of that name"
	}
	return ""
}

func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	for _, from := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(page(t, from)), -1) {
			if why := broken(t, from, m[1]); why != "" {
				t.Errorf("%s links to %s: %s", from, m[1], why)
			}
		}
	}
}

func TestREADMELeadsToEveryPage(t *testing.T) {
	readme := page(t, "README.md")
	for _, name := range pages(t) {
		if name != "README.md" && !strings.Contains(readme, "]("+name) {
			t.Errorf("README.md has no link to %s", name)
		}
	}
}

func TestAnchorsAreGitHubs(t *testing.T) {
	text := "# What `[files]` hides, and why\n\n    # no heading\n\n## Twice\n## Twice\n"
	if got, want := anchors(text), []string{"what-files-hides-and-why", "twice", "twice-1"}; !slices.Equal(got, want) {
		t.Errorf("anchors are %q, want %q", got, want)
	}
	if why := broken(t, "README.md", "docs/files.md#nothing-of-that-name"); why == "" {
		t.Error("a link to a heading that is not there passes")
	}
}
