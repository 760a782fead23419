package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/internal/commandline"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets"
)

// maxWords is the longest name or analysis of a session, in bytes.
const maxWords = 4096

// runFlags are the flags of run and exec.
type runFlags struct {
	code, target, name, analysis, engine string
	plan, submit, json, stream           bool
	wait                                 waitFlag
}

func (r *runFlags) register(f *pflag.FlagSet, script bool) {
	if script {
		f.StringVarP(&r.code, codeFlag, "c", "", "the script is `CODE`; stdin is then the script's own input")
	}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if now := otherNames[name]; now != "" && (script || name != "c") {
			name = now
		}
		return pflag.NormalizedName(name)
	})
	f.StringVar(&r.target, "target", config.LocalTarget, "the host to look at and run commands on: a `NAME`, several with commas, or a group's: the same on each, at once")
	f.StringVar(&r.name, "name", "", "a name: `TEXT` for the human who decides, shown as your words")
	f.StringVar(&r.analysis, "analysis", "", "what you are after: `TEXT` for the human who decides")
	f.BoolVar(&r.plan, "plan", false, "run nothing and change nothing: list each command and change, with verdict, effect and undo; exit 0")
	f.BoolVar(&r.submit, "submit", false, "wait for no human: what needs one parks at once, to be decided on later, exit 75; the same as --wait 0")
	f.Var(&r.wait, "wait", "wait for humans at most this `DURATION` (30s, 5m), then exit with 75")
	if script {
		f.StringVar(&r.engine, "engine", "", "what runs it: `NAME` is native (CPython 3.14) or pypy (PyPy 3.6)")
	}
	f.BoolVar(&r.json, "json", false, "one JSON object on stdout, with both outputs in it")
	f.BoolVar(&r.stream, streamFlag, false, "what it writes, and how it ends, while that happens: a JSON object a line")
}

// machine reports whether a program reads standard output.
func (r *runFlags) machine() bool { return r.json || r.stream }

// streamFlag is the flag for JSON lines.
const streamFlag = "json-stream"

// codeFlag is the long name of -c.
const codeFlag = "code"

// otherNames are further names of flags: the one of -c, and those of the project that this one continues.
var otherNames = map[string]string{"c": codeFlag, "script-name": "name", "dry-run": "submit", "json-output": "json"}

// limit is how long the client waits for humans.
func (r *runFlags) limit() waitFlag {
	if r.submit {
		return waitFlag{set: true}
	}
	return r.wait
}

// waitFlag is how long a connection waits for humans; not set, it waits as long as the session is held.
type waitFlag struct {
	set      bool
	duration time.Duration
}

// Set implements pflag.Value.
func (w *waitFlag) Set(s string) (err error) {
	w.set = true
	w.duration, err = config.ParseDuration(s)
	return err
}

// String implements pflag.Value.
func (w *waitFlag) String() string {
	if !w.set {
		return ""
	}
	return w.duration.String()
}

// Type implements pflag.Value.
func (*waitFlag) Type() string { return "DURATION" }

// newRun is `run [flags] [-] [args…]`.
func newRun() *verb {
	var flags runFlags
	r := &verb{words: wordsLast, Command: &cobra.Command{
		Use:   "run [flags] [-] [ARG...]",
		Short: "run a Python script, from stdin or after -c",
		Long: `Runs the Python script on stdin, or the code after -c. What follows "-" are the script's arguments.

Several files are sent as one zip application, which python3 -m zipapp makes; a human sees what it holds. Data come on stdin beside ` +
			`-c CODE. A script's /tmp is its own: what scp sends to a target's is not in it.

ssh takes one level of quotes away: where a text has blanks, quote the whole line, too.`,
		Example: `ssh HOST run - /var/log < check.py
python3 -m zipapp DIRECTORY -o app.pyz && ssh HOST run - < app.pyz
ssh HOST run --wait 30s --name disk-check - < check.py
ssh HOST "run --json -c 'print(1)'"`,
	}}
	flags.register(r.Flags(), true)
	r.run = func(ctx context.Context, v *Verbs, c *invocation) int {
		hasCode, args := r.Flags().Changed(codeFlag), c.words
		if !hasCode && len(args) > 0 {
			if args[0] != "-" {
				if strings.Contains(c.rest, " -- ") {
					_, command, _ := strings.Cut(c.rest, " -- ")
					c.notice("run takes a Python script; for a command, type: exec --target %s -- %s", render.Line(flags.target), shortenedText(command))
					return ExitUsage
				}
				return c.usage(fmt.Errorf("%w A script comes on stdin (-) or by -c CODE; where a flag's text has spaces, quote it twice",
					commandline.Unexpected(args[0])))
			}
			args = args[1:]
		}
		return v.script(ctx, c, flags, hasCode, args)
	}
	return r
}

