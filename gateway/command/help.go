package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/internal/commandline"
	"shannot-gateway/internal/spelling"
)

// The pages of the roles fit a screen of 24 lines of 80 characters: see pageOf.
const agentHelp = `Shannot gateway: run Python and shell commands on this host, watched over.
Replace HOST by what you typed to get here, for instance: ssh shannot@example

  ssh HOST < script.py                      run a Python script (3.14, stdlib)
  ssh HOST python3 - ARG < app.pyz          with arguments; more files: a zipapp
  ssh -t HOST python3                       an interpreter to type into
  ssh HOST df -h /                          run one shell command
  ssh HOST run --name disk-check - < f.py   name it, for the human who decides
  ssh HOST exec --target NAME -- df -h /    on another target (ssh HOST targets)
  scp HOST:/local/etc/hosts .               a file; paths begin with the target

Scripts run in a sandbox: they read files (keys, passwords look absent), have no
network, and a human approves what they wrote before it is there (/tmp is
private). Commands run on the host itself, each judged by a policy:
  allowed   runs at once (ls, cat, df, ps, ...)
  denied    PermissionError; do not look for a way around it
  ask       your script waits inside the call until a human decides. Do not
            start it again: that is a new request. It goes on by itself.
Exit status 75: no human has decided yet; stderr names the session. Later, also
from a new connection, get its output and exit status: ssh HOST wait ID
Others: 64 usage, 65 no script, 69 no such target, 70 our fault, 73 a file has
changed, 77 not permitted, 79 busy (try again), 124 out of time, 137 a limit.
`

// The pages of those who decide begin and end so; between stands the list of verbs.
const (
	approverHelp = "Shannot gateway: you decide what agents may run on this host.\n"
	adminHelp    = "Shannot gateway: you run scripts and commands, and decide what others may run.\n"
	decidersHost = "HOST is what you typed to get here, as in: ssh shannot@example. More: help VERB\n\n"
	decidersEnd  = `Nobody decides on their own session. Name and analysis are the agent's words.
`
)

// pageOf is what help says to a role: every verb that the role may use is named.
func pageOf(role journal.Role) string {
	var verbs []*verb
	for _, r := range table() {
		if v := r.make(); slices.Contains(r.roles, role) && !v.Hidden {
			verbs = append(verbs, v)
		}
	}
	var b strings.Builder
	switch role {
	case journal.Approver:
		b.WriteString(approverHelp)
	case journal.Admin:
		b.WriteString(adminHelp)
	case journal.Agent:
		names := "Verbs:"
		for _, v := range verbs {
			names += " " + v.Name()
		}
		return agentHelp + commandline.Wrapped(names+". More: help VERB. Anything else is a shell command.")
	}
	b.WriteString(decidersHost)
	for _, v := range verbs {
		fmt.Fprintf(&b, "  ssh HOST %-8s %s\n", v.Name(), v.Short)
	}
	b.WriteString(decidersEnd)
	return b.String()
}

// topics are pages about what is no verb.
var topics = map[string]string{"python3": pythonTopic, "python": pythonTopic, "scp": filesTopic, "sftp": filesTopic}

const pythonTopic = `A script of yours, with arguments, runs in the sandbox (Python 3.14, stdlib):
  ssh HOST python3 - ARG < script.py
  ssh HOST "python3 -c 'print(1)'"
  ssh -t HOST python3                       a prompt
Several files are sent as one zip application:
  python3 -m zipapp DIRECTORY -o app.pyz && ssh HOST run - < app.pyz
With a name, on another target, as JSON: help run
`

const filesTopic = `Files of a target, by paths that begin with its name (targets lists them):
  scp HOST:/local/etc/hosts .               read a file
  scp app.conf HOST:/local/etc/app.conf     change it: waits for a human
  sftp HOST                                 look around
What the read policy hides is "permission denied".
`

// newHelp is `help [TOPIC] [--json]`.
func newHelp() *verb {
	var asJSON bool
	w := &verb{words: anyWords, Command: &cobra.Command{
		Use: "help [VERB] [--json]", Short: "print this page, or the page of a verb",
		Long: "Prints a page for your role, or about one verb.",
		Example: `ssh HOST help
ssh HOST help run`,
	}}
	w.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout, for programs")
	w.run = func(_ context.Context, _ *Verbs, c *invocation) int { return help(c, asJSON) }
	return w
}

// helpAsJSON is the page of a role, or of one verb, as programs read it.
func helpAsJSON(role journal.Role, topic string) helpJSON {
	out := helpJSON{V: jsonVersion, Role: string(role), Text: pageOf(role), Verbs: []verbJSON{}, Exits: []exitJSON{}}
	for _, r := range table() {
		v := r.make()
		if v.Hidden || topic == "" && !slices.Contains(r.roles, role) || topic != "" && topic != r.name {
			continue
		}
		if topic != "" {
			out.Text = commandline.Page(sshHost, v.Command)
		}
		one := verbJSON{
			Verb: r.name, Use: commandline.Synopsis("", v.Command), Short: v.Short, Long: v.Long, Example: v.Example, Roles: []string{}, Flags: []flagJSON{},
		}
		for _, role := range r.roles {
			one.Roles = append(one.Roles, string(role))
		}
		for _, f := range commandline.Flags(v.Command) {
			one.Flags = append(one.Flags, flagJSON{f.Name, f.Short, f.Value, f.Text})
		}
		out.Verbs = append(out.Verbs, one)
	}
	for _, e := range exits {
		out.Exits = append(out.Exits, exitJSON{e.Status, e.Meaning})
	}
	return out
}

// help prints the page of a role or of a verb.
func help(c *invocation, asJSON bool) int {
	if len(c.words) == 0 {
		if asJSON {
			return c.json(helpAsJSON(c.Identity.Role, ""))
		}
		_, _ = io.WriteString(c.Stdout, pageOf(c.Identity.Role))
		return ExitOK
	}
	topic, names := c.words[0], []string(nil)
	for _, r := range table() {
		v := r.make()
		if v.Hidden {
			continue
		}
		if names = append(names, r.name); r.name == topic {
			if asJSON {
				return c.json(helpAsJSON(c.Identity.Role, topic))
			}
			_, _ = io.WriteString(c.Stdout, commandline.Page(sshHost, v.Command))
			return ExitOK
		}
	}
	if text := topics[topic]; text != "" {
		_, _ = io.WriteString(c.Stdout, text)
		return ExitOK
	}
	see := "see: help"
	if meant := spelling.Meant(topic, names); meant != "" {
		see = "did you mean " + meant + "?"
	}
	c.notice("there is no help on %s; %s", render.Line(commandline.Shortened(topic)), see)
	return ExitUsage
}

// newMCP is `mcp`.
func newMCP() *verb {
	return &verb{run: serveMCP, Command: &cobra.Command{
		Use: "mcp", Short: "be a Model Context Protocol server on this channel, for ssh -T",
		Long: "Speaks the Model Context Protocol (https://modelcontextprotocol.io) on stdin and stdout, one message a line, until stdin " +
			"ends. Its tools are these verbs: what needs a human waits for one as it does here.",
		Example: "ssh -T HOST mcp",
	}}
}

// serveMCP is a Model Context Protocol server until its client leaves.
func serveMCP(ctx context.Context, v *Verbs, c *invocation) int {
	if c.Terminal != nil {
		return c.usage(errors.New("a terminal would change what is sent; use: ssh -T HOST mcp"))
	}
	if v.Fronts.MCP == nil {
		c.notice("this gateway has no Model Context Protocol server")
		return ExitFault
	}
	return v.Fronts.MCP(ctx, c.Call)
}
