package render_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"shannot-gateway/approvals/render"
)

// unescape undoes the escapes of rendered text. It is the proof that two inputs never render the same.
func unescape(t testing.TB, s string) string {
	t.Helper()
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != '\\' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
		if digits == 0 {
			at := strings.IndexByte(`abtnvfr\'`, s[1])
			if at < 0 {
				t.Fatalf("unknown escape at %q", s)
			}
			b.WriteByte("\a\b\t\n\v\f\r\\'"[at])
			s = s[2:]
			continue
		}
		v, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err != nil {
			t.Fatalf("escape at %q: %v", s, err)
		}
		if digits == 2 {
			b.WriteByte(byte(v))
		} else {
			b.WriteRune(rune(v))
		}
		s = s[2+digits:]
	}
	return b.String()
}

// splitArgv undoes Argv.
func splitArgv(t testing.TB, s string) []string {
	t.Helper()
	var argv []string
	for len(s) > 0 {
		end, body := 0, ""
		if s[0] == '\'' {
			for end = 1; s[end] != '\''; end++ {
				if s[end] == '\\' {
					end++
				}
			}
			body, s = s[1:end], s[end+1:]
		} else {
			if end = strings.IndexByte(s, ' '); end < 0 {
				end = len(s)
			}
			body, s = s[:end], s[end:]
		}
		argv = append(argv, unescape(t, body))
		s = strings.TrimPrefix(s, " ")
	}
	return argv
}

// checkSafe fails if s holds anything that a terminal would act on, hide or reorder.
func checkSafe(t testing.TB, s string, newlines bool) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r == '\n' && newlines {
			continue
		}
		if r != ' ' && (!unicode.IsPrint(r) || unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Fatalf("%U stands raw in %q", r, s)
		}
	}
}

func TestEscapes(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"df -h /", "df -h /"},
		{`a\b`, `a\\b`},
		{"\a\b\t\n\v\f\r", `\a\b\t\n\v\f\r`},
		{"\x00\x1b\x7f", `\x00\x1b\x7f`},
		{"\u0080\u009b\u009f", `\xc2\x80\xc2\x9b\xc2\x9f`},
		{"\x9b", `\x9b`},
		{"\xff\xfe", `\xff\xfe`},
		{"\xed\xa0\x80", `\xed\xa0\x80`},
		{"ls\u00a0-l\u3000\u2003", `ls\u00a0-l\u3000\u2003`},
		{"a\u00adb\u061c\u200e\u2060\u2028\u2029", `a\u00adb\u061c\u200e\u2060\u2028\u2029`},
		{"x \U000e0001\U000e0072", `x \U000e0001\U000e0072`},
		{"x \ufe0f\U000e0100", `x \ufe0f\U000e0100`},
		{"x \ue000\U000f0000\u0378\ufffe", `x \ue000\U000f0000\u0378\ufffe`},
		{"x \u115f\u3164\uffa0\u2800\ufffd", `x \u115f\u3164\uffa0\u2800\ufffd`},
		{"\u0441at /etc/p\u0430sswd", `\u0441at /etc/p\u0430sswd`},
		{"\u0441\u0430\u0442 x", `\u0441\u0430\u0442 x`},
		{"echo привет", "echo привет"},
		{"echo; \u0441\u0430\u0442", `echo; \u0441\u0430\u0442`},
		{"ls /\u0435\u0442\u0441", `ls /\u0435\u0442\u0441`},
		{"ping \u0440\u0430\u0443.example", `ping \u0440\u0430\u0443.example`},
		{"cat \uff0fetc\u2215x \u2044", `cat \uff0fetc\u2215x \u2044`},
		{"rm \u2013rf \u2212r \u2010f", `rm \u2013rf \u2212r \u2010f`},
		{"x \U0001d41c\u0261\u0131", `x \U0001d41c\u0261\u0131`},
		{"ls café über", "ls café über"},
		{"x \u05d0\u0628", `x \u05d0\u0628`},
		{"x \u0301a", `x \u0301a`},
		{"x и\u0301\u0301\u0301\u0301", "x и\u0301\u0301\\u0301\\u0301"},
		{"x …+5", `x \u2026+5`},
	}
	for _, tt := range tests {
		if got := render.Line(tt.in).String(); got != tt.want {
			t.Errorf("Line(%+q) = %s, want %s", tt.in, got, tt.want)
		}
		if got := unescape(t, render.Line(tt.in).String()); got != tt.in {
			t.Errorf("Line(%+q) undone is %+q", tt.in, got)
		}
	}
}

func TestBlockKeepsNewlinesAndNothingElse(t *testing.T) {
	if got := render.Block("ls\n\n\trm\r\n\u0441\u0430").String(); got != "ls\n\n\\trm\\r\n\\u0441\\u0430" {
		t.Errorf("got %q", got)
	}
}

