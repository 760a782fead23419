package tui

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
)

const (
	// maxOutput bounds the output that one screen keeps, in bytes; the oldest lines go first, visibly.
	maxOutput = 256 << 10
	// maxOutputLines bounds its lines, because an empty line costs memory too.
	maxOutputLines = 4000
	// maxOutputLine is where a line without an end is broken, in bytes.
	maxOutputLine = 4 << 10
	// outputPause is the least time between two redraws for output.
	outputPause = 40 * time.Millisecond
)

// transcript is what a session has written, as far as it is kept. The goroutine that follows the session fills it, and the
// screen draws it.
type transcript struct {
	stop    context.CancelFunc
	changed chan struct{} // holds one token while something is new

	mu      sync.Mutex
	lines   []outputLine
	size    int
	dropped int  // lines
	ended   bool // nothing more will come
	err     error
	status  journal.Status // of the session when following ended
}

// source is where a line of output came from.
type source int

const (
	fromUnknown source = iota
	fromStdout
	fromStderr
	fromGateway
)

// sourceOf tells where a chunk came from.
func sourceOf(c output.Chunk) source {
	switch c.Stream {
	case output.Stdout:
		return fromStdout
	case output.Stderr:
		return fromStderr
	case output.Notice:
		return fromGateway
	default: // nothing of the kind for the others
	}
	return fromUnknown
}

type outputLine struct {
	from   source
	data   []byte
	open   bool // has no end yet
	broken bool // continues in the next line of this stream
	drawn  *paragraph
}

// follow starts to follow a session and returns at once.
func follow(ctx context.Context, work *workers, b Backend, me journal.Identity, id string) *transcript {
	ctx, cancel := context.WithCancel(ctx)
	o := &transcript{stop: cancel, changed: make(chan struct{}, 1)}
	cmd := work.command(func() tea.Msg {
		s, err := b.Follow(ctx, me, id, func(c output.Chunk) error {
			o.take(c)
			return ctx.Err()
		})
		o.end(s.Status, err)
		return nil
	})
	go func() {
		if fault, ok := cmd().(faultMsg); ok {
			o.end("", fmt.Errorf("follow the session: %v", fault.value))
		}
	}()
	return o
}

func (o *transcript) end(s journal.Status, err error) {
	o.mu.Lock()
	o.ended, o.status, o.err = true, s, err
	o.mu.Unlock()
	o.signal()
}

func (o *transcript) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// take adds a chunk.
func (o *transcript) take(c output.Chunk) {
	if c.Stream == output.State {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.signal()
	from, data := sourceOf(c), c.Data // the data is only lent: extend copies it
	for len(data) > 0 {
		data = o.extend(from, data)
	}
	if from == fromGateway {
		o.extend(from, []byte{'\n'}) // a notice is a line that comes without its end
	}
	for len(o.lines) > 1 && (o.size > maxOutput || len(o.lines) > maxOutputLines) {
		o.size -= len(o.lines[0].data)
		o.lines = o.lines[1:]
		o.dropped++
	}
}

// extend adds the beginning of data to the open line of the stream, or a new one, and returns the rest.
func (o *transcript) extend(from source, data []byte) []byte {
	at := len(o.lines) - 1
	for at >= 0 && o.lines[at].from != from {
		at--
	}
	if at < 0 || !o.lines[at].open {
		o.lines = append(o.lines, outputLine{from: from, open: true})
		at = len(o.lines) - 1
	}
	l := &o.lines[at]
	part, rest, ended := bytes.Cut(data, []byte{'\n'})
	if room := maxOutputLine - len(l.data); len(part) > room {
		part, rest, ended = data[:room], data[room:], true
		l.broken = true
	}
	l.data = append(l.data, part...)
	l.open = !ended
	o.size += len(part)
	return rest
}

// page draws what is kept.
func (o *transcript) page() *page {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := newPage()
	if o.dropped > 0 {
		p.addProse(nil, format(toneCaution, "… %d earlier lines are not kept on this screen; `wait ID` prints the whole output", o.dropped))
	}
	for i := range o.lines {
		l := &o.lines[i]
		if l.open {
			p.add(l.gutter(), l.text())
			continue
		}
		if l.drawn == nil { // it will not change any more
			l.drawn = &paragraph{gutter: l.gutter(), text: l.text(), cache: &wrapped{}}
		}
		p.put(*l.drawn)
	}
	switch {
	case o.err != nil && !o.ended:
	case o.err != nil:
		p.addProse(nil, join(own(toneDanger, "the output could not be followed: "), shown(tonePlain, o.err.Error())))
	case len(o.lines) == 0 && o.ended:
		p.addProse(nil, own(toneDim, "It wrote nothing."))
	case len(o.lines) == 0:
		p.addProse(nil, own(toneDim, "Nothing yet. Output appears here as it is written."))
	}
	return p
}

func (l outputLine) text() line {
	t := line{{tonePlain, render.Bytes(l.data)}}
	if l.broken {
		t = append(t, span{toneMark, render.Own("…")})
	}
	return t
}

// gutter tells the sources apart.
func (l outputLine) gutter() line {
	switch l.from {
	case fromStdout:
		return own(toneDim, "  │ ")
	case fromStderr:
		return own(toneCaution, "err ")
	case fromGateway:
		return own(toneMark, "gw  ")
	case fromUnknown:
	}
	return own(toneMark, "?   ")
}

// outputMsg says that the output has changed.
type outputMsg struct{ from *transcript }

// take draws new output.
func (msg outputMsg) take(m *model) tea.Cmd {
	from := msg.from
	if m.session == nil {
		return nil
	}
	if v := m.session.view; v != nil && v.output == from {
		over := from.over()
		v.draw(&m.session.session)
		if over {
			return nil
		}
		return awaitOutput(m.ctx, m.work, from)
	}
	if m.session.output != from {
		return nil
	}
	over := from.over() // before it is drawn, so that nothing that comes in between is left out
	m.session.written.replace(from.page())
	if over {
		return nil
	}
	return awaitOutput(m.ctx, m.work, from)
}

// awaitOutput waits until there is more to draw.
func awaitOutput(ctx context.Context, work *workers, o *transcript) tea.Cmd {
	return work.command(func() tea.Msg {
		if !pause(ctx, outputPause) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.changed:
			return outputMsg{o}
		}
	})
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// settled returns the lines so far that will not change, and how many came before them and are not kept. With all it is
// every line.
func (o *transcript) settled(all bool) (lines []outputLine, dropped int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.lines)
	for i := range o.lines {
		if o.lines[i].open && !all {
			n = i
			break
		}
	}
	return slices.Clone(o.lines[:n]), o.dropped
}

// failure is why following ended early, nil where it did not.
func (o *transcript) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// over reports whether nothing more will come.
func (o *transcript) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// overAs reports whether following ended with the session in a status.
func (o *transcript) overAs(s journal.Status) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended && o.err == nil && o.status == s
}
