//go:build linux && (amd64 || arm64)

package jail

import (
	"path"
	"regexp"
	"strings"
)

// kind is a jail by what its commands need to do their reading. Every kind refuses what the filter refuses always.
type kind int

const (
	// plain has Landlock: no write but to /dev/null, no TCP.
	plain kind = iota
	// observer is for commands that look into other processes. Landlock forbids that to whom it restricts, reading
	// included (ptrace(2), "Ptrace access mode checking"). So the filter holds each open for writing, and the gateway
	// answers it: with /dev/null, or with EACCES.
	observer
	// caller is plain, with TCP connections: what its commands read is at the other end of one.
	caller
	// tester is for the configuration test of nginx, which opens the logs for appending, binds the addresses and makes
	// the directories of the configuration as the start would (nginx(8)). It has neither wall against writes.
	tester
)

var (
	observers = words("fuser lslocks lsns lsof netstat pmap pwdx ss")
	callers   = words("docker kubectl podman")
	// nginxTest is a whole command, never a part of one: a text that does more than test has the plain jail.
	nginxTest = regexp.MustCompile(`^(/usr/sbin/)?nginx( -[tTq]+)+( 2>&1)?$`)
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// kindOf says which jail a command gets. Argv[0] of a shell tells nothing, so kindOf looks at a text's words. A text can
// thereby choose between plain, observer and caller, none of which lets it write to the host or signal it.
func kindOf(argv []string) kind {
	line := strings.Join(argv, " ")
	if len(argv) == 3 && argv[1] == "-c" {
		line = argv[2]
	}
	if nginxTest.MatchString(line) {
		return tester
	}
	found := plain
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n;|&(){}<>`$\"'", r) }) {
		switch name := path.Base(word); {
		case observers[name] || strings.HasPrefix(word, "/proc/"):
			return observer
		case callers[name]:
			found = caller
		}
	}
	return found
}
