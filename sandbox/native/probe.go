//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
	"shannot-gateway/vfs/landlock"
	"shannot-gateway/vfs/seccomp"
)

// Probe says what this machine's kernel and C library offer the engine, one finding for each wall. The first time, it
// starts processes that enter namespaces and end; the program must have called Init.
func Probe(context.Context) []sandbox.Finding {
	return append([]sandbox.Finding{
		probeKernel(), probeNotify(), probe("pidfd_getfd", copyOwnDescriptor), probe("sealed memory files", sealSomething),
		probeLibraries(), probeLandlock(),
	}, probeLayers()...)
}

// probe tries a required part.
func probe(name string, try func() error) sandbox.Finding {
	if err := try(); err != nil {
		return sandbox.Finding{Name: name, Required: true, Detail: err.Error()}
	}
	return sandbox.Finding{Name: name, Required: true, OK: true, Detail: "available"}
}

func probeKernel() sandbox.Finding {
	f := sandbox.Finding{Name: "kernel 5.14 or newer", Required: true}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		f.Detail = err.Error()
		return f
	}
	release := string(bytes.TrimRight(u.Release[:], "\x00"))
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		f.Detail = fmt.Sprintf("unknown release %q", release)
		return f
	}
	f.OK = major > 5 || major == 5 && minor >= 14
	f.Detail = release
	if f.OK && (major < 5 || major == 5 && minor < 19) {
		f.Detail += "; before 5.19 a signal may report EINTR for a call that was done"
	}
	return f
}

func probeNotify() sandbox.Finding {
	f := sandbox.Finding{Name: "seccomp user notification", Required: true}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	switch {
	case e != 0:
		f.Detail = fmt.Sprintf("the kernel or this container does not offer it: %v", e)
	case !seccomp.SizesFit():
		f.Detail = "the kernel's structures are larger than this program knows"
	default:
		f.OK, f.Detail = true, "available"
	}
	return f
}

func copyOwnDescriptor() error {
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(self) }()
	fd, err := unix.PidfdGetfd(self, self, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func sealSomething() error {
	fd, err := vfs.Sealed("probe", []byte("x"))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func probeLibraries() sandbox.Finding {
	f := sandbox.Finding{Name: "glibc", Required: true}
	found, err := systemLibraries()
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	f.OK, f.Detail = true, found["libc.so.6"]
	return f
}

func probeLandlock() sandbox.Finding {
	f := sandbox.Finding{Name: "Landlock"}
	if abi := landlock.ABI(); abi > 0 {
		f.OK, f.Detail = true, fmt.Sprintf("version %d, a second wall behind the filter", abi)
	} else {
		f.Detail = "not available; the filter stands alone"
	}
	return f
}

// missing is the first required part that is not there, with the reason.
func missing(findings []sandbox.Finding) error {
	for _, f := range findings {
		if f.Required && !f.OK {
			return fmt.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	return nil
}

// checkMark is what the trial run must say.
const checkMark = "shannot"

// Check runs a line of Python in a sandbox, which shows whether everything that Probe looks at works together.
func (e *Engine) Check(ctx context.Context) error {
	if err := missing(Probe(ctx)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: nil, Scratch: []string{"/tmp"}, Now: e.options.Now})
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }()
	var out, errs strings.Builder
	result, err := e.Run(ctx, sandbox.Job{
		Session: "check", Args: []string{"-c", "print('" + checkMark + "')"}, Dir: "/", FS: view,
		Stdout: &out, Stderr: io.MultiWriter(&errs), Commands: refuseAll{},
		Limits: sandbox.Limits{Wall: 30 * time.Second, Memory: 512 << 20},
	})
	if err != nil {
		return err
	}
	if result.Cause != sandbox.Exited || result.ExitCode != 0 || out.String() != checkMark+"\n" {
		return fmt.Errorf("a trial run ended with status %d: %s", result.ExitCode, firstLine(errs.String()+result.Detail))
	}
	return nil
}

type refuseAll struct{}

func (refuseAll) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: unix.EPERM, Reason: errNoCommands.Error()}
}

var errNoCommands = errors.New("a trial run starts no commands")
