package shell

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestInvocations(t *testing.T) {
	for _, c := range []struct {
		args string
		want Invocation
		ok   bool
	}{
		{"-c|echo x", Invocation{Given: true, Text: "echo x", Name: "bash"}, true},
		{"-c|echo|n|a|b", Invocation{Given: true, Text: "echo", Name: "n", Params: []string{"a", "b"}}, true},
		{"-lc|echo", Invocation{Given: true, Text: "echo", Name: "bash"}, true},
		{"-euxc|echo", Invocation{Given: true, Text: "echo", Name: "bash", Set: []string{"-e", "-u", "-x"}}, true},
		{"-e|-o|pipefail|-c|echo", Invocation{Given: true, Text: "echo", Name: "bash", Set: []string{"-e", "-o", "pipefail"}}, true},
		{"-eo|pipefail|-c|echo", Invocation{Given: true, Text: "echo", Name: "bash", Set: []string{"-e", "-o", "pipefail"}}, true},
		{"-s|a|b", Invocation{Name: "bash", Params: []string{"a", "b"}}, true},
		{"-s|--|-x", Invocation{Name: "bash", Params: []string{"-x"}}, true},
		{"f.sh|a", Invocation{File: "f.sh", Name: "f.sh", Params: []string{"a"}}, true},
		{"--login|--norc|f.sh", Invocation{File: "f.sh", Name: "f.sh"}, true},
		{"", Invocation{Name: "bash"}, true},
		{"-c", Invocation{}, false},
		{"--version", Invocation{}, false},
		{"-i", Invocation{}, false},
		{"-o|vi|-c|x", Invocation{}, false},
		{"--rcfile|x", Invocation{}, false},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		got, ok := ParseArgs(args)
		if ok != c.ok || ok && (got.Text != c.want.Text || got.Given != c.want.Given || got.File != c.want.File || got.Name != c.want.Name ||
			!slices.Equal(got.Params, c.want.Params) || !slices.Equal(got.Set, c.want.Set)) {
			t.Errorf("%q: %+v %v", c.args, got, ok)
		}
	}
}

func TestRoutes(t *testing.T) {
	for line, want := range map[string]Route{
		"df -h /": Whole, "ls 'a b' \"c\"": Whole, "/usr/bin/uptime": Whole, "bash --version": Whole, "python3 --version": Whole, "python3 -V": Whole,
		"df | head": Sandboxed, "ls *.txt": Sandboxed, "ls $HOME": Sandboxed, "A=1 ls": Sandboxed, "ls > x": Sandboxed, "ls &": Sandboxed,
		"! ls": Sandboxed, "echo hi": Sandboxed, "ls ~": Sandboxed, "ls {a,b}": Sandboxed, "ls a\\ b": Sandboxed,
		"bash -c 'df | head'": Sandboxed, "sh -lc 'echo $x'": Sandboxed, "bash -c 'coproc x'": Whole, "bash script.sh": Sandboxed,
		"bash -s": FromInput, "bash": FromInput, "sh -s a b": FromInput, "bash -eu -s": FromInput, "/bin/bash -s": FromInput,
		"python3 -c 'print(1)'": Sandboxed, "python3 -m json.tool": Sandboxed, "python3 x.py": Sandboxed,
		"coproc x": Whole, "echo ${PIPESTATUS[0]}": Whole, "echo 'unclosed": Whole, "": Sandboxed,
		"echo " + strings.Repeat("x", maxRouted): Whole, strings.Repeat("(", 300): Whole,
	} {
		got, with, why := RouteOf(line)
		if got != want {
			t.Errorf("%.40q goes to %v, not %v (%v)", line, got, want, why)
		}
		if got == FromInput && with("text")[0] == "text" {
			t.Errorf("%q: %q", line, with("text"))
		}
	}
	_, with, _ := RouteOf("bash -eu -s 'a b'")
	if got := strings.Join(with("TEXT"), "|"); got != "-e|-u|-c|TEXT|bash|a b" {
		t.Errorf("%s", got)
	}
	for text, want := range map[string]bool{
		"#!/bin/sh\nls": true, "#!/bin/bash": true, "#! /usr/bin/env bash\n": true, "#!/usr/bin/env python3\n": false, "#!/bin/zsh": false,
		"print(1)": false, "#!": false, "# !/bin/sh": false,
	} {
		if IsScript(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	var unsupported *Unsupported
	if _, err := ScriptArgs("#!/bin/sh\ncoproc x", nil); !errors.As(err, &unsupported) || unsupported.Line != 2 {
		t.Errorf("%v", err)
	}
	if args, err := ScriptArgs("echo $1", []string{"a"}); err != nil || strings.Join(args, "|") != "-c|echo $1|bash|a" {
		t.Errorf("%q %v", args, err)
	}
}