func TestBlockShowsBlanksAtTheEndsOfLines(t *testing.T) {
	if got, want := render.Block("ls  \nx\\ \n \n"), "ls \\x20\nx\\\\\\x20\n\\x20\n"; got.String() != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestArgvShowsTheBoundsOfEveryArgument(t *testing.T) {
	tests := []struct {
		argv []string
		want string
	}{
		{nil, ""},
		{[]string{""}, "''"},
		{[]string{"ls", "-l /tmp", "", "x y"}, "ls '-l /tmp' '' 'x y'"},
		{[]string{"ls", "-l", "/tmp"}, "ls -l /tmp"},
		{[]string{"echo", "it's", `a\'b`}, `echo 'it\'s' 'a\\\'b'`},
		{[]string{"c\u0430t", "x\ny"}, `'c\u0430t' 'x\ny'`},
		{[]string{"ls", "' '"}, `ls '\' \''`},
	}
	for _, tt := range tests {
		if got := render.Argv(tt.argv).String(); got != tt.want {
			t.Errorf("Argv(%q) = %s, want %s", tt.argv, got, tt.want)
		}
	}
}

func TestFitCutsByCellsAndSaysSo(t *testing.T) {
	tests := []struct {
		in    render.Words
		width int
		want  string
		cut   bool
	}{
		{"df -h", 5, "df -h", false},
		{"df -h", 0, "", true},
		{"", 0, "", false},
		{"abcdefghij", 8, "abcd…+6", true},
		{"abcdefghij", 1, "…", true},
		{`ab\x1bcdefghijk`, 7, "ab…+13", true},
		{"漢字漢字漢字", 8, "漢字…+4", true},
		{"one\ntwo", 80, "one…+4", true},
	}
	for _, tt := range tests {
		got, cut := render.Fit(render.Own(tt.in), tt.width)
		if cut != tt.cut || render.Width(got) > tt.width || cut && tt.width > 0 && !strings.ContainsRune(got.String(), render.Mark) {
			t.Errorf("Fit(%q, %d) = %q, %v", tt.in, tt.width, got, cut)
		}
		if got.String() != tt.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

// display is a line of either corpus.
type display struct {
	ID       string          `json:"id"`
	MustShow json.RawMessage `json:"must_show"`
	NotRaw   []string        `json:"must_not_raw"`
}

func TestCorpus(t *testing.T) {
	for _, name := range []string{"testdata/display-visible.jsonl", "testdata/display-commands-visible.jsonl"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := render.Serve(bytes.NewReader(text), &out); err != nil {
			t.Fatal(err)
		}
		answers := strings.Split(strings.TrimSpace(out.String()), "\n")
		for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			checkCase(t, line, answers[i])
		}
	}
}

func checkCase(t *testing.T, line, answer string) {
	t.Helper()
	var c display
	var a struct{ ID, Shown, Error string }
	if err := json.Unmarshal([]byte(line), &c); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.ID != c.ID || a.Error != "" {
		t.Fatalf("%s: answer %s: %v", c.ID, answer, err)
	}
	checkSafe(t, a.Shown, true)
	var all []string
	var any [][]string
	if json.Unmarshal(c.MustShow, &all) == nil {
		for _, s := range all {
			any = append(any, []string{s})
		}
	} else if err := json.Unmarshal(c.MustShow, &any); err != nil {
		t.Fatal(err)
	}
	for _, spellings := range any {
		found := false
		for _, s := range spellings {
			found = found || strings.Contains(a.Shown, s)
		}
		if !found {
			t.Errorf("%s: none of %q in %s", c.ID, spellings, a.Shown)
		}
	}
	for _, raw := range c.NotRaw {
		if hex, ok := strings.CutPrefix(raw, "U+"); ok {
			r, _ := strconv.ParseInt(hex, 16, 32)
			if strings.ContainsRune(a.Shown, rune(r)) {
				t.Errorf("%s: %s stands raw", c.ID, raw)
			}
		}
	}
}

func TestServeAnswersBadLinesAndGoesOn(t *testing.T) {
	in := strings.Join([]string{
		`{`, `{"id":1}`, `{"id":2,"text":"a","shell":"b"}`, `{"id":3,"b64":"!"}`, `{"id":4,"text":7}`, "\xff",
		`{"id":5,"text":"` + strings.Repeat("a", render.MaxLine) + `"}`, ``, `{"id":"6","text":"ok"}`,
	}, "\n")
	var out bytes.Buffer
	if err := render.Serve(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(&out)
	n := 0
	last := ""
	for ; sc.Scan(); n++ {
		last = sc.Text()
		if n < 7 && !strings.Contains(last, `"error":`) {
			t.Errorf("answer %d is %s", n, last)
		}
	}
	if n != 8 || last != `{"id":"6","shown":"ok"}` {
		t.Errorf("%d answers, last %s", n, last)
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{"ls \x1b[1m", "\u0441at\u202e", "a\\x1b", "\xff\x9b\u009b", "a\n\r\nb", "漢字\u0301\u0301\u0301", "it's"} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, s, second string) {
		line, block := render.Line(s).String(), render.Block(s).String()
		checkSafe(t, line, false)
		checkSafe(t, block, true)
		if strings.Count(block, "\n") != strings.Count(s, "\n") {
			t.Fatalf("line breaks of %q became %q", s, block)
		}
		if unescape(t, line) != s || unescape(t, block) != s {
			t.Fatalf("%q cannot be told from %q", s, line)
		}
		argv := render.Argv([]string{s, second}).String()
		checkSafe(t, argv, false)
		if got := splitArgv(t, argv); len(got) != 2 || got[0] != s || got[1] != second {
			t.Fatalf("Argv(%q, %q) = %s reads as %q", s, second, argv, got)
		}
		for width := range 12 {
			if cut, _ := render.Fit(render.Line(s), width); render.Width(cut) > width {
				t.Fatalf("Fit(%q, %d) = %q", line, width, cut)
			}
		}
	})
}
