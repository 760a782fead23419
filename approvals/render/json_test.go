package render

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestJSONShowsNoTerminalAnythingAndMeansTheSame(t *testing.T) {
	for _, text := range []string{
		"plain <b> & \"quoted\" \\ back", "\x1b[2J\x1b]0;title\a", "del \x7f", "c1 \u009b31m \u0085", "bidi \u202e\u2066x\u2069",
		"lines \u2028\u2029", "soft\u00adhyphen zero\u200bwidth \ufeff", "tags \U000e0041\U000e007f", "private \ue000 \U000f0000",
		"Hebrew \u05d0 Arabic \u0627", "marks a\u0301\u0302\u0303", "mäßig naïve 漢字 ✓ 🎉", "noncharacter \uffff", "",
	} {
		var out bytes.Buffer
		if err := JSON(&out, map[string]any{"text": text, "list": []string{text}}); err != nil {
			t.Fatal(err)
		}
		for i, r := range out.String() {
			if r == '\n' && i == out.Len()-1 {
				continue
			}
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Mn) || !isShown(r) {
				t.Errorf("%q: %U is shown in %q", text, r, out.String())
			}
		}
		var back map[string]any
		if err := json.Unmarshal(out.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if want := (map[string]any{"text": text, "list": []any{text}}); !reflect.DeepEqual(back, want) {
			t.Errorf("%q came back as %q", text, back)
		}
	}
	var out bytes.Buffer
	if err := JSON(&out, "naïve ✓ <&>"); err != nil || out.String() != "\"naïve ✓ <&>\"\n" {
		t.Errorf("what is shown as itself became %q, %v", out.String(), err)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("\u009b\u202e\x7f𐀀 \xff\xc2")
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		if err := JSON(&out, text); err != nil {
			t.Fatal(err)
		}
		shown, ok := strings.CutSuffix(out.String(), "\n")
		if !ok || strings.IndexFunc(shown, func(r rune) bool { return !isShown(r) || isMark(r) }) >= 0 {
			t.Errorf("%q is shown as %q", text, shown)
		}
		var back string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && back != string([]rune(text)) {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	})
}
