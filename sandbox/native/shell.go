//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// The sandbox has a second program beside the interpreter of Python: the gateway's own executable, which interprets shell text
// where it is started as sandbox.Shell. It has the same layers, the same filter and the same view of the files, and asks for
// commands by the same messages. What follows is how it is started.

// goReserves is writable memory that Go's runtime maps beside what a program uses, in bytes.
const goReserves = 128 << 20

// Variables by which the program learns what it may not ask for. It takes them away before a text sees them.
const (
	closedVariable = "SHANNOT_CLOSED=1"
	memoryVariable = "GOMEMLIMIT="
)

// errTextOver ends what a text has left running.
var errTextOver = errors.New("the text has ended")

// errNoShell says that no executable was configured.
var errNoShell = errors.New("the sandbox has no shell (engines.shell)")

// program is an executable that was opened.
type program struct {
	file   *os.File // for the first stage to execute, or to be mapped by the dynamic loader
	static bool
	info   vfs.Info
}

// openShell opens the executable, once. The caller has the engine's lock.
func (e *Engine) openShell() error {
	name := e.options.Shell.Executable
	if name == "" || e.shell != nil {
		return nil
	}
	file, err := os.Open(name) // #nosec G304 -- the operator's
	if err != nil {
		return fmt.Errorf("open the shell's executable: %w", err)
	}
	image, err := elf.NewFile(file)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(file.Fd()), &st)
	}
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("read the shell's executable %s: %w", name, err)
	}
	static := !slices.ContainsFunc(image.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	e.shell = &program{file: file, static: static, info: vfs.Info{
		Mode: unix.S_IFREG | 0o755, Size: st.Size, Nlink: 1, Ino: st.Ino, Mtime: time.Unix(st.Mtim.Unix()), Atime: time.Unix(st.Mtim.Unix()), Ctime: time.Unix(st.Mtim.Unix()),
	}}
	return nil
}

// HasShell reports why the engine cannot run a shell text, or nil.
func (e *Engine) HasShell(ctx context.Context) error {
	if e.options.Shell.Executable == "" {
		return errNoShell
	}
	_, _, err := e.prepare(ctx)
	return err
}

// loaderFor is the file that a job's process executes first.
func (e *Engine) loaderFor(job sandbox.Job, loader *os.File) (*os.File, error) {
	switch {
	case !forShell(job.Args):
		return loader, nil
	case e.shell == nil:
		return nil, errNoShell
	case e.shell.static:
		return e.shell.file, nil
	}
	return loader, nil
}

// shellConfig is what a shell for a job is started with.
func (e *Engine) shellConfig(job sandbox.Job, config supervisor.Config) (supervisor.Config, error) {
	if e.shell == nil {
		return config, errNoShell
	}
	var load []string
	if !e.shell.static {
		load = []string{loaderName, "--library-path", Prefix + "/lib"}
	}
	first := 1
	if len(job.Args) > 1 && job.Args[1] == "-c" {
		first = 2
	}
	config.Argv = supervisor.Texts(load, job.Args[:first])
	own := []string{"GOTRACEBACK=none", frames.PythonVariable + Interpreter}
	if e.shell.static && e.layers.Undumpable {
		own = append(own, closedVariable)
	}
	if job.Limits.Memory > 0 {
		own = append(own, memoryVariable+strconv.FormatInt(job.Limits.Memory/4*3, 10))
		// Go reserves more than it uses: what is bounded is what can be written to. The resident memory of all is watched.
		delete(config.Limits, unix.RLIMIT_AS)
		config.Limits[unix.RLIMIT_DATA] = uint64(min(job.Limits.Memory, math.MaxInt64-goReserves)) + goReserves
	}
	config.Env = supervisor.Texts(job.Env, own)
	config.Hide(job.Args[first:])
	return config, config.Fits()
}

// shells are the executables by whose names bash and sh are asked for.
var shells = []string{"/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash", "/bin/dash", "/usr/bin/dash"}

// forShell reports whether a job's arguments are the shell's, with its name in front.
func forShell(args []string) bool { return len(args) > 0 && args[0] == sandbox.Shell }

// isShell reports whether a request is for the sandbox's own shell.
func (e *Engine) isShell(q frames.Start) bool {
	if e.shell == nil || len(q.Executables) == 0 {
		return false
	}
	if q.Executables[0] == sandbox.Shell {
		return true
	}
	return slices.Contains(shells, q.Executables[0]) && e.options.Shell.Takes != nil && e.options.Shell.Takes(q.Argv)
}

// withShell is the interpreter's tree with the shell's executable in it, which the dynamic loader opens.
type withShell struct {
	vfs.Source
	shell *program
}

// shellName is the executable's name below Prefix.
var shellName = sandbox.Shell[len(Prefix):]

// Lstat implements vfs.Source.
func (w withShell) Lstat(name string) (vfs.Info, error) {
	if name == shellName {
		return w.shell.info, nil
	}
	return w.Source.Lstat(name)
}

// ReadDir implements vfs.Source.
func (w withShell) ReadDir(name string) ([]vfs.Dirent, error) {
	list, err := w.Source.ReadDir(name)
	if err == nil && name == path.Dir(shellName) {
		list = append(slices.Clone(list), vfs.Dirent{Name: path.Base(shellName), Type: unix.S_IFREG, Ino: w.shell.info.Ino})
	}
	return list, err
}

// Open implements vfs.Source.
func (w withShell) Open(name string, flags int) (int, error) {
	if name != shellName {
		return w.Source.Open(name, flags)
	}
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return -1, unix.EACCES
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(int(w.shell.file.Fd())), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
