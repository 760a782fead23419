// Package shell interprets shell text in the dialect of bash, so that no shell of a host sees it: each command is asked for
// when it starts, by the words that it really gets. The interpreter is mvdan.cc/sh/v3/interp. What that does otherwise than
// bash is done here, or refused by name before the text runs: an answer is bash's, or there is none. The package knows
// neither sessions nor the gate; it must never start a process by itself. Begin with Parse and Interpret in this file;
// check.go says what is refused, rewrite.go and builtins.go what is done here, guest.go is the process in the sandbox.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// Exit statuses of a shell: POSIX.1-2024, XCU section 2.8.2, and bash's for a text that it cannot read.
const (
	ExitSyntax    = 2
	ExitCannotRun = 126
	ExitNotFound  = 127
)

// A Command is what a text wants to start.
type Command struct {
	Args       []string
	Executable string   // absolute, or with a slash in it below Dir
	Env        []string // KEY=VALUE, what was exported
	Dir        string
	// Stdin is nil for a closed one. Stdout and Stderr are the same file where the text gave both the same.
	Stdin, Stdout, Stderr *os.File
	Line                  int // of the text
}

// A Starter starts commands.
type Starter interface {
	// Start starts a command and returns how it ended. A *Refused says why it was not started.
	Start(ctx context.Context, c Command) (status int, err error)
}

// Refused is why a command was not started.
type Refused struct {
	Status int    // ExitCannotRun or ExitNotFound
	Reason string // one line
}

// Error is the reason.
func (r *Refused) Error() string { return r.Reason }

// Unsupported names what a text has in it that this shell does otherwise than bash, or not at all.
type Unsupported struct {
	What string
	Line int // 0 where it is not known
}

// Error says it in a line.
func (u *Unsupported) Error() string {
	if u.Line == 0 {
		return fmt.Sprintf("%s is not there in the gateway's shell", u.What)
	}
	return fmt.Sprintf("line %d: %s is not there in the gateway's shell", u.Line, u.What)
}

// MaxText is the longest text, in bytes.
const MaxText = 1 << 20

// maxDepth bounds how deep commands of a text stand in each other: the parser, and whatever walks its tree, call themselves.
const maxDepth = 200

// Parse reads a text, and refuses what Interpret would not do as bash does.
func Parse(text string) (*syntax.File, error) {
	if len(text) > MaxText {
		return nil, &Unsupported{What: fmt.Sprintf("a text of more than %d bytes", MaxText)}
	}
	if strings.ContainsRune(text, 0) {
		return nil, &Unsupported{What: "a NUL byte"}
	}
	if deep(text) {
		return nil, &Unsupported{What: "a text so deeply nested"}
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, err
	}
	if err := check(file); err != nil {
		return nil, err
	}
	return file, nil
}

// maxChain bounds how many operators a statement has: a parser calls itself for what is behind each.
const maxChain = 10000

// operators join what is before and behind them, and the last closes what may join.
const operators = "|&!?:=+-*/%<>^~,()"

// deep reports whether a text may be nested too deeply for a recursive parser, which Go ends the whole process for. It counts
// what opens and what joins, and does not look at quotes: what is none is refused rather than read.
func deep(text string) bool {
	depth, chain, round := 0, 0, 0
	last := byte('\n') // but for blanks
	for i := range len(text) {
		ch := text[i]
		switch ch {
		case '(', '{', '[', '`':
			depth++
		case ')', '}', ']':
			depth = max(0, depth-1)
		}
		switch {
		case ch == '\n' || ch == ';':
			if round == 0 && strings.IndexByte(operators, last) < 0 {
				chain = 0
			}
		case ch == '(' || ch == '[':
			round++
		case ch == ')' || ch == ']':
			round = max(0, round-1)
		}
		if strings.IndexByte(operators, ch) >= 0 {
			chain++
		}
		if depth > maxDepth || chain > maxChain {
			return true
		}
		if strings.IndexByte(" \t\r\n\\", ch) < 0 {
			last = ch
		}
	}
	words := 0
	for _, w := range strings.Fields(text) {
		switch strings.Trim(w, ";&|(") {
		case "if", "while", "until", "for", "case", "select":
			words++
		case "fi", "done", "esac":
			words = max(0, words-1)
		}
		if words > maxDepth {
			return true
		}
	}
	return false
}

// Options are what a text runs with.
type Options struct {
	Name   string   // $0
	Params []string // $1 and on
	Set    []string // of set(1): -e, -u, -x, -f, -o pipefail
	Env    []string // KEY=VALUE
	Dir    string   // absolute
	// Scratch is a directory for what has to be a file: here-documents and process substitutions.
	Scratch               string
	Stdin, Stdout, Stderr *os.File
	Start                 Starter
	// Python is whether python3 with a script is this word's: the sandbox's own interpreter. "" for none.
	Python string
	// Shell is the same for bash and sh with a text.
	Shell string
}

