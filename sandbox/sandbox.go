// Package sandbox declares what an engine is: something that runs a Python script so that the script can reach nothing but a
// file system view (vfs.Session) and a Commander. It holds the contract and the limits. The engines are in the folders
// native and pypy; what they share is in internal. The package may know vfs and nothing else. It must never decide whether a
// command may run. Begin with Engine and Job in this file.
package sandbox

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"shannot-gateway/vfs"
)

// Engine runs scripts. Its methods may be called from several goroutines.
type Engine interface {
	// Name is the engine's name in the configuration, "native" or "pypy".
	Name() string
	// Check reports why the engine cannot run on this machine, or nil.
	Check(ctx context.Context) error
	// Run runs one script to its end. The error is nil whenever the script itself ended, or a limit or ctx ended it. Else
	// it says what the engine could not do.
	Run(ctx context.Context, job Job) (Result, error)
	// Close stops what the engine keeps between runs.
	Close() error
}

// Starter is an engine that starts interpreters ahead of the sessions that they are for.
type Starter interface {
	// Starts returns what has been started since the engine began.
	Starts() Starts
}

// Starts counts the first interpreters of sessions.
type Starts struct {
	Waiting int   `json:"waiting"` // that wait for a session now
	Ahead   int64 `json:"ahead"`   // that were started ahead of a session
	Given   int64 `json:"given"`   // of these, that were given a session
	Cold    int64 `json:"cold"`    // that were started when they were needed, for the engine's own check too
}

// Job is one run of one script.
type Job struct {
	// Session names the run in logs.
	Session string
	// Args is what follows the interpreter's name: "-" and arguments (the script is Stdin), or "-c", code, arguments. Shell in
	// front of them says that they are bash's.
	Args []string
	// Script is the text that Stdin brings where that is a script, for an engine that shows it to further interpreters.
	Script string
	// Env is the script's environment, KEY=VALUE.
	Env []string
	// Dir is the working directory, an absolute path of the view.
	Dir string
	// FS is the script's view of the target's files. The engine adds its own mounts to it before the first call.
	FS *vfs.Session
	// Stdin is read until its end, on a goroutine that may outlive Run by one Read. Stdout and Stderr get the bytes as
	// the script wrote them; a write error ends the script.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal is the terminal that a human sits at, nil where there is none. With it the script has a terminal of the
	// engine's own as its standard streams: Stdin is what the human types, Stdout is what they see, Stderr gets nothing.
	Terminal *Terminal
	// Commands starts what the script wants to run.
	Commands Commander
	// Held reports whether an operation of the script waits for a human at this moment; nil means that none ever does.
	Held func() bool
	// Limits bound the run.
	Limits Limits
	// Notice tells the agent something that is no end of the run, one line; nil drops it.
	Notice func(line string)
	// Host is what the script may know of the machine it looks at.
	Host Host
}

// Shell is the sandbox's shell in a script's view, and the name that its program finds as its own.
const Shell = "/opt/shannot/bin/bash"

// Terminal is a terminal's window.
type Terminal struct {
	Size   Size
	Resize <-chan Size // new sizes; nil where there are none
}

// Size is the size of a terminal's window in characters.
type Size struct{ Rows, Columns uint16 }

// Host is the identity of the machine that a script looks at, as uname(2) gives it, and the user that its commands
// run as.
type Host struct {
	Sysname, Nodename, Release, Version, Machine string
	UID, GID                                     uint32
}

// Limits bound one run; a zero value means no limit.
type Limits struct {
	Wall   time.Duration // elapsed time, without that in which everything of the run waits for a human; see Clock
	CPU    time.Duration // processor time of all interpreters in sum
	Memory int64         // bytes of address space of one interpreter, and of resident memory of all in sum
	Write  int64         // bytes of one file, and of everything the view holds in sum
	// Processes is how many interpreters a script may have at once, its own included. Threads is how many threads these
	// have in sum. Files is how many descriptors each of them may have open. 0 leaves it to the engine, which always has
	// a bound; a value beyond that bound is the bound.
	Processes, Threads, Files int
	// Calls is how many system calls a second, of all interpreters in sum, the engine answers. Beyond it the engine slows
	// the script down; it does not end it.
	Calls int
}

