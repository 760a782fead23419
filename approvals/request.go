package approvals

import (
	"io"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
)

// Request asks for a session.
type Request struct {
	Identity       journal.Identity
	Target         targets.Target
	Engine         string
	Args           []string // what follows the interpreter, for a script
	Script         string   // source, or shell text
	Shell          bool     // Script is shell text, one command
	Interactive    bool     // the script is typed at a terminal as it goes; Script says so
	Name, Analysis string   // the agent's own words
	Group          string   // of sessions that were started together, see NewGroup; "" for none
	Plan           bool     // run nothing: record what would be done, and wait
	Env            []string // the environment that the session begins with, KEY=VALUE
	// Queued, where it is there, is called once if the session has to wait for a place, with why, in one line.
	Queued func(why string)
}

// Start is a command that a script, or a command line, wants to run.
type Start struct {
	Argv []string
	// Shell says that Argv is a shell, "-c" and the session's own text, given as a command line.
	Shell bool
	// Executables are the paths that exec would try; a name that was looked up along the script's PATH is looked up
	// again along the target's fixed one.
	Executables []string
	Dir         string
	Env         []string // nil means the session's own
	Input       string   // where Stdin comes from: "none", "data", "file", "stream"
	Content     []byte   // everything that Stdin gives, with "data"
	Line        int
	Stdin       io.Reader
	// Stdout and Stderr get the command's output. The same value for both keeps the order.
	Stdout, Stderr io.Writer
}

// Outcome is how a session's script ended.
type Outcome struct {
	Status   journal.Status // Done, Failed, TimedOut or Cancelled
	ExitCode int
	Reason   string // one line, rendered
}
