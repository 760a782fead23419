//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/selftest"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// Probe says what this machine's kernel and C library offer the engine, one finding for each layer. The first time, it
// starts processes that enter namespaces and end; the program must have called Init.
func Probe(context.Context) []sandbox.Finding {
	return append([]sandbox.Finding{
		probeKernel(), probeNotify(), probe("pidfd_getfd", copyOwnDescriptor), probe("sealed memory files", sealSomething),
		probeLibraries(), probeLandlock(), supervisor.ProbeGroups(),
	}, supervisor.ProbeLayers()...)
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
		f.OK, f.Detail = true, fmt.Sprintf("version %d, a second layer behind the filter", abi)
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

// Check runs a line of Python in a sandbox, which shows whether everything that Probe looks at works together.
func (e *Engine) Check(ctx context.Context) error {
	if err := missing(Probe(ctx)); err != nil {
		return err
	}
	// Unpacking takes a slow machine minutes, which is not the time of the test.
	if _, _, err := e.prepare(ctx); err != nil {
		return err
	}
	return selftest.Run(ctx, e, selftest.Python, e.options.Now)
}
