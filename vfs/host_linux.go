package vfs

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// host is this machine's tree, as the process sees it, or as an account does.
type host struct {
	root    int           // O_PATH descriptor of "/", -1 where it could not be opened
	rights  *Rights       // nil for the process's own
	reading chan struct{} // bounds the reads of kernel files, and the questions about file systems, since they may hang
	hung    atomic.Int64  // those of them that nobody waits for any more
	wait    time.Duration
}

// maxHanging is how many of these may be under way at once, and readWait how long one may take, with its wait for others.
const (
	maxHanging = 16
	readWait   = 5 * time.Second
	maxKernel  = 8 << 20 // bytes of one kernel file
)

// NewHost returns this machine's file tree. It follows no link and opens nothing but regular files and directories. It
// has no /proc/self, which would be this process.
func NewHost() Source { return NewHostAs(nil) }

// NewHostAs returns the tree as an account sees it: the kernel decides on each call by these rights, and so does its
// error. What is open stays open. nil stands for the process's own rights.
func NewHostAs(rights *Rights) Source {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		root = -1
	}
	return &host{root: root, rights: rights, reading: make(chan struct{}, maxHanging), wait: readWait}
}

// Rights are those by which the tree is read.
func (h *host) Rights() *Rights { return h.rights }

// with calls f with the account's rights. Where a name is about processes, the thread must not have a right to look into them.
func with[T any](h *host, name string, f func(h *host, name string) (T, error)) (T, error) {
	switch {
	case h.rights == nil:
		return f(h, name)
	case OfTheGateway(name) && !shownOfEverybody(name):
		return *new(T), unix.EACCES
	case h.rights.held() && !ofProcesses(name):
		v, err := f(h, name)
		if err == errTracing {
			return untracedOf(h, name, f)
		}
		return v, err
	case h.rights.held():
		return untracedOf(h, name, f)
	}
	return byErrand(h, name, f)
}

// byErrand is with on another thread.
func byErrand[T any](h *host, name string, f func(h *host, name string) (T, error)) (v T, err error) {
	if refused := h.rights.Do(func() { v, err = f(h, name) }); refused != nil {
		return v, errors.Join(unix.EIO, refused)
	}
	return v, err
}

// untracedOf is with on this thread, which can look into processes otherwise.
func untracedOf[T any](h *host, name string, f func(h *host, name string) (T, error)) (v T, err error) {
	if refused := untraced(func() { v, err = f(h, name) }); refused != nil {
		return v, errors.Join(unix.EIO, refused)
	}
	return v, err
}

// errTracing says of a file below a further mount of procfs that its answer may rest on the right to look into processes.
var errTracing = errors.New("a file of procfs by another name")

// tracing reports whether an open file's answer may rest on that right.
func (h *host) tracing(fd int, name string) bool {
	if h.rights == nil || ofProcesses(name) {
		return false // it is put aside
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return false
	}
	_, effective, err := capabilities()
	return err != nil || effective&(1<<unix.CAP_SYS_PTRACE) != 0
}

// closed reports whether a name is in the gateway's own directory of /proc and not for the account to read.
func (h *host) closed(name string) bool {
	return h.rights != nil && OfTheGateway(name) && !readableOfGateway(name)
}

// absent reports whether the host has a file that no view has: what depends on the reader, what is concealed, and threads
// by their numbers in /proc itself. The kernel does not list such threads but opens them, and they would lead past what
// the view says of their processes.
func absent(name string) bool {
	if OfTheReader(name) {
		return true
	}
	pid, ok := numbered(name)
	// Signal 0 asks whether there is a thread of that number in a process of that number.
	return ok && (isConcealed(pid) || numbersAreOurs() && unix.Tgkill(pid, pid, 0) == unix.ESRCH)
}

// numbersAreOurs reports whether /proc is that of this process's own PID namespace.
var numbersAreOurs = sync.OnceValue(func() bool {
	text, err := os.Readlink("/proc/self")
	return err == nil && text == strconv.Itoa(os.Getpid())
})

