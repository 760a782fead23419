//go:build linux && (amd64 || arm64)

package pypy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// mount puts the engine's own trees into a script's view.
func mount(job sandbox.Job, library vfs.Source, made time.Time) error {
	for _, m := range []vfs.Mount{
		{Path: Prefix, Source: library},
		{Path: "/dev", Source: &devices{made: made}},
		{Path: "/proc/self", Source: ownProcess(job, made)},
	} {
		if err := job.FS.Mount(m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Path, err)
		}
	}
	return nil
}

// ownProcess is /proc/self in a script's view, as far as it concerns the script itself.
func ownProcess(job sandbox.Job, made time.Time) *vfs.Static {
	t := &vfs.Static{}
	t.SetTime(made)
	list := func(items []string) []byte {
		var b []byte
		for _, s := range items {
			b = append(append(b, s...), 0)
		}
		return b
	}
	t.AddFile("/cmdline", 0o444, list(append([]string{Interpreter}, job.Args...)))
	t.AddFile("/environ", 0o400, list(job.Env))
	t.AddFile("/comm", 0o444, []byte("python3\n"))
	t.AddLink("/exe", Interpreter)
	t.AddLink("/root", "/")
	t.AddLink("/cwd", job.Dir)
	for _, n := range []string{"net", "mounts", "mountinfo"} {
		t.AddLink("/"+n, "/proc/1/"+n)
	}
	return t
}

// devices is /dev in a script's view: the devices that lead nowhere, its own streams, and the way to the driver.
type devices struct{ made time.Time }

// memoryDevices are those of the Linux device list (devices.txt), by minor number of major 1.
var memoryDevices = map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}

// ownStreams are opened by the driver, which knows what they are.
var ownStreams = []string{"stdin", "stdout", "stderr"}

func (d *devices) Lstat(name string) (vfs.Info, error) {
	base := strings.TrimPrefix(name, "/")
	info := vfs.Info{Nlink: 1, Atime: d.made, Mtime: d.made, Ctime: d.made, Ino: uint64(len(base)) + 2}
	switch minor := memoryDevices[base]; {
	case base == "":
		info.Mode, info.Nlink, info.Ino = unix.S_IFDIR|0o755, 2, 1
	case minor != 0:
		info.Mode, info.Rdev, info.Ino = unix.S_IFCHR|0o666, unix.Mkdev(1, minor), uint64(100+minor)
	case name == strings.TrimPrefix(guestPath, "/dev"):
		info.Mode, info.Ino = unix.S_IFCHR|0o600, 99
	case slices.Contains(ownStreams, base):
		info.Mode = unix.S_IFCHR | 0o600
	default:
		return vfs.Info{}, unix.ENOENT
	}
	return info, nil
}

func (d *devices) ReadDir(name string) ([]vfs.Dirent, error) {
	if name != "/" {
		return nil, unix.ENOTDIR
	}
	names := slices.Clone(ownStreams)
	for n := range memoryDevices {
		names = append(names, n)
	}
	var out []vfs.Dirent
	for _, n := range names {
		info, err := d.Lstat("/" + n)
		if err != nil {
			return nil, err
		}
		out = append(out, vfs.Dirent{Name: n, Type: info.Type(), Ino: info.Ino})
	}
	return out, nil
}

func (d *devices) Readlink(string) (string, error) { return "", unix.EINVAL }

func (d *devices) Open(name string, flags int) (int, error) {
	base := strings.TrimPrefix(name, "/")
	if "/dev/"+base == guestPath {
		return vfs.Sealed("guest", nil) // stands for the connection, which the driver makes
	}
	minor := memoryDevices[base]
	if minor == 0 {
		return -1, unix.ENOENT
	}
	fd, err := unix.Open("/dev/"+base, flags&(unix.O_ACCMODE|unix.O_APPEND)|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Rdev != unix.Mkdev(1, minor) {
		_ = unix.Close(fd) // this host's /dev is not what it should be
		return -1, unix.ENXIO
	}
	return fd, nil
}

// library is the interpreter's tree in a view: the standard library on disk, with the guest's modules in place of what
// they stand in for, and with byte code once there is some. Otherwise it does not change, so that each listing is read once
// for all sessions.
type library struct {
	disk  vfs.Source
	guest *vfs.Static

	mu       sync.Mutex
	listings map[string][]vfs.Dirent
}

// maxCachedListings bounds what a library remembers. It has some two hundred directories.
const maxCachedListings = 1 << 12

// moduleDirs are the directories on the interpreter's path, in order.
var moduleDirs = []string{"/lib_pypy", "/lib-python/3"}

func newLibrary(disk vfs.Source, modules map[string][]byte, made time.Time) *library {
	l := &library{disk: disk, guest: &vfs.Static{}, listings: map[string][]vfs.Dirent{}}
	l.guest.SetTime(made)
	for name, text := range modules {
		for _, dir := range moduleDirs {
			l.guest.AddFile(path.Join(dir, name), 0o644, text)
		}
	}
	// The interpreter looks for itself, and finds its library beside it.
	l.guest.AddFile(strings.TrimPrefix(Interpreter, Prefix), 0o755, []byte("\x7fELF"))
	return l
}

// ours reports whether the guest's part has a file: directories are the disk's.
func (l *library) ours(name string) bool {
	info, err := l.guest.Lstat(name)
	return err == nil && !info.IsDir()
}

func (l *library) Lstat(name string) (vfs.Info, error) {
	if l.ours(name) {
		return l.guest.Lstat(name)
	}
	info, err := l.disk.Lstat(name)
	if errors.Is(err, unix.ENOENT) {
		return l.guest.Lstat(name) // a directory of byte code
	}
	return info, err
}

func (l *library) ReadDir(name string) ([]vfs.Dirent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.listings[name]; ok {
		return slices.Clone(known), nil
	}
	out, err := l.disk.ReadDir(name)
	if errors.Is(err, unix.ENOENT) {
		return l.guest.ReadDir(name)
	}
	if err != nil {
		return nil, err
	}
	own, err := l.guest.ReadDir(name)
	if err == nil {
		for _, e := range own {
			if i := slices.IndexFunc(out, func(o vfs.Dirent) bool { return o.Name == e.Name }); i < 0 {
				out = append(out, e)
			} else if e.Type == unix.S_IFREG {
				out[i] = e
			}
		}
	}
	if len(l.listings) < maxCachedListings {
		l.listings[strings.Clone(name)] = out
	}
	return slices.Clone(out), nil
}

// add puts files beside the modules.
func (l *library) add(files map[string][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, content := range files {
		l.guest.AddFile(name, 0o644, content)
	}
	clear(l.listings)
}

func (l *library) Readlink(name string) (string, error) {
	if l.ours(name) {
		return l.guest.Readlink(name)
	}
	return l.disk.Readlink(name)
}

func (l *library) Open(name string, flags int) (int, error) {
	if l.ours(name) {
		return l.guest.Open(name, flags)
	}
	return l.disk.Open(name, flags)
}
