package change

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// oneBlob holds one content.
type oneBlob struct{ content []byte }

func (oneBlob) PutBlob(context.Context, io.Reader, int64) (string, int64, error) {
	return "", 0, journal.ErrNoContent
}

func (b oneBlob) OpenBlob(string) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(b.content)), int64(len(b.content)), nil
}

func TestContentThatIsNotShownIsNeverSafe(t *testing.T) {
	program := append([]byte("\x7fELF\x02\x01\x01\x00/bin/sh -c evil\x00"), bytes.Repeat([]byte{0, 1}, 150<<10)...)
	for _, content := range [][]byte{program, bytes.Repeat([]byte("text\n"), 2<<20), {0xff}} {
		w := NewWorkspace(Config{Blobs: oneBlob{content}})
		c := &Pending{Op: journal.Operation{File: &journal.File{Op: journal.Write, Path: "/srv/tool", Perms: true, Mode: 0o644, SHA256: "00", Size: int64(len(content))}}}
		w.Judge(c, 0, time.Time{})
		if c.Op.Risk == policy.Safe || !strings.Contains(c.Op.Why, "NOT shown") {
			t.Errorf("%d bytes: %s: %s", len(content), c.Op.Risk, c.Op.Why)
		}
		contents := &Contents{Blobs: oneBlob{content}}
		d, ok, err := contents.Diff(c.Op.File, 3)
		row, differs := ContentRow("content", c.Op.File, d, ok, err)
		if err != nil || differs || row.Tone != journal.Danger || !strings.HasPrefix(row.Text.String(), "NOT shown: ") {
			t.Errorf("%d bytes: %v %q", len(content), err, row.Text)
		}
	}
	contents := &Contents{Blobs: oneBlob{program}}
	d, ok, err := contents.Diff(&journal.File{Op: journal.Write, SHA256: "00"}, 3)
	row, _ := ContentRow("content", &journal.File{Op: journal.Write}, d, ok, err)
	for _, want := range []string{"a program or library (ELF)", "307224 bytes", `begins \x7fELF`, "'/bin/sh -c evil'"} {
		if !strings.Contains(row.Text.String(), want) {
			t.Errorf("%q is not said: %s", want, row.Text)
		}
	}
	w := NewWorkspace(Config{Blobs: oneBlob{[]byte("hello\n")}})
	c := &Pending{Op: journal.Operation{File: &journal.File{Op: journal.Write, Path: "/srv/note", Perms: true, Mode: 0o644, SHA256: "00", Size: 6}}}
	if w.Judge(c, 0, time.Time{}); c.Op.Risk != policy.Safe {
		t.Errorf("a new text: %s: %s", c.Op.Risk, c.Op.Why)
	}
}
