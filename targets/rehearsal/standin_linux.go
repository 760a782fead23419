//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"bytes"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// mask is a file that the world has in another's place: programs that keep accounts need it, and what it holds is hidden.
type mask struct {
	name    string
	content []byte
}

// accounts are the files with the hashes of passwords. A world has them without the hashes.
var accounts = []string{"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-"}

// maxAccounts bounds such a file, in bytes. A larger one has no stand-in.
const maxAccounts = 4 << 20

// masks makes the stand-ins of those that are hidden and can be read.
func masks(hidden func(name string) bool) (found []mask) {
	for _, name := range accounts {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxAccounts || !hidden(name) {
			continue
		}
		if content, err := os.ReadFile(name); err == nil { // #nosec G304 -- one of those above
			found = append(found, mask{name, withoutHashes(content)})
		}
	}
	return found
}

// withoutHashes puts "*" in the place of each second field that could be a password's hash: shadow(5), gshadow(5). What locks an
// account stays as it is.
func withoutHashes(content []byte) []byte {
	lines := bytes.SplitAfter(content, []byte("\n"))
	for i, line := range lines {
		fields := bytes.SplitN(line, []byte(":"), 3)
		if len(fields) < 3 {
			if len(bytes.TrimSpace(line)) > 0 {
				lines[i] = []byte("\n") // no account
			}
			continue
		}
		switch string(fields[1]) {
		case "", "*", "!", "!!", "!*", "x":
		default:
			fields[1] = []byte("*")
			lines[i] = bytes.Join(fields, []byte(":"))
		}
	}
	return bytes.Join(lines, nil)
}

// standIns makes a layer between the host's and the world's that holds the stand-ins below a directory; -1 where there are none.
func (b *builder) standIns(at string, like *unix.Stat_t) (int, error) {
	layer := -1
	for _, m := range b.masks {
		if path.Dir(m.name) != at || b.unprivileged {
			continue
		}
		var was unix.Stat_t
		if err := unix.Lstat(m.name, &was); err != nil {
			return -1, err
		}
		if layer < 0 {
			var err error
			if layer, err = b.directory("m", like); err != nil {
				return -1, err
			}
		}
		if err := standIn(layer, path.Base(m.name), m.content, &was); err != nil {
			_ = unix.Close(layer)
			return -1, err
		}
		b.place.masked[m.name] = m.content
	}
	return layer, nil
}

func standIn(dir int, name string, content []byte, was *unix.Stat_t) error {
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := unix.Fchown(fd, int(was.Uid), int(was.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, was.Mode&0o7777); err != nil {
		return err
	}
	times := []unix.Timeval{unix.NsecToTimeval(was.Mtim.Nano()), unix.NsecToTimeval(was.Mtim.Nano())}
	return unix.Futimes(fd, times)
}
