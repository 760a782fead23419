//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// Confinement is a program of the operator's that needs nothing of the kernel but its streams and memory: an interpreter
// whose every other wish comes over its standard output.
type Confinement struct {
	// Loader is the file that is executed: the program itself, or the dynamic loader that its file names.
	Loader string
	// Files are what may be opened until Settle, real paths by the names that the loader asks for.
	Files map[string]string
	// Args is the argument vector, Env the environment, KEY=VALUE.
	Args, Env []string
	// Hidden are further arguments, which the kernel does not show to others. A program that is linked statically (it has no
	// Files) is never stopped before it looks at its arguments, and has them as the others.
	Hidden []string
	// Limits bound it: CPU and Memory.
	Limits sandbox.Limits
	// Log receives what an operator may need.
	Log *slog.Logger
}

// Confined is a program that was started behind the layers of this package: the namespaces, Landlock, an unprivileged
// user, no capabilities, no new privileges, resource limits, and a filter that leaves it reading and writing what it
// has open, memory, and its end. It is loaded through opens that are answered here, and opens nothing afterwards.
type Confined struct {
	// Stdin, Stdout and Stderr are the gateway's ends of its streams. Close closes them.
	Stdin, Stdout, Stderr *os.File

	process *Process
	files   map[string]string
	settled atomic.Bool
	kill    sync.Once
	done    chan struct{}
	state   *os.ProcessState

	leaving sync.Mutex // held while the process id is used, and while it is given up
	left    bool
}

// Confine starts a program. The error says what does not work on this machine.
func Confine(c Confinement) (*Confined, error) {
	p := &Confined{files: c.Files, done: make(chan struct{}), process: New(func(msg string, args ...any) { c.Log.Error(msg, args...) })}
	filter, err := confinedFilter()
	if err != nil {
		return nil, err
	}
	loader, err := os.Open(c.Loader)
	if err != nil {
		return nil, fmt.Errorf("open the program: %w", err)
	}
	defer func() { _ = loader.Close() }()
	config := Config{
		Argv: Texts(c.Args), Env: Texts(c.Env), Drop: os.Geteuid() == 0, Layers: Available(), Filter: filter,
		Limits: ResourceLimits(sandbox.Limits{CPU: c.Limits.CPU, Memory: c.Limits.Memory, Files: confinedFiles}),
	}
	if len(c.Files) > 0 && len(c.Env) > 0 {
		config.Hide(c.Hidden)
	} else {
		config.Argv = append(config.Argv, Texts(c.Hidden)...)
	}
	config.Limits[unix.RLIMIT_FSIZE] = 0 // pipes have no size, and there is nothing else to write
	if err := config.Fits(); err != nil {
		return nil, fmt.Errorf("start the program with its arguments and environment: %w", err)
	}
	streams, err := NewPipes()
	if err != nil {
		return nil, err
	}
	p.Stdin, p.Stdout, p.Stderr = streams.Stdin, streams.Stdout, streams.Stderr
	if err := p.process.Start(loader, config, streams.Child, confinedCalls{p}); err != nil {
		streams.Close()
		p.process.Close()
		return nil, err
	}
	go func() {
		_ = p.process.AwaitExit()
		p.leaving.Lock()
		p.left = true
		p.leaving.Unlock()
		p.state = p.process.Reap()
		close(p.done)
	}()
	return p, nil
}

// confinedFiles is how many descriptors a confined program may have: its streams, and one file that is being loaded.
const confinedFiles = 16

// confinedCalls answers the calls of a confined program: it lets the loader have the files that it may have, and nobody
// anything else.
type confinedCalls struct{ *Confined }

// Started implements Answerer.
func (confinedCalls) Started() {}

// Loaded implements Answerer.
func (p confinedCalls) Loaded(err error) {
	if err != nil {
		p.process.log("hand over arguments", "error", err)
		p.Kill()
	}
}

// Ended implements Answerer.
func (p confinedCalls) Ended(err error) {
	if err != nil {
		p.process.log("answer a program", "error", err)
		p.Kill()
	}
}

// Panicked implements Answerer.
func (p confinedCalls) Panicked(value any) {
	p.process.log("panic while a program was loaded", "panic", value)
	p.Kill() // nobody is left to answer it
}

