package tui

import (
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/render"
)

// verdict is a decision as the human confirmed it: on one operation or on several, with what was shown of each.
type verdict struct {
	subjects []subject
	approve  bool
	reason   string
	grant    *grantAsked // the standing answer that is asked for with an approval of one operation; nil for none
	target   string      // the name that was typed, where something is dangerous
}

// approval is what the human has said yes to: these operations of one session, as they were shown.
func (v verdict) approval(of []subject) decision.Approval {
	a := decision.Approval{Each: map[int]string{}}
	for i := range of {
		a.Each[of[i].n] = of[i].digest
	}
	if v.target != "" {
		a.Danger = []string{v.target}
	}
	return a
}

// sessions are the verdict's subjects, those of one session together, in their order.
func (v verdict) sessions() (all [][]subject) {
	for _, s := range v.subjects {
		i := slices.IndexFunc(all, func(of []subject) bool { return of[0].session == s.session })
		if i < 0 {
			i, all = len(all), append(all, nil)
		}
		all[i] = append(all[i], s)
	}
	return all
}

// does names what the verdict does, for "Approving operation 1" and the like.
func (v verdict) does(approving, rejecting render.Words) render.Text {
	verb := rejecting
	if v.approve {
		verb = approving
	}
	if len(v.subjects) == 1 {
		return render.Format("%s operation %d", verb, v.subjects[0].n)
	}
	return render.Format("%s %d operations", verb, len(v.subjects))
}

// undoing are the decisions that can still be undone.
type undoing struct{ pending []*pending }

// pending is a verdict that has not been handed to the backend yet, so that it can be undone. It lives on this screen
// alone: where the connection is lost before its time, nothing was decided and everything still waits.
type pending struct {
	verdict verdict
	due     time.Time
	over    bool // sent, or undone
}

// dueMsg says that a verdict's time has come.
type dueMsg struct{ p *pending }

// take implements message.
func (msg dueMsg) take(m *model) tea.Cmd { return m.send(msg.p) }

// settleOn hands a confirmed verdict to the backend: at once, or after the time in which it can be undone.
func (m *model) settleOn(v verdict) tea.Cmd {
	if m.pace.Undo <= 0 {
		if d, ok := m.dialog.(*dialog); ok {
			d.busy = true
		}
		return m.decide(v)
	}
	m.dialog = nil
	p := &pending{verdict: v, due: m.now().Add(m.pace.Undo)}
	m.pending = append(m.pending, p)
	return m.work.command(func() tea.Msg {
		if !pause(m.ctx, m.pace.Undo) {
			return nil
		}
		return dueMsg{p}
	})
}

// send hands a pending verdict to the backend.
func (m *model) send(p *pending) tea.Cmd {
	if p.over {
		return nil
	}
	m.drop(p)
	return m.decide(p.verdict)
}

// drop forgets a pending verdict.
func (u *undoing) drop(p *pending) {
	p.over = true
	u.pending = slices.DeleteFunc(u.pending, func(q *pending) bool { return q == p })
}

// pendingKey handles the keys of what can still be undone, and reports whether k was one.
func (m *model) pendingKey(k tea.KeyPressMsg) (cmd tea.Cmd, taken bool) {
	if len(m.pending) == 0 {
		return nil, false
	}
	last := m.pending[len(m.pending)-1]
	switch {
	case key.Matches(k, keyUndo):
		m.drop(last)
		m.say(format(toneCaution, "Undone: %s. It still waits.", last.verdict.does("not approved:", "not rejected:")))
		return nil, true
	case key.Matches(k, keyNow):
		return m.send(last), true
	}
	return nil, false
}

// isPending reports whether this screen has decided on an operation already.
func (m *undoing) isPending(session string, n int) bool {
	for _, p := range m.pending {
		for i := range p.verdict.subjects {
			if s := &p.verdict.subjects[i]; s.session == session && s.n == n {
				return true
			}
		}
	}
	return false
}

// line says what is about to happen and how to stop it.
func (u *undoing) line(now time.Time, width int) line {
	if len(u.pending) == 0 {
		return nil
	}
	p := u.pending[len(u.pending)-1]
	words := render.Format("%s in %s", p.verdict.does("Approving", "Rejecting"), duration(p.due.Sub(now)+time.Second-1))
	if n := len(u.pending); n > 1 {
		words = render.Format("%s (and %d more)", words, n-1)
	}
	l := join(format(toneCaution, "%s: ", words), keyWords(keyUndo), own(tonePlain, "  "), keyWords(keyNow))
	if p.verdict.reason != "" {
		l = join(l, own(toneDim, "  · "), shown(toneDim, strings.TrimSpace(p.verdict.reason)))
	}
	return l.fit(width)
}

// askLeave ends the screen, unless a decision of the human's has not been handed over yet: then it says so first, and the key
// has to come again.
func (m *model) askLeave(said bool) tea.Cmd {
	if len(m.pending) == 0 || said {
		return m.leave()
	}
	m.leaving = true
	m.say(join(own(toneDanger, "Not handed over yet: "), m.unsent(), own(toneDanger, ". q again leaves, and nothing of it is decided; Y hands it over now.")))
	return nil
}

// unsent names what is decided on this screen alone.
func (u *undoing) unsent() line {
	var l line
	for i, p := range u.pending {
		if i > 0 {
			l = join(l, own(tonePlain, ", "))
		}
		l = join(l, line{{tonePlain, p.verdict.does("approving", "rejecting")}}, own(tonePlain, " of "), shown(tonePlain, p.verdict.subjects[0].session))
	}
	return l
}

// leave ends the screen. What could still be undone is not decided, however the human leaves: by a key, or because the
// connection is lost.
func (m *model) leave() tea.Cmd {
	for _, p := range m.pending {
		p.over = true
	}
	if len(m.pending) > 0 {
		m.farewell = join(own(tonePlain, "Left. Not decided, and it still waits: "), m.unsent(), own(tonePlain, "."))
	}
	m.pending, m.left = nil, true
	return tea.Quit
}
