package diff

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func text(d Diff) string {
	if d.Binary {
		return "binary"
	}
	return d.String()
}

func TestCount(t *testing.T) {
	for want, d := range map[string]Diff{
		"1 line added, 0 removed": {Added: 1}, "0 lines added, 1 removed": {Removed: 1}, "2 lines added, 3 removed": {Added: 2, Removed: 3},
	} {
		if got := d.Count(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"equal":           {"a\n", "a\n", ""},
		"both empty":      {"", "", ""},
		"new":             {"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		"emptied":         {"a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"},
		"one line":        {"a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		"last newline":    {"a\nb", "a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"},
		"open new":        {"", "a", "@@ -0,0 +1,1 @@\n+a\n\\ No newline at end of file\n"},
		"carriage return": {"a\r\n", "a\n", "@@ -1,1 +1,1 @@\n-a\r\n+a\n"},
		"NUL":             {"a\n", "a\x00", "binary"},
		"not UTF-8":       {"\xff", "a", "binary"},
		"two hunks": {"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "x\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\ny\n",
			"@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -9,4 +9,4 @@\n 9\n 10\n 11\n-12\n+y\n"},
	} {
		if got := text(Compare([]byte(c.before), []byte(c.after), Context)); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", name, got, c.want)
		}
	}
	whole := text(Compare([]byte(strings.Repeat("s\n", 20)+"a\n"), []byte(strings.Repeat("s\n", 20)+"b\n"), -1))
	if strings.Count(whole, " s\n") != 20 {
		t.Errorf("whole context:\n%s", whole)
	}
	if !Compare(make([]byte, MaxText+1), nil, 3).Binary {
		t.Error("too large a content was taken for text")
	}
}

// put puts both contents together from a diff with whole context.
func put(d Diff) (before, after string) {
	var old, new strings.Builder
	for _, h := range d.Hunks {
		for _, l := range h.Lines {
			end := "\n"
			if l.Open {
				end = ""
			}
			if l.Kind != Added {
				old.WriteString(l.Text + end)
			}
			if l.Kind != Removed {
				new.WriteString(l.Text + end)
			}
		}
	}
	return old.String(), new.String()
}

func TestManyLinesAreComparedInOnePass(t *testing.T) {
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	same := lines(maxLines, "line %d\n")
	for name, c := range map[string]struct{ before, after, want string }{
		"one changed":     {same + "x\n" + same, same + "y\n" + same, "-x\n+y\n"},
		"one added":       {same + same, same + "y\n" + same, "+y\n"},
		"one removed":     {same + "x\n" + same, same + same, "-x\n"},
		"a longer line":   {same + "x\n" + same, same + "xx\n" + same, "-x\n+xx\n"},
		"no last newline": {same + "x", same, "-x\n\\ No newline at end of file\n"},
		"at the start":    {same, "y\n" + same, "+y\n"},
		"repeated":        {strings.Repeat("\n", maxLines), strings.Repeat("\n", maxLines+1), "+\n"},
		"equal":           {same + same, same + same, ""},
	} {
		if got := Compare([]byte(c.before), []byte(c.after), 0).String(); strings.Join(slices.DeleteFunc(strings.SplitAfter(got, "\n"), func(l string) bool { return strings.HasPrefix(l, "@@") }), "") != c.want {
			t.Errorf("%s:\n%.200s", name, got)
		}
		if old, new := put(Compare([]byte(c.before), []byte(c.after), -1)); c.before != c.after && (old != c.before || new != c.after) {
			t.Errorf("%s: the diff does not make the contents", name)
		}
	}
}

// FuzzCompare puts the new content together from a diff with whole context, and the old one.
func FuzzCompare(f *testing.F) {
	f.Add("a\nb\n", "a\nc")
	f.Add("", "x")
	f.Add("a\n\n\nb", "\n\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		d := Compare([]byte(before), []byte(after), -1)
		if d.Binary {
			if IsText([]byte(before)) && IsText([]byte(after)) {
				t.Fatal("two texts are binary")
			}
			return
		}
		if before == after {
			if len(d.Hunks) > 0 {
				t.Fatalf("equal contents differ: %s", text(d))
			}
			return
		}
		if old, new := put(d); old != before || new != after {
			t.Errorf("the diff makes %q and %q of %q and %q", old, new, before, after)
		}
	})
}
