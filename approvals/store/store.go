// Package store keeps sessions in one bbolt database, and large content in files beside it. It syncs each change to disk
// before the method returns. It must never lose what it said was kept. Changes that come at the same time share one
// transaction, and none of them can make another fail. The package knows the journal's records and implements the store that
// approvals declares. It decides nothing. Begin with Store in this file and batch.go; schema.go has the versions of the
// records.
package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/linux/durable"
)

// ErrInUse is wrapped by errors about a database that another process has open.
var ErrInUse = errors.New("another process has it open; is a gateway running already?")

// lockTimeout is how long Open waits for another process that has the database open.
const lockTimeout = 2 * time.Second

// housekeepEvery is how often old sessions and content that nothing names are looked for.
const housekeepEvery = time.Minute

// Options say how a store keeps its sessions.
type Options struct {
	// Keep is how many ended sessions are kept, KeepEach how many of an identity, BytesEach how many bytes of an identity, and Age
	// how long after their end; 0 means without limit. What has not ended is never removed. One that a rollback may want
	// is removed for the sake of Age, KeepEach and BytesEach alone.
	Keep, KeepEach int
	BytesEach      int64
	Age            time.Duration
	// Auditor is told of every change before it is made; nil for none.
	Auditor journal.Auditor
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger // nil means slog.Default

	unsynced bool // see OpenUnsynced
}

// Store is an open database.
type Store struct {
	options Options
	db      *database
	blobs   *blobs
	// accounts say what is kept of each identity.
	accounts accounts

	requests chan *request
	soon     soon
	tasks    chan func() // that run between transactions
	stop     chan struct{}
	stopOnce sync.Once
	stopped  chan struct{}

	// Of the writer's goroutine alone.
	alive map[string]*journal.Session // sessions that are alive, as the database has them
	// anchor is the audit log's last line as it was last kept.
	anchor journal.Anchor
}

var (
	_ approvals.Store = (*Store)(nil)
	_ journal.Blobs   = (*Store)(nil)
)

// Open opens or makes the database, and brings one of an earlier schema up to date. A database that another gateway
// has open, or that a newer program made, is an error that says so.
func Open(name string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, failure("make the directory", err)
	}
	db, err := openDatabase(name, bbolt.Options{NoSync: o.unsynced, NoGrowSync: o.unsynced}, true)
	if err != nil {
		return nil, err
	}
	file, err := os.Stat(name)
	if err != nil {
		return nil, failure("open "+name, errors.Join(err, db.Close()))
	}
	s := &Store{
		options: o, db: &database{DB: db, name: name, file: file}, accounts: accounts{of: map[string]account{}}, alive: map[string]*journal.Session{},
		requests: make(chan *request), tasks: make(chan func()), stop: make(chan struct{}), stopped: make(chan struct{}),
		soon: soon{some: make(chan struct{}, 1), of: map[string]int{}},
	}
	if err := s.prepare(name); err != nil {
		_ = s.db.close()
		return nil, failure("open "+name, err)
	}
	go s.write()
	return s, nil
}

// openDatabase opens a database, and looks at each of its pages where that is asked for.
func openDatabase(name string, o bbolt.Options, look bool) (db *bbolt.DB, err error) {
	o.Timeout, o.FreelistType = lockTimeout, bbolt.FreelistMapType
	var file *os.File
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		file, err = os.OpenFile(name, flag, mode) // #nosec G304 -- the operator names the state directory
		return file, err
	}
	err = guard(func() error {
		db, err = bbolt.Open(name, 0o600, &o)
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, failure("open "+name, ErrInUse)
	case errors.Is(err, ErrPages):
		// bbolt has kept the lock, and its mapping of the file would keep it beyond the descriptor.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		_ = file.Close()
	case err != nil && !fromSystem(err):
		err = damagedPages(err.Error())
	case err == nil && look:
		if err = checkPages(file); err != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return nil, failure("open "+name, err)
	}
	return db, nil
}

// fromSystem reports whether an error is the operating system's, and not one about what stands in the file.
func fromSystem(err error) bool {
	var path *fs.PathError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &number)
}

// look opens a database and looks at it. It changes nothing.
func look(name string, at func(*bbolt.Tx) error) error {
	db, err := openDatabase(name, bbolt.Options{ReadOnly: true}, false)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := guard(func() error { return db.View(at) }); err != nil {
		return failure("read "+name, err)
	}
	return nil
}

