// Package command is what can be typed after `ssh shannot@host`: one file for each verb, one table that says who may
// use it, checked at one place before a verb runs. What a line means is decided on the bytes that the client sent; a
// line that is no verb is one shell command, as it is, for the gate. The package must never start anything itself,
// and never print text that came from outside without rendering it, a script's own output excepted.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
)

// Exit statuses of verbs: those of sessions, and success.
const (
	ExitOK           = 0
	ExitUsage        = approvals.ExitUsage
	ExitConflict     = approvals.ExitConflict
	ExitNotAScript   = approvals.ExitNotAScript
	ExitUnreachable  = approvals.ExitUnreachable
	ExitFault        = approvals.ExitFault
	ExitWaiting      = approvals.ExitWaiting
	ExitNotPermitted = approvals.ExitNotPermitted
	ExitBusy         = approvals.ExitBusy
	ExitTime         = approvals.ExitTime
	ExitLimit        = approvals.ExitLimit
)

// Runner starts sessions that live on without the connection that asked for them.
type Runner interface {
	// Start begins a session and returns its id while it runs. Stdin is the script's or command's input, nil for none. The
	// session's client waits for it until ctx ends or leave is called, see Manager.Attend.
	Start(ctx context.Context, r approvals.Request, stdin io.Reader) (id string, leave func(), err error)
	// Interact begins a session of an interpreter at a terminal, where stdin is what is typed.
	Interact(ctx context.Context, r approvals.Request, t *Terminal, stdin io.Reader) (id string, leave func(), err error)
}

// Verbs is what the verbs work on.
type Verbs struct {
	Sessions *approvals.Manager
	Runner   Runner
	Targets  []targets.Target // those that work now
	Config   *config.Config
	Engine   func(ctx context.Context, name string) error // why an engine cannot run, or nil
	Version  string
	Starts   func() *sandbox.Starts                   // what the engine has started ahead, nil where it does not
	Screen   func(context.Context, tui.Options) error // the approval screen
	Plain    func(context.Context, tui.Options) error // the same in lines
	Audit    func() (on bool, err error)              // whether there is an audit log, and why it cannot be written
	// Verified is what the last verification of the audit log found, in a line and one by one; "" where none has ended yet.
	Verified func() (summary string, findings []string)
	Reload   func() *Refusal // why the configuration in force is not the newest one, nil where it is
	// Connections counts the clients; nil where nobody does.
	Connections func() Connections
	Answers     *approvals.Turns // to make an answer that is held in memory until its client has read it
	Now         func() time.Time
	Started     time.Time
}

// Refusal is a reload of the configuration that was refused.
type Refusal struct {
	At  time.Time
	Why string // not rendered
}

// Terminal is the client's terminal.
type Terminal struct {
	Type          string
	Width, Height int
	Resize        <-chan tui.Size
	Environ       []string // what the client says about colours, KEY=VALUE
	// Raw takes what another terminal's program wants to show, without a change.
	Raw io.Writer
}

// Call is one command line of one client.
type Call struct {
	Identity       approvals.Identity
	Targets        []string // that the identity may use
	Line           string   // as it was sent; "" for none
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       *Terminal // nil where the client has none

	// noticed takes the gateway's own lines where that is not Stderr, and label names the target that they are about: of
	// one of several sessions of a line.
	noticed io.Writer
	label   string
}

// verb is a row of the table.
type verb struct {
	name  string
	roles []approvals.Role
	usage string // what follows the name
	run   func(v *Verbs, ctx context.Context, c *invocation) int
}

// invocation is a call of a verb.
type invocation struct {
	*Call
	verb *verb
	rest string // the line after the verb, raw
	args []word // the same, split
}

var (
	everyone  = []approvals.Role{approvals.Agent, approvals.Approver, approvals.Admin}
	askers    = []approvals.Role{approvals.Agent, approvals.Admin}
	approvers = []approvals.Role{approvals.Approver, approvals.Admin}
)

