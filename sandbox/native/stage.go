//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs/landlock"
)

// The first stage is this executable again, started by the supervisor. It takes away everything from itself, installs
// the filter, and becomes the dynamic loader, which loads the interpreter through virtual opens. It holds nothing of
// the gateway's but the descriptors below, and none of these survives the exec.
const (
	stageName   = "shannot-sandbox"
	stageCtl    = 3 // a stream socket to the supervisor
	stageLoader = 4 // the dynamic loader, opened for reading
)

// nobody is the user that a sandbox started by root runs as.
const nobody = 65534

// stageConfig is what the supervisor tells the first stage, as JSON behind a length of four bytes.
type stageConfig struct {
	Argv [][]byte // of the dynamic loader; bytes, since JSON would change text that is not UTF-8
	Env  [][]byte
	Drop bool // leave root
	// Layers are the walls behind the filter. The process is in the namespaces already.
	Layers layers
	// Trial ends the process before the filter, after it has reported itself.
	Trial bool
	// Confined takes the filter of a program that lives on its streams, see Confine.
	Confined bool
	// Limits are set last, since the runtime of this program reserves more address space than a script may have.
	Limits map[int]uint64
}

const maxStageConfig = 4 << 20

// Init must be the first call of main in every program that uses the engine, and of TestMain in its tests. In the
// engine's own first stage it does not return.
func Init() {
	if len(os.Args) == 0 || os.Args[0] != stageName {
		return
	}
	runtime.LockOSThread()
	err := runStage()
	// Only failures come back. The supervisor reads the reason from the socket.
	_, _ = unix.Write(stageCtl, append([]byte{stageFailed}, err.Error()...))
	os.Exit(125)
}

// First byte of a message from the first stage.
const (
	stageReady  = 'R' // followed by the listener's number, four bytes
	stageFailed = 'E' // followed by a text
)

func runStage() error {
	config, err := readStageConfig()
	if err != nil {
		return err
	}
	volunteer()
	if err := dropEverything(config); err != nil {
		return err
	}
	if config.Trial {
		return reportStage()
	}
	// Prepared now: after the filter is in place this thread makes no call but the ones below.
	argv, err := syscall.SlicePtrFromStrings(asStrings(config.Argv))
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	envp, err := syscall.SlicePtrFromStrings(asStrings(config.Env))
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	build := buildFilter
	if config.Confined {
		build = buildConfinedFilter
	}
	program, err := build(uint32(os.Getpid()))
	if err != nil {
		return err
	}
	var limits []resourceLimit
	for resource, value := range config.Limits {
		limits = append(limits, resourceLimit{uintptr(resource), unix.Rlimit{Cur: value, Max: value}})
	}
	return becomeLoader(program, limits, argv, envp)
}

// volunteer makes the process the first that the kernel kills where the machine has no memory left: a session, and not
// the gateway. See oom_score_adj in proc(5). Where that cannot be said, the kernel chooses the largest.
func volunteer() {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte("1000"))
	_ = unix.Close(fd)
}

func asStrings(list [][]byte) []string {
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}

type resourceLimit struct {
	resource uintptr
	value    unix.Rlimit
}

func readStageConfig() (stageConfig, error) {
	var config stageConfig
	var size [4]byte
	if err := readFull(stageCtl, size[:]); err != nil {
		return config, fmt.Errorf("read configuration: %w", err)
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxStageConfig {
		return config, fmt.Errorf("configuration of %d bytes is too large", n)
	}
	text := make([]byte, n)
	if err := readFull(stageCtl, text); err != nil {
		return config, fmt.Errorf("read configuration: %w", err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, fmt.Errorf("read configuration: %w", err)
	}
	return config, nil
}

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

// reportStage answers a trial and waits until the supervisor has looked.
func reportStage() error {
	word := uint64(0x5348414e4e4f5400)
	report := stageReport{Address: uint64(uintptr(unsafe.Pointer(&word))), Word: word}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	if _, err := unix.Write(stageCtl, append([]byte{stageReady}, text...)); err != nil {
		return err
	}
	var last [1]byte
	_ = readFull(stageCtl, last[:])
	runtime.KeepAlive(&word)
	os.Exit(0)
	return nil
}

// confineFiles leaves the process nothing of the real file system but executing the loader, where the kernel has
// Landlock. It is a second wall: the filter lets no path through.
func confineFiles() error {
	return landlock.Restrict(landlock.Rights{}, landlock.Rule{FD: stageLoader, Rights: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE})
}

// becomeLoader sets the limits, installs the filter, tells the supervisor the listener's number, waits until it has taken it, and
// execs. From the filter on there are only raw calls: anything that the runtime would do on this thread is filtered. The
// race detector, which would want memory beyond the limit, has no part in it.
//
//go:norace
func becomeLoader(program []unix.SockFilter, limits []resourceLimit, argv, envp []*byte) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	empty := [1]byte{}
	message := [5]byte{stageReady}
	for i := range limits {
		_, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, limits[i].resource, uintptr(unsafe.Pointer(&limits[i].value)), 0, 0, 0)
		if e != 0 {
			return fmt.Errorf("set limit %d: %w", limits[i].resource, e)
		}
	}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	listener, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if e == unix.EINVAL { // Linux before 5.19
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		listener, _, e = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	}
	if e == unix.EBUSY {
		return fmt.Errorf("install filter: %w: this process is already supervised by another seccomp listener, and the kernel allows one", e)
	}
	if e != 0 {
		return fmt.Errorf("install filter: %w", e)
	}
	binary.LittleEndian.PutUint32(message[1:], uint32(listener))
	unix.RawSyscall(unix.SYS_WRITE, stageCtl, uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)))
	// The supervisor answers one byte once it has the listener; an end of file means that it gave up.
	n, _, _ := unix.RawSyscall(unix.SYS_READ, stageCtl, uintptr(unsafe.Pointer(&message[0])), 1)
	if n != 1 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	}
	unix.RawSyscall(unix.SYS_CLOSE, listener, 0, 0)
	unix.RawSyscall(unix.SYS_CLOSE, stageCtl, 0, 0)
	_, _, e = unix.RawSyscall6(unix.SYS_EXECVEAT, stageLoader, uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 125, 0, 0)
	return e
}
