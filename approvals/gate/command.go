package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/journal"
)

// Bounds of what a script may ask for, in bytes.
const (
	maxCommand    = 1 << 20  // argv, environment and paths of one command, about what Linux itself takes
	maxInput      = 1 << 20  // standard input that is known before the command starts
	maxJournal    = 16 << 20 // all commands of a session
	maxCandidates = 64       // paths that are tried for one executable
)

// command makes the record of what would run. Nothing of it is derived again. It may change where c reads from: what
// is known of standard input is in the record.
func (l *Live) command(ctx context.Context, c *Start) (*journal.Command, error) {
	if len(c.Argv) == 0 || len(c.Executables) == 0 || !strings.HasPrefix(c.Dir, "/") {
		return nil, syscall.EINVAL
	}
	env, err := cleanEnv(c.Env)
	if c.Env == nil {
		env, err = cleanEnv(l.env)
	}
	if err != nil {
		return nil, err
	}
	command := &journal.Command{
		Target: l.target.Name(), RunAs: l.target.Account().Name, Argv: slices.Clone(c.Argv), Dir: c.Dir,
		Env: env, EnvChanges: envChanges(l.env, env), Input: c.Input, Line: c.Line,
	}
	if command.Footprint() > maxCommand {
		return nil, syscall.E2BIG
	}
	if strings.IndexByte(c.Dir, 0) >= 0 || slices.ContainsFunc(c.Argv, func(a string) bool { return strings.IndexByte(a, 0) >= 0 }) {
		return nil, syscall.EINVAL
	}
	scratch, err := l.files.Scratch(ctx, command)
	if err != nil {
		return nil, err
	}
	if command.Path, err = l.resolve(ctx, command, c.Executables, scratch); err != nil {
		return nil, err
	}
	if len(scratch) > 0 {
		if err := l.roomFor(1); err != nil {
			return nil, err
		}
		if err := l.files.KeepScratch(ctx, command, scratch); err != nil {
			return nil, err
		}
	}
	return command, readInput(command, c)
}

// resolve finds the executable on the target as exec would along a list: the first that can be run, else EACCES where
// one was found that cannot be, else ENOENT or ENOTDIR, as the last one says.
func (l *Live) resolve(ctx context.Context, command *journal.Command, candidates []string, scratch []*change.Pending) (string, error) {
	var failed, missing error = nil, syscall.ENOENT
	for _, name := range candidates[:min(len(candidates), maxCandidates)] {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		if len(name) > maxCommand || strings.IndexByte(name, 0) >= 0 {
			return "", syscall.EINVAL
		}
		if strings.HasPrefix(name, "/") && change.ExecutableScratch(scratch, name) {
			return name, nil // it is not there yet
		}
		path, err := l.target.Resolve(ctx, name, command.Dir)
		switch {
		case err == nil:
			return path, nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
			missing = err
		case failed == nil:
			failed = err
		}
	}
	if failed == nil {
		failed = missing
	}
	return "", failed
}

// readInput records the input where all of it is known. More than fits is a stream: the human sees that it is not known.
func readInput(c *journal.Command, from *Start) error {
	switch c.Input {
	case "", journal.InputNone:
		c.Input, from.Stdin = journal.InputNone, nil
		return nil
	case journal.InputFile, journal.InputStream:
		return nil
	case journal.InputData:
	default:
		return syscall.EINVAL
	}
	data := from.Content
	if data == nil && from.Stdin != nil {
		var err error
		if data, err = io.ReadAll(io.LimitReader(from.Stdin, maxInput+1)); err != nil {
			return fmt.Errorf("read the command's input: %w", err)
		}
		if len(data) > maxInput {
			c.Input, from.Stdin = journal.InputStream, io.MultiReader(bytes.NewReader(data), from.Stdin)
			return nil
		}
	}
	if len(data) > maxInput {
		return syscall.E2BIG
	}
	c.InputData, c.InputSHA256 = bytes.Clone(data), journal.SHA256Hex(data)
	return nil
}

// stdin is what the command reads: the recorded bytes where there are any, never what a script may have changed since.
func stdinOf(c *journal.Command, from Start) io.Reader {
	switch c.Input {
	case journal.InputData:
		return bytes.NewReader(c.InputData)
	case journal.InputNone:
		return nil
	}
	return from.Stdin
}

// cleanEnv sorts an environment and leaves one value of every variable, the last, so that what is shown does not
// depend on which of two a program takes.
func cleanEnv(env []string) ([]string, error) {
	last := make(map[string]string, len(env))
	for _, e := range env {
		k, _, ok := strings.Cut(e, "=")
		if !ok || k == "" || strings.IndexByte(e, 0) >= 0 {
			return nil, syscall.EINVAL
		}
		last[k] = e
	}
	out := make([]string, 0, len(last))
	for _, e := range last {
		out = append(out, e)
	}
	slices.Sort(out)
	return out, nil
}

// envChanges lists how an environment differs from the session's.
func envChanges(base, env []string) []string {
	var changes []string
	had := map[string]string{}
	for _, e := range base {
		k, v, _ := strings.Cut(e, "=")
		had[k] = v
	}
	seen := map[string]bool{}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		seen[k] = true
		if old, ok := had[k]; !ok || old != v {
			changes = append(changes, e)
		}
	}
	for k := range had {
		if !seen[k] {
			changes = append(changes, "-"+k)
		}
	}
	slices.Sort(changes)
	return changes
}
