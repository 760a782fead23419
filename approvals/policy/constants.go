package policy

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// variables is what is known of the values of variables and substitutions. A variable has a known value in what follows if
// the text gives it one constant value, once, in a command of its own that runs in any case; or if it holds the number that a
// command prints. Other variables are not known.
type variables struct {
	last  map[string]string // constant of every variable, for spotting what to refuse; never for allowing
	loops map[string]arg    // loop variables of the loops around
	// constants are variables whose value is certain, see topLevel.
	constants map[string]arg
	// numbers are variables that hold whole numbers, see counters.
	numbers map[string]bool
	// naming are the substitutions that print the name of a hidden file, fetching those that run a downloader.
	naming   map[syntax.Node]string
	fetching map[syntax.Node]bool
	*budget
}

// topLevel judges a whole text, and remembers the constants on the way.
func (c *call) topLevel(file *syntax.File, text string) Decision {
	var once map[string]bool
	if strings.Contains(text, "=") || strings.Contains(text, "((") || strings.Contains(text, "for") {
		if once = c.assignedOnce(file); len(once) > 0 || strings.Contains(text, "((") {
			c.numbers = c.counters(file)
		}
	}
	d := allow()
	for _, s := range file.Stmts {
		d = worst(d, c.stmt(s))
		if len(once) > 0 {
			c.remember(s, once)
		}
	}
	return d
}

// remember takes up the constants of a command that only assigns.
func (e *variables) remember(s *syntax.Stmt, once map[string]bool) {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) > 0 || len(s.Redirs) > 0 || s.Background || s.Coprocess || s.Disown || s.Negated {
		return
	}
	for _, a := range call.Assigns {
		if a.Name == nil || !once[a.Name.Value] || a.Append || a.Index != nil || a.Array != nil || a.Value == nil {
			continue
		}
		if mayBrace(a.Value) {
			continue
		}
		value := e.value(a.Value)
		value.many = false // an assignment does not split its value
		if value.known || value.number {
			e.constants[a.Name.Value] = value
		}
	}
}

// assignedOnce are the variables that one place of a text assigns. It is nil where that cannot be told.
func (b *budget) assignedOnce(file *syntax.File) map[string]bool {
	count := map[string]int{}
	sure := true
	b.walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil {
				count[n.Name.Value]++
			}
		case *syntax.WordIter:
			count[n.Name.Value]++
		case *syntax.CallExpr:
			sure = sure && countRead(n, count)
		default:
			if name := assignsIn(n); name != "" {
				count[name]++
			}
		}
		return sure
	})
	if !sure {
		return nil
	}
	once := make(map[string]bool, len(count))
	for name, n := range count {
		once[name] = n == 1
	}
	return once
}

// countRead counts what a command assigns that reads into variables, or runs a text that may. It reports whether that is known.
func countRead(call *syntax.CallExpr, count map[string]int) bool {
	reads, begins := false, true
	for i, w := range call.Args {
		text, ok := staticText(w)
		switch {
		case reads && !ok, !ok && i == 0:
			return false
		case reads:
			count[text]++
		case ok && text == "read":
			reads = true
		case ok && begins && (text == "." || text == "source" || text == "eval"):
			return false
		}
		begins = begins && (text == "command" || text == "builtin" || strings.HasPrefix(text, "-"))
	}
	return true
}

// assignsIn is the variable that a node of arithmetic gives a value, "" if it gives none.
func assignsIn(n syntax.Node) string {
	var x syntax.ArithmExpr
	switch n := n.(type) {
	case *syntax.BinaryArithm:
		if assigns(n.Op) {
			x = n.X
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			x = n.X
		}
	}
	if w, ok := x.(*syntax.Word); ok {
		return w.Lit()
	}
	return ""
}