// Lstat describes a file.
func (h *host) Lstat(name string) (Info, error) {
	if absent(name) {
		return Info{}, unix.ENOENT
	}
	return with(h, name, func(h *host, name string) (Info, error) { return lstatBeneath(h.root, name) })
}

// ReadDir lists a directory.
func (h *host) ReadDir(name string) ([]Dirent, error) {
	if absent(name) {
		return nil, unix.ENOENT
	}
	if h.closed(name) {
		return nil, unix.EACCES
	}
	entries, err := with(h, name, (*host).list)
	if err != nil || name != "/proc" {
		return entries, err
	}
	shown := entries[:0]
	for _, d := range entries {
		if pid, ok := numbered("/proc/" + d.Name); !OfTheReader("/proc/"+d.Name) && !(ok && isConcealed(pid)) {
			shown = append(shown, d)
		}
	}
	return shown, nil
}

func (h *host) list(name string) ([]Dirent, error) {
	fd, err := openBeneath(h.root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer closeFD(fd)
	if h.tracing(fd, name) {
		return nil, errTracing
	}
	return readDirents(fd)
}

// Readlink returns a link's text. A magic link of procfs is a text like any other.
func (h *host) Readlink(name string) (string, error) {
	if absent(name) {
		return "", unix.ENOENT
	}
	if h.closed(name) {
		return "", unix.EACCES
	}
	return with(h, name, func(h *host, name string) (string, error) {
		fd, err := openBeneath(h.root, name, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			return "", err
		}
		defer closeFD(fd)
		if h.tracing(fd, name) {
			return "", errTracing
		}
		return readlinkHeld(fd)
	})
}

// Access reports whether a file can be read or executed, or a directory listed or passed.
func (h *host) Access(name string, mode uint32) error {
	if absent(name) {
		return unix.ENOENT
	}
	if h.closed(name) && slices.Contains(closedDirectories, withinGateway(name)+"/") {
		return unix.EACCES
	}
	_, err := with(h, name, func(h *host, name string) (int, error) {
		fd, err := openBeneath(h.root, name, unix.O_PATH|unix.O_NOFOLLOW)
		if err != nil {
			return 0, err
		}
		defer closeFD(fd)
		return 0, accessHeld(fd, mode)
	})
	return err
}

// accessHeld is access(2) of a held file by the thread's effective ids.
func accessHeld(fd int, mode uint32) error {
	err := unix.Faccessat(fd, "", mode, unix.AT_EACCESS|unix.AT_EMPTY_PATH)
	if err == unix.EINVAL { // before Linux 5.8, which has no faccessat2(2)
		err = unix.Faccessat(unix.AT_FDCWD, selfFD(fd), mode, unix.AT_EACCESS)
	}
	return err
}

// Open opens a regular file for reading. It first holds the name without opening it, so that it never touches a device,
// FIFO or socket: EACCES and ENXIO. It reads a kernel file at once, so that a script never holds this process's own
// descriptor to it; EAGAIN where that would block, EFBIG beyond 8 MiB.
func (h *host) Open(name string, flags int) (int, error) {
	held, info, err := h.Hold(name)
	if err != nil {
		return -1, err
	}
	defer closeFD(held)
	return h.OpenHeld(held, name, info, flags)
}

// heldName is what Hold returns.
type heldName struct {
	fd   int
	info Info
}

// Hold implements holding.
func (h *host) Hold(name string) (held int, info Info, err error) {
	if absent(name) {
		return -1, Info{}, unix.ENOENT
	}
	got, err := with(h, name, func(h *host, name string) (heldName, error) {
		fd, info, err := holdBeneath(h.root, name)
		return heldName{fd, info}, err
	})
	if err != nil {
		return -1, Info{}, err
	}
	return got.fd, got.info, nil
}

// MayList implements holding.
func (h *host) MayList(held int, name string) error {
	switch {
	case h.rights == nil && own == 0:
		return nil
	case h.rights == nil || h.rights.held() && !ofProcesses(name):
		return accessHeld(held, wantRead)
	}
	return h.Access(name, wantRead)
}

// OpenHeld implements holding.
func (h *host) OpenHeld(held int, name string, info Info, flags int) (int, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return -1, unix.EACCES
	}
	switch info.Type() {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return -1, unix.EISDIR
	case unix.S_IFLNK:
		return -1, unix.ELOOP
	case unix.S_IFIFO, unix.S_IFSOCK:
		return -1, unix.ENXIO
	default:
		return -1, unix.EACCES
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(held, &fs); err != nil {
		return -1, err
	}
	switch {
	case h.rights != nil && fs.Type == unix.PROC_SUPER_MAGIC && OfTheGateway(name):
		return h.openOfGateway(held, name)
	case fs.Type == unix.PROC_SUPER_MAGIC && prompt(name):
		return with(h, name, func(*host, string) (int, error) { return openPromptFile(held) })
	case kernelMade(int64(fs.Type)):
		return h.openKernelFile(held, nil)
	}
	if h.rights == nil || h.rights.held() {
		return openOrdinary(held, h.rights.owns(info))
	}
	return with(h, name, func(h *host, _ string) (int, error) { return openOrdinary(held, h.rights.owns(info)) })
}

// openOrdinary opens a held regular file. O_NONBLOCK keeps a lease of another process from holding us up. Only who owns a file
// may read it without a trace in its times.
func openOrdinary(held int, owned bool) (int, error) {
	quiet := 0
	if owned {
		quiet = unix.O_NOATIME
	}
	fd, err := Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK|quiet)
	if err == unix.EPERM { // not our file
		quiet = 0
		fd, err = Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK)
	}
	if err != nil {
		return -1, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, quiet); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// kernelMade reports whether the kernel makes the files of a file system when they are read. The magic numbers of
