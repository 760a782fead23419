package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
)

var agent = journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:c"}

func begin(t *testing.T, b *book, who journal.Identity) *Transfer {
	t.Helper()
	transfer, err := b.Transfer("sftp-abc", who, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

func TestFilesThatAreReadAreInTheLog(t *testing.T) {
	b := newBook(t, nil)
	transfer := begin(t, b, agent)
	if err := transfer.Read(t.Context(), "prod", "/etc/hosts", "/etc/hosts", nil); err != nil {
		t.Error(err)
	}
	if err := transfer.Read(t.Context(), "prod", "/etc/link", "/etc/it\x1b[2J\n", nil); err != nil {
		t.Error(err)
	}
	if err := transfer.Read(t.Context(), "prod", "/etc/shadow", "/etc/shadow", syscall.ENOENT); err != nil {
		t.Error(err)
	}
	transfer.End()
	b.add(1, 1)
	lines := b.lines()
	if got, want := b.kinds(), "segment transfer read read read transferred session"; got != want {
		t.Fatalf("lines: %s, want %s", got, want)
	}
	if l := lines[1]; l.Session != "sftp-abc" || l.Identity != "claude" || l.Role != "agent" || l.Key != "SHA256:c" || l.Address != "192.0.2.1" {
		t.Errorf("%+v", l)
	}
	if l := lines[2]; l.Session != "sftp-abc" || l.Target != "prod" || l.Path != "/etc/hosts" || l.Summary != "" || !*l.OK {
		t.Errorf("%+v", l)
	}
	if l := lines[3]; l.Summary != "/etc/link" || strings.ContainsAny(l.Path, "\x1b\n") || !strings.HasPrefix(l.Path, "/etc/it") {
		t.Errorf("%+v", l)
	}
	if l := lines[4]; l.Path != "/etc/shadow" || *l.OK || l.Reason == "" {
		t.Errorf("%+v", l)
	}
	if l := lines[5]; l.Summary != "2 files opened, 1 refused" {
		t.Errorf("%+v", l)
	}
}

// An agent that opens files without end, over as many connections as it likes, hides none of them: it waits, by the clock
// alone, and nobody else does.
func TestEveryFileIsInTheLogHoweverManyAnAgentOpens(t *testing.T) {
	b := newBook(t, nil)
	var waited time.Duration
	b.Log.wait = func(_ context.Context, d time.Duration) error {
		waited += d
		b.pass(d)
		return nil
	}
	one, two := begin(t, b, agent), begin(t, b, agent)
	const files = 3000
	for i := range files {
		transfer := one
		if i%2 == 1 {
			transfer = two
		}
		name := fmt.Sprintf("/etc/file%d", i)
		if err := transfer.Read(t.Context(), "prod", name, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if want := (files - readBurst) * time.Second / readRate; waited < want-time.Second || waited > want+time.Second {
		t.Errorf("the client waited %s, want %s", waited, want)
	}
	before := waited
	other := begin(t, b, journal.Identity{Name: "gpt"})
	if err := other.Read(t.Context(), "prod", "/etc/hostname", "/etc/hostname", nil); err != nil {
		t.Fatal(err)
	}
	if waited != before {
		t.Errorf("another identity waited %s", waited-before)
	}
	one.End()
	b.add(1, 1)
	seen := map[string]bool{}
	for _, l := range b.lines() {
		if l.Event.Event == Read {
			seen[l.Path] = true
		}
		if l.Event.Event == TransferEnded && l.Summary != "1500 files opened, 0 refused" {
			t.Errorf("%+v", l)
		}
	}
	if len(seen) != files+1 {
		t.Errorf("%d names are in the log, want %d", len(seen), files+1)
	}
}

func TestClientThatLeavesWaitsNoLonger(t *testing.T) {
	b := newBook(t, nil)
	transfer := begin(t, b, agent)
	transfer.reader.pace.reserve(b.now(), 10*readBurst)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := transfer.Read(ctx, "prod", "/etc/hosts", "/etc/hosts", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// The longest names are in the log whole, in several lines, whatever their bytes are.
func TestLongNamesAreInTheLogWhole(t *testing.T) {
	long := strings.Repeat("/"+strings.Repeat("n", 200), 20)
	hostile := strings.Repeat("/"+strings.Repeat("\x1b", 200), 20)
	for _, name := range []string{long, hostile, "/" + strings.Repeat("\\", maxPath-1)} {
		b := newBook(t, nil)
		if err := begin(t, b, agent).Read(t.Context(), "prod", name, name, nil); err != nil {
			t.Fatal(err)
		}
		var got string
		lines := b.lines()[2:]
		for i, l := range lines {
			got += l.Path
			if l.Part != i+1 || l.Parts != len(lines) {
				t.Errorf("part %d of %d, want %d of %d", l.Part, l.Parts, i+1, len(lines))
			}
		}
		if want := render.Line(name).String(); got != want {
			t.Errorf("%d bytes in %d lines, want %d", len(got), len(lines), len(want))
		}
	}
	b := newBook(t, nil)
	name := strings.Repeat("/"+strings.Repeat("x", 100), 100)
	if err := begin(t, b, agent).Read(t.Context(), "prod", name, name, syscall.ENAMETOOLONG); err != nil {
		t.Fatal(err)
	}
	if l := b.lines()[2]; l.Hash != hashOf([]byte(name)) || !strings.HasPrefix(l.Path, "/xxx") || !strings.Contains(l.Path, "10100 bytes") {
		t.Errorf("%+v", l)
	}
	b.clean()
}

func TestNothingIsReadWhereTheLogCannotBeWritten(t *testing.T) {
	b := newBook(t, nil)
	transfer := begin(t, b, agent)
	f := &faults{short: 300}
	failing(b, f)
	f.set(syscall.ENOSPC, nil, nil)
	for range 50 {
		if err := transfer.Read(t.Context(), "prod", "/etc/hosts", "/etc/hosts", nil); !errors.Is(err, journal.ErrStore) {
			t.Fatalf("%v, want ErrStore", err)
		}
	}
	if _, err := b.Transfer("sftp-def", agent, ""); !errors.Is(err, journal.ErrStore) {
		t.Errorf("%v, want ErrStore", err)
	}
	f.set(nil, nil, nil)
}
