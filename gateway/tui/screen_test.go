package tui

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"shannot-gateway/approvals/journal"
)

// screen drives the model as Bubble Tea does, without a terminal.
type screen struct {
	t        *testing.T
	model    *model
	messages chan tea.Msg
	ctx      context.Context
	decoder  decoder
	left     bool
	bells    int
	running  int // commands whose message has not been taken
}

// openScreen opens the approval screen for who at a size; id is the session to open, "" for the list.
func openScreen(t *testing.T, f *fakeBackend, who journal.Identity, width, height int, id string, change ...func(*Options)) *screen {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	work := &workers{}
	s := &screen{t: t, ctx: ctx, messages: make(chan tea.Msg)}
	o := Options{Backend: f, Identity: who, Session: id, Window: Size{width, height}, Now: func() time.Time { return start }}
	for _, c := range change {
		c(&o)
	}
	s.model = newModel(ctx, work, o)
	t.Cleanup(func() {
		cancel()
		work.wait()
	})
	s.run(s.model.Init())
	return s
}

// noMessage is the message of a command that has none.
type noMessage struct{}

func (s *screen) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	s.running++
	go func() {
		msg := cmd()
		if msg == nil {
			msg = noMessage{}
		}
		select {
		case s.messages <- msg:
		case <-s.ctx.Done():
		}
	}()
}

// came takes the message of a command.
func (s *screen) came(msg tea.Msg) {
	s.running--
	s.take(msg)
}

// idle reports whether no command runs but those that wait for what may never come: events, the next second, more output,
// and the end of the time in which a decision can be undone.
func (s *screen) idle() bool {
	m, waits := s.model, 2+len(s.model.pending)
	if m.session != nil && m.session.output != nil && !m.session.output.over() {
		waits++
	}
	if m.session != nil && m.session.view != nil && m.session.view.output != nil && !m.session.view.output.over() {
		waits++
	}
	return s.running <= waits
}

// alone goes from the page of all that waits in a session to its first operation.
func (s *screen) alone() {
	s.t.Helper()
	s.until(", 1 of ")
	s.press("enter")
}

// next takes one more message. It reports false where none comes any more that could change the screen.
func (s *screen) next() bool {
	s.t.Helper()
	quiet := time.After(quietTime)
	for {
		var over <-chan time.Time
		if s.idle() {
			over = quiet
		}
		select {
		case msg := <-s.messages:
			s.came(msg)
			if _, clock := msg.(tickMsg); !clock {
				return true
			}
		case <-over:
			return false
		}
	}
}

// quietTime is how long an idle screen that is not as it should be is given to become so: what a goroutine was told may not
// have been handed on. No test that passes waits for it.
const quietTime = 20 * time.Second

func (s *screen) take(msg tea.Msg) {
	switch msg := msg.(type) {
	case nil, noMessage:
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	case tea.QuitMsg:
		s.left = true
	case tea.RawMsg:
		s.bells++
	case faultMsg:
		s.t.Fatalf("a command failed: %v", msg)
	default:
		s.run(s.model.Update(msg))
	}
}

// gone takes messages until the screen does not show the words any more.
func (s *screen) gone(words string) {
	s.t.Helper()
	late := time.After(patience)
	for strings.Contains(s.text(), words) {
		select {
		case msg := <-s.messages:
			s.came(msg)
		case <-late:
			s.t.Fatalf("the screen always shows %q:\n%s", words, s.text())
		}
	}
}

// until takes messages until the screen shows every one of the words.
func (s *screen) until(words ...string) string {
	s.t.Helper()
	late := time.After(patience)
	for {
		text := s.text()
		missing := ""
		for _, w := range words {
			if !contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return text
		}
		select {
		case msg := <-s.messages:
			s.came(msg)
		case <-late:
			s.t.Fatalf("the screen never showed %q:\n%s", missing, text)
		}
	}
}

var wrappedRow = regexp.MustCompile(`\n *↳ `)

// contains reports whether a screen shows words, also where they go on in the next row.
func contains(text, words string) bool {
	return strings.Contains(text, words) || strings.Contains(wrappedRow.ReplaceAllString(text, ""), words)
}

var keyBytes = map[string]string{
	"enter": "\r", "esc": "\x1b", "space": " ", "up": "\x1b[A", "down": "\x1b[B", "left": "\x1b[D", "right": "\x1b[C", "end": "\x1b[F", "pgdn": "\x1b[6~",
	"backspace": "\x7f", "ctrl+c": "\x03", "ctrl+u": "\x15", "tab": "\t",
}

// press types keys: names from keyBytes, or text.
func (s *screen) press(keys ...string) {
	for _, k := range keys {
		if b, ok := keyBytes[k]; ok {
			k = b
		}
		var msgs []tea.Msg
		for i := range len(k) {
			msgs = append(msgs, s.decoder.next(k[i])...)
		}
		for _, msg := range append(msgs, s.decoder.expire()...) {
			s.take(msg)
			s.text()
		}
	}
}

func (s *screen) resize(width, height int) {
	s.take(tea.WindowSizeMsg{Width: width, Height: height})
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// text is the screen without colours. It checks what must hold for every screen: the number of rows, their width, and
// that nothing but the screen's own colours could ever act on a terminal.
func (s *screen) text() string {
	s.t.Helper()
	raw := s.model.Screen()
	text := sgr.ReplaceAllString(raw, "")
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r >= 0x2028 && r <= 0x202e) {
			s.t.Fatalf("raw %U on the screen:\n%q", r, text)
		}
	}
	if s.model.tooSmall() {
		return text
	}
	rows := strings.Split(text, "\n")
	if len(rows) != s.model.height {
		s.t.Fatalf("%d rows on a screen of %d:\n%s", len(rows), s.model.height, text)
	}
	for _, row := range rows {
		if w := max(ansi.StringWidth(row), ansi.StringWidthWc(row)); w > s.model.width {
			s.t.Fatalf("a row of %d cells on a screen of %d:\n%s", w, s.model.width, row)
		}
	}
	return text
}

// shows fails unless the screen shows the words now.
func (s *screen) shows(words ...string) {
	s.t.Helper()
	text := s.text()
	for _, w := range words {
		if !contains(text, w) {
			s.t.Fatalf("the screen does not show %q:\n%s", w, text)
		}
	}
}

// hides fails if the screen shows the words now.
func (s *screen) hides(words ...string) {
	s.t.Helper()
	text := s.text()
	for _, w := range words {
		if contains(text, w) {
			s.t.Fatalf("the screen shows %q:\n%s", w, text)
		}
	}
}

func (s *screen) keyMsg(name string) tea.Msg {
	msgs := s.decoder.next(keyOrText(name)[0])
	return append(msgs, s.decoder.expire()...)[0]
}

func keyOrText(name string) string {
	if b, ok := keyBytes[name]; ok {
		return b
	}
	return name
}

// drawn is the screen as a terminal draws it.
func (s *screen) drawn() *vt.Emulator {
	s.t.Helper()
	terminal := vt.NewEmulator(s.model.width, s.model.height)
	if _, err := terminal.Write([]byte(strings.ReplaceAll(s.model.Screen(), "\n", "\r\n"))); err != nil {
		s.t.Fatal(err)
	}
	return terminal
}

func (s *screen) rows() string { return rowsOf(s.drawn()) }

func (s *screen) svg() string { return picture(s.drawn()) }