// statfs(2) are those of linux/magic.h.
func kernelMade(magic int64) bool {
	switch uint32(magic) { // #nosec G115 -- f_type is a 32-bit number, sign-extended on some machines
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC, unix.EFIVARFS_MAGIC, unix.SELINUX_MAGIC,
		unix.SMACK_MAGIC, unix.BPF_FS_MAGIC, unix.PSTOREFS_MAGIC, unix.BINFMTFS_MAGIC, unix.NSFS_MAGIC,
		unix.RDTGROUP_SUPER_MAGIC, unix.HOSTFS_SUPER_MAGIC, unix.XENFS_SUPER_MAGIC, unix.ANON_INODE_FS_MAGIC,
		unix.PIPEFS_MAGIC, unix.SOCKFS_MAGIC, unix.DEVPTS_SUPER_MAGIC, unix.USBDEVICE_SUPER_MAGIC,
		configfsMagic, fusectlMagic, nfsdMagic:
		return true
	}
	return false
}

// Magic numbers that the unix package lacks.
const (
	configfsMagic = 0x62656570
	fusectlMagic  = 0x65735543
	nfsdMagic     = 0x6e667364
)

// promptFiles are files of procfs that scripts read often and whose text the kernel makes at once: it asks no process, no
// device and no other machine for it. All others are read by somebody who may be left behind.
var promptFiles = []string{
	"/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
	"/proc/sys/vm/overcommit_memory",
}

// promptOfProcess are such files of each process and thread. For these the kernel looks at what it keeps of a process, under spin
// locks alone, and neither at its memory nor at its mappings: see fs/proc/array.c. cmdline, environ, maps and io can wait for it.
var promptOfProcess = []string{"stat", "status", "statm", "comm"}

