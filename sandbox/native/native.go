// Package native runs the embedded CPython under seccomp user notification, see seccomp_unotify(2). The gateway answers
// every system call that names a path or makes a descriptor out of a vfs.Session, on copies of the arguments. A filter
// allows or refuses the rest. The package knows the contract of engines, views and the kernel, and neither sessions nor the
// gate. It must never let a call through on memory that the script can still change, and never start a command by itself.
// Begin with table.go, which says of every call what becomes of it; engine.go starts an interpreter by
// sandbox/internal/supervisor, handlers.go leads to the answers.
package native

import (
	"log/slog"
	"time"
)

// Prefix is where the interpreter lives in a script's view.
const Prefix = "/opt/shannot"

// Interpreter is sys.executable in a script's view.
const Interpreter = Prefix + "/bin/python3.14"

// Options configure an Engine.
type Options struct {
	// Runtime is the directory below which the interpreter is unpacked, once per version. It must belong to the
	// gateway alone.
	Runtime string
	// Warm is how many interpreters are started ahead, for sessions like the one before; 0 for none. Each takes about
	// 10 MB of memory.
	Warm int
	// Shell is the sandbox's shell, beside Python.
	Shell Shell
	// Log receives what an operator may need; nil means slog.Default.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Shell configures the sandbox's shell: the gateway's own executable, which interprets shell text.
type Shell struct {
	// Executable is a program that calls the Init of package shell first: this one, as a rule. "" means that there is no
	// shell in the sandbox.
	Executable string
	// Takes reports whether a command line of bash or sh, its name first, is one that the program runs as bash would. Others go
	// to the gate. nil takes none.
	Takes func(argv []string) bool
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
