//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/mounts"
)

// copied are the kinds of file systems over which an overlay is laid. Others are not in the world: what they hold is the
// kernel's, or another host's.
var copied = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "f2fs": true, "zfs": true, "bcachefs": true, "tmpfs": true, "ramfs": true,
	"overlay": true, "erofs": true, "squashfs": true, "iso9660": true, "vfat": true, "jfs": true, "reiserfs": true,
}

// own are the directories that the world has of its own.
var own = []string{"/proc", "/sys", "/dev"}

// maxMounts bounds the file systems of a world.
const maxMounts = 256

// layer is one overlay of the world.
type layer struct {
	at           string // where it is in the world
	lower, upper int    // descriptors: what the host has there, read-only, and what the world has put over it
}

// place is the world as its first process has it.
type place struct {
	layers       []layer // by path, so that one below another comes later
	root         int     // the file system that holds the top directories
	proc         int     // the mount of /proc
	made         map[string]bool
	absent       []string
	unprivileged bool
	masked       map[string][]byte // the stand-ins that are there
}

// build makes the world out of the host's mounts and enters it. What cannot be in it is in absent.
func build(disk int64, masked []mask, named []string) (*place, error) {
	p := &place{made: map[string]bool{}, masked: map[string][]byte{}, unprivileged: os.Geteuid() != 0}
	if err := mounts.Private(); err != nil {
		return nil, err
	}
	points, err := mounts.Points()
	if err != nil {
		return nil, err
	}
	var size = mounts.Option{Key: "size", Value: strconv.FormatInt(disk, 10)}
	var inodes = mounts.Option{Key: "nr_inodes", Value: "200000"}
	if p.root, err = mounts.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, size, inodes, mounts.Option{Key: "mode", Value: "755"}); err != nil {
		return nil, err
	}
	store, err := mounts.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, size, inodes, mounts.Option{Key: "mode", Value: "700"})
	if err != nil {
		return nil, err
	}
	// They are attached over the host's root, which this process goes on seeing until it enters the world.
	if err := mounts.Attach(p.root, unix.AT_FDCWD, "/"); err != nil {
		return nil, err
	}
	if err := errors.Join(unix.Mkdirat(p.root, storeName, 0o700), mounts.Attach(store, p.root, storeName)); err != nil {
		return nil, err
	}
	b := &builder{place: p, store: store, masks: masked, named: named}
	if err := b.fill(points); err != nil {
		return nil, err
	}
	if err := mounts.Enter(p.root); err != nil {
		return nil, err
	}
	// The upper layers stay reachable by descriptors alone.
	if err := errors.Join(unix.Unmount("/"+storeName, unix.MNT_DETACH), unix.Rmdir("/"+storeName)); err != nil {
		return nil, fmt.Errorf("hide the upper layers: %w", err)
	}
	return p, unix.Close(store)
}

// storeName is where the upper layers are while the world is built.
const storeName = ".shannot-rehearsal"

// builder fills a world.
type builder struct {
	*place
	store  int
	number int
	masks  []mask
	named  []string
}

// fill makes what the world's root holds.
func (b *builder) fill(points []mounts.Point) error {
	top, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range top {
		name := "/" + e.Name()
		b.made[name] = true
		switch {
		case slices.Contains(own, name):
		case e.Type()&os.ModeSymlink != 0:
			if text, err := os.Readlink(name); err == nil {
				err = unix.Symlinkat(text, b.root, e.Name())
				if err != nil {
					return err
				}
			}
		case e.IsDir():
			if err := unix.Mkdirat(b.root, e.Name(), 0o755); err != nil {
				return err
			}
			b.overlay(name, kindAt(points, name))
		default:
			b.absent = append(b.absent, name+": not a directory")
		}
	}
	for _, m := range below(points) {
		b.overlay(m.Path, m.Kind)
	}
	if b.unprivileged {
		b.overOwn()
	}
	if len(b.layers) == 0 {
		return fmt.Errorf("no file system could be copied: %s", strings.Join(b.absent, "; "))
	}
	return b.fillOwn()
}

// kindAt is the kind of the file system that a top directory belongs to.
func kindAt(points []mounts.Point, name string) (kind string) {
	for _, at := range []string{"/", name} {
		for _, p := range points {
			if p.Path == at {
				kind = p.Kind // the last one hides the others
			}
		}
	}
	return kind
}

