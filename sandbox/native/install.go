//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"
	"github.com/kluctl/go-embed-python/python"
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/durable"
	"shannot-gateway/sandbox/guest"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// An installation is an interpreter unpacked on disk: bin/python3.14, lib with the C library and the dynamic loader
// of this machine, lib/python3.14 with the compiled standard library and the guest's part.
type installation struct {
	root    string
	loader  string
	library vfs.Source // the tree as a script sees it, the same for all runs, so that what was looked up stays known
	// load are arguments of the loader that say where the interpreter's libraries are. Else it looks for the first of them
	// in twenty directories that might have one for this processor. See ld.so(8).
	load []string
}

// layout changes when an older installation must not be used any more.
const layout = "4"

const (
	pythonVersion = "3.14.6-20260610-1"
	pythonBinary  = "bin/python3.14"
	pythonLibrary = "lib/python3.14"
	completeMark  = ".complete"

	// closedLoader is the loader once more, in a file that nobody may read. An interpreter that begins with it is
	// undumpable from its first instruction, see proc_pid_environ(5) and would_dump in the kernel's fs/exec.c.
	closedLoader = ".loader"
)

// unneeded is left out of an installation: programs that a sandbox cannot run, tests, windows.
var unneeded = []string{
	"bin/idle3", "bin/idle3.14", "bin/pip", "bin/pip3", "bin/pip3.14", "bin/pydoc3", "bin/pydoc3.14", "bin/python",
	"bin/python3", "bin/python3-config", "bin/python3.14-config", "include", "lib/libpython3.14.so",
	"lib/libpython3.14.so.1.0", "lib/libpython3.so", "lib/libtcl9.0.so", "lib/libtcl9tk9.0.so", "lib/itcl4.3.5",
	"lib/thread3.0.4", "lib/pkgconfig", "lib/tcl9", "lib/tcl9.0", "lib/tk9.0", "share",
	pythonLibrary + "/test", pythonLibrary + "/idlelib", pythonLibrary + "/tkinter", pythonLibrary + "/turtledemo",
	pythonLibrary + "/ensurepip", pythonLibrary + "/site-packages/pip",
}

// install returns the interpreter below dir, unpacking it first where it is not there yet. Several processes may do
// so at once.
func install(ctx context.Context, dir string) (*installation, error) {
	if dir == "" {
		return nil, errors.New("no directory for the interpreter is configured")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	libraries, err := systemLibraries()
	if err != nil {
		return nil, err
	}
	key, err := installationKey(libraries)
	if err != nil {
		return nil, err
	}
	in := &installation{root: filepath.Join(dir, "python-"+key)}
	in.loader = filepath.Join(in.root, "lib", filepath.Base(loaderName))
	if in.complete() {
		return in, in.open()
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	defer func() { _ = lock.Close() }()
	if !in.complete() {
		if err := in.unpack(ctx, dir, libraries); err != nil {
			return nil, err
		}
	}
	return in, in.open()
}

func (in *installation) open() (err error) {
	in.load = []string{"--library-path", Prefix + "/lib"}
	if named := in.neededLibraries(); len(named) > 0 {
		in.load = append(in.load, "--preload", strings.Join(named, ":"))
	}
	in.library, err = vfs.NewDir(in.root)
	return err
}

// neededLibraries are what the interpreter is linked with, in its own order, as paths of a script's view. There are none
// where the loader, before glibc 2.30, cannot be told.
func (in *installation) neededLibraries() (named []string) {
	if text, err := os.ReadFile(in.loader); err != nil || !bytes.Contains(text, []byte("\x00--preload\x00")) {
		return nil
	}
	f, err := elf.Open(filepath.Join(in.root, pythonBinary))
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(in.root, "lib", filepath.Base(name))); err != nil {
			return nil
		}
		named = append(named, Prefix+"/lib/"+filepath.Base(name))
	}
	return named
}

