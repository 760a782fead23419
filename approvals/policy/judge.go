package policy

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"shannot-gateway/approvals/render"
)

// Profile is what the user's configuration says of commands.
type Profile struct {
	// AutoApprove holds commands that run unattended, each one or more words ("df", "systemctl status"). A program with a
	// grammar runs unattended only as the grammar says that it reads. Of any other program the judge compares the first
	// words, and whatever follows them is the user's own decision.
	AutoApprove []string
	// Packs are families of programs whose rows the package has, and which run unattended as these say: "docker", "git".
	Packs []string
	// AlwaysDeny holds commands that the judge refuses: a program ("mkfs", which is mkfs.ext4 as well), or a program with
	// flags and operands that must all be there, in any order ("rm -rf /"). It compares an entry with shell operators
	// with the shell text, blanks apart.
	AlwaysDeny []string
	// Programs are the user's own rows of the table, by name. A row replaces the built-in one. A program with a row runs
	// unattended as the row says, or, where AutoApprove names it, as both say.
	Programs map[string]Program
	// Hide holds the files whose content a command may not show unattended, and Read, if there is any, those that it may:
	// patterns as in vfs.NewPolicy. A command that names such a file asks, unless it shows no more than names.
	Read, Hide []string
}

// Context is what a command's meaning depends on besides its words.
type Context struct {
	// EnvChanges is how the environment differs from the session's first: "KEY=VALUE" added or changed, "-KEY" removed.
	EnvChanges []string
	// Target is where the command would run; "" where that is not asked about. One Judge has one answer for all.
	Target string
	// Dir is the absolute working directory, "" where it is not known.
	Dir string
	// Bare says that no wall of the target holds what runs unasked: neither the files that it opens, nor what it writes. Then
	// a word that is not known before the shell expands it asks also where a program only reads.
	Bare bool
	// Foreign are the programs that are found by their names in a directory that others can write, with their paths.
	Foreign map[string]string
}

// Judge decides on commands by one profile. It may be used by several goroutines at once.
type Judge struct {
	approve  map[string][][]string // program name → the words that follow it, one list per entry
	deny     []denial
	programs map[string]*grammar
	versions map[string]map[string]bool // as in table
	files    *fileRules                 // nil if nothing is hidden
}

// denial is one entry of AlwaysDeny.
type denial struct {
	entry   string
	text    string   // without blanks, if the entry is shell text rather than words
	name    string   // program
	letters string   // short flags
	words   []string // long flags and operands
}

// New checks a profile and makes a Judge of it. Errors are an entry without a word, a row that contradicts itself, and a
// row for a program that the package judges by its own means.
func New(p Profile) (*Judge, error) {
	t := builtinTable()
	j := &Judge{approve: map[string][][]string{}, programs: t.programs, versions: t.versions}
	for _, entry := range p.AutoApprove {
		words := strings.Fields(entry)
		if len(words) == 0 {
			return nil, fmt.Errorf("reading auto_approve: an entry is empty; remove it")
		}
		if strings.ContainsAny(entry, "|&;<>()$`\\\"'*?[\n") {
			return nil, fmt.Errorf("reading auto_approve: %q is shell text; an entry is a program and the words after it", entry)
		}
		j.approve[words[0]] = append(j.approve[words[0]], words[1:])
	}
	for _, name := range p.Packs {
		programs, ok := t.packs[name]
		if !ok {
			return nil, fmt.Errorf("reading packs: %q is none; there are %s", name, strings.Join(slices.Sorted(maps.Keys(t.packs)), ", "))
		}
		for _, program := range programs {
			j.approve[program] = append(j.approve[program], nil)
		}
	}
	for _, entry := range p.AlwaysDeny {
		d, err := newDenial(entry)
		if err != nil {
			return nil, err
		}
		j.deny = append(j.deny, d)
	}
	if len(p.Read) > 0 || len(p.Hide) > 0 {
		files, err := newFileRules(p.Read, p.Hide)
		if err != nil {
			return nil, err
		}
		j.files = files
	}
	return j, j.addPrograms(p.Programs)
}

// addPrograms puts a user's rows over the built-in ones.
func (j *Judge) addPrograms(rows map[string]Program) error {
	if len(rows) > 0 {
		j.programs = maps.Clone(j.programs)
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if err := checkProgramName(name); err != nil {
			return fmt.Errorf("reading programs.%s: %w", name, err)
		}
		g, err := rows[name].compile("", nil, 0)
		if err != nil {
			return fmt.Errorf("reading programs.%s: %w", name, err)
		}
		j.programs[name] = g
		if len(j.approve[name]) == 0 {
			j.approve[name] = [][]string{nil}
		}
	}
	return nil
}

