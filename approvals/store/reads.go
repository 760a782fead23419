package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// ReadLists returns the SHA-256, in hex, of the lists of files that scripts have read, by session, computed from what is kept;
// "damaged" for one that cannot be read. Of a list that could not be kept there is only what the record says. It changes
// nothing, and returns nil where there is no database.
func ReadLists(name string) (map[string]string, error) {
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	contents := &blobs{dir: filepath.Join(filepath.Dir(name), blobFolder)}
	lists := map[string]string{}
	err := look(name, func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(sessionBucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(id, _ []byte) error {
			record, err := getRecord(tx, id)
			if err != nil || record.Session.Reads == nil {
				return nil // store check names a damaged one
			}
			r := record.Session.Reads
			switch {
			case len(r.List) > 0:
				sum := sha256.Sum256(r.List)
				lists[string(id)] = hex.EncodeToString(sum[:])
			case r.Lost != "" || contents.intact(r.SHA256):
				lists[string(id)] = r.SHA256
			default:
				lists[string(id)] = "damaged"
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return lists, nil
}

// intact reports whether content is there and has the hash that it is named by.
func (b *blobs) intact(sha string) bool {
	r, _, err := b.open(sha)
	if err != nil {
		return false
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(io.Discard, r)
	return err == nil
}
