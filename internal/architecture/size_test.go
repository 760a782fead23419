package architecture

import (
	"go/ast"
	"maps"
	"slices"
	"testing"
)

// The most methods and fields that a type has.
const (
	maxMethods = 40
	maxFields  = 15
)

// size counts what a type declares.
type size struct{ methods, fields int }

// larger are the types that have more, by package and name, with what they have today: {methods, fields}, and 0 for what is
// small enough. Lower a number when the type has shrunk, and remove the type when it is small enough. Never raise one.
var larger = listed(
	row{"approvals/audit.Log", 0, 24},
)

// row is a line of larger. It has no key, so that no row has to be moved for another one.
type row struct {
	name            string
	methods, fields int
}

func listed(rows ...row) map[string]size {
	all := map[string]size{}
	for _, r := range rows {
		all[r.name] = size{r.methods, r.fields}
	}
	return all
}

// documents are types whose fields are the keys of a document, which grows with what the product can do: the configuration
// file with its rows of programs, a JSON answer, a line of the audit log, a record of the journal. Their fields are not counted.
var documents = []string{
	"approvals/grants.Grant",
	"approvals/journal.File",
	"approvals/journal.Operation",
	"approvals/journal.Session",
	"approvals/audit.Event",
	"approvals/policy.Program",
	"gateway/command.fileJSON",
	"gateway/command.grantJSON",
	"gateway/command.operationJSON",
	"gateway/command.sessionJSON",
	"gateway/config.Config",
	"gateway/config.Connections",
	"gateway/config.Limits",
	"gateway/config.file",
	"gateway/config.fileConnections",
}

// sizes counts methods and fields of every type. A method that has a form for each system counts once.
func sizes(files []source) map[string]size {
	methods := map[string]map[string]bool{}
	fields := map[string]int{}
	for _, s := range files {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				name := s.folder() + "." + receiver(f.Recv.List[0].Type)
				if methods[name] == nil {
					methods[name] = map[string]bool{}
				}
				methods[name][f.Name.Name] = true
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if st, ok := spec.Type.(*ast.StructType); ok {
					name := s.folder() + "." + spec.Name.Name
					fields[name] = max(fields[name], st.Fields.NumFields())
				}
			}
			return true
		})
	}
	all := map[string]size{}
	for name, n := range fields {
		all[name] = size{len(methods[name]), n}
	}
	for name, m := range methods {
		all[name] = size{len(m), fields[name]}
	}
	return all
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// bounded is what counts of a size: nothing where it is within the bounds.
func (s size) bounded() (over size) {
	if s.methods > maxMethods {
		over.methods = s.methods
	}
	if s.fields > maxFields {
		over.fields = s.fields
	}
	return over
}

func TestTypesStaySmall(t *testing.T) {
	all := sizes(sources(t))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		is, listed := all[name].bounded(), larger[name]
		if slices.Contains(documents, name) {
			is.fields = 0
		}
		switch {
		case is == listed:
		case is.methods > listed.methods || is.fields > listed.fields:
			t.Errorf("%s has %d methods and %d fields; it may have %d and %d. Split it by what it is for",
				name, all[name].methods, all[name].fields, max(listed.methods, maxMethods), max(listed.fields, maxFields))
		default:
			t.Errorf("%s has shrunk: the list in size_test.go has to say %d, %d (or nothing, where both are 0)", name, is.methods, is.fields)
		}
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(larger)), documents) {
		if _, there := all[name]; !there {
			t.Errorf("%s is not there any more: remove it from the lists in size_test.go", name)
		}
	}
}