// newPython is `python3` and its ways to be given a script, which have no page of their own.
func newPython() *verb {
	return &verb{words: rawLine, run: python, Command: &cobra.Command{Use: "python3 - [args...] | -c CODE [args...]"}}
}

// python is `python3` (with a terminal: an interactive one), `python3 - [args…]` and `python3 -c CODE [args…]`.
func python(ctx context.Context, v *Verbs, c *invocation) int {
	flags := runFlags{target: config.LocalTarget}
	words, err := split(c.rest)
	if err != nil {
		return c.usage(err)
	}
	args := texts(words)
	switch {
	case len(args) == 0 && c.Terminal != nil:
		return v.interact(ctx, c, flags)
	case len(args) == 0:
		args = []string{"-"}
	}
	hasCode := args[0] == "-c"
	args = args[1:]
	if hasCode {
		if len(args) == 0 {
			return c.usage(errors.New("-c needs the code as an argument"))
		}
		flags.code, args = args[0], args[1:]
	}
	return v.script(ctx, c, flags, hasCode, args)
}

// script starts a script and follows it.
func (v *Verbs) script(ctx context.Context, c *invocation, flags runFlags, hasCode bool, args []string) int {
	if status := v.engine(ctx, c, &flags); status != ExitOK {
		return status
	}
	names, status := v.named(c, flags.target)
	if names == nil {
		return status
	}
	var target targets.Target
	if len(names) == 1 {
		if target, status = v.target(ctx, c, names[0]); target == nil {
			return status
		}
	}
	request := approvals.Request{Engine: flags.engine, Script: flags.code}
	var stdin io.Reader
	if hasCode {
		request.Args = slices.Concat([]string{"-c", flags.code}, args)
		if c.Terminal == nil {
			stdin = c.Stdin
		}
	} else {
		text, err := c.readScript(ctx, v.Config.Limits.Script)
		if ctx.Err() != nil {
			return ExitFault // the client is gone, or wants it to end
		}
		if err == nil {
			text, err = scriptText(text, v.Config.Limits.Script)
		}
		if err != nil {
			c.notice("%s", render.Line(err.Error()))
			return ExitNotAScript
		}
		request.Args = slices.Concat([]string{"-"}, args)
		request.Script, stdin = text, strings.NewReader(text)
	}
	if v.Config.Shell.Enabled && !hasCode && shell.IsScript(request.Script) {
		run, err := shell.ScriptArgs(request.Script, args)
		if err != nil {
			c.notice("the shell script cannot run in the sandbox, and nothing of it has: %s", render.Line(err.Error()))
			return ExitNotAScript
		}
		request.Engine, request.Args, stdin = shell.EngineName, run, nil
	}
	if err := checkScript(request.Script); err != nil {
		c.notice("%s", render.Line(err.Error()))
		return ExitNotAScript
	}
	if len(names) > 1 {
		return v.fleet(ctx, c, flags, names, request, func() io.Reader {
			if stdin == nil || hasCode { // one client's input is not for several scripts
				return nil
			}
			return strings.NewReader(request.Script)
		})
	}
	return v.begin(ctx, c, flags, target, request, stdin)
}

// ErrNoEngine says that there is no engine of a name.
var ErrNoEngine = errors.New("there is no such engine")

// engine fills in the engine that a script runs in, and says where it cannot.
func (v *Verbs) engine(ctx context.Context, c *invocation, flags *runFlags) int {
	if flags.engine == "" {
		flags.engine = v.Config.Engine
	}
	switch err := v.Engine(ctx, flags.engine); {
	case errors.Is(err, ErrNoEngine):
		c.notice("there is no engine %q; there are: %s", render.Line(commandline.Shortened(flags.engine)), strings.Join(config.Engines(), ", "))
		return ExitUsage
	case err != nil:
		c.notice("the engine %s cannot run: %s", render.Line(commandline.Shortened(flags.engine)), render.Line(err.Error()))
		return ExitFault
	}
	return ExitOK
}