// openLoader opens the file that the first stage execs.
func (in *installation) openLoader(undumpable bool) (*os.File, error) {
	if !undumpable {
		return os.Open(in.loader)
	}
	// By name only: its owner may not read it either.
	name := filepath.Join(in.root, closedLoader)
	fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
		// The kernel would keep the supervisor out too: the file's owner has no place in the user namespace.
		_ = unix.Close(fd)
		return os.Open(in.loader)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (in *installation) complete() bool {
	_, err := os.Stat(filepath.Join(in.root, completeMark))
	return err == nil
}

// installationKey names an installation after everything that goes into it.
func installationKey(libraries map[string]string) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, layout, pythonVersion, guest.Version())
	names := make([]string, 0, len(libraries))
	for name := range libraries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		st, err := os.Stat(libraries[name])
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintln(h, name, st.Size(), st.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// unpack fills a temporary directory and gives it its name at the end, so that an installation is whole or not there. The
// caller has the lock.
func (in *installation) unpack(ctx context.Context, dir string, libraries map[string]string) error {
	// A gateway that was killed could not take away what it had: the lock says that nobody else is at it.
	left, _ := filepath.Glob(filepath.Join(dir, "unpacking-*"))
	for _, name := range left {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	temp, err := os.MkdirTemp(dir, "unpacking-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	// The library itself extracts file by file and leaves a lock file beside its directory.
	if _, err := python.NewEmbeddedPythonWithTmpDir(filepath.Join(temp, "python"), false); err != nil {
		return err
	}
	root := filepath.Join(temp, "python")
	for _, name := range unneeded {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for name, from := range libraries {
		if err := copyFile(filepath.Join(root, "lib", name), from, 0o755); err != nil {
			return err
		}
	}
	loader := filepath.Base(loaderName)
	if err := copyFile(filepath.Join(root, closedLoader), libraries[loader], 0o111); err != nil {
		return err
	}
	// In the first directory where Python looks for it: each that it must look into costs a dozen questions.
	for name, text := range guest.Files() {
		if err := os.WriteFile(filepath.Join(root, pythonLibrary, name), text, 0o644); err != nil { // #nosec G306 -- public, and read by the sandbox's user
			return err
		}
	}
	if err := compileLibrary(ctx, root); err != nil {
		return err
	}
	if err := checkTree(root); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, completeMark), nil, 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(in.root); err != nil {
		return err
	}
	return durable.RenameTree(root, in.root)
}

// compileLibrary writes the byte code of the whole standard library, to a file for each module and once more to one for
// all. Unchecked: the tree never changes, and a script is spared a stat of every source file.
func compileLibrary(ctx context.Context, root string) error {
	library := filepath.Join(root, pythonLibrary)
	// Also what is compiled already, such as what this imports itself: that would name the directory where it is unpacked.
	err := runPython(ctx, root, nil, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
		"-s", filepath.Join(root, "lib"), "-p", Prefix+"/lib", library)
	if err != nil {
		return fmt.Errorf("compile the standard library: %w", err)
	}
	if err := runPython(ctx, root, guest.Bundle(), "-", library, library+".code"); err != nil {
		return fmt.Errorf("bundle the standard library: %w", err)
	}
	return nil
}

// runPython runs the interpreter below root, unconfined: on its own library, before any script exists.
func runPython(ctx context.Context, root string, script []byte, args ...string) error {
	// #nosec G204 -- our own interpreter
	cmd := exec.CommandContext(ctx, filepath.Join(root, pythonBinary), append([]string{"-I", "-S"}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	var stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), io.Discard, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, firstLine(stderr.String()))
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// checkTree refuses anything in the tree but files and directories.
func checkTree(root string) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !d.Type().IsRegular() {
			err = fmt.Errorf("%s is neither a file nor a directory", name)
		}
		return err
	})
}

func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

// wantedLibraries are what the interpreter's executable and its extension modules are linked with. All are glibc's own.
var wantedLibraries = []string{
	"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "libutil.so.1", "librt.so.1", "libresolv.so.2",
	"libnss_files.so.2",
}

// systemLibraries finds this machine's dynamic loader and C library, which belong together. The interpreter gets
// copies, so that an upgrade of the host does not pull them away under a running gateway.
func systemLibraries() (map[string]string, error) {
	found := map[string]string{}
	loader, err := filepath.EvalSymlinks(loaderName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoLoader, err)
	}
	found[filepath.Base(loaderName)] = loader
	for _, name := range wantedLibraries {
		if real := supervisor.FindLibrary(name, filepath.Dir(loader)); real != "" {
			found[name] = real
		}
	}
	for _, name := range []string{"libc.so.6", "libm.so.6"} {
		if found[name] == "" {
			return nil, fmt.Errorf("%w: no %s", errNoLoader, name)
		}
	}
	return found, nil
}
