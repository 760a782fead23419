package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// silence is how long a client may send nothing of a script before it is told what is waited for.
const silence = 3 * time.Second

// tooLarge says that a script has more than limit bytes.
func tooLarge(limit int64) error {
	return fmt.Errorf("the script is larger than %d bytes (limits.script)", limit)
}

// readScript reads a script of at most limit bytes, or has the one that was typed. A client that keeps its stdin open and
// says nothing would hang without a word.
func (c *Call) readScript(ctx context.Context, limit int64) (string, error) {
	if c.typed != "" {
		return c.typed, nil
	}
	tell := time.AfterFunc(silence, func() {
		c.notice("waits for a script on standard input, up to its end: ssh HOST < script.py; or give the code: run -c CODE")
	})
	defer tell.Stop()
	return whole(ctx, func() (string, error) {
		text, err := io.ReadAll(io.LimitReader(firstByte{c.Stdin, func() { tell.Stop() }}, limit+1))
		switch {
		case err != nil:
			return "", fmt.Errorf("read the script: %w", err)
		case int64(len(text)) > limit:
			return "", tooLarge(limit)
		}
		return string(text), nil
	})
}

// whole waits for what is read, or for the end of ctx: what is read then is dropped.
func whole(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() { // ends with the channel that it reads
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// firstByte calls something when the first byte has come.
type firstByte struct {
	io.Reader
	came func()
}

// Read implements io.Reader.
func (f firstByte) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if n > 0 {
		f.came()
	}
	return n, err
}

// endOfTransmission is what a terminal in raw mode sends for Ctrl-D.
const endOfTransmission = 0x04

// typedScript reads a script from a terminal: some clients ask for one though they send a file. It ends with the input, or by
// Ctrl-D; by Ctrl-C there is none.
func (c *Call) typedScript(ctx context.Context, limit int64) (string, error) {
	c.notice("waits for a script: paste one and end it with Ctrl-D; Ctrl-C leaves")
	return whole(ctx, func() (string, error) {
		var text strings.Builder
		piece := make([]byte, 4<<10)
		for {
			n, err := c.Stdin.Read(piece)
			for _, b := range piece[:n] {
				switch b {
				case interrupt:
					return "", nil
				case endOfTransmission:
					return unixLines(text.String()), nil
				}
				if int64(text.Len()) >= limit {
					return "", tooLarge(limit)
				}
				text.WriteByte(b)
			}
			if errors.Is(err, io.EOF) {
				return unixLines(text.String()), nil
			}
			if err != nil {
				return "", fmt.Errorf("read the script: %w", err)
			}
		}
	})
}

// unixLines has a line feed for what a terminal's Enter sends.
func unixLines(text string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
}
