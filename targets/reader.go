package targets

import (
	"context"
	"io"
)

// NewReader is a reader that ends with a context, by the context's error.
func NewReader(ctx context.Context, in io.Reader) io.Reader { return &reader{ctx, in} }

type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
