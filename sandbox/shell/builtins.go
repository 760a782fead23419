package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// ownPrefix begins the names of builtins that are done here.
const ownPrefix = "\x01own\x01"

// call looks at each simple command before it runs, and puts another in its place where the interpreter's own is not bash's.
func (m *machine) call(ctx context.Context, args []string) ([]string, error) {
	out, err := m.instead(ctx, args)
	return out, m.fail(err)
}

func (m *machine) instead(ctx context.Context, args []string) ([]string, error) {
	hc := interp.HandlerCtx(ctx)
	for len(args) > 1 && (args[0] == "builtin" || args[0] == "command") && !strings.HasPrefix(args[1], "-") && interp.IsBuiltin(args[1]) {
		args = args[1:]
	}
	if what := refusedCall(args); what != "" {
		return nil, &Unsupported{What: what, Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
	}
	switch args[0] {
	case "echo":
		return m.written(hc, "echo", echo(args), 0), nil
	case "printf":
		return m.printf(hc, args)
	case "read":
		return m.read(hc, args)
	case "mapfile", "readarray":
		return m.mapfile(hc, args)
	case "eval":
		return m.eval(args)
	case "source", ".":
		return m.source(hc, args)
	case "trap":
		return m.trap(args)
	case "set":
		if setsOption(args[1:], 'u', "nounset") && !m.nounset {
			return nil, &Unsupported{What: "set -u that is not written out"}
		}
		if setsErrexit(args[1:]) && !m.strict {
			return nil, &Unsupported{What: "set -e that is not written out"}
		}
		return set(args), nil
	case "cd":
		if len(args) == 2 && args[1] == "" {
			return []string{"true"}, nil
		}
	case "[", "test":
		return m.test(hc, args)
	case "return":
		if len(args) == 1 {
			return []string{"return", strconv.Itoa(hc.LastExitStatus)}, nil
		}
	case "kill":
		return append([]string{direct + "kill"}, args[1:]...), nil
	case "hash":
		return append([]string{ownPrefix + "hash"}, args[1:]...), nil
	}
	return args, nil
}

// traps are the signals that never reach a text in the sandbox: a trap on one is as good as none.
var traps = regexp.MustCompile(`^(SIG)?(INT|TERM|HUP|QUIT|USR1|USR2|PIPE|ALRM|WINCH|TSTP|CONT|CHLD)$|^([1-9]|1[0-5])$`)

// shopts are the options of shopt that there are.
var shopts = []string{"nullglob", "dotglob", "globstar", "nocaseglob"}

// refusedCall names what a simple command has in it that is refused, "" for nothing.
func refusedCall(args []string) string {
	name, rest := args[0], args[1:]
	if slices.Contains(refusedBuiltins, name) {
		return name
	}
	if look := refusals[name]; look != nil {
		return look(name, rest)
	}
	return ""
}

// refusals look at the arguments of builtins, by name.
var refusals map[string]func(name string, rest []string) string

func init() {
	refusals = map[string]func(string, []string) string{
		"command": refusedCommand, "builtin": refusedBuiltin, "type": refusedType, "exec": refusedExec, "wait": refusedWait, "kill": refusedKill,
		"[": refusedTest, "test": refusedTest, "mapfile": refusedMapfile, "readarray": refusedMapfile,
		"unset": onlyFlags("vf"), "hash": onlyFlags("r"), "cd": onlyFlags("LP"), "pwd": onlyFlags("LP"),
		"set":   func(_ string, rest []string) string { return refusedSet(rest) },
		"trap":  func(_ string, rest []string) string { return refusedTrap(rest) },
		"shopt": refusedShopt,
	}
}

// onlyFlags refuses every flag but some.
func onlyFlags(allowed string) func(string, []string) string {
	return func(name string, rest []string) string {
		for _, a := range rest {
			if a == "--" || len(a) < 2 || a[0] != '-' {
				return ""
			}
			if strings.Trim(a[1:], allowed) != "" {
				return name + " " + a
			}
		}
		return ""
	}
}

func refusedCommand(name string, rest []string) string {
	if len(rest) > 0 && strings.HasPrefix(rest[0], "-") && rest[0] != "-v" && rest[0] != "--" {
		return name + " " + rest[0]
	}
	return ""
}

func refusedBuiltin(_ string, rest []string) string {
	if len(rest) == 0 || !interp.IsBuiltin(rest[0]) {
		return "builtin of what is none"
	}
	return ""
}

func refusedType(_ string, rest []string) string {
	if len(rest) != 2 || rest[0] != "-t" && rest[0] != "-p" && rest[0] != "-P" {
		return "type but for type -t NAME and type -p NAME"
	}
	return ""
}

func refusedExec(_ string, rest []string) string {
	if len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		return "exec " + rest[0]
	}
	return ""
}

