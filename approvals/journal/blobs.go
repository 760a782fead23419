package journal

import (
	"context"
	"errors"
	"io"
)

// Blobs keeps large content under its SHA-256: scripts, outputs, and what files held before and after.
// Content that no record names goes after a while; Session.Blobs and Operation.Blobs say what a record names.
type Blobs interface {
	// PutBlob keeps all that r gives, and returns its SHA-256 in lower-case hex and its size in bytes. It is durable once a
	// record that names it is. Content of more than limit bytes is ErrTooLarge and nothing is kept; 0 means no limit. An error of r is
	// returned wrapped. What is put must be named by a record within the hour.
	PutBlob(ctx context.Context, r io.Reader, limit int64) (sha256 string, size int64, err error)
	// OpenBlob opens content and returns its size in bytes. The content is checked as it is read: a damaged blob ends
	// with ErrDamaged in the place of io.EOF, so that nothing may be done with it before the end. ErrNoContent
	// where there is none.
	OpenBlob(sha256 string) (io.ReadCloser, int64, error)
}

// Errors of Blobs.
var (
	ErrTooLarge  = errors.New("too large to be kept")
	ErrNoContent = errors.New("no such content")
	ErrDamaged   = errors.New("kept content is damaged")
)

// Blobs lists the SHA-256 of all content that the session's own record names, its operations left out.
func (s *Session) Blobs() []string {
	var names []string
	for _, name := range []string{s.Output, s.Reads.Blob()} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Blobs lists the SHA-256 of all content that the operation names, once for each time that it is named.
func (o *Operation) Blobs() (names []string) {
	if o.Output != "" {
		names = append(names, o.Output)
	}
	if o.File != nil {
		names = o.File.blobs()
	}
	if o.Command != nil {
		for i := range o.Command.Scratch {
			names = append(names, o.Command.Scratch[i].blobs()...)
		}
	}
	return names
}