// staticText is a word without its quotes, where nothing in it expands but patterns and braces, which are left as they stand.
func staticText(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text, _ := unquote(part.Value)
			b.WriteString(text)
		case *syntax.SglQuoted:
			if part.Dollar {
				return "", false
			}
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				lit, ok := inner.(*syntax.Lit)
				if !ok || part.Dollar {
					return "", false
				}
				b.WriteString(unquoteDouble(lit.Value))
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// isPlain reports whether a value stays one word, and the same, where a shell splits it and looks for patterns in it.
func isPlain(text string) bool { return text != "" && !strings.ContainsAny(text, " \t\n*?[\\") }

// settleNumber takes the number off a word that is more than a number: where that is empty, what follows begins the word.
func (v *arg) settleNumber(w *syntax.Word) {
	if !v.number || len(w.Parts) == 1 && !isMixed(w.Parts[0]) {
		return
	}
	v.number, v.known, v.dash = false, false, true
}

func isMixed(part syntax.WordPart) bool {
	q, ok := part.(*syntax.DblQuoted)
	return ok && len(q.Parts) != 1
}

// constant adds a variable's constant value to a word, and reports whether it has one.
func (e *variables) constant(name string, v *arg, quoted bool) bool {
	value, ok := e.constants[name]
	switch {
	case !ok && (e.numbers[name] || numbersOfTheShell[name]):
		v.dash = v.dash || v.text == "" && e.numbers[name] // one may be negative
		e.add(v, "0")
		v.number, v.known, v.closed, v.many = true, false, false, v.many || !quoted
	case !ok:
		return false
	case value.known && (quoted || isPlain(value.text)):
		e.add(v, value.text)
	case value.number:
		e.add(v, "0")
		v.number = true
		v.known, v.closed, v.many = false, false, v.many || !quoted
	default:
		return false
	}
	return true
}

// printsNumber reports whether a substitution is a number or nothing, whatever the host looks like.
func printsNumber(stmts []*syntax.Stmt) bool {
	if len(stmts) != 1 || stmts[0].Background || stmts[0].Negated {
		return false
	}
	for _, r := range stmts[0].Redirs {
		if r.Op != syntax.RdrIn && (r.Op != syntax.RdrOut || r.N == nil || r.N.Value != "2") {
			return false
		}
	}
	if _, piped := stmts[0].Cmd.(*syntax.BinaryCmd); piped && printsColumn(stmts[0]) {
		return true
	}
	switch cmd := stmts[0].Cmd.(type) {
	case *syntax.BinaryCmd:
		return cmd.Op == syntax.Pipe && printsNumber([]*syntax.Stmt{cmd.Y})
	case *syntax.CallExpr:
		words := make([]string, 0, len(cmd.Args))
		for _, w := range cmd.Args {
			text, ok := plainText(w)
			if !ok {
				return false
			}
			words = append(words, text)
		}
		return len(cmd.Assigns) == 0 && len(words) > 0 && isCount(words[0], words[1:])
	}
	return false
}

// simpleWords are the words of a statement that is one plain command with constant words, nil for another.
func simpleWords(s *syntax.Stmt) []string {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || s.Background || s.Negated || len(call.Assigns) > 0 {
		return nil
	}
	for _, r := range s.Redirs {
		if r.Op != syntax.RdrOut && r.Op != syntax.DplOut || r.N == nil || r.N.Value != "2" {
			return nil
		}
	}
	var words []string
	for _, w := range call.Args {
		text, ok := plainText(w)
		if !ok {
			return nil
		}
		words = append(words, text)
	}
	return words
}

// printsWord reports whether a substitution is one word that is no flag, or nothing, whatever the host looks like.
func printsWord(stmts []*syntax.Stmt) bool {
	if len(stmts) != 1 {
		return false
	}
	switch strings.Join(simpleWords(stmts[0]), " ") {
	case "whoami", "id -un", "id -gn", "hostname", "hostname -s", "uname -r", "uname -m", "uname -n", "uname -s", "arch", "logname", "date +%F",
		"date +%Y", "date +%Y-%m-%d", "date +%Y%m%d", "date +%m", "date +%d", "date +%b":
		return true
	}
	return false
}

// listsNumbers reports whether a command prints whole numbers alone, or nothing.
func listsNumbers(s *syntax.Stmt) bool {
	words := simpleWords(s)
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "pidof":
		return true
	case "pgrep":
		return !slices.ContainsFunc(words[1:], func(w string) bool {
			return strings.HasPrefix(w, "--") || strings.HasPrefix(w, "-") && strings.ContainsAny(w, "lad")
		})
	case "lsof":
		return len(words) > 1 && words[1] == "-t"
	case "seq":
		return len(words) > 1 && !slices.ContainsFunc(words[1:], func(w string) bool { return !isNumber(w) })
	}
	return false
}

