//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
)

// This executable is the first process of the world, and the first stage of each command there.
const (
	worldStage   = "shannot-rehearsal"
	commandStage = "shannot-rehearsed"
	socket       = 3 // of the gateway in the former, of the world in the latter
)

// spare is how long the world may take beyond the limit of its commands: to be made, and to be looked at.
const spare = 15 * time.Second

// capabilities of an unprivileged world's first process, in its own user namespace: mounts and roots, what overlays do with its rights to
// files of its own user, and looking at its commands.
var capabilities = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_PTRACE, unix.CAP_KILL, unix.CAP_SETPCAP,
	unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_CHOWN,
}

// Run rehearses. account is the user that commands run as where that is another one than this process's own, which needs root. The
// program must have called Init. The error wraps targets.ErrNoRehearsal where this machine cannot do it.
func Run(ctx context.Context, r targets.Rehearsal, account *targets.Account) (*targets.Rehearsed, error) {
	o, err := orderOf(r, account)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.Limits.Wall+spare)
	defer cancel()
	w, err := start()
	if err != nil {
		return nil, err
	}
	defer w.end()
	stop := context.AfterFunc(ctx, func() { _ = w.ours.Close() }) // ends what waits below, and the world
	defer stop()
	result, err := w.converse(o, r)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("rehearse: %w", cause)
	}
	return result, err
}

// world is a started world as the gateway sees it.
type world struct {
	cmd    *exec.Cmd
	ours   *os.File
	stderr tail
}

// start starts the world's first process.
func start() (*world, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	w := &world{ours: os.NewFile(uintptr(fds[0]), "world")}
	theirs := os.NewFile(uintptr(fds[1]), "world")
	defer func() { _ = theirs.Close() }()
	w.cmd = exec.Command("/proc/self/exe")
	w.cmd.Args = []string{worldStage}
	w.cmd.Env = []string{"GODEBUG=", "GOMAXPROCS=2"}
	w.cmd.Dir = "/"
	w.cmd.Stderr = &w.stderr
	w.cmd.WaitDelay = time.Second
	w.cmd.ExtraFiles = []*os.File{theirs}
	attr := &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = capabilities
	}
	w.cmd.SysProcAttr = attr
	if err := w.cmd.Start(); err != nil {
		_ = w.ours.Close()
		return nil, fmt.Errorf("%w: the kernel does not make the namespaces: %w", targets.ErrNoRehearsal, err)
	}
	return w, nil
}

// end ends the world and all that is in it: the kernel ends the processes of a pid namespace with its first one.
func (w *world) end() {
	_ = w.ours.Close()
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// maxReport is the most that a world sends, in bytes, beside contents.
const maxReport = 64 << 20

// converse sends the order, answers what the world asks, and returns its report.
func (w *world) converse(o *order, r targets.Rehearsal) (*targets.Rehearsed, error) {
	to := gob.NewEncoder(w.ours)
	if err := to.Encode(o); err != nil {
		return nil, w.fault(err)
	}
	from := gob.NewDecoder(io.LimitReader(w.ours, maxReport+2*r.Limits.Content))
	for {
		var m message
		if err := from.Decode(&m); err != nil {
			return nil, w.fault(err)
		}
		switch {
		case m.Report == nil:
			a := answer{make([]bool, len(m.Hidden))}
			for i, name := range m.Hidden {
				a.Hidden[i] = r.Hidden != nil && r.Hidden(name)
			}
			if err := to.Encode(a); err != nil {
				return nil, w.fault(err)
			}
		case m.Report.Fault != "" && m.Report.Reason == faultChange:
			return nil, fmt.Errorf("rehearse what comes before the command: %s", m.Report.Fault)
		case m.Report.Fault != "":
			return nil, fmt.Errorf("%w: %s", targets.ErrNoRehearsal, m.Report.Fault)
		default:
			return &m.Report.Rehearsed, nil
		}
	}
}

// fault is an error of the conversation, with what the world's first process has written about its end.
func (w *world) fault(err error) error {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	if text := w.stderr.String(); text != "" {
		err = errors.New(text)
	}
	return fmt.Errorf("rehearse: the world has ended: %w", err)
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

const maxTail = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }
