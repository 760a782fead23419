//go:build linux && (amd64 || arm64)

package native

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// mount puts the engine's own trees into the script's view.
func (r *run) mount(in *installation) error {
	r.job.FS.SetMeter(r.tree.walked)
	made := time.Now()
	mounts := []vfs.Mount{
		{Path: Prefix, Source: in.library},
		{Path: "/dev", Source: &devices{tree: r.tree, made: made}},
		{Path: "/proc", Source: &processes{tree: r.tree, made: made}, Union: true},
	}
	for _, m := range mounts {
		if err := r.job.FS.Mount(m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Path, err)
		}
	}
	if err := r.job.FS.AddScratch(sharedMemory); err != nil {
		return fmt.Errorf("make %s: %w", sharedMemory, err)
	}
	return r.enter(r.job.Dir)
}

// sharedMemory is where glibc keeps named semaphores and shared memory, see shm_overview(7). It is the session's own.
const sharedMemory = "/dev/shm"

// devices is /dev in a script's view: the devices that lead nowhere, and the way to the supervisor.
type devices struct {
	tree *processTree
	made time.Time
}

// memory devices of the Linux device list (devices.txt), by minor number of major 1.
var memoryDevices = map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}

// terminalDevice is the script's terminal, where it has one.
const terminalDevice = "tty"

// scriptFile is the script that came on standard input once more, for further interpreters of multiprocessing.
const scriptFile = "shannot-script.py"

// guestDevice is what the guest opens to start a command.
const guestDevice = "shannot"

var deviceLinks = map[string]string{
	"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "fd": "/proc/self/fd",
}

// script is the text of scriptFile, "" where there is none.
func (d *devices) script() string {
	job := &d.tree.root.job
	if len(job.Args) == 0 || job.Args[0] != "-" || job.Terminal != nil {
		return ""
	}
	return job.Script
}

// throughDevice is the name that a link of devices leads to, any other name itself. What it leads to may be a descriptor,
// of which the view knows nothing but that it is there.
func throughDevice(name string) string {
	if base, ok := strings.CutPrefix(name, "/dev/"); ok && deviceLinks[base] != "" {
		return deviceLinks[base]
	}
	return name
}

func (d *devices) Lstat(name string) (vfs.Info, error) {
	base := strings.TrimPrefix(name, "/")
	info := vfs.Info{Nlink: 1, Atime: d.made, Mtime: d.made, Ctime: d.made, Ino: hash(name)}
	switch {
	case base == "":
		info.Mode, info.Nlink = unix.S_IFDIR|0o755, 2
	case name == strings.TrimPrefix(sharedMemory, "/dev"):
		info.Mode, info.Nlink = unix.S_IFDIR|0o1777, 2
	case deviceLinks[base] != "":
		info.Mode, info.Size = unix.S_IFLNK|0o777, int64(len(deviceLinks[base]))
	case memoryDevices[base] != 0:
		info.Mode, info.Rdev = unix.S_IFCHR|0o666, unix.Mkdev(1, memoryDevices[base])
	case base == guestDevice:
		info.Mode = unix.S_IFCHR | 0o600
	case base == scriptFile && d.script() != "":
		info.Mode, info.Size = unix.S_IFREG|0o444, int64(len(d.script()))
	case base == terminalDevice && d.tree.root.job.Terminal != nil:
		info.Mode, info.Rdev = unix.S_IFCHR|0o666, unix.Mkdev(5, 0)
	default:
		return vfs.Info{}, unix.ENOENT
	}
	return info, nil
}

func (d *devices) ReadDir(name string) ([]vfs.Dirent, error) {
	if name != "/" {
		return nil, unix.ENOTDIR
	}
	var out []vfs.Dirent
	for n := range memoryDevices {
		out = append(out, vfs.Dirent{Name: n, Type: unix.S_IFCHR, Ino: hash("/" + n)})
	}
	if d.tree.root.job.Terminal != nil {
		out = append(out, vfs.Dirent{Name: terminalDevice, Type: unix.S_IFCHR, Ino: hash("/" + terminalDevice)})
	}
	for n := range deviceLinks {
		out = append(out, vfs.Dirent{Name: n, Type: unix.S_IFLNK, Ino: hash("/" + n)})
	}
	return out, nil
}

func (d *devices) Readlink(name string) (string, error) {
	if text := deviceLinks[strings.TrimPrefix(name, "/")]; text != "" {
		return text, nil
	}
	return "", unix.EINVAL
}

func (d *devices) Open(name string, flags int) (int, error) {
	base := strings.TrimPrefix(name, "/")
	if base == guestDevice {
		fd, e := d.tree.asking.connect()
		return fd, orNil(e)
	}
	if base == terminalDevice && d.tree.root.job.Terminal != nil {
		return d.tree.root.stdio.slave()
	}
	if base == scriptFile && d.script() != "" {
		return vfs.Sealed("script", []byte(d.script()))
	}
	if memoryDevices[base] == 0 {
		return -1, unix.ENOENT
	}
	fd, err := unix.Open("/dev/"+base, flags&(unix.O_ACCMODE|unix.O_APPEND)|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Rdev != unix.Mkdev(1, memoryDevices[base]) {
		_ = unix.Close(fd) // this host's /dev is not what it should be
		return -1, unix.ENXIO
	}
	return fd, nil
}

func nulTerminated(items []string) []byte {
	var b []byte
	for _, s := range items {
		b = append(append(b, s...), 0)
	}
	return b
}

// readSmall reads a file of /proc; what cannot be read, or is larger than a mebibyte, is empty.
func readSmall(name string) []byte {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	b := make([]byte, 0, 1<<10) // most are a line
	for len(b) <= 1<<20 {
		const page = 4 << 10 // which is what the kernel gives at once
		if cap(b)-len(b) < page && len(b) > 0 {
			b = slices.Grow(b, max(page, len(b)))
		}
		n, err := readSome(fd, b[len(b):cap(b)])
		switch {
		case err != nil:
			return nil
		case n == 0:
			return b
		}
		b = b[:len(b)+n]
	}
	return nil
}

// hash numbers made-up inodes (FNV-1a).
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h >> 16
}

func orNil(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

var errNoLoader = errors.New("this machine has no glibc, which the embedded interpreter needs")

// asBytes is the memory of a fixed-size kernel structure.
func asBytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
