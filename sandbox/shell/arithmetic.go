package shell

import (
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// The interpreter takes whatever it cannot read for the number 0, where bash reads it as an expression or ends. So each value
// that is not sure to be a number goes through the builtins int and div, which know bash's numbers.

// plainNumber is what both read alike, without spaces.
var plainNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]{0,17}|0[0-7]{1,20}|0[xX][0-9a-fA-F]{1,15}|([2-9]|[1-5][0-9]|6[0-4])#[0-9a-zA-Z@_]{1,10})$`)

// tooGreat is what bash takes for an octal number with a digit that is none.
var tooGreat = regexp.MustCompile(`^[+-]?0[0-9]*[89][0-9]*$`)

// abort ends a text as an error of bash's does.
type abort struct {
	status  int
	message string
}

// Error is the message.
func (a *abort) Error() string { return a.message }

// endsAtError reports whether an error in arithmetic is the end of a text. Of a text with further lines, bash goes on with the
// next one; of one with parts that run apart, with what is behind the part.
func endsAtError(file *syntax.File) bool {
	for i, s := range file.Stmts {
		if i > 0 && s.Pos().Line() > file.Stmts[i-1].End().Line() {
			return false
		}
	}
	ends := true
	syntax.Walk(file, func(n syntax.Node) bool {
		if n == nil {
			return true
		}
		_, substitution := n.(*syntax.ProcSubst)
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			switch name, known := literal(call.Args[0]); {
			case !known, name == "eval", name == "source", name == ".", name == "trap", name == "command", name == "builtin":
				ends = false
			}
		}
		ends = ends && !substitution && !runsApart(n)
		return ends
	})
	return ends
}

