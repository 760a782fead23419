package policy

import (
	"strings"
)

// wrapper is a program that runs the command given in its operands.
type wrapper struct {
	flags  string   // harmless short flags without a value
	value  string   // short flags with a value
	long   []string // as in grammar
	skip   int      // operands before the command
	assign bool     // NAME=VALUE before the command changes the environment
	asks   bool     // never unattended: it changes the user, the root, the session or the output
	extra  bool     // adds words to the command that are not known
	bare   bool     // harmless without a command
	name   bool     // the first operand is the name of an applet
}

var wrappers = map[string]wrapper{
	"env":         {flags: "i0v", value: "u", long: []string{"ignore-environment", "null", "unset="}, assign: true, bare: true},
	"nice":        {value: "n", long: []string{"adjustment="}, bare: true},
	"ionice":      {flags: "t", value: "cn", long: []string{"class=", "classdata="}},
	"timeout":     {value: "ks", long: []string{"kill-after=", "signal=", "preserve-status", "foreground"}, skip: 1},
	"time":        {flags: "pv", long: []string{"portability", "verbose"}},
	"command":     {flags: "p"},
	"builtin":     {},
	"stdbuf":      {value: "ioe", long: []string{"input=", "output=", "error="}, asks: true},
	"nohup":       {asks: true},
	"setsid":      {flags: "cfw", asks: true},
	"exec":        {flags: "cl", value: "a", asks: true},
	"sudo":        {flags: "nESHkKbP", value: "ugCprtTUh", asks: true, assign: true},
	"doas":        {flags: "n", value: "uC", asks: true},
	"chroot":      {skip: 1, long: []string{"userspec=", "groups="}, asks: true},
	"unshare":     {flags: "mupnirfUC", asks: true},
	"nsenter":     {flags: "amupniUC", value: "t", asks: true},
	"flock":       {flags: "nxsu", value: "wE", skip: 1, asks: true},
	"chrt":        {flags: "bfior", skip: 1, asks: true},
	"taskset":     {flags: "c", skip: 1, asks: true},
	"watch":       {flags: "dtbex", value: "n", asks: true},
	"strace":      {flags: "fqvc", value: "eops", asks: true},
	"ltrace":      {flags: "fc", value: "eop", asks: true},
	"runuser":     {value: "ug", asks: true},
	"setpriv":     {asks: true},
	"prlimit":     {asks: true},
	"systemd-run": {flags: "tPqG", value: "pEu", asks: true},
	"parallel":    {asks: true, extra: true},
	"busybox":     {name: true, asks: true},
	"toybox":      {name: true, asks: true},
	"xargs":       {flags: "0rtx", value: "nLPsd", long: []string{"null", "no-run-if-empty", "max-args=", "max-procs=", "delimiter=", "max-lines?", "verbose"}, extra: true, bare: true},
}

// starters are the programs that run text: shells, and what hands text to one.
var starters map[string]func(*call, string, []arg) Decision

func init() {
	delete(wrappers, "prlimit")
	starters = map[string]func(*call, string, []arg) Decision{"eval": judgeEval, "source": judgeSource, ".": judgeSource, "trap": judgeTrap, "su": judgeSu, "script": judgeSu}
	for _, name := range strings.Fields("sh bash dash ash zsh ksh mksh busybox-sh rbash fish csh tcsh") {
		starters[name] = judgeShell
	}
	for _, name := range strings.Fields("python python2 python3 perl ruby node php lua") {
		starters[name] = judgeInterpreter
	}
}

// wrapped judges the command within a wrapper's operands.
func (c *call) wrapped(name string, w wrapper, args []arg) Decision {
	d := allow()
	if w.asks {
		d = ask(Caution, shown(name)+" changes how or as whom a command runs")
	}
	g := grammar{short: w.flags, value: w.value, long: w.long}
	skip := w.skip
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !a.known && (a.dash || a.many) {
			d = worst(d, unknownWord(name, a))
		}
		switch {
		case a.text == "--":
			continue
		case len(a.text) > 1 && a.text[0] == '-':
			if name == "env" && strings.HasPrefix(a.text, "-S") || name == "env" && strings.HasPrefix(a.text, "--s") {
				return worst(d, c.splitString(a, args[i+1:]))
			}
			if name == "command" && strings.Trim(a.text, "-pvV") == "" && a.known && strings.ContainsAny(a.text, "vV") {
				return d
			}
			if name == "nice" && strings.Trim(a.text, "-0123456789") == "" {
				continue
			}
			takes, flag := g.checkFlag(name, a.text, map[string]bool{})
			if d = worst(d, flag); takes {
				i++
			}
			continue
		case w.assign && strings.Contains(a.text, "="):
			d = worst(d, envChanges([]string{a.text}))
			continue
		case skip > 0:
			skip--
			continue
		}
		inner := append([]arg(nil), args[i:]...)
		if w.extra {
			inner = append(inner, arg{many: true, dash: true, text: "the words it reads"})
		}
		if w.name {
			c.programs = append(c.programs, a.text)
		}
		return worst(d, c.argv(inner))
	}
	if !w.bare {
		return worst(d, ask(Caution, shown(name)+" is not known to only read"))
	}
	if name == "env" && !c.judge.approves(name, nil, args) {
		return worst(d, ask(Caution, shown(name)+" is not in auto_approve"))
	}
	return d
}