// table returns every verb with who may use it. It is a function since help prints it.
func table() []verb {
	return []verb{
		{"run", askers, "[flags] [-] [args…]", (*Verbs).run},
		{"exec", askers, "[flags] -- COMMAND…", (*Verbs).exec},
		{"list", everyone, "[--all] [--json]", (*Verbs).list},
		{"show", everyone, "ID [--json]", (*Verbs).show},
		{"wait", everyone, "ID [--wait DURATION] [--json] [--raw]", (*Verbs).wait},
		{"cancel", everyone, "ID", (*Verbs).cancel},
		{"approve", approvers, "[--plain] [--alert bell|title|off] [--undo DURATION] [--colors none|16|256|true] [--background dark|light] [ID [--digest HEX [--op N…] [--danger TARGET…] [--grant exact|shape [--vary N…] [--until DURATION]]]]", (*Verbs).approve},
		{"reject", approvers, "ID [--op N…] --reason TEXT", (*Verbs).reject},
		{"grants", everyone, "[--all] [--json]", (*Verbs).grants},
		{"revoke", approvers, "N…", (*Verbs).revoke},
		{"targets", everyone, "[--json]", (*Verbs).targets},
		{"status", everyone, "[--json]", (*Verbs).status},
		{"whoami", everyone, "[--json]", (*Verbs).whoami},
		{"policy", everyone, "-- COMMAND…", (*Verbs).policy},
		{"watch", approvers, "[--json]", (*Verbs).watch},
		{"help", everyone, "[TOPIC]", (*Verbs).help},
		{"version", everyone, "", (*Verbs).version},
		{"rollback", approvers, "ID [--force] [--plan]", (*Verbs).rollback},
		{"mcp", askers, "", (*Verbs).notBuilt},
	}
}

// The two verbs that have no name of their own: a line that is no verb, and python3's ways to be given a script.
const (
	shellVerb  = "shell"
	pythonVerb = "python3"
)

// VerbOf names what a line is, for the log: a verb, "python3", "shell", or "" for an empty line.
func VerbOf(line string) string {
	name, _ := firstWord(line)
	switch {
	case name == "":
		return ""
	case slices.ContainsFunc(table(), func(v verb) bool { return v.name == name }):
		return name
	case isPython(line):
		return pythonVerb
	}
	return shellVerb
}

// Run does what a line says and returns the exit status.
func (v *Verbs) Run(ctx context.Context, call *Call) int {
	name, rest := firstWord(call.Line)
	if name == "" {
		return v.bare(ctx, call)
	}
	for _, entry := range table() {
		if entry.name == name {
			return v.dispatch(ctx, call, &entry, rest)
		}
	}
	if isPython(call.Line) {
		return v.dispatch(ctx, call, &verb{pythonVerb, askers, "- [args…] | -c CODE [args…]", (*Verbs).python}, rest)
	}
	return v.dispatch(ctx, call, &verb{shellVerb, askers, "", (*Verbs).shell}, call.Line)
}

// bare is a connection that says nothing: a script on stdin, or a human at a terminal.
func (v *Verbs) bare(ctx context.Context, call *Call) int {
	switch {
	case call.Terminal == nil:
		return v.dispatch(ctx, call, &verb{"run", askers, "[flags] [-] [args…]", (*Verbs).run}, "")
	case call.Identity.MayDecide():
		return v.dispatch(ctx, call, &verb{"approve", approvers, "", (*Verbs).approve}, "")
	}
	return v.dispatch(ctx, call, &verb{"help", everyone, "", (*Verbs).help}, "")
}

// dispatch is the one place where a role is checked before a verb runs.
func (v *Verbs) dispatch(ctx context.Context, call *Call, entry *verb, rest string) int {
	if !slices.Contains(entry.roles, call.Identity.Role) {
		what := "use " + entry.name
		switch entry.name {
		case shellVerb, pythonVerb, "run", "exec":
			what = "run scripts or commands"
		}
		call.notice("%s is %s and may not %s; see: help", call.Identity.Name, article(call.Identity.Role), what)
		return ExitNotPermitted
	}
	c := &invocation{Call: call, verb: entry, rest: rest}
	if slices.Contains(longAnswers, entry.name) {
		done, err := v.answer(ctx, c)
		if err != nil {
			return ExitFault // the client is gone
		}
		defer done()
	}
	if entry.name != shellVerb && entry.name != "exec" && entry.name != "policy" {
		var err error
		if c.args, err = split(rest); err != nil {
			return c.usage(err)
		}
	}
	return entry.run(v, ctx, c)
}

// longAnswers are the verbs whose answers may be long.
var longAnswers = []string{"list", "show", "grants"}

// toldAfter is how long a client waits for its turn before it is told why.
const toldAfter = time.Second

// answer waits for the turn to make an answer that is held until it has been read. So who asks, and does not read, holds few of
// them.
func (v *Verbs) answer(ctx context.Context, c *invocation) (done func(), err error) {
	most := v.Config.Connections.Answers
	tell := time.AfterFunc(toldAfter, func() {
		c.notice("waits for its turn: %d answers are on their way to you (connections.answers)", most)
	})
	defer tell.Stop()
	return v.Answers.Take(ctx, c.Identity.Name, most)
}

