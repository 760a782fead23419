package store

import (
	"bytes"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

// fresh is how long an ended session stays however many there are: somebody may be about to fetch its result.
const fresh = time.Minute

// maxRemove is how many sessions one transaction removes.
const maxRemove = 500

// housekeep removes what Options say is old, and content that nothing names any more. It runs between transactions.
func (s *Store) housekeep() error {
	for {
		removed, err := s.prune()
		if err != nil {
			return err
		}
		if removed < maxRemove {
			break
		}
	}
	return s.db.view(func(tx *bbolt.Tx) error {
		return s.blobs.collect(func(sha string) bool { return counted(tx, sha) })
	})
}

// prune removes the oldest of the ended sessions, and says how many.
func (s *Store) prune() (removed int, err error) {
	if len(s.excesses()) == 0 && s.options.Age <= 0 {
		return 0, nil
	}
	var loose []string
	gone := map[string]account{} // by identity
	err = s.db.update(func(tx *bbolt.Tx) error {
		old := s.old(tx)
		if len(old) == 0 {
			return errNothingOld
		}
		delta := map[string]int{}
		for _, key := range old {
			if err := s.remove(tx, key, delta, gone); err != nil {
				return err
			}
		}
		removed = len(old)
		loose, err = refer(tx, delta)
		return err
	})
	if err != nil {
		if errors.Is(err, errNothingOld) && !errors.Is(err, journal.ErrStore) {
			return 0, nil
		}
		return 0, err
	}
	for identity, a := range gone {
		s.accounts.add(identity, a)
	}
	s.blobs.look(loose)
	return removed, nil
}

// errNothingOld ends a transaction that has nothing to write.
var errNothingOld = errors.New("nothing is old")

// remove takes a session out of every bucket, and out of its identity's account.
func (s *Store) remove(tx *bbolt.Tx, key []byte, delta map[string]int, gone map[string]account) error {
	id := bytes.Clone(tx.Bucket(indexBucket).Get(key))
	session, names, size, err := weight(tx, id)
	if err != nil {
		return err
	}
	for sha, n := range names {
		delta[sha] -= n
	}
	a, now := gone[session.Identity], standing(session)
	gone[session.Identity] = account{ended: a.ended - now.ended, copies: a.copies - now.copies, bytes: a.bytes - size - s.weigh(names)}
	for i := range session.Operations {
		if err := tx.Bucket(operationBucket).Delete(operationKey(id, session.Operations[i].N)); err != nil {
			return err
		}
	}
	for _, b := range [][]byte{sessionBucket, scriptBucket} {
		if err := tx.Bucket(b).Delete(id); err != nil {
			return err
		}
	}
	return tx.Bucket(indexBucket).Delete(key)
}
