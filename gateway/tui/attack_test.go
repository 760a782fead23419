package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/policy"
)

// attacks are texts that would clear the screen, overwrite a line, hide what follows, or fill everything.
var attacks = map[string]string{
	"escape":     "\x1b[2J\x1b[1;1HApproved\x1b]0;title\x07\x1bP+q\x1b\\",
	"c1":         "\u009b2J\u009d0;x\u009c\x9b2J",
	"return":     "rm -rf /\rls       ",
	"backspace":  "rm\b\bls\x7f\x7f",
	"bidi":       "\u202egnp.exe\u2066\u2069\u200f\u061c",
	"zero width": "r\u200bm\u200d\ufeff\u2060\u00ad",
	"tags":       "ok\U000e0041\U000e0042\U000e007f",
	"lines":      strings.Repeat("\n", 500) + "evil\u2028\u2029\u0085x",
	"long":       strings.Repeat("x", 20000) + "evil",
	"wide":       strings.Repeat("漢字かな😀", 300),
	"stacked":    "a" + strings.Repeat("\u0301", 300),
	"invalid":    "\xff\xfe\xc0\x80\xed\xa0\x80",
	"marks":      "\u21b3 … “” ▸ │ \u2500\u2500 end of operation 1 \u2500\u2500",
	"tabs":       "a\tb\v\fc",
}

// hostile is a session with the attack in every text that comes from elsewhere.
func hostile(text string) journal.Session {
	x := held("aaaa0001", policy.Danger, "rm", text)
	x.Identity, x.Key, x.Target, x.Engine, x.Name, x.Analysis = text, text, text, text, text, text
	x.Script, x.ScriptSHA256, x.Reason, x.Args = "import subprocess\n"+text+"\n"+text, text, text, []string{text}
	op := &x.Operations[0]
	op.Summary, op.Why, op.Risk, op.Digest = text, text, policy.Risk(text), text+"!"
	*op.Command = journal.Command{
		Target: text, RunAs: text, Path: text, Argv: []string{text, "-c", text}, Dir: text, Env: []string{text},
		EnvChanges: []string{text, "-" + text}, Input: text, Line: 2,
	}
	done := waitingOp(2, policy.Caution, "sh", "-c", text)
	done.Decision, done.By, done.Reason, done.Decided = journal.Rejected, text, text, start
	x.Operations = append(x.Operations, done)
	return x
}

func TestHostileTextNeverReachesTheScreenRaw(t *testing.T) {
	for name, text := range attacks {
		for _, size := range []Size{{20, 8}, {40, 12}, {80, 24}, {220, 60}} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				t.Parallel()
				ended := hostile(text)
				ended.ID, ended.Status, ended.Ended = "aaaa0002", journal.StatusFailed, start.Add(-time.Minute)
				f := newFake(hostile(text), ended)
				for _, c := range []output.Chunk{{Stream: output.Stdout}, {Stream: output.Stderr}, {Stream: output.Notice}} {
					c.Data = []byte(text + "\n")
					f.write("aaaa0001", c)
				}
				s := openScreen(t, f, alice, size.Width, size.Height, "")
				s.until("1 wait")
				s.press("h")
				s.until("failed")
				s.press("h", "enter")
				s.until("1 WAITS")
				for _, pane := range []string{"2", "3", "4", "5", "1"} {
					s.press(pane, "G", "g", "space", "space", "down", "up", "b")
				}
				s.press("4", "down")
				s.press("1", "g", "enter")
				s.press("G", "e", "G", "g", "a", "esc", "r", "x", "enter")
				s.until("rejected by")
				s.press("?", "G")
			})
		}
	}
}

func TestEveryByteOfAnArgumentIsShownSomewhere(t *testing.T) {
	argv := []string{"touch", ""}
	for i := range 200 {
		argv[1] += fmt.Sprintf("_%03d.", i)
	}
	s := openScreen(t, newFake(held("aaaa0001", policy.Caution, argv...)), alice, 40, 12, "aaaa0001")
	s.until("WAITS")
	body := func() []string { return strings.Split(s.text(), "\n")[2:10] }
	rows := body()
	for !strings.Contains(rows[len(rows)-1], "end of operation") {
		if len(rows) > 500 {
			t.Fatalf("the end never came:\n%s", s.text())
		}
		s.press("down")
		rows = append(rows, body()[7])
	}
	var all strings.Builder
	for _, row := range rows {
		all.WriteString(strings.TrimLeft(strings.TrimPrefix(row, "argv[1]"), " ↳"))
	}
	if !strings.Contains(all.String(), argv[1]) {
		t.Fatalf("not all of the argument was on the screen:\n%s", strings.Join(rows, "\n"))
	}
	s.shows("a approve")
}

