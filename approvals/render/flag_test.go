package render_test

import (
	"strings"
	"testing"
	"unicode"

	"shannot-gateway/approvals/render"
)

func TestFlagNamesScriptsAndRepeatsWordsInASCII(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"cat /etc/passwd", ""},
		{"c\u0430t", `non-ASCII characters, scripts mixed in a name (Latin, Cyrillic): c\u0430t`},
		{"\u0441\u0430\u0442 x", `non-ASCII characters (Cyrillic): \u0441\u0430\u0442`},
		{"ping \u0440\u0430\u0443.example /srv/\u0430", `non-ASCII characters (Cyrillic): \u0440\u0430\u0443.example /srv/\u0430`},
		{"ls /srv/caf\u00e9 \u03b1", `non-ASCII characters (Latin, Greek): /srv/caf\xc3\xa9 \u03b1`},
		{"a\u200bb \xff", `non-ASCII characters: a\u200bb \xff`},
		{"x \U000e0072\\", `non-ASCII characters: \U000e0072\\`},
		{strings.Repeat("é ", 20), `non-ASCII characters (Latin): ` + strings.Repeat(`\xc3\xa9 `, 8) + "and 12 more words"},
	}
	for _, tt := range tests {
		tt.want = strings.ReplaceAll(tt.want, `\xc3\xa9`, `\u00e9`)
		got, ok := render.Flag(tt.in)
		if got.String() != tt.want || ok != (tt.want != "") {
			t.Errorf("Flag(%+q) = %q, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}

func FuzzFlag(f *testing.F) {
	for _, s := range []string{"c\u0430t", "\u0441at\u202e \xff\\", "漢字 x", "\u009b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ascii := render.ASCII(s).String()
		if unescape(t, ascii) != s {
			t.Fatalf("%q cannot be told from %q", s, ascii)
		}
		flag, ok := render.Flag(s)
		for _, text := range []string{ascii, flag.String()} {
			if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
				t.Fatalf("not printable ASCII: %q", text)
			}
		}
		if ok == !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Fatalf("Flag(%q) = %q, %v", s, flag, ok)
		}
	})
}
