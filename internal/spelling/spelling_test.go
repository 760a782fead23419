package spelling

import (
	"strings"
	"testing"
)

func TestMeantIsAWordThatWasMistyped(t *testing.T) {
	known := []string{"list", "show", "wait", "watch", "approve", "grants", "revoke", "run", "rollback", "targets"}
	for _, tt := range []struct{ word, want string }{
		{"lst", "list"}, {"lsit", "list"}, {"aprove", "approve"}, {"approved", "approve"}, {"target", "targets"}, {"revok", "revoke"},
		{"sho", "show"}, {"roll", "rollback"}, {"app", "approve"},
		{"ls", ""}, {"df", ""}, {"uname", ""}, {"wa", ""}, {"", ""}, {"x", ""}, {"list", ""},
		{strings.Repeat("list", 1<<16), ""},
	} {
		if got := Meant(tt.word, known); got != tt.want {
			t.Errorf("%.40q is taken for %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestNearestIsStableAndBounded(t *testing.T) {
	if got := Nearest("b", []string{"c", "a"}); got != "a" {
		t.Errorf("of two at the same distance %q is taken", got)
	}
	if got := Nearest(strings.Repeat("x", 1<<20), []string{"one", "two"}); got != "one" {
		t.Errorf("a long word is nearest to %q", got)
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("without known words there is %q", got)
	}
}
