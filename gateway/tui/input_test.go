package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/policy"
)

// decode feeds all bytes and lets time pass at the end.
func decode(s string) []string {
	var d decoder
	var got []string
	name := func(msgs []tea.Msg) {
		for _, m := range msgs {
			switch m := m.(type) {
			case tea.KeyPressMsg:
				got = append(got, m.String())
			case tea.PasteMsg:
				got = append(got, "paste:"+m.Content)
			}
		}
	}
	for i := range len(s) {
		name(d.next(s[i]))
	}
	name(d.expire())
	return got
}

func TestKeysAreDecoded(t *testing.T) {
	for in, want := range map[string][]string{
		"aG ?":                        {"a", "G", "space", "?"},
		"\r\n\t\x7f\x08":              {"enter", "enter", "tab", "backspace", "backspace"},
		"\x03\x15\x17":                {"ctrl+c", "ctrl+u", "ctrl+w"},
		"\x1b":                        {"esc"},
		"\x1b\x1b":                    {"esc", "esc"},
		"\x1b[A\x1b[B\x1bOC\x1bOD":    {"up", "down", "right", "left"},
		"\x1b[1;2A":                   {"up"},
		"\x1b[5~\x1b[6~\x1b[H\x1b[4~": {"pgup", "pgdown", "home", "end"},
		"é漢":                          {"é", "漢"},
		"\xff\xc3a\x00":               {"a"},
		"\u0085\u009b":                nil,
		// Alt and a key is not the key.
		"\x1ba\x1by": nil,
		// What a terminal reports never becomes a key.
		"\x1b]11;rgb:0000/0000/0000\x07a":          {"a"},
		"\x1b]0;ay\x1b\\b":                         {"b"},
		"\x1bP1+r5463\x1b\\c":                      {"c"},
		"\x1b[?2026;2$yd":                          {"d"},
		"\x1b[<0;10;10Me":                          {"e"},
		"\x1b[" + strings.Repeat("1;", 999) + "yz": {"z"},
		// A paste is one message, whatever is in it.
		"\x1b[200~ay\x1b[A\x03\x1b[201~q": {"paste:ay\x1b[A\x03", "q"},
		"\x1b[200~\x1b[20\x1b[201~":       {"paste:\x1b[20"},
		"\x1b[200~never ends y":           nil,
	} {
		if got := decode(in); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPasteIsBounded(t *testing.T) {
	got := decode("\x1b[200~" + strings.Repeat("x", 1<<20) + "\x1b[201~")
	if len(got) != 1 || len(got[0]) > maxPaste+len("paste:") {
		t.Fatalf("%d messages", len(got))
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range []string{"a", "\x1b[200~x\x1b[201~", "\x1b[1;2A", "\x1b]0;x\x07", "\xe6\xbc\xa2", "\x1bOA\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d decoder
		var msgs []tea.Msg
		for i := range len(s) {
			msgs = append(msgs, d.next(s[i])...)
			if len(d.params) > maxParam || len(d.partial) > 4 || len(d.paste) > maxPaste {
				t.Fatal("the decoder keeps too much")
			}
		}
		for _, m := range append(msgs, d.expire()...) {
			k, ok := m.(tea.KeyPressMsg)
			if ok && strings.ContainsFunc(k.Text, unicode.IsControl) {
				t.Fatalf("a key with the text %q", k.Text)
			}
		}
	})
}

func FuzzReasonIsBoundedAndPrintable(f *testing.F) {
	f.Add("no", "\x1b[2J\r\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		v := field{limit: maxReason}
		v.insert(a)
		v.insert(b)
		for _, k := range []string{"\x17", "\x7f"} {
			var d decoder
			for _, m := range d.next(k[0]) {
				v.key(m.(tea.KeyPressMsg))
			}
		}
		if len(v.text) > maxReason || strings.ContainsFunc(v.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", v.text)
		}
	})
}

func TestMouseIsOptionalAndNeverDecides(t *testing.T) {
	f := newFake()
	for i := range 6 {
		f.sessions = append(f.sessions, held(fmt.Sprintf("aaaa000%d", i), policy.Caution, "touch", fmt.Sprintf("/srv/%d", i)))
	}
	s := openScreen(t, f, alice, 80, 24, "")
	s.until("6 wait")
	s.press("M")
	s.shows("The mouse scrolls")
	if !s.model.mouse {
		t.Fatal("the mouse is off")
	}
	s.press("\x1b[<65;10;10M", "\x1b[<65;10;10M", "\x1b[<64;10;10M")
	s.shows("▸ caution touch /srv/1")
	s.press("\x1b[<0;10;7M") // rows count from 1: two for the head, then two for each session
	s.shows("▸ caution touch /srv/2")
	s.press("\x1b[<0;10;7m", "\x1b[<0;10;20M", "\x1b[<0;10;1M", "\x1b[<3;1;1M", "\x1b[<0;0;0M", "\x1b[<0;99999999;1M", "\x1b[<;;M", "\x1b[<0;1M")
	s.shows("▸ caution touch /srv/2")
	s.press("\x1b[<0;10;8M")
	s.until("WAITS", "WAITS")
	s.press("\x1b[<0;10;4M")
	s.until("All of it has been shown")
	s.press("a")
	for y := 1; y <= 24; y++ {
		s.press(fmt.Sprintf("\x1b[<0;10;%dM", y))
	}
	s.press("\x1b[<64;1;1M", "\x1b[<65;1;1M")
	s.shows("y yes")
	// An old report, whose bytes look like keys.
	s.press("\x1b[Myyy")
	s.shows("y yes")
	if len(f.approved) > 0 {
		t.Fatal("the mouse decided")
	}
	s.press("y")
	s.until(": approved")
}
