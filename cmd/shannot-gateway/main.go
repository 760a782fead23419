// Command shannot-gateway is an SSH server that gives agents a sandboxed Python and puts every command that they want to run
// through a policy and a human. This package wires the rooms together and has the commands of the gateway's own host, a file
// for each. It may know every other package; none knows it. It must never decide anything. Begin with serve.go.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/local"
)

// Exit statuses of the local commands.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 64
)

func main() {
	shell.Init()  // does not return in a process that is the shell of a sandbox
	native.Init() // does not return in a process that probes the layers of the sandbox
	jail.Init()   // nor in the first stage of a command in the jail
	local.Init()  // nor in the world of a rehearsal
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// program is one run of the executable.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	status         int // of the command that has run
}

// Main runs a command line, without the program's name, and returns its exit status. A process that calls it must
// have called native.Init, jail.Init and local.Init first.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	// The first signal asks; the second, with the default action restored, ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return p.run(ctx, args)
}

// fail reports an error.
func (p *program) fail(err error) int {
	_, _ = fmt.Fprintf(p.stderr, "shannot-gateway: %v\n", err)
	return exitFailure
}

// version is the module's, or the commit's that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
