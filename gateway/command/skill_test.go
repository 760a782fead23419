package command

import (
	"regexp"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
)

func TestASkillIsShortAndSaysWhatHelpSays(t *testing.T) {
	h := newHostileHouse(t)
	text, stderr := h.call(t.Context(), hostileAgent, "skill")
	if n := strings.Count(text, "\n"); n > 150 || n < 40 || stderr != "" {
		t.Errorf("%d lines, and %q", n, stderr)
	}
	if !strings.HasPrefix(text, "---\nname: ") || strings.Count(text, "\n---\n") != 1 {
		t.Error("it has no front matter")
	}
	if !strings.Contains(text, pageOf(journal.Agent)) || strings.Contains(text, "{{") {
		t.Error("it does not say what help says")
	}
	// Whatever it tells an agent to type is a verb that agents have, or a command.
	for _, m := range regexp.MustCompile(`ssh (?:-[tT] )?HOST ([a-z]+)`).FindAllStringSubmatch(skillText, -1) {
		switch name := m[1]; name {
		case "df", "python", "approve":
		default:
			if r, ok := find(name); !ok || r.roles[0] != journal.Agent {
				t.Errorf("it tells to use %s", name)
			}
		}
	}
}