func article(r approvals.Role) string {
	switch r {
	case approvals.Agent, approvals.Approver, approvals.Admin:
		return "an " + string(r)
	}
	return "of no known role"
}

// notice prints a line of the gateway's own. Arguments that are not trusted must have been rendered; nothing in them looks like the
// beginning of another such line.
func (c *Call) notice(format string, args ...any) {
	to, about := c.Stderr, ""
	if c.noticed != nil {
		to = c.noticed
	}
	if c.label != "" {
		about = c.label + ": "
	}
	_, _ = fmt.Fprintf(to, "%s %s\n", gatewayMark, unmarked(about+fmt.Sprintf(format, args...)))
}

// usage reports a mistake in the line and how the verb is used.
func (c *invocation) usage(err error) int {
	c.notice("%s: %s", c.verb.name, render.Line(err.Error()))
	c.notice("usage: %s %s", c.verb.name, c.verb.usage)
	return ExitUsage
}

// flags makes an empty flag set that prints nothing by itself.
func (c *invocation) flags() *flag.FlagSet {
	f := flag.NewFlagSet(c.verb.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse parses flags and words in any order, and returns the words. Words after "--" are words.
func parse(f *flag.FlagSet, args []word) ([]string, error) {
	rest, words := texts(args), []string(nil)
	for {
		if err := f.Parse(rest); err != nil {
			return nil, err
		}
		consumed := len(rest) - f.NArg()
		if f.NArg() == 0 {
			return words, nil
		}
		if consumed > 0 && rest[consumed-1] == "--" {
			return append(words, f.Args()...), nil
		}
		words, rest = append(words, f.Arg(0)), f.Args()[1:]
	}
}

// oneID parses flags and exactly one session id.
func oneID(f *flag.FlagSet, args []word) (string, error) {
	words, err := parse(f, args)
	switch {
	case err != nil:
		return "", err
	case len(words) == 0:
		return "", errors.New("the session's id is missing")
	case len(words) > 1:
		return "", fmt.Errorf("what is %q for?", words[1])
	}
	return cleanID(words[0])
}

// cleanID accepts what can be an id at all.
func cleanID(s string) (string, error) {
	id := strings.ToLower(s)
	if id == "" || len(id) > 32 || strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) >= 0 {
		return "", fmt.Errorf("%q is not a session's id", s)
	}
	return id, nil
}

// words parses flags and refuses any word.
func noWords(f *flag.FlagSet, args []word) error {
	words, err := parse(f, args)
	if err == nil && len(words) > 0 {
		err = fmt.Errorf("what is %q for?", words[0])
	}
	return err
}

// fail reports an error of the approvals and returns its exit status.
func (c *invocation) fail(id string, err error) int {
	switch {
	case errors.Is(err, approvals.ErrNotFound):
		c.notice("there is no session %s that you may see; see: list --all", render.Line(id))
		return ExitUsage
	case errors.Is(err, approvals.ErrNothingToRollBack):
		c.notice("%s", render.Line(err.Error()))
		return ExitUsage
	case errors.Is(err, approvals.ErrObstacle):
		c.notice("session %s %s", render.Line(id), render.Line(err.Error()))
		return ExitUnreachable
	case errors.Is(err, approvals.ErrUnable):
		c.notice("%s", render.Line(err.Error()))
		return ExitUnreachable
	case errors.Is(err, approvals.ErrNotPermitted):
		c.notice("%s", render.Line(err.Error()))
		return ExitNotPermitted
	case errors.Is(err, approvals.ErrTooMany):
		return c.busy(err)
	case errors.Is(err, approvals.ErrNotWaiting), errors.Is(err, approvals.ErrBadGrant):
		c.notice("%s; look again with: show %s", render.Line(err.Error()), render.Line(id))
		return ExitUsage
	}
	c.notice("%s", render.Line(err.Error()))
	return ExitFault
}

// busy says what stands in the way of another session, and how to make room.
func (c *invocation) busy(err error) int {
	c.notice("%s", render.Line(err.Error()))
	var busy *approvals.Busy
	switch {
	case !errors.As(err, &busy):
	case len(busy.InWay) == 0:
		c.notice("nothing was started; try again later")
	default:
		c.notice("nothing was started; try again later, or make room: list shows your sessions, cancel ends one, as in: cancel %s",
			strings.Join(busy.InWay, ", cancel "))
	}
	return ExitBusy
}

// notBuilt answers for verbs that have a name already but no work.
func (v *Verbs) notBuilt(_ context.Context, c *invocation) int {
	c.notice("%s is not built yet", c.verb.name)
	return ExitFault
}
