package tui

import (
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// pane is a part of the session's screen.
type pane int

const (
	paneOperations pane = iota
	paneScript
	paneFiles
	paneOutput
	paneAbout
	panes
)

var paneNames = [panes]string{"operations", "script", "files", "output", "about"}

// shortPaneNames are for narrow screens.
var shortPaneNames = [panes]string{"ops", "code", "files", "out", "info"}

// sessionView is one open session.
type sessionView struct {
	id       string
	loaded   bool
	attended bool // its agent is connected
	want     bool // open what waits once the session is known
	session  journal.Session
	pane     pane
	selection
	scriptPane
	files   *filesPane
	kept    map[int]*contents // of operations, by number
	about   *page
	written *page // the output as it is drawn
	output  *transcript
	view    *operationView // the open operation
	review  *reviewView    // all that waits, on one page; nil where it is not open
}

// selection is where a list of operations stands.
type selection struct {
	at    int // index of the selected one
	first int // of the first one on the screen
}

// scriptPane is a session's script.
type scriptPane struct {
	script       *page
	asking       int // paragraph of the script that tells what waits, or else what was asked last; -1 for none
	scriptOpened bool
	tones        []tone // of the script's bytes; nil where it is no Python
}

func newSessionView(b Backend, id string, look bool) *sessionView {
	return &sessionView{id: id, want: look, files: newFilesPane(b), kept: map[int]*contents{}}
}

// close ends following the session.
func (v *sessionView) close() {
	v.stopOutput()
	v.closeOperation()
}

func (v *sessionView) stopOutput() {
	if v.output != nil {
		v.output.stop()
	}
}

// contentsOf are the contents of one operation's screen. They are kept while the session is open, so that what was read
// once is there at once.
func (v *sessionView) contentsOf(b Backend, n int) *contents {
	if v.kept[n] == nil {
		if len(v.kept) >= maxKept {
			clear(v.kept)
		}
		v.kept[n] = newContents(b)
	}
	return v.kept[n]
}

// maxKept bounds how many operations' contents are kept.
const maxKept = 8

// awaitContents reads beside the screen what was asked for in drawing files; nil where nothing was.
func (v *sessionView) awaitContents(work *workers) tea.Cmd {
	cmd := v.files.contents.await(work)
	if v.view != nil {
		cmd = tea.Batch(cmd, v.view.contents.await(work))
	}
	if v.review != nil {
		cmd = tea.Batch(cmd, v.review.contents.await(work))
	}
	return cmd
}

// haveContents draws anew what contents have been read for.
func (v *sessionView) haveContents(from *contents) {
	from.settle()
	if v.files.contents == from {
		v.files.stale = true
	}
	if v.view != nil && v.view.contents == from {
		v.view.draw(&v.session)
	}
	if v.review != nil && v.review.contents == from {
		v.review.draw()
	}
}

// closeOperation goes back from an operation to its session.
func (v *sessionView) closeOperation() {
	if v.view != nil {
		v.view.close()
	}
	v.view, v.review = nil, nil
}

// take takes the session as it is now and returns what there is to say about it.
func (v *sessionView) take(s *journal.Session) (note line, changed bool) {
	first := !v.loaded
	if first || s.Script != v.session.Script {
		v.tones = nil
		if !s.Shell {
			v.tones = colourPython(s.Script)
		}
	}
	if first || s.Script != v.session.Script || !slices.EqualFunc(s.Operations, v.session.Operations, sameLine) {
		var script *page
		script, v.asking = scriptPage(s, v.tones)
		if v.script == nil {
			v.script = newPage()
		}
		v.script.replace(script)
	}
	before := v.session
	v.files.stale = v.files.stale || !slices.EqualFunc(s.Operations, before.Operations, sameFiles)
	v.session, v.loaded = *s, true
	if v.about == nil {
		v.about = newPage()
	}
	v.about.replace(aboutPage(s))
	v.at = max(min(v.at, len(s.Operations)-1), 0)
	if i := firstWaiting(s); i >= 0 && (first || firstWaiting(&before) != i) {
		v.at = i
	}
	if v.review != nil {
		return v.takeReview()
	}
	if v.view == nil {
		return nil, false
	}
	i := slices.IndexFunc(s.Operations, func(op journal.Operation) bool { return op.N == v.view.op.N })
	if i < 0 {
		v.closeOperation()
		return own(toneCaution, "That operation is gone."), true
	}
	if before.Status == journal.StatusHeld && s.Status == journal.StatusParked {
		note = own(toneCaution, "It has just been parked: nobody decided in time, or its agent has left. When it is approved, its script runs again from its start.")
	}
	waited := v.view.op.Decision == journal.Waiting
	if v.view.update(s, &s.Operations[i]) {
		return own(toneCaution, "What waits has changed since it was shown: read it again."), true
	}
	if op := &s.Operations[i]; waited && op.Decision != journal.Waiting {
		return join(format(toneCaution, "Operation %d: ", op.N), decisionLine(op)), true
	}
	return note, note != nil
}

// takeReview brings the page of all that waits up to date.
func (v *sessionView) takeReview() (note line, changed bool) {
	if firstWaiting(&v.session) < 0 {
		v.closeOperation()
		return own(toneCaution, "Nothing waits in this session any more."), true
	}
	if v.review.update() {
		return own(toneCaution, "What waits has changed since it was shown: read what is new."), true
	}
	return nil, false
}

func sameLine(a, b journal.Operation) bool {
	return a.Decision == b.Decision && askedAt(&a) == askedAt(&b)
}

// sameFiles reports whether the files of two operations look the same.
func sameFiles(a, b journal.Operation) bool {
	return a.N == b.N && a.Digest == b.Digest && a.Decision == b.Decision
}

// askedAt is the line of the script that asked, 0 where it is not known.
func askedAt(op *journal.Operation) int {
	if op.Command == nil {
		return 0
	}
	return op.Command.Line
}

// firstWaiting is the index of the first operation that waits, or -1.
func firstWaiting(s *journal.Session) int {
	return slices.IndexFunc(s.Operations, func(op journal.Operation) bool { return op.Decision == journal.Waiting })
}

// text is the text of the pane; the operations are a list instead.
func (v *sessionView) text() *page {
	switch v.pane {
	case paneScript:
		return v.script
	case paneFiles:
		return v.files.page
	case paneOutput:
		return v.written
	case paneAbout:
		return v.about
	case paneOperations, panes:
	}
	return nil
}

// scriptPage is the script with line numbers, and a mark at each line that asked. asking is the paragraph of the first
// line that waits, else of the last one that asked, or -1.
func scriptPage(s *journal.Session, tones []tone) (p *page, asking int) {
	p, asking = newPage(), -1
	waits := false
	asked := map[int]*journal.Operation{}
	for i := range s.Operations {
		op := &s.Operations[i]
		if n := askedAt(op); n > 0 && (asked[n] == nil || op.Decision == journal.Waiting) {
			asked[n] = op
		}
	}
	n, at := 0, 0
	for text := range strings.SplitSeq(strings.TrimSuffix(s.Script, "\n"), "\n") {
		if p.full {
			break
		}
		n++
		gutter, l := format(toneDim, "%5d   ", n), shown(tonePlain, text)
		if tones != nil {
			l = toned(text, tones[at:at+len(text)])
		}
		at += len(text) + 1
		if op := asked[n]; op != nil {
			word, tt := decisionWord(op.Decision)
			gutter, l = join(format(toneDim, "%5d ", n), own(tt, "▸ ")), l.bold(true)
			if !waits {
				asking, waits = len(p.paragraphs), op.Decision == journal.Waiting
			}
			p.addProse(own(toneDim, "        "), format(tt, "operation %d %s, asked by line %d:", op.N, word, n))
		}
		p.add(gutter, l)
	}
	return p, asking
}

// aboutPage is everything else about the session.
func aboutPage(s *journal.Session) *page {
	p := newPage()
	p.add(label("Session"), shown(tonePlain, s.ID))
	p.addProse(label("Status"), own(statusTone(s.Status), statusWord(s.Status)))
	if s.Reason != "" {
		p.addProse(label("Reason"), shown(tonePlain, s.Reason))
	}
	if s.Plan {
		p.addProse(label("Plan"), own(toneCaution, "only planned: nothing has run, and nothing of it can be approved"))
	}
	if s.ExitCode != nil {
		p.add(label("Exit"), format(tonePlain, "%d", *s.ExitCode))
	}
	p.add(label("Agent"), shown(toneStrong, s.Identity))
	p.add(label("Key"), shown(tonePlain, s.Key))
	p.add(label("Target"), shown(toneStrong, s.Target))
	p.add(label("Engine"), shown(tonePlain, s.Engine))
	if len(s.Args) > 0 {
		p.add(label("Args"), line{{tonePlain, render.Argv(s.Args)}})
	}
	p.add(label("Began"), shown(tonePlain, stamp(s.Created)))
	if !s.Ended.IsZero() {
		p.add(label("Ended"), shown(tonePlain, stamp(s.Ended)))
	}
	p.add(label("SHA-256"), shown(toneDim, s.ScriptSHA256))
	if s.Truncated {
		p.addProse(label("Output"), own(toneCaution, "reached its limit and was cut"))
	}
	p.addProse(nil, nil)
	p.addProse(nil, own(toneDim, "The agent's own words, which prove nothing:"))
	p.addProse(label("Name"), agentWords(s.Name))
	for i, l := range strings.Split(s.Analysis, "\n") {
		gutter := label("Analysis")
		if i > 0 {
			gutter = label("")
		}
		p.addProse(gutter, agentWords(l))
	}
	return p
}

func agentWords(words string) line {
	if words == "" {
		return own(toneDim, "-")
	}
	return shown(toneAgent, words)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// head is the top of the session's screen.
func (v *sessionView) head(m *model) []line {
	s := &v.session
	if !v.loaded {
		return []line{join(shown(toneStrong, v.id), own(toneDim, " · looking…"))}
	}
	l := join(shown(tonePlain, s.Identity), own(tonePlain, " on "), shown(toneStrong, s.Target), own(tonePlain, " · "), shown(toneDim, s.ID), own(tonePlain, " · "))
	if m.width < roomyWidth {
		l = nil // what is below says it
	}
	if waits := lasting(m.now(), s.Status, v.attended, waitingSince(s), s.Deadline, m.width-20); waits != nil {
		l = join(l, waits)
	} else {
		l = join(l, own(statusTone(s.Status), statusWord(s.Status)), rollsBack(s))
	}
	if s.Name != "" && m.width >= 60 {
		l = join(l, own(tonePlain, " · "), quoted(s.Name))
	}
	head := []line{l, v.tabs(m.width)}
	if s.OwnedBy(m.me) {
		head = append(head, own(toneCaution, "Your own session: another approver decides."))
	}
	return roomy(m, head)
}

func (v *sessionView) tabs(width int) line {
	var l line
	for i, name := range paneNames {
		if width < 60 {
			name = shortPaneNames[i]
		}
		t := toneDim
		if pane(i) == v.pane {
			t = toneTab
		}
		l = join(l, format(t, " %d %s ", i+1, name))
	}
	return l
}

// body is the operations, or the page of the pane.
func (v *sessionView) body(m *model, height int) []line {
	if !v.loaded {
		return nil
	}
	if p := v.text(); p != nil {
		return p.window()
	}
	ops := v.session.Operations
	if len(ops) == 0 {
		return []line{own(toneDim, "It has not asked for anything yet.").fit(m.width)}
	}
	n := max(height/2, 1)
	v.first = max(min(v.first, v.at, len(ops)-n), v.at-n+1, 0)
	var lines []line
	for i := v.first; i < min(v.first+n, len(ops)); i++ {
		lines = append(lines, v.operationRows(m, &ops[i], i == v.at)...)
	}
	return lines
}

// operationRows is an operation in two rows: its number, state, risk and what; then why it asks or who decided.
func (v *sessionView) operationRows(m *model, op *journal.Operation, selected bool) []line {
	s := &v.session
	word, t := decisionWord(op.Decision)
	if m.isPending(s.ID, op.N) {
		word = "DECIDED"
	}
	marked := own(tonePlain, "")
	if m.marked[mark{s.ID, op.N}] {
		marked = own(toneKey, "* ")
	}
	first := join(selector(selected), marked, format(tonePlain, "%d ", op.N), own(t, word+" "), own(riskTone(op.Risk), riskWord(op.Risk)+" "))
	second := join(own(tonePlain, "    "), decisionLine(op))
	if op.Decision == journal.Waiting {
		read := own(tonePlain, "")
		if m.wasRead(s, op) {
			read = own(toneSafe, "read · ")
		}
		second = join(own(tonePlain, "    "), read, line{{toneDim, render.Stored(op.Why)}})
	}
	return []line{join(first, what(op, tonePlain).bold(selected)).fit(m.width), second.fit(m.width)}
}

// key handles a key on the session's screen.
func (v *sessionView) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	ops := v.session.Operations
	switch {
	case key.Matches(k, keyBack):
		m.closeSession()
		return m.refresh()
	case key.Matches(k, keyPane1):
		v.pane = paneOperations
	case key.Matches(k, keyPane2):
		v.pane = paneScript
		v.showAsked(m)
	case key.Matches(k, keyPane3):
		v.pane = paneFiles
	case key.Matches(k, keyPane4):
		v.pane = paneOutput
	case key.Matches(k, keyPane5):
		v.pane = paneAbout
	case key.Matches(k, keyTab):
		if v.pane = (v.pane + 1) % panes; v.pane == paneScript {
			v.showAsked(m)
		}
	case key.Matches(k, keyLook) && firstWaiting(&v.session) >= 0:
		return v.openWaiting(m)
	case key.Matches(k, keyRollback):
		return v.askRollback(m)
	case key.Matches(k, keyApproveAll):
		v.askApproveAll(m)
	case key.Matches(k, keyRejectAll):
		v.askRejectAll(m)
	case v.pane == paneFiles:
		v.files.key(k)
	case v.text() != nil:
		v.text().key(k)
	case len(ops) == 0:
	case key.Matches(k, keyMark):
		if op := &ops[v.at]; op.Decision == journal.Waiting {
			m.toggleMark(mark{v.session.ID, op.N})
			v.at = min(v.at+1, len(ops)-1)
		}
	case key.Matches(k, keyOpen), key.Matches(k, keyLook):
		return v.openOperation(m, v.at)
	case key.Matches(k, keyReject):
		return m.askReject(&ops[v.at])
	default:
		v.moveKey(k, m)
	}
	return nil
}

// showAsked brings the line of the script that asks into the window when the script is opened for the first time.
func (v *sessionView) showAsked(m *model) {
	if v.scriptOpened || v.script == nil || v.asking < 0 {
		return
	}
	v.scriptOpened = true
	v.script.layout(m.width, m.bodyHeight())
	for i, r := range v.script.rows {
		if r.paragraph >= v.asking {
			// Without a need to scroll it stays at the start.
			if i+2 >= v.script.height {
				v.script.scroll(i - v.script.height/2)
			}
			return
		}
	}
}

func (v *sessionView) openOperation(m *model, i int) tea.Cmd {
	if i < 0 || i >= len(v.session.Operations) {
		return nil
	}
	v.closeOperation()
	m.pages = nil // what was on top of another one
	op := &v.session.Operations[i]
	v.at, v.view = i, newOperationView(&v.session, op, m.wasRead(&v.session, op), v.contentsOf(m.backend, op.N))
	return v.view.followResult(m)
}

// moveKey moves the selection where k is a key for that.
func (v *sessionView) moveKey(k tea.KeyPressMsg, m *model) {
	n := 0
	switch {
	case key.Matches(k, keyUp):
		n = -1
	case key.Matches(k, keyDown):
		n = 1
	case key.Matches(k, keyPage):
		n = max(m.bodyHeight()/2-1, 1)
	case key.Matches(k, keyPageUp):
		n = -max(m.bodyHeight()/2-1, 1)
	case key.Matches(k, keyTop):
		n = -v.at
	case key.Matches(k, keyBottom):
		n = len(v.session.Operations)
	}
	v.move(n)
}

// move moves the selection.
func (v *sessionView) move(rows int) {
	v.at = max(min(v.at+rows, len(v.session.Operations)-1), 0)
}

// keys are those that do something now, the most important first.
func (v *sessionView) keys(m *model) []key.Binding {
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
		if len(waitingIn(&v.session, m.isPending)) > 1 {
			keys = append(keys, keyMark, keyApproveAll, keyRejectAll)
		}
	}
	return append([]key.Binding{keyLook}, keys...)
}

