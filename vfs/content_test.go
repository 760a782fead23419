//go:build linux

package vfs

import (
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
	if _, err := h.openKernelFile(held); err != unix.EAGAIN {
		t.Errorf("an empty pipe: %v", err)
	}
	h.reading <- struct{}{} // a read that hangs
	if _, err := h.openKernelFile(held); err != unix.EAGAIN {
		t.Errorf("while too many reads hang: %v", err)
	}
}
