package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/linux/durable"
)

// Repaired is what Repair has made.
type Repaired struct {
	Sessions, Operations, Grants int
	// Lost names what is not in the new database, and what of it is not there, a line each. Names in them are quoted.
	Lost []string
	// Before is where the database is now that it was made from; "" where there was none.
	Before string
}

// noAnchor knows no line of the audit log.
var noAnchor = journal.Anchor{Hash: strings.Repeat("0", 64)}

// Repair makes a new database of what is readable of one whose pages or records are damaged. A session comes over whole or
// not at all: of one without an operation's record nobody knows what was decided. Content is left as it is. The database that
// was there stays beside the new one, under another name. It fails with ErrInUse where a gateway has it open.
func Repair(name string, now time.Time) (*Repaired, error) { return repairDatabase(name, now, false) }

// repairDatabase is Repair, unsynced for tests of everything but durability.
func repairDatabase(name string, now time.Time, unsynced bool) (*Repaired, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0) // #nosec G304 -- the operator names the state directory
	if err != nil {
		return nil, failure("open the database", err)
	}
	defer func() { _ = f.Close() }()
	if err := lock(f); err != nil {
		return nil, failure("open "+name, err)
	}
	r := &repair{blobs: &blobs{dir: filepath.Join(filepath.Dir(name), blobFolder)}}
	info, err := f.Stat()
	if err != nil {
		return nil, failure("open the database", err)
	}
	if err := r.read(f, info.Size()); err != nil {
		return nil, failure("read "+name, err)
	}
	r.choose()
	r.Before = name + ".damaged-" + now.UTC().Format("20060102T150405Z")
	if err := replace(name, f, r.write, r.Before, unsynced); err != nil {
		return nil, failure("write a new database", err)
	}
	return &r.Repaired, nil
}

// Begin makes an empty database where there is none, or an empty one: an operator has accepted that the one before is lost. What
// was there stays under another name.
func Begin(name string, now time.Time) (*Repaired, error) {
	empty, err := Empty(name)
	if err != nil {
		return nil, err
	}
	if !empty {
		return nil, failure("begin an empty database", fmt.Errorf("%s has sessions: move it away first", name))
	}
	r := &repair{anchor: noAnchor}
	var old *os.File
	if old, err = os.OpenFile(name, os.O_RDWR, 0); err == nil { // #nosec G304 -- the operator names the state directory
		defer func() { _ = old.Close() }()
		if err := lock(old); err != nil {
			return nil, failure("open "+name, err)
		}
		r.Before = name + ".empty-" + now.UTC().Format("20060102T150405Z")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, failure("open the database", err)
	}
	if err := replace(name, old, r.write, r.Before, false); err != nil {
		return nil, failure("write a new database", err)
	}
	return &r.Repaired, nil
}

// Empty reports whether there is no database, or one that no gateway with an audit log has ever written to: it knows no session,
// and no line of the log.
func Empty(name string) (empty bool, err error) {
	if info, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return true, nil
	}
	err = look(name, func(tx *bbolt.Tx) error {
		meta, sessions := tx.Bucket(metaBucket), tx.Bucket(sessionBucket)
		empty = (meta == nil || meta.Get(anchorKey) == nil) && (sessions == nil || sessions.Inspect().KeyN == 0)
		return nil
	})
	return empty, err
}

// lock keeps gateways off a database, as bbolt does.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// replace puts a new database, with the old one's owner, under a name. The old one keeps another name.
func replace(name string, old *os.File, write func(*bbolt.DB) error, before string, unsynced bool) error {
	// bbolt syncs what it writes; a name of its own keeps a crash's remains apart.
	made := name + ".new"
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() { _ = os.Remove(made) }()
	db, err := bbolt.Open(made, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, NoSync: unsynced, NoGrowSync: unsynced})
	if err != nil {
		return err
	}
	if err := errors.Join(write(db), db.Close()); err != nil {
		return err
	}
	if old != nil {
		info, err := old.Stat()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
			if err := os.Lchown(made, int(st.Uid), int(st.Gid)); err != nil {
				return fmt.Errorf("give it its owner: %w", err)
			}
		}
		if err := os.Link(name, before); err != nil {
			return fmt.Errorf("keep the old one: %w", err)
		}
	}
	if unsynced {
		return os.Rename(made, name)
	}
	return durable.Rename(made, name)
}

