package tui

import (
	"reflect"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// subject is what a decision is about, as it was shown. It does not follow the session's changes.
type subject struct {
	session string
	n       int
	digest  string
	target  string
	runAs   string
	risk    policy.Risk
	why     string
	what    line
	covers  []subject // what is decided with it, in order, and comes before it
}

// dangerous reports whether it, or what is decided with it, is dangerous.
func (s *subject) dangerous() bool {
	return isDanger(s.risk) || slices.ContainsFunc(s.covers, func(c subject) bool { return isDanger(c.risk) })
}

// subjectOf is an operation as it is shown now, with what is decided with it: the changes of files before a command and, where it is
// rejected, the commands that come after a change. What the verdict names itself is left out.
func subjectOf(s *journal.Session, op *journal.Operation, approve bool, named func(n int) bool) subject {
	sub := subject{
		session: s.ID, n: op.N, digest: op.Digest, target: s.Target, risk: op.Risk, why: op.Why, what: what(op, toneStrong),
	}
	if c := op.Command; c != nil {
		sub.target, sub.runAs = c.Target, c.RunAs
	}
	if f := op.File; f != nil {
		sub.target, sub.runAs = f.Target, f.RunAs
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		before := op.Command != nil && slices.Contains(op.Command.Needs, o.N)
		after := !approve && op.File != nil && o.Command != nil && slices.Contains(o.Command.Needs, op.N)
		if o.N != op.N && o.Decision == journal.Waiting && (before || after) && (named == nil || !named(o.N)) {
			c := subjectOf(&journal.Session{ID: s.ID, Target: s.Target}, o, approve, nil)
			sub.covers = append(sub.covers, c)
		}
	}
	return sub
}

// operationView is one operation with all its details.
type operationView struct {
	scrolls
	op       journal.Operation
	page     *page
	wholeEnv bool
	output   *transcript // what it writes, once it was started
	contents *contents
}

// newOperationView opens an operation. One that has been read before need not be read again.
func newOperationView(s *journal.Session, op *journal.Operation, read bool, from *contents) *operationView {
	v := &operationView{op: *op, page: newPage(), contents: from}
	v.draw(s)
	if read {
		v.page.readAll()
	}
	return v
}

// draw describes the operation anew.
func (v *operationView) draw(s *journal.Session) {
	p := describe(s, &v.op, v.wholeEnv, v.contents)
	describeResult(p, s, &v.op, v.output)
	v.page.replace(p)
}

// subject is the operation as it is shown.
func (v *operationView) subject(s *journal.Session) subject { return subjectOf(s, &v.op, true, nil) }

// update takes the operation as it is now and reports whether it is another one than was shown.
func (v *operationView) update(s *journal.Session, op *journal.Operation) (changed bool) {
	changed = op.Digest != v.op.Digest || !reflect.DeepEqual(op.Command, v.op.Command) || !reflect.DeepEqual(op.File, v.op.File)
	v.op = *op
	if changed {
		v.page.forget()
		v.page.top = 0
	}
	v.draw(s)
	return changed
}

// blocked says why the operation cannot be approved on this screen, "" where it can.
func (v *operationView) blocked(m *model) string {
	s := &m.session.session
	switch why := v.undecidable(m.backend, s, m.me, m.now()); {
	case why != "":
		return why
	case m.isPending(s.ID, v.op.N):
		return "decided; u undoes it"
	case v.page.full:
		return "too long for this screen; use `show` and `approve`"
	}
	return ""
}

// undecidable says why nobody could approve the operation here, "" where somebody can.
func (v *operationView) undecidable(b Backend, s *journal.Session, me journal.Identity, now time.Time) string {
	switch {
	case v.op.Decision != journal.Waiting:
		return "it does not wait any more"
	case s.OwnedBy(me):
		return "your own session; another approver decides"
	case b.Obstacle(s) != "":
		return b.Obstacle(s)
	case !s.Deadline.IsZero() && !now.Before(s.Deadline):
		return "its time is up"
	case v.contents.missing() != "":
		return v.contents.missing()
	case v.op.Command == nil && v.op.File == nil:
		return "this screen cannot show this kind of operation"
	case v.op.Digest == "":
		return "no digest was recorded"
	}
	return ""
}

// status says whether it can be approved, and what is in the way.
func (v *operationView) status(m *model) []line { return []line{v.standing(m)} }

func (v *operationView) standing(m *model) line {
	if v.op.Decision != journal.Waiting {
		return v.outcome(m)
	}
	if why := v.blocked(m); why != "" {
		return format(toneCaution, "Approve is off: %s", why)
	}
	return v.page.standing()
}

// standing says how much of the text has not been read, and when that lets it be approved.
func (p *page) standing() line {
	switch unread, first := p.unread(); {
	case unread > 0 && p.inWindow(first) && !p.inWindow(first+unread-1):
		return format(toneCaution, "%d more lines: space · approve is off", unread-p.windowRows())
	case unread > 0 && p.inWindow(first):
		return own(toneCaution, "Read it: approve comes on in a moment")
	case unread > 0:
		return format(toneCaution, "%d more lines: space · approve is off", unread)
	case p.top+p.height < len(p.rows):
		return own(toneDim, "All of it has been shown; more below")
	}
	return own(toneDim, "All of it has been shown")
}

// outcome says what became of an operation that does not wait any more, and whether something else does.
func (v *operationView) outcome(m *model) line {
	l := decisionLine(&v.op)
	if i := firstWaiting(&m.session.session); i >= 0 {
		return join(format(toneCaution, "Operation %d waits for a decision · ", m.session.session.Operations[i].N), l)
	}
	return l
}

// mayApprove reports whether Approve is on.
func (v *operationView) mayApprove(m *model) bool {
	return v.blocked(m) == "" && v.page.allSeen()
}

// key handles a key on the operation's screen.
func (v *operationView) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	s := &m.session.session
	switch {
	case key.Matches(k, keyBack):
		m.session.closeOperation()
	case key.Matches(k, keyApprove):
		if !v.mayApprove(m) {
			if v.blocked(m) == "" {
				m.say(own(toneCaution, "Not yet: not all of it has been on the screen."))
			}
			return nil
		}
		m.dialog = newDialog(verdict{subjects: []subject{v.subject(s)}, approve: true})
	case key.Matches(k, keyGrant):
		if !v.mayApprove(m) {
			m.say(own(toneCaution, "Not yet: what is not read to its end cannot be granted either."))
			return nil
		}
		return v.askGrant(m)
	case key.Matches(k, keyReject):
		return m.askReject(&v.op)
	case key.Matches(k, keyEnv):
		v.wholeEnv = !v.wholeEnv
		v.draw(s)
	default:
		v.page.key(k)
	}
	return nil
}

