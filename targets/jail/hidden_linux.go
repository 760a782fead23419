//go:build linux && (amd64 || arm64)

package jail

import (
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// The gateway looks at each name that a held command opens for reading, and refuses the hidden ones. It opens nothing itself:
// the kernel goes on with the command's own rights. So a name that somebody else changes between the look and the opening
// is not held back. Programs in the jail are those that the policy knows, which do not race their own memory.

// maxSteps bounds the links that are followed on the way to a file, as the kernel bounds them (path_resolution(7)).
const maxSteps = 40

// mayRead reports whether an open for reading may go on. What cannot be told may not.
func mayRead(n *seccomp.Notification, hidden func(name string) bool, buffer *[seccomp.MaxPath]byte) bool {
	name, known := OpenedName(n, buffer)
	switch {
	case !known:
		return false
	case name == "" || !hidden(name):
		return true
	}
	executable, err := os.Readlink("/proc/" + strconv.Itoa(int(n.PID)) + "/exe")
	return err == nil && keeps(executable)
}

// OpenedName is the name of what a call of open(2) or openat(2) would open, without links in it: "" where the kernel will find
// nothing, or what has no name. It reports false where that cannot be told.
func OpenedName(n *seccomp.Notification, buffer *[seccomp.MaxPath]byte) (name string, known bool) {
	at, dir := n.Args[0], int32(unix.AT_FDCWD) // open
	if n.Nr == unix.SYS_OPENAT {
		at, dir = n.Args[1], int32(n.Args[0]) // #nosec G115 -- a descriptor
	}
	text, e := seccomp.ReadPath(int(n.PID), at, buffer)
	if e != 0 {
		return "", e == unix.EFAULT || e == unix.ENAMETOOLONG // the kernel will say so itself
	}
	if text == "" {
		return "", true // ENOENT
	}
	base := "/"
	if text[0] != '/' {
		process := "/proc/" + strconv.Itoa(int(n.PID))
		link := process + "/cwd"
		if dir != unix.AT_FDCWD {
			link = process + "/fd/" + strconv.Itoa(int(dir))
		}
		var err error
		if base, err = os.Readlink(link); err != nil {
			return "", true // EBADF
		}
		if !strings.HasPrefix(base, "/") {
			return "", true // ENOTDIR
		}
	}
	return realName(int(n.PID), base, text)
}

// another reports whether a name in a directory is a link that another process may turn while it is followed: to where that
// process is, or to a file that it has open. The executable and the root of one stay.
func another(thread int, at, part string) bool {
	rest, ok := strings.CutPrefix(at, "/proc/")
	if !ok {
		return false
	}
	words := strings.Split(rest, "/")
	self := strconv.Itoa(thread)
	own := words[0] == self
	words = words[1:]
	if len(words) > 1 && words[0] == "task" {
		own = own && words[1] == self
		words = words[2:]
	}
	switch {
	case own:
		return false
	case len(words) == 0:
		return part == "cwd"
	}
	return words[0] == "fd" || words[0] == "map_files"
}

// realName is the name of what a thread would open, without links in it. It reports false where links lead round in circles,
// or through what another process may change meanwhile.
// What is not there has the name that it would have. A descriptor without a name is "/".
func realName(thread int, base, text string) (string, bool) {
	at := path.Clean(base)
	if strings.HasPrefix(text, "/") {
		at = "/"
	}
	left := strings.Split(text, "/")
	for steps := 0; len(left) > 0; {
		part := left[0]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		if at == "/proc" && (part == "self" || part == "thread-self") {
			at = "/proc/" + strconv.Itoa(thread) // whose files are those of the process
			continue
		}
		if another(thread, at, part) { // whether or not it is there at this moment
			return "", false
		}
		next := path.Join(at, part)
		to, err := os.Readlink(next)
		if err != nil {
			at = next // no link, or not there
			continue
		}
		if steps++; steps > maxSteps {
			return "", false
		}
		if strings.HasPrefix(at, "/proc/") && !strings.HasPrefix(to, "/") && strings.Contains(to, ":[") {
			return "/", true // a pipe, a socket
		}
		if strings.HasPrefix(to, "/") {
			at = "/"
		}
		left = append(strings.Split(to, "/"), left...)
	}
	return at, true
}
