package gate

import (
	"fmt"
	"io"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
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

// MissingError is for a command that nobody was asked about, since the target does not have its program. It is not ENOENT, which is
// for the shell itself.
type MissingError struct {
	Program string // as the shell text names it: any bytes
	Target  string
}

// Error says what is missing, in one line, rendered.
func (m *MissingError) Error() string {
	return fmt.Sprintf("%s: command not found on %s; nothing was asked", render.Line(m.Program), render.Line(m.Target))
}
