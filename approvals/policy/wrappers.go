package policy

import (
	"regexp"
	"slices"
	"strings"
)

// wrapper is a program that runs the command given in its operands.
type wrapper struct {
	flags  string // harmless flags, as in a row of the table
	harm   string // flags that are known to do more
	skip   int    // operands before the command
	assign bool   // NAME=VALUE before the command changes the environment
	asks   bool   // never unattended: it changes the user, the root, the session or the output
	extra  bool   // adds words to the command that are not known
	bare   bool   // harmless without a command
	name   bool   // the first operand is the name of an applet

	grammar *grammar // made of flags and harm
}

var wrappers = map[string]wrapper{
	"env":             {flags: "-0v -u= --null --unset= --debug --help", harm: "-i -C -S --ignore-environment --chdir --split-string", assign: true, bare: true},
	"nice":            {flags: "-n= --adjustment= --help", bare: true},
	"ionice":          {flags: "-t -cn= --class= --classdata= --ignore", harm: "-p -P -u --pid --pgid --uid"},
	"timeout":         {flags: "-v -ks= --kill-after= --signal= --preserve-status --foreground --verbose", skip: 1},
	"time":            {flags: "-pvq -f= --portability --verbose --quiet --format=", harm: "-o -a --output --append"},
	"command":         {flags: "-p"},
	"builtin":         {},
	"stdbuf":          {flags: "-ioe= --input= --output= --error="},
	"nohup":           {asks: true},
	"setsid":          {flags: "-cfw", asks: true},
	"exec":            {flags: "-cl -a=", asks: true},
	"sudo":            {flags: "-nESHkKbPAi -ugCprtTUhD=", asks: true, assign: true},
	"doas":            {flags: "-nLs -uC=", asks: true},
	"pkexec":          {flags: "--user= --disable-internal-agent", asks: true},
	"gosu":            {skip: 1, asks: true},
	"su-exec":         {skip: 1, asks: true},
	"chroot":          {flags: "--userspec= --groups= --skip-chdir", skip: 1, asks: true},
	"unshare":         {flags: "-mupnirfUCcT", asks: true},
	"nsenter":         {flags: "-amupniUCFr -t= --all --mount --pid --net --target=", asks: true},
	"flock":           {flags: "-nxsueo -wE=", skip: 1, asks: true},
	"chrt":            {flags: "-bfiorRm -TPD=", skip: 1, asks: true},
	"taskset":         {flags: "-ca", skip: 1, asks: true},
	"numactl":         {flags: "-al -NmCip=", asks: true},
	"setarch":         {flags: "-RZLXBIST3v", skip: 1, asks: true},
	"linux32":         {flags: "-RZLXBIST3v", asks: true},
	"linux64":         {flags: "-RZLXBIST3v", asks: true},
	"watch":           {flags: "-dtbexcgp -nq=", asks: true},
	"strace":          {flags: "-fqvcCdrtTwxyziZkD -eopsSaEIObPuUX=", asks: true},
	"ltrace":          {flags: "-fcCSbTtri -eoplnsuaAx=", asks: true},
	"valgrind":        {flags: "-vq", asks: true},
	"runuser":         {flags: "-lmp -ugGs=", asks: true},
	"setpriv":         {asks: true},
	"aa-exec":         {flags: "-div -pn=", asks: true},
	"systemd-run":     {flags: "-tPqGrS -pEuHM= --user --system --scope --wait --pipe --pty --unit= --property= --setenv=", asks: true},
	"systemd-inhibit": {flags: "--what= --who= --why= --mode=", asks: true},
	"systemd-cat":     {flags: "-tp=", asks: true},
	"unbuffer":        {flags: "-p", asks: true},
	"chronic":         {flags: "-ve", asks: true},
	"eatmydata":       {asks: true},
	"fakeroot":        {flags: "-ul -sib=", asks: true},
	"cpulimit":        {flags: "-zibv -lc=", asks: true},
	"rlwrap":          {asks: true},
	"torsocks":        {asks: true},
	"proxychains":     {flags: "-q -f=", asks: true},
	"proxychains4":    {flags: "-q -f=", asks: true},
	"tini":            {flags: "-svgw -pe=", asks: true},
	"dumb-init":       {flags: "-cv -r=", asks: true},
	"parallel":        {flags: "-k0 -jn=", asks: true, extra: true},
	"busybox":         {name: true, asks: true},
	"toybox":          {name: true, asks: true},
	"xargs": {flags: "-0rtx -nLPsdEaI= -eil? --null --no-run-if-empty --max-args= --max-procs= --delimiter= --max-lines? --max-chars= --verbose --exit --arg-file= --replace? --eof?",
		harm: "-o -p --open-tty --interactive --process-slot-var", extra: true, bare: true},
}

// shellNames are the shells that read text from -c.
var shellNames = strings.Fields("sh bash dash ash zsh ksh mksh busybox-sh rbash fish csh tcsh")

func isShell(name string) bool { return slices.Contains(shellNames, name) }

// starters are the programs that run text: shells, and what hands text to one.
var starters map[string]func(*call, string, []arg) Decision

