//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// A script at a terminal has the slave of a pseudo-terminal as its standard streams and as its controlling terminal, so
// that an interrupt key reaches it as SIGINT. The master is the gateway's. See pty(7).

// NewTerminal makes the pair. All three of the child's streams are the same file.
func NewTerminal(t *sandbox.Terminal) (*Stdio, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make a terminal: %w", err)
	}
	master := os.NewFile(uintptr(fd), "terminal")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		_ = master.Close()
		return nil, fmt.Errorf("unlock a terminal: %w", err)
	}
	s := &Stdio{Stdin: master, Stdout: master, Terminal: true}
	s.Resize(t.Size)
	slave, err := s.Slave()
	if err != nil {
		_ = master.Close()
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	f := os.NewFile(uintptr(slave), "terminal")
	s.Child = [3]*os.File{f, f, f}
	return s, nil
}

// Slave opens the script's side anew, without a path that could lead elsewhere.
func (s *Stdio) Slave() (int, error) {
	fd := -1
	err := s.control(func(master int) error {
		peer, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if e != 0 {
			return e
		}
		fd = int(peer)
		return nil
	})
	return fd, err
}

// control calls f with the master's descriptor, unless it is closed.
func (s *Stdio) control(f func(master int) error) error {
	raw, err := s.Stdout.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Resize tells the kernel the window's size, which tells the script (SIGWINCH).
func (s *Stdio) Resize(size sandbox.Size) {
	_ = s.control(func(master int) error {
		return unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns})
	})
}

// FollowSize passes new sizes on until stop.
func (s *Stdio) FollowSize(sizes <-chan sandbox.Size, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			s.Resize(size)
		}
	}
}

// endOfTransmission is what a terminal sends for Ctrl-D, the end of the input.
const endOfTransmission = 0x04

// TypeKeys copies what is typed. A terminal's input has no other end than that of the session, so the end of it is
// typed as a human would.
func (s *Stdio) TypeKeys(from io.Reader) {
	if from != nil {
		_, _ = io.Copy(s.Stdin, from)
	}
	_, _ = s.Stdin.Write([]byte{endOfTransmission})
}

// HungUp reports whether reading a terminal ended as it does when Nobody has its other side open any more.
func HungUp(err error) bool { return errors.Is(err, syscall.EIO) }

// Numbers of the Unix98 slave majors, devices.txt.
const (
	firstSlaveMajor = 136
	lastSlaveMajor  = 143
)

// IsTerminal reports whether a character device is a pseudo-terminal's slave. The only one that a script can have is its own.
func IsTerminal(st *unix.Stat_t) bool {
	major := unix.Major(uint64(st.Rdev))
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && major >= firstSlaveMajor && major <= lastSlaveMajor
}
