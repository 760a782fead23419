package transcript_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"shannot-gateway/approvals/transcript"
)

// read is the transcript of what a terminal was sent: "~" before a line that was edited, "#" before one of the gateway's own, "…"
// behind one that goes on.
func read(parts ...string) []string {
	r := transcript.New()
	for _, p := range parts {
		if note, ok := strings.CutPrefix(p, "#"); ok {
			r.Note(note)
			continue
		}
		_, _ = r.Write([]byte(p))
	}
	lines, _ := r.Lines()
	var out []string
	for _, l := range lines {
		text := l.Text
		if l.Edited {
			text = "~" + text
		}
		if l.Note {
			text = "#" + text
		}
		if l.Continues {
			text += "…"
		}
		out = append(out, text)
	}
	return out
}

func TestTranscript(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		want  []string
	}{
		{"nothing", nil, nil},
		{"lines", []string{"one\r\ntwo\r\n"}, []string{"one", "two"}},
		{"an empty line between", []string{"one\r\n\r\ntwo"}, []string{"one", "", "two"}},
		{"typed a key at a time", []string{">>> ", "p", "r", "i", "n", "t", "\r\n"}, []string{">>> print"}},
		{"a row drawn anew with every key", []string{"\r>>> p\x1b[K", "\r>>> pr\x1b[K", "\r>>> pri\x1b[K\r\n"}, []string{">>> pri"}},
		{"a typing error", []string{">>> prx\b \bint\r\n"}, []string{"~>>> print"}},
		{"a line of the history in place of another", []string{">>> one\x1b[3D\x1b[Ktwo\r\n"}, []string{"~>>> two"}},
		{"a letter put in", []string{"ac\b\x1b[@b\r\n"}, []string{"abc"}},
		{"a letter taken out", []string{"abxc\b\b\x1b[P\r\n"}, []string{"~abc"}},
		{"a cursor in the row above", []string{"if x:\r\n  y\x1b[A\r\x1b[3Cz\x1b[B\r\n"}, []string{"~if z:", "  y"}},
		{"colours, titles and questions to the terminal", []string{"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\x1b[6n\x1b[?2004h\r\n"}, []string{"red"}},
		{"concealed text is shown", []string{"\x1b[8mrm\x1b[0m\r\n"}, []string{"rm"}},
		{"a spinner", []string{"10%\r20%\r100%\r\n"}, []string{"~100%"}},
		{"a tab", []string{"a\tb\r\n"}, []string{"a       b"}},
		{"a wide character and a combining one", []string{"漢e\u0301\b\b\bx\r\n"}, []string{"~x e\u0301"}},
		{"a character many times", []string{"-\x1b[4b\r\n"}, []string{"-----"}},
		{"the gateway's own line while a command waits", []string{">>> run\r\n", "#operation 1 waits", "ok\r\n"}, []string{">>> run", "#operation 1 waits", "ok"}},
		{"the gateway's own line in a prompt", []string{">>> ru", "#stops", "n\r\n"}, []string{"#stops", ">>> run"}},
		{"a saved cursor", []string{"ab\x1b7cd\x1b8\r\n"}, []string{"abcd"}},
		{"bytes that are not UTF-8", []string{"a\xff\xfeb\r\n"}, []string{"a\ufffd\ufffdb"}},

		// Attacks: what was on the screen is hidden from whoever reads the transcript.
		{"a screen that is cleared", []string{"rm it\r\n\x1b[H\x1b[2Jls\r\n"}, []string{"rm it", "ls"}},
		{"a screen that is reset", []string{"rm it\r\n\x1bcls\r\n"}, []string{"rm it", "ls"}},
		{"another screen", []string{"\x1b[?1049hrm it\x1b[?1049lls\r\n"}, []string{"rm it", "ls"}},
		{"a cursor that is sent home", []string{"rm it\x1b[Hls   \r\n"}, []string{"rm it", "ls"}},
		{"a row that is erased", []string{"rm it\r\x1b[2Kls\r\n"}, []string{"~ls"}},
		{"a row that is erased and left", []string{"rm it\r\x1b[2K\r\n"}, []string{"~"}},
		{"rows above that are erased", []string{"one\r\nrm it\r\n\x1b[2A\x1b[J"}, []string{"~"}},
		{"rows that are deleted", []string{"rm it\r\nls\r\n\x1b[2A\x1b[M"}, []string{"~ls"}},
		{"a letter at a time", []string{"rm\b \b\b \bls\r\n"}, []string{"~ls"}},
		{"behind the edge", []string{"\x1b[9999Cx\x1b[9999Cy\r\n"}, []string{"~" + strings.Repeat(" ", 1023) + "y"}},
		{"the beginning of a character before text", []string{"\xe4rm it\xf0\x9f\r\nls\r\n"}, []string{"\ufffdrm it\ufffd\ufffd", "ls"}},
		{"a byte that begins a sequence elsewhere", []string{"\x9b2Jrm it\x90\x9d\x98\r\n"}, []string{"\ufffd2Jrm it\ufffd\ufffd\ufffd"}},
		{"a title without an end", []string{"one\r\n\x1b]0;rm it\r\nls\r\n"}, []string{"one", "~", "ls"}},
		{"a string without an end", []string{"\x1bP\x1bX\x1b^" + strings.Repeat("x", 5000) + "\r\nls\r\n"}, []string{"~" + strings.Repeat("x", 904), "ls"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(c.parts...)
			if !slices.Equal(got, c.want) {
				t.Errorf("read %q,\nwant %q", got, c.want)
			}
		})
	}
}

