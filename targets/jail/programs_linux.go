//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
	"shannot-gateway/targets"
)

// searched is where programs are looked for, whatever PATH says.
var searched = strings.Split(targets.Path, ":")

// starters start programs of their own accord, which no word of a command names: scripts, decompressors, plugins, themselves.
var starters = words(`apt apt-cache apt-get apt-mark busybox cargo conda dnf docker docker-compose dotnet dpkg dpkg-query exim exim4 file flatpak gem git go helm
	hg java kubectl less lxc mailq man microk8s mysqlshow nerdctl npm nvme oc pip pip3 podman rpm sendmail snap svn tar
	terraform tofu virsh yum zpool`)

// shells run what stands in any of their words.
var shells = words("ash bash dash fish ksh mksh sh zsh")

// executables are the programs that a command may execute: those that its words name, and their loaders. It reports false where
// one starts others of its own accord, or is a script: then it may execute all that there are.
//
// Landlock holds it, by the file itself: what the words of an execve(2) are changed to meanwhile, a script's interpreter, a link
// in /proc and a descriptor all come to the same look. A loader may be executed, since the kernel opens it with each program.
func executables(executable string, argv []string) (files []string, bounded bool) {
	seen := map[string]bool{}
	all := []string{executable}
	for _, name := range named(argv) {
		all = append(all, candidates(name)...)
	}
	for _, candidate := range all {
		if seen[candidate] {
			continue
		}
		seen[candidate] = true
		loader, program, own := inspect(candidate)
		if !program {
			continue
		}
		if !own || starters[path.Base(candidate)] {
			return nil, false
		}
		files = append(files, candidate)
		if loader != "" && !seen[loader] {
			seen[loader] = true
			files = append(files, loader)
		}
	}
	return files, true
}

// named are the words of a command that may name a program.
func named(argv []string) []string {
	switch {
	case len(argv) == 3 && argv[1] == "-c":
		return strings.FieldsFunc(strings.NewReplacer(`\`, "", `"`, "", `'`, "").Replace(argv[2]), func(r rune) bool {
			return strings.ContainsRune(" \t\n;|&(){}`!<>=$,", r)
		})
	case len(argv) > 0 && shells[path.Base(argv[0])],
		slices.ContainsFunc(argv, func(w string) bool {
			return carriers[path.Base(w)] || strings.HasPrefix(w, "-exec") || strings.HasPrefix(w, "-ok")
		}):
		var all []string
		for _, word := range argv {
			all = append(all, named([]string{"", "-c", word})...) // a word may be a text: xargs sh -c
		}
		return all
	}
	return nil
}

// candidates are the files that a word may name.
func candidates(name string) (files []string) {
	switch {
	case name == "" || len(name) > 255:
	case path.IsAbs(name):
		if slices.Contains(searched, path.Dir(name)) {
			files = append(files, name)
		}
	case !strings.Contains(name, "/"):
		for _, dir := range searched {
			files = append(files, dir+"/"+name)
		}
	}
	return files
}

// inspect looks at a file: whether it is a program, and one of the machine's own language, and the loader that it names.
func inspect(name string) (loader string, program, own bool) {
	st, err := os.Stat(name) // #nosec G703 -- a program that is about to be executed
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return "", false, false
	}
	f, err := os.Open(name) // #nosec G304 G703 -- as above, with the command's rights
	if err != nil {
		return "", true, true // which may be executed nevertheless
	}
	defer func() { _ = f.Close() }()
	loader, own = loaderOf(f)
	return loader, true, own
}

// maxSegments is how many program headers of an executable are looked at.
const maxSegments = 128

// loaderOf reads the loader's name (PT_INTERP, elf(5)) out of an executable of 64 bits, "" where it has none. It reports false where
// the file is none.
func loaderOf(f io.ReaderAt) (loader string, own bool) {
	var head [64]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:6]) != "\x7fELF\x02\x01" {
		return "", false
	}
	at, size := binary.LittleEndian.Uint64(head[32:]), uint64(binary.LittleEndian.Uint16(head[54:]))
	count := min(binary.LittleEndian.Uint16(head[56:]), maxSegments)
	for range count {
		var segment [56]byte
		if _, err := f.ReadAt(segment[:], int64(at)); err != nil { // #nosec G115 -- a negative offset is an error
			return "", false
		}
		if binary.LittleEndian.Uint32(segment[:]) == 3 { // PT_INTERP
			name := make([]byte, min(binary.LittleEndian.Uint64(segment[32:]), 256))
			if _, err := f.ReadAt(name, int64(binary.LittleEndian.Uint64(segment[8:]))); err != nil { // #nosec G115 -- as above
				return "", false
			}
			return string(bytes.TrimRight(name, "\x00")), true
		}
		at += size
	}
	return "", true
}

// executing are the rules that let a command execute these files, with the descriptors that are to be closed.
func executing(files []string) (rules []landlock.Rule) {
	for _, name := range files {
		if fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			rules = append(rules, landlock.Rule{FD: fd, Rights: unix.LANDLOCK_ACCESS_FS_EXECUTE})
		}
	}
	return rules
}
