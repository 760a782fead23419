package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// MaxShell is the longest command, in bytes, that is judged; a longer one asks.
const MaxShell = 64 << 10

// The parser recurses, and takes memory for each level. So the package counts before it parses: brackets, backquotes and
// the words that begin a compound command, whether they stand in quotes or not, since each may open a level; and what
// makes a chain.
const (
	maxNesting = 2000
	maxChain   = 8192 // & and |
)

// maxLinks bounds the commands of one pipeline or list, since each is judged within the one before it.
const maxLinks = 1000

// opens are the words that a compound command, or another command, follows.
var opens = map[string]bool{
	"if": true, "elif": true, "while": true, "until": true, "for": true, "select": true, "case": true, "time": true, "!": true,
	"coproc": true, "function": true,
}

// Shell judges a command line as a shell would read it. Nobody knows which shell, so the text must be harmless in bash
// and in dash: what only one of them runs counts as run.
func (j *Judge) Shell(text string, ctx Context) Decision {
	return j.shellWithin(newBudget(), text, ctx)
}

func (j *Judge) shellWithin(b *budget, text string, ctx Context) Decision {
	c := j.call(ctx, b)
	return c.within(func() Decision { return c.concluded(worst(c.shell(text), c.envChanges(ctx.EnvChanges))) })
}

// shell judges shell text, also that of a shell within a command.
func (c *call) shell(text string) (d Decision) {
	// A text that is too long to be parsed is looked through for what is to be refused, and that is all.
	c.spend(min(len(text), MaxShell) * costByteParsed)
	squeezed := strings.Join(strings.Fields(text), "")
	for _, entry := range c.judge.deny {
		if entry.text != "" && strings.Contains(squeezed, entry.text) {
			return deny("always_deny holds " + shown(entry.entry))
		}
	}
	if c.depth++; c.depth > maxDepth {
		c.depth--
		return ask(Unknown, "commands are nested too deep")
	}
	defer func() { c.depth-- }()
	if why, parse := odd(text); !parse {
		return ask(Unknown, why)
	} else if d = allow(); why != "" {
		d = ask(Unknown, why)
		text = strings.ToValidUTF8(text, "?")
	}
	if c.last == nil {
		c.last = map[string]string{}
	}
	loops, constants, numbers := c.loops, c.constants, c.numbers
	c.loops, c.constants, c.numbers = map[string]arg{}, map[string]arg{}, nil // another shell's variables are not this one's
	defer func() { c.loops, c.constants, c.numbers = loops, constants, numbers }()
	waits := c.waits
	c.waits = strings.Contains(text, "wait")
	defer func() { c.waits = waits }()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(text), "")
	if err == nil && len(text) > maxDeep && c.nestsDeep(file) {
		return worst(d, ask(Unknown, "the shell text is nested too deep"))
	}
	if err == nil && strings.Contains(text, "\\\n") && c.hasLineText(file) {
		d = worst(d, ask(Unknown, "a backslash at the end of a line, beside a comment or here-document, is not read alike by every shell"))
		d = worst(d, c.unparsed(text))
	}
	if err == nil && strings.Contains(text, "`") && strings.Contains(text, "\\") && c.hasBackquotes(file) {
		d = worst(d, ask(Unknown, "a backslash within backquotes is not read alike by every shell"))
	}
	if err != nil {
		return worst(c.unparsed(text), worst(d, ask(Unknown, "the shell text is not understood: "+shown(err.Error()))))
	}
	if err == nil && strings.Contains(text, "<<") && c.hasLateText(file) {
		d = worst(d, ask(Unknown, "a here-document within a substitution goes on behind it, which is not read alike by every shell"))
		d = worst(d, c.unparsed(text))
	}
	c.findNamed(text)
	return worst(d, c.topLevel(file, text))
}

// hasLateText reports whether the text of a here-document stands behind the substitution that it was opened in.
func (b *budget) hasLateText(file *syntax.File) bool {
	found := false
	look := func(outer syntax.Node) {
		b.walk(outer, func(n syntax.Node) bool {
			if r, ok := n.(*syntax.Redirect); ok && r.Hdoc != nil && r.Hdoc.End().Offset() >= outer.End().Offset() {
				found = true
			}
			return !found
		})
	}
	b.walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			found = found || n.Backquotes && b.hasHeredoc(n)
			look(n)
		case *syntax.ProcSubst:
			look(n)
		}
		return !found
	})
	return found
}

