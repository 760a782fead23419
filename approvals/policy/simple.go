package policy

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"shannot-gateway/approvals/render"
)

// shells are the languages that a target's shell may speak.
var shells = []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX, syntax.LangMirBSDKorn}

// shellBuiltins are names that a shell may run itself, without a program: those of bash, and of ksh and zsh beyond.
var shellBuiltins = strings.Fields(`. : [ alias bg bind break builtin caller cd chdir command compgen complete compopt continue declare dirs
	disown echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd print printf
	pushd pwd read readarray readonly return set shift shopt source suspend test time times trap true type typeset ulimit umask unalias
	unset wait whence`)

// SimpleCommand reads shell text before anybody is asked about it. program is the name that a text of one simple command starts,
// as it stands there; "" where the text is more than that, or what it starts is a shell's own, a path, or known only when
// it runs, or where the text is too long or too deep to be parsed: a parser's stack is bounded by that of the process alone. An
// error says why no shell can run the text; it is rendered.
func SimpleCommand(text string) (program string, err error) {
	if _, parse := odd(text); !parse {
		return "", nil
	}
	var file *syntax.File
	for i, language := range shells {
		parsed, failed := syntax.NewParser(syntax.Variant(language)).Parse(strings.NewReader(text), "")
		if failed == nil {
			file, err = parsed, nil
			break
		}
		if i == 0 { // what bash says is what most know
			err = fmt.Errorf("the shell text cannot be read: %s", render.Line(failed.Error()))
		}
	}
	if err != nil || len(file.Stmts) != 1 {
		return "", err
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || slices.ContainsFunc(call.Assigns, func(a *syntax.Assign) bool { return a.Name.Value == "PATH" }) {
		return "", nil
	}
	name := call.Args[0].Lit()
	if name == "" || strings.ContainsAny(name, "/\\~*?[{") || slices.Contains(shellBuiltins, name) {
		return "", nil
	}
	return name, nil
}
