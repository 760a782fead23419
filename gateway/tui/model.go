package tui

import (
	"context"
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

const (
	// Below this the screen shows nothing but how large it must be.
	minWidth, minHeight = 20, 8
	// noteRows is how many rows a note may take.
	noteRows = 4
)

// model is the whole screen. Only Bubble Tea's loop touches it.
type model struct {
	surroundings
	window
	looking
	newsroom
	bell
	appearance
	undoing
	memory
	reader
	results results

	inbox   inbox
	session *sessionView // nil while the list is shown
	pages   []view       // on top of it; see show
	dialog  question
	speech
}

// surroundings are what a screen is part of.
type surroundings struct {
	ctx     context.Context
	work    *workers
	backend Backend
	me      journal.Identity
	now     func() time.Time
	pace    Pace
	events  <-chan events.Event
}

// window is the size of the terminal, in cells.
type window struct{ width, height int }

// looking is where the looks at the backend stand, and whether there will be more.
type looking struct {
	loading bool // one is under way
	stale   bool // and is out of date already
	over    bool // the gateway stops: no events come any more
	left    bool // the human has left
	// farewell is written once the terminal is the human's own again, nil for nothing.
	farewell line
}

// appearance is how the screen looks and what it asks of the terminal.
type appearance struct {
	mouse bool // the terminal is asked to report its mouse
	light bool // colours for a light background
}

// speech is what the screen says besides what it shows, and what the next key may mean by it.
type speech struct {
	note    line      // until the next key
	next    string    // the session that `n` goes to, once it has been named
	leaving bool      // that leaving decides nothing has been said
	dead    time.Time // until then keys that decide do nothing
}

func newModel(ctx context.Context, work *workers, o Options) *model {
	m := &model{
		surroundings: surroundings{ctx: ctx, work: work, backend: o.Backend, me: o.Identity, now: o.Now, pace: o.Pace},
		bell:         bell{alert: o.Alert}, appearance: appearance{light: o.Light}, memory: newMemory(),
	}
	m.width, m.height = clampSize(o.Window.Width, o.Window.Height)
	// Before the first look, so that nothing is missed in between.
	m.events = o.Backend.Subscribe(ctx, o.Identity)
	switch {
	case journal.IsGroup(o.Session):
		m.inbox.search = ofGroup(o.Session)
	case o.Session != "":
		m.session = newSessionView(o.Backend, o.Session, true)
	}
	return m
}

// Init starts what runs beside the screen.
func (m *model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.refresh(), m.awaitEvent(), m.tick()}
	if m.session != nil {
		cmds = append(cmds, m.session.startFollowing(m))
	}
	return tea.Batch(cmds...)
}

// Update takes a message.
func (m *model) Update(msg tea.Msg) tea.Cmd {
	cmd := tea.Batch(m.handle(msg), m.await(m, m.layout()))
	if m.session != nil {
		cmd = tea.Batch(cmd, m.session.awaitContents(m.work))
	}
	return cmd
}

func (m *model) handle(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = clampSize(msg.Width, msg.Height)
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case tea.MouseClickMsg:
		return m.click(msg)
	case message:
		return msg.take(m)
	}
	return nil
}

// paste gives pasted text to what is typed into.
func (m *model) paste(text string) {
	if m.dialog != nil && !m.dialog.isBusy() {
		m.dialog.paste(text)
	} else if p := m.typing(); p != nil {
		p.field.insert(text)
		m.inbox.settle()
	}
}

// key gives a key to what is on top.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	crossing, leaving := m.next, m.leaving
	m.note, m.next, m.leaving = nil, "", false
	m.noteResults()
	switch {
	case key.Matches(k, keyQuit):
		return m.leave()
	case m.settling() && m.decides(k):
		m.say(own(toneCaution, "The screen has just changed by itself: look at it, and press the key again."))
		return nil
	case m.tooSmall():
		if key.Matches(k, keyLeave) {
			return m.leave()
		}
		return nil
	case m.dialog != nil:
		return m.dialog.key(m, k)
	case m.typing() != nil && m.top().text() != nil:
		m.top().text().findKey(k)
		return nil
	case m.typing() != nil:
		return m.top().key(m, k)
	case m.top().text().finding() && key.Matches(k, keyCancel):
		m.top().text().find = finder{}
		return nil
	case m.helping():
		return m.top().key(m, k)
	case key.Matches(k, keyHelp):
		m.show(&helpView{of: m.top(), page: m.top().help()})
		return nil
	}
	if cmd, taken := m.pendingKey(k); taken {
		return cmd
	}
	switch {
	case key.Matches(k, keyNext):
		return m.nextWaiting(crossing)
	case m.top() == view(&m.inbox) && key.Matches(k, keyLeave):
		return m.askLeave(leaving)
	case key.Matches(k, keySeen) && m.results.clear():
		return nil
	}
	if key.Matches(k, keyLight) {
		m.light = !m.light
		return nil
	}
	if key.Matches(k, keyMouse) {
		if m.mouse = !m.mouse; m.mouse {
			m.say(own(tonePlain, "The mouse scrolls and selects here; hold shift to select text."))
		} else {
			m.say(own(tonePlain, "The mouse is the terminal's own again."))
		}
		return nil
	}
	return m.top().key(m, k)
}

