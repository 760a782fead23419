package architecture

import (
	"encoding/json"
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
	"strings"
	"testing"
)

// renderer is the package that makes text safe to print.
const renderer = "shannot-gateway/approvals/render"

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	Standard                bool
}

// listPackages gives the packages of the module and all that they import, with their export data.
func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Standard", "./...")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]goPackage{}
	for in := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := in.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// TestWordsAreConstants holds what makes render.Text safe: the program's own words, which are printed as they are, are
// constants. A value becomes render.Words nowhere but by being an untyped constant, since a conversion of anything else is
// refused here. So no string of a client, a script or a target gets into a notice or on a screen without the renderer.
func TestWordsAreConstants(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks the whole module")
	}
	packages := listPackages(t)
	files := token.NewFileSet()
	imports := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(packages[path].Export)
	})
	checked := 0
	for path, p := range packages {
		if !strings.HasPrefix(path, "shannot-gateway/") || path == renderer {
			continue
		}
		checked++
		for _, problem := range convertedWords(t, files, imports, p) {
			t.Error(problem)
		}
	}
	if checked < 20 {
		t.Errorf("only %d packages were looked at", checked)
	}
}

// convertedWords finds the conversions of what is no constant to render.Words.
func convertedWords(t *testing.T, files *token.FileSet, imports types.Importer, p goPackage) (problems []string) {
	t.Helper()
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	if _, err := (&types.Config{Importer: imports}).Check(p.ImportPath, files, parsed, info); err != nil {
		t.Fatalf("%s: %v", p.ImportPath, err)
	}
	for expression, of := range info.Types {
		call, ok := expression.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 || !info.Types[call.Fun].IsType() || !isWords(of.Type) {
			continue
		}
		if argument := info.Types[call.Args[0]]; argument.Value == nil && !isWords(argument.Type) {
			problems = append(problems, fmt.Sprintf("%s: a %s becomes words of the program", files.Position(call.Pos()), argument.Type))
		}
	}
	return problems
}

// isWords reports whether values of a type can be words of the program: it is render.Words, or was made of it.
func isWords(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == renderer && named.Obj().Name() == "Words"
}

// TestConversionsToWordsAreFound shows that the test above finds what it looks for.
func TestConversionsToWordsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the packages of the module")
	}
	packages := listPackages(t)
	files := token.NewFileSet()
	imports := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(packages[path].Export)
	})
	dir := t.TempDir()
	const text = `package p

import "shannot-gateway/approvals/render"

var own = render.Words("constant")

func f(s string) render.Text { return render.Own(own + " and" + render.Words(s)) }
`
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := convertedWords(t, files, imports, goPackage{ImportPath: "p", Dir: dir, GoFiles: []string{"p.go"}}); len(got) != 1 {
		t.Errorf("found %q", got)
	}
}
