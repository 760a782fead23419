// Package targets is a host that scripts look at and commands run on. It declares the contract; local and ssh implement it.
// A target runs what it is told and reads what it is asked for. The package knows vfs, and neither sessions nor policies. It
// must never decide whether something is allowed. Begin with Target in this file, and FileTarget in files.go for changes.
package targets

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"syscall"

	"shannot-gateway/vfs"
)

// ErrLost is wrapped by errors about a command of which nobody knows what became of it: it may have run, run still, or
// never have started. The gateway never starts it again by itself.
var ErrLost = errors.New("what the command did is not known")

// Target is one host.
type Target interface {
	// Name is the target's name in the configuration; "local" is the gateway's own host.
	Name() string
	// Files is the host's file tree, unfiltered.
	Files() vfs.Source
	// Account is the user that commands run as.
	Account() Account
	// Uname describes the host's kernel.
	Uname() Uname
	// Resolve returns the absolute path of the executable that name (argv[0], with or without a slash) means in dir,
	// along a fixed path that the script cannot change. It returns ENOENT or EACCES as exec would.
	Resolve(ctx context.Context, name, dir string) (string, error)
	// Jail returns nil where a command with ReadOnly starts behind a second wall, else the reason why there is none.
	Jail() error
	// Start starts a command in a process group and session of its own. ctx ends it with SIGKILL.
	Start(ctx context.Context, c Command) (Process, error)
}

// Inspected is a Target of whose files the gateway itself may see more than the account.
type Inspected interface {
	// Inspect is the file tree as the gateway's own user sees it: to judge by, never to show.
	Inspect() vfs.Source
}

// Walled is a Target that may have a wall of its own around commands with ReadOnly, made of what the host has.
type Walled interface {
	// Wall says whether there is one, and what it is or why there is none. It may quote what the target said.
	Wall() (stands bool, what string)
	// Unheld is why a command that the policy lets run unasked must not: a wall is required, and none can hold it. It may connect.
	Unheld(ctx context.Context, argv []string) error
}

// Command is a command as it was decided. Nothing in it is looked up again.
type Command struct {
	Path           string   // absolute path of the executable
	Argv           []string // argv, Argv[0] included
	Dir            string   // working directory
	Env            []string // the whole environment, KEY=VALUE
	Stdin          io.Reader
	Stdout, Stderr io.Writer // the same value for both gives the command one pipe for both
	// ReadOnly says that no human saw the command, since it only looks. Where Jail returns nil, it can do no more.
	ReadOnly bool
	// Hidden reports whether such a command may not open the file of an absolute name without links in it, where that would
	// show what is in the file; nil hides nothing. It is called from several goroutines.
	Hidden func(name string) bool
}

// Inheritable is an input of a command that is a descriptor which the command can have itself.
type Inheritable interface {
	// Inherit returns the descriptor, blocking, for a command that is about to start. The caller closes it, and the input
	// is not read any more.
	Inherit() (*os.File, error)
}

// Same reports whether two streams are one. Values that Go cannot compare are two.
func Same(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// Process is a started command.
type Process interface {
	// Wait returns when the command has ended and everything it wrote was copied.
	Wait() (Exit, error)
	// Signal signals the command's process group.
	Signal(sig syscall.Signal) error
}

// Exit is how a command ended: an exit code, or a signal where it is not 0.
type Exit struct {
	Code   int
	Signal syscall.Signal
}

// Status is the exit status that a shell gives for it: 128 and the signal's number where one ended the command.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return e.Code
}

// Account is a user of a target.
type Account struct {
	Name     string
	UID, GID uint32
	Groups   []uint32
	Home     string
	Shell    string
}

// Path is where executables are looked for, whatever PATH a script sets.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Env is the environment that a session begins with, as a login of the account would have it at a terminal of type term
// ("dumb" for none). It has nothing of the gateway's own, nor anything that a client sent.
func (a Account) Env(term string) []string {
	shell := a.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	return []string{
		"HOME=" + a.Home, "LANG=C.UTF-8", "LOGNAME=" + a.Name, "PATH=" + Path, "SHELL=" + shell, "TERM=" + term, "USER=" + a.Name,
	}
}

// Uname is what uname(2) says.
type Uname struct {
	Sysname, Nodename, Release, Version, Machine string
}
