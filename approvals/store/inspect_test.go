package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// sound makes a database with a session of each kind and returns its name and the hash of its one blob.
func sound(t *testing.T) (name, blob string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "gateway.db")
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_000_000, 0)
	sum := func(text string) string { b := sha256.Sum256([]byte(text)); return hex.EncodeToString(b[:]) }
	asked := journalled(1)
	asked.Created = at
	approved := journalled(2)
	approved.Decision, approved.By, approved.ByKey, approved.Decided, approved.Started, approved.Finished = journal.Approved, "alice", "SHA256:a", at, at, at
	allowed := journalled(1)
	allowed.Verdict, allowed.Decision, allowed.By, allowed.Decided, allowed.Started, allowed.Finished = policy.Allow, journal.Allowed, "policy", at, at, at
	large := strings.Repeat("#", maxInlineScript+1)
	for _, session := range []journal.Session{
		{ID: "parked", Identity: "claude", Key: "SHA256:c", Status: journal.StatusParked, Script: "x", Operations: []journal.Operation{asked, approved}},
		{ID: "done", Identity: "claude", Key: "SHA256:c", Status: journal.StatusDone, Ended: at, ExitCode: new(int), Script: "x", Operations: []journal.Operation{allowed}},
		{ID: "large", Identity: "claude", Key: "SHA256:c", Status: journal.StatusRunning, Script: large},
	} {
		session.ScriptSHA256, session.Created = sum(session.Script), at
		if err := s.Create(session); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return name, sum(large)
}

func TestSoundDatabaseHasNoFindings(t *testing.T) {
	t.Parallel() // it waits for a lock, or for the disk
	name, _ := sound(t)
	r, err := Inspect(name)
	if err != nil || len(r.Findings) != 0 || r.Sessions != 3 || r.Operations != 3 || r.Blobs != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Inspect(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a database that is not there was inspected")
	}
	s, err := Open(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := Inspect(name); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("a database in use: %v", err)
	}
}

func TestEveryInconsistencyIsNamed(t *testing.T) {
	t.Parallel() // it waits for a lock, or for the disk
	session := func(change func(*sessionRecord)) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			r, err := getRecord(tx, []byte("parked"))
			if err != nil {
				return err
			}
			change(&r)
			text, _ := json.Marshal(r)
			return tx.Bucket(sessionBucket).Put([]byte("parked"), text)
		}
	}
	operation := func(n int, change func(*journal.Operation)) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			var o journal.Operation
			key := operationKey([]byte("parked"), n)
			if err := json.Unmarshal(tx.Bucket(operationBucket).Get(key), &o); err != nil {
				return err
			}
			change(&o)
			text, _ := json.Marshal(o)
			return tx.Bucket(operationBucket).Put(key, text)
		}
	}
	set := func(bucket []byte, key, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), []byte(value)) }
	}
	unset := func(bucket []byte, key string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(key)) }
	}
	index := string(indexKey(&journal.Session{ID: "done", Created: time.Unix(1_000_000, 0)}))
	_, blob := sound(t)
	for what, c := range map[string]struct {
		damage func(*bbolt.Tx) error
		want   string
	}{
		"a session's record":            {set(sessionBucket, "parked", "{"), `session "parked" is damaged`},
		"another's record":              {session(func(r *sessionRecord) { r.Session.ID = "done" }), `says that it is "done"`},
		"a status of no meaning":        {session(func(r *sessionRecord) { r.Session.Status = "resting" }), `its status is "resting"`},
		"an end too early":              {session(func(r *sessionRecord) { r.Session.Ended = time.Unix(5, 0) }), "it is parked, and Ended is recorded"},
		"fewer operations":              {session(func(r *sessionRecord) { r.Operations = 1 }), "has 2 operations and should have 1"},
		"the last operation is missing": {unset(operationBucket, string(operationKey([]byte("parked"), 2))), "has 1 operations and should have 2"},
		"a gap in the operations":       {unset(operationBucket, string(operationKey([]byte("parked"), 1))), "has the number 2"},
		"an operation's record":         {set(operationBucket, string(operationKey([]byte("parked"), 1)), "{"), `operation 1 of session "parked" is damaged`},
		"an operation's number":         {operation(1, func(o *journal.Operation) { o.N = 2 }), "says that it is operation 2"},
		"an operation without session":  {set(operationBucket, string(operationKey([]byte("gone"), 1)), `{"N":1}`), `session "gone": there is no such session`},
		"a malformed key":               {set(operationBucket, "x", "{}"), "key is malformed"},
		"what was approved":             {operation(2, func(o *journal.Operation) { o.Command.Argv = []string{"rm"} }), "not the one of its digest"},
		"an approval by nobody":         {operation(2, func(o *journal.Operation) { o.By = "" }), "it is done, and By is not recorded"},
		"an approval without a key":     {operation(2, func(o *journal.Operation) { o.ByKey = "" }), "without an approver"},
		"one's own approval":            {operation(2, func(o *journal.Operation) { o.By = "claude" }), "decided by the one who asked"},
		"one's own key":                 {operation(2, func(o *journal.Operation) { o.ByKey = "SHA256:c" }), "decided by the one who asked"},
		"an allowance by a human":       {operation(2, func(o *journal.Operation) { o.Decision = journal.Allowed }), "which the policy alone does"},
		"a start without a decision":    {operation(1, func(o *journal.Operation) { o.Started = time.Unix(5, 0) }), "it is waiting, and Started is recorded"},
		"a start after a rejection":     {operation(2, func(o *journal.Operation) { o.Decision = journal.Rejected }), "it is rejected, and Started is recorded"},
		"a result without a start":      {operation(2, func(o *journal.Operation) { o.Started = time.Time{} }), "was never started"},
		"a decision of no meaning":      {operation(1, func(o *journal.Operation) { o.Decision = "maybe" }), `its decision is "maybe"`},
		"a script":                      {set(scriptBucket, "parked", "y"), "its script cannot be read: kept content is damaged"},
		"a script without session":      {set(scriptBucket, "gone", "y"), `script of session "gone"`},
		"not in the index":              {unset(indexBucket, index), `session "done" is not in the index`},
		"the index of none":             {set(indexBucket, "12345678gone", "gone"), `index: there is no session "gone"`},
		"another's index":               {set(indexBucket, "12345678parked", "done"), "has another's key"},
		"not in the list of open ones":  {unset(openBucket, "parked"), "parked, and the list of open ones says otherwise"},
		"open and ended":                {set(openBucket, "done", index), "done, and the list of open ones says otherwise"},
		"open and unknown":              {set(openBucket, "gone", "x"), `list of open sessions: there is no session "gone"`},
		"open at another time":          {set(openBucket, "parked", "12345678parked"), "at another time"},
		"references that are too many":  {set(blobBucket, blob, "\x00\x00\x00\x00\x00\x00\x00\x02"), "named 1 times, and 2 are counted"},
		"references that are missing":   {unset(blobBucket, blob), "named 1 times, and 0 are counted"},
		"references to nothing":         {set(blobBucket, strings.Repeat("0", 64), "\x00\x00\x00\x00\x00\x00\x00\x01"), "and nothing names it"},
		"a malformed count":             {set(blobBucket, "x", "1"), "is malformed"},
		"a grant's record":              {set(grantBucket, "\x00\x00\x00\x00\x00\x00\x00\x01", "{"), "grant 1 is damaged"},
		"a grant of another number":     {set(grantBucket, "\x00\x00\x00\x00\x00\x00\x00\x01", `{"N":2}`), "grant 1 has the number 2"},
		"a grant's key":                 {set(grantBucket, "x", "{}"), "the key is malformed"},
		"a bucket":                      {func(tx *bbolt.Tx) error { return tx.DeleteBucket(openBucket) }, "no bucket open"},
	} {
		name, _ := sound(t)
		db, err := bbolt.Open(name, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(c.damage); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		_ = db.Close()
		r, err := Inspect(name)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if all := strings.Join(r.Findings, "\n"); !strings.Contains(all, c.want) {
			t.Errorf("%s: found %q, want %q", what, all, c.want)
		}
	}
}

