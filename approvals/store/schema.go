package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals/journal"
)

// schema is the version of the buckets and records. Version 1 had a session with all its operations in one record and
// no blobs.
const schema = 2

// prepare makes the buckets and brings an older schema up to date, all in one transaction.
func prepare(tx *bbolt.Tx) error {
	version := uint32(schema)
	if meta := tx.Bucket(metaBucket); meta != nil {
		v := meta.Get(schemaKey)
		if len(v) != 4 {
			return fmt.Errorf("the version of its schema, %x, is damaged", v)
		}
		version = binary.BigEndian.Uint32(v)
	}
	if version > schema {
		return fmt.Errorf("its schema is version %d, of a newer program; this one knows up to version %d. Use the program that made it", version, schema)
	}
	for _, b := range buckets() {
		if _, err := tx.CreateBucketIfNotExists(b); err != nil {
			return err
		}
	}
	if version < 2 {
		if err := splitOperations(tx); err != nil {
			return fmt.Errorf("bring the schema from version %d to version 2: %w", version, err)
		}
	}
	return tx.Bucket(metaBucket).Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema))
}

// splitOperations is the step from version 1 to 2.
func splitOperations(tx *bbolt.Tx) error {
	var ids [][]byte
	err := tx.Bucket(sessionBucket).ForEach(func(id, _ []byte) error {
		ids = append(ids, bytes.Clone(id))
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		var s journal.Session
		if err := json.Unmarshal(tx.Bucket(sessionBucket).Get(id), &s); err != nil {
			return fmt.Errorf("session %q is damaged: %w", id, err)
		}
		for i := range s.Operations {
			if _, err := putOperation(tx, s.ID, &s.Operations[i]); err != nil {
				return err
			}
		}
		// The script stays in the database, whatever its size.
		if _, _, err := putRecord(tx, &s); err != nil {
			return err
		}
	}
	return nil
}
