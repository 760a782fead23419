//go:build linux

package vfs

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Sessions must leave this process the descriptors that it needs to serve everybody else.
func TestContentsLeaveDescriptorsToTheProcess(t *testing.T) {
	before := mostHeld
	mostHeld = func() int64 { return held.Load() + 1 }
	limit := mostHeld()
	mostHeld = func() int64 { return limit }
	defer func() { mostHeld = before }()
	one, err := newContent()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newContent(); err != unix.ENFILE {
		t.Errorf("one too many: %v", err)
	}
	one.close()
	two, err := newContent()
	if err != nil {
		t.Fatalf("after a close: %v", err)
	}
	two.close()
}

// heldFIFO is a descriptor of a FIFO that has a writer and holds nothing: a read of it waits.
func heldFIFO(t *testing.T) int {
	t.Helper()
	name := t.TempDir() + "/fifo"
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	both, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFD(both) })
	return both
}

func TestAKernelFileThatWouldBlockSaysEAGAIN(t *testing.T) {
	h := &host{root: -1, reading: make(chan struct{}, 1), wait: time.Minute}
	held := heldFIFO(t)
	if _, err := h.openKernelFile(held, nil); err != unix.EAGAIN {
		t.Errorf("an empty pipe: %v", err)
	}
	h.reading <- struct{}{} // a read that hangs
	h.hung.Add(1)
	if _, err := h.openKernelFile(held, nil); err != unix.EAGAIN {
		t.Errorf("while too many reads hang: %v", err)
	}
}

// However many read files of the kernel at once, each gets its own, and the ones that hang are known.
func TestKernelFilesComeHoweverManyAreRead(t *testing.T) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(root)
	h := &host{root: root, reading: make(chan struct{}, 2), wait: time.Minute}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 20 {
				fd, err := h.Open("/proc/1/limits", unix.O_RDONLY)
				if err != nil {
					t.Error(err)
					return
				}
				closeFD(fd)
			}
		})
	}
	wg.Wait()
	for range cap(h.reading) { // who has handed over what was read gives its place back afterwards
		h.reading <- struct{}{}
	}
	for range cap(h.reading) {
		<-h.reading
	}

	h.wait = time.Nanosecond
	hang := make(chan struct{})
	for range cap(h.reading) {
		_, err := bounded(h, func() (int, error) { <-hang; return 0, nil }, func() { t.Error("there was room") })
		if err != unix.EAGAIN {
			t.Errorf("one that hangs: %v", err)
		}
	}
	h.wait = time.Minute
	if _, err := h.Open("/proc/1/limits", unix.O_RDONLY); err != unix.EAGAIN || h.hung.Load() != 2 {
		t.Errorf("where all hang: %v, %d", err, h.hung.Load())
	}
	close(hang)
	for range cap(h.reading) { // until both have ended
		h.reading <- struct{}{}
	}
	if n := h.hung.Load(); n != 0 {
		t.Errorf("%d hang afterwards", n)
	}
}

// A session that makes files without end leaves room for the others.
func TestGreedySessionLeavesRoomForOthers(t *testing.T) {
	before := mostHeld
	limit := held.Load() + 8*modest
	mostHeld = func() int64 { return limit }
	defer func() { mostHeld = before }()
	session := func() *Session {
		s, err := NewSession(Config{Base: new(Static), Scratch: []string{"/tmp"}, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	fill := func(s *Session) (n int, err error) {
		for {
			f, err := s.Open("/tmp/"+strconv.Itoa(n), os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return n, err
			}
			_ = f.Close()
			if n++; n == modest {
				return n, nil
			}
		}
	}
	greedy := session()
	made := 0
	for ; ; made++ {
		f, err := greedy.Open("/tmp/g"+strconv.Itoa(made), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			if err != unix.ENFILE {
				t.Errorf("the greedy session ends with %v", err)
			}
			break
		}
		_ = f.Close()
	}
	if most := int(limit - held.Load()); most < modest {
		t.Errorf("the greedy session made %d files and leaves room for %d", made, most)
	}
	if n, err := fill(session()); n != modest {
		t.Errorf("another session made %d files: %v", n, err)
	}
}

// Sessions that keep files of the kernel open leave descriptors to others: a copy has to do then.
func TestManyOpenFilesOfTheKernelLeaveRoom(t *testing.T) {
	before := mostHeld
	limit := held.Load() + 8
	mostHeld = func() int64 { return limit }
	defer func() { mostHeld = before }()
	s, err := NewSession(Config{Base: NewHost()})
	if err != nil {
		t.Fatal(err)
	}
	live, copied := 0, 0
	for range 20 {
		f, err := s.Open("/proc/version", unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if f.(Streamed).Stream() != nil {
			live++
		} else if fd, err := f.Descriptor(unix.O_RDONLY); err != nil {
			t.Error(err)
		} else {
			copied++
			closeFD(fd)
		}
	}
	if live == 0 || copied == 0 || held.Load() > limit {
		t.Errorf("%d are live, %d are copies, %d are held of %d", live, copied, held.Load(), limit)
	}
}

// What scripts read all the time needs nobody who may be left behind, and comes where many have been.
func TestAPromptKernelFileComesWhereOthersHang(t *testing.T) {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(root)
	h := &host{root: root, reading: make(chan struct{}), wait: time.Minute} // no room for one
	for name, begins := range map[string]string{
		"/proc/meminfo": "MemTotal:", "/proc/1/stat": "1 (", "/proc/1/status": "Name:", "/proc/1/task/1/stat": "1 (", "/proc/1/statm": "", "/proc/1/comm": "",
	} {
		fd, err := h.Open(name, unix.O_RDONLY)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		data, err := io.ReadAll(descriptorReader(fd))
		closeFD(fd)
		if err != nil || !strings.HasPrefix(string(data), begins) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"/proc/1/cmdline", "/proc/1/limits", "/proc/1/cgroup", "/proc/1/task/1/cmdline", "/proc/1/net/stat/arp_cache"} {
		if _, err := h.Open(name, unix.O_RDONLY); err != unix.EAGAIN && err != unix.ENOENT {
			t.Errorf("%s, which may ask the process: %v", name, err)
		}
	}
}