func TestDamageOfContentIsNamed(t *testing.T) {
	old := time.Now().Add(-2 * blobGrace)
	for what, c := range map[string]struct {
		damage func(dir, blob string) error
		want   string
	}{
		"missing":    {func(_, blob string) error { return os.Remove(blob) }, "is named, and not there"},
		"changed":    {func(_, blob string) error { return os.WriteFile(blob, []byte("y"), 0o600) }, "damaged"},
		"no content": {func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "README"), nil, 0o600) }, "is no content"},
		"in the wrong folder": {func(dir, blob string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "zz"), 0o700), os.Rename(blob, filepath.Join(dir, "zz", filepath.Base(blob))))
		}, "is no content"},
		"named by nothing": {func(dir, _ string) error {
			s, err := openBlobs(dir, time.Now)
			if err != nil {
				return err
			}
			sha, _, err := s.put(noContext, bytes.NewReader([]byte("orphan")), 0)
			return errors.Join(err, os.Chtimes(s.name(sha), old, old))
		}, "is there, and nothing names it"},
	} {
		name, blob := sound(t)
		dir := filepath.Join(filepath.Dir(name), blobFolder)
		if err := c.damage(dir, filepath.Join(dir, blob[:2], blob[2:])); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r, err := Inspect(name)
		if err != nil || !strings.Contains(strings.Join(r.Findings, "\n"), c.want) {
			t.Errorf("%s: %+v, %v; want %q", what, r, err, c.want)
		}
	}
}

func TestWhatACrashMayLeaveOfContentIsNoFinding(t *testing.T) {
	name, _ := sound(t)
	dir := filepath.Join(filepath.Dir(name), blobFolder)
	s, err := openBlobs(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, newBlob+"1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.put(noContext, bytes.NewReader([]byte("not named yet")), 0); err != nil {
		t.Fatal(err)
	}
	if r, err := Inspect(name); err != nil || len(r.Findings) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOtherSchemasAndBrokenPagesAreNoSoundDatabase(t *testing.T) {
	name, _ := sound(t)
	db, err := bbolt.Open(name, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(schemaKey, binary.BigEndian.AppendUint32(nil, 99))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	if _, err := Inspect(name); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("%v", err)
	}
}
