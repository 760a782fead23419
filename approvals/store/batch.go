package store

import (
	"errors"
	"fmt"
	"shannot-gateway/approvals/journal"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// maxBatch is how many changes share a transaction. What comes while one is written waits for the next: under load
// they grow by themselves, and a change that comes alone waits for nobody.
const maxBatch = 256

// Errors of changes that come too late, and whose own code panics while nobody waits for them.
var (
	errClosed = errors.New("the store is closed")
	errPanic  = errors.New("the change panicked")
)

// request is one change of sessions, of all of them or of none.
type request struct {
	ids    []string // each once
	create bool
	// change may be called more than once: its transaction may fail for reasons of another's.
	change func([]*journal.Session) error

	after    []journal.Session
	err      error
	panicked any
	done     chan struct{}
	// written is told what came of a change that nobody waits for, in the writer's goroutine; nil for others.
	written func(error)
}

// end tells whoever asked for the change that it was made, or not.
func (r *request) end(s *Store) {
	if r.written == nil {
		close(r.done)
		return
	}
	err := r.err
	if r.panicked != nil {
		s.options.Log.Error("panic in a change of a session", "session", r.ids[0], "panic", r.panicked)
		err = failure(r.name(), errPanic)
	}
	s.soon.written(r.ids[0])
	r.written(err)
}

// name names the sessions in an error.
func (r *request) name() string { return "change session " + strings.Join(r.ids, ", ") }

// submit has a change written and returns the sessions as they then are.
func (s *Store) submit(r *request) ([]journal.Session, error) {
	r.done = make(chan struct{})
	select {
	case s.requests <- r:
		<-r.done
	case <-s.stop:
		return nil, failure(r.name(), errClosed)
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.after, r.err
}

// between runs something while no transaction is open.
func (s *Store) between(task func() error) error {
	result := make(chan error, 1)
	select {
	case s.tasks <- func() { result <- task() }:
		return <-result
	case <-s.stop:
		return errClosed
	}
}

// write is the goroutine that alone changes the database.
func (s *Store) write() {
	defer close(s.stopped)
	ticker := time.NewTicker(housekeepEvery)
	defer ticker.Stop()
	anchor := time.NewTicker(anchorEvery)
	defer anchor.Stop()
	defer s.catchUp()
	defer func() { s.commit(s.soon.close()) }()
	var late <-chan time.Time // when what nobody waits for is written at the latest
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case <-s.soon.some:
			late = time.After(soonIs)
		case <-late:
			late = nil
			s.commit(s.soon.take())
		case task := <-s.tasks:
			s.commit(s.soon.take())
			task()
		case <-ticker.C:
			if err := s.housekeep(); err != nil {
				s.options.Log.Error("remove old sessions and content that nothing names; shannot-gateway store check may say more", "error", err)
			}
		case <-anchor.C:
			s.catchUp()
		case <-s.stop:
			return
		}
	}
}

