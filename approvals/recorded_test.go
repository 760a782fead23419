package approvals_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
)

// blobName is where the store of a book keeps content.
func (b *book) blobName(sha string) string { return filepath.Join(b.dir, "blobs", sha[:2], sha[2:]) }

// outputs lists the files of outputs that are no content.
func (b *book) outputs() (names []string) {
	b.tb.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, "output"))
	if err != nil {
		b.tb.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestOutputIsContentOnceItsRecordNamesIt(t *testing.T) {
	b := newBook(t)
	l := b.begin()
	p, err := l.Start(t.Context(), command(io.Discard, "echo", "hello"))
	mustRun(t, p, err)
	if p, err = l.Start(t.Context(), command(io.Discard, "cat")); err == nil { // it says nothing
		_, err = p.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = l.Stdout().Write([]byte("the script's own"))
	l.End(gate.Outcome{Status: journal.StatusDone})
	s, err := b.Session(l.ID())
	if err != nil || s.Operations[0].Output == "" || s.Operations[1].Output != "" || s.Output == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if left := b.outputs(); len(left) != 0 {
		t.Errorf("files that are left: %q", left)
	}
	var operation, session strings.Builder
	if err := b.OperationOutput(l.ID(), 1, func(c output.Chunk) error { operation.Write(c.Data); return nil }); err != nil || operation.String() != "hello\n" {
		t.Errorf("%q, %v", operation.String(), err)
	}
	_, err = b.Follow(t.Context(), l.ID(), func(c output.Chunk) error {
		if c.Stream == output.Stdout {
			session.Write(c.Data)
		}
		return nil
	})
	if err != nil || session.String() != "the script's own" {
		t.Errorf("%q, %v", session.String(), err)
	}
	// Damage is told, and not shown as the end of the output.
	if err := os.WriteFile(b.blobName(s.Output), []byte("\x01\x05\x00\x00\x00other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Follow(t.Context(), l.ID(), func(output.Chunk) error { return nil }); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
}

func TestWhoeverFollowsAnEndingSessionGetsAllOfIt(t *testing.T) {
	b := newBook(t)
	for range 20 {
		l := b.begin()
		_, _ = l.Stdout().Write(bytes.Repeat([]byte("x"), 100_000))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					n := 0
					_, err := b.Follow(t.Context(), l.ID(), func(c output.Chunk) error {
						if c.Stream == output.Stdout {
							n += len(c.Data)
						}
						return nil
					})
					if err != nil || n != 100_000 {
						t.Errorf("%d bytes, %v", n, err)
					}
				}
			})
		}
		l.End(gate.Outcome{Status: journal.StatusDone})
		all.Wait()
	}
}

func TestDamagedOutputIsNotReplayed(t *testing.T) {
	for what, damage := range map[string]func(string) error{
		"changed": func(name string) error { return os.WriteFile(name, []byte("\x01\x04\x00\x00\x00evil"), 0o600) },
		"missing": os.Remove,
	} {
		dir := t.TempDir()
		b, _ := parking(t, dir, func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
		mark := filepath.Join(dir, "mark")
		l := b.begin()
		p, err := l.Start(t.Context(), command(io.Discard, "echo", "hello"))
		mustRun(t, p, err)
		if r := <-start(l, appendCommand(io.Discard, mark, "x")); !errors.Is(r.err, journal.ErrParked) {
			t.Fatalf("%v, want ErrParked", r.err)
		}
		l.End(gate.Outcome{Status: journal.StatusCancelled})
		s, err := b.approve(l.ID(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(b.blobName(s.Operations[0].Output)); err != nil {
			t.Fatal(err)
		}
		l = b.resume(l.ID())
		var out bytes.Buffer
		var denial *journal.DenialError
		if _, err := l.Start(t.Context(), command(&out, "echo", "hello")); !errors.As(err, &denial) || !strings.Contains(denial.Reason, "damaged") || out.Len() > 0 {
			t.Errorf("%s: %v, %q", what, err, out.String())
		}
		l.End(gate.Outcome{Status: journal.StatusFailed})
	}
}

func TestOutputOfAnExpiredSessionIsKept(t *testing.T) {
	b := open(t, t.TempDir(), func(c *approvals.Config) { c.Limits.Hold = time.Millisecond })
	l := b.begin()
	if _, err := io.WriteString(l.Stdout(), "said before"); err != nil {
		t.Fatal(err)
	}
	if r := <-start(l, command(io.Discard, "true")); !errors.Is(r.err, journal.ErrExpired) {
		t.Fatalf("%v, want ErrExpired", r.err)
	}
	l.End(gate.Outcome{Status: journal.StatusCancelled})
	s, err := b.Session(l.ID())
	if err != nil || s.Status != journal.StatusExpired || s.Output == "" {
		t.Errorf("session is %s, its output %q, %v", s.Status, s.Output, err)
	}
	var said []byte
	if err := b.Output(watcher, l.ID(), func(c output.Chunk) error { said = append(said, c.Data...); return nil }); err != nil || string(said) != "said before" {
		t.Errorf("%q, %v", said, err)
	}
}