func refusedWait(_ string, rest []string) string {
	for _, a := range rest {
		if !strings.HasPrefix(a, "g") { // what $! is here
			return "wait " + a
		}
	}
	return ""
}

// jobNumber is what the interpreter calls a job.
var jobNumber = regexp.MustCompile(`^g[0-9]+$`)

func refusedKill(_ string, rest []string) string {
	for _, a := range rest {
		if strings.HasPrefix(a, "%") || a == "-l" || a == "-L" || jobNumber.MatchString(a) {
			return "kill " + a
		}
	}
	return ""
}

func refusedTest(name string, rest []string) string {
	for i, a := range rest {
		switch {
		case a == "<", a == ">", a == "=~", (a == "-a" || a == "-o") && (i == 0 || rest[i-1] == "!" || rest[i-1] == "("),
			slices.Contains([]string{"-v", "-R", "-O", "-G", "-N"}, a) && len(rest) < 5,
			strings.HasPrefix(a, "/dev/std"), strings.HasPrefix(a, "/dev/fd/"), strings.HasPrefix(a, "/proc/self/fd/"):
			return name + " " + a
		}
	}
	return ""
}

func refusedMapfile(name string, rest []string) string {
	for _, a := range rest {
		if len(a) > 1 && a[0] == '-' && a != "-t" && a != "-d" {
			return name + " " + a
		}
	}
	return ""
}

func refusedShopt(_ string, rest []string) string {
	if len(rest) < 2 || rest[0] != "-s" && rest[0] != "-u" {
		return "shopt but for shopt -s and -u"
	}
	for _, a := range rest[1:] {
		if !slices.Contains(shopts, a) {
			return "shopt " + rest[0] + " " + a
		}
	}
	return ""
}

// setOptions are the options of set -o that there are.
var setOptions = []string{"errexit", "nounset", "xtrace", "noglob", "pipefail", "allexport"}

func refusedSet(args []string) string {
	if len(args) == 0 {
		return "a list of variables"
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" || a == "-" || len(a) < 2 || a[0] != '-' && a[0] != '+' {
			return ""
		}
		for _, f := range a[1:] {
			switch {
			case strings.ContainsRune("euxfaEhB", f):
			case f == 'o':
				if i++; i == len(args) || !slices.Contains(setOptions, args[i]) && args[i] != "errtrace" && args[i] != "hashall" && args[i] != "braceexpand" {
					return "set -o of such an option"
				}
			default:
				return "set -" + string(f)
			}
		}
	}
	return ""
}

// set takes the options away that change nothing here.
func set(args []string) []string {
	out := []string{args[0]}
	for i := 1; i < len(args); i++ {
		a := args[i]
		if a == "--" || a == "-" || len(a) < 2 || a[0] != '-' && a[0] != '+' {
			return append(out, args[i:]...)
		}
		kept, named := strings.Trim(strings.NewReplacer("E", "", "h", "", "B", "", "o", "").Replace(a[1:]), " "), strings.Contains(a, "o")
		if kept != "" {
			out = append(out, a[:1]+kept)
		}
		if named && i+1 < len(args) {
			i++
			if slices.Contains(setOptions, args[i]) {
				out = append(out, a[:1]+"o", args[i])
			}
		}
	}
	if len(out) == 1 {
		return []string{"true"}
	}
	return out
}

