//go:build linux

package posix

import (
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// view is a session with one directory of scratch.
func view(t *testing.T) *vfs.Session {
	t.Helper()
	fs, err := vfs.NewSession(vfs.Config{Base: new(vfs.Static), Scratch: []string{"/tmp"}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fs.Close() })
	for _, dir := range []string{"/tmp/a", "/tmp/a/b"} {
		if err := fs.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

func TestNamesAreBelowTheirDirectories(t *testing.T) {
	n := Names{FS: view(t), Directory: func(fd int32) (string, error) {
		if fd != 7 {
			return "", unix.EBADF
		}
		return "/tmp/a", nil
	}}
	n.Dir.Begin("/")
	if err := n.Enter("/tmp/a/b"); err != nil {
		t.Fatal(err)
	}
	defer n.Dir.Close()
	for _, c := range []struct {
		dirfd int32
		name  string
		want  string
		err   error
	}{
		{unix.AT_FDCWD, "", "", unix.ENOENT},
		{unix.AT_FDCWD, "x/../y", "/tmp/a/b/x/../y", nil},
		{unix.AT_FDCWD, "/x", "/x", nil},
		{7, "x", "/tmp/a/x", nil},
		{7, "/x", "/x", nil},
		{8, "x", "", unix.EBADF},
	} {
		if got, err := n.Absolute(c.dirfd, c.name); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%d %q is %q, %v", c.dirfd, c.name, got, err)
		}
	}
	if err := n.FS.Rename("/tmp/a", "/tmp/c", 0); err != nil {
		t.Fatal(err)
	}
	if here, err := n.Dir.Here(); here != "/tmp/c/b" || err != nil {
		t.Errorf("a directory that was moved is %q, %v", here, err)
	}
	if err := n.FS.Rmdir("/tmp/c/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Absolute(unix.AT_FDCWD, "x"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("below a directory that was removed: %v", err)
	}
	if err := n.Enter("/tmp/none"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("entered what is not there: %v", err)
	}
}

func TestUmaskTakesRightsAway(t *testing.T) {
	n := Names{Umask: 0o022}
	if got := n.Masked(0o170777); got != 0o755 {
		t.Errorf("%o", got)
	}
	if old := n.SetUmask(0o7077); old != 0o022 || n.Umask != 0o077 {
		t.Errorf("%o, then %o", old, n.Umask)
	}
}

func TestTimesAreThoseOfUtimensat(t *testing.T) {
	now, old := time.Unix(100, 0), vfs.Info{Atime: time.Unix(1, 0), Mtime: time.Unix(2, 0)}
	for _, c := range []struct {
		spec         [2]unix.Timespec
		atime, mtime int64
		err          error
	}{
		{Now(), 100, 100, nil},
		{[2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 7}}, 1, 7, nil},
		{[2]unix.Timespec{{Sec: 7}, {Nsec: -1}}, 0, 0, unix.EINVAL},
		{[2]unix.Timespec{{Nsec: 1e9}, {}}, 0, 0, unix.EINVAL},
	} {
		atime, mtime, err := newTimes(c.spec, old, now)
		if !errors.Is(err, c.err) || err == nil && (atime.Unix() != c.atime || mtime.Unix() != c.mtime) {
			t.Errorf("%v: %v, %v, %v", c.spec, atime, mtime, err)
		}
	}
}

// command is a process that ends when it is told.
type command struct {
	end  chan sandbox.ExitStatus
	sent chan unix.Signal
}

func (c command) Wait() (sandbox.ExitStatus, error) { return <-c.end, nil }
func (c command) Signal(s unix.Signal) error        { c.sent <- s; return nil }

func TestChildrenAreWaitedForOnce(t *testing.T) {
	var table Children
	told := make(chan struct{}, 2)
	table.Init(func() { told <- struct{}{} }, func(string) {})
	if _, any := table.Waitable(-1); any {
		t.Error("there is a child already")
	}
	c := command{end: make(chan sandbox.ExitStatus), sent: make(chan unix.Signal, 1)}
	child := table.Add(0, c, func() {})
	if got, any := table.Waitable(WaitTarget(-int32(child.PID))); got != nil || !any || child.PID < FirstPID {
		t.Errorf("before its end: %v, %v", got, any)
	}
	if err := child.Signal(15); err != nil || <-c.sent != unix.SIGTERM {
		t.Errorf("a signal: %v", err)
	}
	changed := table.Changed()
	c.end <- sandbox.ExitStatus{Code: 3}
	<-changed
	<-told
	got, _ := table.Waitable(-1)
	if got != child || got.Status() != 3<<8 {
		t.Fatalf("after its end: %v", got)
	}
	if err := child.Signal(15); err != nil {
		t.Errorf("a zombie takes no signal: %v", err)
	}
	table.Remove(child)
	if _, any := table.Waitable(child.PID); any || table.Count() != 0 {
		t.Error("it is there after it was waited for")
	}
	table.WaitAll()
}

func TestDevicesAreThoseOfMemoryAndTheEngines(t *testing.T) {
	d := &Devices{Made: time.Unix(1, 0), Added: map[string]Device{
		"tty": {Mode: unix.S_IFCHR | 0o666}, "stdin": {Mode: unix.S_IFLNK | 0o777, Link: "/x"}, "guest": {Mode: unix.S_IFCHR, Hidden: true},
	}}
	list, err := d.ReadDir("/")
	if err != nil || len(list) != len(memoryDevices)+2 {
		t.Errorf("%v, %v", list, err)
	}
	fd, err := d.Open("/null", unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	for _, name := range []string{"/tty", "/sda", "/../etc/passwd"} {
		if fd, err := d.Open(name, unix.O_RDONLY); !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s is opened: %d, %v", name, fd, err)
		}
	}
	if text, err := d.Readlink("/stdin"); text != "/x" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// ended is a command that has ended.
type ended struct{ sandbox.Process }

func (ended) Wait() (sandbox.ExitStatus, error) { return sandbox.ExitStatus{}, nil }

// TestCommandsStartWhileTheEndOfAllIsWaitedFor does what a request does that was read before its script ended.
func TestCommandsStartWhileTheEndOfAllIsWaitedFor(t *testing.T) {
	var children Children
	children.Init(func() {}, func(string) {})
	var starts sync.WaitGroup
	for range 4 {
		starts.Go(func() {
			for range 50 {
				children.Add(0, ended{}, func() {})
				children.WaitAll()
			}
		})
	}
	children.WaitAll()
	starts.Wait()
	children.WaitAll()
	if n := children.Count(); n != 200 {
		t.Errorf("%d children, want 200", n)
	}
	for pid := FirstPID; pid < FirstPID+200; pid++ {
		if c := children.Get(pid); c == nil || !c.Ended() {
			t.Fatalf("child %d has not ended", pid)
		}
	}
}