// Cause says what ended a run.
type Cause string

// Causes.
const (
	Exited    Cause = "exited"    // the script ended by itself, by exit or by a signal of its own
	Stopped   Cause = "stopped"   // the context was cancelled
	WallTime  Cause = "wall"      // Limits.Wall
	CPUTime   Cause = "cpu"       // Limits.CPU
	Memory    Cause = "memory"    // Limits.Memory
	Written   Cause = "write"     // Limits.Write, or the number of files that the view holds
	Files     Cause = "files"     // Limits.Files
	Objects   Cause = "objects"   // what the kernel counts for a user, as pipes and sockets, for which there is a fixed bound
	Threads   Cause = "threads"   // Limits.Threads
	Processes Cause = "processes" // Limits.Processes
	Protocol  Cause = "protocol"  // the script did something that only an attack does
)

// Result is how a run ended.
type Result struct {
	Cause Cause
	// ExitCode is the script's exit status, or 128+Signal.
	ExitCode int
	// Signal is the signal that ended the interpreter, 0 where it exited.
	Signal syscall.Signal
	// Detail is one line for the operator and the agent where Cause is not Exited.
	Detail string
}

// Commander is where a script's commands go.
type Commander interface {
	// Start starts a command and returns once it runs. It blocks while a human decides; ctx ends the waiting. A
	// *Refusal reaches the script as an OSError.
	Start(ctx context.Context, c Command) (Process, error)
}

// Command is what a script wants to run. Every byte of it comes from the script.
type Command struct {
	// Argv is the argument vector; Argv[0] need not name the executable.
	Argv []string
	// Executables are the paths that CPython would try in order. The guest has already looked up a single name without a
	// slash along PATH.
	Executables []string
	// Dir is the working directory on the target.
	Dir string
	// Env is the whole environment, KEY=VALUE; nil means the session's own.
	Env []string
	// Stdin is nil where the command gets no input. Stdout and Stderr are the same value where the script gave the same
	// file for both. Start takes ownership: it closes the streams when the command has ended or was refused.
	Stdin          io.ReadCloser
	Stdout, Stderr io.WriteCloser
	// Input describes where Stdin comes from.
	Input Input
	// Content is everything that Stdin will give, where that is known before the command starts: Input is DataInput.
	Content []byte
	// Line is the line of the script that starts the command, 0 where it is not known. It is the script's own word.
	Line int
}

// Input says where a command's standard input comes from.
type Input string

// Inputs.
const (
	NoInput   Input = "none"   // /dev/null or closed
	DataInput Input = "data"   // known: Command.Content
	FileInput Input = "file"   // a file of the script's view, too large to be known
	PipeInput Input = "stream" // a pipe that the script, or another command, writes
)

// MaxContent bounds what is known of a command's input before it starts, in bytes.
const MaxContent = 1 << 20

// Process is a command that was started.
type Process interface {
	// Wait returns when the command has ended and its output has been written.
	Wait() (ExitStatus, error)
	// Signal sends a signal to the command's process group.
	Signal(sig syscall.Signal) error
}

// ExitStatus is how a command ended: an exit code, or a signal where it is not 0.
type ExitStatus struct {
	Code   int
	Signal syscall.Signal
}

// Refusal is an error that the script sees as an OSError with this errno and message.
type Refusal struct {
	Errno  syscall.Errno
	Reason string
}

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

// ErrUnsupported is returned by Check and Run where the operating system lacks what the engine needs.
var ErrUnsupported = errors.New("this engine needs Linux")

// Finding is one line of what an engine found out about this machine.
type Finding struct {
	Name     string
	OK       bool
	Required bool // without it the engine cannot run
	Detail   string
}
