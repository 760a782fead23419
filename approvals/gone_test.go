package approvals_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
)

// Where the state directory is gone, a decision would be written into a file without a name, and what was approved could not
// run: nothing is decided, and status says why.
func TestNothingIsApprovedWhereTheStateIsGone(t *testing.T) {
	for what, away := range map[string]func(dir string) (back func() error, err error){
		"the whole directory": func(dir string) (func() error, error) {
			return func() error { return os.Rename(dir+".away", dir) }, os.Rename(dir, dir+".away")
		},
		"the database": func(dir string) (func() error, error) {
			name := filepath.Join(dir, "gateway.db")
			return func() error { return os.Rename(name+".away", name) }, os.Rename(name, name+".away")
		},
		"the database, and another is there": func(dir string) (func() error, error) {
			name := filepath.Join(dir, "gateway.db")
			return func() error { return os.Rename(name+".away", name) },
				errors.Join(os.Rename(name, name+".away"), os.WriteFile(name, nil, 0o600))
		},
		"the folder of outputs": func(dir string) (func() error, error) {
			name := filepath.Join(dir, "output")
			return func() error { return os.Rename(name+".away", name) }, os.Rename(name, name+".away")
		},
		"the folder of contents": func(dir string) (func() error, error) {
			name := filepath.Join(dir, "blobs")
			return func() error { return os.Rename(name+".away", name) }, os.Rename(name, name+".away")
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			b := open(t, dir, nil)
			feed := b.Subscribe(t.Context())
			l := b.begin()
			result := start(l, command(io.Discard, "touch", filepath.Join(t.TempDir(), "marker")))
			b.waiting(feed, l.ID())
			if err := b.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			back, err := away(dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.approve(l.ID(), watcher); !errors.Is(err, lifecycle.ErrUnable) || !errors.Is(err, journal.ErrStore) || !strings.Contains(err.Error(), "nothing was decided") {
				t.Errorf("approved: %v", err)
			}
			if err := b.Check(t.Context()); !errors.Is(err, journal.ErrStore) || !strings.Contains(err.Error(), dir) {
				t.Errorf("status would say %v", err)
			}
			if err := back(); err != nil {
				t.Fatal(err)
			}
			if err := b.Check(t.Context()); err != nil {
				t.Errorf("it is back: %v", err)
			}
			s, err := b.Session(l.ID())
			if err != nil || len(s.Operations) != 1 || s.Operations[0].Decision != journal.Waiting {
				t.Errorf("%+v, %v", s.Operations, err)
			}
			if _, err := b.Reject(t.Context(), l.ID(), watcher, nil, "no"); err != nil {
				t.Error(err)
			}
			if r := <-result; r.err == nil || !strings.Contains(r.err.Error(), "no") {
				t.Errorf("%v", r.err)
			}
			l.End(gate.Outcome{Status: journal.StatusRejected})
		})
	}
}
