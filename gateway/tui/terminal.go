package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

const (
	defaultWidth, defaultHeight = 80, 24
	// A client may claim any window: what is drawn is bounded, because every cell costs memory of the server.
	maxWidth, maxHeight = 500, 300
	// escapeDelay is how long a lone ESC waits for the rest of a key's sequence before it is the Escape key.
	escapeDelay = 50 * time.Millisecond
	// partingTime is how long a stuck terminal may take for the last bytes, which restore it, once ctx has ended.
	partingTime = time.Second
)

// clampSize returns a window size that can be drawn.
func clampSize(w, h int) (int, int) {
	if w <= 0 {
		w = defaultWidth
	}
	if h <= 0 {
		h = defaultHeight
	}
	return min(w, maxWidth), min(h, maxHeight)
}

// environ is the little of the client's environment that the renderer sees.
func environ(o Options) []string {
	env := []string{"TERM=" + o.Term}
	for _, name := range []string{"COLORTERM", "NO_COLOR"} {
		if v := lookup(o.Environ, name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// profile chooses the colours: as asked for, else as the terminal says. NO_COLOR counts with any value that is not
// empty (no-color.org).
func profile(o Options) colorprofile.Profile {
	switch o.Colours {
	case "none":
		return colorprofile.ASCII
	case "16":
		return colorprofile.ANSI
	case "256":
		return colorprofile.ANSI256
	case "true":
		return colorprofile.TrueColor
	}
	p := colorprofile.Env(environ(o))
	if lookup(o.Environ, "NO_COLOR") != "" && p > colorprofile.ASCII {
		p = colorprofile.ASCII
	}
	return p
}

func lookup(env []string, name string) string {
	for _, kv := range env {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:]
		}
	}
	return ""
}

// feedSizes sends window sizes until ctx ends or the channel is closed.
func feedSizes(ctx context.Context, sizes <-chan Size, send func(tea.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			w, h := clampSize(s.Width, s.Height)
			send(tea.WindowSizeMsg{Width: w, Height: h})
		}
	}
}

// feedKeys decodes what the terminal sends until ctx ends. The end of in ends the screen with its error.
func feedKeys(ctx context.Context, in io.Reader, send func(tea.Msg), end context.CancelCauseFunc) {
	chunks, errs := make(chan []byte), make(chan error, 1)
	go readChunks(ctx, in, chunks, errs)
	var d decoder
	late := time.NewTimer(escapeDelay)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-errs:
			end(err)
			return
		case c := <-chunks:
			for _, b := range c {
				for _, msg := range d.next(b) {
					send(msg)
				}
			}
			if d.pending() {
				late.Reset(escapeDelay)
			}
		case <-late.C:
			for _, msg := range d.expire() {
				send(msg)
			}
		}
	}
}

// readChunks reads in until it ends. It is the one goroutine that may outlive Run, inside in.Read.
func readChunks(ctx context.Context, in io.Reader, chunks chan<- []byte, errs chan<- error) {
	for {
		buf := make([]byte, 1024)
		n, err := in.Read(buf)
		if n > 0 {
			select {
			case chunks <- buf[:n]:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			errs <- err
			return
		}
	}
}

var errTerminalStuck = errors.New("the terminal took no more output")

// terminalWriter writes to the terminal on a goroutine of its own, so that a terminal that takes nothing more cannot
// hold up the end of the screen. A failed write ends the screen. It hides any *os.File from Bubble Tea, which would
// change the modes of a terminal that belongs to the server.
type terminalWriter struct {
	ctx   context.Context
	end   context.CancelCauseFunc
	plain bool // no terminal: line feeds stay alone
	jobs  chan []byte
	done  chan error

	mu     sync.Mutex // one write at a time; guards the rest
	err    error
	closed bool
}

func newTerminalWriter(ctx context.Context, out io.Writer, end context.CancelCauseFunc) *terminalWriter {
	w := &terminalWriter{ctx: ctx, end: end, jobs: make(chan []byte), done: make(chan error, 1)}
	go func() {
		for b := range w.jobs {
			_, err := out.Write(b)
			w.done <- err
		}
	}()
	return w
}

func (w *terminalWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		close(w.jobs)
	}
}

// Write implements io.Writer.
func (w *terminalWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	whole := len(p)
	if w.err != nil {
		return 0, w.err
	}
	if w.closed {
		return 0, io.ErrClosedPipe
	}
	// The renderer takes it that a line feed also returns to the first column, which a terminal in raw mode does not
	// do. A carriage return too many does no harm where somebody else adds one.
	if !w.plain {
		p = bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))
	}
	w.jobs <- bytes.Clone(p)
	select {
	case w.err = <-w.done:
	case <-w.ctx.Done():
		parting := time.NewTimer(partingTime)
		defer parting.Stop()
		select {
		case w.err = <-w.done:
		case <-parting.C:
			w.err = errTerminalStuck
		}
	}
	if w.err != nil {
		w.end(w.err)
		return 0, w.err
	}
	return whole, nil
}
