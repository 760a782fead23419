//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Stdio is a program's standard streams: our ends and the child's.
type Stdio struct {
	Stdin          *os.File
	Stdout, Stderr *os.File
	// Child are the ends that Process.Start takes and closes.
	Child [3]*os.File
	// Terminal says that Stdin and Stdout are the master of a terminal, and that there is no Stderr.
	Terminal bool
}

// NewPipes makes a pipe for each stream.
func NewPipes() (*Stdio, error) {
	var s Stdio
	var pairs [3][2]int
	for i := range pairs {
		if err := unix.Pipe2(pairs[i][:], unix.O_CLOEXEC); err != nil {
			for _, p := range pairs[:i] {
				_ = unix.Close(p[0])
				_ = unix.Close(p[1])
			}
			return nil, fmt.Errorf("make pipes: %w", err)
		}
	}
	ours := func(fd int, name string) *os.File {
		// Non-blocking before NewFile, so that the runtime's poller waits and no thread does.
		_ = unix.SetNonblock(fd, true)
		return os.NewFile(uintptr(fd), name)
	}
	s.Child[0], s.Stdin = os.NewFile(uintptr(pairs[0][0]), "stdin"), ours(pairs[0][1], "stdin")
	s.Stdout, s.Child[1] = ours(pairs[1][0], "stdout"), os.NewFile(uintptr(pairs[1][1]), "stdout")
	s.Stderr, s.Child[2] = ours(pairs[2][0], "stderr"), os.NewFile(uintptr(pairs[2][1]), "stderr")
	return &s, nil
}

// Close closes our ends.
func (s *Stdio) Close() {
	_ = s.Stdin.Close()
	if s.Terminal {
		return
	}
	_ = s.Stdout.Close()
	_ = s.Stderr.Close()
}
