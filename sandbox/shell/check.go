package shell

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// refusedBuiltins are bash's that this shell does not have.
var refusedBuiltins = []string{
	"bg", "bind", "caller", "compgen", "complete", "compopt", "coproc", "disown", "enable", "fc", "fg", "help", "history",
	"jobs", "logout", "newgrp", "suspend", "times", "ulimit", "umask", "unalias", "dirs", "pushd", "popd", "alias",
}

// refusedVariables are bash's that have no value here, or another one.
var refusedVariables = regexp.MustCompile(`^(PIPESTATUS|LINENO|FUNCNAME|SECONDS|EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASHPID|SHELLOPTS|BASHOPTS|` +
	`HISTCMD|HISTFILE|GROUPS|COLUMNS|LINES|HOSTTYPE|MACHTYPE|DIRSTACK|MAPFILE_|COPROC|READLINE_.*|COMP_.*|COMPREPLY|TIMEFORMAT|GLOBIGNORE|` +
	`BASH_(ALIASES|ARGC|ARGV|ARGV0|CMDS|COMMAND|COMPAT|ENV|EXECUTION_STRING|LINENO|LOADABLES_PATH|SOURCE|SUBSHELL|XTRACEFD|MONOSECONDS)|-|_)$`)

// checker looks for what is refused.
type checker struct {
	err         *Unsupported
	associative map[string]bool
	strict      bool
	splitting   map[*syntax.Assign]bool   // IFS for one read
	waited      map[*syntax.ParamExp]bool // $! of a wait
	bodies      map[*syntax.Block]bool    // of functions
}

// check refuses what Interpret would not do as bash does, as far as the text shows it.
func check(file *syntax.File) error {
	c := &checker{associative: associatives(file), strict: strict(file, nil), splitting: map[*syntax.Assign]bool{}, waited: map[*syntax.ParamExp]bool{}, bodies: map[*syntax.Block]bool{}}
	c.readonly(file)
	c.parts(file)
	syntax.Walk(file, func(n syntax.Node) bool {
		if c.err != nil {
			return false
		}
		if n != nil {
			c.node(n)
		}
		if t, ok := n.(*syntax.TestClause); ok {
			c.inTest(t)
			return false
		}
		return c.err == nil
	})
	if c.err != nil {
		return c.err
	}
	return nil
}

func (c *checker) refuse(n syntax.Node, format string, args ...any) {
	if c.err == nil {
		c.err = &Unsupported{What: fmt.Sprintf(format, args...), Line: int(n.Pos().Line())} // #nosec G115 -- lines of MaxText bytes
	}
}

// inTest looks at what stands in [[ ]] but for its patterns.
func (c *checker) inTest(t *syntax.TestClause) {
	syntax.Walk(t.X, func(n syntax.Node) bool {
		if _, pattern := n.(*syntax.ExtGlob); n != nil && !pattern {
			c.node(n)
		}
		return c.err == nil
	})
}

// testClause looks at [[ ]], where extended patterns need no option.
func (c *checker) testClause(n *syntax.TestClause) {
	syntax.Walk(n, func(m syntax.Node) bool {
		switch m := m.(type) {
		case *syntax.BinaryTest:
			c.binaryTest(m)
		case *syntax.UnaryTest:
			c.unaryTest(m)
		}
		return c.err == nil
	})
}

func (c *checker) node(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Redirect:
		c.redirect(n)
	case *syntax.ParamExp:
		c.expansion(n)
	case *syntax.DeclClause:
		c.declaration(n)
	case *syntax.CallExpr:
		c.call(n)
	case *syntax.TestClause:
		c.testClause(n)
	case *syntax.Assign:
		c.assign(n)
	case *syntax.ArithmExp, *syntax.ArithmCmd:
		c.arithmetic(n)
	case *syntax.LetClause:
		c.let(n)
	case *syntax.Word:
		c.braces(n)
	case *syntax.FuncDecl:
		c.function(n)
	case *syntax.IfClause:
		c.conditions(n.Cond)
		c.ends(n.Then)
	case *syntax.WhileClause:
		c.conditions(n.Cond)
		c.ends(n.Do)
	case *syntax.ForClause:
		c.ends(n.Do)
		c.construct(n)
	case *syntax.CaseClause:
		for _, item := range n.Items {
			c.ends(item.Stmts)
		}
		c.construct(n)
	case *syntax.Block:
		if !c.bodies[n] {
			c.ends(n.Stmts)
		}
	default:
		c.construct(n)
	}
}

