//go:build linux && (amd64 || arm64)

package pypy

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"shannot-gateway/sandbox/internal/supervisor"
)

// errNoLibrary says that an executable lacks its standard library.
var errNoLibrary = errors.New("there is no lib-python/3 and lib_pypy beside the executable: name their directory by library " +
	"under [engines.pypy]")

// place is where an executable and its library are.
type place struct{ executable, library string }

// find looks where the options say, then in the runtime directory, then on PATH.
func find(o Options) (place, error) {
	installed, _ := Installed(o.Runtime)
	p := place{o.Executable, o.Library}
	if p.executable == "" && installed != "" {
		p.executable = filepath.Join(installed, executableFile)
	}
	for _, name := range ExecutableNames() {
		if p.executable != "" {
			break
		}
		if found, err := exec.LookPath(name); err == nil {
			p.executable = found
		}
	}
	if p.executable == "" {
		return p, ErrMissing
	}
	real, err := filepath.EvalSymlinks(p.executable)
	if err != nil {
		return p, fmt.Errorf("find the pypy-sandbox executable: %w", err)
	}
	if p.executable, err = filepath.Abs(real); err != nil {
		return p, err
	}
	if p.library != "" {
		if !isLibrary(p.library) {
			return p, fmt.Errorf("%s has no lib-python/3 and lib_pypy", p.library)
		}
		return p, nil
	}
	for dir, up := filepath.Dir(p.executable), 0; up < 3; dir, up = filepath.Dir(dir), up+1 {
		if isLibrary(dir) {
			p.library = dir
			return p, nil
		}
	}
	if installed != "" {
		p.library = installed
		return p, nil
	}
	return p, errNoLibrary
}

// libraryDirs are the parts of the standard library, relative to its root.
var libraryDirs = []string{"lib-python/3", "lib_pypy"}

func isLibrary(dir string) bool {
	for _, name := range libraryDirs {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// linked is an executable with everything that it takes to start it.
type linked struct {
	loader string            // what is executed
	args   []string          // that come before the interpreter's own
	files  map[string]string // what the loader may open, by the names that it asks for
	hash   string            // SHA-256 of the executable, hexadecimal
}

// maxLibraries bounds the shared libraries of an executable.
const maxLibraries = 64

// resolve finds the dynamic loader and the shared libraries of an executable.
func resolve(executable string) (*linked, error) {
	f, err := elf.Open(executable)
	if err != nil {
		return nil, fmt.Errorf("read the pypy-sandbox executable %s: %w", executable, err)
	}
	defer func() { _ = f.Close() }()
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if f.Class != elf.ELFCLASS64 || f.Machine != machine {
		return nil, fmt.Errorf("the pypy-sandbox executable %s is for %v, not for this machine", executable, f.Machine)
	}
	l := &linked{loader: executable, args: []string{Interpreter}, files: map[string]string{}}
	if l.hash, err = hashFile(executable); err != nil {
		return nil, err
	}
	loader := interpreterOf(f)
	if loader == "" {
		return l, nil // linked statically
	}
	if l.loader, err = filepath.EvalSymlinks(loader); err != nil {
		return nil, fmt.Errorf("the dynamic loader that %s needs: %w", executable, err)
	}
	l.args = []string{loader, "--library-path", Prefix, Interpreter}
	l.files[Interpreter] = executable
	return l, l.addLibraries(f, filepath.Dir(executable), filepath.Dir(l.loader))
}

// interpreterOf is the dynamic loader that an executable names.
func interpreterOf(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(io.LimitReader(p.Open(), maxPath))
			if err == nil {
				return strings.TrimRight(string(name), "\x00")
			}
		}
	}
	return ""
}

// addLibraries collects what an executable needs, and what that needs.
func (l *linked) addLibraries(f *elf.File, dirs ...string) error {
	wanted, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read the executable's libraries: %w", err)
	}
	for len(wanted) > 0 {
		name := wanted[0]
		wanted = wanted[1:]
		as := Prefix + "/" + name
		if l.files[as] != "" {
			continue
		}
		if len(l.files) > maxLibraries || strings.ContainsAny(name, "/\x00") || name == "" {
			return fmt.Errorf("the pypy-sandbox executable wants the library %q, which it cannot have", name)
		}
		real := supervisor.FindLibrary(name, dirs...)
		if real == "" {
			return fmt.Errorf("the pypy-sandbox executable needs the library %s, which this machine does not have", name)
		}
		l.files[as] = real
		more, err := elf.Open(real)
		if err != nil {
			return fmt.Errorf("read the library %s: %w", real, err)
		}
		next, err := more.ImportedLibraries()
		_ = more.Close()
		if err != nil {
			return fmt.Errorf("read the library %s: %w", real, err)
		}
		wanted = append(wanted, next...)
	}
	return nil
}

// hashFile is the SHA-256 of a file, hexadecimal.
func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
