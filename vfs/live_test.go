//go:build linux

package vfs_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// live opens a file of this host that the kernel makes.
func live(t *testing.T, name string) vfs.Stream {
	t.Helper()
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	f, err := s.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	t.Cleanup(func() { _ = f.Close() })
	stream := f.(vfs.Streamed).Stream()
	if stream == nil || !vfs.LiveStream(stream) {
		t.Fatalf("%s is no live stream: %v", name, stream)
	}
	return stream
}

func readAt(t *testing.T, s vfs.Stream, off int64) string {
	t.Helper()
	p := make([]byte, 1<<16)
	n, err := s.ReadAt(p, off)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return string(p[:n])
}

// What the kernel makes is made anew at each read from the beginning, by a thread that can be left behind or without one.
func TestFilesOfTheKernelAreMadeAnew(t *testing.T) {
	pid := os.Getpid()
	for _, name := range []string{"/proc/uptime", fmt.Sprintf("/proc/%d/stat", pid), fmt.Sprintf("/proc/%d/io", pid)} {
		if _, err := os.ReadFile(name); err != nil {
			continue // a kernel without it
		}
		s := live(t, name)
		before := readAt(t, s, 0)
		for readAt(t, s, 0) == before { // each time takes time, and reads bytes
			_, _ = os.ReadFile("/proc/cpuinfo")
		}
		if again := readAt(t, s, int64(len(before))+1000); again != "" {
			t.Errorf("%s: %q behind the end", name, again)
		}
	}
}

// A file that is larger than a copy may be is read as far as somebody reads.
func TestFilesOfTheKernelAreReadBeyondTheSizeOfACopy(t *testing.T) {
	const size = 9 << 20
	s := live(t, fmt.Sprintf("/proc/%d/pagemap", os.Getpid()))
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.NewSectionReader(s, 0, size), make([]byte, 1<<20))
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := vfs.NewHost().Open(fmt.Sprintf("/proc/%d/pagemap", os.Getpid()), unix.O_RDONLY); err != unix.EFBIG {
		t.Errorf("a copy of it: %v", err)
	}
}

// A descriptor stays with its process: who has its number afterwards is not read.
func TestAFileOfAProcessEndsWithIt(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	ok(t, cmd.Start())
	s := live(t, fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if text := readAt(t, s, 0); !bytes.Contains([]byte(text), []byte("(sleep)")) {
		t.Errorf("it says %q", text)
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if n, err := s.ReadAt(make([]byte, 100), 0); n != 0 || err != unix.ESRCH {
		t.Errorf("after its end: %d bytes, %v", n, err)
	}
	ok(t, s.Close())
	if _, err := s.ReadAt(make([]byte, 100), 0); err != unix.EBADF {
		t.Errorf("closed: %v", err)
	}
}
