package tui

import (
	"errors"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// grantTimes are how long a standing answer may last; 0 is for the session alone.
var grantTimes = []time.Duration{0, 30 * time.Minute, time.Hour, 8 * time.Hour, 24 * time.Hour}

// grantAsked is a standing answer as it was spelled out to the human.
type grantAsked struct {
	spec  grants.Spec
	words render.Text // the grant's own
}

// spell writes what will run without being asked about.
func (g *grantAsked) spell(p *page) {
	p.addProse(nil, own(toneCaution, "And from then on, without asking:"))
	p.add(own(tonePlain, "  "), line{{toneStrong, g.words}})
}

// grantOn approves an operation and makes the standing answer that goes with it.
func (m *surroundings) grantOn(v verdict, s *subject) result {
	now, made, err := m.backend.ApproveGranting(m.ctx, s.session, m.me, s.n, v.approval([]subject{*s}), v.grant.spec)
	r := result{session: now, err: err, known: err == nil}
	switch {
	case errors.Is(err, grants.ErrNotGranted):
		r.err, r.known = nil, now.ID != ""
		r.told = join(own(toneDanger, "It was not granted: "), shown(tonePlain, err.Error()))
	case err == nil:
		r.told = format(toneCaution, "Grant %d is in force; revoke %d takes it back.", made.N, made.N)
	}
	return r
}

// grantDialog asks what else may run without a question, and spells it out. The human can confirm it once all of that has
// been on the screen.
type grantDialog struct {
	subject  subject
	session  journal.Session
	argv     []string
	vary     []int
	time     int // index in grantTimes
	grant    *grants.Grant
	problem  render.Text // why it cannot be granted like that, rendered
	page     *page
	asking   int // number of the question to the backend
	answered int
}

// grantMsg is the backend's answer to what a grant would be.
type grantMsg struct {
	to    *grantDialog
	asked int
	grant grants.Grant
	err   error
}

// askGrant opens the dialog for the open operation.
func (v *operationView) askGrant(m *model) tea.Cmd {
	if v.op.Command == nil {
		m.say(own(toneCaution, "Only a command can be granted."))
		return nil
	}
	d := &grantDialog{subject: v.subject(&m.session.session), session: m.session.session, argv: v.op.Command.Argv, page: newPage()}
	m.dialog = d
	return d.preview(m)
}

// spec is what the human has chosen.
func (d *grantDialog) spec() grants.Spec {
	s := grants.Spec{Kind: grants.Exact, For: grantTimes[d.time]}
	if len(d.vary) > 0 {
		s.Kind, s.Vary = grants.Shape, slices.Clone(d.vary)
	}
	return s
}

// preview asks the backend to spell the grant out.
func (d *grantDialog) preview(m *model) tea.Cmd {
	d.grant, d.problem = nil, render.Text{}
	d.asking++
	asked, spec, n := d.asking, d.spec(), d.subject.n
	d.draw()
	return m.work.command(func() tea.Msg {
		g, err := m.backend.PreviewGrant(d.session, n, m.me, spec)
		return grantMsg{d, asked, g, err}
	})
}

// take takes the backend's answer, unless the human has chosen otherwise since.
func (msg grantMsg) take(m *model) tea.Cmd {
	d := msg.to
	if m.dialog != question(d) || msg.asked != d.asking {
		return nil
	}
	d.answered = msg.asked
	if msg.err != nil {
		d.problem = render.Line(msg.err.Error())
	} else {
		d.grant = &msg.grant
	}
	d.draw()
	return nil
}

// draw writes the dialog anew. What has been read has to be read again.
func (d *grantDialog) draw() {
	p := newPage()
	p.addProse(nil, format(toneStrong, "Approve operation %d, and let this run without asking from then on?", d.subject.n))
	switch {
	case !d.problem.Empty():
		p.addProse(own(toneDanger, "  ! "), line{{toneDanger, d.problem}})
	case d.grant == nil:
		p.addProse(nil, own(toneDim, "Asking the gateway…"))
	default:
		p.add(own(tonePlain, "  "), line{{toneStrong, render.Stored(d.grant.String())}})
	}
	p.add(nil, nil)
	words := own(tonePlain, "For how long, ← →:")
	for i, t := range grantTimes {
		name := "this session"
		if t > 0 {
			name = duration(t)
		}
		if i == d.time {
			words = join(words, format(toneTab, " %s ", name))
		} else {
			words = join(words, format(toneDim, " %s ", name))
		}
	}
	p.addProse(nil, words)
	p.addProse(nil, own(tonePlain, "Words that may be another number or name, by their digit:"))
	for i, w := range d.argv {
		mark := render.Words("   ")
		if slices.Contains(d.vary, i) {
			mark = " * "
		}
		gutter := format(toneDim, "   %s", mark)
		if i > 0 && i < 10 {
			gutter = join(format(toneKey, "%3d", i), own(toneKey, mark))
		}
		p.add(gutter, line{{tonePlain, render.Argv([]string{w})}})
	}
	p.addProse(nil, join(own(riskTone(d.subject.risk), riskWord(d.subject.risk)), own(tonePlain, ": "), line{{tonePlain, render.Stored(d.subject.why)}}))
	top := d.page.top
	d.page.replace(p)
	d.page.forget()
	d.page.scroll(top - d.page.top)
}

// key handles a key while the dialog is open.
func (d *grantDialog) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, keyNo):
		m.dialog = nil
	case k.Code == tea.KeyLeft:
		d.time = max(d.time-1, 0)
		return d.preview(m)
	case k.Code == tea.KeyRight:
		d.time = min(d.time+1, len(grantTimes)-1)
		return d.preview(m)
	case k.Code >= '1' && k.Code <= '9':
		n := int(k.Code - '0')
		if n >= len(d.argv) {
			return nil
		}
		if i := slices.Index(d.vary, n); i >= 0 {
			d.vary = slices.Delete(d.vary, i, i+1)
		} else {
			d.vary = append(d.vary, n)
		}
		return d.preview(m)
	case key.Matches(k, keyYes):
		return d.confirm(m)
	default:
		d.page.key(k)
	}
	return nil
}

