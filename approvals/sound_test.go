package approvals_test

import (
	"testing"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
)

// soundStore is a store in which every record must be one that the journal's tables make.
type soundStore struct {
	approvals.Store
	tb testing.TB
}

func (s soundStore) check(all ...journal.Session) {
	for i := range all {
		for _, err := range all[i].Sound() {
			s.tb.Error(err)
		}
	}
}

func (s soundStore) Create(session journal.Session) error {
	s.check(session)
	return s.Store.Create(session)
}

func (s soundStore) Update(id string, change func(*journal.Session) error) (journal.Session, error) {
	after, err := s.Store.Update(id, change)
	if err == nil {
		s.check(after)
	}
	return after, err
}

func (s soundStore) UpdateAll(ids []string, change func([]*journal.Session) error) ([]journal.Session, error) {
	after, err := s.Store.UpdateAll(ids, change)
	if err == nil {
		s.check(after...)
	}
	return after, err
}
