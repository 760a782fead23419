//go:build linux

package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
)

// Init must be the first call of main in every program that is the shell of a sandbox, and of TestMain in its tests. In a
// process that was started as that shell it does not return.
func Init() {
	if len(os.Args) > 0 && os.Args[0] == sandbox.Shell {
		os.Exit(guest(os.Args[1:], os.Environ()))
	}
}

// maxStack bounds how deep a text calls functions, in bytes of the interpreter's own stack.
const maxStack = 256 << 20

// ownVariables begin the variables that are the process's and not the text's.
var ownVariables = []string{"GOTRACEBACK=", "GOMEMLIMIT=", "SHANNOT_CLOSED=", frames.PythonVariable, "MALLOC_ARENA_MAX="}

// guest is the whole life of the process.
func guest(args, environment []string) int {
	debug.SetMaxStack(maxStack)
	python := ""
	var env []string
	for _, kv := range environment {
		if strings.HasPrefix(kv, "SHANNOT_CLOSED=") {
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // before any byte of the text is looked at
		}
		if value, ok := strings.CutPrefix(kv, frames.PythonVariable); ok {
			python = value
		}
		if !slices.ContainsFunc(ownVariables, func(name string) bool { return strings.HasPrefix(kv, name) }) {
			env = append(env, kv)
		}
	}
	in, ok := ParseArgs(args)
	if !ok {
		return complain("bash", &Unsupported{What: "such a command line of bash"})
	}
	text, err := in.read()
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "bash: %s: %v\n", in.Name, reason(err))
		return ExitNotFound
	}
	file, err := Parse(text)
	if err != nil {
		return complain(in.Name, err)
	}
	dir, err := unix.Getwd()
	if err != nil {
		dir = "/"
	}
	status, err := Interpret(context.Background(), file, Options{
		Name: in.Name, Params: in.Params, Set: in.Set, Env: env, Dir: dir, Scratch: scratch(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Start: &supervised{env: env}, Python: python, Shell: sandbox.Shell,
	})
	if err != nil {
		return complain(in.Name, err)
	}
	return status
}

func complain(name string, err error) int {
	_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return ExitSyntax
}

// read returns the text of an invocation.
func (in Invocation) read() (string, error) {
	if in.Given {
		return in.Text, nil
	}
	from := os.Stdin
	if in.File != "" {
		f, err := os.Open(in.File)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, MaxText+1))
	return string(text), err
}

// scratch is the session's own directory, the first that there is.
func scratch() string {
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			return dir
		}
	}
	return "/dev/shm"
}

// supervised starts commands by asking the supervisor.
type supervised struct {
	env []string // that the process was started with

	mu   sync.Mutex
	idle []*os.File // connections that nobody uses
}

// guestDevice is what the way to the supervisor is opened by.
const guestDevice = "/dev/shannot"

// Start implements Starter.
func (s *supervised) Start(_ context.Context, c Command) (int, error) {
	q := frames.Start{
		Argv: c.Args, Executables: []string{c.Executable}, Dir: c.Dir, Env: c.Env, InheritEnv: slices.Equal(c.Env, s.env),
		Line: int32(min(c.Line, MaxText)), // #nosec G115 -- compared
	}
	for _, stream := range []struct {
		to   *int32
		file *os.File
	}{{&q.Stdin, c.Stdin}, {&q.Stdout, c.Stdout}, {&q.Stderr, c.Stderr}} {
		*stream.to = -1
		if stream.file != nil {
			// Fd makes the description blocking, as an interpreter that inherits it expects.
			*stream.to = int32(stream.file.Fd()) // #nosec G115 -- a descriptor
		}
	}
	pid, err := s.ask(q)
	for _, f := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		runtime.KeepAlive(f)
	}
	if err != nil {
		return 0, refused(err)
	}
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, &Refused{ExitCannotRun, err.Error()}
		}
		break
	}
	if ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}

// refused is what a text is told of a refusal.
func refused(err error) error {
	var refusal *sandbox.Refusal
	if !errors.As(err, &refusal) {
		return &Refused{ExitCannotRun, err.Error()}
	}
	r := &Refused{ExitCannotRun, refusal.Reason}
	if refusal.Errno == syscall.ENOENT {
		r.Status = ExitNotFound
	}
	if r.Reason == "" {
		r.Reason = refusal.Errno.Error()
	}
	return r
}

// ask sends one request and waits for its answer.
func (s *supervised) ask(q frames.Start) (int, error) {
	conn, err := s.connect()
	if err != nil {
		return 0, err
	}
	if err := frames.Write(conn, frames.EncodeStart(q)...); err != nil {
		_ = conn.Close()
		return 0, err
	}
	size, err := frames.ReadSize(conn)
	var items [][]byte
	if err == nil {
		items, err = frames.ReadBody(conn, size)
	}
	if err != nil {
		_ = conn.Close()
		return 0, err
	}
	s.mu.Lock()
	s.idle = append(s.idle, conn)
	s.mu.Unlock()
	return frames.DecodeStartReply(items)
}

// connect takes a connection that is idle, or makes one.
func (s *supervised) connect() (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		conn := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return conn, nil
	}
	fd, err := unix.Open(guestDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), guestDevice), nil // #nosec G115 -- a descriptor
}
