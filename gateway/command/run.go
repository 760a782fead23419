package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/targets"
)

// maxWords is the longest name or analysis of a session, in bytes.
const maxWords = 4096

// runFlags are the flags of run and exec.
type runFlags struct {
	code, target, name, analysis, engine string
	plan, json                           bool
	wait                                 waitFlag
}

func (r *runFlags) register(f *flag.FlagSet, script bool) {
	if script {
		f.StringVar(&r.code, "c", "", "")
		f.StringVar(&r.engine, "engine", "", "")
	}
	f.StringVar(&r.target, "target", config.LocalTarget, "")
	f.StringVar(&r.name, "name", "", "")
	f.StringVar(&r.analysis, "analysis", "", "")
	f.BoolVar(&r.plan, "plan", false, "")
	f.BoolVar(&r.json, "json", false, "")
	f.Var(&r.wait, "wait", "")
}

// waitFlag is how long a connection waits for humans; not set, it waits as long as the session is held.
type waitFlag struct {
	set      bool
	duration time.Duration
}

// Set implements flag.Value.
func (w *waitFlag) Set(s string) (err error) {
	w.set = true
	w.duration, err = config.ParseDuration(s)
	return err
}

// String implements flag.Value.
func (w *waitFlag) String() string { return w.duration.String() }

// run is `run [flags] [-] [args…]`.
func (v *Verbs) run(ctx context.Context, c *invocation) int {
	var flags runFlags
	f := c.flags()
	flags.register(f, true)
	if err := f.Parse(texts(c.args)); err != nil {
		return c.usage(err)
	}
	hasCode := false
	f.Visit(func(f *flag.Flag) { hasCode = hasCode || f.Name == "c" })
	args := f.Args()
	if !hasCode && len(args) > 0 {
		if args[0] != "-" {
			return c.usage(fmt.Errorf("what is %q for? A script comes on stdin (-) or by -c CODE; where a flag's text has "+
				"spaces, quote it twice", args[0]))
		}
		args = args[1:]
	}
	return v.script(ctx, c, flags, hasCode, args)
}

// python is `python3` (with a terminal: an interactive one), `python3 - [args…]` and `python3 -c CODE [args…]`.
func (v *Verbs) python(ctx context.Context, c *invocation) int {
	flags := runFlags{target: config.LocalTarget}
	args := texts(c.args)
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
		text, err := readScript(c.Stdin, v.Config.Limits.Script)
		if err != nil {
			c.notice("%s", render.Line(err.Error()))
			return ExitNotAScript
		}
		request.Args = slices.Concat([]string{"-"}, args)
		request.Script, stdin = text, strings.NewReader(text)
	}
	if err := checkScript(request.Script); err != nil {
		c.notice("%s", render.Line(err.Error()))
		return ExitNotAScript
	}
	if len(names) > 1 {
		return v.fleet(ctx, c, flags, names, request, func() io.Reader {
			if hasCode { // one client's input is not for several scripts
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
		c.notice("there is no engine %q; there are: %s", render.Line(flags.engine), strings.Join(config.Engines(), ", "))
		return ExitUsage
	case err != nil:
		c.notice("the engine %s cannot run: %s", render.Line(flags.engine), render.Line(err.Error()))
		return ExitFault
	}
	return ExitOK
}

// exec is `exec [flags] -- COMMAND…`: what follows is shell text, raw.
func (v *Verbs) exec(ctx context.Context, c *invocation) int {
	head, text, err := splitCommand(c.rest)
	if err != nil {
		return c.usage(err)
	}
	var flags runFlags
	f := c.flags()
	flags.register(f, false)
	if err := noWords(f, head); err != nil {
		return c.usage(err)
	}
	return v.command(ctx, c, flags, text)
}

// splitCommand parts `[flags] -- TEXT`, or TEXT alone where it does not begin with a dash. The text is returned as it
// was sent.
func splitCommand(rest string) (flags []word, text string, err error) {
	text = strings.TrimLeft(rest, " \t\r\n")
	if !strings.HasPrefix(text, "-") {
		if text == "" {
			err = errors.New("the command is missing")
		}
		return nil, text, err
	}
	for i := 0; ; {
		for i < len(text) && isSpace(text[i]) {
			i++
		}
		if i == len(text) {
			return nil, "", errors.New("write -- before the command")
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

// shell is a line that is no verb: one shell command, as SSH would have run it.
func (v *Verbs) shell(ctx context.Context, c *invocation) int {
	return v.command(ctx, c, runFlags{target: config.LocalTarget}, c.rest)
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
	request := approvals.Request{Script: text, Shell: true}
	if len(names) > 1 {
		return v.fleet(ctx, c, flags, names, request, func() io.Reader { return nil })
	}
	return v.begin(ctx, c, flags, target, request, stdin)
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
	if len(flags.name) > maxWords || len(flags.analysis) > maxWords {
		return c.usage(fmt.Errorf("a name and an analysis have at most %d bytes", maxWords))
	}
	if !utf8.ValidString(flags.name + flags.analysis) {
		return c.usage(errors.New("a name and an analysis must be UTF-8"))
	}
	r.Identity, r.Target, r.Plan = c.Identity, target, flags.plan
	r.Name, r.Analysis = flags.name, flags.analysis
	r.Queued = func(why string) { c.notice("%s", render.Line(why)) }
	id, leave, err := v.Runner.Start(ctx, r, stdin)
	if err != nil {
		return c.fail(id, fmt.Errorf("start the session: %w", err))
	}
	defer leave()
	if c.Terminal != nil {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		defer stop()
		go v.watchKeys(ctx, c, id)
	}
	return v.follow(ctx, c, id, flags.wait, followed{json: flags.json}, leave)
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

// readScript reads a script of at most limit bytes.
func readScript(r io.Reader, limit int64) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", fmt.Errorf("read the script: %w", err)
	}
	if int64(len(text)) > limit {
		return "", fmt.Errorf("the script is larger than %d bytes (limits.script)", limit)
	}
	return string(text), nil
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
