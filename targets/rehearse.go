package targets

import (
	"context"
	"errors"
	"time"
)

// ErrNoRehearsal says that a target cannot rehearse commands; the wrapped text says why. Nothing was run.
var ErrNoRehearsal = errors.New("commands cannot be rehearsed here")

// Rehearser is a Target that can run a command in a copy of its host whose changes it throws away.
type Rehearser interface {
	Target
	// Rehearse runs the steps in order in one such copy. No byte of the host changes, nothing reaches the network, and no
	// process outlives the call. It returns an effect for each command, or ErrNoRehearsal, or why a change before a command
	// could not be made.
	Rehearse(ctx context.Context, r Rehearsal) (*Rehearsed, error)
}

// Rehearsal is what is to be rehearsed.
type Rehearsal struct {
	Steps []RehearsalStep
	// Hidden reports whether what a file holds may not be shown, by its absolute name without links in it; nil hides nothing.
	Hidden func(name string) bool
	Limits RehearsalLimits
}

// RehearsalStep is a change of a file or a command: one of both.
type RehearsalStep struct {
	Change  *Change
	Command *RehearsedCommand
}

// RehearsedCommand is a command as it was decided upon, as Command is.
type RehearsedCommand struct {
	Path      string
	Argv      []string
	Dir       string
	Env       []string
	Stdin     []byte
	NoProgram bool // it has no program that could be started: Path is what was asked for
}

// RehearsalLimits bound a rehearsal as a whole. Each must be more than 0.
type RehearsalLimits struct {
	Wall      time.Duration
	Memory    int64 // bytes of all processes together
	Disk      int64 // bytes of all that is written, names of files included
	Processes int   // at a time, threads included
	Output    int64 // bytes that are kept of each stream of a command
	Content   int64 // bytes that are kept of the contents of changed files, before and after
	Changes   int   // that are listed for each command
}

// DefaultRehearsalLimits are enough for what changes a configuration or installs a package.
var DefaultRehearsalLimits = RehearsalLimits{
	Wall: 30 * time.Second, Memory: 1 << 30, Disk: 512 << 20, Processes: 256, Output: 256 << 10, Content: 32 << 20, Changes: 5000,
}

// Rehearsed is what became of a rehearsal.
type Rehearsed struct {
	Effects []Effect // one for each command
	// Absent are places of the host that were not there, or could not be changed, each with the reason.
	Absent []string
}

// Effect is what a command did in the copy.
type Effect struct {
	Exit Exit
	// Stopped says which limit ended it, "" for none. What it did until then is all that is known.
	Stopped        string
	Stdout, Stderr []byte
	OutputCut      bool // there was more output
	Changes        []RehearsedChange
	ChangesCut     bool      // there were more changes than are listed
	Left           []string  // processes that it left running
	Refused        []Attempt // what it tried beyond files, and could not
	RefusedCut     bool
	// Withheld says why neither output nor contents of files are given: the command may have put something hidden into them.
	Withheld string
}

// Attempt is something that a rehearsed command tried and could not.
type Attempt struct {
	What  string // what it tried, in words that begin with a verb: "connect", "signal", "open"
	About string // to whom or to what, as the command said it
	Times int
}

// Ways in which a path can differ.
const (
	Made       = "made"
	Changed    = "changed"    // another content, or another kind of file
	Deleted    = "deleted"    // with all that was below it
	Renamed    = "renamed"    // From has its content, and is gone
	Attributes = "attributes" // another mode or owner
	Touched    = "touched"    // only the time of the last change differs
)

// RehearsedChange is one path that differs from what was there before the command.
type RehearsedChange struct {
	Kind string // of those above
	Path string
	From string // of a renamed one: its old name; of a hard link: another name of the same file
	// Was and Is are what is there before and after, nil for nothing.
	Was, Is *State
	// Before and After are contents of a regular file, where Contents says that they are given.
	Before, After []byte
	Contents      bool
	Hidden        bool // the read policy hides what it holds
	// Files and Bytes are how much a deleted directory held; Counted is false where there was too much to count.
	Files, Bytes int64
	Counted      bool
}