// Answer implements Answerer.
func (p confinedCalls) Answer(n *seccomp.Notification) {
	name := seccomp.Name(n.Nr)
	switch {
	case name == "execveat" && p.process.IsFirstExec(n):
		p.process.Continue(n)
	case name == "execveat" || p.settled.Load():
		p.process.Reply(n, 0, unix.EPERM)
	case name == "mmap" || name == "mprotect" || name == "uname":
		p.process.Continue(n) // registers, and the kernel's name in a namespace of its own
	case name == "openat":
		p.open(n, n.Args[1])
	case name == "open":
		p.open(n, n.Args[0])
	case name == "newfstatat":
		p.process.Reply(n, 0, p.describe(n))
	default:
		p.process.Reply(n, 0, unix.ENOENT) // names that a loader looks for and does without
	}
}

// open answers an open of one of the program's files.
func (p confinedCalls) open(n *seccomp.Notification, address uint64) {
	name, e := p.process.ReadPath(n, address)
	if e != 0 {
		p.process.Reply(n, 0, e)
		return
	}
	real, ok := p.files[name]
	if !ok {
		p.process.Reply(n, 0, unix.ENOENT)
		return
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.process.Reply(n, 0, vfs.ErrnoOf(err))
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if e := p.process.Inject(n, fd, true); e != 0 {
		p.process.Reply(n, 0, e)
	}
}

// describe answers newfstatat(2) of a descriptor, which is how the C library asks for fstat.
func (p confinedCalls) describe(n *seccomp.Notification) unix.Errno {
	name, e := p.process.ReadPath(n, n.Args[1])
	if e != 0 {
		return e
	}
	if name != "" || n.Args[3]&unix.AT_EMPTY_PATH == 0 {
		return unix.ENOENT
	}
	fd, e := p.process.Descriptor(int32(n.Args[0])) // #nosec G115 -- a descriptor
	if e != 0 {
		return e
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return vfs.ErrnoOf(err)
	}
	return p.process.Write(n, n.Args[2], seccomp.Bytes(&st))
}

// Settle ends the loading: from now on nothing is opened, and no memory becomes executable.
func (p *Confined) Settle() { p.settled.Store(true) }

// PID is the program's process id.
func (p *Confined) PID() int { return p.process.PID }

// WithPID calls a function with the program's process id, which is Nobody else's meanwhile. Where the program has ended, it
// is not called.
func (p *Confined) WithPID(do func(pid int)) {
	p.leaving.Lock()
	defer p.leaving.Unlock()
	if !p.left {
		do(p.process.PID)
	}
}

// Used is the processor time that the program has used, also after its end, and its resident memory in bytes.
func (p *Confined) Used() (cpu time.Duration, memory int64) {
	select {
	case <-p.done:
		if p.state == nil {
			return 0, 0
		}
		return p.state.UserTime() + p.state.SystemTime(), 0
	default:
		if !p.process.Loaded() {
			return procfs.CPUTime(p.process.PID), 0
		}
		own, shared := procfs.ResidentMemory(p.process.PID)
		return procfs.CPUTime(p.process.PID), own + shared
	}
}

// Kill ends the program.
func (p *Confined) Kill() {
	p.kill.Do(func() {
		select {
		case <-p.done:
		default:
			p.process.Kill()
		}
	})
}

// Wait returns how the program ended, once it has.
func (p *Confined) Wait() syscall.WaitStatus {
	<-p.done
	if p.state == nil {
		return syscall.WaitStatus(unix.SIGKILL)
	}
	status, _ := p.state.Sys().(syscall.WaitStatus)
	return status
}

// Close releases what is left of a program that has ended.
func (p *Confined) Close() error {
	<-p.done
	p.kill.Do(func() {}) // the number of its descriptor may be another's from here on
	p.process.Close()
	return errors.Join(p.Stdin.Close(), p.Stdout.Close(), p.Stderr.Close())
}

// confinedPolicy is the policy of the filter for a confined program. A call without a row is answered ENOSYS, one through
// another architecture's entry ends the process.
var confinedPolicy = seccomp.Policy{Rows: confinedTable, Rest: seccomp.Errno(unix.ENOSYS), Foreign: seccomp.ActionKill}

// confinedFilter is compiled once, for any process.
var confinedFilter = sync.OnceValues(confinedPolicy.Compile)

// The words of the table below.
const (
	allow  = seccomp.Allow
	fail   = seccomp.Fail
	notify = seccomp.Notify
)

// confinedTable has the rows of that policy. What is notified is answered while the program is loaded, and refused
// afterwards.
var confinedTable = []seccomp.Row{
	{Call: "read", Do: allow, Why: "its streams"},
	{Call: "write", Do: allow, Why: "its streams"},
	{Call: "readv", Do: allow, Why: "its streams"},
	{Call: "writev", Do: allow, Why: "its streams"},
	{Call: "close", Do: allow, Why: "own descriptors"},
	{Call: "pread64", Do: allow, Why: "a file that is being loaded"},
	{Call: "fstat", Do: allow, Why: "own descriptors"},
	{Call: "lseek", Do: fail, Errno: unix.ESPIPE, Why: "streams have no position, and the C library asks"},
	{Call: "mmap", Do: notify, Why: "executable memory while it is loaded", When: executable},
	{Call: "mmap", Do: allow, Why: "own memory"},
	{Call: "mprotect", Do: notify, Why: "executable memory while it is loaded", When: executable},
	{Call: "mprotect", Do: allow, Why: "own memory"},
	{Call: "munmap", Do: allow, Why: "own memory"},
	{Call: "mremap", Do: allow, Why: "own memory"},
	{Call: "madvise", Do: allow, Why: "own memory"},
	{Call: "brk", Do: allow, Why: "own memory"},
	{Call: "futex", Do: allow, Why: "own memory"},
	{Call: "set_tid_address", Do: allow, Why: "own memory"},
	{Call: "set_robust_list", Do: allow, Why: "own memory"},
	{Call: "rseq", Do: allow, Why: "own memory"},
	{Call: "arch_prctl", Do: allow, Why: "own registers"},
	{Call: "rt_sigaction", Do: allow, Why: "own signals"},
	{Call: "rt_sigprocmask", Do: allow, Why: "own signals"},
	{Call: "rt_sigreturn", Do: allow, Why: "own signals"},
	{Call: "sigaltstack", Do: allow, Why: "own signals"},
	{Call: "getpid", Do: allow, Why: "own number"},
	{Call: "gettid", Do: allow, Why: "own number"},
	{Call: "tgkill", Do: allow, Otherwise: unix.EPERM, Why: "aborting itself", When: []seccomp.Condition{{Arg: 0, Values: []uint32{seccomp.Self}}}},
	{Call: "prlimit64", Do: allow, Otherwise: unix.EPERM, Why: "reading its own limits", When: []seccomp.Condition{
		{Arg: 0, Values: []uint32{0, seccomp.Self}}, {Arg: 2, Wide: true, Values: []uint32{0}},
	}},
	{Call: "getrandom", Do: allow, Why: "random bytes"},
	{Call: "clock_gettime", Do: allow, Why: "time"},
	{Call: "gettimeofday", Do: allow, Why: "time"},
	{Call: "time", Do: allow, Why: "time"},
	{Call: "getrusage", Do: allow, Why: "own usage"},
	{Call: "sched_yield", Do: allow, Why: "own scheduling"},
	{Call: "restart_syscall", Do: allow, Why: "resumes an allowed call"},
	{Call: "exit", Do: allow, Why: "its end"},
	{Call: "exit_group", Do: allow, Why: "its end"},
	{Call: "execveat", Do: notify, Why: "the first stage's, once"},
	{Call: "openat", Do: notify, Why: "the files of the program, while it is loaded"},
	{Call: "open", Do: notify, Why: "the files of the program, while it is loaded"},
	{Call: "newfstatat", Do: notify, Why: "own descriptors, while it is loaded"},
	{Call: "uname", Do: notify, Why: "the loader's question, while it is loaded"},
	{Call: "access", Do: notify, Why: "absent"},
	{Call: "faccessat", Do: notify, Why: "absent"},
	{Call: "faccessat2", Do: notify, Why: "absent"},
	{Call: "readlink", Do: notify, Why: "absent"},
	{Call: "readlinkat", Do: notify, Why: "absent"},
	{Call: "stat", Do: notify, Why: "absent"},
}

// executable holds for memory that is to be executed.
var executable = []seccomp.Condition{{Arg: 2, Mask: unix.PROT_EXEC, Values: []uint32{unix.PROT_EXEC}}}
