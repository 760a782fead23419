package shell

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What the rewriting leads to. A text that says one of them itself gains nothing: it reads its own words, or names a new file.
const (
	herePrefix = "\x01here\x01" // a redirection from it reads what follows
	tempVar    = "__shannot_substitution"
)

// rewrite replaces what the interpreter does by ways that do not exist in the sandbox. A here-document becomes a file, so that
// a human can be shown what a command will read; so does what a process substitution reads from.
func (m *machine) rewrite(node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.LetClause, *syntax.CStyleLoop, *syntax.ParamExp, *syntax.Assign, *syntax.BinaryTest, *syntax.UnaryTest:
			m.rewriteNumbers(n)
		case *syntax.CmdSubst:
			m.rewriteSubstitution(n)
		case *syntax.Stmt:
			if s := replaced(n.Cmd); s != nil {
				n.Cmd = s
			}
			early(n)
			m.loop(n)
		case *syntax.DeclClause:
			m.naked(n)
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
				n.Y = apart(n.Y)
			}
		case *syntax.CaseClause:
			n.Word.Parts = withoutBackslashes(n.Word.Parts)
		case *syntax.Redirect:
			if n.Op == syntax.RdrClob { // noclobber is refused
				n.Op = syntax.RdrOut
			}
			if n.Word != nil && n.Op != syntax.Hdoc && n.Op != syntax.DashHdoc {
				n.Word.Parts = withoutBackslashes(n.Word.Parts)
			}
			rewriteHere(n)
		case *syntax.Word:
			m.parts(n.Parts)
			m.full(n)
		case *syntax.DblQuoted:
			m.parts(n.Parts)
		}
		return true
	})
}

// statusVar begins the variables that remember how the body of a loop has ended.
const statusVar = "__shannot_status_"

// loop gives a while or until loop the status of its body, which is bash's.
func (m *machine) loop(s *syntax.Stmt) {
	n, ok := s.Cmd.(*syntax.WhileClause)
	if !ok || m.looped[n] {
		return
	}
	m.looped[n] = true
	name := statusVar + strconv.Itoa(len(m.looped))
	assign := func(value *syntax.Word) *syntax.Stmt {
		return &syntax.Stmt{Cmd: &syntax.CallExpr{Assigns: []*syntax.Assign{{Name: lit(name), Value: value}}}}
	}
	n.Do = append(append([]*syntax.Stmt{assign(word(lit("0")))}, n.Do...), assign(word(&syntax.ParamExp{Short: true, Param: lit("?")})))
	last := own1("status", word(quoted(&syntax.ParamExp{Short: true, Param: lit(name)})))
	sub, _ := last.Parts[0].(*syntax.CmdSubst)
	s.Cmd = &syntax.Block{Stmts: []*syntax.Stmt{assign(word(lit("0"))), {Position: s.Position, Cmd: n}, sub.Stmts[0]}}
}

// wordsVar has the words of a command whose redirections come afterwards.
const wordsVar = "__shannot_words"

// early has the words of a command expanded before its output is opened, as bash does: cat *.txt > all.txt, or a change of a file
// by what it holds.
func early(s *syntax.Stmt) {
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) == 0 || len(s.Redirs) == 0 {
		return
	}
	written := true
	for _, w := range c.Args {
		if _, ok := literal(w); !ok {
			written = false
		}
	}
	if written || name(c.Args[0]) == wordsVar {
		return
	}
	elements := &syntax.ArrayExpr{}
	for _, w := range c.Args {
		elements.Elems = append(elements.Elems, &syntax.ArrayElem{Value: w})
	}
	all := &syntax.ParamExp{Param: lit(wordsVar), Index: word(lit("@"))}
	words := quoted(all)
	words.Left = c.Args[0].Pos() // which line a command is told to stand in
	run := &syntax.Stmt{Position: s.Position, Redirs: s.Redirs, Cmd: &syntax.CallExpr{Assigns: c.Assigns, Args: []*syntax.Word{word(words)}}}
	expand := &syntax.Stmt{Position: s.Position, Cmd: &syntax.CallExpr{Assigns: []*syntax.Assign{{Name: lit(wordsVar), Array: elements}}}}
	s.Cmd, s.Redirs = &syntax.Block{Stmts: []*syntax.Stmt{expand, run}}, nil
}

