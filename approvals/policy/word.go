package policy

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxBraces bounds the words that braces expand to.
const maxBraces = 64

// word is what a word of shell text becomes: one argument or, with braces, several. It judges anything that a shell runs
// on the way.
func (c *call) word(w *syntax.Word) ([]arg, Decision) {
	d := c.parts(w)
	if w == nil || len(w.Parts) == 0 {
		return []arg{{known: true}}, d
	}
	if !mayBrace(w) {
		return []arg{c.value(w)}, d
	}
	copied := &syntax.Word{Parts: append([]syntax.WordPart(nil), w.Parts...)}
	if !syntax.SplitBraces(copied) {
		return []arg{c.value(w)}, d
	}
	words := []*syntax.Word{{}}
	for _, part := range copied.Parts {
		brace, ok := part.(*syntax.BraceExp)
		if ok && brace.Sequence && !countOut(brace) {
			return []arg{{text: c.source(w), many: true, dash: true}}, worst(d, ask(Unknown, "braces may make too many words"))
		}
		var next []*syntax.Word
		for _, head := range words {
			tails := []*syntax.Word{{Parts: []syntax.WordPart{part}}}
			if ok {
				tails = brace.Elems
			}
			for _, tail := range tails {
				c.spend(costWord + len(head.Parts) + len(tail.Parts))
				next = append(next, &syntax.Word{Parts: append(append([]syntax.WordPart(nil), head.Parts...), tail.Parts...)})
			}
		}
		if words = next; len(words) > maxBraces {
			return []arg{{text: c.source(w), many: true, dash: true}}, worst(d, ask(Unknown, "braces make too many words"))
		}
	}
	args := make([]arg, 0, len(words))
	c.spend(len(words) * costWord)
	for _, one := range words {
		for _, part := range one.Parts {
			if _, nested := part.(*syntax.BraceExp); nested {
				return []arg{{text: c.source(w), many: true, dash: true}}, worst(d, ask(Unknown, "braces within braces"))
			}
		}
		args = append(args, c.value(one))
	}
	return args, d
}

// mayBrace reports whether a word may hold braces that expand.
func mayBrace(w *syntax.Word) bool {
	for _, part := range w.Parts {
		if lit, ok := part.(*syntax.Lit); ok && strings.Contains(lit.Value, "{") {
			return true
		}
	}
	return false
}

// value joins the parts of a word without braces.
func (e *variables) value(w *syntax.Word) arg {
	v := arg{known: true}
	for i, part := range w.Parts {
		e.spend(costNode)
		switch part := part.(type) {
		case *syntax.Lit:
			text, glob := unquote(part.Value)
			glob = glob && text != "[" // the program of that name
			if i == 0 && strings.HasPrefix(part.Value, "~") {
				v.known, v.closed = false, false
			}
			if glob {
				v.known, v.closed, v.many = false, false, true
				v.dash = v.dash || v.text == "" && strings.IndexAny(text, "*?[") == 0
				if head := text[:strings.IndexAny(text, "*?[")]; i == 0 {
					v.rooted(head)
				}
			}
			if isAssignment(part.Value) && strings.Contains(part.Value, "~") {
				v.known, v.closed = false, false
			}
			e.add(&v, text)
		case *syntax.SglQuoted:
			e.add(&v, e.singleQuoted(part, &v))
		case *syntax.DblQuoted:
			e.doubleQuoted(part, &v)
		default:
			e.expanded(part, &v, false)
		}
		if v.known {
			v.lead = v.text
		}
	}
	if !v.known && strings.HasPrefix(v.text, "-") {
		v.dash = true
	}
	v.settleNumber(w)
	return v
}

// rooted takes note of the directory below which a word is, whatever it becomes: what is certain of how it begins.
func (v *arg) rooted(head string) {
	if at := strings.LastIndexByte(head, '/'); at > 0 && head[0] == '/' {
		v.roots = []string{head[:at+1]}
	}
}

// below reports whether a word is a path below directories that are known, none of which the shell or a program takes for
// more than files ("/dev/tcp", "/inet").
func (v *arg) below() bool {
	for _, root := range v.roots {
		if strings.HasPrefix(root, "/dev/") || strings.HasPrefix(root, "/inet") {
			return false
		}
	}
	return len(v.roots) > 0
}

// maxOthers bounds the values of a word that are kept.
const maxOthers = 32

// cost is how much a look at the word takes, in steps.
func (a *arg) cost() int {
	bytes := len(a.text)
	for _, other := range a.others {
		bytes += len(other)
	}
	return costWord + bytes/bytesPerStep
}

