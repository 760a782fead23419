package ssh

import (
	"context"
	"errors"
	"io"

	"shannot-gateway/targets/ssh/sftp"
)

// aheadPieces is how many pieces of a file are under way at once while it is read from one end to the other: 2 MiB, as
// much as an SSH channel's window.
const aheadPieces = sftp.Window / 2

// reading reads an open file of a target in order, asking ahead.
type reading struct {
	ctx    context.Context
	c      *sftp.Client
	h      sftp.Handle
	at     int64 // of the next byte to hand out
	ask    int64 // of the next piece to ask for
	end    int64 // no piece behind it is asked for ahead; -1 where the end is not known
	pieces []piece
	rest   []byte
	err    error
}

type piece struct {
	offset int64
	data   sftp.Future[[]byte]
}

// readFrom reads from an offset. The size is what the file is thought to have, -1 for not known.
func readFrom(ctx context.Context, c *sftp.Client, h sftp.Handle, offset, size int64) *reading {
	return &reading{ctx: ctx, c: c, h: h, at: offset, ask: offset, end: size}
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.at += int64(n)
	return n, nil
}

// next takes the next piece. After one that was short the others have a gap before them: they are asked for anew.
func (r *reading) next() {
	if len(r.pieces) == 0 || r.pieces[0].offset != r.at {
		r.pieces, r.ask = nil, r.at
	}
	for len(r.pieces) == 0 || len(r.pieces) < aheadPieces && (r.end < 0 && len(r.pieces) < 2 || r.ask < r.end) {
		r.pieces = append(r.pieces, piece{r.ask, r.c.StartRead(r.ctx, r.h, r.ask, sftp.MaxRead)})
		r.ask += sftp.MaxRead
	}
	data, err := r.pieces[0].data.Wait(r.ctx)
	r.pieces = r.pieces[1:]
	if err != nil {
		r.err = err
		if !errors.Is(err, io.EOF) {
			r.err = errnoOf(err)
		}
		return
	}
	r.rest = data
}
