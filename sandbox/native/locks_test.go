//go:build linux && (amd64 || arm64)

package native

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// A lock that a script takes on a file of the target is nobody's but the script's.
func TestLocksOfAScriptHoldUpNoProgramOfTheHost(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "locks-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	job, _, stderr := jobFor(t, `
import fcntl, os, struct
name = os.environ["LOCKED"]
f, g = open(name), open(name)
for file in (f, g):
    fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_SH)
    fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)) # F_OFD_SETLK
try: os.posix_spawn("/x", [str(os.getpid())], {})
except FileNotFoundError: pass`)
	job.Env = append(job.Env, "LOCKED="+name)
	policy, err := vfs.NewPolicy([]string{dir, "/etc"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if job.FS, err = vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = job.FS.Close() })
	looked := false
	job.Commands = pidCommander{func(int) {
		looked = true
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = f.Close() }()
		all := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("flock: %v", err)
		}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &all); err != nil {
			t.Errorf("fcntl: %v", err)
		}
	}}
	if r := runJob(t, job); r.ExitCode != 0 || !looked {
		t.Errorf("%+v %v %s", r, looked, stderr)
	}
}

func TestLockTableIsBounded(t *testing.T) {
	here := supervisor.Attach(supervisor.State{PID: os.Getpid()})
	gone := supervisor.Attach(supervisor.State{PID: os.Getpid(), Exited: true})
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	file, other := inodeOf(&st), inode{1, 1}
	var table lockTable
	fill := func(owner *supervisor.Process, file inode) (taken int) {
		for taken <= 2*maxLocks && table.set(file, lock{owner, int64(2 * taken), int64(2 * taken), true}, true) == nil {
			taken++
		}
		return taken
	}
	if n := fill(here, file); n != maxLocks {
		t.Errorf("%d locks", n)
	}
	// Neither more of them, nor more pieces.
	everything := lock{owner: here, last: math.MaxInt64, exclusive: true}
	if err := table.set(other, everything, true); err != unix.ENOLCK {
		t.Errorf("one more: %v", err)
	}
	if err := table.set(file, everything, true); err != nil || table.count != 1 {
		t.Errorf("one for all of them: %v, %d", err, table.count)
	}
	for n := range int64(maxLocks) {
		_ = table.set(file, lock{owner: here, first: 2 * n, last: 2 * n}, false)
	}
	if table.count != maxLocks {
		t.Errorf("cut into %d", table.count)
	}
	if err := table.set(file, everything, false); err != nil || table.count != 0 || len(table.held) != 0 {
		t.Errorf("given up: %v, %d", err, table.count)
	}
	// What was left behind makes room.
	fill(gone, file)
	fill(here, other) // which nobody has open
	if err := table.set(file, everything, true); err != nil || table.count > maxLocks {
		t.Errorf("behind what was left: %v, %d", err, table.count)
	}
}