// addOthers appends each value of a loop's variable.
func (e *variables) addOthers(a *arg, value arg) {
	var more []string
	for _, head := range append([]string{a.text}, a.others...) {
		for _, tail := range value.others {
			if len(more) < maxOthers && len(head)+len(tail) < 4096 {
				e.hold(len(head) + len(tail))
				more = append(more, head+tail)
			}
		}
	}
	e.add(a, value.text)
	a.others = append(a.others, more...)
}

func isAssignment(s string) bool { return strings.Contains(s, "=") }

// singleQuoted is the text within quotes. $'…' is not known: only some shells read its escapes.
func (e *variables) singleQuoted(q *syntax.SglQuoted, v *arg) string {
	if !q.Dollar {
		return q.Value
	}
	v.known, v.closed = false, false
	// An escape may stand for NUL, which ends the text in bash.
	v.filled = v.filled || q.Value != "" && q.Value[0] != '\\' || len(q.Value) > 1 && strings.IndexByte("tnrvfab", q.Value[1]) >= 0
	return unescapeANSI(q.Value)
}

func (e *variables) doubleQuoted(q *syntax.DblQuoted, v *arg) {
	if q.Dollar {
		v.known, v.closed = false, false
	}
	for _, part := range q.Parts {
		if lit, ok := part.(*syntax.Lit); ok {
			if e.add(v, unquoteDouble(lit.Value)); v.known {
				v.lead = v.text
			}
			continue
		}
		e.expanded(part, v, true)
	}
}

// expanded adds what a part becomes only when the shell runs: a guess, and what is certain about it.
func (e *variables) expanded(part syntax.WordPart, v *arg, quoted bool) {
	first := v.text == ""
	if p, ok := part.(*syntax.ParamExp); ok && p.Param != nil && isPlainParam(p) && !e.loops[p.Param.Value].plain && e.constant(p.Param.Value, v, quoted) {
		return
	}
	wasKnown := v.known
	v.known, v.closed = false, false
	done := false
	switch part := part.(type) {
	case *syntax.ParamExp:
		done = e.parameter(part, v, quoted, wasKnown)
	case *syntax.CmdSubst:
		done = e.substituted(part, v, quoted)
	case *syntax.ProcSubst:
		v.fetches = v.fetches || e.fetching[part]
		if v.names == "" {
			v.names = e.naming[part]
		}
		e.add(v, "/dev/fd/63")
		done = true
	case *syntax.ArithmExp:
		e.add(v, "0")
	}
	if done {
		return
	}
	v.many = v.many || !quoted
	// Unquoted, a second word may begin with a dash wherever the first began.
	v.dash = v.dash || first || !quoted
}

// parameter adds a parameter, and reports whether all that is certain about it is said. wasKnown: what stands before it in
// the word is known.
func (e *variables) parameter(part *syntax.ParamExp, v *arg, quoted, wasKnown bool) bool {
	if part.Param == nil {
		return false
	}
	first := v.text == ""
	if part.Length && !part.Excl && part.Index == nil {
		v.number = true
		e.add(v, "0")
		return true
	}
	loop, listed := e.loops[part.Param.Value]
	listed = listed && isPlainParam(part)
	if listed && first {
		v.roots = loop.roots
	} else if wasKnown && v.lead != "" {
		v.rooted(v.lead)
	}
	switch {
	case listed && (quoted || loop.plain):
		// With one such variable, and nothing else that is not known, all that the word may be is known.
		v.closed = loop.closed && wasKnown && len(v.text) < 1024
		e.addOthers(v, loop)
		v.many = v.many || loop.many
		v.dash = v.dash || first && loop.dash
		return true
	case listed:
		e.addOthers(v, loop)
	default:
		e.add(v, e.guess(part))
	}
	v.many = v.many || strings.ContainsAny(part.Param.Value, "@*")
	return false
}

// substituted adds what a command prints, and reports whether all that is certain about it is said.
func (e *variables) substituted(part *syntax.CmdSubst, v *arg, quoted bool) bool {
	v.fetches = v.fetches || e.fetching[part]
	if v.names == "" {
		v.names = e.naming[part]
	}
	switch {
	case printsWord(part.Stmts):
		e.add(v, "word")
		return true
	case printsNumber(part.Stmts):
		v.number, v.many = true, v.many || !quoted
		e.add(v, "0")
		return true
	}
	return false
}

func isPlainParam(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil && p.Names == 0
}

// guess is what a parameter most likely becomes: a constant that was assigned, a default, the home, a blank.
func (e *variables) guess(p *syntax.ParamExp) string {
	switch p.Param.Value {
	case "IFS":
		return " "
	case "HOME":
		return "~"
	}
	if value, ok := e.last[p.Param.Value]; ok {
		return value
	}
	if loop, ok := e.loops[p.Param.Value]; ok {
		return loop.text
	}
	if p.Exp != nil && p.Exp.Word != nil && (p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.DefaultUnsetOrNull) {
		return e.value(p.Exp.Word).text
	}
	return "${" + p.Param.Value + "}"
}

