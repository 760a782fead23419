package tui

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
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

// usualReasons are offered for a rejection; ↑ and ↓ go through them.
var usualReasons = []string{
	"not now: ask again later",
	"too broad: ask for less",
	"not during business hours",
	"say first what this is for",
	"use a read-only way to find this out",
	"a human will do this",
}

// question is what stands in the middle of the screen until the human has answered it. While it is busy it waits for
// the backend, and nothing but the backend's answer closes it.
type question interface {
	key(m *model, k tea.KeyPressMsg) tea.Cmd
	paste(text string)
	scroll(rows int) // down
	window(m *model, height int) []line
	footer(width int) line
	isBusy() bool
}

// covering is a question that takes the whole body of the screen, and has to be read itself.
type covering interface {
	question
	// layout fits it to the body, and notes what of it is on the screen. It returns how long that has to be there to count as read.
	layout(m *model, height int) time.Duration
}

// dialog asks the human to confirm or to give a reason. What it is about is fixed when it opens.
type dialog struct {
	verdict verdict
	left    line // what waits and is not in the verdict, and why; nil for nothing
	typed   bool // the target's name has to be typed
	field   field
	usual   int  // which of the usual reasons was chosen last, from 1
	up      int  // rows that the text is scrolled up from its end
	width   int  // of the window
	busy    bool // the backend has been asked
	problem line
}

// newDialog asks before a verdict. Danger asks for the target's name, a rejection for its reason.
func newDialog(v verdict) *dialog {
	d := &dialog{verdict: v, field: field{limit: maxReason}}
	for i := range v.subjects {
		if v.approve && v.subjects[i].dangerous() {
			d.typed = true
			d.field.limit = len(v.subjects[i].target) + 16
		}
	}
	return d
}

// key handles a key while the dialog is open.
func (d *dialog) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	d.problem = nil
	switch {
	case d.busy:
		return nil
	case k.Code == tea.KeyPgUp:
		d.up += max(m.bodyHeight()-1, 1)
		return nil
	case k.Code == tea.KeyPgDown:
		d.up = max(d.up-max(m.bodyHeight()-1, 1), 0)
		return nil
	}
	d.up = 0
	switch {
	case d.verdict.approve && !d.typed:
		switch {
		case key.Matches(k, keyYes):
			return m.settleOn(d.verdict)
		case key.Matches(k, keyNo):
			m.dialog = nil
		}
		return nil
	case key.Matches(k, keyCancel):
		m.dialog = nil
		return nil
	case !d.verdict.approve && key.Matches(k, keyArrowUp):
		d.choose(-1)
		return nil
	case !d.verdict.approve && key.Matches(k, keyArrowDown):
		d.choose(1)
		return nil
	case !key.Matches(k, keyEnter):
		d.field.key(k)
		return nil
	case d.verdict.approve && d.field.text != d.verdict.subjects[0].target:
		d.problem = own(toneDanger, "That is not the target's name.")
		return nil
	case !d.verdict.approve && strings.TrimSpace(d.field.text) == "":
		d.problem = own(toneDanger, "A reason is needed: the agent reads it.")
		return nil
	}
	if d.verdict.approve {
		d.verdict.target = d.field.text
	} else {
		d.verdict.reason = strings.TrimSpace(d.field.text)
	}
	return m.settleOn(d.verdict)
}

func (d *dialog) isBusy() bool { return d.busy }

func (d *dialog) paste(text string) { d.field.insert(text) }

func (d *dialog) scroll(rows int) { d.up = max(d.up-rows, 0) }

// choose puts one of the usual reasons into the field, to be sent as it is or edited.
func (d *dialog) choose(step int) {
	n := len(usualReasons)
	if d.usual == 0 && step < 0 {
		d.usual = 1
	}
	d.usual = (d.usual-1+step+n)%n + 1
	d.field.text = usualReasons[d.usual-1]
}

// page is what the dialog says.
func (d *dialog) page(m *model) *page {
	p := newPage()
	d.width = m.width
	d.question(p)
	if d.left != nil {
		p.addProse(nil, d.left)
	}
	switch {
	case d.busy:
		p.addProse(nil, own(toneDim, "Asking the gateway…"))
	case d.typed:
		p.addProse(nil, join(own(toneDanger, "Type the target's name, "), shown(toneStrong, d.verdict.subjects[0].target), own(toneDanger, ", to approve:")))
		p.add(own(toneKey, "> "), d.input())
	case !d.verdict.approve:
		if m.height >= 20 {
			for i, reason := range usualReasons {
				p.add(selector(d.usual == i+1), shown(toneDim, reason))
			}
			p.add(nil, nil)
		}
		p.addProse(nil, own(tonePlain, "Why not? The agent reads it. ↑ ↓ offer reasons:"))
		p.add(own(toneKey, "> "), d.input())
	}
	if d.problem != nil {
		p.addProse(nil, d.problem)
	}
	return p
}

