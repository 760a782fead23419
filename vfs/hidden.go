package vfs

import (
	"slices"
	"strings"
	"syscall"
)

// Every process has the same files in /proc: that they are there is no secret, whatever the policy hides. A script that is told
// that there are none would take it for a fact about the process: no open file, no library in memory. So such a name is
// there, as to a user without the right to look into the process. It is listed and has attributes, and whatever else is asked
// of it fails with EACCES, as in proc(5) and ptrace(2).

// ofProcess reports whether a name is that of a directory in which the kernel has the same names for every process or thread.
func ofProcess(dir string) bool {
	rest, ok := strings.CutPrefix(dir, "/proc/")
	if !ok {
		return false
	}
	pid, rest, _ := strings.Cut(rest, "/")
	if !digits(pid) {
		return false
	}
	if rest == "" {
		return true
	}
	tid, ok := strings.CutPrefix(rest, "task/")
	return ok && digits(tid)
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// isKnown reports whether what is in a directory is known to be there, whatever the policy says of it.
func (v *view) isKnown(scope *scope, dir string) bool {
	return ofProcess(dir) && scope.verdict == Visible
}

// asked are names that the interpreter and its libraries look for by themselves, in every session.
var asked = []string{"/-", "/usr", "/lib", "/lib64", "/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/localtime", "/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf", "/etc/terminfo", "/etc/inputrc"}

// lookHidden is look of a name that the policy hides: EACCES where everybody knows that it is there.
func (v *view) lookHidden(name, full string, last bool, f *found) error {
	dir := full[:len(full)-len(name)-1]
	if !ofProcess(dir) {
		if !slices.Contains(asked, full) {
			v.absent.note(full)
		}
		return syscall.ENOENT
	}
	info, err := f.layer.lstat(full)
	if err != nil {
		return err
	}
	if last && v.walker.tells && !info.IsSymlink() {
		f.info, f.known, f.kind, f.scope = info, true, info.Type(), nothing
		return nil
	}
	v.denied.note(full)
	return syscall.EACCES
}

// denied is the first name of a kind that was refused.
type denied struct {
	name string
	told bool
}

func (d *denied) note(name string) {
	if d.name == "" {
		d.name = strings.Clone(name)
	}
}

// first is the name, once; then and where there is none, "".
func (d *denied) first() string {
	if d.told || d.name == "" {
		return ""
	}
	d.told = true
	return d.name
}

// TellHidden tells an agent, once in a session for each, that the policy is why a name was refused, or looks absent. err is what the
// script was told, tell nil where nobody hears it.
func TellHidden(s *Session, err syscall.Errno, tell func(line string)) {
	var name string
	switch err {
	case syscall.EACCES:
		name = firstOf(s, &s.denied)
	case syscall.ENOENT:
		name = firstOf(s, &s.absent)
	default:
		return
	}
	switch {
	case name == "" || tell == nil:
	case err == syscall.ENOENT:
		tell("the read policy does not show " + shortened(name) + ", whether it is there or not: it looks absent. Where a script needs it, ask a human by a command that names it, as in: ls -ld PATH")
	default:
		name = name[strings.LastIndexByte(name, '/')+1:]
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" { // the target's word
			name = "such"
		}
		tell("the read policy hides files of other processes, here /proc/PID/" + name + ": Permission denied. Count what is missing as unknown, not as none")
	}
}

// maxTold is how much of a hidden name is told, in bytes.
const maxTold = 200

// shortened is a name for a line of text, which its reader renders.
func shortened(name string) string {
	if len(name) > maxTold {
		return strings.ToValidUTF8(name[:maxTold], "") + "..."
	}
	return name
}

func firstOf(s *Session, d *denied) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.first()
}