func (b *budget) hasHeredoc(outer syntax.Node) bool {
	found := false
	b.walk(outer, func(n syntax.Node) bool {
		r, ok := n.(*syntax.Redirect)
		found = found || ok && (r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc)
		return !found
	})
	return found
}

// findNamed looks for the name of a hidden file anywhere in a text, in a here-document or a word for a loop to read as well.
func (c *call) findNamed(text string) {
	if c.files == nil || c.hiddenName != "" || !strings.Contains(text, "/") {
		return
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n\"'`();|&<>=,", r) }) {
		if strings.HasPrefix(word, "/") || strings.HasPrefix(word, "~/") {
			if c.secret(word, true) != "" {
				c.hiddenName = word
				return
			}
		}
	}
}

// maxDeep bounds what stands within what, since some looks at the whole of it are taken on every level.
const maxDeep = 150

// nestsDeep reports whether substitutions, compound commands and the like stand within one another too deep.
func (b *budget) nestsDeep(file *syntax.File) bool {
	const link = -1  // the level of a pipeline or list in one that goes on after it
	var levels []int // of each node on the way, how much it adds
	depth, links, deep := 0, 0, false
	b.walk(file, func(n syntax.Node) bool {
		if n == nil {
			switch adds := levels[len(levels)-1]; adds {
			case link:
				links--
			default:
				depth -= adds
			}
			levels = levels[:len(levels)-1]
			return true
		}
		adds := 1
		switch n.(type) {
		case *syntax.BinaryCmd:
			links++
			deep = deep || links > maxLinks
			levels = append(levels, link)
			return !deep
		case *syntax.File, *syntax.Stmt, *syntax.CallExpr, *syntax.Word, *syntax.Lit, *syntax.Redirect, *syntax.Assign, *syntax.DblQuoted:
			adds = 0 // a pipeline of many parts is no deeper than one of two
		}
		levels = append(levels, adds)
		depth += adds
		deep = deep || depth > maxDeep
		return !deep
	})
	return deep
}

// hasLineText reports whether a text holds a comment or here-document. The parser and shells differ on whether a
// backslash continues their lines.
func (b *budget) hasLineText(file *syntax.File) bool {
	found := len(file.Last) > 0
	b.walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Comment:
			found = true
		case *syntax.Redirect:
			found = found || n.Hdoc != nil
		}
		return !found
	})
	return found
}

func (b *budget) hasBackquotes(file *syntax.File) bool {
	found := false
	b.walk(file, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.CmdSubst); ok && s.Backquotes {
			found = true
		}
		return !found
	})
	return found
}

// odd says what about a text makes shells read it differently, or "", and whether it may be parsed at all.
func odd(text string) (why string, parse bool) {
	if len(text) > MaxShell {
		return fmt.Sprintf("the shell text is longer than %d bytes", MaxShell), false
	}
	open, links, word := 0, 0, 0
	for i := 0; i < len(text); i++ {
		ch := text[i]
		switch {
		case ch < ' ' && ch != '\n' && ch != '\t' || ch == 0x7f:
			why = "the shell text holds a control character"
		case strings.IndexByte("({`[", ch) >= 0:
			open++
		case ch == '&' || ch == '|':
			links++
		}
		if ch == '!' || ch >= 'a' && ch <= 'z' {
			continue
		}
		if opens[text[word:i]] {
			open++
		}
		word = i + 1
	}
	if open > maxNesting || links > maxChain {
		return "the shell text has too many brackets or compound commands", false
	}
	if !utf8.ValidString(text) {
		why = "the shell text is not UTF-8"
	}
	return why, true
}

// unparsed looks at the lines of a text that does not parse, for what is to be refused.
func (c *call) unparsed(text string) Decision {
	d := allow()
	p := syntax.NewParser(syntax.Variant(syntax.LangBash))
	for i, line := range strings.Split(text, "\n") {
		if i == 100 {
			break
		}
		c.spend(len(line) * costByteParsed)
		if file, err := p.Parse(strings.NewReader(line), ""); err == nil {
			d = worst(d, c.stmts(file.Stmts))
		}
	}
	return d
}

func (c *call) stmts(list []*syntax.Stmt) Decision {
	d := allow()
	for _, s := range list {
		d = worst(d, c.stmt(s))
	}
	return d
}

