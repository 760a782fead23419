package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals"
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
	return s.db.View(func(tx *bbolt.Tx) error {
		return s.blobs.collect(func(sha string) bool { return counted(tx, sha) })
	})
}

// prune removes the oldest of the ended sessions, and says how many.
func (s *Store) prune() (removed int, err error) {
	excess := 0
	if s.options.Keep > 0 {
		excess = s.ended - s.options.Keep
	}
	if excess <= 0 && s.options.Age <= 0 {
		return 0, nil
	}
	var loose []string
	err = s.db.Update(func(tx *bbolt.Tx) error {
		old, err := s.old(tx, excess)
		if err != nil || len(old) == 0 {
			return errors.Join(err, errNothingOld)
		}
		delta := map[string]int{}
		for _, key := range old {
			if err := remove(tx, key, delta); err != nil {
				return err
			}
		}
		removed = len(old)
		loose, err = refer(tx, delta)
		return err
	})
	if err != nil {
		if errors.Is(err, errNothingOld) && !errors.Is(err, approvals.ErrStore) {
			return 0, nil
		}
		return 0, err
	}
	s.ended -= removed
	s.blobs.look(loose)
	return removed, nil
}

// errNothingOld ends a transaction that has nothing to write.
var errNothingOld = errors.New("nothing is old")

// old lists index keys of ended sessions to be removed, oldest first: as many as are too many, and what is too old.
func (s *Store) old(tx *bbolt.Tx, excess int) (out [][]byte, err error) {
	now := s.options.Now()
	open := tx.Bucket(openBucket)
	c := tx.Bucket(indexBucket).Cursor()
	for k, id := c.First(); k != nil && len(out) < maxRemove; k, id = c.Next() {
		tooMany := len(out) < excess
		created := time.Unix(0, int64(binary.BigEndian.Uint64(k))) // #nosec G115 -- as indexKey made it
		if !tooMany && (s.options.Age <= 0 || now.Sub(created) < s.options.Age) {
			break // what comes was created later, and ended later still
		}
		if open.Get(id) != nil {
			continue
		}
		record, err := getRecord(tx, id)
		if err == nil {
			_, err = getOperations(tx, id, record.Operations)
		}
		if err != nil {
			continue // it is damaged: whoever looks into that finds it
		}
		since := now.Sub(record.Session.Ended)
		if tooMany && since >= fresh || s.options.Age > 0 && since >= s.options.Age {
			out = append(out, bytes.Clone(k))
		}
	}
	return out, nil
}

// remove takes a session out of every bucket.
func remove(tx *bbolt.Tx, key []byte, delta map[string]int) error {
	id := bytes.Clone(tx.Bucket(indexBucket).Get(key))
	record, err := getRecord(tx, id)
	if err != nil {
		return err
	}
	operations, err := getOperations(tx, id, record.Operations)
	if err != nil {
		return err
	}
	count(record.blobs(), -1, delta)
	for i := range operations {
		count(operations[i].Blobs(), -1, delta)
		if err := tx.Bucket(operationBucket).Delete(operationKey(id, operations[i].N)); err != nil {
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