func refusedTrap(args []string) string {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) < 2 || len(args[0]) > 1 && args[0][0] == '-' {
		return "trap without signals"
	}
	for _, s := range args[1:] {
		if s != "EXIT" && s != "0" && s != "ERR" && !traps.MatchString(s) {
			return "trap on " + s
		}
	}
	return ""
}

// trap keeps the signals that come.
func (m *machine) trap(args []string) ([]string, error) {
	args = args[1:]
	if args[0] == "--" {
		args = args[1:]
	}
	if args[0] != "-" && args[0] != "" {
		file, err := Parse(args[0])
		if err != nil {
			return nil, err
		}
		if regexp.MustCompile(`\b(exit|return)\b`).MatchString(args[0]) {
			return nil, &Unsupported{What: "exit in a trap"}
		}
		if needsRewriting(file, m.associative) {
			return nil, &Unsupported{What: "a trap with a here-document or a process substitution"}
		}
	}
	out := []string{"trap", args[0]}
	for _, s := range args[1:] {
		switch s {
		case "EXIT", "0":
			out = append(out, "EXIT")
		case "ERR":
			out = append(out, s)
		}
	}
	if slices.Contains(out[2:], "ERR") && m.parted {
		return nil, &Unsupported{What: "a trap on ERR beside functions, subshells or compound commands"}
	}
	if len(out) == 2 {
		return []string{"true"}, nil
	}
	return out, nil
}

// parted reports whether a text has parts that do not share the text's trap on ERR.
func parted(file *syntax.File) bool {
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl, *syntax.Subshell, *syntax.CmdSubst, *syntax.ProcSubst, *syntax.Block, *syntax.IfClause, *syntax.WhileClause,
			*syntax.ForClause, *syntax.CaseClause:
			found = true
		case *syntax.BinaryCmd:
			found = found || n.Op == syntax.Pipe || n.Op == syntax.PipeAll
		case *syntax.Stmt:
			found = found || n.Background
		case *syntax.CallExpr:
			if len(n.Args) > 0 {
				name := n.Args[0].Lit()
				found = found || name == "eval" || name == "source" || name == "."
			}
		}
		return true
	})
	return found
}

func hasTrap(file *syntax.File) bool {
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "trap" {
			found = true
		}
		return true
	})
	return found
}

// needsRewriting reports whether a text has in it what the interpreter would not do as bash without rewrite.
func needsRewriting(file *syntax.File, names map[string]bool) bool {
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ProcSubst, *syntax.WhileClause:
			found = true
		case *syntax.BinaryCmd:
			found = found || n.Op == syntax.Pipe || n.Op == syntax.PipeAll
		case *syntax.Redirect:
			found = found || n.Op == syntax.Hdoc || n.Op == syntax.DashHdoc || n.Op == syntax.RdrClob
		case *syntax.Stmt:
			if call, ok := n.Cmd.(*syntax.CallExpr); ok && len(n.Redirs) > 0 && len(call.Args) > 0 {
				found = true
			}
		case *syntax.ParamExp:
			found = found || n.Length && n.Index != nil && n.Param != nil && names[n.Param.Value]
		}
		return true
	})
	return found || len(associatives(file)) > 0
}

// echo is what echo writes. It has flags as bash reads them: several in a word, and nothing else in it.
func echo(args []string) string {
	n, e := false, false
	i := 1
	for ; i < len(args) && len(args[i]) > 1 && args[i][0] == '-' && strings.Trim(args[i][1:], "neE") == ""; i++ {
		for _, f := range args[i][1:] {
			switch f {
			case 'n':
				n = true
			case 'e':
				e = true
			case 'E':
				e = false
			}
		}
	}
	text := strings.Join(args[i:], " ")
	if e {
		var stop bool
		text, stop = unescape(text)
		n = n || stop
	}
	if !n {
		text += "\n"
	}
	return text
}

