package tui

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
)

// virtual is a terminal as a human has one: it draws what the screen sends, and types.
type virtual struct {
	t     *testing.T
	in    *io.PipeWriter
	sizes chan Size
	done  chan error
	fresh chan struct{}

	mu     sync.Mutex
	screen *vt.Emulator
}

// Write implements io.Writer.
func (v *virtual) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.screen.Write(p)
	select {
	case v.fresh <- struct{}{}:
	default:
	}
	return n, err
}

// connectVirtual runs a screen on a virtual terminal.
func connectVirtual(t *testing.T, f *fakeBackend, width, height int, change func(*Options)) *virtual {
	t.Helper()
	r, w := io.Pipe()
	v := &virtual{
		t: t, in: w, sizes: make(chan Size), done: make(chan error, 1), fresh: make(chan struct{}, 1), screen: vt.NewEmulator(width, height),
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(io.Discard, v.screen) // what the terminal answers
	}()
	o := Options{
		Backend: f, Identity: alice, In: r, Out: v, Window: Size{width, height}, Resize: v.sizes, Term: "xterm-256color",
		Now: func() time.Time { return start },
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { v.done <- Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		<-v.done
		_ = r.Close()
		if answers, ok := v.screen.InputPipe().(io.Closer); ok { // Close alone would race with a Read
			_ = answers.Close()
			<-answered
		}
		_ = v.screen.Close()
	})
	return v
}

// rows are what is drawn, without blanks at the ends.
func (v *virtual) rows() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return rowsOf(v.screen)
}

// rowsOf are what a terminal holds, without blanks at the ends.
func rowsOf(screen *vt.Emulator) string {
	var b strings.Builder
	for y := range screen.Height() {
		var row strings.Builder
		for x := 0; x < screen.Width(); {
			c := screen.CellAt(x, y)
			if c == nil || c.Content == "" {
				row.WriteByte(' ')
				x++
				continue
			}
			row.WriteString(c.Content)
			x += max(c.Width, 1)
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String()
}

// until waits until the screen is as wanted.
func (v *virtual) until(what string, wanted func(rows string) bool) {
	v.t.Helper()
	for {
		rows := v.rows()
		if wanted(rows) {
			return
		}
		select {
		case <-v.fresh:
		case err := <-v.done:
			v.done <- err
			v.t.Fatalf("the screen ended with %v before it showed %s:\n%s", err, what, rows)
		case <-time.After(patience): // and nothing is drawn any more
			v.t.Fatalf("the screen never showed %s:\n%s", what, rows)
		}
	}
}

// sees waits until the screen shows every one of the words.
func (v *virtual) sees(words ...string) {
	v.t.Helper()
	v.until(strings.Join(words, ", "), func(rows string) bool {
		for _, w := range words {
			if !strings.Contains(rows, w) {
				return false
			}
		}
		return true
	})
}

func (v *virtual) types(keys ...string) {
	v.t.Helper()
	for _, k := range keys {
		if _, err := io.WriteString(v.in, keyOrText(k)); err != nil {
			v.t.Fatal(err)
		}
	}
}

// TestTerminalDrawsWhatTheScreenSays holds the other tests' way of looking at screens against a terminal at the end of a
// connection.
func TestTerminalDrawsWhatTheScreenSays(t *testing.T) {
	for _, size := range []Size{{80, 24}, {132, 43}} {
		v := connectVirtual(t, busyNight(), size.Width, size.Height, func(o *Options) { o.Session = "b7m1x0cc" })
		s := openScreen(t, busyNight(), alice, size.Width, size.Height, "b7m1x0cc")
		s.until("Operation 1")
		want := s.rows()
		v.until("what the model does:\n"+want, func(rows string) bool { return rows == want })
		v.types("?")
		s.press("?")
		want = s.rows()
		v.until("the help as the model has it:\n"+want, func(rows string) bool { return rows == want })
	}
}