// below are the mounts below top directories that are to be in the world, those above first.
func below(points []mounts.Point) (found []mounts.Point) {
	last := map[string]string{}
	for _, p := range points {
		last[p.Path] = p.Kind
	}
	for at, kind := range last {
		if strings.Count(at, "/") > 1 {
			found = append(found, mounts.Point{Path: at, Kind: kind})
		}
	}
	slices.SortFunc(found, func(a, b mounts.Point) int { return strings.Compare(a.Path, b.Path) })
	return slices.DeleteFunc(found, func(p mounts.Point) bool {
		for at := path.Dir(p.Path); at != "/"; at = path.Dir(at) {
			if kind, is := last[at]; is && !copied[kind] || slices.Contains(own, at) {
				return true // what it is mounted on is not in the world
			}
		}
		return false
	})
}

// overlay puts an overlay over a directory of the host into the world, or says why it is not there.
func (b *builder) overlay(name, kind string) {
	leave := func(why string) { b.absent = append(b.absent, name+": "+why) }
	switch {
	case !copied[kind]:
		leave("a file system of the kind " + kind)
		return
	case b.number >= maxMounts:
		leave("too many file systems")
		return
	}
	if err := b.tryOverlay(name); err != nil {
		leave(err.Error())
	}
}

func (b *builder) tryOverlay(name string) error {
	host, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("it cannot be opened: %w", err)
	}
	defer func() { _ = unix.Close(host) }()
	var now unix.Stat_t
	if err := unix.Fstat(host, &now); err != nil {
		return err
	}
	b.number++
	upper, err := b.directory("u", &now)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(upper) }()
	work, err := b.directory("w", nil)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(work) }()
	lower := []int{host}
	if stand, err := b.standIns(name, &now); err != nil {
		return err
	} else if stand >= 0 {
		defer func() { _ = unix.Close(stand) }()
		lower = []int{stand, host}
	}
	clone, err := mounts.Clone(name, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	over, err := mounts.Overlay(upper, work, lower, b.unprivileged)
	if err != nil {
		_ = unix.Close(clone)
		return err
	}
	defer func() { _ = unix.Close(over) }()
	if err := mounts.Attach(over, b.root, name[1:]); err != nil {
		_ = unix.Close(clone)
		return err
	}
	changed, err := unix.Openat(upper, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = unix.Close(clone)
		return err
	}
	b.layers = append(b.layers, layer{at: name, lower: clone, upper: changed})
	return nil
}

// overOwn puts overlays of their own over directories of this process's user that the steps name. The overlay above cannot change
// what is below a directory of somebody else: it would have to make that directory in the upper layer, which has no such user.
func (b *builder) overOwn() {
	var found []string
	for _, name := range b.named {
		if at := ownAbove(name); at != "" && !slices.Contains(found, at) && !slices.ContainsFunc(b.layers, func(l layer) bool { return l.at == at }) {
			found = append(found, at)
		}
	}
	slices.Sort(found)
	for _, at := range found[:min(len(found), maxOwn)] {
		if err := b.tryOverlay(at); err != nil {
			b.absent = append(b.absent, at+": its changes cannot be kept: "+err.Error())
		}
	}
}

// maxOwn bounds the overlays of overOwn.
const maxOwn = 64

// ownAbove is the first directory on the way to a path, below a top directory, that this process's user may write, "" for none.
func ownAbove(name string) string {
	parts := strings.Split(strings.Trim(path.Clean(name), "/"), "/")
	for i := 2; i <= len(parts); i++ {
		at := "/" + path.Join(parts[:i]...)
		var s unix.Stat_t
		if unix.Lstat(at, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFDIR {
			return ""
		}
		if unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK, unix.AT_EACCESS) == nil && (int(s.Uid) == os.Geteuid() || accessOf(&s)&2 != 0) {
			return at
		}
	}
	return ""
}