func init() {
	for name, w := range wrappers {
		g, err := Program{Flags: w.flags, Harm: w.harm}.compile("", nil, 0)
		if err != nil {
			panic("the wrapper " + name + ": " + err.Error())
		}
		w.grammar = g
		wrappers[name] = w
	}
	starters = map[string]func(*call, string, []arg) Decision{"eval": judgeEval, "source": judgeSource, ".": judgeSource, "trap": judgeTrap, "su": judgeSu, "script": judgeSu}
	for _, name := range shellNames {
		starters[name] = judgeShell
	}
	for _, name := range strings.Fields("python python2 python3 perl ruby node php lua") {
		starters[name] = judgeInterpreter
	}
}

// wrapped judges the command within a wrapper's operands.
func (c *call) wrapped(name string, w wrapper, args []arg) Decision {
	r := wrapping{call: c, name: name, wrapper: w, args: args, d: allow(), skip: w.skip}
	if w.asks {
		r.d = ask(Caution, shown(name)+" changes how or as whom a command runs")
	}
	for ; r.at < len(args); r.at++ {
		a := args[r.at]
		if !a.known && (a.dash || a.many) {
			r.d = worst(r.d, unknownWord(name, a))
		}
		switch {
		case a.text == "--":
		case len(a.text) > 1 && a.text[0] == '-':
			if r.flag(a) {
				return r.d
			}
		case w.assign && strings.Contains(a.text, "="):
			r.d = worst(r.d, c.envChanges([]string{a.text}))
		case r.skip > 0:
			r.skip--
		default:
			return r.inner()
		}
	}
	if !w.bare {
		return worst(r.d, ask(Caution, shown(name)+" is not known to only read"))
	}
	if name == "env" && !c.judge.approves(name, nil, args) {
		return worst(r.d, ask(Caution, shown(name)+" is not in auto_approve"))
	}
	return r.d
}

// wrapping reads the words of a wrapper, up to the command that they hold.
type wrapping struct {
	*call
	wrapper
	name string
	args []arg
	at   int // the word that is read
	d    Decision
	skip int // operands of the wrapper's own that come before the command
	// Of xargs: what it replaces by what it reads, and that it adds that at the end all the same.
	replaced string
	counted  bool
}

// flag judges a flag with its value, and reports whether that is all there is to judge.
func (r *wrapping) flag(a arg) (over bool) {
	name := r.name
	switch {
	case name == "env" && (strings.HasPrefix(a.text, "-S") || strings.HasPrefix(a.text, "--s")):
		r.d = worst(r.d, r.splitString(a, r.args[r.at+1:]))
		return true
	case name == "command" && strings.Trim(a.text, "-pvV") == "" && a.known && strings.ContainsAny(a.text, "vV"):
		return true
	case name == "nice" && strings.Trim(a.text, "-0123456789") == "":
		if strings.HasPrefix(a.text, "--") {
			r.d = worst(r.d, ask(Caution, "nice takes time from other processes with "+shown(a.text)))
		}
		return false
	}
	if urgent.MatchString(name + " " + a.text) {
		r.d = worst(r.d, ask(Caution, name+" takes time from other processes with "+shown(a.text)))
	}
	takes, flag := r.grammar.checkFlag(name, a.text, map[string]bool{})
	if name == "xargs" {
		r.replaced = replacement(r.args[r.at:], r.replaced)
		r.counted = r.counted || countsWords(a.text)
		r.d = worst(r.d, r.reads(name, r.args[r.at:min(len(r.args), r.at+2)])) // -a
	}
	if r.d = worst(r.d, flag); takes {
		r.value()
	}
	if name == "env" {
		r.d = worst(r.d, r.unset(r.args[:min(r.at+1, len(r.args))]))
	}
	return false
}

// value judges the word after a flag that takes it.
func (r *wrapping) value() {
	if r.at++; r.at >= len(r.args) {
		return
	}
	if flag, v := r.args[r.at-1].text, r.args[r.at]; urgent.MatchString(r.name + " " + strings.SplitN(flag, "=", 2)[0] + "=" + v.text) {
		r.d = worst(r.d, ask(Caution, r.name+" takes time from other processes with "+shown(flag+" "+v.text)))
	}
	if v := r.args[r.at]; v.many || !v.known && (v.dash || r.name == "xargs") {
		r.d = worst(r.d, unknownWord(r.name, v)) // it may become several words, or where -I puts what it reads
	}
}

// urgent matches flags that put a command before others: a negative niceness (nice(1)), and the class for what cannot wait
// (ionice(1)).
var urgent = regexp.MustCompile(`^(nice (-n|--a[a-z]*)=?-|ionice (-[a-z]*c|--c[a-z]*)=?(1|[rR]))`)

