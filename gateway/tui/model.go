package tui

import (
	"context"
	"errors"
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
	ctx     context.Context
	work    *workers
	backend Backend
	me      journal.Identity
	now     func() time.Time
	events  <-chan events.Event

	width, height int
	inbox         inbox
	session       *sessionView // nil while the list is shown
	dialog        question
	help          *page
	note          line // until the next key
	loading       bool // a look at the backend is under way
	stale         bool // and is out of date already
	over          bool // the gateway stops: no events come any more
	left          bool // the human has left

	heard []events.Event // decisions of others that were not looked up yet
	news  []news
	alert Alert
	known map[string]int // the last operation that waited, by session, at the last look; nil before the first
	rang  time.Time

	mouse   bool             // the terminal is asked to report its mouse
	light   bool             // colours for a light background
	undo    time.Duration    // how long a decision can be undone
	pending []*pending       // decisions that can be
	read    map[mark]subject // what has been on the screen in full
	marked  map[mark]bool    // operations, and sessions as operation 0
}

func newModel(ctx context.Context, work *workers, o Options) *model {
	m := &model{ctx: ctx, work: work, backend: o.Backend, me: o.Identity, now: o.Now, alert: o.Alert, light: o.Light, undo: o.Undo, read: map[mark]subject{}, marked: map[mark]bool{}}
	m.width, m.height = clampSize(o.Width, o.Height)
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
		cmds = append(cmds, m.startFollowing())
	}
	return tea.Batch(cmds...)
}

// Update takes a message.
func (m *model) Update(msg tea.Msg) tea.Cmd {
	cmd := m.handle(msg)
	m.layout()
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
	case eventMsg:
		m.hear(msg.decided)
		if msg.closed {
			m.over = true
			return tea.Quit
		}
		return tea.Batch(m.refresh(), m.awaitEvent())
	case tickMsg:
		return m.tick()
	case snapshot:
		return m.loaded(&msg)
	case outputMsg:
		return m.written(msg.from)
	case grantMsg:
		m.spelled(msg)
	case rollbackMsg:
		return m.rolledBack(msg)
	case decidedMsg:
		return m.answered(msg)
	case contentsMsg:
		if m.session != nil {
			m.session.haveContents(msg.from)
		}
	case dueMsg:
		return m.send(msg.p)
	}
	return nil
}

// paste gives pasted text to what is typed into.
func (m *model) paste(text string) {
	switch {
	case m.dialog != nil && !m.dialog.isBusy():
		m.dialog.paste(text)
	case m.dialog == nil && m.help == nil && m.session == nil && m.inbox.search.open:
		m.inbox.search.field.insert(text)
		m.inbox.settle()
	case m.dialog == nil && m.help == nil && m.reading() != nil && m.reading().find.open:
		m.reading().find.field.insert(text)
	}
}

// key gives a key to what is on top.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	m.note = nil
	switch {
	case key.Matches(k, keyQuit):
		return m.leaveNow()
	case m.tooSmall():
		if key.Matches(k, keyLeave) {
			return m.leave()
		}
		return nil
	case m.help != nil:
		if key.Matches(k, keyBack) || key.Matches(k, keyHelp) {
			m.help = nil
		} else {
			m.help.key(k)
		}
		return nil
	case m.dialog != nil:
		return m.dialog.key(m, k)
	case m.session == nil && m.inbox.search.open:
		return m.inbox.key(m, k)
	case m.reading() != nil && m.reading().find.open:
		m.reading().findKey(k)
		return nil
	case m.reading() != nil && m.reading().find.text() != "" && key.Matches(k, keyCancel):
		m.reading().find = finder{}
		return nil
	case key.Matches(k, keyHelp):
		m.help = m.helpPage()
		return nil
	}
	if cmd, taken := m.pendingKey(k); taken {
		return cmd
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
	if m.session != nil {
		return m.session.key(m, k)
	}
	return m.inbox.key(m, k)
}

// reading is the text that is on the screen, nil where a list is.
func (m *model) reading() *page {
	switch {
	case m.session == nil:
		return nil
	case m.session.view != nil:
		return m.session.view.page
	}
	return m.session.page()
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
	m.session = newSessionView(m.backend, id, look)
	return tea.Batch(m.refresh(), m.startFollowing())
}

func (m *model) closeSession() {
	if m.session != nil {
		m.session.close()
	}
	m.session, m.dialog = nil, nil
}

// startFollowing follows the open session's output from its beginning.
func (m *model) startFollowing() tea.Cmd {
	m.session.stopOutput()
	o := follow(m.ctx, m.work, m.backend, m.me, m.session.id)
	m.session.output = o
	m.session.written = newPage()
	m.session.written.tail = true
	return awaitOutput(m.ctx, m.work, o)
}