// repair holds what was read of a damaged database.
type repair struct {
	Repaired
	blobs *blobs

	records    map[string][]byte
	operations map[string]map[uint32][]byte // by session and number
	scripts    map[string][]byte
	grants     map[string][]byte
	sequence   uint64 // of the grants
	anchor     journal.Anchor

	kept []salvaged
}

// salvaged is a session that comes over.
type salvaged struct {
	record sessionRecord
	script []byte // nil for one that is a blob
}

func (r *repair) lost(format string, args ...any) {
	r.Lost = append(r.Lost, fmt.Sprintf(format, args...))
}

// read takes out of the file what can be read.
func (r *repair) read(from io.ReaderAt, size int64) error {
	p, err := openPages(from, size)
	if err != nil {
		return err
	}
	r.records, r.scripts, r.grants = map[string][]byte{}, map[string][]byte{}, map[string][]byte{}
	r.operations, r.anchor = map[string]map[uint32][]byte{}, noAnchor
	all := p.buckets()
	var version []byte
	into := func(bucket []byte, take func(key, value []byte)) {
		b, ok := all[string(bucket)]
		if !ok {
			r.lost("there is no bucket %s", bucket)
			return
		}
		p.each(string(bucket), b, take)
	}
	copied := func(to map[string][]byte) func(key, value []byte) {
		return func(key, value []byte) { to[string(key)] = append([]byte{}, value...) }
	}
	into(metaBucket, func(key, value []byte) {
		switch {
		case bytes.Equal(key, schemaKey):
			version = bytes.Clone(value)
		case bytes.Equal(key, anchorKey):
			if a, err := decodeAnchor(value); err == nil {
				r.anchor = *a
			}
		}
	})
	if len(version) == 4 && binary.BigEndian.Uint32(version) != schema {
		return fmt.Errorf("its schema is version %d, this program's is %d: repair it with the program that made it", binary.BigEndian.Uint32(version), schema)
	}
	into(sessionBucket, copied(r.records))
	into(scriptBucket, copied(r.scripts))
	into(grantBucket, copied(r.grants))
	r.sequence = all[string(grantBucket)].sequence
	into(operationBucket, func(key, value []byte) {
		id, n, ok := bytes.Cut(key, []byte{0})
		if !ok || len(n) != 4 {
			r.lost("operation %q: its key is malformed", key)
			return
		}
		of := r.operations[string(id)]
		if of == nil {
			of = map[uint32][]byte{}
			r.operations[string(id)] = of
		}
		of[binary.BigEndian.Uint32(n)] = bytes.Clone(value)
	})
	p.free()
	for _, finding := range p.findings {
		r.lost("database: %s", finding)
	}
	if p.more > 0 {
		r.lost("database: %d more findings", p.more)
	}
	return nil
}

// choose takes the sessions that are whole.
func (r *repair) choose() {
	for id := range r.records {
		one, err := r.session(id)
		if err != nil {
			r.lost("session %q is left out: %v", id, err)
			continue
		}
		r.kept = append(r.kept, *one)
	}
	for id := range r.operations {
		if r.records[id] == nil {
			r.lost("session %q is left out: of its record nothing can be read, of its operations %d", id, len(r.operations[id]))
		}
	}
	slices.SortFunc(r.kept, func(a, b salvaged) int {
		return cmp.Or(a.record.Session.Created.Compare(b.record.Session.Created), strings.Compare(a.record.Session.ID, b.record.Session.ID))
	})
	for key, text := range r.grants {
		if len(key) == 8 { // its number is not given again, whatever it was
			r.sequence = max(r.sequence, binary.BigEndian.Uint64([]byte(key)))
		}
		if _, err := readGrant([]byte(key), text); err != nil {
			delete(r.grants, key)
			r.lost("a grant is left out: %v", err)
		}
	}
	r.Grants = len(r.grants)
	slices.Sort(r.Lost)
}

