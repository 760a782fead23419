// Package command is what can be typed after `ssh shannot@host`. It has a file for each verb, and one table that says who
// may use it; the table is checked at one place before a verb runs. What a line means is decided on the bytes that the
// client sent. A line that is no verb is one shell command, as it is, for the gate. The package knows the service that
// approvals offers, the screens and the configuration, but no connection. It must never start anything itself, and never
// print text that came from outside without rendering it, a script's own output excepted. Begin with Verbs.Run and the table
// in this file; run.go is the verb that agents use most.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/rollback"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/internal/commandline"
	"shannot-gateway/internal/spelling"
	"shannot-gateway/internal/turns"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
)

// Exit statuses of verbs: those of sessions, and success.
const (
	ExitOK           = 0
	ExitUsage        = journal.ExitUsage
	ExitConflict     = journal.ExitConflict
	ExitNotAScript   = journal.ExitNotAScript
	ExitUnreachable  = journal.ExitUnreachable
	ExitFault        = journal.ExitFault
	ExitWaiting      = journal.ExitWaiting
	ExitNotPermitted = journal.ExitNotPermitted
	ExitBusy         = journal.ExitBusy
	ExitTime         = journal.ExitTime
	ExitLimit        = journal.ExitLimit
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
	Sessions Service
	Runner   Runner
	Targets  []targets.Target // those that work now
	Config   *config.Config
	Engine   func(ctx context.Context, name string) error // why an engine cannot run, or nil
	Version  string
	Starts   func() *sandbox.Starts // what the engine has started ahead, nil where it does not
	Fronts   Fronts
	Audit    func() (on bool, err error) // whether there is an audit log, and why it cannot be written
	// Verified is what the last verification of the audit log found, in a line and one by one; "" where none has ended yet.
	Verified func() (summary string, findings []string)
	Reload   func() *Refusal // why the configuration in force is not the newest one, nil where it is
	// Connections counts the clients; nil where nobody does.
	Connections func() Connections
	Answers     *turns.Turns // to make an answer that is held in memory until its client has read it
	Now         func() time.Time
	Started     time.Time
}

// Fronts are the front ends that have a verb of their own.
type Fronts struct {
	Screen func(context.Context, tui.Options) error // the approval screen
	Plain  func(context.Context, tui.Options) error // the same in lines
	// MCP serves the Model Context Protocol on a call's streams until the client leaves, and returns the exit status.
	MCP func(ctx context.Context, call *Call) int
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
	Identity       journal.Identity
	Targets        []string // that the identity may use
	Line           string   // as it was sent; "" for none
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       *Terminal             // nil where the client has none
	Signals        <-chan syscall.Signal // that the client sends to what runs; nil for none
	// Enough is closed when the client wants to be answered with how its session stands, whether that runs, waits for a
	// human or for a place; nil where it stays. The answer is that of a --wait that has ended.
	Enough <-chan struct{}
	// Began is called with the id of each session that the line begins; nil for nobody.
	Began func(id string)

	// noticed takes the gateway's own lines where that is not Stderr, and label names the target that they are about: of
	// one of several sessions of a line.
	noticed io.Writer
	label   string

	typed  string // a script that came from a terminal
	signal *signalled
}

var (
	everyone  = []journal.Role{journal.Agent, journal.Approver, journal.Admin}
	askers    = []journal.Role{journal.Agent, journal.Admin}
	approvers = []journal.Role{journal.Approver, journal.Admin}
)

// row is a row of the table of verbs.
type row struct {
	name  string
	roles []journal.Role
	make  func() *verb
}

// table returns every verb with who may use it, in the order in which help lists them. A verb is made anew for each line:
// what its flags are set to is in it.
func table() []row {
	return []row{
		{"run", askers, newRun},
		{"exec", askers, newExec},
		{"approve", approvers, newApprove},
		{"list", everyone, newList},
		{"show", everyone, newShow},
		{"wait", everyone, newWait},
		{"reject", approvers, newReject},
		{"cancel", everyone, newCancel},
		{"rehearse", approvers, newRehearse},
		{"rollback", approvers, newRollback},
		{"watch", approvers, newWatch},
		{"grants", everyone, newGrants},
		{"revoke", approvers, newRevoke},
		{"policy", everyone, newPolicy},
		{"targets", everyone, newTargets},
		{"status", everyone, newStatus},
		{"whoami", everyone, newWhoami},
		{"help", everyone, newHelp},
		{"version", everyone, newVersion},
		{"mcp", []journal.Role{journal.Agent}, newMCP},
		{"skill", everyone, newSkill},
	}
}

