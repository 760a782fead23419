package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

// Report is what Inspect found.
type Report struct {
	Sessions, Operations, Blobs int
	// Findings are inconsistencies, a line each. Names in them are quoted.
	Findings []string
}

// Inspect looks at every record of a database and at all content beside it. It changes nothing. It fails where the
// database cannot be opened, for instance since a gateway has it open, or has another schema.
func Inspect(name string) (*Report, error) {
	if _, err := os.Stat(name); err != nil {
		return nil, failure("look for the database", err)
	}
	i := &inspection{dir: filepath.Join(filepath.Dir(name), blobFolder), named: map[string]uint64{}}
	db, err := openDatabase(name, bbolt.Options{ReadOnly: true}, true)
	if errors.Is(err, ErrPages) { // what is above pages cannot be looked at
		i.found("%v", err)
		return &i.Report, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	if err := guard(func() error { return db.View(i.run) }); errors.Is(err, ErrPages) {
		i.found("database: %v", err)
	} else if err != nil {
		return nil, failure("inspect "+name, err)
	}
	slices.Sort(i.Findings)
	return &i.Report, nil
}

type inspection struct {
	Report
	dir   string
	named map[string]uint64 // blobs by how often records name them
}

func (i *inspection) found(format string, args ...any) {
	i.Findings = append(i.Findings, fmt.Sprintf(format, args...))
}

func (i *inspection) run(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return errors.New("it is no database of this program")
	}
	if v := meta.Get(schemaKey); len(v) != 4 || binary.BigEndian.Uint32(v) != schema {
		return fmt.Errorf("its schema is version %x, this program's is %d; serve brings an older one up to date", v, schema)
	}
	for _, b := range buckets() {
		if tx.Bucket(b) == nil {
			i.found("database: there is no bucket %s", b)
		}
	}
	for err := range tx.Check() {
		i.found("database: %v", err)
	}
	if len(i.Findings) > 0 {
		return nil // what is above pages cannot be looked at
	}
	for _, step := range []func(*bbolt.Tx) error{i.sessions, i.operations, i.scripts, i.index, i.open, i.counts, i.grants} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return i.files()
}

// sessions looks at each record with its operations and its script.
func (i *inspection) sessions(tx *bbolt.Tx) error {
	contents := &blobs{dir: i.dir}
	return tx.Bucket(sessionBucket).ForEach(func(id, _ []byte) error {
		i.Sessions++
		record, err := getRecord(tx, id)
		if err != nil {
			i.found("%v", err)
			return nil
		}
		s := record.Session
		if s.ID != string(id) {
			i.found("session %q: its record says that it is %q", id, s.ID)
			return nil
		}
		i.name(record.blobs())
		if s.Operations, err = getOperations(tx, id, record.Operations); err != nil {
			i.found("%v", err)
		}
		for n := range s.Operations {
			i.name(s.Operations[n].Blobs())
		}
		if s.Script, err = contents.script(tx, &record); err != nil {
			i.found("session %q: %v", id, err)
		} else {
			for _, err := range s.Sound() {
				i.found("%v", err)
			}
		}
		if got := tx.Bucket(indexBucket).Get(indexKey(&s)); !bytes.Equal(got, id) {
			i.found("session %q is not in the index at its time", id)
		}
		if open := tx.Bucket(openBucket).Get(id); (open == nil) != s.Status.Final() {
			i.found("session %q is %s, and the list of open ones says otherwise", id, s.Status)
		}
		return nil
	})
}

func (i *inspection) name(shas []string) {
	for _, sha := range shas {
		i.named[sha]++
	}
}

