package store

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
)

// chained is an auditor with a last line.
type chained struct {
	silent
	end journal.Anchor
}

type silent struct{}

func (silent) Record([]journal.Revision) error { return nil }
func (silent) Defer([]journal.Revision)        {}

func (c *chained) Record([]journal.Revision) error {
	c.end.Seq++
	return nil
}
func (c *chained) End() journal.Anchor { return c.end }

func TestJournalKeepsTheLastLineOfTheAuditLog(t *testing.T) {
	t.Parallel() // it waits for a lock, or for the disk
	name := filepath.Join(t.TempDir(), "gateway.db")
	if a, err := Anchor(name); a != nil || err != nil {
		t.Fatalf("without a database: %v, %v", a, err)
	}
	log := &chained{end: journal.Anchor{Seq: 5, Hash: strings.Repeat("ab", 32)}}
	s, err := Open(name, Options{Auditor: log})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Anchor(name); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is open: %v", err)
	}
	if err := s.Create(journal.Session{ID: "one", Status: journal.StatusRunning}); err != nil {
		t.Fatal(err)
	}
	if s.anchor.Seq != 6 {
		t.Errorf("with a change, line %d is kept", s.anchor.Seq)
	}
	log.end.Seq = 9 // of lines that no change of a session wrote
	if err := s.between(func() error { s.catchUp(); return nil }); err != nil {
		t.Fatal(err)
	}
	if s.anchor.Seq != 9 {
		t.Errorf("without a change, line %d is kept", s.anchor.Seq)
	}
	log.end.Seq = 10
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := Anchor(name); err != nil || *a != log.end {
		t.Errorf("after the end: %+v, %v, want %+v", a, err, log.end)
	}
}

func FuzzAnchor(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, anchorSize))
	f.Fuzz(func(t *testing.T, value []byte) {
		a, err := decodeAnchor(value)
		if err != nil {
			return
		}
		back, err := encodeAnchor(*a)
		if err != nil || string(back) != string(value) {
			t.Fatalf("%x became %+v and %x: %v", value, a, back, err)
		}
	})
}