// columns are programs whose output is columns of the kernel's, and passing what hands on some of it as it is.
var columns = map[string]bool{"df": true, "free": true, "nproc": true, "uptime": true, "vmstat": true, "getconf": true}

// printField and stripSign match programs of awk and sed that print a column, and take a sign off.
var (
	printField = regexp.MustCompile(`^\s*((NR|FNR)\s*==\s*[0-9]+|/[A-Za-z: ]*/|END)?\s*\{\s*print \$(NF|[0-9]+)\s*;?\s*\}\s*$`)
	stripSign  = regexp.MustCompile(`^s/[%A-Za-z.]*//g?$`)
)

// passes reports whether a command hands on parts of what it reads, and adds nothing.
func passes(words []string) bool {
	if len(words) == 0 {
		return false
	}
	switch args := words[1:]; words[0] {
	case "tail", "head", "sort", "uniq":
		return true
	case "tr":
		return len(args) == 2 && args[0] == "-d"
	case "cut":
		return !slices.ContainsFunc(args, func(w string) bool { return strings.HasPrefix(w, "--") })
	case "awk":
		return len(args) == 1 && printField.MatchString(args[0])
	case "sed":
		return len(args) == 1 && stripSign.MatchString(args[0])
	}
	return false
}

// printsColumn reports whether a command prints parts of the kernel's tables, by a pipeline.
func printsColumn(s *syntax.Stmt) bool {
	if cmd, ok := s.Cmd.(*syntax.BinaryCmd); ok {
		return cmd.Op == syntax.Pipe && printsColumn(cmd.X) && passes(simpleWords(cmd.Y))
	}
	words := simpleWords(s)
	return len(words) > 0 && columns[words[0]]
}

// plainText is a word's text where nothing in it expands. It does not look into what expands: in nested substitutions
// that would take for ever.
func plainText(w *syntax.Word) (string, bool) {
	for _, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok && strings.ContainsAny(lit.Value, "\\*?[{~") {
			return "", false
		}
	}
	return staticText(w)
}

// isCount reports whether a command prints one number.
func isCount(name string, args []string) bool {
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	switch name {
	case "nproc":
		return len(args) == 0 || len(args) == 1 && first == "--all"
	case "id":
		return (first == "-u" || first == "-g") && (len(args) == 1 || len(args) == 2 && !strings.HasPrefix(args[1], "-"))
	case "date":
		return len(args) == 1 && first == "+%s" || len(args) == 2 && first == "-u" && args[1] == "+%s"
	case "wc":
		return len(args) == 1 && (first == "-l" || first == "-c" || first == "-w" || first == "-m")
	case "pgrep":
		return first == "-c"
	case "stat":
		return len(args) == 3 && first == "-c" && (args[1] == "%Y" || args[1] == "%s" || args[1] == "%X" || args[1] == "%Z" || args[1] == "%h") && !strings.HasPrefix(args[2], "-")
	case "grep":
		// With more than one file, grep prints their names.
		return (first == "-c" || first == "-ci" || first == "-ic" || first == "-Ec" || first == "-cE") && len(args) <= 3 &&
			len(args) > 1 && !strings.HasPrefix(args[1], "-") && !strings.HasPrefix(args[len(args)-1], "-")
	}
	return false
}