// newExec is `exec [flags] -- COMMAND…`: what follows is shell text, raw.
func newExec() *verb {
	var flags runFlags
	e := &verb{words: commandLast, Command: &cobra.Command{
		Use:   "exec [flags] -- COMMAND...",
		Short: "run one shell command on a target",
		Long: `Runs one shell command on the target, through the policy. What follows -- is the command as it is. Without flags, the ` +
			`command alone will do; with exec, it may begin with the name of a verb.`,
		Example: `ssh HOST df -h /
ssh HOST exec --target web -- df -h /
ssh HOST exec -- list`,
	}}
	flags.register(e.Flags(), false)
	e.run = func(ctx context.Context, v *Verbs, c *invocation) int { return v.command(ctx, c, flags, c.command) }
	return e
}

// What is wrong with a line that has at most flags: a command, or the mark before it.
var (
	errNoCommand = errors.New("the command is missing")
	errNoMark    = errors.New("write -- before the command")
)

// splitCommand parts `[flags] -- TEXT`, or TEXT alone where it does not begin with a dash. The text is returned as it
// was sent.
func splitCommand(rest string) (flags []word, text string, err error) {
	text = strings.TrimLeft(rest, " \t\r\n")
	if !strings.HasPrefix(text, "-") {
		if text == "" {
			err = errNoCommand
		}
		return nil, text, err
	}
	for i := 0; ; {
		for i < len(text) && isSpace(text[i]) {
			i++
		}
		if i == len(text) {
			return flags, "", errNoMark
		}
		w, err := nextWord(text, i)
		if err != nil {
			return nil, "", err
		}
		if text[i:w.end] == "--" {
			command := strings.TrimLeft(text[w.end:], " \t\r\n")
			if command == "" {
				err = errors.New("the command is missing")
			}
			return flags, command, err
		}
		flags, i = append(flags, w), w.end
	}
}

// newShell is a line that is no verb: one shell command, as SSH would have run it.
func newShell() *verb {
	return &verb{words: rawLine, Command: &cobra.Command{Use: shellVerb}, run: func(ctx context.Context, v *Verbs, c *invocation) int {
		return v.command(ctx, c, runFlags{target: config.LocalTarget}, c.rest)
	}}
}

// command passes shell text through the gate.
func (v *Verbs) command(ctx context.Context, c *invocation, flags runFlags, text string) int {
	names, status := v.named(c, flags.target)
	if names == nil {
		return status
	}
	var target targets.Target
	if len(names) == 1 {
		if target, status = v.target(ctx, c, names[0]); target == nil {
			return status
		}
	}
	if err := checkScript(text); err != nil {
		c.notice("%s", render.Line(err.Error()))
		return ExitNotAScript
	}
	var stdin io.Reader
	if c.Terminal == nil {
		stdin = c.Stdin
	}
	if _, err := policy.SimpleCommand(text); err != nil { // no shell can read it
		c.notice("%v; nothing was asked", err)
		return ExitUsage
	}
	request := approvals.Request{Script: text, Shell: true}
	if v.Config.Shell.Enabled {
		in, status := v.sandboxed(ctx, c, &request, stdin)
		if status != ExitOK {
			return status
		}
		stdin = in
	}
	if len(names) > 1 {
		return v.fleet(ctx, c, flags, names, request, func() io.Reader { return nil })
	}
	return v.begin(ctx, c, flags, target, request, stdin)
}

// sandboxed makes a line a text for the sandbox's shell, where that takes it, and returns its input.
func (v *Verbs) sandboxed(ctx context.Context, c *invocation, r *approvals.Request, stdin io.Reader) (io.Reader, int) {
	route, with, why := shell.RouteOf(r.Script)
	if why != nil {
		c.notice("the line is judged as a whole and runs in the target's shell: %s", render.Line(why.Error()))
	}
	switch route {
	case shell.Sandboxed:
		*r = approvals.Request{Engine: shell.EngineName, Script: r.Script, Args: []string{"-c", r.Script}}
	case shell.FromInput:
		if c.Terminal != nil {
			return stdin, ExitOK
		}
		text, err := c.readScript(ctx, v.Config.Limits.Script)
		if ctx.Err() != nil {
			return nil, ExitFault // the client is gone, or wants it to end
		}
		if err == nil {
			err = checkScript(text)
		}
		if err != nil {
			c.notice("%s", render.Line(err.Error()))
			return nil, ExitNotAScript
		}
		if _, err := shell.ScriptArgs(text, nil); err != nil {
			c.notice("the script is judged as a whole and runs in the target's shell: %s", render.Line(err.Error()))
			return strings.NewReader(text), ExitOK
		}
		*r = approvals.Request{Engine: shell.EngineName, Script: text, Args: with(text)}
		return nil, ExitOK
	case shell.Whole:
	}
	return stdin, ExitOK
}

