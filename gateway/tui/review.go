package tui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// reviewView is all that waits in a session as one text: who asks and why, then each operation with its differences. One key
// decides on all of it, once all of it has been read.
type reviewView struct {
	scrolls
	of       *sessionView
	page     *page
	sections []section
	contents *contents
	proof    bool
}

// section is where an operation stands in a text.
type section struct {
	n        int // of the operation
	digest   string
	from, to int // paragraphs
}

// isReviewed reports whether a session has more than one operation that waits, so that they are shown together.
func isReviewed(s *journal.Session) bool {
	n := 0
	for i := range s.Operations {
		if s.Operations[i].Decision == journal.Waiting {
			n++
		}
	}
	return n > 1
}

// openWaiting shows what waits: one operation, or all of them on one page.
func (v *sessionView) openWaiting(m *model) tea.Cmd {
	if !isReviewed(&v.session) {
		return v.openOperation(m, firstWaiting(&v.session))
	}
	v.closeOperation()
	m.pages = nil
	v.review = &reviewView{of: v, page: newPage(), contents: v.contentsOf(m.backend, 0)}
	v.review.draw()
	v.review.recall(&m.memory)
	return nil
}

// draw writes the text anew.
func (r *reviewView) draw() {
	s := &r.of.session
	p := newPage()
	r.sections = r.sections[:0]
	switch asks := join(shown(toneStrong, s.Identity), own(toneDim, ", in its own words: ")); {
	case s.Name != "":
		p.addProse(label("Asks"), join(asks, quoted(s.Name)))
	case s.Analysis != "":
		p.addProse(label("Asks"), asks)
	default:
		p.addProse(label("Asks"), join(shown(toneStrong, s.Identity), own(toneDim, ", and says no reason")))
	}
	if s.Analysis != "" {
		for l := range strings.SplitSeq(s.Analysis, "\n") {
			p.addProse(label(""), quoted(l))
		}
	}
	said := map[string]string{}
	ops := waitingIn(s, func(string, int) bool { return false })
	above := func(n int) bool { return slices.ContainsFunc(ops, func(o *journal.Operation) bool { return o.N == n }) }
	for i, op := range ops {
		from := len(p.paragraphs)
		p.add(nil, nil)
		p.add(nil, join(format(toneStrong, "── operation %d, %d of %d · ", op.N, i+1, len(ops)), own(riskTone(op.Risk), riskWord(op.Risk))))
		describeTo(p, s, op, r.contents, layoutOf{proof: r.proof, above: above, said: said})
		r.sections = append(r.sections, section{op.N, op.Digest, from, len(p.paragraphs)})
	}
	p.addProse(nil, own(toneDim, "Where and as whom is said where it changes; d shows each program, environment and digest."))
	p.addProse(nil, own(toneDim, "── end of what waits ──"))
	r.page.replace(p)
}

// recall makes what was read elsewhere count as read here.
func (r *reviewView) recall(m *memory) {
	for _, at := range r.sections {
		if op := operationOf(&r.of.session, at.n); op != nil && m.wasRead(&r.of.session, op) {
			r.page.readParagraphs(at.from, at.to)
		}
	}
}

// update takes the session as it is now and reports whether other operations wait than were shown.
func (r *reviewView) update() (changed bool) {
	before := slices.Clone(r.sections)
	r.draw()
	return !slices.EqualFunc(before, r.sections, func(a, b section) bool { return a.n == b.n && a.digest == b.digest })
}

// noteRead remembers which operations have been on the screen to their end, each with the changes that come before it.
func (r *reviewView) noteRead(m *model) {
	if r.page.full {
		return
	}
	s := &r.of.session
	seen := map[int]bool{}
	for _, at := range r.sections {
		op := operationOf(s, at.n)
		if op == nil || op.Digest != at.digest || !r.page.sawParagraphs(at.from, at.to) {
			continue
		}
		if c := op.Command; c != nil && slices.ContainsFunc(c.Needs, func(n int) bool { return r.has(n) && !seen[n] }) {
			continue
		}
		seen[at.n] = true
		(&operationView{op: *op, contents: r.contents}).remember(m, s)
	}
}

