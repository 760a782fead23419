package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// patience bounds how long a test waits for what only a defect keeps from coming: much longer than it takes on a
// machine that does other things too.
const patience = time.Minute

// terminal is the other end of a connection: it types, and keeps what it was sent.
type terminal struct {
	t     *testing.T
	in    *io.PipeWriter
	sizes chan Size
	done  chan error

	mu    sync.Mutex
	sent  bytes.Buffer
	fresh chan struct{}
	fail  error
	stuck chan struct{} // where not nil, writes wait until it is closed
}

func (c *terminal) Write(p []byte) (int, error) {
	c.mu.Lock()
	stuck := c.stuck
	c.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return 0, c.fail
	}
	select {
	case c.fresh <- struct{}{}:
	default:
	}
	return c.sent.Write(p)
}

// connect runs a screen at the end of a connection.
func connect(t *testing.T, ctx context.Context, b Backend, change func(*Options)) *terminal {
	t.Helper()
	r, w := io.Pipe()
	c := &terminal{t: t, in: w, sizes: make(chan Size), done: make(chan error, 1), fresh: make(chan struct{}, 1)}
	o := Options{
		Backend: b, Identity: alice, In: r, Out: c, Window: Size{80, 24}, Resize: c.sizes, Term: "xterm-256color",
		Now: func() time.Time { return start },
	}
	if change != nil {
		change(&o)
	}
	go func() { c.done <- Run(ctx, o) }()
	t.Cleanup(func() { _ = r.Close() })
	return c
}

// sees waits until the terminal has been sent the words since the last call, and returns all of that.
func (c *terminal) sees(words ...string) string {
	c.t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		text := c.sent.String()
		shown := sgr.ReplaceAllString(text, "")
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(shown, w) }) {
			c.sent.Reset()
			c.mu.Unlock()
			return text
		}
		c.mu.Unlock()
		select {
		case <-c.fresh:
		case err := <-c.done:
			c.t.Fatalf("the screen ended with %v before it showed %q: %q", err, words, text)
		case <-late:
			c.t.Fatalf("never saw %q: %q", words, text)
		}
	}
}

func (c *terminal) types(keys string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, keys); err != nil {
		c.t.Fatal(err)
	}
}

func (c *terminal) ends() error {
	c.t.Helper()
	select {
	case err := <-c.done:
		return err
	case <-time.After(patience):
		c.t.Fatal("the screen does not end")
		return nil
	}
}

func TestApprovalFromEndToEnd(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Danger, "systemctl", "stop", "db"))
	c := connect(t, t.Context(), f, nil)
	c.sees("systemctl stop db")
	c.types("a")
	c.sees("All of it has been shown")
	c.types("a")
	c.sees("Type the target's name")
	c.types("prod\r")
	c.sees(": approved")
	c.sizes <- Size{100, 30} // draws everything anew
	c.sees("it ran")
	c.types("\x1b")
	c.sees("1 operations")
	c.types("\x1b")
	c.sees("Nothing waits")
	c.types("qqqq")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
	sent := c.sent.String()
	for _, restore := range []string{"\x1b[?1049l", "\x1b[?25h", "\x1b[?2004l"} {
		if !strings.Contains(sent, restore) {
			t.Errorf("the terminal was not restored: no %q in %q", restore, sent)
		}
	}
	if len(f.approved) != 1 || f.following != 0 {
		t.Fatalf("approved %q, %d still followed", f.approved, f.following)
	}
}

func TestLostConnectionsEndTheScreen(t *testing.T) {
	gone := errors.New("connection lost")
	for name, test := range map[string]struct {
		lose func(c *terminal, cancel context.CancelCauseFunc)
		want error
	}{
		"context":      {func(_ *terminal, cancel context.CancelCauseFunc) { cancel(gone) }, gone},
		"end of input": {func(c *terminal, _ context.CancelCauseFunc) { _ = c.in.Close() }, io.EOF},
		"read error":   {func(c *terminal, _ context.CancelCauseFunc) { _ = c.in.CloseWithError(gone) }, gone},
		"write error": {func(c *terminal, _ context.CancelCauseFunc) {
			c.mu.Lock()
			c.fail = gone
			c.mu.Unlock()
			c.types("?")
		}, gone},
		"output stuck": {func(c *terminal, cancel context.CancelCauseFunc) {
			stuck := make(chan struct{})
			c.t.Cleanup(func() { close(stuck) })
			c.mu.Lock()
			c.stuck = stuck
			c.mu.Unlock()
			c.types("?")
			cancel(gone)
		}, gone},
		"in the middle of a key": {func(c *terminal, cancel context.CancelCauseFunc) {
			c.types("\x1b[1;")
			cancel(gone)
		}, gone},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(held("aaaa0001", policy.Caution, "reboot"))
			ctx, cancel := context.WithCancelCause(t.Context())
			c := connect(t, ctx, f, func(o *Options) { o.Session = "aaaa0001" })
			c.sees("All of it has been shown")
			test.lose(c, cancel)
			if err := c.ends(); !errors.Is(err, test.want) {
				t.Fatalf("ended with %v, want %v", err, test.want)
			}
			if f.following != 0 {
				t.Fatal("the session is still followed")
			}
		})
	}
}