// let refuses expressions that are read only when the text runs.
func (c *checker) let(n *syntax.LetClause) {
	for _, x := range n.Exprs {
		if w, ok := x.(*syntax.Word); ok && (len(w.Parts) != 1 || w.Lit() == "") {
			c.refuse(n, "let with quotes")
		}
	}
	c.arithmetic(n)
}

// braces refuses {a,}, whose last word the interpreter drops.
func (c *checker) braces(n *syntax.Word) {
	if len(n.Parts) > 0 {
		if l, ok := n.Parts[0].(*syntax.Lit); ok && len(l.Value) > 1 && l.Value[0] == '~' && l.Value[1] != '/' {
			c.refuse(n, "%s", l.Value)
		}
	}
	for i, p := range n.Parts {
		l, ok := p.(*syntax.Lit)
		if !ok {
			continue
		}
		if strings.Contains(l.Value, ",}") {
			c.refuse(n, "a brace expansion that ends with nothing")
		}
		if i == 0 || !strings.HasPrefix(l.Value, "{") {
			continue
		}
		if v, ok := n.Parts[i-1].(*syntax.ParamExp); ok && v.Short { // $x{a,b} is $xa $xb
			c.refuse(n, "a brace expansion behind a variable")
		}
	}
}

// construct looks at what is refused as a whole, or has commands that run apart.
func (c *checker) construct(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.CoprocClause:
		c.refuse(n, "coproc")
	case *syntax.TimeClause:
		c.refuse(n, "the keyword time")
	case *syntax.ForClause:
		if n.Select {
			c.refuse(n, "select")
		}
	case *syntax.TestDecl:
		c.refuse(n, "@test")
	case *syntax.Stmt:
		if n.Coprocess || n.Disown {
			c.refuse(n, "a coprocess")
		}
		if call, ok := n.Cmd.(*syntax.CallExpr); ok && len(call.Args) == 0 && len(n.Redirs) > 0 && runsSomething(call) && !silenced(n.Redirs) {
			c.refuse(n, "a redirection of what is only assigned")
		}
	case *syntax.ProcSubst:
		if n.Op != syntax.CmdIn {
			c.refuse(n, "the process substitution %s...)", n.Op)
		}
	case *syntax.ExtGlob:
		c.refuse(n, "an extended pattern")
	case *syntax.CaseClause:
		for _, item := range n.Items {
			if item.Op == syntax.ResumeKorn {
				c.refuse(n, "%s", item.Op)
			}
		}
	case *syntax.BinaryCmd:
		if n.Op != syntax.Pipe && n.Op != syntax.PipeAll {
			c.conditions([]*syntax.Stmt{n.X})
		}
	}
}

// silenced reports whether redirections do nothing but drop complaints.
func silenced(redirs []*syntax.Redirect) bool {
	for _, r := range redirs {
		if r.Op != syntax.RdrOut || r.N == nil || r.N.Value != "2" || r.Word.Lit() != "/dev/null" {
			return false
		}
	}
	return true
}

// runsSomething reports whether assignments have commands in them.
func runsSomething(n *syntax.CallExpr) bool {
	found := false
	syntax.Walk(n, func(m syntax.Node) bool {
		switch m.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst:
			found = true
		}
		return !found
	})
	return found
}

