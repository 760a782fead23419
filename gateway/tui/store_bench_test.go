package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/store"
)

// BenchmarkFirstPaintFromTheJournal is BenchmarkFirstPaint with the sessions in a real journal on disk: what a human waits
// for after the connection stands.
func BenchmarkFirstPaintFromTheJournal(b *testing.B) {
	s, err := store.Open(filepath.Join(b.TempDir(), "journal.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	for i := range 1000 {
		x := held(fmt.Sprintf("a%07d", i), policy.Caution, "systemctl", "restart", fmt.Sprintf("unit%d", i))
		x.Status, x.Script = journal.StatusParked, strings.Repeat("print('hello')\n", 200)
		if err := s.Create(x); err != nil {
			b.Fatal(err)
		}
	}
	m, err := approvals.New(approvals.Config{
		Store: s, Dir: b.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Restart: func(context.Context, journal.Session, bool) (lifecycle.Rerun, error) {
			return lifecycle.Rerun{}, errors.New("never")
		},
		Now: func() time.Time { return start },
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		screen := newModel(context.Background(), &workers{}, Options{Backend: m, Identity: alice, Window: Size{220, 60}, Now: func() time.Time { return start }})
		screen.Update(screen.load(0)())
		if text := screen.Screen(); !strings.Contains(text, "1000 wait") {
			b.Fatal(text)
		}
	}
}