// newDenial reads one entry of always_deny.
func newDenial(entry string) (denial, error) {
	words := strings.Fields(entry)
	if len(words) == 0 {
		return denial{}, fmt.Errorf("reading always_deny: an entry is empty; remove it")
	}
	d := denial{entry: entry, name: words[0]}
	if why := neverMatches(words); why != "" {
		return denial{}, fmt.Errorf("reading always_deny: %q can never match: %s", entry, why)
	}
	if strings.ContainsAny(entry, "|&;<>(){}$`") {
		d.text = strings.Join(words, "")
		return d, nil
	}
	for _, w := range words[1:] {
		if len(w) > 1 && w[0] == '-' && w[1] != '-' {
			d.letters += w[1:]
		} else {
			d.words = append(d.words, w)
		}
	}
	return d, nil
}

// neverMatches says why an entry of words refuses nothing, or "".
func neverMatches(words []string) string {
	switch name := words[0]; {
	case strings.ContainsAny(strings.Join(words, ""), "|&;<>(){}$`"): // shell text
	case strings.Contains(name, "/"):
		return "write the program's name without its directory, " + path.Base(name)
	case name[0] == '-' || strings.Contains(name, "="):
		return "an entry begins with a program's name"
	case strings.ContainsAny(strings.Join(words, " "), `'"\`):
		return "its quotes and backslashes are no part of what a program is given; leave them out"
	}
	return ""
}

// Writers are the programs of AutoApprove that the package has no row for, and knows to change things. Where the target has a
// wall, that breaks them.
func (j *Judge) Writers() []string {
	var names []string
	for name := range j.approve {
		if j.programs[name] == nil && consequences()[name] != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// matches reports whether a command, its program's name already resolved, is one that the entry refuses.
func (d denial) matches(name string, args []arg) bool {
	if d.text != "" || name != d.name && !strings.HasPrefix(name, d.name+".") {
		return false
	}
	letters, words := "", map[string]bool{}
	for _, a := range args {
		if len(a.text) > 1 && a.text[0] == '-' && a.text[1] != '-' {
			letters += a.text[1:]
		}
		words[a.text] = true
		if strings.HasPrefix(a.text, "/") {
			words[path.Clean(a.text)] = true
		}
	}
	if words["--recursive"] {
		letters += "rR"
	}
	if words["--force"] {
		letters += "f"
	}
	for _, l := range d.letters {
		if !strings.ContainsRune(letters, l) {
			return false
		}
	}
	for _, w := range d.words {
		if !words[w] {
			return false
		}
	}
	return true
}

// Argv judges a command that no shell reads. The first word is the program.
func (j *Judge) Argv(argv []string, ctx Context) Decision {
	if len(argv) == 0 {
		return ask(Unknown, "the command has no words")
	}
	size := 0
	args := make([]arg, len(argv))
	for i, word := range argv {
		size += len(word)
		if strings.IndexByte(word, 0) >= 0 {
			return ask(Unknown, "an argument holds a NUL byte")
		}
		args[i] = arg{text: word, known: true}
	}
	if size > MaxShell {
		return ask(Unknown, fmt.Sprintf("the arguments are longer than %d bytes", MaxShell))
	}
	c := j.call(ctx, newBudget())
	return c.within(func() Decision { return c.concluded(worst(c.argv(args), c.envChanges(ctx.EnvChanges))) })
}

// worst is the stricter of two decisions, the first of two that are equally strict, with the higher risk of the two.
func worst(a, b Decision) Decision {
	switch {
	case rank(b.Verdict) > rank(a.Verdict):
		return b
	case b.Verdict == a.Verdict && riskRank(b.Risk) > riskRank(a.Risk):
		a.Risk = b.Risk
	}
	return a
}

func rank(v Verdict) int {
	switch v {
	case Allow:
		return 0
	case Ask:
		return 1
	case Deny:
		return 2
	}
	return 1
}

func allow() Decision                 { return Decision{Verdict: Allow, Risk: Safe, Reason: "only reads"} }
func ask(r Risk, why string) Decision { return Decision{Verdict: Ask, Risk: r, Reason: why} }
func deny(why string) Decision        { return Decision{Verdict: Deny, Risk: Danger, Reason: why} }

// shown is a word as a reason may hold it.
func shown(word string) string {
	t, _ := render.Fit(render.Argv([]string{word}), 80)
	return t.String()
}

// envChanges judges how the environment of a command differs from the session's.
func (b *budget) envChanges(changes []string) Decision {
	d := allow()
	for _, change := range changes {
		b.spend(costWord + len(change)/bytesPerStep)
		if name, removed := strings.CutPrefix(change, "-"); removed {
			if !harmlessEnv(name, "") && !unneeded[name] {
				d = worst(d, ask(Caution, "removes the variable "+shown(name)))
			}
			continue
		}
		name, value, _ := strings.Cut(change, "=")
		if !harmlessEnv(name, value) {
			d = worst(d, ask(Caution, "changes the variable "+shown(name)))
		}
	}
	return d
}

// unneeded are variables without which programs look into the password file, or do less.
var unneeded = map[string]bool{}

func init() {
	for _, name := range strings.Fields("HOME USER LOGNAME SHELL PWD OLDPWD MAIL SHLVL HOSTNAME TERM") {
		unneeded[name] = true
	}
}

// charset matches the value of a locale variable whose charset has no character with a byte of ASCII in it. Without a charset a
// locale of Chinese, Japanese or Korean has one that may.
var charset = regexp.MustCompile(`^(C|POSIX|([a-z]{2,3}(_[A-Z]{2})?(\.(UTF-8|utf-8|utf8|UTF8|ISO-8859-[0-9]{1,2}|iso8859[0-9]{1,2}))(@[a-z]+)?)|C\.(UTF-8|utf8|utf-8|UTF8)|)$`)

var bareLocale = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?$`)

// singleByte reports whether a backslash is a backslash, wherever it stands, in a locale.
func singleByte(value string) bool {
	return charset.MatchString(value) || bareLocale.MatchString(value) &&
		!strings.HasPrefix(value, "zh") && !strings.HasPrefix(value, "ja") && !strings.HasPrefix(value, "ko")
}

// harmlessEnv reports whether a variable changes no more than how output looks.
func harmlessEnv(name, value string) bool {
	switch name {
	case "LANG", "LC_ALL", "LC_CTYPE":
		return singleByte(value)
	case "LANGUAGE", "LC_COLLATE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "TZ":
		// A path in these names a file that the C library loads.
		return !strings.ContainsAny(value, "/\x00") || name == "TZ" && isZone(value)
	case "COLUMNS", "LINES":
		return strings.Trim(value, "0123456789") == ""
	case "TERM":
		return value == "dumb" || value == ""
	case "NO_COLOR", "CLICOLOR", "SYSTEMD_COLORS", "BLOCKSIZE", "BLOCK_SIZE", "TIME_STYLE", "QUOTING_STYLE", "POSIXLY_CORRECT":
		return !strings.ContainsAny(value, "/\x00")
	case "PAGER", "SYSTEMD_PAGER":
		return value == "cat" || value == ""
	}
	return false
}

// isZone reports whether a TZ value names a zone of the system's own database.
func isZone(s string) bool {
	return !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, ":") && !strings.Contains(s, "..") &&
		strings.Count(s, "/") <= 2 && !strings.ContainsRune(s, 0)
}

// resolve returns the name of the program that a word starts. A word with a slash counts as the program of that name
// only within the directories that the system's packages own.
func resolve(word string) (string, bool) {
	if !strings.Contains(word, "/") {
		return word, word != ""
	}
	switch dir, base := path.Split(word); dir {
	case "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/":
		return base, base != ""
	}
	return path.Base(word), false
}

// call judges one command; it carries what the commands before it changed.
type call struct {
	judge *Judge
	depth int
	// everything is the protected directory whose name, or those below it, a command prints, "" for none.
	everything string
	// foreign is that of the Context.
	foreign map[string]string
	// mentions is a hidden file that a command names which shows no content, "" for none.
	mentions string
	// programs are the effective programs seen so far, and what shells without a script do: they read one.
	programs []string
	// made is what the commands that ask would do, and unclear are those of which the package does not know it.
	made    []consequence
	unclear []string
	// bare is that of the Context, and numbered says that the pipe into the command carries whole numbers alone.
	bare, numbered bool
	// waits says that the text waits for what it starts in the background.
	waits bool
	// downloads is how many substitutions that run a downloader have been seen.
	downloads int
	cwd
	variables
	*budget
}

func (j *Judge) call(ctx Context, b *budget) *call {
	return &call{
		judge: j, foreign: ctx.Foreign, bare: ctx.Bare, budget: b,
		cwd:       cwd{files: j.files, dir: ctx.Dir, budget: b},
		variables: variables{budget: b},
	}
}

// maxDepth bounds commands within commands.
const maxDepth = 12

// likelyEffect is effect of the programs that a pattern in the place of one may lead to.
func likelyEffect(c *call, name string, args []arg) Decision {
	if !args[0].many || !strings.ContainsAny(name, "*?[") {
		return allow()
	}
	for _, likely := range []string{"rm", "dd", "find", "mkfs", "chmod", "chown"} {
		if match, err := path.Match(name, likely); err != nil || !match {
			continue
		}
		if d := c.effect(likely, args[1:]); d.Verdict == Deny {
			return d
		}
	}
	return allow()
}

// argv judges one command. The words are what the shell would hand over, or as much as is known of them.
func (c *call) argv(args []arg) (d Decision) {
	if c.depth++; c.depth > maxDepth {
		c.depth--
		return ask(Unknown, "commands are nested too deep")
	}
	defer func() {
		c.depth--
		c.refuse(d)
	}()
	for i := range args {
		c.spend(args[i].cost())
	}
	if len(args) == 0 {
		return ask(Unknown, "the command has no words")
	}
	if words := strings.Fields(args[0].text); args[0].many && len(words) > 1 {
		// The first word falls apart: what it most likely becomes must not be refused.
		var guess []arg
		for _, w := range words {
			guess = append(guess, arg{text: w})
		}
		if d := c.argv(append(guess, args[1:]...)); d.Verdict == Deny {
			return d
		}
	}
	name, system := resolve(args[0].text)
	c.programs = append(c.programs, name)
	if downloaders[name] {
		c.downloads++
	}
	for _, d := range c.judge.deny {
		if d.matches(name, args[1:]) {
			return deny("always_deny holds " + shown(d.entry))
		}
	}
	if d := c.effect(name, args[1:]); d.Verdict == Deny {
		return d
	}
	if d := likelyEffect(c, name, args); d.Verdict == Deny {
		return d
	}
	d = c.program(name, args[1:])
	trusted := false
	switch {
	case d.Verdict == Deny:
	case !args[0].known || args[0].many:
		d = ask(Unknown, "which program runs is not known before the shell expands "+shown(args[0].text))
	case system && c.foreign[name] != "" && !strings.Contains(args[0].text, "/") && !isBuiltin(c.judge.programs[name]):
		d = ask(Unknown, shown(name)+" would be "+shown(c.foreign[name])+", in a directory that others can write")
	case !system && strings.Contains(args[0].text, "/"):
		d = ask(Unknown, shown(args[0].text)+" is not in a system directory")
	default:
		trusted = true
	}
	if !trusted && d.Verdict == Ask { // another program of that name
		c.unclear = appendOnce(c.unclear, shown(args[0].text))
		return d
	}
	return c.note(name, args[1:], d)
}

func isBuiltin(g *grammar) bool { return g != nil && g.builtin }

// program judges by what kind of program it is: one that starts another, one with a grammar, or any other.
func (c *call) program(name string, args []arg) Decision {
	if len(args) == 1 && args[0].known && c.judge.versions[name][args[0].text] {
		return Decision{Verdict: Allow, Risk: Safe, Reason: "only says its version"}
	}
	if run, ok := starters[name]; ok {
		return run(c, name, args)
	}
	if w, ok := wrappers[name]; ok {
		return c.wrapped(name, w, args)
	}
	g, ok := c.judge.programs[name]
	if !ok {
		return c.listed(name, args)
	}
	words, d := g.judge(c, name, args)
	switch {
	case d.Verdict != Allow:
	case g.names:
		c.mention(args)
	default:
		d = worst(c.reads(name, args), worst(c.endless(name, args), c.globbed(name, args)))
	}
	if d.Verdict != Allow || g.builtin || c.judge.approves(name, words, args) {
		return d
	}
	return ask(Caution, shown(strings.Join(append([]string{name}, words...), " "))+notListed)
}

// notListed ends the reason of what the table knows to read, or knows nothing of.
const notListed = " is not in auto_approve"

// listed judges a program that the package knows nothing of: the user's list alone decides.
func (c *call) listed(name string, args []arg) Decision {
	if len(c.judge.approve[name]) == 0 {
		return ask(Unknown, shown(name)+notListed)
	}
	for _, a := range args {
		if !a.known {
			return ask(Unknown, "what "+shown(name)+" is given is not known before the shell expands "+shown(a.text))
		}
	}
	if !c.judge.approves(name, nil, args) {
		return ask(Unknown, shown(name)+" is in auto_approve with other words only")
	}
	why := shown(name) + " is in auto_approve"
	if !c.bare {
		why += ", held read-only"
	}
	return worst(Decision{Verdict: Allow, Risk: Caution, Reason: why}, c.reads(name, args))
}

// approves reports whether auto_approve holds the program, either alone, or with the subcommands or the words that
// follow it here.
func (j *Judge) approves(name string, words []string, args []arg) bool {
	for _, entry := range j.approve[name] {
		if hasPrefix(words, entry) {
			return true
		}
		texts := make([]string, 0, len(args))
		for _, a := range args {
			if !a.known {
				break
			}
			texts = append(texts, a.text)
		}
		if hasPrefix(texts, entry) {
			return true
		}
	}
	return false
}

func hasPrefix(words, prefix []string) bool {
	if len(words) < len(prefix) {
		return false
	}
	for i, w := range prefix {
		if words[i] != w {
			return false
		}
	}
	return true
}