func TestContinuationCannotBeForged(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "touch", "↳ x", "/srv")
	s := openScreen(t, newFake(x), alice, 40, 30, "aaaa0001")
	text := s.until("argv[1]")
	for _, row := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(row), "↳ x") {
			t.Fatalf("an argument stands where only the screen's own mark may:\n%s", text)
		}
	}
}

func TestTextTooLongForTheScreenCannotBeApproved(t *testing.T) {
	x := held("aaaa0001", policy.Caution, "sh", "-c", strings.Repeat("a\nb\n", maxParagraphs/2+10))
	f := newFake(x)
	s := openScreen(t, f, alice, 80, 24, "aaaa0001")
	s.until("Approve is off: too long for this screen")
	s.press("G")
	s.shows("the rest is not shown here")
	s.press("a", "y")
	if len(f.approved) != 0 {
		t.Fatal("approved what was not shown")
	}
}

func TestEscapesAreNotTornApart(t *testing.T) {
	p := newPage()
	p.add(label("argv[0]"), shown(tonePlain, strings.Repeat("ab\x1b\u202e\U000e0041", 50)))
	for width := 20; width < 60; width++ {
		p.layout(width, 100)
		for _, r := range p.rows {
			text := r.line[1:].plain()
			if i := strings.LastIndexByte(text, '\\'); i >= 0 && i+1 < len(text) && len(text)-i < escapeSize(text[i+1]) || strings.HasSuffix(text, `\`) {
				t.Fatalf("width %d: an escape is torn apart: %q", width, text)
			}
		}
	}
}

func TestNothingRawIsPaintedEvenBehindTheRenderer(t *testing.T) {
	l := own(tonePlain, "a\x1b[2J\u202eb\xff\u2028\u200b")
	got := sgr.ReplaceAllString(l.clean().paint(false), "")
	if want := `a\x1b[2J\u202eb\xff\u2028\u200b`; got != want {
		t.Fatalf("painted %q, want %q", got, want)
	}
}

func TestListsAreBoundedAndSayThatTheyCut(t *testing.T) {
	op := waitingOp(1, policy.Caution, "touch", strings.Repeat("é", 1<<20))
	for name, l := range map[string]line{
		"argv":  what(&op, tonePlain),
		"shell": what(&journal.Operation{Command: &journal.Command{Argv: []string{"sh", "-c", strings.Repeat("é", 1<<20)}}}, tonePlain),
		"other": what(&journal.Operation{Summary: strings.Repeat("é", 1<<20)}, tonePlain),
	} {
		text := l.plain()
		if len(text) > 2*maxWhat || !strings.HasSuffix(text, "…") || strings.Contains(text, `\x`) {
			t.Errorf("%s: %d bytes, ends in %q", name, len(text), text[max(len(text)-20, 0):])
		}
	}
}

func FuzzPageWraps(f *testing.F) {
	for _, text := range attacks {
		f.Add(text, 40, true)
		f.Add(text, 1, false)
	}
	f.Fuzz(func(t *testing.T, text string, width int, prose bool) {
		width = 4 + (width%200+200)%200 // below, the gutter itself is cut
		p := newPage()
		p.put(paragraph{gutter: own(toneDim, "12 "), text: shown(tonePlain, text), prose: prose})
		p.layout(width, 5)
		var got strings.Builder
		for i, r := range p.rows {
			if len(r.line) > 0 && r.line.cells() > width && width > 13 {
				t.Fatalf("row %d has %d cells of %d", i, r.line.cells(), width)
			}
			got.WriteString(r.line[1:].plain())
		}
		if want := shown(tonePlain, text).plain(); got.String() != want {
			t.Fatalf("wrapped to %q, want %q", got.String(), want)
		}
	})
}
