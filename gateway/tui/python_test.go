package tui

import (
	"strings"
	"testing"

	"shannot-gateway/approvals/render"
)

// paintedAs writes a program's tones as letters: k for a keyword, s for a string, # for a comment, . for the rest.
func paintedAs(tones []tone) string {
	var b strings.Builder
	for _, t := range tones {
		b.WriteByte(map[tone]byte{tonePlain: '.', toneKeyword: 'k', toneString: 's', toneComment: '#'}[t])
	}
	return b.String()
}

func TestColoursFollowPythonsOwnRules(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{`import os # x`, `kkkkkk....###`},
		{`imports = "a" 'b'`, `..........sss.sss`},
		{`x = 0xif if 1else 2`, `.........kk........`},
		{`r"\" # "; f()`, `ssssssss.....`},
		{`b'\'#' #`, `ssssss.#`},
		{"'''a\n#'#''' #", `sssssssssss.#`},
		{"'a\nif", `ss.kk`},
		{"'a\\\nif'", `sssssss`},
		{"'a\\\r\nif'", `sssssss` + `s`},
		{"# a\rif", `###.kk`},
		// A string in a field of a formatted string is inside the outer one, whatever its quotes.
		{`f"{x["#"]}"; if`, `sss..sss.ss..kk`},
		{`f"{x['#']:{y}#}" if`, `sss..sss.ss.ssss.kk`},
		{`f"{{#}}{1}"`, `ssssssss.ss`},
		{`f"{a:#}{b!r:>{w}}" #`, `sss.ssss...sss.sss.#`},
		{`f"\{if}"`, `sssskkss`},
		{`f"\N{NUMBER SIGN}" #`, `ssssssssssssssssss.#`},
		{`rf"\N{if}"`, `sssssskkss`},
		{`f'''{
# x
y}'''`, `sssss.###..ssss`},
		{`u8"x"`, `..sss`},
		{`"ü" #`, `ssss.#`},
		{"\"\\", "ss"},
		{"f\"{", "sss"},
		{"f\"{(}\"#", "sss..ss"}, // broken: the quote opens a string inside the field
	} {
		if got := paintedAs(colourPython(test.src)); got != test.want {
			t.Errorf("%q\ngot  %s\nwant %s", test.src, got, test.want)
		}
	}
}

func TestColouredTextIsTheRenderedText(t *testing.T) {
	for name, text := range attacks {
		tones := make([]tone, len(text))
		for i := range tones {
			tones[i] = tone(i / 3 % 5)
		}
		if got, want := toned(text, tones).plain(), render.Line(text).String(); got != want {
			t.Errorf("%s: coloured %q, rendered %q", name, got, want)
		}
	}
}

func FuzzColourPython(f *testing.F) {
	for _, s := range []string{`f"{x["#"]}"; if`, "'''a\n#'#''' #", `rf"\N{if}"`, "x = '\u202e\xff' # \x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tones := colourPython(src)
		if len(tones) != len(src) {
			t.Fatalf("%d tones for %d bytes", len(tones), len(src))
		}
		for line := range strings.SplitSeq(src, "\n") {
			l := toned(line, tones[:len(line)])
			if got, want := l.plain(), render.Line(line).String(); got != want {
				t.Fatalf("coloured %q, rendered %q", got, want)
			}
			tones = tones[min(len(line)+1, len(tones)):]
		}
	})
}