// directory makes a directory of the store for the layer that is being made, with the mode and owner of what it lies over.
func (b *builder) directory(kind string, like *unix.Stat_t) (int, error) {
	name := strconv.Itoa(b.number) + kind
	if err := unix.Mkdirat(b.store, name, 0o700); err != nil {
		return -1, err
	}
	fd, err := unix.Openat(b.store, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil && like != nil {
		err = b.resemble(fd, like)
	}
	if err != nil {
		return -1, fmt.Errorf("make a layer: %w", err)
	}
	return fd, nil
}

// resemble gives a directory the mode and owner of another. A user namespace of one user cannot give it to somebody else: the owner then
// gets what this user may do with the other.
func (b *builder) resemble(fd int, like *unix.Stat_t) error {
	mode := like.Mode & 0o7777
	if b.unprivileged && int(like.Uid) != os.Geteuid() {
		mode = mode&^0o700 | accessOf(like)<<6
	} else if err := unix.Fchown(fd, int(like.Uid), int(like.Gid)); err != nil && !b.unprivileged {
		return err
	}
	return unix.Fchmod(fd, mode)
}

// accessOf are the three bits of access that this process's user has to what is somebody else's.
func accessOf(s *unix.Stat_t) uint32 {
	groups, _ := os.Getgroups()
	if int(s.Gid) == os.Getegid() || slices.Contains(groups, int(s.Gid)) {
		return s.Mode >> 3 & 7
	}
	return s.Mode & 7
}

// devices are those that the world has: they hold nothing and lead nowhere.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// fillOwn makes /proc, /sys and /dev.
func (b *builder) fillOwn() error {
	for _, name := range own {
		if err := unix.Mkdirat(b.root, name[1:], 0o755); err != nil {
			return err
		}
	}
	// Files there are the kernel's own switches, which belong to uid 0 whatever namespace it is in: nobody may write them.
	proc, err := mounts.New("proc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
		mounts.Option{Key: "hidepid", Value: "4"}) // the world's first process is no command's business
	if err != nil {
		return fmt.Errorf("%w; where the gateway is in a container, that may hide a part of /proc", err)
	}
	b.proc = proc
	if err := mounts.Attach(proc, b.root, "proc"); err != nil {
		return err
	}
	if err := b.coverProc(); err != nil {
		return err
	}
	dev, err := mounts.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, mounts.Option{Key: "size", Value: "64k"}, mounts.Option{Key: "mode", Value: "755"})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dev) }()
	if err := mounts.Attach(dev, b.root, "dev"); err != nil {
		return err
	}
	for _, name := range devices {
		if err := b.device(dev, name); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := unix.Symlinkat(to, dev, name); err != nil {
			return err
		}
	}
	if err := unix.Mkdirat(dev, "shm", 0o1777); err != nil {
		return err
	}
	shm, err := mounts.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, mounts.Option{Key: "size", Value: "16m"}, mounts.Option{Key: "mode", Value: "1777"})
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(shm) }()
	return errors.Join(mounts.Attach(shm, dev, "shm"), mounts.Set(dev, unix.MOUNT_ATTR_RDONLY, 0))
}

// device puts a device of the host into the world. Its mount is read-only: that keeps its mode, not its bytes.
func (b *builder) device(dev int, name string) error {
	clone, err := mounts.Clone("/dev/"+name, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(clone) }()
	var s unix.Stat_t
	if err := unix.Fstat(clone, &s); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(s.Rdev) != 1 {
		return errors.New("what the host has there is another device")
	}
	fd, err := unix.Openat(dev, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.Close(fd), mounts.Attach(clone, dev, name))
}

// covered are files of /proc that tell of the whole host what no command has a use for, or that act when they are read.
var covered = []string{"kcore", "kmsg", "kallsyms", "keys", "key-users", "timer_list", "sched_debug", "sysrq-trigger", "vmallocinfo", "slabinfo",
	"kpagecount", "kpageflags", "kpagecgroup", "iomem", "ioports", "vmcore"}

// coverProc puts nothing over them. What this kernel does not have needs no cover.
func (b *builder) coverProc() error {
	for _, name := range covered {
		if unix.Faccessat(b.proc, name, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue
		}
		null, err := mounts.Clone("/dev/null", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return err
		}
		err = mounts.Attach(null, b.proc, name)
		_ = unix.Close(null)
		if err != nil {
			return err
		}
	}
	for _, name := range []string{"acpi", "bus", "fs", "irq", "scsi"} {
		if unix.Faccessat(b.proc, name, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue
		}
		empty, err := mounts.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_RDONLY, mounts.Option{Key: "size", Value: "4k"})
		if err != nil {
			return err
		}
		err = mounts.Attach(empty, b.proc, name)
		_ = unix.Close(empty)
		if err != nil {
			return err
		}
	}
	return nil
}

// seal makes /proc read-only, or writable for as long as a command's user namespace is set up.
func (p *place) seal(on bool) error {
	if on {
		return mounts.Set(p.proc, unix.MOUNT_ATTR_RDONLY, 0)
	}
	return mounts.Set(p.proc, 0, unix.MOUNT_ATTR_RDONLY)
}
