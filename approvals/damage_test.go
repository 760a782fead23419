package approvals_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
)

// waitingSessions makes a state directory with a session that waits as it is, one whose gateway ended while it was held, and one that
// has ended. The first two have scripts that are kept as content.
func waitingSessions(t *testing.T) (dir, parked, held string) {
	t.Helper()
	dir = t.TempDir()
	b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Hour; c.Limits.Expire = time.Hour })
	begin := func(script string) *gate.Live {
		l, err := b.Begin(context.Background(), approvals.Request{
			Identity: claude, Target: b.target, Script: script, Args: []string{"-"}, Env: b.target.Account().Env("dumb"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	events := b.Subscribe(t.Context())
	ended := begin("short")
	ended.End(gate.Outcome{Status: journal.StatusDone})
	first := begin("first" + strings.Repeat("#", 20_000))
	one := start(first, command(io.Discard, "sh", "-c", "true"))
	b.waiting(events, first.ID())
	second := begin("second" + strings.Repeat("#", 20_000))
	two := start(second, command(io.Discard, "sh", "-c", "true"))
	b.waiting(events, second.ID())
	// A copy is what a gateway leaves that is killed now.
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*gate.Live{first, second} {
		if _, err := b.Cancel(t.Context(), l.ID(), alice); err != nil {
			t.Fatal(err)
		}
	}
	<-one
	<-two
	first.End(gate.Outcome{Status: journal.StatusCancelled})
	second.End(gate.Outcome{Status: journal.StatusCancelled})
	return killed, first.ID(), second.ID()
}

// again opens a copy of a state directory after something was done to it.
func reopened(t *testing.T, from string, damage func(dir string)) (*book, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	damage(dir)
	var log bytes.Buffer
	s, err := store.OpenUnsynced(filepath.Join(dir, "gateway.db"), store.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	again := make(chan *gate.Live, 8)
	b := &book{tb: t, target: newTarget(t), dir: dir, again: again, config: approvals.Config{
		Store: s, Blobs: s, Grants: s, Judge: fixedJudge{}, Dir: filepath.Join(dir, "output"), Limits: gate.Limits{Expire: time.Hour},
		Log: slog.New(slog.NewTextHandler(&log, nil)), Restart: rerun(t, again),
	}}
	if b.Manager, err = approvals.New(b.config); err != nil {
		t.Fatalf("the gateway does not start: %v", err)
	}
	return b, log.String()
}

// contents lists the files of content in a state directory.
func contentFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestWhateverIsDamagedOfWhatWaitsTheRestGoesOn(t *testing.T) {
	t.Parallel()
	from, first, second := waitingSessions(t)
	all := contentFiles(t, from)
	if len(all) < 2 {
		t.Fatalf("%d pieces of content", len(all))
	}
	for what, damage := range map[string]func(name string) error{
		"missing": os.Remove,
		"changed": func(name string) error { return os.WriteFile(name, []byte("other"), 0o600) },
		"empty":   func(name string) error { return os.Truncate(name, 0) },
		"a directory": func(name string) error {
			return errors.Join(os.Remove(name), os.Mkdir(name, 0o700))
		},
		"a link": func(name string) error { return errors.Join(os.Remove(name), os.Symlink("/etc/passwd", name)) },
	} {
		for _, name := range all {
			rel, _ := filepath.Rel(from, name)
			b, log := reopened(t, from, func(dir string) {
				if err := damage(filepath.Join(dir, rel)); err != nil {
					t.Fatal(err)
				}
			})
			whole := 0
			for _, id := range []string{first, second} {
				s, err := b.Session(id)
				if err != nil || s.Status != journal.StatusParked {
					t.Errorf("%s: session %s is %s, %v", what, id, s.Status, err)
					continue
				}
				if s.Damage == "" {
					whole++
					if _, err := b.approve(id, alice); err != nil {
						t.Errorf("%s: the session that is whole cannot be approved: %v", what, err)
						continue
					}
					b.resume(id).End(gate.Outcome{Status: journal.StatusDone})
					continue
				}
				if !strings.Contains(log, id) {
					t.Errorf("%s: nobody names session %s: %s", what, id, log)
				}
				if _, err := b.approve(id, alice); !errors.Is(err, journal.ErrObstacle) {
					t.Errorf("%s: approving the damaged session: %v", what, err)
				}
				list, err := b.Sessions(approvals.Filter{})
				if err != nil || b.Obstacle(&list[len(list)-1]) == "" && b.Obstacle(&list[0]) == "" {
					t.Errorf("%s: the list says nothing: %v", what, err)
				}
				if _, err := b.Reject(t.Context(), id, alice, nil, "it is damaged"); err != nil {
					t.Errorf("%s: rejecting the damaged session: %v", what, err)
				}
			}
			if whole != 1 {
				t.Errorf("%s: %d sessions are whole", what, whole)
			}
		}
	}
}

// Every value of the database in turn is lost, or something else: the gateway starts, and whatever is whole can be decided on.
func TestTheGatewayStartsWhateverRecordIsDamaged(t *testing.T) {
	t.Parallel()
	from, _, _ := waitingSessions(t)
	type place struct{ bucket, key string }
	var places []place
	db, err := bbolt.Open(filepath.Join(from, "gateway.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, _ []byte) error {
				if string(name) != "meta" {
					places = append(places, place{string(name), string(key)})
				}
				return nil
			})
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	places = append(places, place{"grants", "\x00\x00\x00\x00\x00\x00\x00\x01"}, place{"grants", "x"})
	for _, p := range places {
		for _, value := range []*string{nil, new(""), new("{"), new("null"), new(`{"Session":{"ID":"x"}}`)} {
			b, _ := reopened(t, from, func(dir string) {
				db, err := bbolt.Open(filepath.Join(dir, "gateway.db"), 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: false})
				if err != nil {
					t.Fatal(err)
				}
				err = db.Update(func(tx *bbolt.Tx) error {
					if value == nil {
						return tx.Bucket([]byte(p.bucket)).Delete([]byte(p.key))
					}
					return tx.Bucket([]byte(p.bucket)).Put([]byte(p.key), []byte(*value))
				})
				if err := errors.Join(err, db.Close()); err != nil {
					t.Fatal(err)
				}
			})
			list, err := b.Sessions(approvals.Filter{})
			if err != nil {
				t.Errorf("%s %q: %v", p.bucket, p.key, err)
			}
			decided := 0
			for i := range list {
				if list[i].Status != journal.StatusParked || b.Obstacle(&list[i]) != "" {
					continue
				}
				if _, err := b.approve(list[i].ID, alice); err == nil {
					b.resume(list[i].ID).End(gate.Outcome{Status: journal.StatusDone})
					decided++
				}
			}
			if decided == 0 {
				t.Errorf("%s %q: nothing could be decided", p.bucket, p.key)
			}
		}
	}
}
