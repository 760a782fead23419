package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
)

// noise is what an agent's session of one moment leaves in the log.
func noise(identity string, n int) []journal.Revision {
	return []journal.Revision{{After: &journal.Session{ID: fmt.Sprintf("s%07d", n), Identity: identity, Status: journal.StatusRunning, Analysis: strings.Repeat("x", 4000)}}}
}

// An identity that has used up its share is told so, and everything that it does is still in the log.
func TestWhoHasUsedUpTheirShareWaitsAndNothingIsLeftOut(t *testing.T) {
	b := newBook(t, func(o *Options) { o.BytesEach = 100_000 })
	n := 0
	for ; !b.Over("noisy"); n++ {
		if err := b.Record(noise("noisy", n)); err != nil {
			t.Fatal(err)
		}
	}
	if n < 20 || n > 26 {
		t.Errorf("%d lines of some 4200 bytes were within a share of 100000", n)
	}
	if b.Over("quiet") {
		t.Error("another identity has to wait too")
	}
	if err := b.Record(noise("noisy", n)); err != nil { // it was under way
		t.Fatal(err)
	}
	b.pass(time.Hour)
	if !b.Over("noisy") {
		t.Error("what is beyond the share came back at once")
	}
	b.pass(3 * time.Hour)
	if b.Over("noisy") {
		t.Error("nothing has come back in four hours")
	}
	text := ""
	for _, l := range b.lines() {
		text += l.Session + " "
	}
	for i := range n + 1 {
		if !strings.Contains(text, fmt.Sprintf("s%07d", i)) {
			t.Errorf("session %d is not in the log", i)
		}
	}
	b.clean()
}

// Several files of one day count as one: who is noisy pushes out no other day's evidence.
func TestNoisyDayPushesOutNoOther(t *testing.T) {
	b := newBook(t, func(o *Options) { o.MaxFiles = 3 })
	for day := range 4 {
		for range 5 {
			b.Log.mu.Lock()
			err := b.begin() // as when a file is full
			b.Log.mu.Unlock()
			if err == nil {
				err = b.Record(noise("noisy", day))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		b.pass(24 * time.Hour)
	}
	b.clean()
	var days []string
	for _, name := range b.files() {
		days = append(days, segmentDay(name))
	}
	if got := slices.Compact(slices.Clone(days)); !slices.Equal(got, []string{"2026-11-26", "2026-11-27", "2026-11-28"}) || len(days) < 15 {
		t.Errorf("files of %q stay", days)
	}
}
