package tui

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

const (
	// maxRecent is how many decided sessions the list shows.
	maxRecent = 200
	// refreshPause is the least time between two looks at the backend.
	refreshPause = 100 * time.Millisecond
)

// summary is one session as the list shows it; the list of many sessions must not hold all their scripts.
type summary struct {
	id, agent, key, target, name string // as they came
	group                        string
	runAs                        string
	what                         line
	risk                         policy.Risk
	standing
	queue
	ending
	words string // everything in lower case, once it was asked for
}

// queue is what waits in a session.
type queue struct {
	waiting int     // operations that wait
	ops     []waits // the same, the first maxWaits of them
	last    int     // number of the last one that waits
}

// ending is how a session that has ended did.
type ending struct {
	by      string // who decided last
	exit    *int
	outcome string
}

// standing is where a session stands.
type standing struct {
	status                 journal.Status
	attended               bool      // its agent is connected
	since, ended, deadline time.Time // since is when it began to wait, or began
}

// waits names an operation that waits.
type waits struct {
	n      int
	digest string
	risk   policy.Risk
	what   line
}

// maxWaits bounds how many operations of one session the list knows of.
const maxWaits = 1000

// summarize picks out of a session what the list shows.
func summarize(s *journal.Session) summary {
	r := summary{
		id: s.ID, group: s.Group, agent: s.Identity, key: s.Key, target: s.Target, name: s.Name, ending: ending{exit: s.ExitCode}, risk: policy.Safe,
		standing: standing{status: s.Status, since: s.Created, ended: s.Ended, deadline: s.Deadline},
	}
	if s.Status.Final() {
		r.outcome = outcome(s)
	}
	var show *journal.Operation
	for i := range s.Operations {
		op := &s.Operations[i]
		if byHuman(op.Decision) {
			r.by = op.By
		}
		if op.Decision != journal.Waiting {
			continue
		}
		if r.waiting == 0 && op.Created.After(s.Created) {
			r.since = op.Created
		}
		r.waiting++
		r.last = op.N
		if len(r.ops) < maxWaits {
			r.ops = append(r.ops, waits{op.N, op.Digest, op.Risk, what(op, toneStrong)})
		}
		if show == nil || riskOrder(op.Risk) > riskOrder(r.risk) {
			show, r.risk = op, op.Risk
		}
	}
	if show == nil && len(s.Operations) > 0 {
		show = &s.Operations[len(s.Operations)-1]
		r.risk = show.Risk
	}
	if show == nil {
		r.what = beginning(tonePlain, firstLine(s.Script))
		return r
	}
	r.what = what(show, tonePlain)
	if show.Command != nil {
		r.runAs = show.Command.RunAs
	} else if show.File != nil {
		r.runAs = show.File.RunAs
	}
	return r
}

// ownedBy reports whether the session is the identity's own, by name or by key.
func (r *summary) ownedBy(me journal.Identity) bool {
	return (&journal.Session{Identity: r.agent, Key: r.key}).OwnedBy(me)
}

// byHuman reports whether a human decided.
func byHuman(d journal.Decision) bool {
	switch d {
	case journal.Approved, journal.Rejected, journal.Unknown, journal.Conflicted, journal.Failed:
		return true
	case journal.Waiting, journal.Allowed, journal.Denied, journal.Expired, journal.Cancelled, journal.Planned:
		return false
	}
	return false
}

// snapshot is one look at the backend.
type snapshot struct {
	waiting []summary
	running int
	recent  []summary // nil where it was not asked for
	news    []news    // what others have decided since the last look
	err     error
	// followed are sessions in which a decision of this screen is not over.
	followed []journal.Session

	id         string // the open session, "" for none
	session    journal.Session
	attended   bool
	sessionErr error
}