// operations looks for those that no session has.
func (i *inspection) operations(tx *bbolt.Tx) error {
	return tx.Bucket(operationBucket).ForEach(func(k, text []byte) error {
		i.Operations++
		id, n, ok := bytes.Cut(k, []byte{0})
		if !ok || len(n) != 4 {
			i.found("operation %q: its key is malformed", k)
			return nil
		}
		if tx.Bucket(sessionBucket).Get(id) == nil {
			i.found("operation %d of session %q: there is no such session", binary.BigEndian.Uint32(n), id)
		}
		var o journal.Operation
		if json.Unmarshal(text, &o) == nil && uint32(max(0, o.N)) != binary.BigEndian.Uint32(n) { // #nosec G115 -- not negative
			i.found("operation %d of session %q says that it is operation %d", binary.BigEndian.Uint32(n), id, o.N)
		}
		return nil
	})
}

func (i *inspection) scripts(tx *bbolt.Tx) error {
	return tx.Bucket(scriptBucket).ForEach(func(id, _ []byte) error {
		if tx.Bucket(sessionBucket).Get(id) == nil {
			i.found("script of session %q: there is no such session", id)
		}
		return nil
	})
}

func (i *inspection) index(tx *bbolt.Tx) error {
	return tx.Bucket(indexBucket).ForEach(func(k, id []byte) error {
		if len(k) < 8 || string(k[8:]) != string(id) {
			i.found("index: an entry for %q has another's key", id)
		}
		if tx.Bucket(sessionBucket).Get(id) == nil {
			i.found("index: there is no session %q", id)
		}
		return nil
	})
}

func (i *inspection) open(tx *bbolt.Tx) error {
	return tx.Bucket(openBucket).ForEach(func(id, k []byte) error {
		if tx.Bucket(sessionBucket).Get(id) == nil {
			i.found("list of open sessions: there is no session %q", id)
		} else if !bytes.Equal(tx.Bucket(indexBucket).Get(k), id) {
			i.found("list of open sessions: session %q stands at another time than in the index", id)
		}
		return nil
	})
}

func (i *inspection) grants(tx *bbolt.Tx) error {
	return tx.Bucket(grantBucket).ForEach(func(k, text []byte) error {
		if _, err := readGrant(k, text); err != nil {
			i.found("%v", err)
		}
		return nil
	})
}

// counts compares the references that were counted with those that are there.
func (i *inspection) counts(tx *bbolt.Tx) error {
	bucket := tx.Bucket(blobBucket)
	for _, sha := range slices.Sorted(maps.Keys(i.named)) {
		if n := references(tx, sha); n != i.named[sha] {
			i.found("content %s is named %d times, and %d are counted", sha, i.named[sha], n)
		}
	}
	return bucket.ForEach(func(sha, v []byte) error {
		if !validSHA(string(sha)) || len(v) != 8 {
			i.found("count of content %q is malformed", sha)
		} else if i.named[string(sha)] == 0 {
			i.found("content %s is counted %d times, and nothing names it", sha, binary.BigEndian.Uint64(v))
		}
		return nil
	})
}

// files looks at every blob: what is missing, damaged, or no longer named. What is younger than blobGrace may be about
// to be named, or what a crash left, and what is being written is nobody's yet.
func (i *inspection) files() error {
	b := &blobs{dir: i.dir}
	if _, err := os.Stat(i.dir); errors.Is(err, fs.ErrNotExist) && len(i.named) == 0 {
		return nil
	}
	there := map[string]bool{}
	err := b.walk(func(sha, name string) error {
		switch {
		case sha == "" && strings.HasPrefix(filepath.Base(name), newBlob):
			return nil
		case sha == "":
			i.found("file %q is no content", name)
			return nil
		}
		i.Blobs++
		there[sha] = true
		if i.named[sha] == 0 && !young(name) {
			i.found("content %s is there, and nothing names it", sha)
		}
		if err := b.verify(sha); err != nil {
			i.found("content %s: %v", sha, err)
		}
		return nil
	})
	for _, sha := range slices.Sorted(maps.Keys(i.named)) {
		if !there[sha] {
			i.found("content %s is named, and not there", sha)
		}
	}
	return err
}

func young(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && time.Since(info.ModTime()) < blobGrace
}

// verify reads a blob to its end.
func (b *blobs) verify(sha string) error {
	f, _, err := b.open(sha)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(io.Discard, f)
	return err
}
