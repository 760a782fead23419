package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/commandline"
	"shannot-gateway/internal/spelling"
)

// programName is how the executable is called.
const programName = "shannot-gateway"

// root is the tree of commands. What help, man pages and completion say stands in it.
func (p *program) root() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := group(programName+" COMMAND", "run agents' Python in a sandbox, and ask a human before a command changes anything",
		`Runs agents' Python in a sandbox and asks a human before a command changes anything. Agents and approvers reach it over SSH; `+
			`what they can type there is in `+verbsPage+`(1), and in ssh HOST help.`,
		p.demoCommand(), p.initCommand(), p.doctorCommand(), p.serveCommand(), p.reloadCommand(), p.policyCommand(), p.runtimeCommand(),
		p.targetsCommand(), importCommand(p), p.storeCommand(), p.auditCommand(), mcpCommand(p), versionCommand(p), completionCommand(p), p.manCommand())
	root.Example = "shannot-gateway demo\nshannot-gateway init\nshannot-gateway serve"
	root.SetHelpCommand(p.helpCommand())
	root.InitDefaultHelpCmd()
	root.CompletionOptions.DisableDefaultCmd = true
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, _ = io.WriteString(p.stdout, page(cmd)) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return commandline.Explain(cmd.Flags(), err) })
	return root
}

// page is a command's help.
func page(cmd *cobra.Command) string { return commandline.Page(above(cmd), cmd) }

// above is what stands before a command's own line.
func above(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return cmd.Parent().CommandPath()
}

// group is a command that has others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return fmt.Errorf("%w: %s", errNoCommand, strings.Join(childNames(cmd), ", "))
	}}
	g.AddCommand(commands...)
	for _, cmd := range append(commands, g) {
		commandline.AddHelp(cmd)
	}
	return g
}

// errNoCommand says that a group's command is missing.
var errNoCommand = errors.New("name a command")

// childNames are the names of a group's commands.
func childNames(group *cobra.Command) []string {
	var names []string
	for _, cmd := range commandline.Children(group) {
		names = append(names, cmd.Name())
	}
	return names
}

// unknownCommand names the command that was most likely meant.
func unknownCommand(group *cobra.Command, word string) error {
	names := childNames(group)
	message := fmt.Sprintf("there is no command %q", commandline.Shortened(word))
	if meant := spelling.Meant(word, names); meant != "" {
		return fmt.Errorf("%s; did you mean %s?", message, meant)
	}
	return fmt.Errorf("%s; there are: %s", message, strings.Join(names, ", "))
}

// does makes a command run what it is for and keep its exit status.
func (p *program) does(cmd *cobra.Command, run func(ctx context.Context, words []string) int) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = commandline.NoWords
	}
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		p.status = run(cmd.Context(), words)
		return nil
	}
	return cmd
}

// run runs a command line and returns its exit status.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	cmd, rest, err := root.Find(args)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // a shell asks for words
		commandline.Unquote(root)
	} else if err == nil {
		var spelled []string
		if spelled, err = commandline.Doubled(cmd.Flags(), true, rest); err == nil {
			args = append(append([]string{}, path(cmd)...), spelled...)
			err = complete(cmd, rest)
		}
	}
	if err == nil {
		root.SetArgs(append([]string{}, args...)) // never nil, which would be the arguments of the process
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err != nil {
		return p.usage(cmd, err)
	}
	return p.status
}

// complete refuses a line that names a group, and then something that is neither one of its commands nor the flag for help.
func complete(cmd *cobra.Command, rest []string) error {
	if !cmd.HasAvailableSubCommands() || len(rest) == 0 {
		return nil
	}
	if strings.HasPrefix(rest[0], "-") {
		_, err := commandline.Parse(cmd, true, rest[:1])
		if errors.Is(err, commandline.ErrHelp) {
			return nil
		}
		return err
	}
	return unknownCommand(cmd, rest[0])
}

// path are the words that name a command.
func path(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

// usage reports a mistake in the line and how the command is used.
func (p *program) usage(cmd *cobra.Command, err error) int {
	name := cmd.CommandPath()
	if errors.Is(err, errNoCommand) && !cmd.HasParent() {
		_, _ = io.WriteString(p.stderr, page(cmd))
		return exitUsage
	}
	_, _ = fmt.Fprintf(p.stderr, "%s: %s\nusage: %s; see: %s --help\n", name, render.Line(err.Error()), commandline.Synopsis(above(cmd), cmd), name)
	return exitUsage
}

// helpCommand is `help [COMMAND…]`.
func (p *program) helpCommand() *cobra.Command {
	return p.does(&cobra.Command{
		Use: "help [COMMAND]", Short: "print the page of a command", Example: "shannot-gateway help serve", Args: cobra.ArbitraryArgs,
	}, func(_ context.Context, words []string) int {
		root := p.root()
		cmd, rest, err := root.Find(words)
		if err == nil && len(rest) > 0 {
			err = unknownCommand(cmd, rest[0])
		}
		if err != nil {
			return p.usage(root, err)
		}
		_, _ = io.WriteString(p.stdout, page(cmd))
		return exitOK
	})
}

// versionCommand is `version`.
func versionCommand(p *program) *cobra.Command {
	return p.does(&cobra.Command{Use: "version", Short: "print the version", Example: "shannot-gateway version"}, func(context.Context, []string) int {
		_, _ = fmt.Fprintf(p.stdout, "%s %s\n", programName, version())
		return exitOK
	})
}

// completionCommand is `completion bash|zsh|fish`.
func completionCommand(p *program) *cobra.Command {
	shells := map[string]func(root *cobra.Command) error{
		"bash": func(root *cobra.Command) error { return root.GenBashCompletionV2(p.stdout, true) },
		"zsh":  func(root *cobra.Command) error { return root.GenZshCompletion(p.stdout) },
		"fish": func(root *cobra.Command) error { return root.GenFishCompletion(p.stdout, true) },
	}
	return p.does(&cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print what makes a shell complete this program's lines",
		Long:  "Prints a script for a shell, which then completes the commands and flags of this program.",
		Example: `source <(shannot-gateway completion bash)
shannot-gateway completion bash > /etc/bash_completion.d/shannot-gateway
shannot-gateway completion zsh > "${fpath[1]}/_shannot-gateway"
shannot-gateway completion fish | source`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) != 1 || shells[words[0]] == nil {
				return errors.New("name one shell: bash, zsh or fish")
			}
			return nil
		},
	}, func(_ context.Context, words []string) int {
		if err := shells[words[0]](p.root()); err != nil {
			return p.fail(err)
		}
		return exitOK
	})
}

// place is where a command finds the gateway's files.
type place struct{ config, state string }

// flags adds --config and --state to a command.
func (w *place) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.config, "config", "", "the configuration: a `FILE`, or else the one that init writes, where it is there")
	cmd.Flags().StringVar(&w.state, "state", "", "the state directory: a `DIR`, instead of the one that the configuration names")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagDirname("state")
}
