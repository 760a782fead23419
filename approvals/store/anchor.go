package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"shannot-gateway/approvals/journal"
	"time"

	"go.etcd.io/bbolt"
)

// anchorEvery is how often the audit log's last line is kept where no session changes meanwhile. A transaction about a
// session keeps it anyway, and costs nothing more for it; lines of logins and files that are read come without one. So the
// journal lags behind the log by this much at most: after a crash the log goes further than the journal knows, never less
// far, for a line is on the disk before the journal speaks of it.
const anchorEvery = 10 * time.Second

// anchored is an auditor whose last line the journal keeps.
type anchored interface {
	// End is the last line that is on the disk.
	End() journal.Anchor
}

// keepAnchor puts the audit log's last line into a transaction.
func (s *Store) keepAnchor(tx *bbolt.Tx) error {
	log, ok := s.options.Auditor.(anchored)
	if !ok {
		return nil
	}
	a := log.End()
	value, err := encodeAnchor(a)
	if err != nil {
		return err
	}
	s.anchor = a
	return tx.Bucket(metaBucket).Put(anchorKey, value)
}

// catchUp keeps the audit log's last line where it is another than the one that was kept.
func (s *Store) catchUp() {
	log, ok := s.options.Auditor.(anchored)
	if !ok || log.End() == s.anchor {
		return
	}
	if err := s.db.update(s.keepAnchor); err != nil {
		s.anchor = journal.Anchor{}
		s.options.Log.Error("keep the audit log's last line in the journal", "error", err)
	}
}

// anchorSize is a number of 8 bytes, and a SHA-256.
const anchorSize = 8 + 32

func encodeAnchor(a journal.Anchor) ([]byte, error) {
	hash, err := hex.DecodeString(a.Hash)
	if err != nil || len(hash) != anchorSize-8 {
		return nil, fmt.Errorf("the audit log's last line has the hash %q", a.Hash)
	}
	return append(binary.BigEndian.AppendUint64(nil, a.Seq), hash...), nil
}

func decodeAnchor(value []byte) (*journal.Anchor, error) {
	if len(value) != anchorSize {
		return nil, errors.New("what the journal keeps of the audit log is damaged")
	}
	return &journal.Anchor{Seq: binary.BigEndian.Uint64(value), Hash: hex.EncodeToString(value[8:])}, nil
}

// Anchor returns the last line of the audit log that a database knows; nil where there is no database, or it knows none. It
// fails with ErrInUse where a gateway has it open.
func Anchor(name string) (a *journal.Anchor, err error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err = look(name, func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return nil
		}
		value := meta.Get(anchorKey)
		if value == nil {
			return nil
		}
		a, err = decodeAnchor(value)
		return err
	})
	return a, err
}

// SetAnchor lets a database know another last line of the audit log, as an operator who accepts a loss does. There must be a
// database.
func SetAnchor(name string, a journal.Anchor) error {
	if _, err := os.Stat(name); err != nil {
		return failure("look for the database", err)
	}
	value, err := encodeAnchor(a)
	if err != nil {
		return err
	}
	db, err := openDatabase(name, bbolt.Options{}, true)
	if err != nil {
		return err
	}
	err = guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			meta := tx.Bucket(metaBucket)
			if meta == nil {
				return errors.New("it is no database of this program")
			}
			return meta.Put(anchorKey, value)
		})
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return failure("write "+name, err)
	}
	return nil
}