// inner judges the command, which begins at the word that is read.
func (r *wrapping) inner() Decision {
	inner := append([]arg(nil), r.args[r.at:]...)
	if r.replaced != "" {
		for n, word := range inner {
			if at := strings.Index(word.text, r.replaced); at >= 0 {
				inner[n].known, inner[n].dash = false, word.dash || at == 0
			}
		}
	}
	if r.extra && (r.replaced == "" || r.counted) { // of -I and -n, the one that comes last counts
		inner = append(inner, arg{many: true, dash: !r.numbered, number: r.numbered, text: readWords})
	}
	if r.wrapper.name {
		r.programs = append(r.programs, r.args[r.at].text)
	}
	return worst(r.d, r.argv(inner))
}

// unset judges the last flag of env where that takes a variable away.
func (c *call) unset(args []arg) Decision {
	last := args[len(args)-1]
	name := ""
	switch {
	case len(args) > 1 && (args[len(args)-2].text == "--unset" || len(args[len(args)-2].text) > 1 && args[len(args)-2].text[0] == '-' && strings.HasSuffix(args[len(args)-2].text, "u")):
		name = last.text
	case strings.HasPrefix(last.text, "--unset="):
		name = last.text[len("--unset="):]
	case strings.HasPrefix(last.text, "-") && !strings.HasPrefix(last.text, "--") && strings.Contains(last.text, "u"):
		name = last.text[strings.IndexByte(last.text, 'u')+1:]
	default:
		return allow()
	}
	if !last.known {
		return unknownWord("env", last)
	}
	return c.envChanges([]string{"-" + name})
}

// countsWords reports whether a flag of xargs makes it add what it reads at the end, though another one says where to put it.
func countsWords(flag string) bool {
	if strings.HasPrefix(flag, "--") {
		return strings.HasPrefix(flag, "--max-a") || strings.HasPrefix(flag, "--max-l")
	}
	return strings.ContainsAny(flag, "nLl")
}

// replacement is the text that xargs puts what it reads in the place of, "" if it appends that. args begins with a flag.
func replacement(args []arg, before string) string {
	text := args[0].text
	switch {
	case text == "--replace" || text == "-i":
		return "{}"
	case strings.HasPrefix(text, "--replace="):
		return strings.TrimPrefix(text, "--replace=")
	case strings.HasPrefix(text, "--"):
	default:
		at := strings.IndexAny(text, "nLPsdEaIeil")
		switch {
		case at < 0 || text[at] != 'I' && text[at] != 'i':
		case text[at+1:] != "":
			return text[at+1:]
		case text[at] == 'i':
			return "{}"
		case len(args) > 1:
			return args[1].text
		}
	}
	return before
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
	switch name {
	case "sh", "bash", "dash", "ash", "busybox-sh", "rbash":
	default:
		d = ask(Unknown, shown(name)+" reads text by rules of its own")
	}
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
	for _, a := range args[1:] {
		c.findNamed(a.text) // its positional parameters
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
	if len(args) == 1 && args[0].known && (args[0].text == "/etc/os-release" || args[0].text == "/usr/lib/os-release" || args[0].text == "/etc/lsb-release") {
		return allow() // the distribution's own assignments, os-release(5)
	}
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

// RunsOthers reports whether a program runs, or may run, what its words say: a shell, an interpreter, a wrapper, or a
// program with a language of its own.
func RunsOthers(name string) bool {
	if _, ok := wrappers[name]; ok {
		return true
	}
	if g, ok := builtinTable().programs[name]; ok && g.run != nil {
		return true
	}
	return starters[name] != nil || downloaders[name] || runsOthers[name]
}

// runsOthers are further programs that start what their words, or a file that these name, say.
var runsOthers = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`ssh scp sftp rsync make gmake ninja cmake go cargo npm npx yarn pip pip3 gem mvn gradle java ansible ansible-playbook docker podman nerdctl kubectl oc helm git vi vim nvim ed ex emacs nano less more man gdb lldb perf bpftrace at batch crontab tar zip rpm dpkg apt apt-get dnf yum screen tmux expect tclsh m4 bc dc sqlite3 psql mysql mariadb ld.so crictl virsh systemd-nspawn machinectl start-stop-daemon run-parts entr
		prlimit choom uclampset coresched capsh runcon sg newgrp dbus-run-session dbus-launch xvfb-run faketime cgexec firejail bwrap proot
		fakechroot ssh-agent softlimit chpst envdir setuidgid s6-setuidgid daemonize daemon dtach abduco socat nc ncat netcat telnet ip tc
		ifup ifdown qemu-x86_64 qemu-aarch64 wine mono dotnet deno bun guile racket sbcl runghc julia R Rscript octave pwsh nu xonsh elvish
		yash posh osh ysh pypy jruby luajit tclsh wish nodejs coreutils ld-linux ld-linux-x86 ld-musl modprobe insmod logrotate patch mail mailx
		sendmail redis-cli rabbitmqctl pg_ctl openssl gpg ssh-keygen certbot mdadm mount fsck hg svn terraform tofu gradle ant composer
		pnpm zypper apk pacman snap flatpak aptitude microdnf systemd-tmpfiles update-alternatives alternatives visudo
		vim.basic nvi pico joe mcedit lynx w3m links elinks mc pkttyagent perf-record numastat turbostat criu`) {
		runsOthers[name] = true
	}
}
