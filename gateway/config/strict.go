package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrLoose is wrapped by errors about a file that somebody else can change.
var ErrLoose = errors.New("somebody else can change it")

// maxLinks bounds the symbolic links on the way to a file.
const maxLinks = 40

// CheckModes makes sure that nobody but root and this process's user can change a file or directory, or put another in
// its place. Neither it nor a directory or link on the way to it may belong to somebody else, or be writable by its group
// or by others. It is sshd's rule (StrictModes in sshd_config(5)), with one difference: all may write a directory on the
// way that is root's and sticky, as /tmp is, since only its owner can rename or remove an entry there. The error says
// what to type, and wraps ErrLoose. One about a file that is not there wraps fs.ErrNotExist.
func CheckModes(name string) error {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	rest, at, links := strings.Split(absolute, "/"), "/", 0
	if err := checkMode(at, true); err != nil {
		return err
	}
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		link, err := os.Readlink(next)
		if err == nil {
			if links++; links > maxLinks {
				return fmt.Errorf("%s: %w", name, syscall.ELOOP)
			}
			if err := checkOwner(next); err != nil {
				return err
			}
			rest = append(strings.Split(link, "/"), rest...)
			if filepath.IsAbs(link) {
				at = "/"
			}
			continue
		}
		if err := checkMode(next, len(rest) > 0); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// checkMode checks one file. onTheWay says that it is a directory above the one that is asked about.
func checkMode(name string, onTheWay bool) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if err := owned(name, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 == 0 || onTheWay && info.IsDir() && stickyOfRoot(info) {
		return nil
	}
	return fmt.Errorf("%s has mode %04o, %w: run chmod go-w %s, or set strict_modes = false", name, mode(info), ErrLoose, quoted(name))
}

func checkOwner(name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	return owned(name, info)
}

// owned makes sure that a file is root's or this process's user's.
func owned(name string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d, so that %w: run chown %d %s, or set strict_modes = false", name, st.Uid, ErrLoose, os.Geteuid(), quoted(name))
}

func stickyOfRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0 && info.Mode()&fs.ModeSticky != 0
}

// mode is a file's mode as chmod(1) has it.
func mode(info fs.FileInfo) uint32 {
	m := uint32(info.Mode().Perm())
	if info.Mode()&fs.ModeSticky != 0 {
		m |= 0o1000
	}
	return m
}

// quoted is a name as a shell takes it.
func quoted(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return !strings.ContainsRune(plain, r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@"

// CheckState is CheckModes of the state directory, of the audit log's, and of all that stands in them, as far as they are there.
func (c *Config) CheckState() error {
	for _, dir := range []string{c.State, c.AuditDir()} {
		if err := checkTree(dir); err != nil {
			return err
		}
	}
	return nil
}

// checkTree checks a directory and its entries, or of one that is not there the directory that it will be made in.
func checkTree(dir string) error {
	err := CheckModes(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return checkParent(dir)
	}
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if err := checkMode(filepath.Join(dir, e.Name()), false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkParent checks the nearest directory above one that is not there. What is made in it is this process's own, so a sticky
// one will do.
func checkParent(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if stickyOfRoot(info) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
		}
		return CheckModes(parent)
	}
}