func (c *call) stmt(s *syntax.Stmt) Decision {
	c.spend(costStatement)
	d := allow()
	fetched := false
	if s.Coprocess || s.Disown || s.Background && !c.waits {
		d = ask(Caution, "a command is left running")
	}
	d = worst(d, c.splitByDash(s))
	for _, r := range s.Redirs {
		r, fetches := c.redirect(r)
		d, fetched = worst(d, r), fetched || fetches
	}
	if s.Cmd == nil {
		return d
	}
	start := len(c.programs)
	d = worst(d, c.command(s.Cmd))
	if fetched && contains(c.programs[start:], readsInput) {
		return deny("runs a download in a shell")
	}
	return d
}

// splitByDash asks about &>, where words follow it: dash ends the command at & and takes them for another one.
func (c *call) splitByDash(s *syntax.Stmt) Decision {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return allow()
	}
	last := call.Args[len(call.Args)-1].Pos().Offset()
	for _, r := range s.Redirs {
		if (r.Op == syntax.RdrAll || r.Op == syntax.AppAll) && (r.OpPos.Offset() < last || slices.ContainsFunc(s.Redirs, func(other *syntax.Redirect) bool {
			return other.OpPos.Offset() > r.OpPos.Offset() && other.Op != syntax.DplOut && other.Op != syntax.DplIn
		})) {
			return ask(Unknown, "words behind &> are another command to some shells")
		}
	}
	return allow()
}

// command judges one node of the syntax tree. What is not in the switch asks.
func (c *call) command(cmd syntax.Command) Decision {
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		return c.simple(cmd)
	case *syntax.BinaryCmd:
		return c.binary(cmd)
	case *syntax.Subshell:
		dir := c.dir
		d := c.stmts(cmd.Stmts)
		c.dir = dir
		return d
	case *syntax.Block:
		return c.stmts(cmd.Stmts)
	case *syntax.IfClause:
		d := allow()
		for ; cmd != nil; cmd = cmd.Else {
			d = worst(d, worst(c.stmts(cmd.Cond), c.stmts(cmd.Then)))
		}
		return d
	case *syntax.WhileClause:
		return worst(c.stmts(cmd.Cond), c.stmts(cmd.Do))
	case *syntax.ForClause:
		return c.loop(cmd)
	case *syntax.CaseClause:
		d := c.parts(cmd.Word)
		for _, item := range cmd.Items {
			for _, p := range item.Patterns {
				d = worst(d, c.parts(p))
			}
			d = worst(d, c.stmts(item.Stmts))
		}
		return d
	case *syntax.TimeClause:
		if cmd.Stmt == nil {
			return allow()
		}
		return c.stmt(cmd.Stmt)
	case *syntax.TestClause:
		return c.test(cmd.X)
	case *syntax.DeclClause:
		return c.declare(cmd)
	case *syntax.FuncDecl:
		return c.function(cmd)
	case *syntax.CoprocClause:
		return worst(ask(Caution, "coproc leaves a command running"), c.stmt(cmd.Stmt))
	}
	d := ask(Caution, "the shell evaluates arithmetic, which may run commands")
	if inner := c.inside(cmd); inner.Verdict == Deny {
		return inner
	}
	return d
}

// inside judges every command substitution within a node.
func (c *call) inside(node syntax.Node) Decision {
	d := allow()
	c.walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst:
			d = worst(d, c.stmts(n.Stmts))
			return false
		case *syntax.ProcSubst:
			d = worst(d, c.stmts(n.Stmts))
			return false
		}
		return true
	})
	return d
}

// downloaders are the programs whose output comes from the network.
var downloaders = map[string]bool{"curl": true, "wget": true, "fetch": true, "aria2c": true, "lynx": true, "w3m": true, "http": true, "https": true, "nc": true, "ncat": true, "netcat": true, "socat": true, "ftp": true, "tftp": true}