// name is the variable that a word of "${name[@]}" is for, "" for another word.
func name(w *syntax.Word) string {
	if len(w.Parts) == 1 {
		if q, ok := w.Parts[0].(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
			if p, ok := q.Parts[0].(*syntax.ParamExp); ok && p.Param != nil {
				return p.Param.Value
			}
		}
	}
	return ""
}

// withoutBackslashes quotes what a backslash quotes in another way: the interpreter keeps them in a word that is one field.
func withoutBackslashes(parts []syntax.WordPart) []syntax.WordPart {
	var out []syntax.WordPart
	for _, p := range parts {
		l, ok := p.(*syntax.Lit)
		if !ok || !strings.Contains(l.Value, `\`) {
			out = append(out, p)
			continue
		}
		from := 0
		for i := 0; i < len(l.Value); i++ {
			if l.Value[i] != '\\' || i+1 == len(l.Value) {
				continue
			}
			if i > from {
				out = append(out, lit(l.Value[from:i]))
			}
			if i++; l.Value[i] != '\n' {
				out = append(out, &syntax.SglQuoted{Value: l.Value[i : i+1]})
			}
			from = i + 1
		}
		if from < len(l.Value) {
			out = append(out, lit(l.Value[from:]))
		}
	}
	return out
}

// rewriteNumbers has values looked at that are to be numbers.
func (m *machine) rewriteNumbers(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.ArithmExp:
		if n.X != nil && !m.done[n] {
			m.done[n] = true
			n.X = m.arith(n.X)
		}
	case *syntax.ArithmCmd:
		if n.X != nil {
			n.X = m.arith(n.X)
		}
	case *syntax.LetClause:
		for i, x := range n.Exprs {
			n.Exprs[i] = m.arith(x)
		}
	case *syntax.CStyleLoop:
		for _, x := range []*syntax.ArithmExpr{&n.Init, &n.Cond, &n.Post} {
			if *x != nil {
				*x = m.arith(*x)
			}
		}
	case *syntax.ParamExp:
		m.indexed(n)
	case *syntax.Assign:
		if n.Value != nil {
			n.Value.Parts = withoutBackslashes(n.Value.Parts)
		}
		if n.Index != nil && !m.associative[n.Name.Value] {
			n.Index = m.arith(n.Index)
		}
	case *syntax.BinaryTest:
		if w, ok := n.X.(*syntax.Word); ok {
			w.Parts = withoutBackslashes(w.Parts)
		}
		m.numbers(n)
	case *syntax.UnaryTest:
		if w, ok := n.X.(*syntax.Word); ok {
			w.Parts = withoutBackslashes(w.Parts)
		}
	}
}

func (m *machine) rewriteSubstitution(n *syntax.CmdSubst) {
	if len(n.Stmts) == 1 && n.Stmts[0].Cmd == nil && len(n.Stmts[0].Redirs) == 1 && n.Stmts[0].Redirs[0].Op == syntax.RdrIn && !n.Stmts[0].Negated {
		n.Stmts[0].Cmd = call(&syntax.SglQuoted{Value: ownPrefix + "cat"}).Cmd // $(<file)
	}
	if m.strict && len(n.Stmts) > 0 && !quiet(n.Stmts) {
		n.Stmts = append([]*syntax.Stmt{withArgs("set", "+e")}, n.Stmts...)
	}
}

// indexed rewrites what is a number in an expansion.
func (m *machine) indexed(p *syntax.ParamExp) {
	if w, ok := p.Index.(*syntax.Word); p.Index != nil && (!ok || w.Lit() != "@" && w.Lit() != "*") && !(p.Param != nil && m.associative[p.Param.Value]) {
		p.Index = m.arith(p.Index)
	}
	if p.Slice != nil {
		if p.Slice.Offset != nil {
			p.Slice.Offset = m.arith(p.Slice.Offset)
		}
		if p.Slice.Length != nil {
			p.Slice.Length = m.arith(p.Slice.Length)
		}
	}
}

// numbers rewrites the sides of a comparison of numbers in [[ ]].
func (m *machine) numbers(t *syntax.BinaryTest) {
	switch t.Op {
	case syntax.TsEql, syntax.TsNeq, syntax.TsLss, syntax.TsLeq, syntax.TsGtr, syntax.TsGeq:
	default:
		return
	}
	for _, side := range []*syntax.TestExpr{&t.X, &t.Y} {
		w, ok := (*side).(*syntax.Word)
		if !ok {
			continue
		}
		if n, ok := m.operand(w).(*syntax.Word); ok {
			if sub, ok := n.Parts[0].(*syntax.CmdSubst); ok && len(n.Parts) == 1 { // an empty word is 0 here
				own, _ := sub.Stmts[0].Cmd.(*syntax.CallExpr)
				own.Args[0] = word(&syntax.SglQuoted{Value: ownPrefix + "int"})
			}
			if syntax.ValidName(n.Lit()) {
				n = own1("int", word(quoted(lit(n.Lit()))))
			}
			*side = n
		}
	}
}

// quiet reports whether the end of a text at a failing command makes no difference to a substitution.
func quiet(stmts []*syntax.Stmt) bool {
	if len(stmts) != 1 || stmts[0].Negated {
		return false
	}
	switch stmts[0].Cmd.(type) {
	case *syntax.CallExpr, *syntax.TestClause, *syntax.ArithmCmd, nil:
		return true
	}
	return false
}

func withArgs(words ...string) *syntax.Stmt {
	c := &syntax.CallExpr{}
	for _, w := range words {
		c.Args = append(c.Args, word(lit(w)))
	}
	return &syntax.Stmt{Cmd: c}
}

// replaced is another command that does what bash does, nil where none is needed.
func replaced(c syntax.Command) syntax.Command {
	n, ok := c.(*syntax.CallExpr)
	if !ok || len(n.Args) == 0 || len(n.Args) > 2 || n.Args[0].Lit() != "shift" {
		return nil
	}
	by := "1"
	if len(n.Args) == 2 {
		by = n.Args[1].Lit()
	}
	// A shift by more than there is moves nothing and fails.
	enough := &syntax.CallExpr{Args: []*syntax.Word{
		word(lit("[")), word(&syntax.ParamExp{Short: true, Param: lit("#")}), word(lit("-ge")), word(lit(by)), word(lit("]")),
	}}
	command := &syntax.CallExpr{Args: []*syntax.Word{word(lit("command")), word(lit("shift")), word(lit(by))}}
	return &syntax.IfClause{
		Cond: []*syntax.Stmt{{Cmd: enough}}, Then: []*syntax.Stmt{{Cmd: command}},
		Else: &syntax.IfClause{Then: []*syntax.Stmt{withArgs("false")}},
	}
}

// naked gives a variable that a function declares without a value an empty one: the interpreter would show the caller's.
func (m *machine) naked(n *syntax.DeclClause) {
	array := false
	for _, a := range n.Args {
		if a.Name == nil {
			flag := a.Value.Lit()
			array = array || flag == "-a" || flag == "-A"
			continue
		}
		if !a.Naked || !array && n.Variant.Value != "local" {
			continue
		}
		a.Naked = false
		if array {
			a.Array = &syntax.ArrayExpr{}
		} else {
			a.Value = word(quoted())
		}
	}
}

// setsErrexit reports whether the arguments of set have -e among them.
func setsErrexit(args []string) bool { return setsOption(args, 'e', "errexit") }

// setsOption reports whether the arguments of set turn an option on, by its letter or by its name.
func setsOption(args []string, letter rune, name string) bool {
	for i, a := range args {
		switch {
		case a == name && i > 0:
			return true
		case a == "set" && i == 0: // behind builtin
		case a == "--" || len(a) < 2 || a[0] != '-' && a[0] != '+':
			if i == 0 || !strings.HasSuffix(args[i-1], "o") {
				return false
			}
		case a[0] == '-' && strings.ContainsRune(a, letter):
			return true
		}
	}
	return false
}

// strict reports whether a text, or how it is called, may set -e.
func strict(file *syntax.File, set []string) bool { return sets(file, set, 'e', "errexit") }

// sets reports whether a text, or how it is called, may turn an option on.
func sets(file *syntax.File, set []string, letter rune, name string) bool {
	if slices.Contains(set, "-"+string(letter)) || slices.Contains(set, name) {
		return true
	}
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		c, ok := n.(*syntax.CallExpr)
		if !ok || len(c.Args) == 0 {
			return true
		}
		if command, _ := literal(c.Args[0]); command != "set" && command != "builtin" && command != "command" {
			return true
		}
		var words []string
		for _, w := range c.Args[1:] {
			text, ok := literal(w)
			if !ok { // what that becomes is looked at when it runs
				break
			}
			words = append(words, text)
		}
		found = found || setsOption(words, letter, name)
		return true
	})
	return found
}

// apart is a statement in a subshell, as the last one of a pipeline runs in bash.
func apart(s *syntax.Stmt) *syntax.Stmt {
	if _, ok := s.Cmd.(*syntax.Subshell); ok {
		return s
	}
	return &syntax.Stmt{Position: s.Position, Cmd: &syntax.Subshell{Lparen: s.Position, Stmts: []*syntax.Stmt{s}}}
}

func (m *machine) parts(parts []syntax.WordPart) {
	for i, part := range parts {
		switch p := part.(type) {
		case *syntax.ProcSubst:
			parts[i] = substitution(p)
		case *syntax.ParamExp:
			if p.Length && p.Index != nil && p.Param != nil && m.associative[p.Param.Value] {
				if w, ok := p.Index.(*syntax.Word); ok && (w.Lit() == "@" || w.Lit() == "*") {
					parts[i] = own1("count", word(lit(p.Param.Value))).Parts[0]
				}
			}
		}
	}
}

// list reports whether an expansion is all of an associative array.
func (m *machine) list(part syntax.WordPart) (name string, ok bool) {
	p, is := part.(*syntax.ParamExp)
	if !is || p.Index == nil || p.Param == nil || !m.associative[p.Param.Value] {
		return "", false
	}
	w, is := p.Index.(*syntax.Word)
	return p.Param.Value, is && w.Lit() == "@"
}

// full puts a look at an associative array before its list: of an empty one the interpreter makes a word.
func (m *machine) full(w *syntax.Word) {
	for _, part := range w.Parts {
		inner := []syntax.WordPart{part}
		if q, ok := part.(*syntax.DblQuoted); ok {
			inner = q.Parts
		}
		for _, p := range inner {
			if name, ok := m.list(p); ok {
				w.Parts = append(own1("full", word(lit(name))).Parts, w.Parts...)
				return
			}
		}
	}
}

func lit(text string) *syntax.Lit { return &syntax.Lit{Value: text} }

func quoted(parts ...syntax.WordPart) *syntax.DblQuoted { return &syntax.DblQuoted{Parts: parts} }

func word(parts ...syntax.WordPart) *syntax.Word { return &syntax.Word{Parts: parts} }

func rewriteHere(r *syntax.Redirect) {
	if r.N != nil && r.N.Value != "0" {
		return
	}
	switch r.Op {
	case syntax.WordHdoc:
		r.Op = syntax.RdrIn
		r.Word = word(append(append([]syntax.WordPart{&syntax.SglQuoted{Value: herePrefix}}, r.Word.Parts...), &syntax.SglQuoted{Value: "\n"})...)
	case syntax.Hdoc, syntax.DashHdoc:
		parts := []syntax.WordPart{&syntax.SglQuoted{Value: herePrefix}}
		if r.Hdoc != nil {
			parts = append(parts, hereParts(r)...)
		}
		r.Word, r.Hdoc, r.Op = word(parts...), nil, syntax.RdrIn
	default:
	}
}

// hereParts are a here-document's content as parts of a word.
func hereParts(r *syntax.Redirect) []syntax.WordPart {
	literal := false
	for _, p := range r.Word.Parts {
		switch p := p.(type) {
		case *syntax.Lit:
			literal = literal || strings.Contains(p.Value, `\`)
		default:
			literal = true
		}
	}
	var out, inside []syntax.WordPart
	start := true // of a line
	for _, p := range r.Hdoc.Parts {
		l, ok := p.(*syntax.Lit)
		if !ok {
			inside, start = append(inside, p), false
			continue
		}
		text := l.Value
		if r.Op == syntax.DashHdoc {
			text, start = withoutTabs(text, start)
		}
		if literal {
			out = append(out, &syntax.SglQuoted{Value: text})
		} else {
			inside = append(inside, lit(forQuotes(text)))
		}
	}
	if len(inside) > 0 {
		out = append(out, quoted(inside...))
	}
	return out
}

// withoutTabs takes the tabs away that begin lines.
func withoutTabs(text string, start bool) (string, bool) {
	var b strings.Builder
	for i := range len(text) {
		if start && text[i] == '\t' {
			continue
		}
		start = text[i] == '\n'
		b.WriteByte(text[i])
	}
	return b.String(), start
}

// forQuotes is text of a here-document as text within double quotes, where a backslash before a quote is no other.
func forQuotes(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && strings.IndexByte("\\$`\n", text[i+1]) >= 0 {
			b.WriteString(text[i : i+2])
			i++
			continue
		}
		b.WriteString(`\\`)
	}
	return b.String()
}

