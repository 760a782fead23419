package approvals_test

import (
	"path/filepath"
	"testing"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/store"
)

// A full disk is the gateway's fault: a session whose end cannot be recorded is no session that runs, and is recorded once there is
// room.
func TestAnEndThatCannotBeRecordedIsTheGatewaysFault(t *testing.T) {
	s, err := store.OpenUnsynced(filepath.Join(t.TempDir(), "gateway.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	faulty := &faultyStore{Store: s}
	b := open(t, t.TempDir(), func(c *approvals.Config) { c.Store, c.Blobs = faulty, s })
	feed := b.Subscribe(t.Context())
	l := b.begin()
	<-feed
	faulty.broken.Store(true)
	l.End(gate.Outcome{Status: journal.StatusDone})
	failed := func(s journal.Session, err error) {
		t.Helper()
		if err != nil || s.Status != journal.StatusFailed || s.ExitCode == nil || *s.ExitCode != journal.ExitFault ||
			s.Reason != "the gateway could not record its end: journal: no space left on device" {
			t.Errorf("%s, %q, %v", s.Status, s.Reason, err)
		}
	}
	failed(b.Session(l.ID()))
	failed(b.Follow(t.Context(), l.ID(), func(output.Chunk) error { return nil }))
	list, err := b.Sessions(approvals.Filter{All: true})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	failed(list[0], nil)
	b.ExpireParked() // the disk is still full
	if s, _ := faulty.Store.Session(l.ID()); s.Status != journal.StatusRunning {
		t.Errorf("the journal has %s", s.Status)
	}
	faulty.broken.Store(false)
	b.ExpireParked()
	failed(faulty.Store.Session(l.ID()))
	if list, err := b.Sessions(approvals.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("%d sessions have not ended, %v", len(list), err)
	}
}
