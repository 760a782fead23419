package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"syscall"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

// Buckets. A session's record holds everything but its operations, each of which has a record of its own, and its
// script, which is written once.
var (
	metaBucket      = []byte("meta")
	sessionBucket   = []byte("sessions")   // id: sessionRecord
	operationBucket = []byte("operations") // id, NUL, number: journal.Operation
	scriptBucket    = []byte("scripts")    // id: text, where it is no blob
	indexBucket     = []byte("by-time")    // time of creation, id: id
	openBucket      = []byte("open")       // id of a session that has not ended: its key in the index
	blobBucket      = []byte("blobs")      // SHA-256: how many times records name it, 8 bytes
	grantBucket     = []byte("grants")     // number, 8 bytes: grants.Grant
	schemaKey       = []byte("schema")
	checkKey        = []byte("check")
	anchorKey       = []byte("audit") // the audit log's last line: its number, 8 bytes, and its SHA-256
)

func buckets() [][]byte {
	return [][]byte{metaBucket, sessionBucket, operationBucket, scriptBucket, indexBucket, openBucket, blobBucket, grantBucket}
}

// maxInlineScript is the largest script that is kept in the database itself, in bytes. A blob costs two more waits for
// the disk, and a large one would fill pages that every backup copies.
const maxInlineScript = 16 << 10

// noContext is for what is done whether the client is still there or not.
var noContext = context.Background()

// sessionRecord is the JSON of a session.
type sessionRecord struct {
	Session    journal.Session // without script and operations
	Operations int             // how many there are
	// ScriptBlob says that the script is the blob that ScriptSHA256 names.
	ScriptBlob bool `json:",omitempty"`
}

// blobs lists what the record names, its operations left out.
func (r *sessionRecord) blobs() []string {
	names := r.Session.Blobs()
	if r.ScriptBlob {
		names = append(names, r.Session.ScriptSHA256)
	}
	return names
}

func indexKey(s *journal.Session) []byte {
	at := uint64(max(0, s.Created.UnixNano())) // #nosec G115 -- not negative
	return append(binary.BigEndian.AppendUint64(nil, at), s.ID...)
}

func operationPrefix(id []byte) []byte { return append(bytes.Clone(id), 0) }

func operationKey(id []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(operationPrefix(id), uint32(n)) // #nosec G115 -- far below
}

// get reads a whole session.
func (s *Store) get(tx *bbolt.Tx, id string) (journal.Session, error) {
	record, err := getRecord(tx, []byte(id))
	if err != nil {
		return journal.Session{}, err
	}
	session := record.Session
	if session.Operations, err = getOperations(tx, []byte(id), record.Operations); err != nil {
		return journal.Session{}, err
	}
	if session.Script, err = s.blobs.script(tx, &record); exhausted(err) {
		return session, err
	}
	if err != nil { // it can be shown, rejected and cancelled nevertheless
		session.Script, session.Damage = "", err.Error()
	} else if session.Status == journal.StatusParked {
		session.Damage = s.blobs.damage(&record, session.Operations)
	}
	return session, nil
}