// substitution is <(list) as $(list > FILE; the name of FILE).
func substitution(ps *syntax.ProcSubst) *syntax.CmdSubst {
	name := func() *syntax.Word {
		return word(quoted(&syntax.ParamExp{Short: true, Param: lit(tempVar)}))
	}
	assign := &syntax.Stmt{Cmd: &syntax.CallExpr{Assigns: []*syntax.Assign{{
		Name: lit(tempVar), Value: word(&syntax.CmdSubst{Stmts: []*syntax.Stmt{call(&syntax.SglQuoted{Value: ownPrefix + "temp"})}}),
	}}}}
	run := &syntax.Stmt{Cmd: &syntax.Block{Stmts: ps.Stmts}, Redirs: []*syntax.Redirect{{Op: syntax.RdrOut, Word: name()}}}
	print := call(lit("echo"))
	print.Cmd.(*syntax.CallExpr).Args = append(print.Cmd.(*syntax.CallExpr).Args, name())
	return &syntax.CmdSubst{Stmts: []*syntax.Stmt{assign, run, print}}
}

func call(part syntax.WordPart) *syntax.Stmt {
	return &syntax.Stmt{Cmd: &syntax.CallExpr{Args: []*syntax.Word{word(part)}}}
}

// associatives are the names that a text declares as associative arrays anywhere.
func associatives(node syntax.Node) map[string]bool {
	found := map[string]bool{}
	syntax.Walk(node, func(n syntax.Node) bool {
		d, ok := n.(*syntax.DeclClause)
		if !ok {
			return true
		}
		is := false
		for _, a := range d.Args {
			if a.Name == nil && a.Value != nil && strings.HasPrefix(a.Value.Lit(), "-") && strings.Contains(a.Value.Lit(), "A") {
				is = true
			}
			if is && a.Name != nil {
				found[a.Name.Value] = true
			}
		}
		return true
	})
	return found
}
