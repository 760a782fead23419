package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

// account is what is kept of one identity.
type account struct {
	ended  int   // sessions that have ended
	copies int   // of those, the ones that a rollback may still want
	bytes  int64 // of records and content of all its sessions; content that several name counts for each
}

// accounts are those of all identities. The writer's goroutine alone changes them.
type accounts struct {
	mu sync.Mutex
	of map[string]account
}

func (a *accounts) add(identity string, d account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.of[identity]
	now.ended += d.ended
	now.copies += d.copies
	now.bytes += d.bytes
	if now == (account{}) {
		delete(a.of, identity)
		return
	}
	a.of[identity] = now
}

func (a *accounts) get(identity string) account {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[identity]
}

// Bytes is how much is kept of an identity's sessions, in bytes: their records, scripts, outputs, and contents of files.
func (s *Store) Bytes(identity string) int64 { return s.accounts.get(identity).bytes }

// maxSoonBytes is how much a change that nobody waits for adds to what is kept, in bytes: a command's result, whose recorded
// output has at most six times its 1 MiB, where each byte of it has a header of its own.
const maxSoonBytes = 8 << 20

// Over reports whether more than most bytes are kept of an identity's sessions, and how many are.
func (s *Store) Over(identity string, most int64) (bytes int64, over bool) {
	if bytes = s.Bytes(identity); bytes <= most && bytes > most-int64(s.soon.len())*maxSoonBytes {
		s.settle("")
		bytes = s.Bytes(identity)
	}
	return bytes, bytes > most
}

// standing is how a session counts for its identity, bytes left out.
func standing(s *journal.Session) (a account) {
	if s == nil || !s.Status.Final() {
		return a
	}
	a.ended = 1
	if s.MayRollBack() {
		a.copies = 1
	}
	return a
}

// weigh adds up the sizes of content, each as often as it is named.
func (s *Store) weigh(names map[string]int) (bytes int64) {
	for sha, n := range names {
		if n != 0 {
			bytes += int64(n) * s.blobs.size(sha)
		}
	}
	return bytes
}

// countAll makes the accounts of what is there. Sessions whose records are damaged are left out, as they are never removed.
func (s *Store) countAll(tx *bbolt.Tx) error {
	return tx.Bucket(sessionBucket).ForEach(func(id, _ []byte) error {
		session, names, size, err := weight(tx, id)
		if err == nil {
			a := standing(session)
			a.bytes = size + s.weigh(names)
			s.accounts.add(session.Identity, a)
		}
		return nil
	})
}

// weight reads a session without its script: what content it names, and what its records take in bytes.
func weight(tx *bbolt.Tx, id []byte) (session *journal.Session, names map[string]int, size int64, err error) {
	record, err := getRecord(tx, id)
	if err != nil {
		return nil, nil, 0, err
	}
	session, names = &record.Session, map[string]int{}
	if session.Operations, err = getOperations(tx, id, record.Operations); err != nil {
		return nil, nil, 0, err
	}
	count(record.blobs(), +1, names)
	for i := range session.Operations {
		count(session.Operations[i].Blobs(), +1, names)
	}
	size = int64(len(tx.Bucket(sessionBucket).Get(id)) + len(tx.Bucket(scriptBucket).Get(id)))
	prefix := operationPrefix(id)
	c := tx.Bucket(operationBucket).Cursor()
	for k, text := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, text = c.Next() {
		size += int64(len(text))
	}
	return session, names, size, nil
}

// excess is how many sessions and bytes of an identity are to go.
type excess struct {
	sessions int   // whatever they are
	others   int   // of those that no rollback wants, for the sake of the whole
	bytes    int64 // whatever they are
}

func (e *excess) over() bool { return e.sessions > 0 || e.others > 0 || e.bytes > 0 }

// enough is which part of its share an identity that is over it keeps, so that not every session makes another one go.
const enough = 0.95

// excesses say what is too much: of an identity what is over its own share, and of all what is over Options.Keep. For that
// those go that have the most, and never a session that a rollback may want: others' traffic pushes nothing out that
// somebody may need to undo.
func (s *Store) excesses() map[string]*excess {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	all, total := map[string]*excess{}, 0
	for name, a := range s.accounts.of {
		e := &excess{}
		if most := s.options.KeepEach; most > 0 {
			e.sessions = max(0, a.ended-most)
		}
		if most := s.options.BytesEach; most > 0 && a.bytes > most && a.ended > 0 {
			e.bytes = a.bytes - int64(float64(most)*enough)
		}
		all[name] = e
		total += a.ended - e.sessions
	}
	left := func(name string) int { return s.accounts.of[name].ended - all[name].sessions - all[name].others }
	for s.options.Keep > 0 && total > s.options.Keep {
		most, found := "", false
		for name, a := range s.accounts.of {
			if left(name) > a.copies && (!found || left(name) > left(most)) {
				most, found = name, true
			}
		}
		if !found {
			break
		}
		all[most].others++
		total--
	}
	for name, e := range all {
		if !e.over() {
			delete(all, name)
		}
	}
	return all
}

// candidate is an ended session that may go.
type candidate struct {
	key      []byte
	identity string
	copy     bool
	bytes    int64
}

// old lists index keys of ended sessions to be removed: what is too old, and of each identity what is too much, those
// first that no rollback wants, the oldest first.
func (s *Store) old(tx *bbolt.Tx) (out [][]byte) {
	now, wanted := s.options.Now(), s.excesses()
	var copies []candidate
	open := tx.Bucket(openBucket)
	c := tx.Bucket(indexBucket).Cursor()
	for k, id := c.First(); k != nil && len(out) < maxRemove; k, id = c.Next() {
		created := time.Unix(0, int64(binary.BigEndian.Uint64(k))) // #nosec G115 -- as indexKey made it
		if len(wanted) == 0 && (s.options.Age <= 0 || now.Sub(created) < s.options.Age) {
			break // what comes was created later, and ended later still
		}
		if open.Get(id) != nil {
			continue
		}
		session, names, size, err := weight(tx, id)
		if err != nil {
			continue // it is damaged: whoever looks into that finds it
		}
		since, e := now.Sub(session.Ended), wanted[session.Identity]
		one := candidate{bytes.Clone(k), session.Identity, session.MayRollBack(), size + s.weigh(names)}
		switch {
		case s.options.Age > 0 && since >= s.options.Age:
			out = append(out, one.key)
		case e == nil || since < fresh:
			continue
		case one.copy:
			copies = append(copies, one)
			continue
		default:
			out = append(out, one.key)
		}
		e.take(one)
		if e != nil && !e.over() {
			delete(wanted, session.Identity)
		}
	}
	for _, one := range copies { // by its own traffic alone
		if e := wanted[one.identity]; e != nil && (e.sessions > 0 || e.bytes > 0) && len(out) < maxRemove {
			out = append(out, one.key)
			e.take(one)
		}
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// take counts one that goes.
func (e *excess) take(c candidate) {
	if e == nil {
		return
	}
	e.bytes -= c.bytes
	if e.sessions > 0 {
		e.sessions--
	} else if !c.copy {
		e.others = max(0, e.others-1)
	}
}