// written draws new output.
func (m *model) written(from *transcript) tea.Cmd {
	if m.session == nil {
		return nil
	}
	if v := m.session.view; v != nil && v.output == from {
		over := from.over()
		v.draw(&m.session.session)
		if over {
			return nil
		}
		return awaitOutput(m.ctx, m.work, from)
	}
	if m.session.output != from {
		return nil
	}
	over := from.over() // before it is drawn, so that nothing that comes in between is left out
	m.session.written.replace(from.page())
	if over {
		return nil
	}
	return awaitOutput(m.ctx, m.work, from)
}

// loaded takes a look at the backend.
func (m *model) loaded(s *snapshot) tea.Cmd {
	m.loading = false
	var cmds []tea.Cmd
	if m.stale {
		m.loading, m.stale = true, false
		cmds = append(cmds, m.load(refreshPause))
	}
	if s.err != nil {
		m.say(join(own(toneDanger, "The sessions could not be read: "), shown(tonePlain, s.err.Error())))
	} else {
		m.inbox.take(s)
		cmds = append(cmds, m.alarm())
	}
	m.learn(s.news)
	if m.session != nil && s.id == m.session.id {
		cmds = append(cmds, m.loadedSession(s))
	}
	return tea.Batch(cmds...)
}

func (m *model) loadedSession(s *snapshot) tea.Cmd {
	if s.sessionErr != nil {
		if errors.Is(s.sessionErr, journal.ErrNotFound) {
			m.closeSession()
		}
		m.say(join(own(toneDanger, "Session "), shown(tonePlain, s.id), own(tonePlain, ": "), shown(tonePlain, s.sessionErr.Error())))
		return nil
	}
	var cmds []tea.Cmd
	note, changed := m.session.take(&s.session)
	if changed {
		m.say(note)
		// A question that was asked about something else must not be answered any more. One that the backend is
		// answering already stays until it has.
		if m.dialog != nil && !m.dialog.isBusy() {
			m.dialog = nil
		}
	}
	if m.session.want {
		m.session.want = false
		cmds = append(cmds, m.session.openOperation(m, firstWaiting(&m.session.session)))
	}
	if v := m.session.view; v != nil {
		cmds = append(cmds, v.followResult(m))
	}
	if m.session.output.overAs(journal.StatusParked) && s.session.Status != journal.StatusParked {
		cmds = append(cmds, m.startFollowing()) // it has been started again, and may be over already
	}
	return tea.Batch(cmds...)
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

// nextWaiting shows the next operation that waits: in the open session, else in the next one of the list, else the
// first one of the open session again.
func (m *model) nextWaiting() tea.Cmd {
	if v := m.session; v != nil {
		if i := v.nextWaiting(m, v.opened()); i >= 0 {
			return v.openOperation(m, i)
		}
	}
	if id := m.inbox.next(m.openID(), m.me); id != "" {
		return m.open(id, true)
	}
	if v := m.session; v != nil {
		if i := v.nextWaiting(m, 0); i >= 0 {
			return v.openOperation(m, i)
		}
	}
	m.say(own(toneDim, "Nothing else waits for you."))
	return nil
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
		v := operationView{op: *op}
		m.dialog = newDialog(verdict{subjects: []subject{v.subject(s)}})
	}
	return nil
}

func (m *model) tooSmall() bool { return m.width < minWidth || m.height < minHeight }

// helpPage are the keys of what is on the screen.
func (m *model) helpPage() *page {
	switch {
	case m.session != nil && m.session.view != nil:
		return helpPage("An operation", append([]key.Binding{keyApprove, keyGrant, keyReject, keyUndo, keyNow, keyNext, keyEnv, keyMouse, keyLight, keyBack, keyQuit}, scrollKeys...))
	case m.session != nil:
		return helpPage("A session", append([]key.Binding{keyOpen, keyLook, keyReject, keyMark, keyApproveAll, keyRejectAll, keyUndo, keyNow, keyNext, keyPane1, keyPane2, keyPane3, keyPane4, keyPane5, keyTab, keyWhole, keySide, keyRollback, keyMouse, keyLight, keyBack, keyQuit}, scrollKeys...))
	}
	return helpPage("The list", append([]key.Binding{keyOpen, keyLook, keyNext, keyMark, keyApproveAll, keyRejectAll, keyUndo, keyNow, keyRecent, keyOrder, keyAlert, keyMouse, keyLight, keyLeave, keyQuit}, scrollKeys...))
}

// head is the top of the screen.
func (m *model) head() []line {
	switch {
	case m.session != nil && m.session.view != nil:
		return m.session.view.head(m)
	case m.session != nil:
		return m.session.head(m)
	}
	return m.inbox.head(m)
}

// foot is the bottom of the screen: a note, where things stand, and the keys.
func (m *model) foot() []line {
	return append(append(m.noteLines(), m.state()...), m.keyLine())
}

