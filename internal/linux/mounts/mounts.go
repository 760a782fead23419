//go:build linux

package mounts

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Option is a parameter of a file system. Without a value it is a flag.
type Option struct{ Key, Value string }

// New makes a file system that is attached nowhere, and returns a descriptor of its mount. attributes are of unix.MOUNT_ATTR_….
// The error has what the kernel says of the reason, where it says anything.
func New(kind string, attributes int, options ...Option) (int, error) {
	context, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system %s: %w", kind, err)
	}
	defer func() { _ = unix.Close(context) }()
	for _, o := range options {
		if o.Value == "" {
			err = unix.FsconfigSetFlag(context, o.Key)
		} else {
			err = unix.FsconfigSetString(context, o.Key, o.Value)
		}
		if err != nil {
			return -1, fmt.Errorf("configure %s with %s: %w%s", kind, o.Key, err, said(context))
		}
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("create %s: %w%s", kind, err, said(context))
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return -1, fmt.Errorf("mount %s: %w%s", kind, err, said(context))
	}
	return mount, nil
}

// said is what the kernel has written about a context's last failure, "" for nothing.
func said(context int) string {
	var text [512]byte
	n, err := unix.Read(context, text[:])
	if err != nil || n <= 2 {
		return ""
	}
	return " (" + strings.TrimSpace(string(text[2:n])) + ")" // behind "e "
}

// Overlay makes an overlay of lower directories, the uppermost first, below a writable one. Each is an open descriptor.
// unprivileged keeps the overlay's marks in attributes that a user namespace may set ("userxattr").
func Overlay(upper, work int, lower []int, unprivileged bool) (int, error) {
	name := func(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
	names := make([]string, len(lower))
	for i, fd := range lower {
		names[i] = name(fd)
	}
	options := []Option{
		{"lowerdir", strings.Join(names, ":")}, {"upperdir", name(upper)}, {"workdir", name(work)},
		// A directory of the lower layers is never renamed, and a file is copied whole before it is: what is in the upper
		// layer then tells all that was done.
		{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"},
		{"volatile", ""},
	}
	if unprivileged {
		options = append(options, Option{"userxattr", ""})
	}
	return New("overlay", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, options...)
}

// Clone makes a mount of what is at a path now, without what is mounted below it, read-only and attached nowhere.
func Clone(path string, attributes uint64) (int, error) {
	mount, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return -1, fmt.Errorf("clone the mount of %s: %w", path, err)
	}
	if err := Set(mount, unix.MOUNT_ATTR_RDONLY|attributes, 0); err != nil {
		_ = unix.Close(mount)
		return -1, fmt.Errorf("make the clone of %s read-only: %w", path, err)
	}
	return mount, nil
}

// Set sets and clears attributes of a mount, of unix.MOUNT_ATTR_….
func Set(mount int, set, clear uint64) error {
	return unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: set, Attr_clr: clear})
}

// Attach attaches a mount at a path that is seen from a directory.
func Attach(mount, dir int, path string) error {
	if err := unix.MoveMount(mount, "", dir, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach a mount at %s: %w", path, err)
	}
	return nil
}

// Private keeps mounts that this mount namespace makes to itself, and those that others make away from it.
func Private() error {
	err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Propagation: unix.MS_PRIVATE})
	if err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	return nil
}

// Enter makes a mount that is attached somewhere the root of this mount namespace, and detaches the old root with all that is
// below it.
func Enter(mount int) error {
	if err := unix.Fchdir(mount); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	return unix.Chdir("/")
}
