package audit

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals"
)

var reader = approvals.Identity{Name: "claude", Role: approvals.Agent, Fingerprint: "SHA256:c"}

func begin(t *testing.T, b *book, who approvals.Identity) *Transfer {
	t.Helper()
	transfer, err := b.Transfer("sftp-abc", who, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return transfer
}

func TestFilesThatAreReadAreInTheLog(t *testing.T) {
	b := newBook(t, nil)
	transfer := begin(t, b, reader)
	if err := transfer.Read("prod", "/etc/hosts", "/etc/hosts", nil); err != nil {
		t.Error(err)
	}
	if err := transfer.Read("prod", "/etc/link", "/etc/it\x1b[2J\n", nil); err != nil {
		t.Error(err)
	}
	if err := transfer.Read("prod", "/etc/shadow", "/etc/shadow", syscall.ENOENT); err != nil {
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
	if l := lines[5]; l.Summary != "2 files opened, 1 refused; 0 of them are not listed" {
		t.Errorf("%+v", l)
	}
}

// An agent that opens files without end, over as many connections as it likes, takes no more of the log than so much; and
// takes nothing from what others read.
func TestAnAgentThatReadsWithoutEndDoesNotFloodTheLog(t *testing.T) {
	b := newBook(t, nil)
	one, two := begin(t, b, reader), begin(t, b, reader)
	for i := range 2000 {
		transfer := one
		if i%2 == 1 {
			transfer = two
		}
		if err := transfer.Read("prod", "/etc/hosts", "/etc/hosts", nil); err != nil {
			t.Fatal(err)
		}
	}
	other := begin(t, b, approvals.Identity{Name: "gpt"})
	if err := other.Read("prod", "/etc/hostname", "/etc/hostname", nil); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Second)
	if err := one.Read("prod", "/etc/last", "/etc/last", nil); err != nil {
		t.Fatal(err)
	}
	one.End()
	b.add(1, 1)
	lines := b.lines()
	if n := len(lines); n != 1+2+burst+2+1+1+1 {
		t.Fatalf("%d lines", n)
	}
	if l := lines[2+burst+2]; l.Identity != "gpt" || l.Count != 0 {
		t.Errorf("%+v", l)
	}
	if l := lines[2+burst+3]; l.Path != "/etc/last" || l.Count != 2000-burst {
		t.Errorf("%+v", l)
	}
	if l := lines[2+burst+4]; l.Count != 950 || !strings.HasPrefix(l.Summary, "1001 files opened") {
		t.Errorf("%+v", l)
	}
}

func TestNothingIsReadWhereTheLogCannotBeWritten(t *testing.T) {
	b := newBook(t, nil)
	transfer := begin(t, b, reader)
	f := &faults{short: 300}
	failing(b, f)
	f.set(syscall.ENOSPC, nil, nil)
	for range burst + 50 { // those that would not be listed, too
		if err := transfer.Read("prod", "/etc/hosts", "/etc/hosts", nil); !errors.Is(err, approvals.ErrStore) {
			t.Fatalf("%v, want ErrStore", err)
		}
	}
	if _, err := b.Transfer("sftp-def", reader, ""); !errors.Is(err, approvals.ErrStore) {
		t.Errorf("%v, want ErrStore", err)
	}
	f.set(nil, nil, nil)
}
