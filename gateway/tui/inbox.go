package tui

import (
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
)

// wide is the width from which a session takes one row of the list, in cells; below, it takes two.
const wide = 140

// order is how the list of what waits is sorted.
type order int

const (
	byRisk   order = iota // the highest risk first, and of equal ones the oldest
	byNewest              // the newest first
	byAge                 // the oldest first
	orders
)

var orderNames = [orders]render.Words{"worst first", "newest first", "oldest first"}

// roomyWidth is the width from which a row has room for a name before what matters more, in cells.
const roomyWidth = 60

// inbox is the list of sessions: those that wait, or those decided of late.
type inbox struct {
	lists
	waiting  []summary // the oldest first
	decided  []summary // the latest first
	shown    []summary // the ones that are listed, in their order
	running  int
	loaded   bool
	recent   bool // decided ones are shown
	order    order
	search   prompt
	selected string
	at       int // index of the selected one, to stay near where it was when it leaves
	first    int // index of the first one on the screen
	// seenIDs are the sessions that waited when the filter came into force, nil where none is.
	seenIDs map[string]bool
}

// rows are the sessions in the order in which they are shown.
func (b *inbox) rows() []summary { return b.shown }

// take takes a look at the backend. The selection stays on its session, wherever that has moved; it reports whether another
// one is selected now, since that one has left.
func (b *inbox) take(s *snapshot) (jumped bool) {
	before := b.selected
	b.waiting, b.running, b.loaded = s.waiting, s.running, true
	if s.recent != nil {
		b.decided = s.recent
	}
	b.settle()
	return before != "" && b.selected != before
}

// arrange sorts and filters what is listed.
func (b *inbox) arrange() {
	all := b.waiting
	if b.recent {
		all = b.decided
	}
	q := parseQuery(b.search.text())
	b.shown = make([]summary, 0, len(all))
	for i := range all {
		if q.matches(&all[i]) {
			b.shown = append(b.shown, all[i])
		}
	}
	switch {
	case b.recent:
	case b.order == byNewest:
		slices.Reverse(b.shown)
	case b.order == byRisk:
		slices.SortStableFunc(b.shown, func(x, y summary) int { return riskOrder(y.risk) - riskOrder(x.risk) })
	}
}

// hiddenNew is how many sessions that the filter hides have come since it is in force.
func (b *inbox) hiddenNew() int {
	n := 0
	for i := range b.waiting {
		if r := &b.waiting[i]; b.seenIDs != nil && !b.seenIDs[r.id] && !slices.ContainsFunc(b.shown, func(s summary) bool { return s.id == r.id }) {
			n++
		}
	}
	return n
}

// settle lists anew and finds the selected session; where it has left, its place is taken by the one that came after.
func (b *inbox) settle() {
	b.arrange()
	switch {
	case b.search.text() == "":
		b.seenIDs = nil
	case b.seenIDs == nil:
		b.seenIDs = map[string]bool{}
		for i := range b.waiting {
			b.seenIDs[b.waiting[i].id] = true
		}
	}
	rows := b.rows()
	if i := slices.IndexFunc(rows, func(r summary) bool { return r.id == b.selected }); i >= 0 {
		b.at = i
		return
	}
	b.at = max(min(b.at, len(rows)-1), 0)
	b.selected = ""
	if len(rows) > 0 {
		b.selected = rows[b.at].id
	}
}

func (b *inbox) move(n int) {
	rows := b.rows()
	b.at = max(min(b.at+n, len(rows)-1), 0)
	if len(rows) > 0 {
		b.selected = rows[b.at].id
	}
}

// next returns the first session behind id that waits, or the first one, that the identity may decide on. It goes through
// the list as it is shown, or, where the list shows decided ones, through all that wait.
func (b *inbox) next(id string, me journal.Identity) *summary {
	rows := b.shown
	if b.recent {
		rows = b.waiting
	}
	start := slices.IndexFunc(rows, func(r summary) bool { return r.id == id })
	for i := range rows {
		r := &rows[(start+1+i)%len(rows)]
		if r.id != id && r.waiting > 0 && !r.ownedBy(me) {
			return r
		}
	}
	return nil
}

