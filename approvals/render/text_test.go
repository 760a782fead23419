package render_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/render"
)

type signs rune

type level string

type hostileStringer struct{}

func (hostileStringer) String() string { return "a\x1b[2J" }

func TestFormatRendersWhatIsNotRendered(t *testing.T) {
	tests := []struct {
		got  render.Text
		want string
	}{
		{render.Format("%s of %d", render.Line("a\x1b"), 3), `a\x1b of 3`},
		{render.Format("%s", "a\x1b[2J\u202e"), `a\x1b[2J\u202e`},
		{render.Format("%s", level("\x1b")), `\x1b`},
		{render.Format("%v", errors.New("no\nsuch")), `no\nsuch`},
		{render.Format("%s", hostileStringer{}), `a\x1b[2J`},
		{render.Format("%v", []string{"\x1b"}), `[\x1b]`},
		{render.Format("%s", []byte("\x9b")), `\x9b`},
		{render.Format("%c%c", signs('+'), '\x1b'), `+\x1b`},
		{render.Format("%04o %5d|%-4d|%.1f %t", 0o644, 42, 7, 1.25, true), "0644    42|7   |1.2 true"},
		{render.Format("%v", 90*time.Second), "1m30s"},
		{render.Format("%s…", render.Own("own")), "own…"},
		{render.Format("%%"), "%"},
	}
	for _, tt := range tests {
		if tt.got.String() != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzFormatPassesNothingOn(f *testing.F) {
	f.Add("a\x1b[2J", int32(0x1b))
	f.Fuzz(func(t *testing.T, s string, r rune) {
		got := render.Format("%s %v %q %d %c %x", s, errors.New(s), s, r, r, s).String()
		if strings.ContainsFunc(got, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
			t.Errorf("%q, %#x give %q", s, r, got)
		}
	})
}

func TestTextThatWasKeptIsTakenAsItIsOrRendered(t *testing.T) {
	for in, want := range map[string]string{
		`ls \x1b`: `ls \x1b`, "ls \x1b": `ls \x1b`, `a\\b`: `a\\b`, "": "", "\\\u202e": `\\\u202e`,
	} {
		if got := render.Stored(in).String(); got != want {
			t.Errorf("Stored(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTextIsAStringOfJSON(t *testing.T) {
	var kept struct{ T render.Text }
	b, err := json.Marshal(struct{ T render.Text }{render.Line("a\x1b")})
	if err != nil || string(b) != `{"T":"a\\x1b"}` {
		t.Fatalf("%s, %v", b, err)
	}
	if err := json.Unmarshal(b, &kept); err != nil || kept.T != render.Line("a\x1b") {
		t.Errorf("%v, %v", kept.T, err)
	}
	if err := json.Unmarshal([]byte(`{"T":"\u001b"}`), &kept); err != nil || kept.T.String() != `\x1b` {
		t.Errorf("what nobody rendered is taken as %q, %v", kept.T, err)
	}
}

func TestCutPartsNoCharacter(t *testing.T) {
	text := render.Own("aé漢")
	for n := -1; n <= text.Len()+1; n++ {
		first, rest := text.Cut(n)
		if first.String()+rest.String() != text.String() || strings.ContainsRune(first.String(), '\ufffd') || strings.ContainsRune(rest.String(), '\ufffd') {
			t.Errorf("Cut(%d) gives %q and %q", n, first, rest)
		}
	}
}
