package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// reasoned is a comment that silences named rules of gosec, with the reason.
var reasoned = regexp.MustCompile(`#nosec G[0-9]{3}( G[0-9]{3})* -- \S`)

// TestEverySilencedRuleHasAReason holds that whoever silences a rule of gosec names it and says why.
func TestEverySilencedRuleHasAReason(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "nosec_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for n, line := range strings.Split(string(text), "\n") {
			if at := strings.Index(line, "#nosec"); at >= 0 {
				if found++; !reasoned.MatchString(line[at:]) {
					t.Errorf("%s:%d: a rule is silenced without its name and a reason: %s", name, n+1, strings.TrimSpace(line[at:]))
				}
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d comments looked at: %v", found, err)
	}
}
