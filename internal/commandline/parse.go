// Package commandline is what the verbs over SSH and the commands on the gateway's host have in common: how flags are parsed,
// what a mistake is answered with, and the pages that are made of a command's description. A cobra command holds that
// description once. The package must never run a command, end the process, or print by itself.
package commandline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"shannot-gateway/internal/spelling"
)

// ErrHelp says that a line asks for its command's help.
var ErrHelp = errors.New("help is asked for")

// maxNamed is how much of an unknown word an error repeats, in bytes.
const maxNamed = 64

// Parse parses a command's flags and returns the words that are left. Flags and words may come in any order, unless the
// command's flags say otherwise (SetInterspersed), and what follows "--" are words. A flag with one dash, as in -name, is
// taken for --name. It returns ErrHelp for -h and --help. Other errors name the flag that was most likely meant; they hold
// pieces of the line as they are.
func Parse(cmd *cobra.Command, interspersed bool, args []string) ([]string, error) {
	AddHelp(cmd)
	f := cmd.Flags()
	f.SetInterspersed(interspersed)
	args, err := Doubled(f, interspersed, args)
	if err != nil {
		return nil, err
	}
	if err := f.Parse(args); err != nil {
		return nil, Explain(f, err)
	}
	if help, err := f.GetBool(helpFlag); err == nil && help {
		return nil, ErrHelp
	}
	return f.Args(), nil
}

// Doubled spells every known flag that has one dash with two, as pflag wants them: -name is --name, -c stays. Values and words
// stay as they are.
func Doubled(f *pflag.FlagSet, interspersed bool, args []string) ([]string, error) {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--", !isFlag(arg) && !interspersed:
			return append(out, args[i:]...), nil
		case !isFlag(arg):
			out = append(out, arg)
			continue
		case strings.HasPrefix(arg, "-test."): // pflag would pass over it in silence
			return nil, unknownFlag(f, arg[1:])
		}
		name, _, _ := strings.Cut(arg[1:], "=")
		if arg[1] != '-' && len(name) > 1 && f.Lookup(name) != nil {
			arg = "-" + arg
		}
		out = append(out, arg)
		if takesNext(f, arg) && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out, nil
}

// isFlag tells a flag from a word.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// takesNext reports whether a flag's value is the argument after it.
func takesNext(f *pflag.FlagSet, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		flag := f.Lookup(name) // with "=" there is none of that name
		return flag != nil && flag.NoOptDefVal == ""
	}
	for i := 1; i < len(arg); i++ {
		flag := f.ShorthandLookup(arg[i : i+1])
		if flag == nil {
			return false
		}
		if flag.NoOptDefVal == "" {
			return i == len(arg)-1
		}
	}
	return false
}

// Explain says in the words of this program what is wrong with a flag.
func Explain(f *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			return unknownFlag(f, short)
		}
		return unknownFlag(f, unknown.GetSpecifiedName())
	}
	return err
}

// unknownFlag names the flag that was most likely meant.
func unknownFlag(f *pflag.FlagSet, name string) error {
	name, _, _ = strings.Cut(name, "=")
	var known []string
	f.VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			known = append(known, flag.Name)
		}
	})
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	message := fmt.Sprintf("there is no flag %s%s", dashes, Shortened(name))
	if meant := spelling.Meant(name, known); meant != "" {
		message += "; did you mean --" + meant + "?"
	}
	return errors.New(message)
}

// Shortened is a word that is at most some ten characters longer than an error needs, with "..." for the rest.
func Shortened(word string) string {
	if len(word) <= maxNamed {
		return word
	}
	return word[:maxNamed] + "..."
}

// NoWords is a cobra.PositionalArgs for commands that take none.
func NoWords(_ *cobra.Command, words []string) error {
	if len(words) > 0 {
		return Unexpected(words[0])
	}
	return nil
}

// Unexpected is the error for a word that has no place in a line.
func Unexpected(word string) error { return fmt.Errorf("what is %q for?", Shortened(word)) }
