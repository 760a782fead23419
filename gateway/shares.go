package gateway

import (
	"fmt"
	"sync"
)

// shares are places that several identities share: so many in all, and so many for each. An identity that has none gets
// one whatever others hold, so that nobody is kept out. The configuration bounds the number of identities.
type shares struct {
	mu    sync.Mutex
	taken map[string]int
	all   int
}

func newShares() *shares { return &shares{taken: map[string]int{}} }

// take takes a place, of at most each for an identity and at most all in sum; 0 means no limit. ok is false where there is none.
func (s *shares) take(identity string, each, all int) (give func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.taken[identity]
	if each > 0 && own >= each || all > 0 && s.all >= all && own > 0 {
		return nil, false
	}
	s.taken[identity]++
	s.all++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.taken[identity]--; s.taken[identity] == 0 {
			delete(s.taken, identity)
		}
	}), true
}

// share says why an identity may add nothing to what is kept of it now, nil where it may.
func (g *Gateway) share(identity string) error {
	if most := g.options.Config.Retention.BytesPerIdentity; most > 0 && g.options.Over != nil {
		if kept, over := g.options.Over(identity, most); over {
			return fmt.Errorf("%d bytes are kept of your sessions, retention.bytes_per_identity allows %d; those that have ended go within minutes, the oldest first", kept, most)
		}
	}
	return g.auditShare(identity)
}

// auditShare says why an identity may do nothing more that the audit log tells of, nil where it may.
func (g *Gateway) auditShare(identity string) error {
	if g.options.Audit == nil || !g.options.Audit.Over(identity) {
		return nil
	}
	most := g.options.Config.Audit.BytesPerIdentity
	return fmt.Errorf("the audit log has taken %d bytes because of you, audit.bytes_per_identity allows no more a day; %d an hour come back", most, most/24)
}
