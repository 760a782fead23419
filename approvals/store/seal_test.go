package store

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
)

// What nobody may take for another thing: a decision, that something has started, a grant's end.
func TestADamagedRecordIsNeverTakenForAnotherOne(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	op := journal.Operation{N: 1, Kind: journal.CommandKind, Decision: journal.Approved, Decided: now, By: "alice", Started: now}
	grant := grants.Grant{N: 7}
	read := map[string]struct {
		value any
		back  func(text []byte) (any, error)
	}{
		"an operation": {op, func(text []byte) (any, error) {
			var o journal.Operation
			err := unseal(text, &o)
			return o, err
		}},
		"a session": {sessionRecord{Session: journal.Session{ID: "abc", Status: journal.StatusParked}, Operations: 1}, func(text []byte) (any, error) {
			var r sessionRecord
			err := unseal(text, &r)
			return r, err
		}},
		"a grant": {grant, func(text []byte) (any, error) { return readGrant(grantKey(7), text) }},
	}
	for name, c := range read {
		text, err := seal(c.value)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.back(text); err != nil || !reflect.DeepEqual(got, c.value) {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		for bit := range 8 * len(text) {
			changed := bytes.Clone(text)
			changed[bit/8] ^= 1 << (bit % 8)
			if got, err := c.back(changed); err == nil && !reflect.DeepEqual(got, c.value) {
				t.Errorf("%s: %s is taken for %+v", name, changed, got)
			}
		}
		for n := range text {
			if got, err := c.back(text[:n]); err == nil {
				t.Errorf("%s: %s is taken for %+v", name, text[:n], got)
			}
		}
	}
}

func TestRecordsOfEarlierProgramsAreRead(t *testing.T) {
	t.Parallel()
	for text, whole := range map[string]bool{
		`{"N":1,"Decision":"approved"}`: true, // as it was written before there were checksums
		`{}`:                            true,
		`{"N":1,"Summary":"Checks"}`:    true,
		`{"N":1,"Decision":"approved","Check":"00000000"}`:          false,
		`{"N":1,"Decision":"approved","Chock":"00000000"}`:          false,
		`{"N":1,"Decision":"approved","Check":"0000"}`:              false,
		`{"N":1,"Decision":"approved","Check":"00000000","More":1}`: false,
	} {
		var o journal.Operation
		if err := unseal([]byte(text), &o); (err == nil) != whole {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEachRecordIsSealed(t *testing.T) {
	t.Parallel()
	name, _ := manyPages(t)
	if err := look(name, func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{sessionBucket, operationBucket, grantBucket} {
			if err := tx.Bucket(bucket).ForEach(func(k, text []byte) error {
				if _, sealed, err := unsealed(text); !sealed || err != nil {
					t.Errorf("%s: %q is not sealed: %s, %v", bucket, k, text, err)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
