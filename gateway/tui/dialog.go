package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
)

// maxReason bounds a rejection's reason, in bytes.
const maxReason = 1000

// field is one line that the human types. Only printable characters get in.
type field struct {
	text  string
	limit int // bytes
}

// insert adds what is printable of s while it fits. Line ends and tabs become spaces.
func (f *field) insert(s string) {
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			r = ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			continue
		}
		if len(f.text)+utf8.RuneLen(r) > f.limit {
			return
		}
		f.text += string(r)
	}
}

// key edits the field.
func (f *field) key(k tea.KeyPressMsg) {
	switch k.String() {
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(f.text)
		f.text = f.text[:len(f.text)-n]
	case "ctrl+u":
		f.text = ""
	case "ctrl+w":
		f.text = f.text[:strings.LastIndexByte(strings.TrimRight(f.text, " "), ' ')+1]
	default:
		if k.Mod&^tea.ModShift == 0 {
			f.insert(k.Text)
		}
	}
}

// dialog asks the human to confirm or to give a reason. What it is about is fixed when it opens.
type dialog struct {
	subject subject
	approve bool
	typed   bool // the target's name has to be typed
	field   field
	busy    bool // the backend has been asked
	problem line
}

// approveDialog asks before an approval. Danger asks for the target's name.
func approveDialog(s subject) *dialog {
	d := &dialog{subject: s, approve: true}
	if riskOrder(s.risk) >= riskOrder(policy.Danger) {
		d.typed = true
		d.field.limit = len(s.target) + 16
	}
	return d
}

// rejectDialog asks for the reason of a rejection.
func rejectDialog(s subject) *dialog {
	return &dialog{subject: s, field: field{limit: maxReason}}
}

// key handles a key while the dialog is open.
func (d *dialog) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	d.problem = nil
	switch {
	case d.busy:
		return nil
	case d.approve && !d.typed:
		switch {
		case key.Matches(k, keyYes):
			return d.confirm(m, "")
		case key.Matches(k, keyNo):
			m.dialog = nil
		}
		return nil
	case key.Matches(k, keyCancel):
		m.dialog = nil
		return nil
	case !key.Matches(k, keyEnter):
		d.field.key(k)
		return nil
	case d.approve && d.field.text != d.subject.target:
		d.problem = own(toneDanger, "That is not the target's name.")
		return nil
	case !d.approve && strings.TrimSpace(d.field.text) == "":
		d.problem = own(toneDanger, "A reason is needed: the agent reads it.")
		return nil
	}
	return d.confirm(m, strings.TrimSpace(d.field.text))
}

// confirm hands the decision to the backend, once.
func (d *dialog) confirm(m *model, reason string) tea.Cmd {
	d.busy = true
	return m.decide(d.subject, d.approve, reason)
}

// page is what the dialog says.
func (d *dialog) page() *page {
	s, p := d.subject, newPage()
	if d.approve {
		p.addProse(nil, join(own(toneStrong, fmt.Sprintf("Run operation %d once, on ", s.n)), place(s.target, s.runAs), own(toneStrong, "?")))
	} else {
		p.addProse(nil, own(toneStrong, fmt.Sprintf("Reject operation %d?", s.n)))
	}
	what, rest := s.what.split(200)
	if len(rest) > 0 {
		what = append(what, span{toneMark, "… (esc shows all of it)"})
	}
	p.add(own(tonePlain, "  "), what)
	if d.approve {
		p.addProse(nil, join(own(riskTone(s.risk), riskWord(s.risk)), own(tonePlain, ": "), shown(tonePlain, s.why)))
		p.add(own(toneDim, "digest "), shown(toneDim, s.digest).fit(24))
	}
	switch {
	case d.busy:
		p.addProse(nil, own(toneDim, "Asking the gateway…"))
	case d.typed:
		p.addProse(nil, join(own(toneDanger, "Type the target's name, "), shown(toneStrong, s.target), own(toneDanger, ", to approve:")))
		p.add(own(toneKey, "> "), d.input())
	case !d.approve:
		p.addProse(nil, own(tonePlain, "Why not? The agent reads it:"))
		p.add(own(toneKey, "> "), d.input())
	}
	if d.problem != nil {
		p.addProse(nil, d.problem)
	}
	return p
}

func (d *dialog) input() line {
	return append(shown(tonePlain, d.field.text), span{toneKey, "█"})
}

// footer are the keys of the dialog.
func (d *dialog) footer(width int) line {
	switch {
	case d.busy:
		return nil
	case d.approve && !d.typed:
		return join(keyWords(keyYes), own(tonePlain, "  "), keyWords(keyNo)).fit(width)
	}
	return join(keyWords(keyEnter), own(tonePlain, "  "), keyWords(keyCancel)).fit(width)
}

// answered takes the backend's answer to a decision.
func (m *model) answered(msg decidedMsg) tea.Cmd {
	m.dialog = nil
	if m.session == nil || m.session.id != msg.subject.session {
		if msg.err != nil {
			m.say(m.explain(msg))
		}
		return m.refresh()
	}
	if msg.err != nil {
		if msg.known {
			m.session.take(&msg.session)
		}
		m.say(m.explain(msg))
		return m.refresh()
	}
	m.session.view = nil
	m.session.take(&msg.session)
	if msg.approve {
		m.session.pane = paneOutput
		m.say(own(toneSafe, fmt.Sprintf("Approved operation %d. Its output follows here.", msg.subject.n)))
	} else {
		m.session.pane = paneOperations
		m.say(own(toneCaution, fmt.Sprintf("Rejected operation %d.", msg.subject.n)))
	}
	return m.refresh()
}

// explain says why a decision did not count: who was faster and what they decided, or what the backend said.
func (m *model) explain(msg decidedMsg) line {
	if msg.known {
		for i := range msg.session.Operations {
			op := &msg.session.Operations[i]
			if op.N == msg.subject.n && op.Decision != approvals.Waiting {
				return join(own(toneDanger, fmt.Sprintf("Not decided by you. Operation %d: ", op.N)), decisionLine(op))
			}
		}
	}
	return join(own(toneDanger, "Nothing was decided: "), shown(tonePlain, msg.err.Error()))
}