// unquote takes the backslashes off a literal, and reports whether an unquoted pattern character is in it.
func unquote(s string) (string, bool) {
	if !strings.ContainsAny(s, "\\*?[") {
		return s, false
	}
	var b strings.Builder
	glob := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) && s[i] != '\n' {
				b.WriteByte(s[i])
			}
			continue
		case '*', '?', '[':
			glob = true
		}
		b.WriteByte(s[i])
	}
	return b.String(), glob
}

// unquoteDouble takes off the backslashes that mean something between double quotes.
func unquoteDouble(s string) string {
	if !strings.Contains(s, "\\") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("$`\"\\\n", s[i+1]) >= 0 {
			if i++; s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// unescapeANSI reads the escapes of $'…' as bash does, for guessing.
func unescapeANSI(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		base, digits, start := 0, 0, i
		switch s[i] {
		case 'x':
			base, digits, start = 16, 2, i+1
		case 'u', 'U':
			base, digits, start = 16, 8, i+1
		case '0', '1', '2', '3', '4', '5', '6', '7':
			base, digits = 8, 3
		default:
			if at := strings.IndexByte("abtnvfre", s[i]); at >= 0 {
				b.WriteByte("\a\b\t\n\v\f\r\x1b"[at])
			} else {
				b.WriteByte(s[i])
			}
			continue
		}
		value, end := 0, start
		for end < len(s) && end < start+digits {
			digit := strings.IndexByte("0123456789abcdefABCDEF", s[end])
			if digit > 15 {
				digit -= 6
			}
			if digit < 0 || digit >= base {
				break
			}
			value, end = value*base+digit, end+1
		}
		if s[i] == 'u' || s[i] == 'U' {
			b.WriteRune(rune(value))
		} else {
			b.WriteByte(byte(value))
		}
		i = end - 1
	}
	return b.String()
}

// parts judges what a shell runs while it expands a word.
func (c *call) parts(w *syntax.Word) Decision {
	d := allow()
	if w == nil {
		return d
	}
	for _, part := range w.Parts {
		d = worst(d, c.part(part))
	}
	return d
}

func (c *call) part(part syntax.WordPart) Decision {
	switch part := part.(type) {
	case *syntax.Lit:
		return allow()
	case *syntax.SglQuoted:
		if part.Dollar && strings.Contains(part.Value, "'") {
			return ask(Unknown, "where the quotes of $'…' end is not read alike by every shell")
		}
		return allow()
	case *syntax.DblQuoted:
		d := allow()
		for _, p := range part.Parts {
			d = worst(d, c.part(p))
		}
		return d
	case *syntax.CmdSubst:
		d := allow()
		if part.TempFile || part.ReplyVar {
			d = ask(Caution, "a substitution runs in the shell itself")
		}
		dir := c.dir
		d = worst(d, c.substitution(part, part.Stmts))
		c.dir = dir
		return d
	case *syntax.ProcSubst:
		d := allow()
		if part.Op != syntax.CmdIn {
			d = ask(Caution, "a substitution writes to a command")
		}
		return worst(d, c.substitution(part, part.Stmts))
	case *syntax.ParamExp:
		return c.param(part)
	case *syntax.ArithmExp:
		return worst(c.arithmetic(part.X), c.inside(part))
	}
	return worst(ask(Unknown, "a pattern is not read alike by every shell"), c.inside(part))
}

// substitution judges what a substitution runs, and remembers whether it downloads.
func (c *call) substitution(node syntax.Node, stmts []*syntax.Stmt) Decision {
	before, mentioned := c.downloads, c.mentions
	c.mentions = ""
	d := c.stmts(stmts)
	if c.mentions != "" {
		if c.naming == nil {
			c.naming = map[syntax.Node]string{}
		}
		c.naming[node] = c.mentions
	} else {
		c.mentions = mentioned
	}
	if c.downloads > before {
		if c.fetching == nil {
			c.fetching = map[syntax.Node]bool{}
		}
		c.fetching[node] = true
	}
	return d
}

// hasQuote reports whether a single quote stands anywhere in a node.
func (b *budget) hasQuote(n syntax.Node) bool {
	found := false
	b.walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.SglQuoted:
			found = true
		case *syntax.Lit:
			found = found || strings.Contains(n.Value, "'")
		}
		return !found
	})
	return found
}