// functionName is what a function may be called here.
var functionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:-]*$`)

func (c *checker) function(n *syntax.FuncDecl) {
	if n.Name == nil || interp.IsBuiltin(n.Name.Value) || !functionName.MatchString(n.Name.Value) {
		c.refuse(n, "a function of that name")
	}
	if body, ok := n.Body.Cmd.(*syntax.Block); ok {
		c.bodies[body] = true
	}
	if !c.strict {
		return
	}
	syntax.Walk(n.Body, func(m syntax.Node) bool { // the function may be called as a condition
		switch m := m.(type) {
		case *syntax.Subshell:
			if !quiet(m.Stmts) {
				c.refuse(m, "a subshell in a function together with set -e")
			}
		case *syntax.BinaryCmd:
			if (m.Op == syntax.Pipe || m.Op == syntax.PipeAll) && !(quiet([]*syntax.Stmt{m.Y}) && simpleSide(m.X)) {
				c.refuse(m, "a pipeline of more than commands in a function together with set -e")
			}
		}
		return c.err == nil
	})
}

// simpleSide reports whether the left side of a pipeline is nothing but commands.
func simpleSide(s *syntax.Stmt) bool {
	if b, ok := s.Cmd.(*syntax.BinaryCmd); ok && (b.Op == syntax.Pipe || b.Op == syntax.PipeAll) {
		return simpleSide(b.X) && quiet([]*syntax.Stmt{b.Y})
	}
	return quiet([]*syntax.Stmt{s})
}

// parts refuses what is nested too deeply for those that look at each part of a text once more, and a trap or a return where it
// would belong to a part of the text: a subshell has its own, and a function's are its caller's. It looks at each node once.
func (c *checker) parts(file *syntax.File) {
	var open []syntax.Node
	depth, apart, functions := 0, 0, 0
	count := func(n syntax.Node, by int) {
		if nests(n) {
			depth += by
		}
		switch {
		case runsApart(n):
			apart += by
		case isFunction(n):
			functions += by
		}
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if n == nil {
			last := len(open) - 1
			count(open[last], -1)
			open = open[:last]
			return true
		}
		if c.err != nil {
			return false
		}
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			switch name := call.Args[0].Lit(); {
			case name == "trap" && apart+functions > 0:
				c.refuse(call, "a trap in a part of the text")
			case name == "return" && apart > 0:
				c.refuse(call, "return in a subshell")
			}
		}
		open = append(open, n)
		if count(n, 1); depth > maxDepth {
			c.refuse(n, "a text so deeply nested")
		}
		return true // so that each node is left as it was entered
	})
}

// nests reports whether a node stands for something that has commands, words or numbers within it.
func nests(n syntax.Node) bool {
	switch n.(type) {
	case *syntax.Subshell, *syntax.Block, *syntax.CmdSubst, *syntax.ProcSubst, *syntax.IfClause, *syntax.WhileClause, *syntax.ForClause,
		*syntax.CaseClause, *syntax.FuncDecl, *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.ParamExp, *syntax.DblQuoted, *syntax.TestClause,
		*syntax.ParenTest, *syntax.ParenArithm, *syntax.ArrayExpr, *syntax.TimeClause, *syntax.CoprocClause, *syntax.ExtGlob:
		return true
	}
	return false
}

// runsApart reports whether what is within a node runs in a process of its own in bash.
func runsApart(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Subshell, *syntax.CmdSubst:
		return true
	case *syntax.Stmt:
		return n.Background
	case *syntax.BinaryCmd:
		return n.Op == syntax.Pipe || n.Op == syntax.PipeAll
	}
	return false
}

func isFunction(n syntax.Node) bool {
	_, is := n.(*syntax.FuncDecl)
	return is
}

// conditions refuses a subshell whose commands may fail because it is a condition: the interpreter would end it early.
func (c *checker) conditions(stmts []*syntax.Stmt) {
	if !c.strict {
		return
	}
	for _, s := range stmts {
		if sub, ok := s.Cmd.(*syntax.Subshell); ok && !quiet(sub.Stmts) {
			c.refuse(s, "a subshell as a condition together with set -e")
		}
	}
}

// ends refuses a list that may fail without ending the text where it ends a compound command: the interpreter would end there.
func (c *checker) ends(stmts []*syntax.Stmt) {
	if !c.strict || len(stmts) == 0 {
		return
	}
	last := stmts[len(stmts)-1]
	if b, ok := last.Cmd.(*syntax.BinaryCmd); last.Negated || ok && b.Op == syntax.AndStmt {
		c.refuse(last, "a list with && at the end of a compound command together with set -e")
	}
}

// readonly refuses to set what the text has made read-only.
func (c *checker) readonly(file *syntax.File) {
	names, set := map[string]bool{}, map[string]int{}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DeclClause:
			is := n.Variant.Value == "readonly"
			for _, a := range n.Args {
				if a.Name == nil {
					is = is || strings.Contains(a.Value.Lit(), "r")
				} else if is {
					names[a.Name.Value] = true
				}
			}
		case *syntax.Assign:
			if n.Name != nil {
				set[n.Name.Value]++
			}
		case *syntax.WordIter:
			set[n.Name.Value] += 2
		}
		return true
	})
	for name := range names {
		if set[name] > 1 {
			c.refuse(file, "setting what is read-only")
		}
	}
}

func (c *checker) redirect(n *syntax.Redirect) {
	if n.N != nil && (len(n.N.Value) != 1 || n.N.Value < "0" || n.N.Value > "2") {
		c.refuse(n, "the descriptor %s", n.N.Value)
		return
	}
	to := ""
	if n.Word != nil {
		to = n.Word.Lit()
		if (n.Op == syntax.Hdoc || n.Op == syntax.DashHdoc) && len(n.Word.Parts) != 1 {
			c.refuse(n, "such a mark of a here-document")
		}
	}
	if n.Op == syntax.WordHdoc && len(n.Word.Parts) > 0 {
		if l, ok := n.Word.Parts[0].(*syntax.Lit); ok && strings.HasPrefix(l.Value, "~") {
			c.refuse(n, "<<<~")
		}
	}
	for _, w := range []*syntax.Word{n.Word, n.Hdoc} {
		if w != nil && changesNumbers(w) {
			c.refuse(n, "a redirection that changes a variable")
		}
	}
	out := n.N == nil || n.N.Value != "0"
	in := n.N == nil || n.N.Value == "0"
	switch n.Op {
	case syntax.DplOut:
		if !out || to != "1" && to != "2" {
			c.refuse(n, "%s%s", n.Op, to)
		}
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob:
		if !out {
			c.refuse(n, "writing to descriptor 0")
		}
	case syntax.RdrAll, syntax.AppAll:
		if n.N != nil {
			c.refuse(n, "%s with a number", n.Op)
		}
	case syntax.RdrIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		if !in {
			c.refuse(n, "reading from descriptor %s", n.N.Value)
		}
	default:
		c.refuse(n, "the redirection %s", n.Op)
	}
}

func (c *checker) expansion(n *syntax.ParamExp) {
	if n.Param != nil && n.Param.Value == "!" && !c.waited[n] {
		c.refuse(n, "$! but for wait")
		return
	}
	if n.Exp != nil && n.Index != nil && n.Param != nil && c.associative[n.Param.Value] {
		if w, ok := n.Index.(*syntax.Word); ok && (w.Lit() == "@" || w.Lit() == "*") {
			c.refuse(n, "such an expansion of an associative array")
		}
	}
	if n.Param != nil && refusedVariables.MatchString(n.Param.Value) {
		c.refuse(n, "$%s", n.Param.Value)
		return
	}
	if n.Flags != nil || n.Width || n.IsSet || n.NestedParam != nil || len(n.Modifiers) > 0 {
		c.refuse(n, "an expansion of another shell")
		return
	}
	if n.Exp != nil {
		c.operator(n)
	}
	if n.Repl != nil && n.Repl.Orig != nil && len(n.Repl.Orig.Parts) > 0 {
		if l, ok := n.Repl.Orig.Parts[0].(*syntax.Lit); ok && (strings.HasPrefix(l.Value, "#") || strings.HasPrefix(l.Value, "%")) {
			c.refuse(n, "${.../%c...}", l.Value[0])
		}
	}
	if n.Names != 0 {
		c.refuse(n, "${!prefix*}")
	}
}

// operator refuses what follows a name in an expansion, where it is not done as in bash.
func (c *checker) operator(n *syntax.ParamExp) {
	if n.Exp.Op == syntax.OtherParamOps && n.Exp.Word != nil {
		switch n.Exp.Word.Lit() {
		case "Q", "U", "L", "u":
			if n.Index != nil || n.Param.Value == "@" || n.Param.Value == "*" {
				c.refuse(n, "${...@%s} of a list", n.Exp.Word.Lit())
			}
		default:
			c.refuse(n, "${...@%s}", n.Exp.Word.Lit())
		}
	}
	if n.Exp.Op == syntax.ErrorUnset || n.Exp.Op == syntax.ErrorUnsetOrNull {
		c.refuse(n, "${...%s}", n.Exp.Op)
	}
	if n.Exp.Word != nil && n.Exp.Op != syntax.RemSmallPrefix && n.Exp.Op != syntax.RemLargePrefix && n.Exp.Op != syntax.RemSmallSuffix &&
		n.Exp.Op != syntax.RemLargeSuffix && slices.ContainsFunc(n.Exp.Word.Parts, func(p syntax.WordPart) bool {
		l, ok := p.(*syntax.Lit)
		return ok && strings.Contains(l.Value, `\`)
	}) {
		c.refuse(n, "a backslash in such an expansion")
	}
}

// lastJob is a word that is $! alone, nil for another.
func lastJob(w *syntax.Word) *syntax.ParamExp {
	parts := w.Parts
	if len(parts) == 1 {
		if q, ok := parts[0].(*syntax.DblQuoted); ok {
			parts = q.Parts
		}
	}
	if len(parts) != 1 {
		return nil
	}
	if p, ok := parts[0].(*syntax.ParamExp); ok && p.Param != nil && p.Param.Value == "!" && p.Exp == nil && !p.Length {
		return p
	}
	return nil
}

// arithmetic refuses elements of associative arrays as numbers.
func (c *checker) arithmetic(n syntax.Node) {
	syntax.Walk(n, func(m syntax.Node) bool {
		if w, ok := m.(*syntax.Word); ok && tooGreat.MatchString(w.Lit()) {
			c.refuse(n, "the number %s", w.Lit())
		}
		if b, ok := m.(*syntax.BinaryArithm); ok {
			c.shift(b)
		}
		if p, ok := m.(*syntax.ParamExp); ok && p.Param != nil && c.associative[p.Param.Value] {
			c.refuse(n, "an associative array in arithmetic")
		}
		return c.err == nil
	})
}

// shift refuses to shift by what may be negative, or too much.
func (c *checker) shift(n *syntax.BinaryArithm) {
	switch n.Op {
	case syntax.Shl, syntax.Shr, syntax.ShlAssgn, syntax.ShrAssgn:
		w, ok := n.Y.(*syntax.Word)
		if !ok || !shiftCount.MatchString(w.Lit()) {
			c.refuse(n, "a shift by what is not written out")
		}
	default:
	}
}

var shiftCount = regexp.MustCompile(`^([0-9]|[1-5][0-9]|6[0-3])$`)

// changesNumbers reports whether a word changes variables: bash expands some words in a process of their own.
func changesNumbers(w *syntax.Word) bool {
	found := false
	syntax.Walk(w, func(m syntax.Node) bool {
		switch m := m.(type) {
		case *syntax.UnaryArithm:
			found = found || m.Op == syntax.Inc || m.Op == syntax.Dec
		case *syntax.BinaryArithm:
			found = found || assignsNumber(m.Op)
		case *syntax.ParamExp:
			found = found || m.Exp != nil && (m.Exp.Op == syntax.AssignUnset || m.Exp.Op == syntax.AssignUnsetOrNull)
		}
		return !found
	})
	return found
}

// declared are the flags of declarations that there are.
var declared = map[string]string{
	"declare": "aAxrg", "typeset": "aAxrg", "local": "aAxr", "export": "", "readonly": "aA",
}

func (c *checker) declaration(n *syntax.DeclClause) {
	flags, ok := declared[n.Variant.Value]
	if !ok {
		c.refuse(n, "%s", n.Variant.Value)
		return
	}
	named := false
	for _, a := range n.Args {
		if a.Name != nil {
			named = true
			continue
		}
		text := a.Value.Lit()
		if text == "" { // words that only show when they are expanded may be flags
			c.refuse(n, "%s of what is not written out", n.Variant.Value)
			return
		}
		if !strings.HasPrefix(text, "-") {
			named = true
			continue
		}
		for _, f := range text[1:] {
			if !strings.ContainsRune(flags, f) {
				c.refuse(n, "%s -%c", n.Variant.Value, f)
				return
			}
		}
		if len(text) != 2 {
			c.refuse(n, "%s %s", n.Variant.Value, text)
		}
	}
	if !named {
		c.refuse(n, "a list of variables")
	}
}

func (c *checker) assign(n *syntax.Assign) {
	if n.Name != nil && n.Name.Value == "IFS" && !c.splitting[n] {
		text, ok := value(n.Value)
		if !ok || n.Append || strings.Trim(text, " \t\n") != "" {
			c.refuse(n, "such an IFS")
		}
	}
	if n.Append && n.Index != nil {
		c.refuse(n, "+= to an element")
	}
	if n.Value != nil {
		for _, p := range n.Value.Parts {
			if l, ok := p.(*syntax.Lit); ok && strings.Contains(l.Value, ":~") {
				c.refuse(n, "~ after a colon")
			}
		}
	}
	if n.Name != nil && (refusedVariables.MatchString(n.Name.Value) || slices.Contains([]string{"RANDOM", "POSIXLY_CORRECT"}, n.Name.Value)) {
		c.refuse(n, "setting %s", n.Name.Value)
	}
}

// literal is a word's text, where that is written out; false else.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, p := range w.Parts {
		switch p := p.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(p.Value, `\*?[~{`) {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, q := range p.Parts {
				l, ok := q.(*syntax.Lit)
				if !ok || strings.Contains(l.Value, `\`) {
					return "", false
				}
				b.WriteString(l.Value)
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// value is what is assigned, where that is written out.
func value(w *syntax.Word) (string, bool) {
	if w == nil || len(w.Parts) == 0 {
		return "", true
	}
	if q, ok := w.Parts[0].(*syntax.SglQuoted); ok && q.Dollar && len(w.Parts) == 1 {
		return strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\0`, "").Replace(q.Value), true
	}
	return literal(w)
}

