// Package pypytest is for tests. It makes a double of a sandboxed PyPy out of an ordinary one, as distributions package it.
// The double differs from a real one in the framing alone: interpose.c has it ask for what its C library would do, and
// builtins.py takes away the modules that a sandboxed build lacks. Both are in the testdata of the engine.
package pypytest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// find is where a distribution puts PyPy's shared library, and its standard library.
func find() (shared, library string) {
	found, _ := filepath.Glob("/usr/lib/*/libpypy3*-c.so")
	for _, name := range found {
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "lib"), "-c.so")
		dir := "/usr/lib/" + version
		if _, err := os.Stat(dir + "/os.py"); err == nil {
			return name, dir
		}
	}
	return "", ""
}

// Missing is what this machine lacks to make the double, or "".
func Missing() string {
	if shared, _ := find(); shared == "" {
		return "PyPy (Debian's pypy3)"
	}
	if _, err := exec.LookPath("cc"); err != nil {
		return "C compiler"
	}
	return ""
}

// Build makes the double in a directory, as pypy3-c with its library beside it. The sources are sandbox/pypy/testdata.
func Build(sources, dir string) error {
	shared, library := find()
	if err := compile(sources, dir, shared); err != nil {
		return err
	}
	return copyLibrary(sources, dir, library)
}

// compile compiles the program that stands before the shared library of a PyPy.
func compile(sources, dir, shared string) error {
	text, err := os.ReadFile(filepath.Join(sources, "functions.txt")) // #nosec G304 -- a test's own
	if err != nil {
		return err
	}
	signatures := slices.Compact(strings.Fields(string(text)))
	calls := filepath.Join(dir, "calls.c")
	if err := os.WriteFile(calls, []byte(trampolines(signatures)), 0o600); err != nil {
		return err
	}
	args := append(strings.Fields("-O1 -fno-builtin -w -rdynamic -o"), filepath.Join(dir, "pypy3-c"),
		`-DFUNCTIONS="`+strings.Join(signatures, " ")+`"`, filepath.Join(sources, "interpose.c"), calls, "-L"+filepath.Dir(shared), "-l:"+filepath.Base(shared))
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil { // #nosec G204 -- this package's own
		return fmt.Errorf("compile: %w: %s", err, out)
	}
	return nil
}

// otherwise are functions that testdata/interpose.c has itself, or that the interpreter knows by other names.
var otherwise = map[string][]string{
	"fcntl": {}, "sysconf": {}, "fileno": {}, "_exit": {}, "get_environ": {}, "get_stdout": {}, "rpy_cpu_count": {},
	"rpy_dup_noninheritable": {}, "rpy_dup2_noninheritable": {}, "rpy_get_inheritable": {}, "rpy_set_inheritable": {},
	"rpy_get_status_flags": {}, "rpy_set_status_flags": {}, "pypy__allow_attach": {},
	"open": {"open", "open64"}, "openat": {"openat", "openat64"}, "lseek": {"lseek", "lseek64"}, "pread": {"pread64"},
	"pwrite": {"pwrite64"}, "ftruncate": {"ftruncate64"}, "readdir": {"readdir", "readdir64"}, "statvfs": {"statvfs64"},
	"fstatvfs": {"fstatvfs64"}, "posix_fadvise": {"posix_fadvise64"}, "posix_fallocate": {"posix_fallocate64"},
	"lockf": {"lockf64"}, "sendfile": {"sendfile64"},
}

// wide are the arguments of type i that are longer than an int, by position.
var wide = map[string]string{
	"read": "2", "write": "2", "pread": "23", "pwrite": "23", "lseek": "1", "ftruncate": "1", "posix_fallocate": "12",
	"posix_fadvise": "12", "lockf": "2", "getcwd": "1", "readlink": "2", "readlinkat": "3", "confstr": "2", "sendfile": "3",
	"ioctl": "1", "getxattr": "3", "lgetxattr": "3", "fgetxattr": "3", "setxattr": "3", "lsetxattr": "3", "fsetxattr": "3",
	"listxattr": "2", "llistxattr": "2", "flistxattr": "2", "setgroups": "0", "mknod": "2", "mknodat": "3",
}

// trampolines are functions in C that ask.
func trampolines(signatures []string) string {
	var out bytes.Buffer
	fmt.Fprintln(&out, "long ask(const char *, int, const long *);")
	for _, signature := range signatures {
		name, rest, _ := strings.Cut(signature, "(")
		types, _, _ := strings.Cut(rest, ")")
		var parameters, values []string
		for i, kind := range types {
			c := "int"
			if kind == 'p' || strings.Contains(wide[name], fmt.Sprint(i)) {
				c = "long"
			}
			parameters = append(parameters, fmt.Sprintf("%s a%d", c, i))
			values = append(values, fmt.Sprintf("a%d", i))
		}
		names, ok := otherwise[name]
		if !ok {
			names = []string{name}
		}
		for _, n := range names {
			fmt.Fprintf(&out, "long %s(%s) { long a[] = {%s}; return ask(%q, %d, a); }\n",
				n, strings.Join(parameters, ", "), strings.Join(append(values, "0"), ", "), signature, len(types))
		}
	}
	return out.String()
}

// copyLibrary makes a library as a sandboxed build has it.
func copyLibrary(sources, dir, library string) error {
	prelude, err := os.ReadFile(filepath.Join(sources, "builtins.py")) // #nosec G304 -- a test's own
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "lib_pypy"), 0o750); err != nil {
		return err
	}
	root := filepath.Join(dir, "lib-python/3")
	unwanted := []string{"test", "tests", "idlelib", "lib2to3", "__pycache__", "site-packages", "dist-packages"}
	return filepath.WalkDir(library, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(library, name)
		if err != nil {
			return err
		}
		to := filepath.Join(root, inside)
		switch {
		case d.IsDir() && slices.Contains(unwanted, d.Name()):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o750)
		case !d.Type().IsRegular() || filepath.Ext(name) != ".py":
			return nil
		}
		text, err := os.ReadFile(name) // #nosec G304 -- a library of the machine's
		if err != nil {
			return err
		}
		if inside == "encodings/__init__.py" {
			text = append(prelude, text...)
		}
		return os.WriteFile(to, text, 0o600)
	})
}
