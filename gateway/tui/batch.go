package tui

import (
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// mark names an operation of a session.
type mark struct {
	session string
	n       int
}

// maxRead bounds how many operations are remembered as read.
const maxRead = 10_000

// noteRead remembers that all of the open operation has been on the screen, by its digest.
func (m *model) noteRead() {
	s, v := &m.session.session, m.session.view
	if !v.page.allSeen() || v.undecidable(m.backend, s, m.me) != "" {
		return
	}
	if len(m.read) >= maxRead {
		clear(m.read)
	}
	m.read[mark{s.ID, v.op.N}] = v.subject(s)
}

// wasRead reports whether all of this very operation has been on the screen before.
func (m *model) wasRead(s *journal.Session, op *journal.Operation) bool {
	return op.Digest != "" && m.read[mark{s.ID, op.N}].digest == op.Digest
}

// waitingOf are the operations of a session that wait and that the human may decide: the marked ones, or all where
// none is.
func (m *model) waitingOf(s *journal.Session) []*journal.Operation {
	if s.OwnedBy(m.me) {
		return nil
	}
	var all, marked []*journal.Operation
	for i := range s.Operations {
		op := &s.Operations[i]
		if op.Decision != journal.Waiting || m.isPending(s.ID, op.N) {
			continue
		}
		all = append(all, op)
		if m.marked[mark{s.ID, op.N}] {
			marked = append(marked, op)
		}
	}
	if len(marked) > 0 {
		return marked
	}
	return all
}

// askApproveAll asks about the marked operations of the open session that have been read, or all that have.
func (m *model) askApproveAll() {
	s := &m.session.session
	ops := m.waitingOf(s)
	var read []subject
	for _, op := range ops {
		if v := (operationView{op: *op}); m.wasRead(s, op) && v.undecidable(m.backend, s, m.me) == "" {
			read = append(read, v.subject(s))
		}
	}
	m.askApprove(read, len(ops))
}

// askApprove asks about operations that have been read, out of so many that wait.
func (m *model) askApprove(read []subject, waiting int) {
	switch {
	case waiting == 0:
		m.say(own(toneCaution, "Nothing here waits for you."))
	case len(read) == 0:
		m.say(format(toneCaution, "None of the %d has been read to its end: ⏎ opens one, n the next.", waiting))
	case len(read) > 1 && severalTargets(read):
		m.say(own(toneCaution, "They are dangerous and for several targets: decide them one by one."))
	default:
		d := newDialog(verdict{subjects: read, approve: true})
		d.left = waiting - len(read)
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

// askApproveAll asks about everything of the chosen sessions that has been read.
func (b *inbox) askApproveAll(m *model) {
	var read []subject
	waiting := 0
	for _, r := range b.chosen(m) {
		waiting += r.waiting
		for _, w := range r.ops {
			if s, ok := m.read[mark{r.id, w.n}]; ok && s.digest == w.digest && !m.isPending(r.id, w.n) {
				read = append(read, s)
			}
		}
	}
	m.askApprove(read, waiting)
}

// askRejectAll asks for a reason to reject everything that waits in the marked sessions, or in the selected one.
func (b *inbox) askRejectAll(m *model) {
	var subjects []subject
	for _, r := range b.chosen(m) {
		if !m.marked[mark{r.id, 0}] && r.id != b.selected {
			continue
		}
		for _, w := range r.ops {
			if !m.isPending(r.id, w.n) {
				subjects = append(subjects, subject{session: r.id, n: w.n, digest: w.digest, target: r.target, runAs: r.runAs, risk: r.risk, what: r.what})
			}
		}
	}
	if len(subjects) == 0 {
		m.say(own(toneCaution, "Nothing here waits for you."))
		return
	}
	m.dialog = newDialog(verdict{subjects: subjects})
}

// askRejectAll asks for a reason to reject the marked operations of the open session, or all that wait.
func (m *model) askRejectAll() {
	s := &m.session.session
	var subjects []subject
	for _, op := range m.waitingOf(s) {
		subjects = append(subjects, (&operationView{op: *op}).subject(s))
	}
	if len(subjects) == 0 {
		m.say(own(toneCaution, "Nothing here waits for you."))
		return
	}
	m.dialog = newDialog(verdict{subjects: subjects})
}

// severalTargets reports whether something dangerous is among operations on different targets, so that no one name
// can be typed for all of them.
func severalTargets(all []subject) bool {
	danger := false
	for i := range all {
		danger = danger || isDanger(all[i].risk)
	}
	for i := range all {
		if danger && all[i].target != all[0].target {
			return true
		}
	}
	return false
}

func isDanger(r policy.Risk) bool { return riskOrder(r) >= riskOrder(policy.Danger) }

// toggleMark marks an operation, or unmarks it.
func (m *model) toggleMark(k mark) {
	if m.marked[k] {
		delete(m.marked, k)
	} else if len(m.marked) < maxRead {
		m.marked[k] = true
	}
}

// readOf is how many of the operations that wait in a session have been read.
func (m *model) readOf(r *summary) int {
	n := 0
	for _, w := range r.ops {
		if s, ok := m.read[mark{r.id, w.n}]; ok && s.digest == w.digest {
			n++
		}
	}
	return n
}