// counters are the variables that hold whole numbers, or nothing, whatever happens: each place that gives them a value
// gives a number.
func (e *variables) counters(file *syntax.File) map[string]bool {
	given := givenValues{values: map[string][]*syntax.Word{}, not: map[string]int{}, sure: true}
	e.walk(file, func(n syntax.Node) bool {
		given.see(e, n)
		return given.sure
	})
	found := map[string]bool{}
	if !given.sure {
		return found
	}
	for name := range given.values {
		if given.not[name] == 0 && isName(name) && (isVariable(name) || ownNames[name]) {
			found[name] = true
		}
	}
	e.contradicted(found, given.values)
	return found
}

// contradicted takes the variables off that some place gives another value than a number, until nothing changes: what is
// a number may depend on another variable of the set.
func (e *variables) contradicted(found map[string]bool, values map[string][]*syntax.Word) {
	before := e.numbers
	defer func() { e.numbers = before }()
	e.numbers = found
	other := func(w *syntax.Word) bool {
		e.spend(costWord)
		return !e.isWhole(w)
	}
	for changed := true; changed; {
		changed = false
		for name := range found {
			if slices.ContainsFunc(values[name], other) {
				delete(found, name)
				changed = true
			}
		}
	}
}

// givenValues are the places of a text that give variables values.
type givenValues struct {
	values map[string][]*syntax.Word // by variable: the words
	not    map[string]int            // by variable: places that may give it anything
	sure   bool                      // no place gives a value to a variable that is not known
}

func (g *givenValues) named(name string) {
	if _, ok := g.values[name]; !ok {
		g.values[name] = nil
	}
}

// see takes one node of the text in.
func (g *givenValues) see(e *variables, n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Assign:
		g.assign(n)
	case *syntax.WordIter:
		if len(n.Items) == 0 {
			g.not[n.Name.Value]++
		}
		g.named(n.Name.Value)
		for _, item := range n.Items {
			if !e.countsUp(item) {
				g.values[n.Name.Value] = append(g.values[n.Name.Value], item)
			}
		}
	case *syntax.CallExpr:
		g.sure = g.sure && countRead(n, g.not)
	default:
		if name := assignsIn(n); name != "" {
			g.named(name)
		}
	}
}

func (g *givenValues) assign(n *syntax.Assign) {
	if n.Name == nil {
		return
	}
	name := n.Name.Value
	g.named(name)
	if n.Naked || n.Append || n.Index != nil || n.Array != nil {
		g.not[name]++
	} else if n.Value != nil {
		g.values[name] = append(g.values[name], n.Value)
	}
}

// countsUp reports whether a word of a loop's list becomes numbers: {1..5}, $(seq 1 5).
func (e *variables) countsUp(w *syntax.Word) bool {
	if len(w.Parts) != 1 {
		return false
	}
	switch part := w.Parts[0].(type) {
	case *syntax.Lit:
		inner, ok := strings.CutPrefix(part.Value, "{")
		from, to, dots := strings.Cut(strings.TrimSuffix(inner, "}"), "..")
		return ok && dots && isNumber(from) && isNumber(to) // dash takes it as it is, which is judged as a text too
	case *syntax.CmdSubst:
		if len(part.Stmts) != 1 || len(part.Stmts[0].Redirs) > 0 {
			return false
		}
		call, ok := part.Stmts[0].Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "seq" {
			return false
		}
		for _, a := range call.Args[1:] {
			if !isNumber(a.Lit()) {
				return false
			}
		}
		return true
	}
	return false
}

// isWhole reports whether a value is a whole number or nothing.
func (e *variables) isWhole(w *syntax.Word) bool {
	if len(w.Parts) == 1 {
		part := w.Parts[0]
		if q, ok := part.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
			part = q.Parts[0]
		}
		if _, ok := part.(*syntax.ArithmExp); ok {
			return true // what is in it is judged where it runs
		}
	}
	if mayBrace(w) {
		return false
	}
	a := e.value(w)
	return a.number || a.known && (a.text == "" || isNumber(strings.TrimPrefix(a.text, "-")))
}

// numbersOfTheShell are the parameters that are numbers, or nothing.
var numbersOfTheShell = map[string]bool{"?": true, "#": true, "$": true, "!": true, "PPID": true, "RANDOM": true, "SECONDS": true, "UID": true, "EUID": true}
