package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"shannot-gateway/approvals/policy"
)

// longTexts are texts of about the greatest length that want much work of a judge.
func longTexts() map[string]string {
	fill := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < policy.MaxShell-len(format)-20; i++ {
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(format, "%n", fmt.Sprint(i)), "%m", fmt.Sprint(i+1)))
		}
		return b.String()
	}
	long := strings.Repeat("a", 500)
	return map[string]string{
		"ordinary":    fill("df -h | grep '^/dev' | sort -k5 2>/dev/null; "),
		"assignments": fill("a%n=$a%m\n"),
		"counters":    fill("i=$((i+%n))\n"),
		"hidden":      "cat " + fill("id_%n "),
		"globs":       "cat " + fill("/etc/a*%n "),
		"paths":       "cat " + strings.Repeat("/.ssh", policy.MaxShell/6),
		"a loop":      "for f in " + strings.Repeat("/"+long+" ", 60) + "; do cat " + strings.Repeat(`"$f$f$f" `, 3000) + "; done",
		"nested":      strings.Repeat("echo $(", 60) + "ls" + strings.Repeat(")", 60),
		"numbers":     fill("[ $(wc -l) -gt %n ]\n"),
		"awk":         "awk '" + fill("{print $%n}") + "'",
		"sed":         "sed '" + fill("s/a/%n/;") + "'",
		"find":        "find /etc " + fill("-name %n "),
		"braces":      fill("ls {a,b,c}%n\n"),
		"quotes":      fill(`echo "a"'b'$c "${d:-e}"` + "\n"),
	}
}

// TestLongTextsAreJudgedOrAsked would not end in time if the work grew faster than the text.
func TestLongTextsAreJudgedOrAsked(t *testing.T) {
	j := defaultJudge(t)
	for name, text := range longTexts() {
		if len(text) > policy.MaxShell {
			t.Errorf("%s is longer than the limit", name)
		}
		if d := j.Shell(text, policy.Context{}); d.Verdict == policy.Deny {
			t.Errorf("%s is %s: %s", name, d.Verdict, d.Reason)
		}
	}
	// What the effort does not reach is not allowed.
	filler := strings.Repeat("/etc/a* ", 300)
	for _, text := range []string{"cat " + filler + "/etc/shadow", "cat " + filler + "; cat /etc/sh*", "cat " + filler + "; for f in a b; do cat /etc/$f*; done"} {
		if d := j.Shell(text, policy.Context{}); d.Verdict != policy.Ask {
			t.Errorf("%.40s… is %s: %s", text, d.Verdict, d.Reason)
		}
	}
}

func BenchmarkLong(b *testing.B) {
	j := defaultJudge(b)
	for name, text := range longTexts() {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				j.Shell(text, policy.Context{})
			}
		})
	}
}
