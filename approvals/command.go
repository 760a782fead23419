package approvals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
)

// Bounds of what a script may ask for, in bytes.
const (
	maxCommand    = 1 << 20  // argv, environment and paths of one command, about what Linux itself takes
	maxInput      = 1 << 20  // standard input that is known before the command starts
	maxJournal    = 16 << 20 // all commands of a session
	maxCandidates = 64       // paths that are tried for one executable
)

// Where a command's standard input comes from: the values of Command.Input.
const (
	inputNone   = "none"
	inputData   = "data"
	inputFile   = "file"
	inputStream = "stream"
)

// command makes the record of what would run. Nothing of it is derived again. It may change where c reads from: what
// is known of standard input is in the record.
func (l *Live) command(ctx context.Context, c *Start) (*Command, error) {
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
	command := &Command{
		Target: l.target.Name(), RunAs: l.target.Account().Name, Argv: slices.Clone(c.Argv), Dir: c.Dir,
		Env: env, EnvChanges: envChanges(l.env, env), Input: c.Input, Line: c.Line,
	}
	if command.size() > maxCommand {
		return nil, syscall.E2BIG
	}
	if strings.IndexByte(c.Dir, 0) >= 0 || slices.ContainsFunc(c.Argv, func(a string) bool { return strings.IndexByte(a, 0) >= 0 }) {
		return nil, syscall.EINVAL
	}
	scratch, err := l.scratch(ctx, command)
	if err != nil {
		return nil, err
	}
	if command.Path, err = l.resolve(ctx, command, c.Executables, scratch); err != nil {
		return nil, err
	}
	if err := l.keepScratch(ctx, command, scratch); err != nil {
		return nil, err
	}
	return command, command.readInput(c)
}

// resolve finds the executable on the target as exec would along a list: the first that can be run, else EACCES where
// one was found that cannot be, else ENOENT.
func (l *Live) resolve(ctx context.Context, command *Command, candidates []string, scratch []*change) (string, error) {
	var failed error = syscall.ENOENT
	for _, name := range candidates[:min(len(candidates), maxCandidates)] {
		if err := context.Cause(ctx); err != nil {
			return "", err
		}
		if len(name) > maxCommand || strings.IndexByte(name, 0) >= 0 {
			return "", syscall.EINVAL
		}
		if strings.HasPrefix(name, "/") && executableScratch(scratch, name) {
			return name, nil // it is not there yet
		}
		path, err := l.target.Resolve(ctx, name, command.Dir)
		switch {
		case err == nil:
			return path, nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(failed, syscall.ENOENT):
			failed = err
		}
	}
	return "", failed
}

// size is about what the command takes in the journal, in bytes.
func (c *Command) size() int {
	n := len(c.Path) + len(c.Dir) + len(c.InputData)
	for _, list := range []Strings{c.Argv, c.Env, c.EnvChanges} {
		for _, s := range list {
			n += len(s) + 8
		}
	}
	n += 80 * len(c.Before)
	for i := range c.Scratch {
		n += c.Scratch[i].size()
	}
	return n
}

// readInput records the input where all of it is known. More than fits is a stream: the human sees that it is not known.
func (c *Command) readInput(from *Start) error {
	switch c.Input {
	case "", inputNone:
		c.Input, from.Stdin = inputNone, nil
		return nil
	case inputFile, inputStream:
		return nil
	case inputData:
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
			c.Input, from.Stdin = inputStream, io.MultiReader(bytes.NewReader(data), from.Stdin)
			return nil
		}
	}
	if len(data) > maxInput {
		return syscall.E2BIG
	}
	c.InputData, c.InputSHA256 = bytes.Clone(data), sha256Hex(data)
	return nil
}

// stdin is what the command reads: the recorded bytes where there are any, never what a script may have changed since.
func (c *Command) stdin(from Start) io.Reader {
	switch c.Input {
	case inputData:
		return bytes.NewReader(c.InputData)
	case inputNone:
		return nil
	}
	return from.Stdin
}

// intact reports whether the record is the one of that digest.
func (o *Operation) intact(digest string) bool {
	if o.File != nil {
		return o.Command == nil && o.File.Digest() == digest
	}
	return o.Command.intact(digest)
}

// intact reports whether the record, its input included, is the one of that digest.
func (c *Command) intact(digest string) bool {
	return c != nil && c.Digest() == digest && (c.Input != inputData || sha256Hex(c.InputData) == c.InputSHA256)
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
