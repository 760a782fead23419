// Package store keeps sessions in one bbolt database, and large content in files beside it. It must never lose what it
// said was kept: each change is one transaction, synced to disk before the method returns.
package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"shannot-gateway/approvals"
)

// schema is the version of the buckets and records below.
const schema = 1

// Buckets. A session's record holds everything but its script, which is written once; the index orders ids by time.
var (
	metaBucket    = []byte("meta")
	sessionBucket = []byte("sessions")
	scriptBucket  = []byte("scripts")
	indexBucket   = []byte("by-time")
	openBucket    = []byte("open") // ids of sessions that have not ended
	schemaKey     = []byte("schema")
	checkKey      = []byte("check")
)

// lockTimeout is how long Open waits for another process that has the database open.
const lockTimeout = 2 * time.Second

// keepFinal is how many ended sessions are kept; the oldest go first. What waits is never removed.
const keepFinal = 10_000

// pruneEvery is how many sessions may begin before old ones are looked for.
const pruneEvery = 256

// Store is an open database.
type Store struct {
	db      *bbolt.DB
	blobs   *blobs
	created int
}

var _ approvals.Store = (*Store)(nil)

// Open opens or makes the database. A database that another gateway has open is an error that says so.
func Open(name string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, failure("make the directory", err)
	}
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, failure("open "+name, errors.New("another process has it open; is a gateway running already?"))
	}
	if err != nil {
		return nil, failure("open "+name, err)
	}
	s := &Store{db: db}
	if err = db.Update(prepare); err == nil {
		s.blobs, err = openBlobs(filepath.Join(filepath.Dir(name), blobFolder), time.Now)
	}
	if err != nil {
		_ = db.Close()
		return nil, failure("open "+name, err)
	}
	return s, nil
}

func prepare(tx *bbolt.Tx) error {
	for _, b := range [][]byte{metaBucket, sessionBucket, scriptBucket, indexBucket, openBucket} {
		if _, err := tx.CreateBucketIfNotExists(b); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	want := binary.BigEndian.AppendUint32(nil, schema)
	switch have := meta.Get(schemaKey); {
	case have == nil:
		return meta.Put(schemaKey, want)
	case !bytes.Equal(have, want):
		return fmt.Errorf("schema %x is not this program's (%x); use the version that made it", have, want)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// failure wraps what bbolt or the file system said. Callers tell it by approvals.ErrStore.
func failure(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", approvals.ErrStore, what, err)
}

// Create adds a session.
func (s *Store) Create(session approvals.Session) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		id := []byte(session.ID)
		if tx.Bucket(sessionBucket).Get(id) != nil {
			return approvals.ErrExists
		}
		if err := tx.Bucket(scriptBucket).Put(id, []byte(session.Script)); err != nil {
			return err
		}
		if err := tx.Bucket(indexBucket).Put(indexKey(session), id); err != nil {
			return err
		}
		if s.created++; s.created%pruneEvery == 0 {
			if err := prune(tx); err != nil {
				return err
			}
		}
		return putSession(tx, session)
	})
	if err != nil && !errors.Is(err, approvals.ErrExists) {
		return failure("add session", err)
	}
	return err
}

func indexKey(s approvals.Session) []byte {
	at := uint64(max(0, s.Created.UnixNano())) // #nosec G115 -- not negative
	return append(binary.BigEndian.AppendUint64(nil, at), s.ID...)
}

func putSession(tx *bbolt.Tx, session approvals.Session) error {
	session.Script = ""
	text, err := json.Marshal(session)
	if err != nil {
		return err
	}
	id := []byte(session.ID)
	if session.Status.Final() {
		err = tx.Bucket(openBucket).Delete(id)
	} else {
		err = tx.Bucket(openBucket).Put(id, indexKey(session))
	}
	if err != nil {
		return err
	}
	return tx.Bucket(sessionBucket).Put(id, text)
}

func get(tx *bbolt.Tx, id []byte) (session approvals.Session, err error) {
	text := tx.Bucket(sessionBucket).Get(id)
	if text == nil {
		return session, approvals.ErrNotFound
	}
	if err := json.Unmarshal(text, &session); err != nil {
		return session, fmt.Errorf("session %q is damaged: %w", id, err)
	}
	return session, nil
}

// changeError marks an error of an Update's change, which is the caller's own and no failure of the store.
type changeError struct{ error }

// Update changes a session in one transaction.
func (s *Store) Update(id string, change func(*approvals.Session) error) (session approvals.Session, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if session, err = get(tx, []byte(id)); err != nil {
			return err
		}
		session.Script = string(tx.Bucket(scriptBucket).Get([]byte(id)))
		if err := change(&session); err != nil {
			return changeError{err}
		}
		return putSession(tx, session)
	})
	var own changeError
	switch {
	case err == nil, errors.Is(err, approvals.ErrNotFound):
		return session, err
	case errors.As(err, &own):
		return session, own.error
	}
	return session, failure("change session "+id, err)
}

// Session returns one session.
func (s *Store) Session(id string) (session approvals.Session, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if session, err = get(tx, []byte(id)); err != nil {
			return err
		}
		session.Script = string(tx.Bucket(scriptBucket).Get([]byte(id)))
		return nil
	})
	if err != nil && !errors.Is(err, approvals.ErrNotFound) {
		return session, failure("read session "+id, err)
	}
	return session, err
}

// Sessions returns those that match, newest first, without scripts; unless all, only those that have not ended.
func (s *Store) Sessions(all bool, match func(*approvals.Session) bool) (out []approvals.Session, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		visit := func(id []byte) error {
			session, err := get(tx, id)
			if err == nil && match(&session) {
				out = append(out, session)
			}
			return err
		}
		if all {
			c := tx.Bucket(indexBucket).Cursor()
			for k, id := c.Last(); k != nil; k, id = c.Prev() {
				if err := visit(id); err != nil {
					return err
				}
			}
			return nil
		}
		return tx.Bucket(openBucket).ForEach(func(id, _ []byte) error { return visit(id) })
	})
	if err != nil {
		return nil, failure("list sessions", err)
	}
	slices.SortStableFunc(out, func(a, b approvals.Session) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// Check writes a value and reads it.
func (s *Store) Check() error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(checkKey, []byte(time.Now().UTC().Format(time.RFC3339)))
	})
	if err != nil {
		return failure("write", err)
	}
	return nil
}

// prune removes the oldest ended sessions beyond keepFinal.
func prune(tx *bbolt.Tx) error {
	c := tx.Bucket(indexBucket).Cursor()
	final := 0
	var remove [][]byte
	for k, id := c.Last(); k != nil; k, id = c.Prev() {
		session, err := get(tx, id)
		if err != nil {
			return err
		}
		if session.Status.Final() {
			if final++; final > keepFinal {
				remove = append(remove, bytes.Clone(k), bytes.Clone(id))
			}
		}
	}
	for i := 0; i < len(remove); i += 2 {
		if err := tx.Bucket(indexBucket).Delete(remove[i]); err != nil {
			return err
		}
		for _, b := range [][]byte{sessionBucket, scriptBucket} {
			if err := tx.Bucket(b).Delete(remove[i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}
