//go:build linux && (amd64 || arm64)

package native

import (
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/supervisor"
)

func TestMemoryIsReachedByAnIdThatCannotBecomeAnothers(t *testing.T) {
	p := newPuppet(t)
	word := []byte("0123456789")
	for _, c := range []struct {
		name     string
		firm     bool
		pid, tid int
		waits    bool
		want     unix.Errno
	}{
		{"the interpreter's own", true, p.pid, 1, false, 0},
		{"its first thread has ended, the asking one waits", true, 0, p.pid, true, 0},
		{"the asking one has ended too", true, 0, p.pid, false, unix.ESRCH},
		{"an older kernel", false, 1, p.pid, true, 0},
		{"an older kernel, interrupted", false, p.pid, p.pid, false, unix.ESRCH},
	} {
		r := supervisor.Attach(supervisor.State{Firm: c.firm, PID: c.pid, Valid: func(uint64) bool { return c.waits }})
		n := &seccomp.Notification{PID: uint32(c.tid)}
		got := make([]byte, len(word))
		if e := r.Write(n, p.base, word); e != c.want {
			t.Errorf("%s: written, %v", c.name, e)
		}
		if e := r.Read(n, p.base, got); e != c.want || e == 0 && string(got) != string(word) {
			t.Errorf("%s: read %q, %v", c.name, got, e)
		}
		if text, e := r.ReadPath(n, p.base); e != c.want || e == 0 && text != string(word) {
			t.Errorf("%s: path %q, %v", c.name, text, e)
		}
	}
}

func TestCallsAreAnsweredAfterTheFirstThreadHasEnded(t *testing.T) {
	got := runScript(t, `
import ctypes, os, sys, threading
def later():
    while True:
        fd = os.open("/proc/self/stat", os.O_RDONLY)
        state = os.read(fd, 100).split()[2]
        os.close(fd)
        if state == b"Z":
            break
    os.mkdir("/tmp/made")
    os.write(1, str(os.stat("/tmp/made").st_mode & 0o777).encode())
    os._exit(0)
threading.Thread(target=later).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)`)
	if got.stdout != "493" {
		t.Errorf("%+v %q %s", got.result, got.stdout, got.stderr)
	}
}