func hasDownloader(programs []string) bool {
	for _, p := range programs {
		if downloaders[p] {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// binary judges the parts of a pipeline or list; a download must not reach a shell down the pipe.
func (c *call) binary(cmd *syntax.BinaryCmd) Decision {
	dir := c.dir
	start := len(c.programs)
	before, mentioned := c.everything, c.mentions
	c.everything, c.mentions = "", ""
	d := c.stmt(cmd.X)
	middle, everything, named := len(c.programs), c.everything, c.mentions
	c.everything = before
	if c.mentions == "" {
		c.mentions = mentioned
	}
	numbered := c.numbered
	if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
		c.dir = dir
		c.numbered = cmd.Op == syntax.Pipe && listsNumbers(cmd.X)
	}
	d = worst(d, c.stmt(cmd.Y))
	c.numbered = numbered
	if cmd.Op != syntax.Pipe && cmd.Op != syntax.PipeAll {
		return d
	}
	c.dir = dir
	if named != "" && contains(c.programs[middle:], "xargs") {
		d = worst(d, ask(Caution, "hands the name of "+shown(named)+" to xargs, which is hidden by the read policy"))
	}
	if later := c.programs[middle:]; everything != "" && passesAll(c.programs[start:middle]) && contains(later, "xargs") && (contains(later, "rm") || contains(later, "shred") || contains(later, "unlink")) {
		return deny("removes everything below " + shown(everything))
	}
	if contains(c.programs[middle:], readsInput) && hasDownloader(c.programs[start:middle]) {
		return deny("runs a download in a shell")
	}
	return d
}

// passesAll reports whether the programs of a pipeline hand on all that the first of them prints.
func passesAll(programs []string) bool {
	for _, p := range programs {
		switch p {
		case "find", "echo", "printf", "ls", "cat", "sort", "tr", "sudo", "env", "nice", "timeout":
		default:
			return false
		}
	}
	return true
}

// loop judges a for loop: within it, the variable stands for what was listed.
func (c *call) loop(cmd *syntax.ForClause) Decision {
	if three, ok := cmd.Loop.(*syntax.CStyleLoop); ok && !cmd.Select { // to dash it is an error
		d := worst(c.arithmetic(three.Init), worst(c.arithmetic(three.Cond), c.arithmetic(three.Post)))
		d = worst(d, worst(c.expression(three.Init), worst(c.expression(three.Cond), c.expression(three.Post))))
		return worst(d, c.stmts(cmd.Do))
	}
	iter, ok := cmd.Loop.(*syntax.WordIter)
	if !ok || cmd.Select {
		return worst(ask(Caution, "the loop evaluates arithmetic or asks for input"), c.stmts(cmd.Do))
	}
	value, d := wordsOfLoop(c, iter)
	name := iter.Name.Value
	if c.changes(name, cmd.Do) {
		value = arg{dash: true, many: true}
	}
	if dangerousName(name) {
		d = worst(d, ask(Caution, "the loop changes the variable "+shown(name)))
	}
	before, had := c.loops[name]
	c.loops[name] = value
	d = worst(d, c.stmts(cmd.Do))
	delete(c.loops, name)
	if had {
		c.loops[name] = before
	}
	return d
}

// wordsOfLoop is what a loop's variable stands for, and the verdict on the list.
func wordsOfLoop(c *call, iter *syntax.WordIter) (arg, Decision) {
	d := allow()
	l := loopList{plain: true}
	l.value.dash = len(iter.Items) == 0
	if !iter.InPos.IsValid() {
		l.value.dash, l.value.many = true, true
	}
	for _, item := range iter.Items {
		args, w := c.word(item)
		d = worst(d, w)
		for i := range args {
			l.add(&args[i])
		}
		if len(args) > 1 && len(l.value.others) < maxOthers {
			l.value.others = append(l.value.others, c.source(item)) // dash does not expand braces
		}
	}
	return l.end(len(iter.Items)), d
}

// loopList gathers the words of a loop's list into the one word that stands for them.
type loopList struct {
	value    arg
	plain    bool // each is a word of plain characters that is known
	rootless bool // of one it is not known where its file is
	special  bool // some programs take one for more than a file
}

func (l *loopList) add(a *arg) {
	v := &l.value
	if v.text == "" {
		v.text = a.text
	} else if len(v.others) < maxOthers {
		v.others = append(v.others, a.text)
	}
	if strings.Contains(a.text, "/dev") || strings.Contains(a.text, "/inet") || !strings.HasPrefix(a.text, "/") {
		l.special = true
	}
	v.dash = v.dash || a.dash || strings.HasPrefix(a.text, "-")
	if a.known && strings.HasPrefix(a.text, "/") {
		a.rooted(a.text)
	}
	if l.rootless = l.rootless || len(a.roots) == 0; !l.rootless {
		v.roots = append(v.roots, a.roots...)
	}
	l.plain = l.plain && a.known && isPlain(a.text) && len(a.text) < 1024
}

// end returns the word for a list of so many items.
func (l *loopList) end(items int) arg {
	v := l.value
	if l.special && strings.HasPrefix(v.text, "/") && items > 1 {
		v.others = append(v.others, v.text)
		v.text = ""
	}
	if l.rootless {
		v.roots = nil
	}
	v.plain = l.plain && items > 0
	v.closed = v.plain && v.text != "" && len(v.others) < maxOthers
	return v
}

// changes reports whether a loop's body may give the loop's variable another value.
func (b *budget) changes(name string, body []*syntax.Stmt) bool {
	found := false
	for _, s := range body {
		b.walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Assign:
				found = found || n.Name == nil || n.Name.Value == name
			case *syntax.WordIter:
				found = found || n.Name.Value == name
			case *syntax.CallExpr:
				count := map[string]int{}
				found = found || !countRead(n, count) || count[name] > 0
			default:
				found = found || n != nil && assignsIn(n) == name
			}
			return !found
		})
	}
	return found
}