// written is what to run in the place of a builtin whose output is written here. Nobody reads a pipe any more: bash is ended
// by a signal then.
func (m *machine) written(hc interp.HandlerContext, name, text string, status int) []string {
	_, err := io.WriteString(hc.Stdout, text)
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, io.ErrClosedPipe):
		return []string{"exit", strconv.Itoa(128 + int(unix.SIGPIPE))}
	case err != nil:
		_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: %s: write error: %v\n", m.options.Name, hc.Pos.Line(), name, reason(err))
		status = 1
	}
	return assignments(nil, nil, status)
}

// reason is an error without what was done.
func reason(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func quote(s string) string {
	q, err := syntax.Quote(s, syntax.LangBash)
	if err != nil {
		return "''"
	}
	return q
}

// assignments is shell text that gives variables their values and ends with a status.
func assignments(names, values []string, status int) []string {
	var b strings.Builder
	for i, name := range names {
		b.WriteString(name + "=" + quote(values[i]) + "; ")
	}
	if len(names) == 0 && status < 2 {
		return []string{map[int]string{0: "true", 1: "false"}[status]}
	}
	switch status {
	case 0:
		b.WriteString("true")
	case 1:
		b.WriteString("false")
	default:
		fmt.Fprintf(&b, "(exit %d)", status)
	}
	return []string{"eval", b.String()}
}

// elementName is what printf -v and read write to.
var elementName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\[[A-Za-z0-9_]+\])?$`)

func (m *machine) printf(hc interp.HandlerContext, args []string) ([]string, error) {
	rest := args[1:]
	variable := ""
	if len(rest) > 1 && rest[0] == "-v" {
		variable, rest = rest[1], rest[2:]
		if !elementName.MatchString(variable) {
			return nil, &Unsupported{What: "printf -v " + variable}
		}
	} else if len(rest) > 0 && len(rest[0]) > 2 && strings.HasPrefix(rest[0], "-v") {
		return m.printf(hc, append([]string{"printf", "-v", rest[0][2:]}, rest[1:]...))
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	if len(rest) == 0 {
		_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: printf: usage: printf [-v var] format [arguments]\n", m.options.Name, hc.Pos.Line())
		return []string{"eval", "(exit 2)"}, nil
	}
	text, complaints, err := format(rest[0], rest[1:])
	if err != nil {
		return nil, err
	}
	status := 0
	for _, c := range complaints {
		status = 1
		_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: printf: %s\n", m.options.Name, hc.Pos.Line(), c)
	}
	if variable != "" {
		return assignments([]string{variable}, []string{strings.ReplaceAll(text, "\x00", "")}, status), nil
	}
	return m.written(hc, "printf", text, status), nil
}

// eval has its text read as the whole was.
func (m *machine) eval(args []string) ([]string, error) {
	text := strings.Join(args[1:], " ")
	if strings.HasPrefix(text, "\x01") {
		return args, nil
	}
	file, err := Parse(text)
	var unsupported *Unsupported
	switch {
	case errors.As(err, &unsupported):
		return nil, err
	case err != nil:
		return args, nil // which complains
	}
	if hasTrap(file) || strict(file, nil) && !m.strict || sets(file, nil, 'u', "nounset") && !m.nounset {
		return nil, &Unsupported{What: "a trap, set -e or set -u in eval"}
	}
	if !needsRewriting(file, m.associative) {
		return args, nil
	}
	return m.rewritten(file)
}

// maxSource bounds a file that is read as a text, in bytes.
const maxSource = MaxText

func (m *machine) source(hc interp.HandlerContext, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	name := args[1]
	if !strings.Contains(name, "/") {
		if found := lookSource(hc, name); found != "" {
			name = found
		}
	}
	if !path.IsAbs(name) {
		name = path.Join(hc.Dir, name)
	}
	f, err := os.Open(name) // #nosec G304 -- the session's view
	if err != nil {
		return args, nil // which complains
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return args, nil
	}
	file, err := Parse(string(text))
	var unsupported *Unsupported
	if errors.As(err, &unsupported) {
		unsupported.What += " in " + args[1]
		return nil, unsupported
	}
	switch {
	case sets(file, nil, 'u', "nounset") && !m.nounset:
		return nil, &Unsupported{What: "set -u in " + args[1]}
	case err != nil, !needsRewriting(file, m.associative) && !hasTrap(file) && (m.strict || !strict(file, nil)):
		return args, nil
	case hasTrap(file), len(args) > 2, returns(file), strict(file, nil) && !m.strict:
		return nil, &Unsupported{What: "a trap, return, set -e or arguments of " + args[1]}
	}
	return m.rewritten(file)
}

// returns reports whether a text returns from itself, and not from a function.
func returns(file *syntax.File) bool {
	found := false
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "return" {
			found = true
		}
		_, function := n.(*syntax.FuncDecl)
		return !found && !function
	})
	return found
}

// rewritten is a text that was read later, as it is to run.
func (m *machine) rewritten(file *syntax.File) ([]string, error) {
	for name := range associatives(file) {
		m.associative[name] = true
	}
	m.rewrite(file)
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, file); err != nil {
		return nil, &Unsupported{What: "such a text"}
	}
	return []string{"eval", b.String()}, nil
}

func lookSource(hc interp.HandlerContext, name string) string {
	for _, dir := range strings.Split(hc.Env.Get("PATH").String(), ":") {
		at := path.Join(dir, name)
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
			return at
		}
	}
	return ""
}

// readFlags are what read is told.
type readFlags struct {
	raw, array, silent bool
	exactly            bool
	delim              byte
	count              int // characters, -1 for any
	names              []string
	prompt             string
}

// read reads as bash does where the interpreter's own has no such flag.
func (m *machine) read(hc interp.HandlerContext, args []string) ([]string, error) {
	f, err := parseRead(args[1:])
	if err != nil {
		return nil, err
	}
	in, _ := hc.Stdin.(*os.File)
	if in == nil {
		return nil, &Unsupported{What: "read without an input"}
	}
	for _, name := range f.names {
		if !elementName.MatchString(name) {
			_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: read: `%s': not a valid identifier\n", m.options.Name, hc.Pos.Line(), name)
			return assignments(nil, nil, 1), nil
		}
	}
	line, status := f.line(in)
	ifs := " \t\n"
	if v := hc.Env.Get("IFS"); v.IsSet() {
		ifs = v.String()
	}
	var names, values []string
	switch {
	case f.array:
		name := "REPLY"
		if len(f.names) > 0 {
			name = f.names[0]
		}
		var b strings.Builder
		b.WriteString(name + "=(")
		for _, v := range fields(line, ifs, -1, f.raw) {
			b.WriteString(quote(v) + " ")
		}
		b.WriteString(")")
		if status != 0 {
			b.WriteString("; false")
		}
		return []string{"eval", b.String()}, nil
	case len(f.names) == 0:
		names, values = []string{"REPLY"}, []string{unescaped(line, f.raw)}
	case f.exactly:
		names, values = f.names[:1], []string{unescaped(line, f.raw)}
		for _, n := range f.names[1:] {
			names, values = append(names, n), append(values, "")
		}
	default:
		fields := fields(line, ifs, len(f.names), f.raw)
		for i, n := range f.names {
			v := ""
			if i < len(fields) {
				v = fields[i]
			}
			names, values = append(names, n), append(values, v)
		}
	}
	return assignments(names, values, status), nil
}

