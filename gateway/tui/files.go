package tui

import (
	"errors"
	"maps"
	"sync"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// maxContents bounds what is kept of diffs for one session's screen, in bytes of text.
const maxContents = 32 << 20

// contents are what changes of files write, compared with what is there. They are read once for each change, and beside
// the screen, since they may be large.
type contents struct {
	backend Backend

	mu     sync.Mutex
	known  map[contentKey]content
	wanted map[contentKey]*journal.File // asked for; nobody reads them yet
	came   map[contentKey]content       // read, and not drawn yet
	size   int
}

type contentKey struct {
	digest string
	whole  bool // with every line that stays as it is
}

type content struct {
	diff    diff.Diff
	ok      bool // there is content to compare
	pending bool // it is being read
	err     error
}

func newContents(b Backend) *contents {
	return &contents{backend: b, known: map[contentKey]content{}, wanted: map[contentKey]*journal.File{}, came: map[contentKey]content{}}
}

// of returns what is known of a change. What is not known yet is read by the next load.
func (c *contents) of(f *journal.File, whole bool) content {
	key := contentKey{f.Digest(), whole}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.known[key]; ok {
		return have
	}
	c.wanted[key], c.known[key] = f, content{pending: true}
	return c.known[key]
}

// errManyContents says why a difference is not shown.
var errManyContents = errors.New("the differences of this session are too large to be kept on one screen; use show")

// load reads what was asked for, for the next settle. It reports whether there was anything.
func (c *contents) load() bool {
	c.mu.Lock()
	wanted := c.wanted
	c.wanted = map[contentKey]*journal.File{}
	c.mu.Unlock()
	for key, f := range wanted {
		context := diff.Context
		if key.whole {
			context = -1
		}
		var got content
		got.diff, got.ok, got.err = c.backend.Diff(f, context)
		c.mu.Lock()
		if c.size += sizeOf(got.diff); c.size > maxContents {
			got = content{err: errManyContents}
		}
		c.came[key] = got
		c.mu.Unlock()
	}
	return len(wanted) > 0
}

// settle takes what was read for known. The page is drawn anew in the same step: until then it says that it is being read, and
// nothing counts as read.
func (c *contents) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.known, c.came)
	clear(c.came)
}

func sizeOf(d diff.Diff) int {
	n := 0
	for _, h := range d.Hunks {
		for _, l := range h.Lines {
			n += len(l.Text) + 64
		}
	}
	return n
}

// contentsMsg says that contents have been read.
type contentsMsg struct{ from *contents }

// take implements message.
func (msg contentsMsg) take(m *model) tea.Cmd {
	if m.session != nil {
		m.session.haveContents(msg.from)
	}
	return nil
}

// await reads what was asked for beside the screen; nil where nothing was.
func (c *contents) await(work *workers) tea.Cmd {
	c.mu.Lock()
	n := len(c.wanted)
	c.mu.Unlock()
	if n == 0 {
		return nil
	}
	return work.command(func() tea.Msg {
		c.load()
		return contentsMsg{c}
	})
}

// missing says why not all that belongs to a decision is on the screen, "" where it is. Nil stands for an operation that
// is not on the screen; one that was there once does not count as read.
func (c *contents) missing() string {
	if c == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.known {
		switch {
		case k.pending:
			return "what it writes is being read"
		case k.err != nil:
			return "a content that belongs to it cannot be shown"
		}
	}
	return ""
}

// describeFile shows everything about a change of a file.
func describeFile(p *page, f *journal.File, from *contents) {
	describeDetails(p, f.Details(), from)
}

// describeContent says what is known of a change's content, and reports whether there is a difference to show.
func describeContent(p *page, name string, f *journal.File, c content) bool {
	if c.pending {
		p.add(label(name), own(toneDim, "being read…"))
		return false
	}
	row, differs := change.ContentRow(name, f, c.diff, c.ok, c.err)
	if !row.Text.Empty() {
		describeRow(p, row)
	}
	return differs
}

func describeDiff(p *page, d diff.Diff) {
	for _, h := range d.Hunks {
		p.add(nil, hunkLine(h))
		for _, l := range h.Lines {
			t, n := tonePlain, l.New
			switch l.Kind {
			case diff.Added:
				t = toneAdded
			case diff.Removed:
				t, n = toneRemoved, l.Old
			case diff.Same:
			}
			p.add(format(t, "%5d %c ", n, l.Kind), line{{t, render.Block(l.Text)}})
			if l.Open {
				p.add(nil, own(toneDim, `        \ no newline at the end`))
			}
			if l.Kind == diff.Added {
				warn(p, l.Text)
			}
		}
	}
}

func hunkLine(h diff.Hunk) line {
	return format(toneMark, "@@ -%d,%d +%d,%d @@", h.Old, h.OldLines, h.New, h.NewLines)
}

// describeEarlier shows the changes of files that are made before a command and are decided with it.
func describeEarlier(p *page, s *journal.Session, numbers []int, from *contents) {
	for _, n := range numbers {
		if n < 1 || n > len(s.Operations) || s.Operations[n-1].File == nil {
			continue
		}
		o := &s.Operations[n-1]
		p.addProse(nil, join(format(toneCaution, "── operation %d comes before it (%s): ", n, o.Decision), line{{tonePlain, o.File.Summary()}}))
		describeFile(p, o.File, from)
	}
}