// target finds a target that the caller may use, and makes sure that it can be used now; nil comes with an exit status.
func (v *Verbs) target(ctx context.Context, c *invocation, name string) (targets.Target, int) {
	if status := v.mayUse(c, name); status != ExitOK {
		return nil, status
	}
	at := slices.IndexFunc(v.Targets, func(t targets.Target) bool { return t.Name() == name })
	if at < 0 {
		c.notice("the target %s does not work on this gateway", render.Line(name))
		return nil, ExitUnreachable
	}
	t, done := targets.For(v.Targets[at], c.Identity.Name, "")
	defer done()
	if r, ok := t.(targets.Remote); ok {
		if err := r.Connect(ctx); err != nil {
			c.notice("%s", render.Line(err.Error()))
			return nil, ExitUnreachable
		}
	}
	return v.Targets[at], ExitOK
}

// begin starts a session and stays with it as long as the client wants.
func (v *Verbs) begin(ctx context.Context, c *invocation, flags runFlags, target targets.Target, r approvals.Request, stdin io.Reader) int {
	if flags.json && flags.stream {
		return c.usage(errTwoAnswers)
	}
	if len(flags.name) > maxWords || len(flags.analysis) > maxWords {
		return c.usage(fmt.Errorf("a name and an analysis have at most %d bytes", maxWords))
	}
	if !utf8.ValidString(flags.name + flags.analysis) {
		return c.usage(errors.New("a name and an analysis must be UTF-8"))
	}
	if c.Terminal != nil && r.Engine == config.NativeEngine && len(r.Args) > 0 && r.Args[0] == "-c" && !flags.machine() {
		return v.atTerminal(ctx, c, flags, target, r)
	}
	r.Identity, r.Target, r.Plan = c.Identity, target, flags.plan
	r.Name, r.Analysis = flags.name, flags.analysis
	r.Queued = func(why string) { c.notice("%s", render.Line(why)) }
	starting, cancel := context.WithCancelCause(ctx) // the session's client is there as long as this context
	defer cancel(nil)
	begun := c.whenEnough(ctx, cancel)
	id, leave, err := v.Runner.Start(starting, r, stdin)
	begun()
	if err != nil {
		if errors.Is(context.Cause(starting), errWaited) {
			c.notice("no place was free in time; nothing was started; try again later")
			return ExitBusy
		}
		return c.fail(id, fmt.Errorf("start the session: %w", err))
	}
	defer leave()
	if c.Began != nil {
		c.Began(id)
	}
	lasting := context.WithoutCancel(ctx) // a signal that came while the session began has ended ctx
	defer c.onSignal(func() { _, _ = v.Sessions.Cancel(lasting, id, c.Identity) })()
	if c.Terminal != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		go v.watchKeys(ctx, c, id)
	}
	return v.follow(ctx, c, id, flags.limit(), followed{json: flags.json, stream: flags.stream}, leave)
}

// interrupt is what a terminal in raw mode sends for Ctrl-C.
const interrupt = 0x03

// watchKeys cancels the session when Ctrl-C is typed.
func (v *Verbs) watchKeys(ctx context.Context, c *invocation, id string) {
	keys := make([]byte, 64)
	for ctx.Err() == nil {
		n, err := c.Stdin.Read(keys)
		if bytes.IndexByte(keys[:n], interrupt) >= 0 {
			_, _ = v.Sessions.Cancel(ctx, id, c.Identity)
			return
		}
		if err != nil {
			return
		}
	}
}

// scriptText is what was sent as a script, as text: of another encoding, or an archive.
func scriptText(sent string, limit int64) (string, error) {
	if isZip(sent) {
		return zipScript(sent, limit)
	}
	return sourceText(sent)
}

// checkScript refuses what cannot be a script or a command line.
func checkScript(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("the script is empty; send one on stdin: ssh HOST < script.py")
	case !utf8.ValidString(text):
		return errors.New("the script is not UTF-8")
	case strings.ContainsRune(text, 0):
		return errors.New("the script holds a NUL byte")
	}
	return nil
}
