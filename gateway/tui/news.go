package tui

import (
	"slices"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
)

const (
	// maxNews is how many decisions of others are remembered.
	maxNews = 50
	// maxLookedUp bounds how many decided sessions one look reads, so that a flood of decisions does not hold it up.
	maxLookedUp = 16
)

// newsroom collects what others have decided.
type newsroom struct {
	heard []events.Event // decisions of others that were not looked up yet
	news  []news
}

// news is a decision that somebody else took.
type news struct {
	at   time.Time
	line line
}

// newsOf finds out what the decisions of others were about.
func newsOf(b Backend, me journal.Identity, heard []events.Event) []news {
	var all []news
	for i, e := range heard {
		if i == maxLookedUp {
			all = append(all, news{e.At, format(toneDim, "and %d more decisions", len(heard)-i)})
			break
		}
		s, err := b.Session(me, e.Session)
		if err != nil {
			continue // gone already: there is nothing to say about it
		}
		all = append(all, newsFrom(&s, e)...)
	}
	return all
}

// newsFrom are the operations of a session that an event's decision was about.
func newsFrom(s *journal.Session, e events.Event) []news {
	var all []news
	for i := range s.Operations {
		op := &s.Operations[i]
		if op.By != e.By || !byHuman(op.Decision) || !op.Decided.Equal(e.At) && op.Decided.Before(e.At.Add(-time.Second)) {
			continue
		}
		word, t := decisionWord(op.Decision)
		all = append(all, news{e.At, join(shown(toneStrong, op.By), own(t, " "+word+" "), what(op, tonePlain), own(toneDim, " · "), shown(toneDim, s.ID))})
	}
	if all == nil && s.Status.Final() {
		all = append(all, news{e.At, join(shown(toneStrong, e.By), own(toneDim, " ended session "), shown(toneDim, s.ID))})
	}
	return all
}

// hear notes who decided, to tell the human unless it was they.
func (m *newsroom) hear(decided []events.Event, me string) {
	for _, e := range decided {
		if e.By != me && len(m.heard) < 1024 && !slices.Contains(m.heard, e) {
			m.heard = append(m.heard, e)
		}
	}
}

// learn takes news, the latest last.
func (m *newsroom) learn(all []news) {
	m.news = append(m.news, all...)
	m.news = m.news[max(len(m.news)-maxNews, 0):]
}

// lines are the latest decisions of others, for the bottom of the list: as many as the window has room for.
func (m *newsroom) lines(w window) []line {
	room := 1
	if w.height >= 24 {
		room = 3
	}
	var lines []line
	for _, n := range m.news[max(len(m.news)-room, 0):] {
		lines = append(lines, join(format(toneDim, "%s ", clock(n.at)), n.line).fit(w.width))
	}
	return lines
}