// session reads a session with its operations. Why it cannot come over is an error; what of its content is missing is no reason,
// for the gateway names that and goes on.
func (r *repair) session(id string) (*salvaged, error) {
	one := &salvaged{}
	if err := unseal(r.records[id], &one.record); err != nil {
		return nil, fmt.Errorf("its record is damaged: %w", err)
	}
	s := &one.record.Session
	if s.ID != id {
		return nil, fmt.Errorf("its record says that it is %q", s.ID)
	}
	if have := len(r.operations[id]); have != one.record.Operations {
		return nil, fmt.Errorf("%d of its operations can be read, and it has %d", have, one.record.Operations)
	}
	s.Operations = make([]journal.Operation, one.record.Operations)
	for i := range s.Operations {
		text := r.operations[id][uint32(i+1)] // #nosec G115 -- far below
		if err := unseal(text, &s.Operations[i]); err != nil {
			return nil, fmt.Errorf("operation %d is damaged: %w", i+1, err)
		}
	}
	one.script = r.scripts[id]
	if one.record.ScriptBlob || one.script == nil || journal.SHA256Hex(one.script) != s.ScriptSHA256 {
		one.script, one.record.ScriptBlob = nil, true
	}
	// Without its script, which is looked at apart.
	judged := *s
	judged.Script, judged.ScriptSHA256 = "", journal.SHA256Hex(nil)
	if found := judged.Sound(); len(found) > 0 {
		return nil, found[0]
	}
	if err := r.askAgain(s); err != nil {
		return nil, err
	}
	names := one.record.blobs()
	for i := range s.Operations {
		names = append(names, s.Operations[i].Blobs()...)
	}
	for _, sha := range names {
		if !validSHA(sha) {
			return nil, fmt.Errorf("it names content %q", sha)
		}
	}
	for _, sha := range one.record.blobs() {
		r.missing(id, "it", sha)
	}
	for i := range s.Operations {
		for _, sha := range s.Operations[i].Blobs() {
			r.missing(id, fmt.Sprintf("operation %d", i+1), sha)
		}
	}
	return one, nil
}

// askAgain takes back the approvals that have not been used: the database may be as it was a change before, and what was approved
// may have run.
func (r *repair) askAgain(s *journal.Session) error {
	any, err := s.Reopen("the journal was damaged, and it may have run", time.Time{})
	if err != nil || !any {
		return err
	}
	r.lost("session %q: what was approved and had not run waits for a human again", s.ID)
	if s.Status == journal.StatusParked {
		return s.Apply(journal.Event{What: journal.Unschedule})
	}
	return nil
}

// missing names content that is not there.
func (r *repair) missing(id, what, sha string) {
	if !r.blobs.has(sha) {
		r.lost("session %q is kept, and content %s, which %s names, is not there", id, sha, what)
	}
}

// writtenAtOnce is how many sessions one transaction writes.
const writtenAtOnce = 500

// write fills the new database.
func (r *repair) write(db *bbolt.DB) error {
	err := db.Update(func(tx *bbolt.Tx) error {
		if err := prepare(tx); err != nil {
			return err
		}
		value, err := encodeAnchor(r.anchor)
		if err != nil {
			return err
		}
		if err := tx.Bucket(metaBucket).Put(anchorKey, value); err != nil {
			return err
		}
		grants := tx.Bucket(grantBucket)
		for key, text := range r.grants {
			if err := grants.Put([]byte(key), text); err != nil {
				return err
			}
		}
		return grants.SetSequence(r.sequence)
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(r.kept, writtenAtOnce) {
		err := db.Update(func(tx *bbolt.Tx) error {
			delta := map[string]int{}
			for i := range some {
				if err := some[i].put(tx, delta); err != nil {
					return err
				}
				r.Sessions++
				r.Operations += len(some[i].record.Session.Operations)
			}
			_, err := refer(tx, delta)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes a session into the new database, and counts the content that it names.
func (o *salvaged) put(tx *bbolt.Tx, delta map[string]int) error {
	s := o.record.Session
	id := []byte(s.ID)
	if o.script != nil {
		if err := tx.Bucket(scriptBucket).Put(id, o.script); err != nil {
			return err
		}
	}
	if err := tx.Bucket(indexBucket).Put(indexKey(&s), id); err != nil {
		return err
	}
	record, _, err := putRecord(tx, &s)
	if err != nil {
		return err
	}
	count(record.blobs(), +1, delta)
	for i := range s.Operations {
		count(s.Operations[i].Blobs(), +1, delta)
		if _, err := putOperation(tx, s.ID, &s.Operations[i]); err != nil {
			return err
		}
	}
	return nil
}