// Interpret runs a text that Parse has read, and returns its exit status. An *Unsupported is what only showed while it ran.
func Interpret(ctx context.Context, file *syntax.File, o Options) (status int, err error) {
	defer func() {
		if p := recover(); p != nil { // of the interpreter, about a text that nobody thought of
			status, err = ExitSyntax, &Unsupported{What: fmt.Sprintf("what this text does (%v)", p)}
		}
	}()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	m := &machine{stop: stop, options: o, original: environMap(o.Env), done: map[*syntax.ArithmExp]bool{}, looped: map[*syntax.WhileClause]bool{}}
	m.associative, m.numeric = associatives(file), numerics(file, m.original)
	m.parted = parted(file)
	m.ends = endsAtError(file)
	m.strict, m.nounset = strict(file, o.Set), sets(file, o.Set, 'u', "nounset")
	if m.nounset { // what gets nothing but numbers may have none yet
		m.numeric = map[string]bool{"RANDOM": true}
	}
	m.rewrite(file)
	runner, err := interp.New(
		interp.Env(newEnviron(o)), interp.Dir(o.Dir), interp.StdIO(stdinOf(o.Stdin), o.Stdout, o.Stderr),
		interp.Params(append(append(append([]string{}, o.Set...), "--"), o.Params...)...),
		interp.CallHandler(m.call), interp.OpenHandler(m.open),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return m.exec }),
	)
	if err != nil {
		return ExitSyntax, err
	}
	file.Name = o.Name
	err = runner.Run(ctx, file)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var exit interp.ExitStatus
	var ended *abort
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return int(exit), nil
	case errors.As(err, &ended) && !m.ends:
		return ExitSyntax, &Unsupported{What: fmt.Sprintf("what bash goes on with after an error in arithmetic (%s)", ended.message)}
	case errors.As(err, &ended):
		_, _ = fmt.Fprintf(o.Stderr, "%s: %s\n", o.Name, ended.message)
		return ended.status, nil
	}
	return ExitSyntax, err
}

func stdinOf(f *os.File) io.Reader {
	if f == nil {
		return nil
	}
	return f
}

// fail ends the whole text, also from within what is expanded, where an error of a command counts for nothing.
func (m *machine) fail(err error) error {
	if err != nil {
		m.stop(err)
	}
	return err
}

// machine is one text that runs.
type machine struct {
	stop        context.CancelCauseFunc
	options     Options
	original    map[string]string
	associative map[string]bool
	numeric     map[string]bool
	parted      bool
	ends        bool // with an error in arithmetic
	looped      map[*syntax.WhileClause]bool
	strict      bool // the text may end at a command that fails
	nounset     bool // or at a variable without a value
	done        map[*syntax.ArithmExp]bool
}

func environMap(env []string) map[string]string {
	out := make(map[string]string, len(env))
	for _, kv := range env {
		if key, value, ok := strings.Cut(kv, "="); ok {
			out[key] = value
		}
	}
	return out
}

// environ is what a text finds of variables: the environment, and what bash sets itself.
type environ struct {
	names  []string
	values map[string]expand.Variable
}

// own are bash's variables that tell what it is.
var own = map[string]string{
	"BASH": "/bin/bash", "BASH_VERSION": "5.2.15(1)-release", "OSTYPE": "linux-gnu", "PS4": "+ ", "OPTERR": "1",
}

func newEnviron(o Options) *environ {
	e := &environ{values: map[string]expand.Variable{}}
	add := func(name string, v expand.Variable) {
		if _, ok := e.values[name]; !ok {
			e.names = append(e.names, name)
		}
		e.values[name] = v
	}
	for name, value := range own {
		add(name, expand.Variable{Set: true, Kind: expand.String, Str: value})
	}
	add("BASH_VERSINFO", expand.Variable{Set: true, Kind: expand.Indexed, List: []string{"5", "2", "15", "1", "release", "linux-gnu"}})
	for _, kv := range o.Env {
		name, value, ok := strings.Cut(kv, "=")
		if ok && syntax.ValidName(name) {
			add(name, expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: value})
		}
	}
	return e
}

// Get implements expand.Environ.
func (e *environ) Get(name string) expand.Variable { return e.values[name] }

// Each implements expand.Environ.
func (e *environ) Each(f func(string, expand.Variable) bool) {
	for _, name := range e.names {
		if !f(name, e.values[name]) {
			return
		}
	}
}