// gather takes what else waits at this moment. A change comes after those that nobody waits for and that came before it.
func (s *Store) gather(first *request) []*request {
	batch := append(s.soon.take(), first)
	for len(batch) < maxBatch {
		select {
		case r := <-s.requests:
			batch = append(append(batch, s.soon.take()...), r)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch. Where the transaction fails, each change is tried in one of its own, so that it fails alone.
func (s *Store) commit(batch []*request) {
	if len(batch) == 0 {
		return
	}
	defer func() {
		for _, r := range batch {
			r.end(s)
		}
	}()
	err := s.try(batch)
	if err == nil {
		return
	}
	for _, r := range batch {
		if len(batch) > 1 {
			err = s.try([]*request{r})
		}
		if err != nil {
			if !errors.Is(err, journal.ErrStore) {
				err = failure(r.name(), err)
			}
			r.after, r.err = nil, err
		}
	}
}

// try writes changes in one transaction. Each is made to a copy first: one that is refused leaves nothing behind. An
// error means that nothing at all was written.
func (s *Store) try(batch []*request) error {
	err := s.db.transaction(func(tx *bbolt.Tx) error { return s.tryIn(tx, batch) })
	if errors.Is(err, ErrPages) {
		clear(s.alive) // whatever the disk has now is read again
		s.anchor = journal.Anchor{}
	}
	return err
}

// tryIn is try in an open transaction.
func (s *Store) tryIn(tx *bbolt.Tx, batch []*request) error {
	drafts := map[string]*journal.Revision{}
	var changes []journal.Revision
	for _, r := range batch {
		r.after, r.err, r.panicked = nil, nil, nil
		changes = append(changes, s.apply(tx, drafts, r)...)
	}
	if len(changes) == 0 {
		return nil
	}
	delta := map[string]int{}
	grown := map[string]int64{}
	for id, d := range drafts {
		names := map[string]int{}
		size, err := write(tx, d, names)
		if err != nil {
			return err
		}
		grown[id] = size + s.weigh(names)
		for sha, n := range names {
			delta[sha] += n
		}
	}
	loose, err := refer(tx, delta)
	if err != nil {
		return err
	}
	// What must be durable before the changes are: the content that they name and their lines in the audit log.
	content := func() error { return s.blobs.sync(delta) }
	if s.options.unsynced {
		content = func() error { return nil }
	}
	if err := beside(content, func() error { return s.audit(changes) }); err != nil {
		return err
	}
	if err := s.keepAnchor(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		clear(s.alive) // whatever the disk has now is read again
		s.anchor = journal.Anchor{}
		return err
	}
	s.blobs.look(loose)
	for id, d := range drafts {
		s.committed(d, grown[id])
	}
	return nil
}

// beside does both at the same time and returns their errors.
func beside(other, own func() error) error {
	done := make(chan error, 1)
	go func() { done <- other() }()
	err := own()
	return errors.Join(err, <-done)
}

// audit has changes recorded before they are made. Where that cannot be, those that let nothing happen are made all the
// same: what has happened must not be forgotten since it cannot be told.
func (s *Store) audit(changes []journal.Revision) error {
	if s.options.Auditor == nil {
		return nil
	}
	err := s.options.Auditor.Record(changes)
	if err == nil {
		return nil
	}
	if slices.ContainsFunc(changes, journal.Revision.Starts) {
		return err
	}
	s.options.Auditor.Defer(changes)
	return nil
}

// apply makes one change to its drafts, to all of them or to none, and returns what it did.
func (s *Store) apply(tx *bbolt.Tx, drafts map[string]*journal.Revision, r *request) []journal.Revision {
	own := make([]journal.Revision, len(r.ids)) // from what the transaction began with
	before := make([]*journal.Session, len(r.ids))
	changed := make([]*journal.Session, len(r.ids))
	for i, id := range r.ids {
		d, err := s.draft(tx, drafts, id)
		if err == nil {
			err = r.fits(d.After)
		}
		if err != nil {
			r.err = err
			return nil
		}
		own[i], before[i], changed[i] = *d, d.After, &journal.Session{}
		if d.After != nil {
			*changed[i] = *d.After
			changed[i].Operations = slices.Clone(changed[i].Operations)
		}
	}
	if r.err = r.call(changed); r.err != nil || r.panicked != nil {
		return nil
	}
	changes := make([]journal.Revision, len(r.ids))
	for i := range changed {
		changed[i].Operations = slices.Clip(changed[i].Operations)
		changes[i] = journal.Revision{Before: before[i], After: changed[i]}
		if err := s.complete(changes[i]); err != nil {
			r.err = failure(r.name(), err)
			return nil
		}
	}
	for i, id := range r.ids {
		own[i].After = changed[i]
		drafts[id] = &own[i]
		r.after = append(r.after, *changed[i])
	}
	return changes
}

// draft is a session as the changes before it in the transaction leave it.
func (s *Store) draft(tx *bbolt.Tx, drafts map[string]*journal.Revision, id string) (*journal.Revision, error) {
	if d := drafts[id]; d != nil {
		return d, nil
	}
	before, err := s.load(tx, id)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return nil, failure("change session "+id, err)
	}
	return &journal.Revision{Before: before, After: before}, nil
}

// fits reports whether the request can be made of a session, nil for one that is not there.
func (r *request) fits(s *journal.Session) error {
	switch {
	case r.create && s != nil:
		return journal.ErrExists
	case !r.create && s == nil:
		return journal.ErrNotFound
	}
	return nil
}

// load returns a session as the last transaction left it.
func (s *Store) load(tx *bbolt.Tx, id string) (*journal.Session, error) {
	if session := s.alive[id]; session != nil {
		return session, nil
	}
	session, err := s.get(tx, id)
	if err != nil {
		return nil, err
	}
	return &session, nil
}

// call runs the caller's own code, whose panic is the caller's.
func (r *request) call(sessions []*journal.Session) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = p
		}
	}()
	return r.change(sessions)
}