// However the bytes come, the transcript is the same.
func TestTranscriptOfPieces(t *testing.T) {
	text := ">>> prx\b \bint(\u6f22)\x1b[1;31m\x1b[3D\x1b[Kx\r\nend"
	want := read(text)
	for n := 1; n < len(text); n++ {
		var parts []string
		for p := range slices.Chunk([]byte(text), n) {
			parts = append(parts, string(p))
		}
		if got := read(parts...); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d bytes: read %q, want %q", n, got, want)
		}
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"lines":               strings.Repeat("x\r\n", 40_000),
		"long lines":          strings.Repeat(strings.Repeat("x", 5000)+"\r\n", 400),
		"one line":            strings.Repeat("x", 2<<20),
		"combining":           "a" + strings.Repeat("\u0301", 1<<19),
		"repeated":            "x" + strings.Repeat("\x1b[99999999b", 20_000),
		"insertions":          strings.Repeat("x", 1000) + "\r" + strings.Repeat("\x1b[1@", 50_000),
		"rows":                strings.Repeat("\x1b[999L", 50_000),
		"an endless title":    "\x1b]0;" + strings.Repeat("x", 2<<20),
		"an endless sequence": "\x1b[" + strings.Repeat("1;", 1<<20),
		"homes":               strings.Repeat("\x1b[Hx", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			r := transcript.New()
			_, _ = r.Write([]byte(text))
			lines, dropped := r.Lines()
			size := 0
			for _, l := range lines {
				size += len(l.Text)
			}
			if len(lines) > 10_064 || size > 3<<20 {
				t.Errorf("%d lines of %d bytes are kept", len(lines), size)
			}
			if name == "lines" && dropped+len(lines) != 40_000 {
				t.Errorf("%d lines are kept and %d dropped", len(lines), dropped)
			}
		})
	}
}

// A line that is kept never changes, and its place says so.
func FuzzTranscript(f *testing.F) {
	for _, seed := range []string{
		">>> prx\b \bint\r\n", "\x1b[H\x1b[2J\x1b[?1049h", "\x1b[5L\x1b[3M\x1b[99@\x1b[9P\x1b[J\x1b[1K", "漢\b\x1b[b\x1b7\x1b8\x1bM\x1bD",
		"\x1b]0;x\x07\x1bPq\x1b\\\x9b5A\xff", strings.Repeat("\n", 100) + "\x1b[99A\x1b[J", "\x1b[s\x1b[u\x1b[1000000000C漢",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		r := transcript.New()
		at = min(max(at, 0), len(text))
		_, _ = r.Write(text[:at])
		before, gone := r.Lines()
		before = slices.Clone(before[:r.Settled()])
		r.Note("a note")
		_, _ = r.Write(text[at:])
		after, dropped := r.Lines()
		if gone == 0 && dropped == 0 && !slices.Equal(before, after[:len(before)]) {
			t.Errorf("lines that were settled have changed: %v, %v", before, after[:len(before)])
		}
		for _, l := range after {
			if !utf8.ValidString(l.Text) || strings.ContainsAny(l.Text, "\r\n\x1b") {
				t.Errorf("a line is %q", l.Text)
			}
		}
	})
}

func BenchmarkTranscript(b *testing.B) {
	text := []byte(strings.Repeat("\r>>> print(1)\x1b[K\r\n\x1b[1;31mred\x1b[0m\r\n", 1000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = transcript.New().Write(text)
	}
}