// fields splits a line as read does, into at most most fields, of which the last has the rest; -1 for any number. A backslash
// takes what follows for itself where the line is not raw.
func fields(line, ifs string, most int, raw bool) []string {
	type char struct {
		c       byte
		literal bool
	}
	var chars []char
	for i := 0; i < len(line); i++ {
		if !raw && line[i] == '\\' && i+1 < len(line) {
			i++
			chars = append(chars, char{line[i], true})
			continue
		}
		chars = append(chars, char{line[i], false})
	}
	delim := func(i int) bool { return !chars[i].literal && strings.IndexByte(ifs, chars[i].c) >= 0 }
	space := func(i int) bool { return delim(i) && strings.IndexByte(" \t\n", chars[i].c) >= 0 }
	text := func(from, to int) string {
		var b strings.Builder
		for _, c := range chars[from:to] {
			b.WriteByte(c.c)
		}
		return b.String()
	}
	i := 0
	skip := func() {
		for i < len(chars) && space(i) {
			i++
		}
	}
	var out []string
	for skip(); i < len(chars); {
		if most > 0 && len(out) == most-1 {
			return append(out, last(i, len(chars), delim, space, text))
		}
		from := i
		for i < len(chars) && !delim(i) {
			i++
		}
		out = append(out, text(from, i))
		skip()
		if i < len(chars) && delim(i) && !space(i) {
			i++
			skip()
		}
	}
	return out
}