// function judges a declaration: it gives a name another meaning, which asks, and may be a fork bomb, which is refused.
func (c *call) function(cmd *syntax.FuncDecl) Decision {
	if cmd.Name != nil && c.callsItself(cmd.Name.Value, cmd.Body) {
		return deny("the function " + shown(cmd.Name.Value) + " starts itself without end")
	}
	return worst(ask(Caution, "declares a function"), c.stmt(cmd.Body))
}

// callsItself reports whether a function's body starts the function in the background or in a pipe.
func (b *budget) callsItself(name string, body *syntax.Stmt) bool {
	calls := func(n syntax.Node) bool {
		found := false
		b.walk(n, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
				text, _ := staticText(call.Args[0])
				found = found || text == name
			}
			return !found
		})
		return found
	}
	found := false
	b.walk(body, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
				found = found || calls(n)
				return false // all of it has been looked at
			}
		case *syntax.Stmt:
			if n.Background {
				found = found || calls(n)
				return false
			}
		}
		return !found
	})
	return found
}

// ownNames are names in capitals that people give to variables of a text, and that neither a shell nor a program looks at.
var ownNames = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`LOG LOGS LOGFILE LOG_FILE LOGDIR LOG_DIR FILE FILES DIR DIRS FOLDER PID PIDS HOST HOSTS PORT PORTS SVC SERVICE
		SERVICES UNIT UNITS NAME NAMES NUM COUNT TOTAL USED AVAIL MEM CPU CPUS CORES LOAD DISK DISKS USAGE THRESHOLD LIMIT MAX MIN N I X Y A B C D E F
		NOW TODAY DATE START END SINCE UNTIL OUT RES RESULT RESULTS OUTPUT LINE VALUE KEY STATUS STATE CODE RC RET CONF CERT DOMAIN IP IPS IFACE
		INTERFACE ADDR PROC PROCESS PROG DEV DEVICE MOUNT PARTITION PATTERN WORD WORDS ITEM ITEMS SIZE AGE DAYS HOURS MINUTES`) {
		ownNames[name] = true
	}
}

// dangerousName reports whether a variable changes how later commands are found, split or run. Lower-case names are the
// text's own.
func dangerousName(name string) bool {
	return !isVariable(name) && !ownNames[name] && !harmlessEnv(name, "") || strings.HasPrefix(name, "_") ||
		strings.HasSuffix(name, "_proxy")
}