// load looks at the backend; after a pause where the last look was just now.
func (m *model) load(after time.Duration) tea.Cmd {
	id, recent, heard := m.openID(), m.inbox.recent, m.heard
	m.heard = nil
	open := m.results.open()
	return m.work.command(func() tea.Msg {
		if after > 0 && !pause(m.ctx, after) {
			return nil
		}
		s := snapshot{id: id}
		s.waiting, s.running, s.err = waitingSessions(m.backend, m.me)
		if recent && s.err == nil {
			s.recent, s.err = recentSessions(m.backend, m.me)
		}
		s.news = newsOf(m.backend, m.me, heard)
		for _, id := range open {
			if now, err := m.backend.Session(m.me, id); err == nil {
				s.followed = append(s.followed, now)
			}
		}
		if id != "" {
			s.session, s.sessionErr = m.backend.Session(m.me, id)
			s.attended = m.backend.Attended(id)
		}
		return s
	})
}

// refresh asks for a look at the backend. One runs at a time; what happens meanwhile leads to one more.
func (m *model) refresh() tea.Cmd {
	if m.loading {
		m.stale = true
		return nil
	}
	m.loading, m.stale = true, false
	return m.load(0)
}

// take takes a look at the backend.
func (s snapshot) take(m *model) tea.Cmd {
	m.loading = false
	for i := range s.followed {
		m.results.follow(&s.followed[i])
	}
	var cmds []tea.Cmd
	if m.stale {
		m.loading, m.stale = true, false
		cmds = append(cmds, m.load(refreshPause))
	}
	if s.err != nil {
		m.say(join(own(toneDanger, "The sessions could not be read: "), shown(tonePlain, s.err.Error())))
	} else {
		if m.inbox.take(&s) && m.session == nil {
			m.jumped()
		}
		cmds = append(cmds, m.alarm(m))
	}
	m.learn(s.news)
	if m.session != nil && s.id == m.session.id {
		cmds = append(cmds, s.takeSession(m))
	}
	return tea.Batch(cmds...)
}

// takeSession takes what the look has of the open session.
func (s *snapshot) takeSession(m *model) tea.Cmd {
	if s.sessionErr != nil {
		if errors.Is(s.sessionErr, journal.ErrNotFound) {
			m.closeSession()
			m.jumped()
		}
		m.say(join(own(toneDanger, "Session "), shown(tonePlain, s.id), own(tonePlain, ": "), shown(tonePlain, s.sessionErr.Error())))
		return nil
	}
	var cmds []tea.Cmd
	m.session.attended = s.attended
	note, changed := m.session.take(&s.session)
	if changed {
		m.say(note)
		m.jumped()
		// A question that was asked about something else must not be answered any more. One that the backend is
		// answering already stays until it has.
		if m.dialog != nil && !m.dialog.isBusy() {
			m.dialog = nil
		}
	}
	if m.session.want {
		m.session.want = false
		cmds = append(cmds, m.session.openWaiting(m))
	}
	if v := m.session.view; v != nil {
		cmds = append(cmds, v.followResult(m))
	}
	if m.session.output.overAs(journal.StatusParked) && s.session.Status != journal.StatusParked {
		cmds = append(cmds, m.session.startFollowing(m)) // it has been started again, and may be over already
	}
	return tea.Batch(cmds...)
}

func waitingSessions(b Backend, me journal.Identity) (waiting []summary, running int, err error) {
	all, err := b.Sessions(me, approvals.Filter{})
	if err != nil {
		return nil, 0, err
	}
	for i := range all {
		switch all[i].Status {
		case journal.StatusHeld, journal.StatusParked:
			r := summarize(&all[i])
			r.attended = b.Attended(r.id)
			waiting = append(waiting, r)
		case journal.StatusRunning:
			running++
		default: // ended between two looks
		}
	}
	// The oldest first: it has the least time left. The id makes the order of equals stable.
	slices.SortFunc(waiting, func(a, b summary) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id))
	})
	return waiting, running, nil
}

func recentSessions(b Backend, me journal.Identity) ([]summary, error) {
	all, err := b.Sessions(me, approvals.Filter{All: true})
	if err != nil {
		return nil, err
	}
	recent := []summary{}
	for i := range all {
		if all[i].Status.Final() {
			recent = append(recent, summarize(&all[i]))
		}
	}
	slices.SortFunc(recent, func(a, b summary) int {
		return cmp.Or(b.ended.Compare(a.ended), cmp.Compare(a.id, b.id))
	})
	return recent[:min(len(recent), maxRecent)], nil
}

// eventMsg says that something has changed.
type eventMsg struct {
	closed  bool
	decided []events.Event // that say who decided
	// reloaded says that something may not be shown any more that was.
	reloaded bool
}