// noteLines are the note, as far as there is room for it.
func (m *model) noteLines() []line {
	if m.note == nil {
		return nil
	}
	p := newPage()
	p.addProse(nil, m.note)
	p.layout(m.width, noteRows)
	lines := p.window()
	if len(p.rows) > noteRows {
		lines[noteRows-1] = append(lines[noteRows-1], span{toneMark, render.Own("…")})
	}
	return lines
}

// state says where things stand. It has the same number of rows while the human types as after it, so that what was found
// stays where it is.
func (m *model) state() []line {
	var lines []line
	switch {
	case m.help != nil, m.dialog != nil:
		return nil
	case m.session == nil:
		lines = m.newsLines()
	}
	if l := m.pendingLine(); l != nil {
		lines = append(lines, l)
	}
	if m.session == nil {
		return lines
	}
	if p := m.reading(); p != nil && p.findLine() != nil {
		lines = append(lines, p.findLine())
	}
	if v := m.session.view; v != nil {
		return append(lines, v.status(m))
	}
	if i := firstWaiting(&m.session.session); i >= 0 && m.session.pane != paneOperations {
		n := m.session.session.Operations[i].N
		lines = append(lines, format(toneCaution, "Operation %d waits for a decision", n))
	}
	return lines
}

// keyLine are the keys that matter most now.
func (m *model) keyLine() line {
	switch {
	case m.help != nil:
		return footer(m.width, keyBack, keyPage)
	case m.dialog != nil:
		return m.dialog.footer(m.width)
	case m.session == nil && m.inbox.search.open, m.reading() != nil && m.reading().find.open:
		return footer(m.width, keyEnter, keyCancel)
	case m.session != nil && m.session.view != nil:
		return footer(m.width, m.operationKeys(m.session.view)...)
	case m.session != nil:
		return footer(m.width, m.sessionKeys()...)
	case m.inbox.recent:
		return footer(m.width, keyOpen, keyRecent, keyLeave, keyFind)
	}
	return footer(m.width, keyOpen, keyLook, keyLeave, keyFind, keyRecent, keyNext, keyMark, keyApproveAll, keyRejectAll, keyOrder, keyAlert)
}

// operationKeys are the keys that do something now, the most important first.
func (m *model) operationKeys(v *operationView) []key.Binding {
	s, rest := &m.session.session, []key.Binding{keyBack, keyNext, keyPage, keyEnv}
	switch {
	case v.mayApprove(m):
		return append([]key.Binding{keyApprove, keyReject, keyGrant}, rest...)
	case v.op.Decision == journal.Waiting && !s.OwnedBy(m.me):
		return append([]key.Binding{keyPage, keyReject}, keyBack, keyNext, keyEnv)
	}
	return rest
}

func (m *model) sessionKeys() []key.Binding {
	v := m.session
	keys := []key.Binding{keyBack, keyNext}
	if v.pane == paneOperations {
		keys = append([]key.Binding{keyOpen}, keys...)
	} else {
		keys = append(keys, keyPage)
	}
	if v.pane == paneFiles {
		keys = append(keys, keyWhole, keySide)
	}
	if canRollBack(&v.session, m.me) {
		keys = append(keys, keyRollback)
	}
	if firstWaiting(&v.session) < 0 {
		return keys
	}
	if v.pane == paneOperations && !v.session.OwnedBy(m.me) {
		keys = append(keys, keyReject)
		if len(m.waitingOf(&v.session)) > 1 {
			keys = append(keys, keyMark, keyApproveAll, keyRejectAll)
		}
	}
	return append([]key.Binding{keyLook}, keys...)
}

func (m *model) bodyHeight() int { return max(m.height-len(m.head())-len(m.foot()), 1) }

// layout fits what scrolls to the window, and notes what of an operation is on the screen.
func (m *model) layout() {
	if m.tooSmall() {
		return
	}
	height := m.bodyHeight()
	if m.help != nil {
		m.help.layout(m.width, height)
		return
	}
	if m.session == nil || m.dialog != nil {
		return
	}
	if m.session.view == nil && m.session.pane == paneFiles {
		m.session.files.draw(&m.session.session, m.width)
	}
	p := m.reading()
	if p == nil {
		return
	}
	p.layout(m.width, height)
	p.markSeen()
	if m.session.view != nil {
		m.noteRead()
	}
}

// body is the middle of the screen, at most height rows.
func (m *model) body(height int) []line {
	switch {
	case m.help != nil:
		return m.help.window()
	case m.dialog != nil:
		return m.dialog.window(m, height)
	case m.session != nil && m.session.view != nil:
		return m.session.view.page.window()
	case m.session != nil:
		return m.session.body(m, height)
	}
	return m.inbox.body(m, height)
}

// Screen is what the terminal shows: exactly height rows, none wider than the window.
func (m *model) Screen() string {
	if m.tooSmall() {
		return "Make the window\nlarger: 40×12.\nq leaves."
	}
	head, foot := m.head(), m.foot()
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
