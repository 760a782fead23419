//go:build linux && (amd64 || arm64)

package supervisor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
)

// A probe process finds out what this machine lets a first stage have. It takes a process whose memory is its own namespace's, as
// an interpreter's is, and so this program once more, which makes the calls of a first stage up to the filter and shows
// itself to the supervisor.

// probeName is what this program is called as a probe process.
const probeName = "shannot-sandbox"

// probeExecutable is this program, whose Init becomes the probe process.
const probeExecutable = "/proc/self/exe"

// Init must be the first call of main in every program that uses the engine, and of TestMain in its tests. In the
// engine's own probe processes it does not return.
func Init() {
	if len(os.Args) == 0 || os.Args[0] != probeName {
		return
	}
	runtime.LockOSThread()
	err := runProbe()
	// Only failures come back. The supervisor reads the reason from the socket.
	_, _ = unix.Write(stageCtl, append([]byte{stageFailed}, err.Error()...))
	os.Exit(stageFailure)
}

// probeReport is what a probe process says of itself, as JSON.
type probeReport struct {
	Address uint64 // of a word in its memory
	Word    uint64
}

// runProbe reads its layers, JSON behind a length of four bytes, makes the calls of a first stage, and shows itself until
// the supervisor has looked.
func runProbe() error {
	var size [4]byte
	if err := readFull(stageCtl, size[:]); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxProbeConfig {
		return fmt.Errorf("configuration of %d bytes is too large", n)
	}
	text := make([]byte, n)
	if err := readFull(stageCtl, text); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var s steps
	s.drop(config, -1) // there is no loader that a rule could name
	for i := range s.list {
		if e := s.list[i].run(); e != 0 {
			return fmt.Errorf("%s: %w", s.list[i].what, e)
		}
	}
	word := uint64(0x5348414e4e4f5400)
	report, err := json.Marshal(probeReport{Address: uint64(uintptr(unsafe.Pointer(&word))), Word: word})
	if err != nil {
		return err
	}
	if _, err := unix.Write(stageCtl, append([]byte{stageReady}, report...)); err != nil {
		return err
	}
	var last [1]byte
	_ = readFull(stageCtl, last[:])
	runtime.KeepAlive(&word)
	runtime.KeepAlive(s.kept)
	os.Exit(0)
	return nil
}

// maxProbeConfig is more than its configuration has, in bytes.
const maxProbeConfig = 4 << 10

// readFull reads without the runtime's poller, which would bring descriptors of its own.
func readFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			p = p[n:]
		}
	}
	return nil
}

// startProbe starts a probe process, which waits for its configuration on the control socket that is returned. The
// calling thread must outlive the process, since the parent-death signal is the thread's.
func startProbe(attr *syscall.SysProcAttr) (control int, process *os.Process, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("make socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "probe")
	process, err = os.StartProcess(probeExecutable, []string{probeName}, &os.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1", "GOGC=off"}, Files: []*os.File{nil, nil, nil, theirs}, Sys: attr,
	})
	_ = theirs.Close()
	if err == nil && *attr.PidFD < 0 {
		_ = process.Kill()
		_, _ = process.Wait()
		err = errors.New("the kernel gave no pidfd; it needs Linux 5.4 or newer")
	}
	if err != nil {
		_ = unix.Close(pair[0])
		return -1, nil, fmt.Errorf("start sandbox: %w", err)
	}
	boundWaits(pair[0])
	return pair[0], process, nil
}

// configureProbe tells a probe process what to try and returns what it says of itself.
func configureProbe(control int, config Config) ([]byte, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("configure sandbox: %w", err)
	}
	message := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	if err := writeFull(control, append(message, text...)); err != nil {
		return nil, fmt.Errorf("configure sandbox: %w", err)
	}
	var reply [1024]byte
	n, err := readSome(control, reply[:])
	switch {
	case err != nil:
		return nil, fmt.Errorf("wait for sandbox: %w", err)
	case n > 1 && reply[0] == stageReady:
		return reply[1:n], nil
	case n > 1 && reply[0] == stageFailed:
		return nil, fmt.Errorf("enter sandbox: %s", reply[1:n])
	}
	return nil, fmt.Errorf("enter sandbox: %w", errNoReason)
}

// attributes are how a probe process is started inside its namespaces. It begins as the user that the gateway runs as; in a user
// namespace that is a root without any right outside.
func (l Layers) attributes(pidfd *int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: pidfd, Cloneflags: l.Namespaces}
	if !l.Has(unix.CLONE_NEWUSER) {
		return attr
	}
	attr.UidMappings, attr.GidMappings = usersInside(os.Geteuid()), usersInside(os.Getegid())
	attr.GidMappingsEnableSetgroups = os.Geteuid() == 0
	return attr
}

// tryLayers tries these layers and looks into the memory of what has them.
func tryLayers(l Layers) error {
	// The parent-death signal is the thread's, and an unlocked one may become that of an interpreter and end with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pidfd := -1
	control, process, err := startProbe(l.attributes(&pidfd))
	if err != nil {
		return err
	}
	defer func() {
		_ = unix.Close(control)
		_ = process.Kill()
		_, _ = process.Wait()
		if pidfd >= 0 {
			_ = unix.Close(pidfd)
		}
	}()
	reply, err := configureProbe(control, Config{Layers: l, Drop: os.Geteuid() == 0, Probe: true})
	if err != nil {
		return err
	}
	var report probeReport
	if err := json.Unmarshal(reply, &report); err != nil {
		return fmt.Errorf("read the report of a probe process: %w", err)
	}
	fd, err := unix.PidfdGetfd(pidfd, stageCtl, 0)
	if err != nil {
		return fmt.Errorf("%w: copy a descriptor: %w", errDumpable, err)
	}
	_ = unix.Close(fd)
	var word uint64
	if _, e := seccomp.ReadMemory(process.Pid, report.Address, seccomp.Bytes(&word)); e != 0 || word != report.Word {
		return fmt.Errorf("%w: read memory: %w", errDumpable, e)
	}
	if names, err := procfs.Names(fmt.Sprintf("/proc/%d/fd", process.Pid)); err != nil || len(names) == 0 {
		return fmt.Errorf("%w: list descriptors: %w", errDumpable, err)
	}
	return nil
}
