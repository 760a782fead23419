package policy_test

import (
	"testing"

	"shannot-gateway/approvals/policy"
)

// TestConstantIsKnownOnlyWhereItIsCertain: a value that another place may change must not decide.
func TestConstantIsKnownOnlyWhereItIsCertain(t *testing.T) {
	j := defaultJudge(t)
	tests := []struct {
		text string
		want policy.Verdict
	}{
		{`x=nginx; systemctl status "$x"`, policy.Allow},
		{`x=nginx; systemctl status $x`, policy.Allow},
		{`x=nginx; if true; then systemctl status ${x}; fi`, policy.Allow},
		{`x=nginx; (systemctl status "$x")`, policy.Allow},
		{"x=nginx\nfor i in 1 2; do systemctl is-active $x; done", policy.Allow},
		{`f=/etc/hosts; sort "$f"`, policy.Allow},
		{`a=1; b=$a; [ $b -eq 1 ]`, policy.Allow},
		{`n=5; echo $((n + 1))`, policy.Allow},
		{`n=$(nproc); echo $((n * 2))`, policy.Allow},
		{`n=$(nproc); [ $n -gt 2 ] && uptime`, policy.Allow},
		{`. /etc/os-release; echo "$ID"`, policy.Allow},

		{`x=-o; sort "$x" y`, policy.Ask},
		{`x=restart; systemctl $x nginx`, policy.Ask},
		{`x=nginx; x=-H; systemctl status "$x"`, policy.Ask},
		{`x=a; for x in -o; do sort "$x" y; done`, policy.Ask},
		{`x=a; read x; sort "$x"`, policy.Ask},
		{`x=a; command read x; sort "$x"`, policy.Ask},
		{`x=a; read $v; sort "$x"`, policy.Ask},
		{`if false; then x=a; fi; sort "$x"`, policy.Ask},
		{`false && x=a; sort "$x"`, policy.Ask},
		{`x=a & sort "$x"`, policy.Ask},
		{`(x=a); sort "$x"`, policy.Ask},
		{`x=a | true; sort "$x"`, policy.Ask},
		{`sort "$x"; x=a`, policy.Ask},
		{`x=a sort "$x"`, policy.Ask},
		{`x=a; sh -c 'sort "$x"'`, policy.Ask},
		{`x='-o y'; sort $x z`, policy.Ask},
		{`x='*'; sort $x`, policy.Ask},
		{`x=; sort $x -o`, policy.Ask},
		{`x=a; . /etc/os-release; sort "$x"`, policy.Ask},
		{`ID=a; . /etc/os-release; sort "$ID"`, policy.Ask},
		{`x=a; x+=-o; sort "$x"`, policy.Ask},
		{`x=~; sort $x`, policy.Ask},
		{`x=$(cat y); sort "$x"`, policy.Ask},
		{`n=$(cat y); echo $((n))`, policy.Ask},
		{`n='a[$(touch x)]'; echo $((n))`, policy.Ask},
		{`n=5; echo $((n = 3))`, policy.Ask},
		{`n=5; echo $((n++))`, policy.Ask},
		{`n=$(wc -l < y)-o; sort $n z`, policy.Ask},
		{`n=$(nproc); sort "$n-o" y`, policy.Ask},
		{`sort "$(wc -l < y)-o" z`, policy.Ask},
		{`sort $(nproc)-oy`, policy.Ask},
		{`[ $(nproc)$y -eq 1 ]`, policy.Ask},
		{`[ $(grep -c x a b) -gt 0 ]`, policy.Ask},
		{`[ $(grep -cr x a) -gt 0 ]`, policy.Ask},
		{`[ $(wc -l a) -gt 0 ]`, policy.Ask},
		{`[ $(stat -c %n a) -gt 0 ]`, policy.Ask},
		{`[ $(date +%s%N) -gt 0 ]`, policy.Ask},
		{`echo $(( $(cat x) ))`, policy.Ask},
		{`[ $(sed p | id -u; cat x) = 1 ]`, policy.Ask},
		{`for s in a -b; do sort $s; done`, policy.Ask},
		{`for s in "a b"; do sort $s; done`, policy.Ask},
		{`for s in a; do s=-o; sort $s x; done`, policy.Ask},
		{`PATH=/srv; ls`, policy.Ask},
		{`PS4=x; ls`, policy.Ask},
		{`TMPDIR=/srv; ls`, policy.Ask},
		{`for i in {1..100000}; do ls; done`, policy.Ask},
		{`for i in {a..c}; do ls; done`, policy.Ask},
		{`{1..3}`, policy.Ask},
		{`[[ -f a && touch ]]`, policy.Ask},
		{`[[ -f a && ( -f b ) ]]`, policy.Ask},
		{`[[ -f a && -v x ]]`, policy.Ask},
		{`[[ -f a || ! touch ]]`, policy.Ask},
		{`awk -v x="$y" -f z`, policy.Ask},
		{`awk -v "$x" 1`, policy.Ask},
		{`awk -v x=$y 1`, policy.Ask},
		{`awk -v ARGV="$x" 1`, policy.Ask},
		{`awk '{ print > "/dev/stderr" "x" }' y`, policy.Ask},
		{`awk '{ print > "/dev/stderrx" }' y`, policy.Ask},
		{`awk '{ print > "/dev/stdout" ; print > "x" }' y`, policy.Ask},
		{`ls > /dev/stdin`, policy.Ask},
		{`. /etc/os-release.d/x`, policy.Ask},
		{`. ./etc/os-release`, policy.Ask},
	}
	for _, tt := range tests {
		if d := j.Shell(tt.text, policy.Context{}); d.Verdict != tt.want {
			t.Errorf("%s is %s (%s), want %s", tt.text, d.Verdict, d.Reason, tt.want)
		}
	}
}