// simple judges assignments and a command's words.
func (c *call) simple(cmd *syntax.CallExpr) Decision {
	d := allow()
	for _, a := range cmd.Assigns {
		if len(cmd.Args) > 0 && cmd.Args[0].Lit() == "read" && a.Name != nil && a.Name.Value == "IFS" && a.Index == nil && a.Array == nil {
			d = worst(d, c.parts(a.Value)) // lasts for the builtin alone
			continue
		}
		d = worst(d, c.assign(a, len(cmd.Args) > 0))
	}
	if len(cmd.Args) == 0 {
		return d
	}
	var args, unbraced []arg
	braced := false
	for _, w := range cmd.Args {
		words, wd := c.word(w)
		d = worst(d, wd)
		args = append(args, words...)
		if len(words) > 1 && !words[0].many {
			if !braced { // as dash reads the words
				braced, unbraced = true, append(unbraced, args[:len(args)-len(words)]...)
			}
			unbraced = append(unbraced, arg{text: c.source(w), known: true})
		} else if braced {
			unbraced = append(unbraced, words...)
		}
	}
	d = worst(d, c.argv(args))
	if braced && d.Verdict == Allow {
		// dash does not expand braces: what it sees must be harmless too.
		d = worst(d, c.argv(unbraced))
	}
	for len(args) > 1 && (args[0].text == "command" || args[0].text == "builtin") {
		args = args[1:] // it moves the shell all the same
	}
	if len(args) > 1 && (args[0].text == "cd" || args[0].text == "pushd") {
		c.moved(args[len(args)-1])
	} else if args[0].text == "cd" || args[0].text == "popd" || args[0].text == "pushd" {
		c.moved(arg{text: "~"})
	}
	return d
}

// assign judges one assignment: for a command it must be harmless, for the shell it must not be dangerous.
func (c *call) assign(a *syntax.Assign, forCommand bool) Decision {
	if a.Name == nil {
		return ask(Unknown, "an assignment is not understood")
	}
	name := a.Name.Value
	d := allow()
	if a.Index != nil || a.Array != nil || a.Append {
		d = ask(Caution, "the assignment to "+shown(name)+" may run commands")
		return worst(d, c.inside(a))
	}
	value := arg{known: true}
	if a.Value != nil {
		words, wd := c.word(a.Value)
		d = worst(d, wd)
		if len(words) == 1 {
			value = words[0]
		} else {
			value = arg{}
		}
	}
	if value.known || value.text != "" {
		c.last[name] = value.text
	}
	harmless := value.known && harmlessEnv(name, value.text)
	if !harmless && (forCommand || dangerousName(name) || harmlessEnv(name, "")) {
		d = worst(d, ask(Caution, "changes the variable "+shown(name)))
	}
	return d
}

// declare judges export and its kin: an exported variable changes the commands that follow.
func (c *call) declare(cmd *syntax.DeclClause) Decision {
	d := allow()
	if v := cmd.Variant.Value; v != "export" && v != "local" && v != "readonly" {
		d = ask(Caution, shown(v)+" may run commands")
	}
	for _, a := range cmd.Args {
		if a.Name == nil || a.Naked {
			d = worst(d, ask(Caution, shown(cmd.Variant.Value)+" is given what is not an assignment"))
			d = worst(d, c.inside(a))
			continue
		}
		d = worst(d, c.assign(a, true))
	}
	return d
}

// hereDocument judges what expands in a here-document, and where it ends.
func hereDocument(c *call, r *syntax.Redirect) Decision {
	d := allow()
	if !isDelimiter(r.Word) {
		d = ask(Unknown, "the end of a here-document is not read alike by every shell")
	}
	if r.Hdoc == nil {
		return d
	}
	return worst(d, c.parts(r.Hdoc))
}

// redirect judges a redirection, and reports whether it reads a download. Only /dev/null may be written.
func (c *call) redirect(r *syntax.Redirect) (Decision, bool) {
	d := allow()
	if r.N != nil && strings.Trim(r.N.Value, "0123456789") != "" {
		d = ask(Caution, "a redirection assigns the variable "+shown(r.N.Value))
	}
	if r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc {
		return worst(d, hereDocument(c, r)), false
	}
	words, wd := c.word(r.Word)
	d = worst(d, wd)
	to := arg{many: true}
	if len(words) == 1 {
		to = words[0]
	}
	switch r.Op {
	case syntax.WordHdoc:
		return d, to.fetches
	case syntax.DplIn, syntax.DplOut:
		if to.known && descriptor.MatchString(to.text) {
			return d, false
		}
		if r.Op == syntax.DplOut && to.known && to.text == "/dev/null" {
			return d, false
		}
	case syntax.RdrIn:
		for _, text := range append([]string{to.text}, to.others...) {
			if why := c.secret(text, to.known); why != "" {
				d = worst(d, ask(Caution, "the shell "+why))
			}
		}
		if !strings.HasPrefix(to.text, "/dev/") && (to.known || to.closed && strings.HasPrefix(to.text, "/") && !to.many || to.below()) ||
			to.known && readable[to.text] {
			return d, to.fetches
		}
		return worst(d, ask(Caution, "reads "+shown(to.text)+" by redirection")), to.fetches
	default:
		// The last two are the command's own streams, which are pipes.
		if to.known && r.Op != syntax.RdrInOut && (to.text == "/dev/null" || to.text == "/dev/stderr" || to.text == "/dev/stdout") {
			return d, false
		}
	}
	if c.isDisk(to.text) {
		return deny("writes over the disk " + shown(to.text)), false
	}
	c.noteRedirection(r.Op, to)
	return worst(d, ask(Caution, "writes "+shown(to.text)+" by redirection")), false
}