// prepare makes what is missing and cleans up after an earlier process.
func (s *Store) prepare(name string) error {
	if err := s.db.update(prepare); err != nil {
		return err
	}
	if err := s.db.update(s.keepAnchor); err != nil {
		return err
	}
	var err error
	if s.blobs, err = openBlobs(filepath.Join(filepath.Dir(name), blobFolder), s.options.Now); err != nil {
		return err
	}
	if !s.options.unsynced {
		if err := durable.SyncDir(s.blobs.dir); err != nil { // a folder that an earlier process made last may not be durable
			return err
		}
	}
	return s.db.view(func(tx *bbolt.Tx) error {
		if err := s.blobs.collectAll(func(sha string) bool { return counted(tx, sha) }); err != nil {
			return err
		}
		if err := s.countAll(tx); err != nil {
			return err
		}
		return s.blobs.vouch(tx, s.options.Log)
	})
}

// Close closes the database. What has not been kept yet is refused.
func (s *Store) Close() error {
	s.stopOnce.Do(func() { close(s.stop) })
	<-s.stopped
	return s.db.close()
}

// failure wraps what bbolt or the file system said. Callers tell it by journal.ErrStore.
func failure(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", journal.ErrStore, what, err)
}

// Create adds a session.
func (s *Store) Create(session journal.Session) error {
	r := &request{ids: []string{session.ID}, create: true, change: func(to []*journal.Session) error { *to[0] = session; return nil }}
	if len(session.Script) > maxInlineScript {
		// Durable before the record that names it.
		sha, _, err := s.blobs.put(noContext, bytes.NewReader([]byte(session.Script)), 0)
		if err != nil {
			return failure("keep the script", err)
		}
		session.ScriptSHA256 = sha
	}
	_, err := s.submit(r)
	if err != nil && !errors.Is(err, journal.ErrExists) {
		return fmt.Errorf("add session: %w", err)
	}
	return err
}

// Update changes a session in one transaction.
func (s *Store) Update(id string, change func(*journal.Session) error) (journal.Session, error) {
	after, err := s.UpdateAll([]string{id}, func(all []*journal.Session) error { return change(all[0]) })
	if err != nil {
		return journal.Session{}, err
	}
	return after[0], nil
}

// UpdateAll changes several sessions in one transaction.
func (s *Store) UpdateAll(ids []string, change func([]*journal.Session) error) ([]journal.Session, error) {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return nil, failure("change sessions", fmt.Errorf("%s is named twice", id))
		}
	}
	return s.submit(&request{ids: ids, change: change})
}

// Session returns one session. What of its content is not as it was kept is said in its Damage.
func (s *Store) Session(id string) (session journal.Session, err error) {
	s.settle(id)
	err = s.db.view(func(tx *bbolt.Tx) error {
		session, err = s.get(tx, id)
		return err
	})
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return session, failure("read session "+id, err)
	}
	return session, err
}

// Sessions returns those that match, newest first, without scripts; unless all, only those that have not ended. What
// match sees has no operations. One whose record is damaged is logged and left out: it cannot be changed, so that nothing
// of it runs any more, and others are not lost with it.
func (s *Store) Sessions(all bool, match func(*journal.Session) bool) (out []journal.Session, err error) {
	s.settle("")
	err = s.db.view(func(tx *bbolt.Tx) error {
		visit := func(id []byte) error {
			record, err := getRecord(tx, id)
			if err == nil && !match(&record.Session) {
				return nil
			}
			session := record.Session
			if err == nil {
				session.Operations, err = getOperations(tx, id, record.Operations)
			}
			if err == nil && !session.Status.Final() {
				session.Damage = s.blobs.damage(&record, session.Operations)
			}
			if err != nil {
				s.options.Log.Error("a session is left out; shannot-gateway store check may say more", "session", string(id), "error", err)
				return nil
			}
			out = append(out, session)
			return nil
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
	slices.SortStableFunc(out, func(a, b journal.Session) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// Check writes a value, and looks whether files can be made beside the database.
func (s *Store) Check() error {
	for _, dir := range []string{filepath.Dir(s.db.name), s.blobs.dir} {
		if err := durable.Writable(dir); err != nil {
			return failure("write", err)
		}
	}
	err := s.between(func() error {
		return s.db.update(func(tx *bbolt.Tx) error {
			at := uint64(max(0, s.options.Now().Unix())) // #nosec G115 -- not negative
			return tx.Bucket(metaBucket).Put(checkKey, binary.BigEndian.AppendUint64(nil, at))
		})
	})
	if err != nil {
		return failure("write", err)
	}
	return nil
}