// complete refuses a change that a reader could make nothing of: operations that are no continuous list, and content
// that is not there.
func (s *Store) complete(c journal.Revision) error {
	// What was named before was there once: where it is gone, the session can end nevertheless.
	named := slices.DeleteFunc(c.After.Blobs(), func(sha string) bool { return c.Before != nil && slices.Contains(c.Before.Blobs(), sha) })
	if c.Before == nil {
		if len(c.After.Script) > maxInlineScript {
			named = append(named, c.After.ScriptSHA256)
		}
	} else {
		if c.Before.ID != c.After.ID || c.Before.ScriptSHA256 != c.After.ScriptSHA256 || c.Before.Script != c.After.Script {
			return errors.New("what a session is cannot be changed")
		}
		if len(c.After.Operations) < len(c.Before.Operations) {
			return errors.New("an operation cannot be removed")
		}
	}
	had := 0
	if c.Before != nil {
		had = len(c.Before.Operations)
	}
	var wrong error
	c.Operations(func(before, after *journal.Operation) {
		if before == nil {
			had++
			if after.N != had {
				wrong = fmt.Errorf("operation %d has the number %d", had, after.N)
			}
		} else if after.N != before.N {
			wrong = fmt.Errorf("operation %d has the number %d", before.N, after.N)
		}
		for _, sha := range after.Blobs() {
			if before == nil || !slices.Contains(before.Blobs(), sha) {
				named = append(named, sha)
			}
		}
	})
	if wrong != nil {
		return wrong
	}
	for _, sha := range named {
		if !s.blobs.has(sha) {
			return fmt.Errorf("content %q is named and not there", sha)
		}
	}
	return nil
}

// write puts what differs into the transaction, counts references to blobs, and says by how many bytes the records grow.
func write(tx *bbolt.Tx, c *journal.Revision, delta map[string]int) (grown int64, err error) {
	if c.Before == nil {
		if err := putNew(tx, c.After); err != nil {
			return 0, err
		}
		grown = int64(len(tx.Bucket(scriptBucket).Get([]byte(c.After.ID))))
	}
	record, more, err := putRecord(tx, c.After)
	if err != nil {
		return 0, err
	}
	grown += more
	count(record.blobs(), +1, delta)
	if c.Before != nil {
		count(c.Before.Blobs(), -1, delta)
		if record.ScriptBlob {
			count([]string{record.Session.ScriptSHA256}, -1, delta)
		}
	}
	var failed error
	c.Operations(func(before, after *journal.Operation) {
		if before != nil {
			count(before.Blobs(), -1, delta)
		}
		count(after.Blobs(), +1, delta)
		more, err := putOperation(tx, c.After.ID, after)
		if err != nil {
			failed = err
		}
		grown += more
	})
	return grown, failed
}

func count(names []string, by int, delta map[string]int) {
	for _, sha := range names {
		delta[sha] += by
	}
}

// committed remembers a session that is alive, so that its next change need not read all of it, and what is kept of its
// identity, which has grown by so many bytes.
func (s *Store) committed(c *journal.Revision, grown int64) {
	before, now := standing(c.Before), standing(c.After)
	s.accounts.add(c.After.Identity, account{ended: now.ended - before.ended, copies: now.copies - before.copies, bytes: grown})
	switch c.After.Status {
	case journal.StatusRunning, journal.StatusHeld:
		s.alive[c.After.ID] = c.After
	default:
		delete(s.alive, c.After.ID)
	}
}
