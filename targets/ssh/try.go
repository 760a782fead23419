package ssh

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"shannot-gateway/targets"
)

// maxTried is how much of what a trial says is kept, in bytes.
const maxTried = 4 << 10

// TryCommand starts a fixed command that does nothing, the way of every command, and says why it does not run. printed is
// what came with it nevertheless, a line of at most 256 bytes: what a start-up file of the account prints is in the output of
// each command. Connect goes before it.
func (t *Target) TryCommand(ctx context.Context) (printed string, err error) {
	var stdout, stderr firstBytes
	p, err := t.Start(ctx, targets.Command{
		Path: "/bin/sh", Argv: []string{"sh", "-c", ":"}, Dir: "/", Env: []string{"PATH=" + targets.Path}, Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil {
		return "", err
	}
	exit, err := p.Wait()
	printed = word(strings.TrimSpace(stdout.String() + stderr.String()))
	switch {
	case err == nil && exit.Signal != 0:
		err = fmt.Errorf("a command that does nothing was ended by the signal %v", exit.Signal)
	case err == nil && exit.Code != 0:
		err = fmt.Errorf("a command that does nothing ended with the status %d", exit.Code)
	}
	if err != nil && printed != "" {
		err = fmt.Errorf("%w; it said %q", err, printed)
	}
	return printed, err
}

// firstBytes keeps the first maxTried bytes that are written to it.
type firstBytes struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *firstBytes) Write(p []byte) (int, error) {
	_, _ = b.Buffer.Write(p[:min(len(p), max(0, maxTried-b.Len()))])
	return len(p), nil
}
