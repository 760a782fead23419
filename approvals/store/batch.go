package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals"
)

// maxBatch is how many changes share a transaction. What comes while one is written waits for the next: under load
// they grow by themselves, and a change that comes alone waits for nobody.
const maxBatch = 256

// errClosed is for changes that come too late.
var errClosed = errors.New("the store is closed")

// request is one change of one session.
type request struct {
	id     string
	create bool
	// change may be called more than once: its transaction may fail for reasons of another's.
	change func(*approvals.Session) error

	after    approvals.Session
	err      error
	panicked any
	done     chan struct{}
}

// submit has a change written and returns the session as it then is.
func (s *Store) submit(r *request) (approvals.Session, error) {
	r.done = make(chan struct{})
	select {
	case s.requests <- r:
		<-r.done
	case <-s.stop:
		return approvals.Session{}, failure("change session "+r.id, errClosed)
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
	for {
		select {
		case r := <-s.requests:
			s.commit(s.gather(r))
		case task := <-s.tasks:
			task()
		case <-ticker.C:
			// An error shows itself at the next change too, which has somebody to tell.
			_ = s.housekeep()
		case <-s.stop:
			return
		}
	}
}

// gather takes what else waits at this moment.
func (s *Store) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < maxBatch {
		select {
		case r := <-s.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// commit writes a batch. Where the transaction fails, each change is tried in one of its own, so that it fails alone.
func (s *Store) commit(batch []*request) {
	defer func() {
		for _, r := range batch {
			close(r.done)
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
			r.after, r.err = approvals.Session{}, failure("change session "+r.id, err)
		}
	}
}

// draft is a session as a transaction changes it.
type draft struct {
	before, after *approvals.Session // before is nil for a new one
}

// try writes changes in one transaction. Each is made to a copy first: one that is refused leaves nothing behind. An
// error means that nothing at all was written.
func (s *Store) try(batch []*request) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect after a commit
	drafts := map[string]*draft{}
	for _, r := range batch {
		r.err, r.panicked = nil, nil
		s.apply(tx, drafts, r)
	}
	if len(drafts) == 0 {
		return nil
	}
	delta := map[string]int{}
	for _, d := range drafts {
		if err := d.write(tx, delta); err != nil {
			return err
		}
	}
	loose, err := refer(tx, delta)
	if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		clear(s.alive) // whatever the disk has now is read again
		return err
	}
	s.blobs.look(loose)
	for _, d := range drafts {
		s.committed(d)
	}
	return nil
}

// apply makes one change to its draft.
func (s *Store) apply(tx *bbolt.Tx, drafts map[string]*draft, r *request) {
	d := drafts[r.id]
	if d == nil {
		d = &draft{}
		if d.before, r.err = s.load(tx, r.id); r.err != nil && !errors.Is(r.err, approvals.ErrNotFound) {
			r.err = failure("change session "+r.id, r.err)
			return
		}
		d.after = d.before
	}
	switch {
	case r.create && d.after != nil:
		r.err = approvals.ErrExists
		return
	case !r.create && d.after == nil:
		r.err = approvals.ErrNotFound
		return
	}
	r.err = nil
	changed := approvals.Session{}
	if d.after != nil {
		changed = *d.after
		changed.Operations = slices.Clone(changed.Operations)
	}
	if r.err = r.call(&changed); r.err != nil || r.panicked != nil {
		return
	}
	if err := s.complete(d.after, &changed); err != nil {
		r.err = failure("change session "+r.id, err)
		return
	}
	changed.Operations = slices.Clip(changed.Operations)
	d.after = &changed
	drafts[r.id] = d
	r.after = changed
}

// load returns a session as the last transaction left it.
func (s *Store) load(tx *bbolt.Tx, id string) (*approvals.Session, error) {
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
func (r *request) call(session *approvals.Session) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = p
		}
	}()
	return r.change(session)
}

// complete refuses a change that a reader could make nothing of: operations that are no continuous list, and content
// that is not there.
func (s *Store) complete(before, after *approvals.Session) error {
	had := 0
	if before != nil {
		had = len(before.Operations)
		if before.ID != after.ID || before.ScriptSHA256 != after.ScriptSHA256 || before.Script != after.Script {
			return errors.New("what a session is cannot be changed")
		}
	}
	if len(after.Operations) < had {
		return errors.New("an operation cannot be removed")
	}
	named := after.Blobs()
	if before == nil && len(after.Script) > maxInlineScript {
		named = append(named, after.ScriptSHA256)
	}
	for i := range after.Operations {
		o := &after.Operations[i]
		if i < had && *o == before.Operations[i] {
			continue
		}
		if o.N != i+1 {
			return fmt.Errorf("operation %d has the number %d", i+1, o.N)
		}
		named = append(named, o.Blobs()...)
	}
	for _, sha := range named {
		if !s.blobs.has(sha) {
			return fmt.Errorf("content %q is named and not there", sha)
		}
	}
	return nil
}

// write puts what differs into the transaction, and counts references to blobs.
func (d *draft) write(tx *bbolt.Tx, delta map[string]int) error {
	had := 0
	if d.before == nil {
		if err := putNew(tx, d.after); err != nil {
			return err
		}
	}
	record, err := putRecord(tx, d.after)
	if err != nil {
		return err
	}
	count(record.blobs(), +1, delta)
	if d.before != nil {
		had = len(d.before.Operations)
		count(d.before.Blobs(), -1, delta)
		if record.ScriptBlob {
			count([]string{record.Session.ScriptSHA256}, -1, delta)
		}
	}
	for i := range d.after.Operations {
		o := &d.after.Operations[i]
		if i < had {
			// Operations are compared as they are: what their pointers point at is never changed, only replaced.
			if *o == d.before.Operations[i] {
				continue
			}
			count(d.before.Operations[i].Blobs(), -1, delta)
		}
		count(o.Blobs(), +1, delta)
		if err := putOperation(tx, d.after.ID, o); err != nil {
			return err
		}
	}
	return nil
}

func count(names []string, by int, delta map[string]int) {
	for _, sha := range names {
		delta[sha] += by
	}
}

// committed remembers a session that is alive, so that its next change need not read all of it.
func (s *Store) committed(d *draft) {
	if d.after.Status.Final() && (d.before == nil || !d.before.Status.Final()) {
		s.ended++
	} else if d.before != nil && d.before.Status.Final() && !d.after.Status.Final() {
		s.ended--
	}
	switch d.after.Status {
	case approvals.Running, approvals.Held:
		s.alive[d.after.ID] = d.after
	default:
		delete(s.alive, d.after.ID)
	}
}