// help implements view.
func (*sessionView) help() *page {
	return helpPage("A session", append([]key.Binding{keyOpen, keyLook, keyReject, keyMark, keyApproveAll, keyRejectAll, keyUndo, keyNow, keyNext, keyPane1, keyPane2, keyPane3, keyPane4, keyPane5, keyTab, keyWhole, keySide, keyRollback, keyMouse, keyLight, keyBack, keyQuit}, scrollKeys...))
}

// prompt implements view.
func (*sessionView) prompt() *prompt { return nil }

// fit implements view.
func (v *sessionView) fit(m *model) {
	if v.pane == paneFiles {
		v.files.draw(&v.session, m.width)
	}
}

// status says what waits, where the pane does not show it.
func (v *sessionView) status(*model) []line {
	i := firstWaiting(&v.session)
	if i < 0 || v.pane == paneOperations {
		return nil
	}
	return []line{format(toneCaution, "Operation %d waits for a decision", v.session.Operations[i].N)}
}

// startFollowing follows the session's output from its beginning.
func (v *sessionView) startFollowing(m *model) tea.Cmd {
	v.stopOutput()
	o := follow(m.ctx, m.work, m.backend, m.me, v.id)
	v.output = o
	v.written = newPage()
	v.written.tail = true
	return awaitOutput(m.ctx, m.work, o)
}