// splitString judges env -S, which makes words of one argument by rules of its own.
func (c *call) splitString(flag arg, rest []arg) Decision {
	text := strings.TrimPrefix(strings.TrimPrefix(flag.text, "-S"), "--split-string")
	text = strings.TrimPrefix(text, "=")
	if text == "" && len(rest) > 0 {
		text, rest = rest[0].text, rest[1:]
	}
	var words []arg
	for _, w := range strings.Fields(text) {
		words = append(words, arg{text: strings.Trim(w, `'"`)})
	}
	if words = append(words, rest...); len(words) > 0 {
		if d := c.argv(words); d.Verdict == Deny {
			return d
		}
	}
	return ask(Caution, "env -S makes a command of "+shown(text))
}

// readsInput is what a shell without a script puts among the programs of its stage.
const readsInput = "\x00reads commands"

// judgeShell judges a shell: its -c text is judged as shell text, anything else it reads is not known.
func judgeShell(c *call, name string, args []arg) Decision {
	d := allow()
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a.fetches {
			return deny("runs a download with " + shown(name))
		}
		if !a.known {
			d = worst(d, unknownWord(name, a))
		}
		if len(a.text) < 2 || a.text[0] != '-' && a.text[0] != '+' || a.text == "--" {
			if a.text == "-" || a.text == "/dev/stdin" || a.text == "--" {
				break
			}
			return worst(d, ask(Unknown, shown(name)+" runs the script "+shown(a.text)))
		}
		if a.text[0] == '-' && a.text[1] != '-' && strings.Contains(a.text, "c") {
			if strings.Trim(a.text[1:], "ceux") != "" {
				d = worst(d, ask(Caution, shown(name)+" is started with "+shown(a.text)))
			}
			return worst(d, c.commandText(name, args[i+1:]))
		}
		if a.text == "-s" {
			break
		}
		if a.text[1:] == "o" || a.text[1:] == "O" || a.text == "--rcfile" || a.text == "--init-file" {
			i++
		}
		d = worst(d, ask(Caution, shown(name)+" is started with "+shown(a.text)))
	}
	c.programs = append(c.programs, readsInput)
	return worst(d, ask(Unknown, shown(name)+" runs what it reads"))
}

// commandText judges the text after -c; more words become its positional parameters.
func (c *call) commandText(name string, args []arg) Decision {
	for len(args) > 0 && len(args[0].text) > 1 && args[0].text[0] == '-' {
		args = args[1:]
	}
	if len(args) == 0 {
		return ask(Unknown, shown(name)+" -c has no text")
	}
	for _, a := range args {
		if a.fetches {
			return deny("runs a download with " + shown(name))
		}
	}
	d := c.shell(args[0].text)
	if !args[0].known {
		d = worst(d, unknownWord(name, args[0]))
	}
	return d
}

// judgeInterpreter judges a language's interpreter: its code is not understood, so only a human can say.
func judgeInterpreter(c *call, name string, args []arg) Decision {
	for _, a := range args {
		if a.fetches {
			return deny("runs a download with " + shown(name))
		}
	}
	if len(args) == 0 || args[0].text == "-" {
		c.programs = append(c.programs, readsInput)
	}
	if c.judge.approves(name, nil, args) && len(c.judge.approve[name]) > 0 {
		return c.listed(name, args)
	}
	return ask(Unknown, shown(name)+" runs code")
}

func judgeEval(c *call, name string, args []arg) Decision {
	texts := make([]string, len(args))
	for i, a := range args {
		if a.fetches {
			return deny("runs a download with " + shown(name))
		}
		texts[i] = a.text
	}
	return worst(ask(Caution, "eval runs text as a command"), c.shell(strings.Join(texts, " ")))
}

func judgeSource(_ *call, name string, args []arg) Decision {
	for _, a := range args {
		if a.fetches {
			return deny("runs a download with " + shown(name))
		}
	}
	return ask(Unknown, shown(name)+" runs a script in the shell")
}

func judgeTrap(c *call, _ string, args []arg) Decision {
	d := ask(Caution, "trap runs text later")
	if len(args) > 0 {
		d = worst(d, c.shell(args[0].text))
	}
	return d
}

func judgeSu(c *call, name string, args []arg) Decision {
	d := ask(Caution, shown(name)+" runs a command as another user or in another session")
	for i, a := range args {
		if (a.text == "-c" || a.text == "--command") && i+1 < len(args) {
			d = worst(d, c.commandText(name, args[i+1:]))
		}
	}
	return d
}
