package shell

import "strings"

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

// Runs reports whether arguments give a shell a text in a way that is known here.
func Runs(args []string) bool {
	_, ok := ParseArgs(args)
	return ok
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
	_, err := Parse(in.Text)
	return err == nil
}
