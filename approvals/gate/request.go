package gate

import (
	"io"

	"shannot-gateway/approvals/journal"
)

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