func (c *checker) call(n *syntax.CallExpr) {
	for _, a := range n.Assigns {
		if len(n.Args) > 0 && n.Args[0].Lit() == "read" {
			c.splitting[a] = true
		}
	}
	if len(n.Args) == 0 {
		return
	}
	name, ok := literal(n.Args[0])
	for i, w := range n.Args {
		if p := lastJob(w); p != nil && i == 1 && name == "wait" && len(n.Args) == 2 {
			c.waited[p] = true
		}
	}
	if !ok {
		return
	}
	args := []string{name}
	for _, w := range n.Args[1:] {
		text, ok := literal(w)
		if !ok { // judged when the text runs
			if slices.Contains(refusedBuiltins, name) {
				c.refuse(n, "%s", name)
			}
			return
		}
		args = append(args, text)
	}
	if what := refusedCall(args); what != "" {
		c.refuse(n, "%s", what)
	}
}

func (c *checker) binaryTest(n *syntax.BinaryTest) {
	if n.Op != syntax.TsReMatch {
		return
	}
	w, ok := n.Y.(*syntax.Word)
	if !ok {
		return
	}
	syntax.Walk(w, func(m syntax.Node) bool {
		if l, ok := m.(*syntax.Lit); ok && regexp.MustCompile(`\\[A-Za-z0-9<>]|\(\?|[*+?}]\?|[*+]\+`).MatchString(l.Value) {
			c.refuse(n, "the regular expression %s", l.Value)
		}
		return true
	})
}

func (c *checker) unaryTest(n *syntax.UnaryTest) {
	switch n.Op {
	case syntax.TsModif, syntax.TsOptSet, syntax.TsRefVar, syntax.TsUsrOwn, syntax.TsGrpOwn, syntax.TsFdTerm:
		c.refuse(n, "the test %s", n.Op)
	default:
	}
}