// find is the row of a verb; ok is false where there is no such verb.
func find(name string) (r row, ok bool) {
	rows := table()
	at := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
	if at < 0 {
		return row{}, false
	}
	return rows[at], true
}

// The two verbs that have no name of their own: a line that is no verb, and python3's ways to be given a script.
const (
	shellVerb  = "shell"
	pythonVerb = "python3"
)

// VerbOf names what a line is, for the log: a verb, "python3", "shell", or "" for an empty line.
func VerbOf(line string) string {
	name, _ := firstWord(line)
	if name == "" {
		return ""
	}
	if _, ok := find(name); ok {
		return name
	}
	if isPython(line) {
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
	if r, ok := find(name); ok {
		return v.dispatch(ctx, call, r, rest)
	}
	if slices.Contains(askers, call.Identity.Role) {
		if status, was := instead(ctx, v, call); was {
			return status
		}
	}
	if isPython(call.Line) {
		return v.dispatch(ctx, call, row{pythonVerb, askers, newPython}, rest)
	}
	status := v.dispatch(ctx, call, row{shellVerb, askers, newShell}, call.Line)
	call.suggest(name, status)
	return status
}

// suggest names the verb that a line's first word most likely stands for, where the line has come to nothing as a command.
func (c *Call) suggest(name string, status int) {
	if status != ExitNotPermitted && status != ExitWaiting && status != exitNoCommand {
		return
	}
	var names []string
	for _, r := range table() {
		if slices.Contains(r.roles, c.Identity.Role) {
			names = append(names, r.name)
		}
	}
	if meant := spelling.Meant(name, names); meant != "" {
		c.notice("%s is not a verb of the gateway, so it was taken for a command; did you mean %s?", render.Line(name), meant)
	}
}

// exitNoCommand is a shell's exit status for a command that is not there: POSIX.1-2024, XCU section 2.8.2.
const exitNoCommand = 127

// bare is a connection that says nothing: a script on stdin, or a human at a terminal.
func (v *Verbs) bare(ctx context.Context, call *Call) int {
	name := "help"
	switch {
	case call.Terminal == nil:
		name = "run"
	case call.Identity.MayDecide():
		name = "approve"
	}
	r, _ := find(name)
	status := v.dispatch(ctx, call, r, "")
	if name != "help" || !slices.Contains(askers, call.Identity.Role) {
		return status
	}
	text, err := call.typedScript(ctx, v.Config.Limits.Script)
	switch {
	case err != nil:
		call.notice("%s", render.Line(err.Error()))
		return ExitNotAScript
	case strings.TrimSpace(text) == "":
		return status
	}
	call.typed = text
	r, _ = find("run")
	return v.dispatch(ctx, call, r, "")
}

// dispatch is the one place where a role is checked before a verb runs. The page of a verb is for everyone.
func (v *Verbs) dispatch(ctx context.Context, call *Call, r row, rest string) int {
	if call.signal == nil {
		call.signal = &signalled{}
	}
	c := &invocation{Call: call, verb: r.make(), rest: rest}
	err := c.parse()
	if errors.Is(err, commandline.ErrHelp) {
		_, _ = io.WriteString(c.Stdout, commandline.Page(sshHost, c.verb.Command))
		return ExitOK
	}
	if !slices.Contains(r.roles, call.Identity.Role) {
		what := "use " + r.name
		switch r.name {
		case shellVerb, pythonVerb, "run", "exec":
			what = "run scripts or commands"
		}
		call.notice("%s is %s and may not %s; see: help", call.Identity.Name, article(call.Identity.Role), what)
		switch {
		case r.name == "rollback":
			id := "ID"
			if words, err := split(rest); err == nil && len(words) == 1 {
				id = words[0].text
			}
			call.notice("have your user ask an approver to type: rollback %s", render.Line(commandline.Shortened(id)))
		case slices.Contains(askers, call.Identity.Role) && r.name == "watch" && strings.TrimSpace(rest) != "": // watch -n1 date
			call.notice("a program of that name runs on the target by: exec -- %s ...", r.name)
		}
		return ExitNotPermitted
	}
	if err != nil {
		return c.usage(err)
	}
	if slices.Contains(longAnswers, r.name) {
		done, err := v.answer(ctx, c)
		if err != nil {
			return ExitFault // the client is gone
		}
		defer done()
	}
	ctx, stop := call.interruptible(ctx)
	defer stop()
	return call.signalledStatus(c.verb.run(ctx, v, c))
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

func article(r journal.Role) string {
	switch r {
	case journal.Agent, journal.Approver, journal.Admin:
		return "an " + string(r)
	}
	return "of no known role"
}

// notice prints a line of the gateway's own. Arguments are rendered as render.Format does it; nothing in them looks like the
// beginning of another such line.
func (c *Call) notice(format render.Words, args ...any) {
	to, about := c.Stderr, ""
	if c.noticed != nil {
		to = c.noticed
	}
	if c.label != "" {
		about = c.label + ": "
	}
	_, _ = fmt.Fprintf(to, "%s %s\n", gatewayMark, unmarked(about+render.Format(format, args...).String()))
}

// maxComplaint is how much of what is wrong with a line is told, in terminal cells.
const maxComplaint = 500

// usage reports a mistake in the line and how the verb is used.
func (c *invocation) usage(err error) int {
	what := err.Error()
	shown, _ := render.Fit(render.Line(what[:min(len(what), 4*maxComplaint)]), maxComplaint)
	c.notice("%s: %s", c.verb.Name(), shown)
	c.notice("usage: %s; see: %s --help", c.verb.Use, c.verb.Name())
	return ExitUsage
}

// oneID is the session's id, which is the only word of a line.
func (c *invocation) oneID() (string, error) {
	switch {
	case len(c.words) == 0:
		return "", errors.New("the session's id is missing")
	case len(c.words) > 1:
		return "", commandline.Unexpected(c.words[1])
	}
	return cleanID(c.words[0])
}

// cleanID accepts what can be an id at all.
func cleanID(s string) (string, error) {
	id := strings.ToLower(s)
	if id == "" || len(id) > 32 || strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) >= 0 {
		return "", fmt.Errorf("%q is not a session's id", commandline.Shortened(s))
	}
	return id, nil
}

// fail reports an error of the approvals and returns its exit status.
func (c *invocation) fail(id string, err error) int {
	switch {
	case errors.Is(err, journal.ErrNotFound):
		c.notice("there is no session %s that you may see; see: list --all", render.Line(id))
		return ExitUsage
	case errors.Is(err, rollback.ErrNothing), errors.Is(err, rehearsal.ErrNothing):
		c.notice("%s", render.Line(err.Error()))
		return ExitUsage
	case errors.Is(err, journal.ErrObstacle):
		c.notice("session %s %s", render.Line(id), render.Line(err.Error()))
		return ExitUnreachable
	case errors.Is(err, lifecycle.ErrUnable) && errors.Is(err, journal.ErrStore):
		c.notice("%s; see: status", render.Line(err.Error()))
		return ExitFault
	case errors.Is(err, lifecycle.ErrUnable), errors.Is(err, targets.ErrNoRehearsal):
		c.notice("%s", render.Line(err.Error()))
		return ExitUnreachable
	case errors.Is(err, journal.ErrNotPermitted), errors.Is(err, rehearsal.ErrOff):
		c.notice("%s", render.Line(err.Error()))
		return ExitNotPermitted
	case errors.Is(err, rehearsal.ErrBusy):
		c.notice("%s", render.Line(err.Error()))
		return ExitBusy
	case errors.Is(err, journal.ErrTooMany):
		return c.busy(err)
	case errors.Is(err, journal.ErrNotWaiting), errors.Is(err, grants.ErrBadGrant):
		c.notice("%s; look again with: show %s", render.Line(err.Error()), render.Line(id))
		return ExitUsage
	}
	c.notice("%s", render.Line(err.Error()))
	return ExitFault
}

// busy says what stands in the way of another session, and how to make room.
func (c *invocation) busy(err error) int {
	c.notice("%s", render.Line(err.Error()))
	var busy *places.Busy
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