// confirm goes on to the approval, where what was spelled out has been read.
func (d *grantDialog) confirm(m *model) tea.Cmd {
	switch {
	case d.grant == nil && d.problem.Empty():
		return nil
	case d.grant == nil:
		m.say(own(toneCaution, "It cannot be granted like that; esc, then a approves it alone."))
		return nil
	case !d.page.allSeen():
		m.say(own(toneCaution, "Not yet: space shows the rest of what would be granted."))
		return nil
	}
	v := verdict{subjects: []subject{d.subject}, approve: true, grant: &grantAsked{spec: d.spec(), words: render.Stored(d.grant.String())}}
	next := newDialog(v)
	m.dialog = next
	if next.typed {
		return nil
	}
	return m.settleOn(v)
}

func (d *grantDialog) isBusy() bool { return false }

func (d *grantDialog) paste(string) {}

func (d *grantDialog) scroll(rows int) { d.page.scroll(rows) }

// layout implements covering.
func (d *grantDialog) layout(m *model, height int) time.Duration {
	d.page.layout(m.width, height)
	return d.page.markSeen(m.now(), m.pace.Read)
}

// window is the part of the dialog that is on the screen.
func (d *grantDialog) window(*model, int) []line { return d.page.window() }

func (d *grantDialog) footer(width int) line {
	if d.page.allSeen() && d.grant != nil {
		return join(own(toneKey, "y"), own(tonePlain, " yes, run it and grant that  "), keyWords(keyNo)).fit(width)
	}
	return join(keyWords(keyPage), own(tonePlain, "  "), keyWords(keyNo)).fit(width)
}