// number is what a value is as a number.
func (m *machine) number(hc interp.HandlerContext, value string) (string, error) {
	for range 16 {
		value = strings.Trim(value, " \t\n")
		switch {
		case value == "":
			return "0", nil
		case plainNumber.MatchString(value):
			return value, nil
		case tooGreat.MatchString(value):
			return "", &abort{1, fmt.Sprintf("%s: value too great for base (error token is \"%s\")", value, value)}
		case !syntax.ValidName(value):
			return "", &Unsupported{What: fmt.Sprintf("the value %q as a number", value), Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
		}
		v := hc.Env.Get(value)
		switch {
		case refusedVariables.MatchString(value), v.Kind == expand.Associative:
			return "", &Unsupported{What: "the value of " + value + " as a number"}
		case v.IsSet():
			value = v.String()
		case m.nounset: // and whether it is set at the moment is not known here
			return "", &Unsupported{What: fmt.Sprintf("the value %q as a number together with set -u", value), Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
		default:
			value = ""
		}
	}
	return "", &abort{1, value + ": expression recursion level exceeded"}
}

// own1 is $(name word).
func own1(name string, w *syntax.Word) *syntax.Word {
	s := call(&syntax.SglQuoted{Value: ownPrefix + name})
	c, _ := s.Cmd.(*syntax.CallExpr)
	c.Args = append(c.Args, w)
	return word(&syntax.CmdSubst{Stmts: []*syntax.Stmt{s}})
}

// asNumber is the value of an expansion, which own builtin reads. Where a variable without a value may be an error, the builtin
// is told whether it has one: the error would end nothing but the substitution.
func (m *machine) asNumber(own string, p *syntax.ParamExp) *syntax.Word {
	w := own1(own, valueOf(p))
	if !m.nounset || p.Length || p.Param == nil || p.Exp != nil && neverUnset(p.Exp.Op) {
		return w
	}
	has := *p
	has.Short, has.Slice, has.Repl, has.Exp = false, nil, nil, &syntax.Expansion{Op: syntax.AlternateUnset, Word: word(lit("set"))}
	call, _ := w.Parts[0].(*syntax.CmdSubst).Stmts[0].Cmd.(*syntax.CallExpr)
	call.Args = append(call.Args, word(quoted(&has)), word(lit(p.Param.Value)))
	return w
}

// neverUnset reports whether an expansion is no error where its variable has no value.
func neverUnset(op syntax.ParExpOperator) bool {
	switch op { //nolint:exhaustive // the others need a value
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return true
	}
	return false
}

// valueOf is "${name-}".
func valueOf(p *syntax.ParamExp) *syntax.Word {
	q := *p
	q.Short = false
	if q.Exp == nil && q.Slice == nil && q.Repl == nil && !q.Length && !q.Excl {
		q.Exp = &syntax.Expansion{Op: syntax.DefaultUnset}
	}
	return word(quoted(&q))
}

// arith rewrites an expression so that its values are numbers.
func (m *machine) arith(x syntax.ArithmExpr) syntax.ArithmExpr {
	switch x := x.(type) {
	case *syntax.Word:
		return m.operand(x)
	case *syntax.ParenArithm:
		x.X = m.arith(x.X)
	case *syntax.UnaryArithm:
		if x.Op == syntax.Inc || x.Op == syntax.Dec {
			return m.guarded(x.X, x)
		}
		x.X = m.arith(x.X)
	case *syntax.BinaryArithm:
		return m.binary(x)
	}
	return x
}

func (m *machine) binary(x *syntax.BinaryArithm) syntax.ArithmExpr {
	switch x.Op {
	case syntax.Assgn:
		x.Y = m.arith(x.Y)
	case syntax.AddAssgn, syntax.SubAssgn, syntax.MulAssgn, syntax.AndAssgn, syntax.OrAssgn, syntax.XorAssgn, syntax.ShlAssgn, syntax.ShrAssgn:
		x.Y = m.arith(x.Y)
		return m.guarded(x.X, x)
	case syntax.QuoAssgn, syntax.RemAssgn:
		x.Y = m.divisor(x.Y)
		return m.guarded(x.X, x)
	case syntax.Quo, syntax.Rem:
		x.X, x.Y = m.arith(x.X), m.divisor(x.Y)
	default:
		x.X, x.Y = m.arith(x.X), m.arith(x.Y)
	}
	return x
}

// notZero is a number that anything can be divided by.
var notZero = regexp.MustCompile(`^[1-9][0-9]{0,17}$`)

// divisor is an expression that must not be 0.
func (m *machine) divisor(y syntax.ArithmExpr) syntax.ArithmExpr {
	if w, ok := y.(*syntax.Word); ok && notZero.MatchString(w.Lit()) {
		return y
	}
	e := &syntax.ArithmExp{X: m.arith(y)}
	m.done[e] = true
	return own1("div", word(quoted(e)))
}

// guarded looks at the value that a variable has before an expression changes it.
func (m *machine) guarded(target, x syntax.ArithmExpr) syntax.ArithmExpr {
	w, ok := target.(*syntax.Word)
	if !ok || m.numeric[w.Lit()] || !syntax.ValidName(w.Lit()) {
		return x
	}
	return &syntax.ParenArithm{X: &syntax.BinaryArithm{
		Op: syntax.Comma, X: m.asNumber("int", &syntax.ParamExp{Param: lit(w.Lit())}), Y: x,
	}}
}

// operand is a word as a number.
func (m *machine) operand(w *syntax.Word) syntax.ArithmExpr {
	if text := w.Lit(); text != "" {
		switch {
		case plainNumber.MatchString(text), m.numeric[text]:
			return w
		case syntax.ValidName(text):
			return m.asNumber("int", &syntax.ParamExp{Param: lit(text)})
		}
	}
	if len(w.Parts) == 1 {
		switch p := w.Parts[0].(type) {
		case *syntax.ParamExp:
			plain := p.Param != nil && p.Index == nil && p.Exp == nil && p.Slice == nil && p.Repl == nil && !p.Excl
			if plain && (p.Length || p.Param.Value == "#" || p.Param.Value == "?" || m.numeric[p.Param.Value]) {
				return w
			}
			if p.Length {
				return w
			}
			return m.asNumber("num", p)
		case *syntax.ArithmExp:
			return w
		}
	}
	return own1("num", word(quoted(inQuotes(w.Parts)...)))
}

// inQuotes are parts that stand in quotes from now on.
func inQuotes(parts []syntax.WordPart) []syntax.WordPart {
	var out []syntax.WordPart
	for _, p := range parts {
		if q, ok := p.(*syntax.DblQuoted); ok {
			out = append(out, q.Parts...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// assignsNumber reports whether an operator leaves a number in a variable.
func assignsNumber(op syntax.BinAritOperator) bool {
	switch op { //nolint:exhaustive // the others assign nothing
	case syntax.Assgn, syntax.AddAssgn, syntax.SubAssgn, syntax.MulAssgn, syntax.QuoAssgn, syntax.RemAssgn,
		syntax.AndAssgn, syntax.OrAssgn, syntax.XorAssgn, syntax.ShlAssgn, syntax.ShrAssgn:
		return true
	}
	return false
}

// numerics are the variables to which a text gives nothing but numbers.
func numerics(file *syntax.File, env map[string]string) map[string]bool {
	s := &sources{number: map[string]bool{"RANDOM": true}, other: map[string]bool{}}
	syntax.Walk(file, func(n syntax.Node) bool {
		s.node(n)
		return true
	})
	if s.opaque {
		return map[string]bool{"RANDOM": true}
	}
	for name := range s.other {
		delete(s.number, name)
	}
	for name := range env {
		delete(s.number, name)
	}
	return s.number
}

// sources collects where variables get their values.
type sources struct {
	number, other map[string]bool
	opaque        bool // something may set any of them
}

func (s *sources) note(name string, number bool) {
	if number {
		s.number[name] = true
	} else {
		s.other[name] = true
	}
}

func (s *sources) target(x syntax.ArithmExpr) {
	if w, ok := x.(*syntax.Word); ok && syntax.ValidName(w.Lit()) {
		s.note(w.Lit(), true)
	}
}

func (s *sources) node(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.Assign:
		if n.Name != nil {
			s.note(n.Name.Value, n.Value != nil && !n.Append && n.Index == nil && isNumber(n.Value))
		}
	case *syntax.BinaryArithm:
		if assignsNumber(n.Op) {
			s.target(n.X)
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			s.target(n.X)
		}
	case *syntax.WordIter:
		s.note(n.Name.Value, false)
	case *syntax.ParamExp:
		if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) && n.Param != nil {
			s.note(n.Param.Value, false)
		}
	case *syntax.CallExpr:
		if len(n.Args) > 0 {
			s.call(n)
		}
	}
}

// call notes what a builtin sets.
func (s *sources) call(n *syntax.CallExpr) {
	name, ok := literal(n.Args[0])
	if !ok {
		s.opaque = true
		return
	}
	switch name {
	case "eval", "source", ".", "trap", "builtin":
		s.opaque = true
	case "read", "printf", "mapfile", "readarray", "getopts":
		for _, w := range n.Args[1:] {
			if text, ok := literal(w); ok {
				s.note(text, false)
			} else if name == "read" || name == "getopts" {
				s.opaque = true
			}
		}
	}
}

var plainDecimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)

// isNumber reports whether what is assigned is a number, whatever happens.
func isNumber(w *syntax.Word) bool {
	if plainDecimal.MatchString(w.Lit()) {
		return true
	}
	if len(w.Parts) != 1 {
		return false
	}
	switch p := w.Parts[0].(type) {
	case *syntax.ArithmExp:
		return true
	case *syntax.ParamExp:
		return p.Param != nil && p.Index == nil && (p.Length || p.Short && (p.Param.Value == "#" || p.Param.Value == "?"))
	}
	return false
}
