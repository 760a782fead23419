package tui

import (
	"slices"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// mark names an operation of a session.
type mark struct {
	session string
	n       int
}

// memory is what the human has read and marked.
type memory struct {
	read   map[mark]subject // what has been on the screen in full
	marked map[mark]bool    // operations, and sessions as operation 0
}

func newMemory() memory { return memory{map[mark]subject{}, map[mark]bool{}} }

// maxRead bounds how many operations are remembered as read.
const maxRead = 10_000

// reads is a page that notes which operations have been on it to their end.
type reads interface{ noteRead(m *model) }

// noteRead remembers that all of the operation has been on the screen, and how it ended.
func (v *operationView) noteRead(m *model) {
	if v.page.allSeen() {
		v.remember(m, &m.session.session)
	}
	if m.dialog == nil {
		m.results.onPage(m.session.id, v.op.N)
	}
}

// remember notes that all of the operation was read, by its digest.
func (v *operationView) remember(m *model, s *journal.Session) {
	if v.undecidable(m.backend, s, m.me, m.now()) != "" {
		return
	}
	if len(m.read) >= maxRead {
		clear(m.read)
	}
	m.read[mark{s.ID, v.op.N}] = v.subject(s)
}

// wasRead reports whether all of this very operation has been on the screen before.
func (m *memory) wasRead(s *journal.Session, op *journal.Operation) bool {
	return op.Digest != "" && m.read[mark{s.ID, op.N}].digest == op.Digest
}

// askApproveAll asks about all that waits in the open session, which must have been read. It takes a session as a whole or not at
// all, and never danger.
func (v *sessionView) askApproveAll(m *model) {
	s := &v.session
	ops := waitingIn(s, m.isPending)
	var read []subject
	for _, op := range ops {
		view := operationView{op: *op}
		switch why := view.undecidable(m.backend, s, m.me, m.now()); {
		case why != "":
			m.say(format(toneCaution, "Approve is off: operation %d: %s.", op.N, why))
			return
		case s.Dangerous(op.N):
			m.say(format(toneCaution, "A never takes danger: operation %d needs an approval of its own.", op.N))
			return
		case m.wasRead(s, op):
			read = append(read, view.subject(s))
		}
	}
	switch {
	case len(ops) == 0:
		m.say(own(toneCaution, "Nothing here waits for you."))
	case len(read) < len(ops):
		m.say(format(toneCaution, "%d of the %d have been read to their end, and A takes all of a session or nothing: n goes to the next.", len(read), len(ops)))
	default:
		m.dialog = newDialog(verdict{subjects: uncovered(read), approve: true})
	}
}

// uncovered are subjects without those that others of them cover, so that none is named twice.
func uncovered(all []subject) []subject {
	named := func(session string, n int) bool {
		return slices.ContainsFunc(all, func(s subject) bool { return s.session == session && s.n == n })
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].covers = slices.DeleteFunc(slices.Clone(all[i].covers), func(c subject) bool { return named(c.session, c.n) })
	}
	return all
}

// waitingIn are the operations of a session that wait and that this screen has not decided on.
func waitingIn(s *journal.Session, decided func(session string, n int) bool) (ops []*journal.Operation) {
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Decision == journal.Waiting && !decided(s.ID, op.N) {
			ops = append(ops, op)
		}
	}
	return ops
}

// marked are the operations of the session that wait and are marked.
func (v *sessionView) marked(m *model) []*journal.Operation {
	s := &v.session
	return slices.DeleteFunc(waitingIn(s, m.isPending), func(op *journal.Operation) bool { return !m.marked[mark{s.ID, op.N}] })
}

