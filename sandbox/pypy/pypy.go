// Package pypy runs scripts with a pypy-sandbox executable: a PyPy without any system call of its own, which asks its
// controller over two pipes for each external C function that it would call (protocol 20001). The driver answers out of the
// same vfs.Session, Commander and limits as the native engine. What comes over the pipes is hostile: the driver bounds
// lengths before it allocates anything, and decides on copies. The package must never follow a pointer of the interpreter or
// trust one that it gives back. Begin with table.go, which says of every function what becomes of it; driver.go has the
// dialogue.
package pypy

import (
	"errors"
	"log/slog"
	"time"
)

// Prefix is where the interpreter and its library are in a script's view, Interpreter is sys.executable there.
const (
	Prefix      = "/opt/shannot-pypy"
	Interpreter = Prefix + "/pypy3"
)

// Options configure an Engine.
type Options struct {
	// Executable is the pypy-sandbox executable; where it is empty, what Runtime holds, or else the first of
	// ExecutableNames on PATH.
	Executable string
	// Library is the directory with lib-python/3 and lib_pypy; where it is empty, the executable's own, or what Runtime
	// holds.
	Library string
	// Runtime is the directory that Install fills.
	Runtime string
	// Log receives what an operator may need; nil means slog.Default.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
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

// ExecutableNames are what a pypy-sandbox executable is called on PATH, in order of preference.
func ExecutableNames() []string { return []string{"pypy-sandbox", "pypy3-c-sandbox", "pypy3-c"} }

// ErrMissing says that there is no executable, and how to get one.
var ErrMissing = errors.New("there is no pypy-sandbox executable: run shannot-gateway runtime install pypy, or name one by " +
	"executable under [engines.pypy]")