func (r *reviewView) has(n int) bool {
	return slices.ContainsFunc(r.sections, func(at section) bool { return at.n == n })
}

// text implements view.
func (r *reviewView) text() *page { return r.page }

// head says how much waits, how risky the worst of it is, where and for whom.
func (r *reviewView) head(m *model) []line {
	s := &r.of.session
	worst := policy.Safe
	for _, op := range waitingIn(s, func(string, int) bool { return false }) {
		if riskOrder(op.Risk) > riskOrder(worst) {
			worst = op.Risk
		}
	}
	return roomy(m, []line{
		join(format(toneStrong, "%d operations", len(r.sections)), own(tonePlain, " · "), own(riskTone(worst), riskWord(worst)),
			own(tonePlain, " · "), own(toneCaution, "WAITS"), own(tonePlain, " · "), shown(toneDim, s.ID)),
		join(own(tonePlain, "on "), shown(toneStrong, s.Target), own(tonePlain, " · "), shown(tonePlain, s.Identity), behind(lasting(m.now(), s.Status, r.of.attended, waitingSince(s), s.Deadline, m.width-20))),
	})
}

// blocked says why not all of the session can be approved here, "" where it can.
func (r *reviewView) blocked(m *model) string {
	s := &r.of.session
	ops := waitingIn(s, m.isPending)
	if len(ops) == 0 {
		return "decided; u undoes it"
	}
	for _, op := range ops {
		if why := (&operationView{op: *op, contents: r.contents}).undecidable(m.backend, s, m.me, m.now()); why != "" {
			return why
		}
	}
	for _, op := range ops {
		if s.Dangerous(op.N) {
			return fmt.Sprintf("operation %d is dangerous and needs one of its own: ⏎", op.N)
		}
	}
	if r.page.full {
		return "too long for this screen; use `show` and `approve`"
	}
	return ""
}

// status implements view.
func (r *reviewView) status(m *model) []line {
	if why := r.blocked(m); why != "" {
		return []line{format(toneCaution, "Approve is off: %s", why)}
	}
	return []line{r.page.standing()}
}

// key implements view.
func (r *reviewView) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	v := r.of
	switch {
	case key.Matches(k, keyBack):
		v.closeOperation()
	case key.Matches(k, keyApprove), key.Matches(k, keyApproveAll):
		switch why := r.blocked(m); {
		case why != "":
			m.say(format(toneCaution, "Approve is off: %s", why))
		case !r.page.allSeen():
			m.say(own(toneCaution, "Not yet: not all of it has been on the screen."))
		default:
			v.askApproveAll(m)
		}
	case key.Matches(k, keyReject):
		v.askReject(m, waitingIn(&v.session, m.isPending))
	case key.Matches(k, keyOne):
		return v.openOperation(m, r.atTop())
	case key.Matches(k, keyEnv):
		r.proof = !r.proof
		r.draw()
	default:
		r.page.key(k)
	}
	return nil
}

// atTop is the index of the operation that stands at the top of the window.
func (r *reviewView) atTop() int {
	n := r.sections[0].n
	if p := r.page; p.top < len(p.rows) {
		for _, at := range r.sections {
			if at.from <= p.rows[p.top].paragraph {
				n = at.n
			}
		}
	}
	return slices.IndexFunc(r.of.session.Operations, func(op journal.Operation) bool { return op.N == n })
}

// keys implements view.
func (r *reviewView) keys(m *model) []key.Binding {
	rest := []key.Binding{keyReject, keyBack, keyNext, keyOne, keyPage, keyEnv}
	switch {
	case r.of.session.OwnedBy(m.me):
		return []key.Binding{keyPage, keyBack, keyNext, keyOne, keyEnv}
	case r.blocked(m) != "" || !r.page.allSeen():
		return append([]key.Binding{keyPage}, rest...)
	}
	return append([]key.Binding{keyApproveSession}, rest...)
}

// help implements view.
func (*reviewView) help() *page {
	return helpPage("All that waits in a session", append([]key.Binding{keyApproveSession, keyReject, keyOne, keyUndo, keyNow, keyNext, keyEnv, keyMouse, keyLight, keyBack, keyQuit}, scrollKeys...))
}