// exhausted reports whether an error says of this process, and not of a file, why the file cannot be read.
func exhausted(err error) bool {
	for _, number := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// damage says what a session cannot go on without: its script, or content of an operation that is missing or was damaged when the
// gateway started; "" for nothing.
func (b *blobs) damage(r *sessionRecord, operations []journal.Operation) string {
	wrong := func(sha string) string {
		switch {
		case !b.has(sha):
			return "missing"
		case b.suspect[sha] && !b.intact(sha):
			return "damaged"
		}
		return ""
	}
	if r.ScriptBlob {
		if what := wrong(r.Session.ScriptSHA256); what != "" {
			return fmt.Sprintf("its script cannot be read: content %s is %s", r.Session.ScriptSHA256, what)
		}
	}
	for i := range operations {
		for _, sha := range operations[i].Blobs() {
			if what := wrong(sha); what != "" {
				return fmt.Sprintf("content that operation %d names is %s (%s)", operations[i].N, what, sha)
			}
		}
	}
	return ""
}

// vouch looks at the start whether the content of what has not ended is as it was kept, and names what is not.
func (b *blobs) vouch(tx *bbolt.Tx, log *slog.Logger) error {
	return tx.Bucket(openBucket).ForEach(func(id, _ []byte) error {
		record, err := getRecord(tx, id)
		if err != nil {
			return nil // whoever lists it says so
		}
		operations, err := getOperations(tx, id, record.Operations)
		if err != nil {
			return nil
		}
		if sha := record.Session.ScriptSHA256; record.ScriptBlob && b.has(sha) && !b.intact(sha) {
			b.suspect[sha] = true
		}
		damage := b.damage(&record, operations)
		if _, err := b.script(tx, &record); damage == "" && err != nil {
			damage = err.Error()
		}
		if damage != "" {
			log.Error("a session that waits is damaged: it can be shown, rejected and cancelled, and nothing of it approved",
				"session", string(id), "damage", damage)
		}
		return nil
	})
}

func getRecord(tx *bbolt.Tx, id []byte) (record sessionRecord, err error) {
	text := tx.Bucket(sessionBucket).Get(id)
	if text == nil {
		return record, journal.ErrNotFound
	}
	if err := unseal(text, &record); err != nil {
		return record, fmt.Errorf("session %q is damaged: %w", id, err)
	}
	return record, nil
}

// getOperations reads a session's operations, and fails where one is missing.
func getOperations(tx *bbolt.Tx, id []byte, want int) ([]journal.Operation, error) {
	var out []journal.Operation
	prefix := operationPrefix(id)
	c := tx.Bucket(operationBucket).Cursor()
	for k, text := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, text = c.Next() {
		var o journal.Operation
		if err := unseal(text, &o); err != nil {
			return nil, fmt.Errorf("operation %d of session %q is damaged: %w", len(out)+1, id, err)
		}
		if out = append(out, o); o.N != len(out) {
			return nil, fmt.Errorf("operation %d of session %q has the number %d", len(out), id, o.N)
		}
	}
	if len(out) != want {
		return nil, fmt.Errorf("session %q has %d operations and should have %d", id, len(out), want)
	}
	return out, nil
}

// script reads a session's script, from the database or from its blob.
func (b *blobs) script(tx *bbolt.Tx, r *sessionRecord) (string, error) {
	sha := r.Session.ScriptSHA256
	if !r.ScriptBlob {
		text := tx.Bucket(scriptBucket).Get([]byte(r.Session.ID))
		if sum := sha256.Sum256(text); validSHA(sha) && hex.EncodeToString(sum[:]) != sha {
			return "", fmt.Errorf("its script cannot be read: %w: its SHA-256 is not %s", journal.ErrDamaged, sha)
		}
		return string(text), nil
	}
	f, _, err := b.open(sha)
	if err != nil {
		return "", fmt.Errorf("its script cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("its script cannot be read: %w", err)
	}
	return string(text), nil
}

// putNew writes what is written once.
func putNew(tx *bbolt.Tx, s *journal.Session) error {
	id := []byte(s.ID)
	if len(s.Script) <= maxInlineScript {
		if err := tx.Bucket(scriptBucket).Put(id, []byte(s.Script)); err != nil {
			return err
		}
	}
	return tx.Bucket(indexBucket).Put(indexKey(s), id)
}

// set writes a value, and says by how many bytes it is longer than what was there.
func set(bucket *bbolt.Bucket, key, value []byte) (grown int64, err error) {
	grown = int64(len(value) - len(bucket.Get(key)))
	return grown, bucket.Put(key, value)
}

// putRecord writes a session's own record and keeps the list of those that have not ended.
func putRecord(tx *bbolt.Tx, s *journal.Session) (r *sessionRecord, grown int64, err error) {
	id := []byte(s.ID)
	r = &sessionRecord{Session: *s, Operations: len(s.Operations), ScriptBlob: tx.Bucket(scriptBucket).Get(id) == nil}
	r.Session.Script, r.Session.Operations = "", nil
	text, err := seal(r)
	if err != nil {
		return nil, 0, err
	}
	if s.Status.Final() {
		err = tx.Bucket(openBucket).Delete(id)
	} else {
		err = tx.Bucket(openBucket).Put(id, indexKey(s))
	}
	if err != nil {
		return nil, 0, err
	}
	grown, err = set(tx.Bucket(sessionBucket), id, text)
	return r, grown, err
}

func putOperation(tx *bbolt.Tx, id string, o *journal.Operation) (grown int64, err error) {
	text, err := seal(o)
	if err != nil {
		return 0, err
	}
	return set(tx.Bucket(operationBucket), operationKey([]byte(id), o.N), text)
}

// references is how many times records name a blob.
func references(tx *bbolt.Tx, sha string) uint64 {
	v := tx.Bucket(blobBucket).Get([]byte(sha))
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// counted reports whether records name a blob, or a count that is damaged says that they may.
func counted(tx *bbolt.Tx, sha string) bool { return tx.Bucket(blobBucket).Get([]byte(sha)) != nil }

// refer adds to the references of blobs, and returns those that nothing names any more.
func refer(tx *bbolt.Tx, delta map[string]int) (loose []string, err error) {
	bucket := tx.Bucket(blobBucket)
	for sha, d := range delta {
		if v := bucket.Get([]byte(sha)); v != nil && len(v) != 8 {
			return nil, fmt.Errorf("the count of content %s is damaged", sha)
		}
		n := int64(references(tx, sha)) + int64(d) // #nosec G115 -- far below
		switch {
		case d == 0:
		case n < 0:
			return nil, fmt.Errorf("content %s is referred to %d times", sha, n)
		case n == 0:
			loose = append(loose, sha)
			err = bucket.Delete([]byte(sha))
		default:
			err = bucket.Put([]byte(sha), binary.BigEndian.AppendUint64(nil, uint64(n))) // #nosec G115 -- not negative
		}
		if err != nil {
			return nil, err
		}
	}
	return loose, nil
}
