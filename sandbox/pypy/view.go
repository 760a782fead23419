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
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// mount puts the engine's own trees into a script's view.
func mount(job sandbox.Job, library vfs.Source, made time.Time) error {
	for _, m := range []vfs.Mount{
		{Path: Prefix, Source: library},
		{Path: "/dev", Source: &posix.Devices{Made: made, Added: addedDevices, Flags: unix.O_NONBLOCK}},
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

// addedDevices are beside the memory devices: the script's own streams, which the driver opens since it knows what they are,
// and the way to the driver.
var addedDevices = map[string]posix.Device{
	"stdin": {Mode: unix.S_IFCHR | 0o600}, "stdout": {Mode: unix.S_IFCHR | 0o600}, "stderr": {Mode: unix.S_IFCHR | 0o600},
	strings.TrimPrefix(guestPath, "/dev/"): {
		Mode: unix.S_IFCHR | 0o600, Hidden: true,
		Open: func(int) (int, error) { return vfs.Sealed("guest", nil) }, // stands for the connection, which the driver makes
	},
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