// prompt reports whether a name is of a file whose text the kernel makes at once.
func prompt(name string) bool {
	if _, ok := numbered(name); !ok {
		return slices.Contains(promptFiles, name)
	}
	_, rest, _ := strings.Cut(name[len("/proc/"):], "/")
	if thread, ok := strings.CutPrefix(rest, "task/"); ok {
		_, rest, _ = strings.Cut(thread, "/")
	}
	return slices.Contains(promptOfProcess, rest)
}

func openPromptFile(held int) (int, error) {
	fd, err := Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return -1, err
	}
	defer closeFD(fd)
	data, err := readKernelFile(fd)
	if err != nil {
		return -1, err
	}
	return Sealed("kernel file", data)
}

// openKernelFile reads a file that the kernel makes and returns a sealed copy, of what tell makes of it where tell is not
// nil. One thread opens and reads it, since the kernel asks for rights at either.
func (h *host) openKernelFile(held int, tell func([]byte) []byte) (int, error) {
	again, err := unix.FcntlInt(uintptr(held), unix.F_DUPFD_CLOEXEC, 0) // which outlives this call where the file hangs
	if err != nil {
		return -1, err
	}
	data, err := bounded(h, func() ([]byte, error) {
		defer closeFD(again)
		fd, err := Reopen(again, unix.O_RDONLY|unix.O_NONBLOCK)
		if err != nil {
			return nil, err
		}
		defer closeFD(fd)
		return readKernelFile(fd)
	}, func() { closeFD(again) })
	if err != nil {
		return -1, err
	}
	if tell != nil {
		data = tell(data)
	}
	return Sealed("kernel file", data)
}

// Space implements spacious.
func (h *host) Space(name string) (Space, error) {
	if absent(name) {
		return Space{}, unix.ENOENT
	}
	fd, err := with(h, name, func(h *host, name string) (int, error) { return openBeneath(h.root, name, unix.O_PATH|unix.O_NOFOLLOW) })
	if err != nil {
		return Space{}, err
	}
	return bounded(h, func() (Space, error) {
		defer closeFD(fd)
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return Space{}, err
		}
		return spaceOf(&fs), nil
	}, func() { closeFD(fd) })
}

// bounded calls what the kernel may ask somebody else for. So many calls may be under way at once, and others wait for
// them. A call that hangs goes on without us: EAGAIN, also where all that may be under way hang. Where bounded does not
// call it, it calls instead.
func bounded[T any](h *host, call func() (T, error), instead func()) (T, error) {
	type result struct {
		value T
		err   error
	}
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	if !h.begin(timer.C) {
		instead()
		return result{}.value, unix.EAGAIN
	}
	got := make(chan result, 1)
	var left atomic.Bool // by who waits, or by what was waited for
	h.rights.begin(func() {
		defer func() { <-h.reading }()
		value, err := call()
		got <- result{value, err}
		if left.Swap(true) {
			h.hung.Add(-1)
		}
	}, func(refused error) {
		<-h.reading
		instead()
		got <- result{err: errors.Join(unix.EIO, refused)}
	})
	select {
	case r := <-got:
		return r.value, r.err
	case <-timer.C:
		if !left.Swap(true) {
			h.hung.Add(1)
		}
		return result{}.value, unix.EAGAIN
	}
}

// begin waits for room until late, unless all that is under way hangs.
func (h *host) begin(late <-chan time.Time) bool {
	select {
	case h.reading <- struct{}{}:
		return true
	default:
	}
	if h.hung.Load() >= int64(cap(h.reading)) {
		return false
	}
	select {
	case h.reading <- struct{}{}:
		return true
	case <-late:
		return false
	}
}

// readKernelFile reads to the end, in pieces that are large enough for files which come whole or not at all.
func readKernelFile(fd int) ([]byte, error) {
	buf := make([]byte, 16<<10)
	n := 0
	for {
		if n == len(buf) {
			if n > maxKernel {
				return nil, unix.EFBIG
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
		got, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case got == 0 && n > maxKernel:
			return nil, unix.EFBIG
		case got == 0:
			return buf[:n], nil
		default:
			n += got
		}
	}
}
