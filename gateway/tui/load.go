package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"shannot-gateway/approvals"
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
	runAs                        string
	what                         line
	risk                         policy.Risk
	status                       approvals.Status
	created, ended, deadline     time.Time
	waiting                      int // operations that wait
	by                           string
	exit                         *int
}

// summarize picks out of a session what the list shows.
func summarize(s *approvals.Session) summary {
	r := summary{
		id: s.ID, agent: s.Identity, key: s.Key, target: s.Target, name: s.Name, status: s.Status,
		created: s.Created, ended: s.Ended, deadline: s.Deadline, exit: s.ExitCode, risk: policy.Safe,
	}
	var show *approvals.Operation
	for i := range s.Operations {
		op := &s.Operations[i]
		if byHuman(op.Decision) {
			r.by = op.By
		}
		if op.Decision != approvals.Waiting {
			continue
		}
		r.waiting++
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
	}
	return r
}

// ownedBy reports whether the session is the identity's own, by name or by key.
func (r *summary) ownedBy(me approvals.Identity) bool { return ownedBy(r.agent, r.key, me) }

// byHuman reports whether a human decided.
func byHuman(d approvals.Decision) bool {
	switch d {
	case approvals.Approved, approvals.Refused, approvals.UnknownState:
		return true
	case approvals.Waiting, approvals.Allowed, approvals.Denied, approvals.Lapsed, approvals.Withdrawn:
		return false
	}
	return false
}

// snapshot is one look at the backend.
type snapshot struct {
	waiting []summary
	running int
	recent  []summary // nil where it was not asked for
	err     error

	id         string // the open session, "" for none
	session    approvals.Session
	sessionErr error
}

// load looks at the backend; after a pause where the last look was just now.
func (m *model) load(after time.Duration) tea.Cmd {
	id, recent := m.openID(), m.inbox.recent
	return m.work.command(func() tea.Msg {
		if after > 0 && !pause(m.ctx, after) {
			return nil
		}
		s := snapshot{id: id}
		s.waiting, s.running, s.err = waitingSessions(m.backend)
		if recent && s.err == nil {
			s.recent, s.err = recentSessions(m.backend)
		}
		if id != "" {
			s.session, s.sessionErr = m.backend.Session(id)
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

func waitingSessions(b Backend) (waiting []summary, running int, err error) {
	all, err := b.Sessions(approvals.Filter{})
	if err != nil {
		return nil, 0, err
	}
	for i := range all {
		switch all[i].Status {
		case approvals.Held, approvals.Parked:
			waiting = append(waiting, summarize(&all[i]))
		case approvals.Running:
			running++
		default: // ended between two looks
		}
	}
	// The oldest first: it has the least time left. The id makes the order of equals stable.
	slices.SortFunc(waiting, func(a, b summary) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
	})
	return waiting, running, nil
}

func recentSessions(b Backend) ([]summary, error) {
	all, err := b.Sessions(approvals.Filter{All: true})
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
type eventMsg struct{ closed bool }

// awaitEvent waits for the next event and takes those that are already there with it.
func (m *model) awaitEvent() tea.Cmd {
	return m.work.command(func() tea.Msg {
		select {
		case <-m.ctx.Done():
			return nil
		case _, ok := <-m.events:
			return eventMsg{closed: !ok || !drain(m.events)}
		}
	})
}

// drain takes what is in the channel, at most as much as a subscriber could be behind, and reports whether it is open.
func drain(events <-chan approvals.Event) bool {
	for range 1024 {
		select {
		case _, ok := <-events:
			if !ok {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// tickMsg moves the clocks on the screen.
type tickMsg struct{}

func (m *model) tick() tea.Cmd {
	return m.work.command(func() tea.Msg {
		if !pause(m.ctx, time.Second) {
			return nil
		}
		return tickMsg{}
	})
}

// decidedMsg is the backend's answer to a decision.
type decidedMsg struct {
	subject subject
	approve bool
	session approvals.Session // as it is after the answer, whoever decided
	known   bool              // session is set
	err     error
}

// decide hands a decision to the backend. It names the operation and, to approve, the digest that was shown.
func (m *model) decide(s subject, approve bool, reason string) tea.Cmd {
	return m.work.command(func() tea.Msg {
		r := decidedMsg{subject: s, approve: approve}
		if approve {
			r.session, r.err = m.backend.Approve(m.ctx, s.session, m.me, []int{s.n}, s.digest)
		} else {
			r.session, r.err = m.backend.Reject(m.ctx, s.session, m.me, []int{s.n}, reason)
		}
		r.known = r.err == nil
		if r.err != nil {
			if now, err := m.backend.Session(s.session); err == nil {
				r.session, r.known = now, true
			}
		}
		return r
	})
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
