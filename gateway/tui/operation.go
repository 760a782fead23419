package tui

import (
	"fmt"
	"reflect"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals"
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
}

// operationView is one operation with all its details.
type operationView struct {
	op       approvals.Operation
	page     *page
	wholeEnv bool
}

func newOperationView(s *approvals.Session, op *approvals.Operation) *operationView {
	v := &operationView{op: *op, page: newPage()}
	v.page.replace(describe(s, op, false))
	return v
}

// subject is the operation as it is shown.
func (v *operationView) subject(s *approvals.Session) subject {
	sub := subject{
		session: s.ID, n: v.op.N, digest: v.op.Digest, target: s.Target, risk: v.op.Risk, why: v.op.Why, what: what(&v.op, toneStrong),
	}
	if c := v.op.Command; c != nil {
		sub.target, sub.runAs = c.Target, c.RunAs
	}
	return sub
}

// update takes the operation as it is now and reports whether it is another one than was shown.
func (v *operationView) update(s *approvals.Session, op *approvals.Operation) (changed bool) {
	changed = op.Digest != v.op.Digest || !reflect.DeepEqual(op.Command, v.op.Command)
	v.op = *op
	if changed {
		v.page.seen = nothingSeen
		v.page.top = 0
	}
	v.page.replace(describe(s, op, v.wholeEnv))
	return changed
}

// blocked says why the operation cannot be approved on this screen, "" where it can.
func (v *operationView) blocked(s *approvals.Session, me approvals.Identity) string {
	switch {
	case v.op.Decision != approvals.Waiting:
		return "it does not wait any more"
	case ownSession(s, me):
		return "your own session; another approver decides"
	case v.op.Command == nil:
		return "this screen cannot show this kind of operation"
	case v.op.Digest == "":
		return "no digest was recorded"
	case v.page.full:
		return "too long for this screen; use `show` and `approve`"
	}
	return ""
}

// ownSession reports whether the session is the identity's own, by name or by key.
func ownSession(s *approvals.Session, me approvals.Identity) bool {
	return ownedBy(s.Identity, s.Key, me)
}

func ownedBy(name, key string, me approvals.Identity) bool {
	return name == me.Name || me.Fingerprint != "" && key == me.Fingerprint
}

func (v *operationView) status(s *approvals.Session, me approvals.Identity) line {
	if why := v.blocked(s, me); why != "" {
		return own(toneCaution, "Approve is off: "+why)
	}
	rows, seen := len(v.page.rows), v.page.seenRows()
	switch {
	case seen < rows:
		return own(toneCaution, fmt.Sprintf("%d more lines: space · approve is off", rows-seen))
	case v.page.top+v.page.height < rows:
		return own(toneDim, "All of it has been shown; more below")
	}
	return own(toneDim, "All of it has been shown")
}

// mayApprove reports whether Approve is on.
func (v *operationView) mayApprove(s *approvals.Session, me approvals.Identity) bool {
	return v.blocked(s, me) == "" && v.page.allSeen()
}

// key handles a key on the operation's screen.
func (v *operationView) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	s := &m.session.session
	switch {
	case key.Matches(k, keyBack):
		m.session.view = nil
	case key.Matches(k, keyApprove):
		if !v.mayApprove(s, m.me) {
			if v.blocked(s, m.me) == "" {
				m.say(own(toneCaution, "Not yet: not all of it has been on the screen."))
			}
			return nil
		}
		m.dialog = approveDialog(v.subject(s))
	case key.Matches(k, keyReject):
		return m.askReject(&v.op)
	case key.Matches(k, keyEnv):
		v.wholeEnv = !v.wholeEnv
		v.page.replace(describe(s, &v.op, v.wholeEnv))
	case key.Matches(k, keyNext):
		return m.nextWaiting()
	default:
		v.page.key(k)
	}
	return nil
}

// head is the top of the operation's screen: what state it is in, where and for whom.
func (v *operationView) head(m *model) []line {
	s := &m.session.session
	word, t := decisionWord(v.op.Decision)
	return []line{
		join(own(toneStrong, fmt.Sprintf("Operation %d", v.op.N)), own(tonePlain, " · "), own(riskTone(v.op.Risk), riskWord(v.op.Risk)),
			own(tonePlain, " · "), own(t, word), own(tonePlain, " · "), shown(toneDim, s.ID)),
		join(own(tonePlain, "on "), v.place(s), own(tonePlain, " · "), shown(tonePlain, s.Identity), left(m.now(), s.Deadline)),
	}
}

func (v *operationView) place(s *approvals.Session) line {
	sub := v.subject(s)
	return place(sub.target, sub.runAs)
}