// descriptor matches what a redirection takes for a descriptor, to copy, to move or to close. Other digits and dashes are a
// file's name to some shells.
var descriptor = regexp.MustCompile(`^([0-9]+-?|-)$`)

// readable are the devices that a redirection may read.
var readable = map[string]bool{"/dev/null": true, "/dev/stdin": true, "/dev/zero": true, "/dev/full": true, "/dev/random": true, "/dev/urandom": true}

// isDelimiter reports whether a here-document's delimiter is a plain word, or one quoted as a whole.
func isDelimiter(w *syntax.Word) bool {
	if w == nil || len(w.Parts) != 1 {
		return false
	}
	text := ""
	switch part := w.Parts[0].(type) {
	case *syntax.Lit:
		text = part.Value
	case *syntax.SglQuoted:
		text = part.Value
		if part.Dollar {
			return false
		}
	case *syntax.DblQuoted:
		if part.Dollar || len(part.Parts) != 1 {
			return false
		}
		if lit, ok := part.Parts[0].(*syntax.Lit); ok {
			text = lit.Value
		}
	}
	for i := 0; i < len(text); i++ {
		if !isAwkWord(text[i]) {
			return false
		}
	}
	return text != ""
}

// test judges [[ ]]. dash does not know it: there, what stands within is a command's words and redirections.
func (c *call) test(x syntax.TestExpr) Decision {
	switch x := x.(type) {
	case *syntax.Word:
		return c.parts(x)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsVarSet || x.Op == syntax.TsRefVar {
			return ask(Caution, "[[ "+x.Op.String()+" ]] may evaluate a subscript")
		}
		return c.test(x.X)
	case *syntax.BinaryTest:
		if y, ok := x.Y.(*syntax.Word); ok && x.Op == syntax.TsReMatch && strings.ContainsAny(c.source(y), "|&;()<>") {
			return worst(ask(Caution, "the pattern in [[ ]] is commands to another shell"), c.inside(x))
		}
		if (x.Op == syntax.AndTest || x.Op == syntax.OrTest) && beginsWithFlag(x.Y) {
			return worst(c.test(x.X), c.test(x.Y))
		}
		if comparesNumbers(x.Op) {
			a, ok := x.X.(*syntax.Word)
			b, ok2 := x.Y.(*syntax.Word)
			if ok && ok2 && c.isNumeric(a) && c.isNumeric(b) {
				return worst(c.parts(a), c.parts(b))
			}
		}
		switch x.Op {
		case syntax.TsReMatch, syntax.TsNewer, syntax.TsOlder, syntax.TsDevIno, syntax.TsMatchShort, syntax.TsMatch, syntax.TsNoMatch:
			return worst(c.test(x.X), c.test(x.Y))
		default: // nothing of the kind for the others
		}
		return worst(ask(Caution, "[[ "+x.Op.String()+" ]] may evaluate a subscript, or be a redirection or a command to another shell"), c.inside(x))
	}
	return worst(ask(Caution, "[[ ]] is not understood"), c.inside(x))
}

// comparesNumbers reports whether bash evaluates the sides of an operator as arithmetic.
func comparesNumbers(op syntax.BinTestOperator) bool {
	switch op {
	case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
		return true
	default: // nothing of the kind for the others
	}
	return false
}

// beginsWithFlag reports whether the first word of an expression is an operator such as -f. A shell that takes && for its
// own then finds no program of that name.
func beginsWithFlag(x syntax.TestExpr) bool {
	switch x := x.(type) {
	case *syntax.UnaryTest:
		return x.Op == syntax.TsNot && beginsWithFlag(x.X) || strings.HasPrefix(x.Op.String(), "-")
	case *syntax.BinaryTest:
		return (x.Op == syntax.AndTest || x.Op == syntax.OrTest) && beginsWithFlag(x.X)
	}
	return false
}
