package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const self = "shannot-gateway/approvals/journal"

// module are the packages of this module that know the journal, and how what they import is found.
type module struct {
	packages []listed
	fset     *token.FileSet
	importer types.Importer
}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Standard                bool
}

// knowsRecords reports whether who imports a package can get hold of records: from the journal, or from a room that has some.
func knowsRecords(path string) bool {
	return path == "shannot-gateway/approvals" || strings.HasPrefix(path, "shannot-gateway/approvals/")
}

func listModule(t *testing.T) *module {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command here")
	}
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Standard", "shannot-gateway/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	m := &module{fset: token.NewFileSet()}
	m.importer = importer.ForCompiler(m.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for from := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := from.Decode(&p); errors.Is(err, io.EOF) {
			return m
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if strings.HasPrefix(p.ImportPath, "shannot-gateway/") && p.ImportPath != self && slices.ContainsFunc(p.Imports, knowsRecords) {
			m.packages = append(m.packages, p)
		}
	}
}

// guarded are the fields that transitions write, as the tables say, by type.
func guarded() map[string][]string {
	g := map[string][]string{}
	for _, r := range operationTable {
		g["Operation"] = append(g["Operation"], r.sets...)
	}
	for _, r := range sessionTable {
		g["Session"] = append(g["Session"], r.sets...)
	}
	return g
}

// exempt are the packages that read records from where they are kept: they put together what was written apart.
var exempt = map[string][]string{"shannot-gateway/approvals/store": {"Session.Operations"}}

// given are fields that a record begins with, and that a transition may change later.
var given = []string{"Session.Plan"}

// writers finds what writes guarded fields.
type writers struct {
	fset  *token.FileSet
	info  *types.Info
	pkg   string
	found []string
}

// check looks at one field of a record.
func (w *writers) check(at token.Pos, owner types.Type, field string, begins bool) {
	if p, ok := owner.Underlying().(*types.Pointer); ok {
		owner = p.Elem()
	}
	named, ok := types.Unalias(owner).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != self {
		return
	}
	name := named.Obj().Name() + "." + field
	if !slices.Contains(guarded()[named.Obj().Name()], field) || slices.Contains(exempt[w.pkg], name) || begins && slices.Contains(given, name) {
		return
	}
	where := w.fset.Position(at)
	w.found = append(w.found, fmt.Sprintf("%s:%d writes %s", filepath.Base(where.Filename), where.Line, name))
}

// written looks at what is assigned to: a field, or an element of one.
func (w *writers) written(e ast.Expr) {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		if s := w.info.Selections[e]; s != nil && s.Kind() == types.FieldVal {
			w.check(e.Pos(), s.Recv(), e.Sel.Name, false)
		}
	case *ast.IndexExpr:
		w.written(e.X)
	case *ast.SliceExpr:
		w.written(e.X)
	}
}

// visit looks at one node.
func (w *writers) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, e := range n.Lhs {
				w.written(e)
			}
		}
	case *ast.IncDecStmt:
		w.written(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			w.written(n.Key)
			w.written(n.Value)
		}
	case *ast.UnaryExpr:
		if e, ok := ast.Unparen(n.X).(*ast.SelectorExpr); ok && n.Op == token.AND { // whoever has its address may write it
			w.written(e)
		}
	case *ast.CompositeLit:
		w.literal(n)
	}
	return true
}

// literal looks at the fields that a record is made with.
func (w *writers) literal(n *ast.CompositeLit) {
	of := w.info.TypeOf(n)
	s, ok := of.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				w.check(kv.Pos(), of, key.Name, true)
			}
		} else if i < s.NumFields() {
			w.check(e.Pos(), of, s.Field(i).Name(), true)
		}
	}
}

// inspect type-checks files of a package, and finds what writes guarded fields in them.
func (m *module) inspect(pkg string, files []*ast.File) ([]string, error) {
	w := &writers{fset: m.fset, pkg: pkg, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	conf := types.Config{Importer: m.importer}
	if _, err := conf.Check(pkg, m.fset, files, w.info); err != nil {
		return nil, err
	}
	for _, f := range files {
		ast.Inspect(f, w.visit)
	}
	return w.found, nil
}

func TestNothingElseWritesWhatTransitionsWrite(t *testing.T) {
	m := listModule(t)
	if len(m.packages) < 5 {
		t.Fatalf("only %d packages know the journal", len(m.packages))
	}
	for _, p := range m.packages {
		if strings.HasSuffix(p.ImportPath, "/journaltest") {
			continue // makes records for tests, as tests themselves do
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(m.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		found, err := m.inspect(p.ImportPath, files)
		if err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
		for _, what := range found {
			t.Errorf("%s/%s. Let an event happen to the record: see Apply", strings.TrimPrefix(p.ImportPath, "shannot-gateway/"), what)
		}
	}

	t.Run("it would be found", func(t *testing.T) {
		for _, code := range []string{
			"o.Decision = journal.Approved", "s.Status, n = journal.StatusDone, 1", "o.Signal++", "p := &o.Started; _ = p", "s.Operations[0] = *o",
			"s.Operations = append(s.Operations, *o)", "s.Operations[0].Grant = 1", `*o = journal.Operation{By: "alice"}`, "for _, o.By = range []string{} {\n}",
			"s.Operations[0:1][0] = *o", "(s.Deadline) = s.Created", "_ = journal.Session{GoesOn: true}", "type mine = journal.Operation; _ = []mine{{Reason: \"x\"}}",
		} {
			found, err := snippet(t, m, code)
			if err != nil || len(found) != 1 {
				t.Errorf("%s: %q, %v", code, found, err)
			}
		}
		for _, code := range []string{
			"o.Verdict = \"ask\"", "s.Output = \"x\"", "*o = s.Operations[0]", "_ = journal.Operation{Why: \"x\"}", "_ = journal.Session{Plan: true}", "other := struct{ Status int }{}; other.Status = 2", "_ = o.Decision",
		} {
			if found, err := snippet(t, m, code); err != nil || len(found) != 0 {
				t.Errorf("%s: %q, %v", code, found, err)
			}
		}
	})
}

// snippet is inspect of a few statements.
func snippet(t *testing.T, m *module, code string) ([]string, error) {
	f, err := parser.ParseFile(m.fset, "snippet.go", "package snippet\nimport \"shannot-gateway/approvals/journal\"\nfunc f(s *journal.Session, o *journal.Operation, n int) {\n"+code+"\n_ = n }", parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return m.inspect("snippet", []*ast.File{f})
}
