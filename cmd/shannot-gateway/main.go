// Command shannot-gateway is an SSH server that gives agents a sandboxed Python and puts every command that they want to run
// through a policy and a human. This package wires the rooms together and has the commands of the gateway's own host, a file
// for each. It may know every other package; none knows it. It must never decide anything. Begin with serve.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"shannot-gateway/sandbox/native"
	"shannot-gateway/targets/jail"
)

// Exit statuses of the local commands.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 64
)

const usage = `shannot-gateway runs agents' Python in a sandbox and asks a human before a command changes anything.

  demo                      see it work: no configuration, nothing stays behind
  init [--dir DIR]          write a configuration and a host key
  doctor [--config FILE] [--state DIR] [--remotes]
                            say what works on this machine
  serve [--config FILE] [--listen ADDR] [--state DIR]
                            run the server
  reload [--config FILE] [--state DIR]
                            make the server that runs take up its configuration, or say why it does not
  policy check|render       judge commands, or render text, given as JSON lines
  runtime install|status|remove [native|pypy] [--state DIR]
                            the interpreters that scripts run in
  targets list|add|test|trust|remove [--config FILE]
                            hosts that are reached over SSH
  store check [--config FILE] [--state DIR]
                            name what is inconsistent in the journal of a gateway that does not run
  audit verify [--config FILE] [--state DIR] [--dir DIR --host-key FILE|SHA256:…]
                            name what in the audit log, or a copy of it, is not as it was written
  audit accept --reason TEXT [--config FILE] [--state DIR]
                            say that what verify finds may stand
  version
`

func main() {
	native.Init() // does not return in a process that probes the layers of the sandbox
	jail.Init()   // nor in the first stage of a command in the jail
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// program is one run of the executable.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// Main runs a command line, without the program's name, and returns its exit status. A process that calls it must
// have called native.Init and jail.Init first.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		_, _ = fmt.Fprint(stderr, usage)
		return exitUsage
	}
	// The first signal asks; the second, with the default action restored, ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	commands := map[string]func(context.Context, []string) int{
		"serve": p.serve, "init": p.init, "doctor": p.doctor, "policy": p.policy, "runtime": p.runtime, "store": p.store, "audit": p.audit, "demo": p.demo,
		"targets": p.targets, "reload": p.reloadCommand,
		"version": p.showVersion,
	}
	run, ok := commands[args[0]]
	switch {
	case ok:
		return run(ctx, args[1:])
	case args[0] == "help" || args[0] == "-h" || args[0] == "--help":
		_, _ = fmt.Fprint(stdout, usage)
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "shannot-gateway: there is no command %q\n%s", args[0], usage)
	return exitUsage
}

// flags makes a flag set that reports to the program's stderr.
func (p *program) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet("shannot-gateway "+name, flag.ContinueOnError)
	f.SetOutput(p.stderr)
	return f
}

// parse parses flags and refuses words. ok is false with the status to return.
func (p *program) parse(f *flag.FlagSet, args []string) (status int, ok bool) {
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK, false
	case err != nil:
		return exitUsage, false
	case f.NArg() > 0:
		_, _ = fmt.Fprintf(p.stderr, "%s: what is %q for?\n", f.Name(), f.Arg(0))
		return exitUsage, false
	}
	return exitOK, true
}

// fail reports an error.
func (p *program) fail(err error) int {
	_, _ = fmt.Fprintf(p.stderr, "shannot-gateway: %v\n", err)
	return exitFailure
}

func (p *program) showVersion(context.Context, []string) int {
	_, _ = fmt.Fprintf(p.stdout, "shannot-gateway %s\n", version())
	return exitOK
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
