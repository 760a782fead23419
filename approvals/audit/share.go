package audit

import (
	"sync"
	"time"
)

// day is the time in which a share of the log comes back.
const day = 24 * time.Hour

// spending is what identities have written of late. Each may write a share at once, which comes back within a day. So
// nobody fills the disk with evidence against themselves, and the log leaves out no event.
type spending struct {
	now   func() time.Time
	share int64 // bytes a day, 0 for no limit

	mu    sync.Mutex
	spent map[string]spent
}

// spent is how many bytes of an identity's share are used up at a moment.
type spent struct {
	bytes float64
	at    time.Time
}

// used is what is used up now.
func (s *spending) used(identity string) spent {
	was, now := s.spent[identity], s.now()
	back := max(0, now.Sub(was.at).Seconds()) / day.Seconds() * float64(s.share)
	return spent{max(0, was.bytes-back), now}
}

// charge counts lines that were written because of what an identity did.
func (s *spending) charge(bytes map[string]int) {
	if s.share <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent == nil {
		s.spent = map[string]spent{}
	}
	for identity, n := range bytes {
		now := s.used(identity)
		now.bytes += float64(n)
		s.spent[identity] = now
	}
}

// Over reports whether an identity has used up its share of the log. What it asks for must wait. Its events are written
// all the same.
func (l *Log) Over(identity string) bool {
	s := &l.spending
	if s.share <= 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used(identity).bytes >= float64(s.share)
}