// key handles a key on the list.
func (b *inbox) key(m *model, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case b.search.open:
		b.searchKey(k)
	case key.Matches(k, keyFind):
		b.search = prompt{open: true, field: field{limit: maxQuery}}
		b.settle()
	case key.Matches(k, keyCancel) && b.search.text() != "":
		b.search = prompt{}
		b.settle()
	case key.Matches(k, keyAlert):
		m.alert = (m.alert + 1) % alerts
		m.say(own(tonePlain, "When something new waits: "+alertNames[m.alert]+"."))
	case key.Matches(k, keyOpen):
		if b.selected != "" {
			return m.open(b.selected, false)
		}
	case key.Matches(k, keyLook):
		if b.selected != "" {
			return m.open(b.selected, true)
		}
	case key.Matches(k, keyRecent):
		b.recent, b.selected, b.at, b.first = !b.recent, "", 0, 0
		b.settle()
		return m.refresh()
	case key.Matches(k, keyOrder):
		b.order = (b.order + 1) % orders
		b.settle()
	case b.recent: // what follows is for what waits
		b.moveKey(m, k)
	case key.Matches(k, keyMark):
		if b.selected != "" {
			m.toggleMark(mark{b.selected, 0})
			b.move(1)
		}
	case key.Matches(k, keyApproveAll):
		b.askApproveAll(m)
	case key.Matches(k, keyRejectAll):
		b.askRejectAll(m)
	default:
		b.moveKey(m, k)
	}
	return nil
}

// moveKey moves the selection where k is a key for that.
func (b *inbox) moveKey(m *model, k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keyUp):
		b.move(-1)
	case key.Matches(k, keyDown):
		b.move(1)
	case key.Matches(k, keyPage):
		b.move(b.visible(m) - 1)
	case key.Matches(k, keyPageUp):
		b.move(1 - b.visible(m))
	case key.Matches(k, keyTop):
		b.move(-b.at)
	case key.Matches(k, keyBottom):
		b.move(len(b.rows()))
	}
}

// searchKey handles a key while the query is typed: the list follows it.
func (b *inbox) searchKey(k tea.KeyPressMsg) {
	switch {
	case key.Matches(k, keyCancel):
		b.search = prompt{}
	case key.Matches(k, keyEnter):
		b.search.open = false
	case key.Matches(k, keyArrowUp):
		b.move(-1)
		return
	case key.Matches(k, keyArrowDown):
		b.move(1)
		return
	default:
		b.search.field.key(k)
	}
	b.settle()
}

func (b *inbox) visible(m *model) int {
	return max(m.bodyHeight()/b.height(m.width), 1)
}

// height is how many rows of the screen a session takes.
func (b *inbox) height(width int) int {
	if width >= wide {
		return 1
	}
	return 2
}

// head counts what waits, by risk.
func (b *inbox) head(m *model) []line {
	l := line{}
	if m.width >= 60 {
		l = join(own(toneStrong, "Shannot"), own(tonePlain, " · "))
	}
	l = join(l, format(toneStrong, "%d wait", len(b.waiting)))
	between := render.Words(" · ")
	for _, r := range []policy.Risk{policy.Danger, policy.Unknown, policy.Caution, policy.Safe} {
		if n := b.count(r); n > 0 {
			l = join(l, own(tonePlain, between), format(riskTone(r), "%d %s", n, riskWord(r)))
			between = " "
		}
	}
	if m.width >= 72 {
		l = join(l, format(toneDim, " · %d running · you are ", b.running), shown(toneDim, m.me.Name))
	}
	head := []line{l}
	if second := b.second(m); second != nil {
		head = append(head, second)
	} else if m.height >= 16 {
		head = append(head, nil)
	}
	if m.width >= wide && len(b.rows()) > 0 {
		head = append(head, b.columns(m.width).row(toneDim, b.titles()))
	}
	return head
}

// count is how many sessions wait with a risk.
func (b *inbox) count(r policy.Risk) int {
	n := 0
	for i := range b.waiting {
		if riskWord(b.waiting[i].risk) == riskWord(r) {
			n++
		}
	}
	return n
}

// second is a row that says how the list differs from all that waits, worst first; nil where it does not.
func (b *inbox) second(m *model) line {
	var l line
	if b.recent {
		l = own(toneStrong, "Decided of late, the latest first")
	} else if b.order != byRisk {
		l = own(toneDim, orderNames[b.order])
	}
	if b.search.open || b.search.text() != "" {
		if l != nil {
			l = join(l, own(tonePlain, " · "))
		}
		l = join(l, own(toneCaution, "FILTER "), b.search.line("/"), format(toneCaution, "  %d of %d · %d hidden", len(b.shown), b.total(), b.total()-len(b.shown)))
		if n := b.hiddenNew(); n > 0 {
			l = join(l, format(toneDanger, " · %d new among them", n))
		}
		if !b.search.open {
			l = join(l, own(toneDim, " · esc shows all"))
		}
	}
	return l
}

// total is how many sessions there are to choose from.
func (b *inbox) total() int {
	if b.recent {
		return len(b.decided)
	}
	return len(b.waiting)
}

