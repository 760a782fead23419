package command

import (
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// What of a plan is told in lines. show has the rest.
const (
	maxPlanned     = 100 // operations
	maxPlannedLine = 300 // cells of what an operation does
)

// tellPlan lists what a plan would have done: on stderr, where a script cannot write what looks like it.
func (c *invocation) tellPlan(s journal.Session) {
	for i := range s.Operations[:min(len(s.Operations), maxPlanned)] {
		c.tellPlanned(&s.Operations[i])
	}
	if more := len(s.Operations) - maxPlanned; more > 0 {
		c.notice("plan: %d more operations; see: show %s", more, s.ID)
	}
	if s.Reason != "" {
		c.notice("plan: %s", render.Stored(s.Reason))
	}
	c.notice("session %s: planned: %d operations, nothing was run or changed and nothing of it can be approved; to ask for it, leave out --plan",
		s.ID, len(s.Operations))
}

// tellPlanned is one operation in a line: the verdict, what it is, what it does and whether that can be undone.
func (c *invocation) tellPlanned(o *journal.Operation) {
	what, cut := render.Fit(render.Stored(o.Summary), maxPlannedLine)
	if cut {
		what = render.Format("%s (and so on)", what)
	}
	line := render.Format("plan %d: %s (%s): %s; why: %s", o.N, o.Verdict, o.Risk, what, render.Stored(o.Why))
	if o.Effect != "" {
		line = render.Format("%s; effect: %s", line, render.Stored(o.Effect))
	}
	c.notice("%s; undo: %s", line, undoOf(o))
}

// undoOf says whether an operation can be undone.
func undoOf(o *journal.Operation) render.Text {
	switch {
	case o.Undo != "":
		return render.Stored(o.Undo)
	case o.File != nil:
		return render.Own("yes: rollback")
	case o.Verdict == policy.Allow:
		return render.Own("nothing to undo")
	}
	return render.Own("not known")
}
