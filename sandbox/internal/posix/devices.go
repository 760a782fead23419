//go:build linux

package posix

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// memoryDevices are the devices of major number 1 that lead nowhere, by minor number. See devices.txt of the kernel.
var memoryDevices = map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}

// A Device is an entry of /dev that an engine adds to the memory devices.
type Device struct {
	Mode uint32 // with the type
	Rdev uint64
	Size int64  // of a regular file, in bytes
	Link string // where a link leads
	// Open returns a descriptor; nil where the engine opens it by another way.
	Open func(flags int) (int, error)
	// Hidden leaves it out of listings.
	Hidden bool
}

// Devices is /dev in a script's view: the memory devices, and what an engine adds. It implements vfs.Source.
type Devices struct {
	Made  time.Time
	Added map[string]Device
	// Flags are added to those that a memory device is opened with.
	Flags int
}

// Lstat implements vfs.Source.
func (d *Devices) Lstat(name string) (vfs.Info, error) {
	base := strings.TrimPrefix(name, "/")
	info := vfs.Info{Nlink: 1, Atime: d.Made, Mtime: d.Made, Ctime: d.Made, Ino: Inode(name)}
	added, ok := d.Added[base]
	switch minor := memoryDevices[base]; {
	case base == "":
		info.Mode, info.Nlink = unix.S_IFDIR|0o755, 2
	case minor != 0:
		info.Mode, info.Rdev = unix.S_IFCHR|0o666, unix.Mkdev(1, minor)
	case ok:
		info.Mode, info.Rdev, info.Size = added.Mode, added.Rdev, added.Size
		if added.Link != "" {
			info.Size = int64(len(added.Link))
		}
		if info.IsDir() {
			info.Nlink = 2
		}
	default:
		return vfs.Info{}, unix.ENOENT
	}
	return info, nil
}

// ReadDir implements vfs.Source.
func (d *Devices) ReadDir(name string) ([]vfs.Dirent, error) {
	if name != "/" {
		return nil, unix.ENOTDIR
	}
	var out []vfs.Dirent
	for n := range memoryDevices {
		out = append(out, vfs.Dirent{Name: n, Type: unix.S_IFCHR, Ino: Inode("/" + n)})
	}
	for n, added := range d.Added {
		if !added.Hidden {
			out = append(out, vfs.Dirent{Name: n, Type: added.Mode & unix.S_IFMT, Ino: Inode("/" + n)})
		}
	}
	return out, nil
}

// Readlink implements vfs.Source.
func (d *Devices) Readlink(name string) (string, error) {
	if text := d.Added[strings.TrimPrefix(name, "/")].Link; text != "" {
		return text, nil
	}
	return "", unix.EINVAL
}

// Open implements vfs.Source. A memory device is this host's.
func (d *Devices) Open(name string, flags int) (int, error) {
	base := strings.TrimPrefix(name, "/")
	if open := d.Added[base].Open; open != nil {
		return open(flags)
	}
	minor := memoryDevices[base]
	if minor == 0 {
		return -1, unix.ENOENT
	}
	fd, err := unix.Open("/dev/"+base, flags&(unix.O_ACCMODE|unix.O_APPEND)|unix.O_CLOEXEC|unix.O_NOCTTY|d.Flags, 0)
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

// Inode numbers a file that is made up, by its name (FNV-1a).
func Inode(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h >> 16
}
