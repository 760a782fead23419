package approvals_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"shannot-gateway/approvals/decision"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

// reference is the encoding of docs/digest.md, written down a second time.
func reference(label string, list ...string) string {
	var b []byte
	str := func(s string) {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	str(label)
	b = binary.BigEndian.AppendUint64(b, uint64(len(list)))
	for _, s := range list {
		str(s)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func waitingOps(decisions ...journal.Decision) (ops []journal.Operation) {
	for i, d := range decisions {
		ops = append(ops, journal.Operation{N: i + 1, Decision: d, Digest: strings.Repeat(string("0123456789abcdef"[i+1]), 64)})
	}
	return ops
}

func TestWaitingDigestIsAsTheDocumentationSays(t *testing.T) {
	one, three := strings.Repeat("1", 64), strings.Repeat("3", 64)
	a := journal.Session{ID: "aaaa0001", Operations: waitingOps(journal.Waiting, journal.Approved, journal.Waiting)}
	b := journal.Session{ID: "bbbb0001", Operations: waitingOps(journal.Waiting)}
	none := journal.Session{ID: "cccc0001", Operations: waitingOps(journal.Approved, journal.Cancelled)}
	whole := reference("shannot waiting v1", one, three)
	for name, tt := range map[string]struct{ got, want string }{
		"two of three": {a.WaitingDigest(), whole},
		"one":          {b.WaitingDigest(), reference("shannot waiting v1", one)},
		"none":         {none.WaitingDigest(), ""},
		"group, in order of id": {
			journal.WaitingDigestOf([]journal.Session{b, none, a}),
			reference("shannot waiting group v1", "aaaa0001", whole, "bbbb0001", reference("shannot waiting v1", one)),
		},
		"group of nothing": {journal.WaitingDigestOf([]journal.Session{none}), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", name, tt.got, tt.want)
		}
	}
	// The page has the first of them as its example.
	page, err := os.ReadFile("../docs/digest.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), whole) {
		t.Errorf("docs/digest.md does not have the example's digest %s", whole)
	}
}

func TestApprovalNamesWhatWasShown(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	events := b.Subscribe(t.Context())
	result := start(l, command(io.Discard, "touch", "/nonexistent/x"))
	s := b.waiting(events, l.ID())
	digest, whole := s.Operations[0].Digest, s.WaitingDigest()
	other := strings.Repeat("0", 64)
	for name, tt := range map[string]struct {
		a    decision.Approval
		want error
	}{
		"nothing":                   {decision.Approval{}, decision.ErrUnnamed},
		"nothing but a number":      {decision.Approval{Ops: []int{1}}, decision.ErrUnnamed},
		"eleven digits":             {decision.Approval{Waiting: whole[:11]}, decision.ErrUnnamed},
		"too many digits":           {decision.Approval{Waiting: whole + "0"}, decision.ErrUnnamed},
		"no digits":                 {decision.Approval{Waiting: whole[:11] + "g"}, decision.ErrUnnamed},
		"another set":               {decision.Approval{Waiting: other}, decision.ErrDigest},
		"another from digit 13":     {decision.Approval{Waiting: whole[:12] + other[:12]}, decision.ErrDigest},
		"the operation's own":       {decision.Approval{Waiting: digest}, decision.ErrDigest},
		"not its beginning":         {decision.Approval{Waiting: whole[4:20]}, decision.ErrDigest},
		"another operation":         {decision.Approval{Each: map[int]string{2: digest}}, journal.ErrNotWaiting},
		"another of that number":    {decision.Approval{Each: map[int]string{1: other}}, decision.ErrDigest},
		"a part of its digest":      {decision.Approval{Each: map[int]string{1: digest[:12]}}, decision.ErrUnnamed},
		"no digest of it":           {decision.Approval{Each: map[int]string{1: ""}}, decision.ErrUnnamed},
		"one by one and as a whole": {decision.Approval{Waiting: whole, Each: map[int]string{1: digest}}, decision.ErrUnnamed},
	} {
		if _, err := b.Approve(t.Context(), l.ID(), alice, tt.a); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if _, err := b.ApproveGroup(t.Context(), []journal.Session{s}, alice, tt.a); err == nil {
			t.Errorf("%s: a group was approved", name)
		}
		if _, _, err := b.ApproveGranting(t.Context(), l.ID(), alice, 1, tt.a, exactly); err == nil {
			t.Errorf("%s: it was granted", name)
		}
		if now, err := b.Session(l.ID()); err != nil || now.Operations[0].Decision != journal.Waiting {
			t.Fatalf("%s: the operation is %s, %v", name, now.Operations[0].Decision, err)
		}
	}
	if _, err := b.Approve(t.Context(), l.ID(), alice, decision.Approval{Waiting: strings.ToUpper(whole[:12])}); err != nil {
		t.Errorf("twelve digits: %v", err)
	}
	r := <-result
	mustRun(t, r.process, r.err)
}

func TestGroupIsApprovedAsItWasShownOrNotAtAll(t *testing.T) {
	b := newBook(t)
	events := b.Subscribe(t.Context())
	var lives [2]*gate.Live
	var results [2]<-chan started
	var shown []journal.Session
	for i := range lives {
		lives[i] = b.begin()
		results[i] = start(lives[i], command(io.Discard, "true"))
		shown = append(shown, b.waiting(events, lives[i].ID()))
	}
	a := decision.Approval{Waiting: journal.WaitingDigestOf(shown)[:12]}
	more := start(lives[1], command(io.Discard, "true", "more"))
	b.waiting(events, lives[1].ID())
	now := []journal.Session{}
	for _, l := range lives {
		s, err := b.Session(l.ID())
		if err != nil {
			t.Fatal(err)
		}
		now = append(now, s)
	}
	// By what is there now, and by what was there when it was shown.
	for _, sessions := range [][]journal.Session{now, shown} {
		if _, err := b.ApproveGroup(t.Context(), sessions, alice, a); !errors.Is(err, decision.ErrDigest) {
			t.Errorf("%v, want ErrDigest", err)
		}
		for _, l := range lives {
			if s, err := b.Session(l.ID()); err != nil || s.Operations[0].Decision != journal.Waiting {
				t.Errorf("session %s: operation 1 is %s, %v", l.ID(), s.Operations[0].Decision, err)
			}
		}
	}
	if _, err := b.ApproveGroup(t.Context(), now, alice, decision.Approval{Waiting: journal.WaitingDigestOf(now)}); err != nil {
		t.Fatal(err)
	}
	for _, result := range append(results[:], more) {
		r := <-result
		mustRun(t, r.process, r.err)
	}
}
