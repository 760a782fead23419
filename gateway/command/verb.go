package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"shannot-gateway/internal/commandline"
)

// sshHost is what a human types before a verb.
const sshHost = "ssh HOST"

// verb is what can be typed as the first word. Its command has its flags and every word that is said about it: the list of
// verbs, help, --help and the man pages are made of that.
type verb struct {
	*cobra.Command
	// words says what may stand in a line beside flags.
	words wordsOf
	run   func(ctx context.Context, v *Verbs, c *invocation) int
}

// wordsOf is what stands in a verb's line beside its flags.
type wordsOf int

const (
	noWords      wordsOf = iota // nothing
	anyWords                    // words, before, between and after flags
	wordsLast                   // words after the flags: what looks like a flag there is none
	commandLast                 // "--" and shell text, which is not taken apart
	commandMaybe                // the same, or nothing
	rawLine                     // all of it is for the verb: there are no flags
)

// invocation is a call of a verb.
type invocation struct {
	*Call
	verb    *verb
	rest    string   // the line after the verb, raw
	words   []string // of the line, without flags
	command string   // the shell text of a verb that takes it, as it was sent
}

// parse takes the line apart. It returns commandline.ErrHelp where the line asks for help.
func (c *invocation) parse() error {
	var args []word
	var err, incomplete error
	switch c.verb.words {
	case rawLine:
		return nil
	case commandLast, commandMaybe:
		args, c.command, incomplete = splitCommand(c.rest)
	case noWords, anyWords, wordsLast:
		args, err = split(c.rest)
	}
	if err != nil {
		return err
	}
	c.words, err = commandline.Parse(c.verb.Command, c.verb.words == noWords || c.verb.words == anyWords, texts(args))
	switch {
	case err != nil:
		return err
	case incomplete != nil && (c.verb.words != commandMaybe || len(c.words) > 0 || !errors.Is(incomplete, errNoCommand) && !errors.Is(incomplete, errNoMark)):
		return incomplete
	case c.verb.words == noWords, c.verb.words == commandLast, c.verb.words == commandMaybe:
		return commandline.NoWords(c.verb.Command, c.words)
	}
	return nil
}