// say shows a note until the next key.
func (m *model) say(l line) { m.note = l }

// openID is the session that is open, "" for none.
func (m *model) openID() string {
	if m.session == nil {
		return ""
	}
	return m.session.id
}

// open shows a session; with look, what waits in it.
func (m *model) open(id string, look bool) tea.Cmd {
	m.closeSession()
	m.pages = nil
	m.session = newSessionView(m.backend, id, look)
	return tea.Batch(m.refresh(), m.session.startFollowing(m))
}

func (m *model) closeSession() {
	if m.session != nil {
		m.session.close()
	}
	m.session, m.dialog = nil, nil
}

// opened is the number of the open operation, 0 for none.
func (v *sessionView) opened() int {
	if v.view == nil {
		return 0
	}
	return v.view.op.N
}

// nextWaiting is the index of the first operation behind number n that waits and is not the open one, or -1.
func (v *sessionView) nextWaiting(m *model, n int) int {
	return slices.IndexFunc(v.session.Operations, func(op journal.Operation) bool {
		return op.N > n && op.N != v.opened() && op.Decision == journal.Waiting && !m.isPending(v.id, op.N)
	})
}

// nextWaiting shows the next operation that waits in the open session. At its end it names the next session, and goes there
// where the key comes once more: crossing is the session that was named.
func (m *model) nextWaiting(crossing string) tea.Cmd {
	v := m.session
	m.pages = nil
	if v != nil && v.review == nil && crossing == "" {
		if i := v.nextWaiting(m, v.opened()); i >= 0 {
			return v.openOperation(m, i)
		}
	}
	r := m.inbox.next(m.openID(), m.me)
	switch {
	case r == nil && v != nil && v.review == nil && v.nextWaiting(m, 0) >= 0:
		return v.openOperation(m, v.nextWaiting(m, 0))
	case r == nil:
		m.say(own(toneDim, "Nothing else waits for you."))
		return nil
	case v == nil || crossing == r.id:
		return m.open(r.id, true)
	}
	m.next = r.id
	m.say(join(own(toneCaution, "That was all that waits in this session. n again goes to another one: "), shown(toneStrong, r.agent), own(tonePlain, " on "),
		place(r.target, r.runAs), own(tonePlain, ", "), own(riskTone(r.risk), riskWord(r.risk)+" "), r.what.fit(60)))
	return nil
}

// noteResults drops the results whose end the human has seen on the page that is open.
func (m *model) noteResults() {
	if v := m.session; v != nil && m.top() == view(v.view) && m.dialog == nil {
		m.results.seen(v.id, v.opened())
	}
}

// askReject asks for the reason to reject an operation.
func (m *model) askReject(op *journal.Operation) tea.Cmd {
	s := &m.session.session
	switch {
	case op.Decision != journal.Waiting:
		m.say(join(own(toneCaution, "It does not wait any more: "), decisionLine(op)))
	case s.OwnedBy(m.me):
		m.say(own(toneCaution, "Your own session: another approver decides."))
	case m.isPending(s.ID, op.N):
		m.say(own(toneCaution, "You have decided on it; u undoes that."))
	default:
		m.dialog = newDialog(verdict{subjects: []subject{subjectOf(s, op, false, nil)}})
	}
	return nil
}

func (m *window) tooSmall() bool { return m.width < minWidth || m.height < minHeight }

// foot is the bottom of the screen: a note, where things stand, and the keys.
func (m *model) foot() []line {
	return append(append(m.noteLines(m.window), m.state()...), m.keyLine())
}