// window is the part of the dialog that is on the screen: its end, with what is typed, unless the human looks further up.
func (d *dialog) window(m *model, height int) []line {
	p := d.page(m)
	p.layout(m.width, height)
	p.scroll(len(p.rows))
	d.up = min(d.up, p.top)
	p.scroll(-d.up)
	lines := p.window()
	if p.top > 0 {
		lines[0] = own(toneMark, "… more above: page up")
	}
	if d.up > 0 {
		lines[len(lines)-1] = own(toneMark, "… more below: page down")
	}
	return lines
}

// question says what is about to be decided, each operation with its risk.
func (d *dialog) question(p *page) {
	all, count := d.verdict.subjects, 0
	for i := range all {
		count += 1 + len(all[i].covers)
	}
	switch {
	case count == 1 && d.verdict.approve:
		p.addProse(nil, join(format(toneStrong, "Run operation %d once, on ", all[0].n), place(all[0].target, all[0].runAs), own(toneStrong, "?")))
	case d.verdict.approve:
		p.addProse(nil, join(format(toneStrong, "Run these %d operations, each once, in this order", count), d.onOne(), own(toneStrong, "?")))
	case count == 1:
		p.addProse(nil, format(toneStrong, "Reject operation %d?", all[0].n))
	default:
		p.addProse(nil, format(toneStrong, "Reject these %d operations?", count))
	}
	if d.verdict.grant != nil {
		d.verdict.grant.spell(p)
	}
	for i := range all {
		s := &all[i]
		for j := range s.covers {
			d.listed(p, &s.covers[j])
		}
		d.listed(p, s)
		if len(all) > 1 || !d.verdict.approve {
			continue
		}
		p.addProse(nil, join(own(riskTone(s.risk), riskWord(s.risk)), own(tonePlain, ": "), line{{tonePlain, render.Stored(s.why)}}))
	}
}

// listed is one operation that the decision covers.
func (d *dialog) listed(p *page, s *subject) {
	number := format(tonePlain, "%3d ", s.n)
	p.add(number, join(d.where(s), own(riskTone(s.risk), riskWord(s.risk)+" "), s.what).fit(d.width-number.cells()))
}

// onOne is where they run, if that is one place.
func (d *dialog) onOne() line {
	all := d.verdict.subjects
	for i := range all {
		if all[i].target != all[0].target || all[i].runAs != all[0].runAs {
			return nil
		}
	}
	return join(own(toneStrong, ", on "), place(all[0].target, all[0].runAs))
}

// where names the session and the place of an operation, where the verdict is about several of them.
func (d *dialog) where(s *subject) line {
	if !slices.ContainsFunc(d.verdict.subjects, func(o subject) bool { return o.session != s.session }) {
		return nil
	}
	return join(shown(toneDim, s.session), own(tonePlain, " "), place(s.target, s.runAs), own(tonePlain, " "))
}

func (d *dialog) input() line {
	return append(shown(tonePlain, d.field.text), span{toneKey, render.Own("█")})
}

// footer are the keys of the dialog.
func (d *dialog) footer(width int) line {
	switch {
	case d.busy:
		return nil
	case d.verdict.approve && !d.typed:
		return join(keyWords(keyYes), own(tonePlain, "  "), keyWords(keyNo)).fit(width)
	}
	return join(keyWords(keyEnter), own(tonePlain, "  "), keyWords(keyCancel)).fit(width)
}

// take takes the backend's answer to a decision.
func (msg decidedMsg) take(m *model) tea.Cmd {
	if m.dialog != nil && m.dialog.isBusy() { // another question stays open
		m.dialog = nil
	}
	for i := range msg.verdict.subjects {
		s := &msg.verdict.subjects[i]
		delete(m.marked, mark{s.session, s.n})
		if msg.results[i].err == nil {
			delete(m.marked, mark{s.session, 0})
			delete(m.read, mark{s.session, s.n})
		}
	}
	m.results.take(&msg, msg.explain)
	v := m.session
	if v == nil || msg.now(v.id) == nil {
		return m.refresh()
	}
	v.take(msg.now(v.id))
	var cmd tea.Cmd
	switch {
	case msg.failed() == len(msg.results): // the screen stays where it was, with what was decided instead
	case v.view != nil && msg.verdict.approve && msg.verdict.about(v.id, v.view.op.N):
		v.view.page.tail = true
		v.view.page.scroll(len(v.view.page.rows))
		cmd = v.view.followResult(m)
	case v.view != nil && msg.verdict.about(v.id, v.view.op.N):
		v.closeOperation()
		v.pane = paneOperations
		m.jumped()
	}
	return tea.Batch(cmd, m.refresh())
}

// about reports whether the verdict is about an operation.
func (v verdict) about(session string, n int) bool {
	return slices.ContainsFunc(v.subjects, func(s subject) bool { return s.session == session && s.n == n })
}

// explain says why a decision did not count: who was faster and what they decided, or what the backend said.
func (msg *decidedMsg) explain(at int) line {
	sub := &msg.verdict.subjects[at]
	if now := msg.now(sub.session); now != nil {
		if op := operationOf(now, sub.n); op != nil && op.Decision != journal.Waiting {
			return join(own(toneDanger, "not decided by you: "), decisionLine(op))
		}
	}
	return join(own(toneDanger, "not decided: "), shown(tonePlain, msg.results[at].err.Error()))
}