// param judges a parameter expansion: plain ones and those that cut or replace text only read.
func (c *call) param(p *syntax.ParamExp) Decision {
	// Each part is judged once: a second time for each level of nesting would take for ever.
	d := allow()
	name := ""
	if p.Param != nil {
		name = p.Param.Value
	}
	if (p.Exp != nil || p.Repl != nil) && c.hasQuote(p) {
		d = worst(d, ask(Unknown, "quotes within the expansion of "+shown(name)+" are not read alike by every shell"))
	}
	unclear := p.Flags != nil || p.Excl || p.Width || p.IsSet || p.NestedParam != nil || p.Index != nil || p.Names != 0 || len(p.Modifiers) > 0
	if p.Exp != nil {
		switch p.Exp.Op {
		case syntax.AssignUnset, syntax.AssignUnsetOrNull, syntax.OtherParamOps:
			unclear = true
		default: // nothing of the kind for the others
		}
		d = worst(d, c.parts(p.Exp.Word))
	}
	if p.Repl != nil {
		d = worst(d, worst(c.parts(p.Repl.Orig), c.parts(p.Repl.With)))
	}
	if p.Slice != nil {
		d = worst(d, worst(c.arithmetic(p.Slice.Offset), c.arithmetic(p.Slice.Length)))
		d = worst(d, worst(c.expression(p.Slice.Offset), c.expression(p.Slice.Length)))
	}
	d = worst(d, c.expression(p.Index))
	if unclear {
		d = worst(d, ask(Caution, "the expansion of "+shown(name)+" may assign or run commands"))
	}
	return d
}

// expression judges the substitutions within an arithmetic expression.
func (c *call) expression(x syntax.ArithmExpr) Decision {
	if x == nil {
		return allow()
	}
	return c.inside(x)
}

// arithmetic allows numbers only. bash evaluates the value of a variable as an expression, with the subscripts and
// commands in it.
func (c *call) arithmetic(x syntax.ArithmExpr) Decision {
	switch x := x.(type) {
	case nil:
		return allow()
	case *syntax.Word:
		if c.isNumeric(x) {
			return allow()
		}
	case *syntax.ParenArithm:
		return c.arithmetic(x.X)
	case *syntax.UnaryArithm:
		switch x.Op {
		case syntax.Plus, syntax.Minus, syntax.Not, syntax.BitNegation:
			return c.arithmetic(x.X)
		case syntax.Inc, syntax.Dec:
			if w, ok := x.X.(*syntax.Word); ok && c.numbers[w.Lit()] {
				return allow()
			}
		}
	case *syntax.BinaryArithm:
		if w, ok := x.X.(*syntax.Word); assigns(x.Op) {
			if ok && c.numbers[w.Lit()] {
				return c.arithmetic(x.Y)
			}
			break
		}
		return worst(c.arithmetic(x.X), c.arithmetic(x.Y))
	}
	return ask(Caution, "the shell evaluates arithmetic, which may run commands")
}

// assigns reports whether an operator changes a variable.
func assigns(op syntax.BinAritOperator) bool {
	switch op {
	case syntax.Assgn, syntax.AddAssgn, syntax.SubAssgn, syntax.MulAssgn, syntax.QuoAssgn, syntax.RemAssgn,
		syntax.AndAssgn, syntax.OrAssgn, syntax.XorAssgn, syntax.ShlAssgn, syntax.ShrAssgn:
		return true
	default: // nothing of the kind for the others
	}
	return false
}

// isNumeric reports whether an operand of arithmetic is a number, a variable that holds one, or a command that prints one.
func (e *variables) isNumeric(w *syntax.Word) bool {
	if lit := w.Lit(); lit != "" {
		value, constant := e.constants[lit]
		return isNumber(lit) || e.numbers[lit] || constant && (value.number || value.known && isNumber(value.text))
	}
	if len(w.Parts) != 1 {
		return false
	}
	a := e.value(w)
	return a.number || a.known && isNumber(a.text)
}

// countOut makes the words of a sequence of numbers, and reports whether it is one and not long.
func countOut(brace *syntax.BraceExp) bool {
	if len(brace.Elems) != 2 {
		return false
	}
	from, to := brace.Elems[0].Lit(), brace.Elems[1].Lit()
	first, err := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if err != nil || err2 != nil || !isNumber(from) || !isNumber(to) || len(from) > 4 || len(to) > 4 || max(first, last)-min(first, last) >= maxBraces ||
		from[0] == '0' && len(from) > 1 || to[0] == '0' && len(to) > 1 {
		return false
	}
	step := 1
	if last < first {
		step = -1
	}
	brace.Elems = nil
	for n := first; ; n += step {
		brace.Elems = append(brace.Elems, &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: strconv.Itoa(n)}}})
		if n == last {
			return true
		}
	}
}