// last is the rest of a line for the last name: without spaces at its end, and without a delimiter that ends it where there is
// no other.
func last(from, to int, delim, space func(int) bool, text func(int, int) string) string {
	for to > from && space(to-1) {
		to--
	}
	if to > from && delim(to-1) && !space(to-1) {
		first := from
		for first < to-1 && !delim(first) {
			first++
		}
		if first == to-1 {
			to--
			for to > from && space(to-1) {
				to--
			}
		}
	}
	return text(from, to)
}

// testNumber is what test takes for a number.
var testNumber = regexp.MustCompile(`^\s*[+-]?[0-9]{1,18}\s*$`)

// test refuses numbers that are none as bash does.
func (m *machine) test(hc interp.HandlerContext, args []string) ([]string, error) {
	for i, a := range args {
		switch a {
		case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
		default:
			continue
		}
		if i < 2 || i+1 >= len(args) {
			continue
		}
		for _, n := range []string{args[i-1], args[i+1]} {
			if testNumber.MatchString(n) {
				continue
			}
			if len(args) > 5 {
				return nil, &Unsupported{What: "such a test"}
			}
			_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: %s: %s: integer expression expected\n", m.options.Name, hc.Pos.Line(), args[0], n)
			return assignments(nil, nil, 2), nil
		}
	}
	return args, nil
}

func unescaped(line string, raw bool) string {
	if raw {
		return line
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
		}
		b.WriteByte(line[i])
	}
	return b.String()
}

// mapfile reads lines into an array.
func (m *machine) mapfile(hc interp.HandlerContext, args []string) ([]string, error) {
	delim, trim, name := byte('\n'), false, "MAPFILE"
	rest := args[1:]
	for len(rest) > 0 && len(rest[0]) > 1 && rest[0][0] == '-' {
		flag := rest[0]
		rest = rest[1:]
		switch {
		case flag == "-t":
			trim = true
		case flag == "-d" && len(rest) > 0:
			delim = 0
			if rest[0] != "" {
				delim = rest[0][0]
			}
			rest = rest[1:]
		default:
			return nil, &Unsupported{What: args[0] + " " + flag}
		}
	}
	if len(rest) > 0 {
		name = rest[0]
	}
	in, _ := hc.Stdin.(*os.File)
	if in == nil || len(rest) > 1 || !syntax.ValidName(name) {
		return nil, &Unsupported{What: "such a " + args[0]}
	}
	data, err := io.ReadAll(io.LimitReader(in, maxLine+1))
	if err != nil || len(data) > maxLine {
		return nil, &Unsupported{What: args[0] + " of so much"}
	}
	var b strings.Builder
	b.WriteString(name + "=(")
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, delim); i >= 0 {
			line, data = data[:i+1], data[i+1:]
			if trim || delim == 0 {
				line = line[:i]
			}
		} else {
			data = nil
		}
		b.WriteString(quote(strings.ReplaceAll(string(line), "\x00", "")) + " ")
	}
	b.WriteString(")")
	return []string{"eval", b.String()}, nil
}

