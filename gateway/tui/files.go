package tui

import (
	"fmt"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/render"
)

// contents reads what changes of files write, once for each.
type contents struct {
	backend Backend
	known   map[string]content // by digest
}

type content struct {
	diff diff.Diff
	ok   bool // there is content to compare
	err  error
}

func newContents(b Backend) *contents { return &contents{backend: b, known: map[string]content{}} }

func (c *contents) of(f *approvals.File) content {
	key := f.Digest()
	if have, ok := c.known[key]; ok {
		return have
	}
	var got content
	got.diff, got.ok, got.err = c.backend.Diff(f, diff.Context)
	c.known[key] = got
	return got
}

// unreadable reports whether something that a decision is about could not be read. Nil is an operation that is not on
// the screen: one that was is not taken for read.
func (c *contents) unreadable() bool {
	if c == nil {
		return false
	}
	for _, k := range c.known {
		if k.err != nil {
			return true
		}
	}
	return false
}

// describeFile shows everything about a change of a file.
func describeFile(p *page, f *approvals.File, from *contents) {
	for _, d := range f.Details() {
		t := tonePlain
		switch d.Name {
		case "path", "new name":
			t = toneStrong
		case "warning", "mode", "owner":
			t = toneCaution
		}
		p.add(label(d.Name), line{{t, d.Value}})
	}
	flag(p, string(f.Path))
	flag(p, string(f.To))
	c := from.of(f)
	switch {
	case c.err != nil:
		p.add(label("content"), own(toneDanger, "it cannot be read: "+string(render.Line(c.err.Error()))))
	case !c.ok:
	case c.diff.Binary:
		p.add(label("content"), own(toneCaution, "no text, or too large to be shown: compare size and hash"))
	default:
		describeDiff(p, c.diff)
	}
}

func describeDiff(p *page, d diff.Diff) {
	p.add(label("content"), own(toneDim, fmt.Sprintf("%d lines added, %d removed", d.Added, d.Removed)))
	for _, h := range d.Hunks {
		p.add(nil, own(toneDim, fmt.Sprintf("@@ -%d,%d +%d,%d @@", h.Old, h.OldLines, h.New, h.NewLines)))
		for _, l := range h.Lines {
			t, n := tonePlain, l.New
			switch l.Kind {
			case diff.Added:
				t = toneAdded
			case diff.Removed:
				t, n = toneRemoved, l.Old
			case diff.Same:
			}
			p.add(own(t, fmt.Sprintf("%5d %c", n, l.Kind)), line{{t, render.Block(l.Text)}})
			if l.Open {
				p.add(nil, own(toneDim, `\ no newline at the end`))
			}
			flag(p, l.Text)
		}
	}
}

// describeTogether shows the changes of files that are decided with a command: those before it, and what it is given of
// the script's scratch.
func describeTogether(p *page, s *approvals.Session, c *approvals.Command, from *contents) {
	for _, n := range c.Needs {
		if n < 1 || n > len(s.Operations) || s.Operations[n-1].File == nil {
			continue
		}
		o := &s.Operations[n-1]
		p.addProse(nil, join(own(toneCaution, fmt.Sprintf("── operation %d comes before it (%s): ", n, o.Decision)), shown(tonePlain, o.Summary)))
		describeFile(p, o.File, from)
	}
	for i := range c.Scratch {
		f := &c.Scratch[i]
		p.addProse(nil, join(own(toneCaution, "── put on the target for it, and removed at the end: "), line{{tonePlain, f.Summary()}}))
		describeFile(p, f, from)
	}
}
