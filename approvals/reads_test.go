package approvals_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
)

func listDigest(names ...string) string {
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00") + "\x00"))
	return hex.EncodeToString(sum[:])
}

func TestFilesThatAScriptReadsAreRecordedOnce(t *testing.T) {
	b := open(t, t.TempDir(), nil)
	l := b.begin()
	if r, _, err := b.Reads(session(t, b, l.ID())); r != nil || err != nil {
		t.Errorf("nothing was read: %+v, %v", r, err)
	}
	hostile := "/etc/a\nb\x1b[2J\xff"
	for range 3 {
		for _, name := range []string{"/etc/hosts", hostile, "/etc/fstab"} {
			l.Opened(name)
		}
	}
	want := []string{hostile, "/etc/fstab", "/etc/hosts"}
	if _, names, err := b.Reads(session(t, b, l.ID())); err != nil || !slices.Equal(names, want) {
		t.Errorf("while it runs: %q, %v", names, err)
	}
	l.End(gate.Outcome{Status: journal.StatusDone})
	s := session(t, b, l.ID())
	r, names, err := b.Reads(s)
	if err != nil || !slices.Equal(names, want) || r.Files != 3 || r.SHA256 != listDigest(want...) || r.More != 0 {
		t.Errorf("%+v %q %v", r, names, err)
	}
	if len(s.Blobs()) != 0 {
		t.Errorf("a short list is content: %q", s.Blobs())
	}
}

func session(t *testing.T, b *book, id string) journal.Session {
	t.Helper()
	s, err := b.Session(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A session that is parked and runs again has read what both of its runs have.
func TestRunsOfASessionHaveOneListOfFiles(t *testing.T) {
	dir := t.TempDir()
	b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Hour; c.Limits.Expire = time.Hour })
	events := b.Subscribe(t.Context())
	l := b.begin()
	l.Opened("/etc/one")
	first := start(l, command(io.Discard, "sh", "-c", "echo ask"))
	b.waiting(events, l.ID())
	done := make(chan error, 1)
	go func() { done <- b.Shutdown(t.Context()) }()
	<-first
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := session(t, b, l.ID()); s.Status != journal.StatusParked || s.Reads.SHA256 != listDigest("/etc/one") {
		t.Fatalf("%s, %+v", s.Status, s.Reads)
	}
	b2 := b.next()
	if _, err := b2.Reject(t.Context(), l.ID(), alice, nil, "no"); err != nil {
		t.Fatal(err)
	}
	l2 := b2.resume(l.ID())
	l2.Opened("/etc/two")
	l2.End(gate.Outcome{Status: journal.StatusDone})
	if _, names, err := b2.Reads(session(t, b2, l.ID())); err != nil || !slices.Equal(names, []string{"/etc/one", "/etc/two"}) {
		t.Errorf("%q, %v", names, err)
	}
}

// A script that opens files without end fills neither memory nor the journal: the digest goes on over what the list has no
// room for, and their number is exact.
func TestListOfFilesIsBoundedAndItsDigestCoversAll(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, nil)
	l := b.begin()
	const room = 20_000
	more := sha256.New()
	for i := range room + 100 {
		name := fmt.Sprintf("/data/file%05d", i)
		l.Opened(name)
		if i >= room {
			_, _ = io.WriteString(more, name+"\x00")
		}
	}
	l.Opened("/data/file00000") // which the list has
	l.End(gate.Outcome{Status: journal.StatusDone})
	s := session(t, b, l.ID())
	r, names, err := b.Reads(s)
	if err != nil || len(names) != room || r.Files != room || r.More != 100 || r.MoreSHA256 != hex.EncodeToString(more.Sum(nil)) {
		t.Fatalf("%d names, %+v, %v", len(names), r, err)
	}
	if len(s.Reads.List) != 0 || !slices.Equal(s.Blobs(), []string{r.SHA256}) {
		t.Errorf("a long list is in the record, and its content is %q", s.Blobs())
	}
	// A list that was changed is not shown.
	name := b.blobName(r.SHA256)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(text, []byte("file00007"), []byte("file70000"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, names, err := b.Reads(s); err == nil || names != nil {
		t.Errorf("a list that was changed is shown: %d names", len(names))
	}
}
