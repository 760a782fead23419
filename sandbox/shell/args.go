package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// An Invocation is what a shell's arguments say.
type Invocation struct {
	Text   string // of -c
	Given  bool   // there was -c
	File   string // "" for standard input
	Name   string // $0
	Params []string
	Set    []string // for set(1)
}

// ParseArgs reads what follows the name of bash or sh on a command line. It is false where a flag is not known.
func ParseArgs(args []string) (in Invocation, ok bool) {
	in.Name = "bash"
	stdin := false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		word := args[0]
		args = args[1:]
		switch word {
		case "--", "-":
			return in.rest(args, stdin), true
		case "--norc", "--noprofile", "--login", "--noediting":
			continue
		}
		if strings.HasPrefix(word, "--") {
			return in, false
		}
		for _, f := range word[1:] {
			switch f {
			case 'c':
				in.Given = true
			case 's':
				stdin = true
			case 'l':
			case 'e', 'u', 'x', 'f':
				in.Set = append(in.Set, word[:1]+string(f))
			case 'o':
				if len(args) == 0 || refusedSet([]string{"-o", args[0]}) != "" {
					return in, false
				}
				in.Set = append(in.Set, set([]string{"set", word[:1] + "o", args[0]})[1:]...)
				args = args[1:]
			default:
				return in, false
			}
		}
	}
	if in.Given {
		if len(args) == 0 {
			return in, false
		}
		in.Text, args = args[0], args[1:]
		if len(args) > 0 {
			in.Name, args = args[0], args[1:]
		}
		in.Params = args
		return in, true
	}
	return in.rest(args, stdin), true
}

func (in Invocation) rest(args []string, stdin bool) Invocation {
	if in.Given && len(args) > 0 {
		in.Text, args = args[0], args[1:]
		if len(args) > 0 {
			in.Name, args = args[0], args[1:]
		}
	} else if !stdin && len(args) > 0 {
		in.File, in.Name, args = args[0], args[0], args[1:]
	}
	in.Params = args
	return in
}

// Takes reports whether a command line of bash or sh, its name first, gives a text that this shell runs as bash would. A file is
// taken for one: what it holds shows when it is read.
func Takes(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	in, ok := ParseArgs(argv[1:])
	if !ok || in.Name != "bash" && !in.Given && in.File == "" {
		return false
	}
	if !in.Given {
		return true
	}
	if len(in.Text) > maxRouted {
		return false
	}
	_, err := Parse(in.Text)
	return err == nil
}

// maxRouted is the longest text that is given to the shell on its command line, in bytes: below what execve(2) takes, and short
// enough for whoever reads it outside of the sandbox.
const maxRouted = 96 << 10

// A Route is where a text from a client goes.
type Route int

// Routes.
const (
	Whole     Route = iota // to the gate, as one command of the target's shell
	Sandboxed              // to the shell in the sandbox
	FromInput              // as Sandboxed: the text is on standard input, and the line says how
)

// RouteOf says where a line goes. Of a line that FromInput is for it returns the arguments of bash that run text in its place.
// why is the reason for Whole, nil where the line is nothing but a command and its words, which every shell reads alike.
func RouteOf(line string) (route Route, with func(text string) []string, why error) {
	if len(line) > maxRouted {
		return Whole, nil, &Unsupported{What: "so long a text"}
	}
	file, err := Parse(line)
	if err != nil {
		return Whole, nil, err
	}
	words, plain := plainWords(file)
	if !plain {
		return Sandboxed, nil, nil
	}
	switch path.Base(words[0]) {
	case "bash", "sh", "dash":
		in, ok := ParseArgs(words[1:])
		switch {
		case ok && !in.Given && in.File == "":
			return FromInput, func(text string) []string {
				return append(append(append([]string{}, in.Set...), "-c", text, in.Name), in.Params...)
			}, nil
		case ok && (!in.Given || Takes(words)):
			return Sandboxed, nil, nil
		}
	case "python3", "python":
		if runsPython(words[1:]) {
			return Sandboxed, nil, nil
		}
	}
	if interp.IsBuiltin(words[0]) {
		return Sandboxed, nil, nil
	}
	return Whole, nil, nil
}

// ScriptArgs are the arguments of bash that run a text; the error says why it is not run here.
func ScriptArgs(text string, params []string) ([]string, error) {
	if len(text) > maxRouted {
		return nil, &Unsupported{What: "so long a text"}
	}
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	return append([]string{"-c", text, "bash"}, params...), nil
}

// IsScript reports whether a text says in its first line that it is for a shell.
func IsScript(text string) bool {
	line, _, _ := strings.Cut(text, "\n")
	program, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return false
	}
	words := strings.Fields(program)
	if len(words) > 1 && path.Base(words[0]) == "env" {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	switch path.Base(words[0]) {
	case "bash", "sh", "dash":
		return true
	}
	return false
}

// plainWords are the words of a text that is one command with words that are written out, and nothing else.
func plainWords(file *syntax.File) ([]string, bool) {
	if len(file.Stmts) != 1 {
		return nil, false
	}
	s := file.Stmts[0]
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) > 0 || len(s.Redirs) > 0 || s.Background || s.Negated {
		return nil, false
	}
	var words []string
	for _, w := range call.Args {
		text, ok := literal(w)
		if !ok {
			return nil, false
		}
		words = append(words, text)
	}
	return words, true
}
