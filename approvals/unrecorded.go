package approvals

import (
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

// unrecorded are sessions that have ended, and whose end the journal could not take: its disk is full, or the audit log's. They are
// shown as failed, since nobody can vouch for what of them is on the disk, and recorded as that once it goes again.
type unrecorded struct {
	mu sync.Mutex
	of map[string]journal.Event // by session
}

// add takes a session over whose end was not recorded, and says why.
func (u *unrecorded) add(id string, why error, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of = map[string]journal.Event{}
	}
	u.of[id] = journal.EndEvent(journal.StatusFailed, journal.ExitFault, "the gateway could not record its end: "+render.Line(why.Error()).String(), at)
}

// shown is a session as it is shown.
func (u *unrecorded) shown(s journal.Session) journal.Session {
	u.mu.Lock()
	e, ok := u.of[s.ID]
	u.mu.Unlock()
	if !ok || s.Status != journal.StatusRunning && s.Status != journal.StatusHeld {
		return s
	}
	ended := s.Clone()
	if ended.Apply(e) != nil {
		return s
	}
	return ended
}

// recordEnds records the ends that could not be recorded before.
func (m *Manager) recordEnds() {
	m.unrecorded.mu.Lock()
	var ids []string
	for id := range m.unrecorded.of {
		ids = append(ids, id)
	}
	m.unrecorded.mu.Unlock()
	for _, id := range ids {
		m.unrecorded.mu.Lock()
		e := m.unrecorded.of[id]
		m.unrecorded.mu.Unlock()
		s, err := m.config.Store.Update(id, func(s *journal.Session) error {
			if s.Status != journal.StatusRunning && s.Status != journal.StatusHeld {
				return nil
			}
			return s.Apply(e)
		})
		if err != nil {
			return // it goes no better with the next one
		}
		m.unrecorded.mu.Lock()
		delete(m.unrecorded.of, id)
		m.unrecorded.mu.Unlock()
		m.publish(events.About(&s), events.Ended, "")
	}
}
