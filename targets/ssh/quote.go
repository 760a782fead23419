package ssh

import (
	"fmt"
	"path"
	"strings"
	"syscall"

	"shannot-gateway/targets"
)

// maxLine is the longest command line that is sent, in bytes: the target's login shell gets it as one argument, which
// Linux bounds to 128 KiB (MAX_ARG_STRLEN).
const maxLine = 128<<10 - 1

// quote writes a word for a POSIX shell: in single quotes, where nothing but a single quote means anything (POSIX.1-2024,
// XCU 2.2.2).
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// posixShells understand what this package sends. A login shell with another grammar would make another command of it:
// those of otherShells pass it on to /bin/sh. A restricted one (rbash) changes no directory.
var posixShells = map[string]bool{
	"sh": true, "bash": true, "dash": true, "ash": true, "ksh": true, "ksh93": true, "mksh": true,
	"lksh": true, "oksh": true, "yash": true, "zsh": true, "busybox": true,
}

// otherShells read a word in single quotes of plainBytes as it is, and have the words exec /bin/sh. "" is a shell whose name
// nobody knows, and that has passed shellProbe on.
var otherShells = map[string]bool{"": true, "fish": true, "csh": true, "tcsh": true, "bsd-csh": true}

// maxQuoted is how long a word for one of otherShells is at most, in bytes: a word of csh has 1024.
const maxQuoted = 900

// throughSh writes a line so that a login shell of any grammar replaces itself by /bin/sh, which reads the line. What a
// grammar may see in it (quotes, "!", "$", the end of a line) is written as printf(1) reads it with %b: \0 and three octal
// digits. A backslash before a digit in single quotes means nothing to POSIX shells, fish and csh.
func throughSh(text string) string {
	var b strings.Builder
	b.WriteString(`exec /bin/sh -c 'eval "$(printf %b "$@")"' sh`)
	length := maxQuoted
	for i := range len(text) {
		if length > maxQuoted-len(`\0000`) {
			if i > 0 {
				b.WriteByte('\'')
			}
			b.WriteString(" '")
			length = 0
		}
		n := b.Len()
		if c := text[i]; plainByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\0%03o`, c)
		}
		length += b.Len() - n
	}
	if len(text) > 0 {
		b.WriteByte('\'')
	}
	return b.String()
}

// plainByte reports whether every shell takes a byte within single quotes for itself.
func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" /._=,:@+-", c) >= 0
}

// errShell is wrapped by the error for an account whose login shell would misunderstand a command.
var errShell = fmt.Errorf("commands need an account with a POSIX shell (sh or bash, for instance), fish or csh; files can be read as they are: %w", syscall.ENOTSUP)

// line is the command line that runs a command on the target: in its directory, with its environment and no other, its
// standard streams as asked for. Before it starts, mark and the process's id go to standard error in a line of their
// own: sshd makes the login shell the leader of a session and process group of its own, and exec keeps the id.
//
// The environment travels in the line, since a server takes by itself only what its AcceptEnv names; nobody else's
// variables are added.
//
// Behind a wall the mark comes once that stands, and a directory of its own for temporary files is in the environment.
func line(c targets.Command, shell, mark string, joined bool, behind *walled) (string, error) {
	if len(c.Argv) == 0 || !path.IsAbs(c.Path) || !path.IsAbs(c.Dir) {
		return "", syscall.EINVAL
	}
	if shell != "" {
		shell = path.Base(shell)
	}
	if !posixShells[shell] && !otherShells[shell] {
		return "", fmt.Errorf("its login shell is %s: %w", shell, errShell)
	}
	if path.Base(c.Argv[0]) != path.Base(c.Path) {
		// A POSIX shell starts a program under its own name only.
		return "", fmt.Errorf("tell %s that its name is %q on a remote target: %w", c.Path, c.Argv[0], syscall.ENOTSUP)
	}
	if strings.Contains(c.Path, "=") { // env(1) would take it for a variable, and run the next word
		return "", fmt.Errorf("run %s, with = in its name, on a remote target: %w", c.Path, syscall.ENOTSUP)
	}
	words := []string{"/usr/bin/env", "-i"}
	for _, kv := range c.Env {
		key, _, ok := strings.Cut(kv, "=")
		if !ok || key == "" || strings.HasPrefix(key, "-") {
			return "", syscall.EINVAL // env(1) would take it for something else
		}
		if behind == nil || key != "TMPDIR" {
			words = append(words, kv)
		}
	}
	if behind != nil && behind.temporary() {
		words = append(words, "TMPDIR="+temporaryFiles)
	}
	words = append(append(words, c.Path), c.Argv[1:]...)
	var b strings.Builder
	if behind != nil {
		fmt.Fprintf(&b, "cd -- %s || exit 126; %s", quote(c.Dir), behind.line(c.Dir, mark, words, joined))
	} else {
		fmt.Fprintf(&b, "printf '%%s %%s\\n' %s $$ >&2; cd -- %s || exit 126; exec %s", mark, quote(c.Dir), quoteAll(words))
	}
	if c.Stdin == nil {
		b.WriteString(" </dev/null")
	}
	if joined && behind == nil {
		b.WriteString(" 2>&1")
	}
	text := b.String()
	if strings.IndexByte(text, 0) >= 0 {
		return "", syscall.EINVAL
	}
	switch {
	case !posixShells[shell]:
		text = throughSh(text)
	case behind != nil: // its text is for one shell, not for the peculiarities of all
		text = "exec /bin/sh -c " + quote(text)
	}
	if len(text) > maxLine {
		return "", syscall.E2BIG
	}
	return text, nil
}
