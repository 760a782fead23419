package change

import (
	"fmt"
	"io"
	"syscall"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
)

// Contents are what the journal's records name.
type Contents struct {
	Blobs journal.Blobs // nil where files are not changed
}

// Diff compares what a file holds with what a change writes; context is diff.Compare's. ok is false where the change
// writes no content or what is there before was not kept; both are in Details.
func (c *Contents) Diff(f *journal.File, context int) (d diff.Diff, ok bool, err error) {
	if c.Blobs == nil || f.Op != journal.Write && f.Op != journal.Delete {
		return d, false, nil
	}
	var before, after []byte
	if s := f.Was; s != nil && s.Mode&syscall.S_IFMT == syscall.S_IFREG {
		if !f.Kept {
			return d, false, nil
		}
		if before, err = c.content(s.SHA256); err != nil {
			return d, false, err
		}
	}
	if f.Op == journal.Write {
		if after, err = c.content(f.SHA256); err != nil {
			return d, false, err
		}
	}
	d = diff.Compare(before, after, context)
	if d.Binary && f.Op == journal.Write {
		s, err := c.Sample(f.SHA256)
		if err != nil {
			return d, false, err
		}
		d.Sample = &s
	}
	return d, true, nil
}

// Sample says what can be said of a content without showing it.
func (c *Contents) Sample(sha string) (diff.Sample, error) {
	r, size, err := c.Blobs.OpenBlob(sha)
	if err != nil {
		return diff.Sample{}, fmt.Errorf("read kept content: %w", err)
	}
	defer func() { _ = r.Close() }()
	beginning, err := io.ReadAll(io.LimitReader(r, diff.SampleSize))
	if err != nil {
		return diff.Sample{}, fmt.Errorf("read kept content: %w", err)
	}
	return diff.Take(beginning, size), nil
}

// Unshown reports whether what a change writes is nothing that a human could read.
func (c *Contents) Unshown(f *journal.File) bool {
	if f.Op != journal.Write || f.SHA256 == "" || c.Blobs == nil {
		return false
	}
	content, err := c.content(f.SHA256)
	return err != nil || !diff.IsText(content)
}

// content reads a blob for a diff: of a large one only so much that it is known to be large.
func (c *Contents) content(sha string) ([]byte, error) {
	r, size, err := c.Blobs.OpenBlob(sha)
	if err != nil {
		return nil, fmt.Errorf("read kept content: %w", err)
	}
	defer func() { _ = r.Close() }()
	if size > diff.MaxText {
		return make([]byte, diff.MaxText+1), nil
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read kept content: %w", err)
	}
	return content, nil
}

// Has reports whether a content is kept.
func (c *Contents) Has(sha string) bool {
	r, _, err := c.Blobs.OpenBlob(sha)
	if err != nil {
		return false
	}
	_ = r.Close()
	return true
}