// maxLine bounds what one read takes, in bytes.
const maxLine = 16 << 20

// line reads up to the delimiter, byte by byte: what follows is the next reader's.
func (f readFlags) line(in *os.File) (string, int) {
	var b []byte
	var one [1]byte
	escaped := false
	characters := 0
	for f.count < 0 || characters < f.count {
		n, err := in.Read(one[:])
		if n == 0 || err != nil {
			return string(b), 1
		}
		c := one[0]
		switch {
		case escaped:
			escaped = false
			if c == '\n' { // a continued line
				b = b[:len(b)-1]
				continue
			}
		case !f.raw && c == '\\':
			b, escaped = append(b, c), true
			continue
		case c == f.delim && !f.exactly:
			return string(b), 0
		}
		if c == 0 {
			continue // bash drops them
		}
		if b = append(b, c); len(b) > maxLine {
			return string(b), 1
		}
		if c < 0x80 || c >= 0xc0 {
			characters++
		}
		if f.count >= 0 && characters == f.count && c >= 0xc0 { // the rest of a character
			for range continuation(c) {
				if n, _ := in.Read(one[:]); n == 1 {
					b = append(b, one[0])
				}
			}
		}
	}
	return string(b), 0
}

func continuation(first byte) int {
	switch {
	case first >= 0xf0:
		return 3
	case first >= 0xe0:
		return 2
	}
	return 1
}

func parseRead(args []string) (readFlags, error) {
	f := readFlags{delim: '\n', count: -1}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "-" {
			break
		}
		for i := 0; i < len(word); i++ {
			switch c := word[i]; c {
			case 'r':
				f.raw = true
			case 's':
				f.silent = true
			case 'a', 'd', 'n', 'N', 'p':
				value := word[i+1:]
				if value == "" {
					if len(args) == 0 {
						return f, &Unsupported{What: "read -" + string(c) + " without a value"}
					}
					value, args = args[0], args[1:]
				}
				if err := f.value(c, value); err != nil {
					return f, err
				}
				i = len(word)
			default:
				return f, &Unsupported{What: "read -" + string(c)}
			}
		}
	}
	if !f.array {
		f.names = args
	}
	return f, nil
}

func (f *readFlags) value(flag byte, value string) error {
	switch flag {
	case 'a':
		f.array, f.names = true, []string{value}
	case 'd':
		f.delim = 0
		if value != "" {
			f.delim = value[0]
		}
	case 'p':
		f.prompt = value // shown at a terminal alone, and there is none
	case 'n', 'N':
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			return &Unsupported{What: "read -" + string(flag) + " " + value}
		}
		f.count, f.exactly = n, flag == 'N'
	}
	return nil
}

// own runs a builtin that is done here.
func (m *machine) own(hc interp.HandlerContext, name string, args []string) error {
	err := m.builtin(hc, name, args)
	var status interp.ExitStatus
	if err != nil && !errors.As(err, &status) {
		return m.fail(err)
	}
	return err
}