// noteLines are the note, as far as there is room for it.
func (m *speech) noteLines(w window) []line {
	if m.note == nil {
		return nil
	}
	p := newPage()
	p.addProse(nil, m.note)
	p.layout(w.width, noteRows)
	lines := p.window()
	if len(p.rows) > noteRows {
		lines[noteRows-1] = append(lines[noteRows-1], span{toneMark, render.Own("…")})
	}
	return lines
}

// state says where things stand. It has the same number of rows while the human types as after it, so that what was found
// stays where it is.
func (m *model) state() []line {
	if m.helping() {
		return nil
	}
	var lines []line
	if m.dialog == nil && m.session == nil {
		lines = m.newsroom.lines(m.window)
	}
	lines = append(lines, m.results.lines(m.width, m.resultRoom())...)
	if l := m.undoing.line(m.now(), m.width); l != nil {
		lines = append(lines, l)
	}
	if m.dialog != nil {
		return lines
	}
	if p := m.top().text(); p != nil && p.findLine() != nil {
		lines = append(lines, p.findLine())
	}
	return append(lines, m.top().status(m)...)
}

// resultRoom is how many rows results may take.
func (m *window) resultRoom() int {
	switch {
	case m.height < 20:
		return 1
	case m.height < 40:
		return 2
	}
	return 4
}

// keyLine are the keys that matter most now.
func (m *model) keyLine() line {
	switch {
	case m.dialog != nil:
		return m.dialog.footer(m.width)
	case m.typing() != nil:
		return footer(m.width, keyEnter, keyCancel)
	}
	return footer(m.width, m.top().keys(m)...)
}

func (m *model) bodyHeight() int { return max(m.height-len(m.top().head(m))-len(m.foot()), 1) }

// layout fits what scrolls to the window, and notes what of it is on the screen. It returns how long that has to be there to count
// as read.
func (m *model) layout() (left time.Duration) {
	p := m.top().text()
	if p != nil && (m.tooSmall() || m.covering() != nil) {
		p.covered()
	}
	if m.tooSmall() {
		return 0
	}
	height := m.bodyHeight()
	if c := m.covering(); c != nil {
		return c.layout(m, height)
	}
	m.top().fit(m)
	if p = m.top().text(); p == nil {
		return 0
	}
	p.layout(m.width, height-len(m.beside(height)))
	left = p.markSeen(m.now(), m.pace.Read)
	if v, ok := m.top().(reads); ok {
		v.noteRead(m)
	}
	return left
}

// covering is the question that takes the whole body, nil where none does.
func (m *model) covering() covering {
	c, _ := m.dialog.(covering)
	return c
}

// ruleOf is a rule as wide as the window.
func ruleOf(width int) line {
	var l line
	for l.cells() < width {
		l = append(l, own(toneMark, "────────────────────")...)
	}
	l, _ = l.split(width)
	return l
}

// beside are the rows of a question below what it is about, which stays on the screen.
func (m *model) beside(height int) []line {
	if m.dialog == nil || m.covering() != nil {
		return nil
	}
	// The content keeps a few rows where the window has any to spare.
	room := max(height-max(height/3, 3), min(height, 6))
	lines := m.dialog.window(m, room)
	if len(lines) < height {
		lines = append([]line{ruleOf(m.width)}, lines...)
	}
	return lines
}

// body is the middle of the screen, at most height rows.
func (m *model) body(height int) []line {
	if m.covering() != nil {
		return m.dialog.window(m, height)
	}
	question := m.beside(height)
	lines := m.content(height - len(question))
	if question == nil {
		return lines
	}
	for len(lines) < height-len(question) {
		lines = append(lines, nil)
	}
	return append(lines[:max(height-len(question), 0)], question...)
}

// content is what a question would be about, at most height rows.
func (m *model) content(height int) []line {
	if height <= 0 {
		return nil
	}
	if p := m.top().text(); p != nil {
		return p.window()
	}
	return m.top().body(m, height)
}

// Screen is what the terminal shows: exactly height rows, none wider than the window.
func (m *model) Screen() string {
	if m.tooSmall() {
		return "Make the window\nlarger: 40×12.\nq leaves."
	}
	head, foot := m.top().head(m), m.foot()
	lines := append(slices.Clone(head), m.body(m.bodyHeight())...)
	for len(lines) < m.height-len(foot) {
		lines = append(lines, nil)
	}
	lines = append(lines[:m.height-len(foot)], foot...)
	painted := make([]string, len(lines))
	for i, l := range lines {
		painted[i] = l.clean().fit(m.width).paint(m.light)
	}
	return strings.Join(painted, "\n")
}
