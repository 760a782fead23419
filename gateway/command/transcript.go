package command

import (
	"fmt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/transcript"
)

// transcriptJSON is what a session at a terminal showed there.
type transcriptJSON struct {
	Lines   []transcriptLineJSON `json:"lines"`
	Earlier int                  `json:"earlier,omitempty"` // lines before them that are not kept
}

// transcriptLineJSON is a line of it, rendered: safe to print.
type transcriptLineJSON struct {
	Text      string `json:"text"`
	Edited    bool   `json:"edited,omitempty"`    // something stood in the line that is not in it any more
	Continues bool   `json:"continues,omitempty"` // the next line is its rest
}

// transcriptOf is what a session's terminal has shown so far, nil where it has none.
func transcriptOf(v *Verbs, c *invocation, s *journal.Session) (*transcriptJSON, error) {
	if !s.Interactive {
		return nil, nil
	}
	r := transcript.New()
	err := v.Sessions.Output(c.Identity, s.ID, func(chunk output.Chunk) error {
		if chunk.Stream == output.Stdout || chunk.Stream == output.Stderr {
			_, _ = r.Write(chunk.Data)
		}
		return nil
	})
	lines, earlier := r.Lines()
	if len(lines) == 0 {
		return nil, err
	}
	out := &transcriptJSON{Earlier: earlier}
	for _, l := range lines {
		out.Lines = append(out.Lines, transcriptLineJSON{render.Line(l.Text).String(), l.Edited, l.Continues})
	}
	return out, err
}

// transcript prints what a terminal has shown.
func (p *page) transcript(t *transcriptJSON, id string) {
	_, _ = fmt.Fprintln(p.w, "on its terminal (typed and printed; ~ marks a line of which something was erased or drawn over):")
	if t.Earlier > 0 {
		_, _ = fmt.Fprintf(p.w, "  … %d earlier lines; wait %s prints every byte\n", t.Earlier, id)
	}
	for n, l := range t.Lines {
		mark, rest := ' ', ""
		if l.Edited {
			mark = '~'
		}
		if l.Continues {
			rest = "…"
		}
		_, _ = fmt.Fprintf(p.w, "  %4d %c%s%s\n", t.Earlier+n+1, mark, l.Text, rest)
	}
}
