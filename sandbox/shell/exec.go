package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// direct begins the name of a command that is started though bash has a builtin of that name.
const direct = "\x01direct\x01"

// exec starts a command that is neither a builtin nor a function.
func (m *machine) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	args = slices.Clone(args)
	if name, ok := strings.CutPrefix(args[0], ownPrefix); ok {
		return m.own(hc, name, args[1:])
	}
	args[0] = strings.TrimPrefix(args[0], direct)
	c := Command{Args: args, Dir: hc.Dir, Env: m.exported(hc.Env), Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
	complain := func(status int, reason string) error {
		_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: %s: %s\n", m.options.Name, c.Line, args[0], reason)
		return interp.ExitStatus(status) // #nosec G115 -- a status
	}
	if c.Executable = m.ours(hc, args); c.Executable == "" {
		found, err := m.find(hc, args[0])
		if err != nil {
			return complain(err.Status, err.Reason)
		}
		c.Executable = found
	}
	c.Stdin, _ = hc.Stdin.(*os.File)
	streams := newOutputs()
	var err error
	if c.Stdout, err = streams.file(hc.Stdout); err == nil {
		c.Stderr, err = streams.file(hc.Stderr)
	}
	if err != nil {
		streams.close()
		return complain(ExitCannotRun, err.Error())
	}
	status, err := m.options.Start.Start(ctx, c)
	streams.close()
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		return complain(refused.Status, refused.Reason)
	case err != nil:
		return err
	case status != 0:
		return interp.ExitStatus(status) // #nosec G115 -- a status
	}
	return nil
}

// find looks a command up as bash does.
func (m *machine) find(hc interp.HandlerContext, name string) (string, *Refused) {
	if name == "" {
		return "", &Refused{ExitNotFound, "command not found"}
	}
	if strings.Contains(name, "/") {
		at := name
		if !path.IsAbs(at) {
			at = hc.Dir + "/" + at
		}
		info, err := os.Stat(at)
		switch {
		case err != nil:
			return "", &Refused{ExitNotFound, "No such file or directory"}
		case info.IsDir():
			return "", &Refused{ExitCannotRun, "Is a directory"}
		case info.Mode()&0o111 == 0:
			return "", &Refused{ExitCannotRun, "Permission denied"}
		}
		return name, nil
	}
	found, err := interp.LookPathDir(hc.Dir, hc.Env, name)
	if err != nil {
		return "", &Refused{ExitNotFound, "command not found"}
	}
	return found, nil
}

// exported is the environment of a command. What the interpreter exports by itself is no change that anybody asked for.
func (m *machine) exported(env expand.Environ) []string {
	values := map[string]string{}
	env.Each(func(name string, v expand.Variable) bool {
		delete(values, name)
		if v.IsSet() && v.Exported && v.Kind == expand.String {
			values[name] = v.Str
		}
		return true
	})
	for _, name := range []string{"PWD", "OLDPWD", "SHLVL", "_"} {
		if _, ok := m.original[name]; !ok {
			delete(values, name)
		}
	}
	out := make([]string, 0, len(values))
	for _, kv := range m.options.Env { // in the order in which they came, so that nothing is a change that is none
		name, _, _ := strings.Cut(kv, "=")
		if value, ok := values[name]; ok {
			out = append(out, name+"="+value)
			delete(values, name)
		}
	}
	more := make([]string, 0, len(values))
	for name, value := range values {
		more = append(more, name+"="+value)
	}
	slices.Sort(more)
	return append(out, more...)
}

// outputs are the files that a command writes to.
type outputs struct {
	made   map[io.Writer]*os.File
	copies sync.WaitGroup
}

func newOutputs() *outputs { return &outputs{made: map[io.Writer]*os.File{}} }

// file is a writer as a file: itself, or a pipe whose content is copied to it.
func (o *outputs) file(w io.Writer) (*os.File, error) {
	switch w := w.(type) {
	case *os.File:
		return w, nil
	case nil:
		return nil, nil
	}
	if w == io.Discard {
		return nil, nil
	}
	if f := o.made[w]; f != nil {
		return f, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o.made[w] = write
	o.copies.Go(func() {
		_, _ = io.Copy(w, read)
		_ = read.Close()
	})
	return write, nil
}

// close returns when all that was written has arrived.
func (o *outputs) close() {
	for _, f := range o.made {
		_ = f.Close()
	}
	o.copies.Wait()
}

// interpreterFlags are flags of python3 before a script that change nothing here, and whether a word follows.
var interpreterFlags = map[string]bool{"-u": false, "-B": false, "-E": false, "-s": false, "-S": false, "-I": false, "-O": false, "-OO": false, "-W": true, "-X": true}

// ours is the interpreter of the sandbox that a command is for, "" for a command of the target.
func (m *machine) ours(hc interp.HandlerContext, args []string) string {
	switch path.Base(args[0]) {
	case "python3", "python":
		if m.options.Python != "" && runsPython(args[1:]) {
			return m.options.Python
		}
	case "bash", "sh", "dash":
		if m.options.Shell != "" && m.takes(hc, args) {
			return m.options.Shell
		}
	}
	return ""
}

// takes reports whether a command line of bash or sh gives a text that this shell runs. Another is the target's, which a human
// decides on.
func (m *machine) takes(hc interp.HandlerContext, args []string) bool {
	if !Takes(args) {
		return false
	}
	in, _ := ParseArgs(args[1:])
	if in.File == "" {
		return true
	}
	name := in.File
	if !path.IsAbs(name) {
		name = path.Join(hc.Dir, name)
	}
	f, err := os.Open(name) // #nosec G304 -- the session's view
	if err != nil {
		return true // which complains
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, MaxText+1))
	if err != nil {
		return true
	}
	_, err = Parse(string(text))
	return err == nil
}

// runsPython reports whether arguments give python3 a script: -c, -m, a file, or standard input.
func runsPython(args []string) bool {
	for len(args) > 0 {
		follows, ok := interpreterFlags[args[0]]
		if !ok {
			break
		}
		args = args[1:]
		if follows && len(args) > 0 {
			args = args[1:]
		}
	}
	return len(args) == 0 || args[0] == "-" || args[0] == "-c" || args[0] == "-m" || !strings.HasPrefix(args[0], "-")
}