// body is the part of the list that is on the screen, with the selected session in it.
func (b *inbox) body(m *model, height int) []line {
	rows := b.rows()
	if len(rows) == 0 {
		return b.empty(m)
	}
	n := max(height/b.height(m.width), 1)
	b.first = max(min(b.first, b.at, len(rows)-n), b.at-n+1, 0)
	var lines []line
	for i := b.first; i < min(b.first+n, len(rows)); i++ {
		if m.width >= wide {
			lines = append(lines, b.columns(m.width).row(tonePlain, b.cells(m, &rows[i], i == b.at)))
		} else {
			lines = append(lines, b.narrow(m, &rows[i], i == b.at)...)
		}
	}
	return lines
}

// empty says what will appear here, and how.
func (b *inbox) empty(m *model) []line {
	p := newPage()
	switch {
	case !b.loaded:
		p.addProse(nil, own(toneDim, "Looking…"))
	case b.search.text() != "" && b.total() > 0:
		p.addProse(nil, own(toneStrong, "Nothing matches."))
		p.addProse(nil, own(tonePlain, "All words must match; risk:danger, agent:, target:, as:, status:, by:, id:, group: and name: look in one field, ! leaves out. esc shows everything again."))
	case b.recent:
		p.addProse(nil, own(tonePlain, "No session has been decided yet. h goes back to what waits."))
	default:
		p.addProse(nil, own(toneStrong, "Nothing waits for a decision."))
		p.addProse(nil, nil)
		p.addProse(nil, own(tonePlain, "When an agent's command needs a human, its session appears here by itself, the worst risk first. Agents ask by `ssh HOST COMMAND` or `ssh HOST < script.py`."))
		p.addProse(nil, own(toneDim, "h shows what was decided of late, ? the keys."))
	}
	p.layout(m.width, m.height)
	return p.window()
}

// selector marks the selected row.
func selector(selected bool) line {
	if selected {
		return own(toneKey, "▸ ")
	}
	return own(tonePlain, "  ")
}

// selector marks the selected row, and the ones that the human has marked.
func (b *inbox) selector(m *model, r *summary, selected bool) line {
	if !m.marked[mark{r.id, 0}] {
		return selector(selected)
	}
	if selected {
		return own(toneKey, "▸*")
	}
	return own(toneKey, " *")
}

// narrow is a session in two rows: how risky and what, then where, as whom, who asks, and for how long.
func (b *inbox) narrow(m *model, r *summary, selected bool) []line {
	first := join(b.selector(m, r, selected), b.badge(r))
	facts := b.facts(m, r)
	if m.width < roomyWidth {
		facts = append(facts, b.agent(m, r)) // the time that is left is more than there is room for behind a name
	} else {
		facts = append([]line{b.agent(m, r)}, facts...)
	}
	if r.name != "" {
		facts = append(facts, quoted(r.name))
	}
	second := join(own(tonePlain, "    "), place(r.target, r.runAs))
	for _, words := range facts {
		second = join(second, own(tonePlain, " · "), words)
	}
	return []line{join(first, r.what.bold(selected)).fit(m.width), second.fit(m.width)}
}

// agent is who asks, and whether that is the one who looks.
func (b *inbox) agent(m *model, r *summary) line {
	l := shown(tonePlain, r.agent)
	if r.ownedBy(m.me) {
		l = join(l, own(toneCaution, " (you)"))
	}
	return l
}

// badge is the risk of what waits, or the status of what has been decided.
func (b *inbox) badge(r *summary) line {
	if b.recent {
		return own(statusTone(r.status), pad(statusWord(r.status), 12))
	}
	return own(riskTone(r.risk), pad(riskWord(r.risk), 8))
}

// facts are what is known beside: for how long it waits and how much time is left, or who decided what.
func (b *inbox) facts(m *model, r *summary) []line {
	var l []line
	if b.recent {
		if r.by != "" {
			l = append(l, join(own(tonePlain, "by "), shown(tonePlain, r.by)))
		}
		if r.exit != nil {
			l = append(l, format(tonePlain, "exit %d", *r.exit))
		}
		if r.outcome != "" {
			l = append(l, shown(tonePlain, r.outcome))
		}
		return append(l, join(shown(tonePlain, b.age(m.now(), r)), own(tonePlain, " ago")))
	}
	l = append(l, lasting(m.now(), r.status, r.attended, r.since, r.deadline, m.width-50))
	if r.waiting > 1 {
		l = append(l, format(tonePlain, "%d operations", r.waiting))
	}
	if n := m.readOf(r); n > 0 && n == r.waiting {
		l = append(l, own(toneSafe, "read"))
	} else if n > 0 {
		l = append(l, format(toneSafe, "%d read", n))
	}
	return l
}

