package store

import (
	"encoding/binary"
	"fmt"
	"shannot-gateway/approvals/grants"

	"go.etcd.io/bbolt"
)

var _ grants.Store = (*Store)(nil)

func grantKey(n int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) // #nosec G115 -- numbers come from NextSequence
}

// Grants returns all grants, by number. One whose record is damaged is logged and left out.
func (s *Store) Grants() (out []grants.Grant, err error) {
	err = s.db.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(grantBucket).ForEach(func(k, text []byte) error {
			g, err := readGrant(k, text)
			if err != nil { // it lets nothing run
				s.options.Log.Error("a grant is left out; shannot-gateway store check may say more", "error", err)
				return nil
			}
			out = append(out, g)
			return nil
		})
	})
	if err != nil {
		return nil, failure("read the grants", err)
	}
	return out, nil
}

func readGrant(key, text []byte) (g grants.Grant, err error) {
	if len(key) != 8 {
		return g, fmt.Errorf("grant %x: the key is malformed", key)
	}
	n := binary.BigEndian.Uint64(key)
	if err := unseal(text, &g); err != nil {
		return g, fmt.Errorf("grant %d is damaged: %w", n, err)
	}
	if g.N < 1 || uint64(g.N) != n { // #nosec G115 -- not negative
		return g, fmt.Errorf("grant %d has the number %d", n, g.N)
	}
	return g, nil
}

// PutGrant keeps a grant. One without a number gets the next, which no other ever had.
func (s *Store) PutGrant(g *grants.Grant) error {
	n := g.N
	err := s.between(func() error {
		return s.db.update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(grantBucket)
			if g.N == 0 {
				next, err := b.NextSequence()
				if err != nil {
					return err
				}
				g.N = int(next) // #nosec G115 -- counts from 1
			}
			text, err := seal(g)
			if err != nil {
				return err
			}
			return b.Put(grantKey(g.N), text)
		})
	})
	if err != nil {
		g.N = n
		return failure("keep a grant", err)
	}
	return nil
}

// DeleteGrant forgets a grant.
func (s *Store) DeleteGrant(n int) error {
	err := s.between(func() error {
		return s.db.update(func(tx *bbolt.Tx) error { return tx.Bucket(grantBucket).Delete(grantKey(n)) })
	})
	if err != nil {
		return failure("forget a grant", err)
	}
	return nil
}