// awaitEvent waits for the next event and takes those that are already there with it.
func (m *surroundings) awaitEvent() tea.Cmd {
	return m.work.command(func() tea.Msg {
		select {
		case <-m.ctx.Done():
			return nil
		case e, ok := <-m.events:
			msg := eventMsg{closed: !ok}
			msg.note(e)
			msg.drain(m.events)
			return msg
		}
	})
}

// take implements message.
func (msg eventMsg) take(m *model) tea.Cmd {
	m.hear(msg.decided, m.me.Name)
	if msg.closed {
		m.over = true
		return tea.Quit
	}
	return tea.Batch(m.refresh(), m.awaitEvent())
}

// note takes one event. It reports whether something may wait now that did not before.
func (msg *eventMsg) note(e events.Event) (waits bool) {
	if e.Kind == events.Decided && e.By != "" {
		msg.decided = append(msg.decided, e)
	}
	msg.reloaded = msg.reloaded || e.Kind == events.Reloaded
	return e.Kind == events.Reloaded || e.Kind == events.Waiting || e.Kind == events.Parked || e.Kind == events.Lost
}

// drain takes what is in the channel, at most as much as a subscriber could be behind.
func (msg *eventMsg) drain(events <-chan events.Event) (waits bool) {
	for range 1024 {
		select {
		case e, ok := <-events:
			if !ok {
				msg.closed = true
				return waits
			}
			waits = msg.note(e) || waits
		default:
			return waits
		}
	}
	return waits
}

// tickMsg moves the clocks on the screen.
type tickMsg struct{}

// take implements message.
func (tickMsg) take(m *model) tea.Cmd { return m.tick() }

func (m *surroundings) tick() tea.Cmd {
	return m.work.command(func() tea.Msg {
		if !pause(m.ctx, time.Second) {
			return nil
		}
		return tickMsg{}
	})
}

// decidedMsg is the backend's answer to a verdict.
type decidedMsg struct {
	verdict verdict
	results []result // one for each subject
}

// result is the answer for one operation.
type result struct {
	err     error
	session journal.Session // as it is after the answer, whoever decided
	known   bool            // session is set
	told    line            // what else there is to say
}

// now is a session as the last answer about it has it, nil where none has.
func (msg *decidedMsg) now(id string) *journal.Session {
	for i := len(msg.results) - 1; i >= 0; i-- {
		if r := &msg.results[i]; r.known && r.session.ID == id {
			return &r.session
		}
	}
	return nil
}

// failed is how many decisions did not count.
func (msg *decidedMsg) failed() int {
	n := 0
	for _, r := range msg.results {
		if r.err != nil {
			n++
		}
	}
	return n
}

// decide hands a verdict to the backend.
func (m *surroundings) decide(v verdict) tea.Cmd {
	return m.work.command(func() tea.Msg { return m.decideOn(v) })
}

// decideOn hands over what was decided, session by session: of one session all of it counts, or nothing. Each decision names its
// operations and, to approve, the digests that were shown.
func (m *surroundings) decideOn(v verdict) decidedMsg {
	msg := decidedMsg{verdict: v}
	msg.verdict.subjects = nil
	for _, of := range v.sessions() {
		var r result
		switch {
		case v.grant != nil:
			r = m.grantOn(v, &of[0])
		case v.approve:
			r.session, r.err = m.backend.Approve(m.ctx, of[0].session, m.me, v.approval(of))
		default:
			numbers := make([]int, len(of))
			for i := range of {
				numbers[i] = of[i].n
			}
			r.session, r.err = m.backend.Reject(m.ctx, of[0].session, m.me, numbers, v.reason)
		}
		r.known = r.err == nil
		if r.err != nil {
			if now, err := m.backend.Session(m.me, of[0].session); err == nil {
				r.session, r.known = now, true
			}
		}
		for range of {
			msg.results = append(msg.results, r)
		}
		msg.verdict.subjects = append(msg.verdict.subjects, of...)
	}
	return msg
}

// firstLine is the first line of a script that says anything.
func firstLine(script string) string {
	for l := range strings.SplitSeq(script, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			return l
		}
	}
	return ""
}
