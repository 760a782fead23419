package shell

import (
	"errors"
	"strings"
	"testing"
)

// TestTextsThatCallTheParserDeepAreRefused: Go ends the process whose stack is too large, and the gateway itself reads texts to
// say where they go.
func TestTextsThatCallTheParserDeepAreRefused(t *testing.T) {
	for _, nested := range []struct{ before, unit, after string }{
		{"", "a|", "a"}, {"", "a|\n", "a"}, {"", "a&&", "a"}, {"", "a||\n\n", "a"}, {"", "a()", "{ :; }"}, {"", "a()\n", "{ :; }"}, {"", "a() ", "{ :; }"},
		{"echo $((", "!", "1))"}, {"echo $((", "~", "1))"}, {"echo $((", "- ", "1))"}, {"echo $((", "1?1:", "1))"}, {"echo $((", "a=", "1))"},
		{"echo $((", "1**", "1))"}, {"echo $((", "1\n+", "1))"}, {"echo $((", "1,", "1))"}, {"[[ ", "! ", "a ]]"}, {"[[ ", "a\n&& ", "a ]]"},
	} {
		text := nested.before + strings.Repeat(nested.unit, (MaxText-100)/len(nested.unit)) + nested.after
		_, err := Parse(text)
		var unsupported *Unsupported
		if !errors.As(err, &unsupported) {
			t.Errorf("%q again and again: %v", nested.unit, err)
		}
		if route, _, why := RouteOf(text); route != Whole || why == nil {
			t.Errorf("%q again and again goes to %v, %v", nested.unit, route, why)
		}
	}
	if Takes([]string{"bash", "-c", strings.Repeat("a|\n#x\n", MaxText/8) + "a"}) {
		t.Error("a text is taken that is longer than the gateway reads one")
	}
	if _, err := Parse(strings.Repeat("a=$((b + 1)) | cat && ! [ -e x-y ]\n", 20000)); err != nil {
		t.Errorf("a long script of short lines: %v", err)
	}
}

// TestTextsThatHideHowDeepTheyAreTakeNoTime: what closes in quotes closes nothing, and whoever reads a text looks at its parts more
// than once. So a line that the gateway reads must not cost it the square of its length.
func TestTextsThatHideHowDeepTheyAreTakeNoTime(t *testing.T) {
	for _, nested := range []struct{ before, unit, middle, after string }{
		{"", "( \\)\n", ":", ")"}, {"", "{ \\}\n", ":", "; }"}, {": ", "$( \\)\n", ":", ")"}, {"", "f() { \\}\n", ":", "; }"},
		{"set -e\n", "f() { \\}\n", ":", "; }"}, {"set -e\n", "( \\)\n", ":", ")"}, {": ", "\"$( \\)\n", ":", ")\""}, {"", "[[ $( \\)\n", ":", ") ]]"},
		{": ", "<( \\)\n", ":", ")"}, {"", "if \\fi\nthen ", ":", "\nfi"}, {"", "a | ( \\)\n", ":", ")"}, {": ", "${x:-\\}", "a", "}"},
	} {
		room := maxRouted - len(nested.before) - len(nested.middle)
		times := room / (len(nested.unit) + len(nested.after))
		text := nested.before + strings.Repeat(nested.unit, times) + nested.middle + strings.Repeat(nested.after, times)
		file, err := Parse(text)
		if err == nil {
			t.Errorf("%q again and again is read, as %d statements", nested.unit, len(file.Stmts))
		}
	}
	for _, flat := range []string{"a | ", "a && ", "a\n", "a & ", "( a ); ", "$(a) ", "f() { a; }; ", "[[ a ]]; "} {
		if file, err := Parse(strings.Repeat(flat, 4000) + "a"); err != nil {
			t.Errorf("%q four thousand times: %v %v", flat, file, err)
		}
	}
}