// head is the top of the operation's screen: what state it is in, where and for whom.
func (v *operationView) head(m *model) []line {
	s := &m.session.session
	word, t := decisionWord(v.op.Decision)
	return roomy(m, []line{
		join(format(toneStrong, "Operation %d", v.op.N), own(tonePlain, " · "), own(riskTone(v.op.Risk), riskWord(v.op.Risk)),
			own(tonePlain, " · "), own(t, word), own(tonePlain, " · "), shown(toneDim, s.ID)),
		join(own(tonePlain, "on "), v.place(s), own(tonePlain, " · "), shown(tonePlain, s.Identity), behind(lasting(m.now(), s.Status, m.session.attended, waitingSince(s), s.Deadline, m.width-20))),
	})
}

// roomy puts an empty row below a head where the window has rows to spare.
func roomy(m *model, head []line) []line {
	if m.height >= 20 {
		return append(head, nil)
	}
	return head
}

func (v *operationView) place(s *journal.Session) line {
	sub := v.subject(s)
	return place(sub.target, sub.runAs)
}

// keys are those that do something now, the most important first.
func (v *operationView) keys(m *model) []key.Binding {
	s, rest := &m.session.session, []key.Binding{keyBack, keyNext, keyPage, keyEnv}
	switch {
	case v.mayApprove(m):
		return append([]key.Binding{keyApprove, keyReject, keyGrant}, rest...)
	case v.op.Decision == journal.Waiting && !s.OwnedBy(m.me):
		return append([]key.Binding{keyPage, keyReject}, keyBack, keyNext, keyEnv)
	}
	return rest
}

// help implements view.
func (*operationView) help() *page {
	return helpPage("An operation", append([]key.Binding{keyApprove, keyGrant, keyReject, keyUndo, keyNow, keyNext, keyEnv, keyMouse, keyLight, keyBack, keyQuit}, scrollKeys...))
}

// text implements view.
func (v *operationView) text() *page { return v.page }