func TestOnlyApproversMayOpenTheScreen(t *testing.T) {
	err := Run(t.Context(), Options{Backend: newFake(), Identity: journal.Identity{Name: "claude", Role: journal.Agent}})
	if !errors.Is(err, journal.ErrNotPermitted) {
		t.Fatalf("got %v", err)
	}
}

func TestDumbTerminalIsToldWhatToDoInstead(t *testing.T) {
	err := Run(t.Context(), Options{Backend: newFake(), Identity: alice, Term: "dumb"})
	if err == nil || !strings.Contains(err.Error(), "approve ID") {
		t.Fatalf("got %v", err)
	}
}

func TestNoColorSendsNoColours(t *testing.T) {
	colour := regexp.MustCompile(`\x1b\[[0-9;]*\b[349][0-7][;m]`)
	for _, test := range []struct {
		environ []string
		want    bool
	}{
		{nil, true},
		{[]string{"NO_COLOR="}, true},
		{[]string{"NO_COLOR=yes please", "COLORTERM=truecolor"}, false},
	} {
		f := newFake(held("aaaa0001", policy.Danger, "reboot"))
		c := connect(t, t.Context(), f, func(o *Options) { o.Environ = test.environ })
		all := c.sees("1 DANGER")
		c.types("a")
		all += c.sees("All of it has been shown")
		c.types("\x03")
		if err := c.ends(); err != nil {
			t.Fatal(err)
		}
		if got := colour.MatchString(all); got != test.want {
			t.Errorf("%q: colours %v, want %v: %q", test.environ, got, test.want, all)
		}
	}
}

func TestAbsurdWindowsAreBounded(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connect(t, t.Context(), f, func(o *Options) { o.Window = Size{-1, 0} })
	c.sees("reboot")
	for _, s := range []Size{{1 << 30, 1 << 30}, {-5, -5}, {1, 1}, {0, 0}, {80, 24}} {
		c.sizes <- s
	}
	c.sees("reboot")
	c.types("\x03")
	if err := c.ends(); err != nil {
		t.Fatal(err)
	}
}

// faultyBackend fails as no backend should.
type faultyBackend struct{ *fakeBackend }

func (faultyBackend) Session(journal.Identity, string) (journal.Session, error) {
	panic("a fault\x1b[2J")
}

func TestFaultEndsTheScreenAndNotTheServer(t *testing.T) {
	var log bytes.Buffer
	c := connect(t, t.Context(), faultyBackend{newFake()}, func(o *Options) {
		o.Session = "aaaa0001"
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	err := c.ends()
	if err == nil || !strings.Contains(err.Error(), "nothing was decided") {
		t.Fatalf("ended with %v", err)
	}
	if !strings.Contains(log.String(), "a fault") {
		t.Fatalf("log: %s", log.String())
	}
}

func TestScreensLeaveNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		f := newFake(held("aaaa0001", policy.Caution, "reboot"))
		c := connect(t, t.Context(), f, func(o *Options) { o.Session = "aaaa0001" })
		c.sees("All of it has been shown")
		// Keys behind the one that leaves have nobody to take them.
		c.types("?" + "\x03" + strings.Repeat("jk\x1b[", 200))
		if err := c.ends(); err != nil {
			t.Fatal(err)
		}
		_ = c.in.Close()
	}
	late := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(late) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

func TestColoursForALightBackground(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"256": func(o *Options) { o.Light = true }, "16": func(o *Options) { o.Light, o.Colours = true, "16" },
		"true": func(o *Options) { o.Light, o.Colours = true, "true" }, "none": func(o *Options) { o.Light, o.Colours = true, "none" },
	} {
		f := newFake(held("aaaa0001", policy.Caution, "reboot"))
		c := connect(t, t.Context(), f, change)
		first := c.sees("1 caution")
		yellow, own := strings.Contains(first, "33m"), regexp.MustCompile(`\x1b\[[0-9;]*[39][0-9][;m]`).MatchString(first)
		if yellow || own == (name == "none") {
			t.Errorf("%s: yellow %v, coloured %v: %q", name, yellow, own, first)
		}
		c.types("C")
		if name != "none" && !strings.Contains(c.sees("caution"), "33m") {
			t.Errorf("%s: C does not go back to the colours for a dark background", name)
		}
	}
}

// closeEvents ends all subscriptions, as a gateway that stops does.
func (f *fakeBackend) closeEvents() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.listeners {
		close(l)
	}
	f.listeners = nil
}

func TestScreenEndsWhenTheGatewayStops(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connect(t, t.Context(), f, nil)
	c.sees("reboot")
	f.closeEvents()
	if err := c.ends(); !errors.Is(err, journal.ErrShutdown) {
		t.Errorf("the screen ended with %v", err)
	}
	if sent := c.sent.String(); !strings.Contains(sent, "\x1b[?1049l") {
		t.Errorf("the terminal was not restored: %q", sent)
	}
}

func TestPlainScreenEndsWhenTheGatewayStops(t *testing.T) {
	f := newFake(held("aaaa0001", policy.Caution, "reboot"))
	c := connectPlain(t, f, nil)
	c.sees("> ")
	f.closeEvents()
	if err := c.ends(); !errors.Is(err, journal.ErrShutdown) {
		t.Errorf("the screen ended with %v", err)
	}
}