// askApproveAll asks about the chosen sessions of which everything has been read, and nothing is dangerous.
func (b *inbox) askApproveAll(m *model) {
	var read []subject
	chosen, danger, unread := b.chosen(m), 0, 0
	for _, r := range chosen {
		switch n := m.readOf(r); {
		case isDanger(r.risk):
			danger++
		case n < r.waiting || slices.ContainsFunc(r.ops, func(w waits) bool { return m.isPending(r.id, w.n) }):
			unread++
		default:
			for _, w := range r.ops {
				read = append(read, m.read[mark{r.id, w.n}])
			}
		}
	}
	var left line
	if danger+unread > 0 {
		left = format(toneCaution, "Left out: %d with danger, %d not read to their end. A takes whole sessions, and never danger.", danger, unread)
	}
	switch {
	case len(chosen) == 0:
		m.say(own(toneCaution, "Nothing here waits for you."))
	case len(read) == 0:
		m.say(left)
	default:
		d := newDialog(verdict{subjects: uncovered(read), approve: true})
		d.left = left
		m.dialog = d
	}
}

// chosen are the sessions of the list that a decision on several is about: the marked ones, else all that are listed.
func (b *inbox) chosen(m *model) []*summary {
	var all, marked []*summary
	for i := range b.shown {
		r := &b.shown[i]
		if r.waiting == 0 || r.ownedBy(m.me) {
			continue
		}
		all = append(all, r)
		if m.marked[mark{r.id, 0}] {
			marked = append(marked, r)
		}
	}
	if len(marked) > 0 {
		return marked
	}
	return all
}

// askRejectAll asks for a reason to reject everything that waits in the marked sessions.
func (b *inbox) askRejectAll(m *model) {
	var subjects []subject
	for i := range b.shown {
		r := &b.shown[i]
		if r.waiting == 0 || r.ownedBy(m.me) || !m.marked[mark{r.id, 0}] {
			continue
		}
		for _, w := range r.ops {
			if !m.isPending(r.id, w.n) {
				subjects = append(subjects, subject{session: r.id, n: w.n, digest: w.digest, target: r.target, runAs: r.runAs, risk: w.risk, what: w.what})
			}
		}
	}
	m.askRejectMarked(subjects)
}

// askRejectAll asks for a reason to reject the marked operations of the open session.
func (v *sessionView) askRejectAll(m *model) {
	s := &v.session
	if s.OwnedBy(m.me) {
		m.say(own(toneCaution, "Your own session: another approver decides."))
		return
	}
	var subjects []subject
	ops := v.marked(m)
	for _, op := range ops {
		subjects = append(subjects, subjectOf(s, op, false, nil))
	}
	m.askRejectMarked(uncovered(subjects))
}

// askReject asks for a reason to reject operations of the session.
func (v *sessionView) askReject(m *model, ops []*journal.Operation) {
	s := &v.session
	switch {
	case s.OwnedBy(m.me):
		m.say(own(toneCaution, "Your own session: another approver decides."))
		return
	case len(ops) == 0:
		m.say(own(toneCaution, "You have decided on it; u undoes that."))
		return
	}
	var subjects []subject
	for _, op := range ops {
		subjects = append(subjects, subjectOf(s, op, false, nil))
	}
	m.dialog = newDialog(verdict{subjects: uncovered(subjects)})
}

func (m *model) askRejectMarked(subjects []subject) {
	if len(subjects) == 0 {
		m.say(own(toneCaution, "Nothing is marked: v marks what R is to reject."))
		return
	}
	m.dialog = newDialog(verdict{subjects: subjects})
}

func isDanger(r policy.Risk) bool { return riskOrder(r) >= riskOrder(policy.Danger) }

// toggleMark marks an operation, or unmarks it.
func (m *memory) toggleMark(k mark) {
	if m.marked[k] {
		delete(m.marked, k)
	} else if len(m.marked) < maxRead {
		m.marked[k] = true
	}
}

// readOf is how many of the operations that wait in a session have been read.
func (m *memory) readOf(r *summary) int {
	n := 0
	for _, w := range r.ops {
		if s, ok := m.read[mark{r.id, w.n}]; ok && s.digest == w.digest {
			n++
		}
	}
	return n
}
