package tui

import (
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

// approval is what the human has said yes to: this operation, as it was shown.
func (v verdict) approval(s *subject) decision.Approval {
	a := decision.Approval{Each: map[int]string{s.n: s.digest}}
	if v.target != "" {
		a.Danger = []string{v.target}
	}
	return a
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

// pending is a verdict that has not been handed to the backend yet, so that it can be undone. It lives on this screen
// alone: where the connection is lost before its time, nothing was decided and everything still waits.
type pending struct {
	verdict verdict
	due     time.Time
	over    bool // sent, or undone
}

// dueMsg says that a verdict's time has come.
type dueMsg struct{ p *pending }

// settleOn hands a confirmed verdict to the backend: at once, or after the time in which it can be undone.
func (m *model) settleOn(v verdict) tea.Cmd {
	if m.undo <= 0 {
		if d, ok := m.dialog.(*dialog); ok {
			d.busy = true
		}
		return m.decide(v)
	}
	m.dialog = nil
	p := &pending{verdict: v, due: m.now().Add(m.undo)}
	m.pending = append(m.pending, p)
	return m.work.command(func() tea.Msg {
		if !pause(m.ctx, m.undo) {
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
func (m *model) drop(p *pending) {
	p.over = true
	kept := m.pending[:0]
	for _, q := range m.pending {
		if q != p {
			kept = append(kept, q)
		}
	}
	m.pending = kept
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
func (m *model) isPending(session string, n int) bool {
	for _, p := range m.pending {
		for i := range p.verdict.subjects {
			if s := &p.verdict.subjects[i]; s.session == session && s.n == n {
				return true
			}
		}
	}
	return false
}

// pendingLine says what is about to happen and how to stop it.
func (m *model) pendingLine() line {
	if len(m.pending) == 0 {
		return nil
	}
	p := m.pending[len(m.pending)-1]
	words := render.Format("%s in %s", p.verdict.does("Approving", "Rejecting"), duration(p.due.Sub(m.now())+time.Second-1))
	if n := len(m.pending); n > 1 {
		words = render.Format("%s (and %d more)", words, n-1)
	}
	l := join(format(toneCaution, "%s: ", words), keyWords(keyUndo), own(tonePlain, "  "), keyWords(keyNow))
	if p.verdict.reason != "" {
		l = join(l, own(toneDim, "  · "), shown(toneDim, strings.TrimSpace(p.verdict.reason)))
	}
	return l.fit(m.width)
}

// leave ends the screen at the human's wish. What they have confirmed is handed over before.
func (m *model) leave() tea.Cmd {
	m.left = true
	if len(m.pending) == 0 {
		return tea.Quit
	}
	var verdicts []verdict
	for _, p := range m.pending {
		p.over = true
		verdicts = append(verdicts, p.verdict)
	}
	m.pending = nil
	return m.work.command(func() tea.Msg {
		for _, v := range verdicts {
			m.decideOn(v)
		}
		return tea.QuitMsg{}
	})
}

// leaveNow ends the screen at once; what could still be undone is undone.
func (m *model) leaveNow() tea.Cmd {
	for _, p := range m.pending {
		p.over = true
	}
	m.pending, m.left = nil, true
	return tea.Quit
}