// quoted marks the agent's own words as such.
func quoted(words string) line {
	return join(own(toneAgent, "“"), shown(toneAgent, words), own(toneAgent, "”"))
}

func (b *inbox) age(now time.Time, r *summary) string {
	if b.recent {
		return duration(now.Sub(r.ended))
	}
	return duration(now.Sub(r.since))
}

// until is how long until a session parks or expires, for a column.
func (b *inbox) until(now time.Time, r *summary) line {
	ends := render.Words("parks")
	if r.status == journal.StatusParked {
		ends = "expires"
	}
	switch d := r.deadline.Sub(now); {
	case r.deadline.IsZero():
		return nil
	case d <= 0:
		return own(toneDanger, ends+" now")
	case d < time.Minute:
		return format(toneDanger, "%s in %s", ends, duration(d))
	default:
		return format(tonePlain, "%s in %s", ends, duration(d))
	}
}

// statusWord is a status as the screen says it.
func statusWord(s journal.Status) render.Words {
	switch s {
	case journal.StatusHeld:
		return "HELD"
	case journal.StatusParked:
		return "PARKED"
	case journal.StatusRolledBack:
		return "rolled back"
	case journal.StatusRunning:
		return "running"
	case journal.StatusDone:
		return "done"
	case journal.StatusPlanned:
		return "planned"
	case journal.StatusFailed:
		return "failed"
	case journal.StatusRejected:
		return "rejected"
	case journal.StatusCancelled:
		return "cancelled"
	case journal.StatusExpired:
		return "expired"
	case journal.StatusTimedOut:
		return "timeout"
	}
	return "unknown"
}

// columns are the widths of the list's columns on a wide screen.
type columns []int

func (b *inbox) columns(width int) columns {
	c := columns{2, 12, 0, 14, 10, 14, 6, 17, 9, 0}
	if !b.recent {
		c[1] = 8
	}
	rest := width - len(c)
	for _, w := range c {
		rest -= w
	}
	c[2] = max(rest*2/3, 10)
	c[9] = max(rest-c[2], 0)
	return c
}

func (b *inbox) titles() []line {
	names := []render.Words{"", "RISK", "WHAT", "TARGET", "AS", "AGENT", "WAITS", "UNTIL", "SESSION", "NAME, BY THE AGENT"}
	if b.recent {
		names[1], names[6], names[7] = "STATUS", "AGO", "BY, OUTCOME"
	}
	var l []line
	for _, n := range names {
		l = append(l, own(toneDim, n))
	}
	return l
}

func (b *inbox) cells(m *model, r *summary, selected bool) []line {
	l := []line{
		b.selector(m, r, selected), b.badge(r), r.what.bold(selected), shown(tonePlain, r.target), shown(tonePlain, r.runAs),
		b.agent(m, r), shown(tonePlain, b.age(m.now(), r)), b.until(m.now(), r), shown(toneDim, r.id), nil,
	}
	if b.recent {
		l[7] = join(shown(tonePlain, r.by), format(tonePlain, " %s", r.outcome))
		if r.exit != nil {
			l[7] = join(shown(tonePlain, r.by), format(tonePlain, " exit %d ", *r.exit), shown(tonePlain, r.outcome))
		}
	}
	if r.name != "" {
		l[9] = quoted(r.name)
	}
	return l
}

// row puts cells into their columns; what does not fit is marked as cut.
func (c columns) row(t tone, cells []line) line {
	var l line
	for i, w := range c {
		cell := cells[i].fit(w)
		l = join(l, cell, own(t, render.Blanks(max(w-cell.cells(), 0)+1)))
	}
	return l
}

// prompt implements view.
func (b *inbox) prompt() *prompt { return &b.search }

// status implements view: where things stand is said for the whole screen.
func (*inbox) status(*model) []line { return nil }

// keys are those that do something now, the most important first.
func (b *inbox) keys(*model) []key.Binding {
	if b.recent {
		return []key.Binding{keyOpen, keyRecent, keyLeave, keyFind}
	}
	return []key.Binding{keyOpen, keyLook, keyLeave, keyFind, keyRecent, keyNext, keyMark, keyApproveAll, keyRejectAll, keyOrder, keyAlert}
}

// help implements view.
func (*inbox) help() *page {
	return helpPage("The list", append([]key.Binding{keyOpen, keyLook, keyNext, keyMark, keyApproveAll, keyRejectAll, keyUndo, keyNow, keyRecent, keyOrder, keyAlert, keyMouse, keyLight, keyLeave, keyQuit}, scrollKeys...))
}