func (m *machine) builtin(hc interp.HandlerContext, name string, args []string) error {
	first := ""
	if len(args) > 0 {
		first = args[0]
	}
	switch name {
	case "status":
		if n, _ := strconv.Atoi(first); n != 0 {
			return interp.ExitStatus(n) // #nosec G115 -- a status
		}
	case "count":
		return say(hc, strconv.Itoa(len(hc.Env.Get(first).Map)))
	case "full":
		if len(hc.Env.Get(first).Map) == 0 {
			return &Unsupported{What: "the list of the empty associative array " + first}
		}
	case "int", "num", "div":
		if len(args) == 3 && args[1] == "" { // and whether set -u holds at the moment is not known here
			return &Unsupported{What: args[2] + " without a value in arithmetic together with set -u", Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
		}
		if name == "num" && strings.TrimSpace(first) == "" {
			return &Unsupported{What: "an empty value in arithmetic", Line: int(hc.Pos.Line())} // #nosec G115 -- lines of MaxText bytes
		}
		value, err := m.number(hc, first)
		switch {
		case err != nil:
			return err
		case name == "div" && value == "0":
			return &abort{1, fmt.Sprintf("line %d: division by 0", hc.Pos.Line())}
		}
		return say(hc, value)
	case "cat":
		in, ok := hc.Stdin.(*os.File)
		if !ok {
			return nil
		}
		if _, err := io.Copy(hc.Stdout, in); err != nil {
			return interp.ExitStatus(1)
		}
	case "hash":
		return m.hash(hc, args)
	case "temp":
		f, err := m.temp("substitution-")
		if err != nil {
			return err
		}
		_ = f.Close()
		return say(hc, f.Name())
	}
	return nil
}

func say(hc interp.HandlerContext, text string) error {
	_, err := io.WriteString(hc.Stdout, text)
	return err
}

// hash looks for commands as bash does, and remembers nothing.
func (m *machine) hash(hc interp.HandlerContext, names []string) error {
	var failed error
	for _, name := range names {
		if strings.HasPrefix(name, "-") || strings.Contains(name, "/") || interp.IsBuiltin(name) {
			continue
		}
		if _, err := interp.LookPathDir(hc.Dir, hc.Env, name); err != nil {
			_, _ = fmt.Fprintf(hc.Stderr, "%s: line %d: hash: %s: not found\n", m.options.Name, hc.Pos.Line(), name)
			failed = interp.ExitStatus(1)
		}
	}
	return failed
}

// temp makes a new file.
func (m *machine) temp(prefix string) (*os.File, error) {
	return os.CreateTemp(m.options.Scratch, ".shell-"+prefix)
}

// open opens what a redirection names.
func (m *machine) open(ctx context.Context, name string, flags int, mode os.FileMode) (io.ReadWriteCloser, error) {
	hc := interp.HandlerCtx(ctx)
	if text, ok := strings.CutPrefix(name, herePrefix); ok {
		f, err := m.temp("here-")
		if err != nil {
			return nil, err
		}
		_ = os.Remove(f.Name())
		_, err = f.WriteString(text)
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		return f, nil
	}
	switch name {
	case "/dev/stdin", "/dev/stdout", "/dev/stderr":
		return standard(hc, name)
	}
	for _, prefix := range []string{"/dev/tcp/", "/dev/udp/", "/dev/fd/", "/proc/self/fd/", "/proc/thread-self/"} {
		if strings.HasPrefix(name, prefix) {
			return nil, m.fail(&Unsupported{What: "a redirection to " + prefix})
		}
	}
	shown := name
	if name != "" && !path.IsAbs(name) {
		name = path.Join(hc.Dir, name)
	}
	f, err := os.OpenFile(name, flags, mode) // #nosec G304 -- the session's view
	if err != nil {
		var failed *os.PathError
		if errors.As(err, &failed) {
			return nil, &os.PathError{Op: "open", Path: shown, Err: failed.Err}
		}
		return nil, err
	}
	if flags&(os.O_WRONLY|os.O_RDWR) == 0 {
		return f, nil
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, &os.PathError{Op: "open", Path: shown, Err: errors.New("is a directory")}
	}
	return f, nil
}

// standard is one of the text's own streams by its name.
func standard(hc interp.HandlerContext, name string) (io.ReadWriteCloser, error) {
	var stream any = hc.Stdin
	switch name {
	case "/dev/stdout":
		stream = hc.Stdout
	case "/dev/stderr":
		stream = hc.Stderr
	}
	f, ok := stream.(*os.File)
	if !ok {
		w, _ := stream.(io.Writer)
		if w == nil || name == "/dev/stdin" {
			return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		}
		return borrowed{w}, nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// borrowed is a writer that others close.
type borrowed struct{ io.Writer }

// Read implements io.Reader.
func (borrowed) Read([]byte) (int, error) { return 0, os.ErrInvalid }

// Close implements io.Closer.
func (borrowed) Close() error { return nil }
