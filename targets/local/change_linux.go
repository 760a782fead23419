package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
)

// fileSystem is this host's for one change. It holds the directories that the change is in, so that a rename of one of them
// meanwhile leads nowhere else. Its methods are called with the account's rights.
type fileSystem struct {
	ctx        context.Context
	path, to   string // the directories' names
	dir, toDir int    // -1 for none
}

var _ change.FS = (*fileSystem)(nil)

// newFileSystem opens the directories of a change. close releases them.
func newFileSystem(ctx context.Context, c *targets.Change) (fs *fileSystem, err error) {
	fs = &fileSystem{ctx: ctx, path: path.Dir(c.Path), dir: -1, toDir: -1}
	if fs.dir, err = directoryOf(c.Path); err == nil && c.Op == targets.Rename {
		fs.to = path.Dir(c.To)
		fs.toDir, err = directoryOf(c.To)
	}
	if err != nil {
		fs.close()
		return nil, err
	}
	return fs, nil
}

func (fs *fileSystem) close() {
	for _, fd := range []int{fs.dir, fs.toDir} {
		if fd >= 0 {
			closeFD(fd)
		}
	}
}

// at is the directory that has a name, and what the name is there.
func (fs *fileSystem) at(name string) (dir int, base string) {
	if dir := path.Dir(name); fs.toDir >= 0 && dir == fs.to && dir != fs.path {
		return fs.toDir, path.Base(name)
	}
	return fs.dir, path.Base(name)
}

// Look implements change.FS.
func (fs *fileSystem) Look(name string, hash bool) (change.Seen, error) {
	dir, base := fs.at(name)
	s, i, err := look(fs.ctx, dir, base, hash)
	return change.Seen{State: s, Identity: i}, err
}

// Still implements change.FS. An inode that is the same with the same size and time has the same content.
func (fs *fileSystem) Still(name string, seen change.Seen, _ bool) (bool, error) {
	dir, base := fs.at(name)
	s, i, err := look(context.Background(), dir, base, false)
	return err == nil && s != nil && i == seen.Identity, err
}

// Rename implements change.FS.
func (fs *fileSystem) Rename(from, to string) error {
	return fs.rename(from, to, unix.RENAME_NOREPLACE)
}

// Exchange implements change.FS.
func (fs *fileSystem) Exchange(from, to string) error {
	return fs.rename(from, to, unix.RENAME_EXCHANGE)
}

// Replace implements change.FS.
func (fs *fileSystem) Replace(from, to string) error { return fs.rename(from, to, 0) }

// rename is renameat2(2). A file system without a flag, such as NFS, says EINVAL.
func (fs *fileSystem) rename(from, to string, flags uint) error {
	fromDir, fromBase := fs.at(from)
	toDir, toBase := fs.at(to)
	err := unix.Renameat2(fromDir, fromBase, toDir, toBase, flags)
	if flags != 0 && (err == unix.EINVAL || err == unix.ENOSYS) {
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// Place implements change.FS: a link does the same for anything but a directory.
func (fs *fileSystem) Place(from, to string) error {
	fromDir, fromBase := fs.at(from)
	toDir, toBase := fs.at(to)
	switch err := unix.Linkat(fromDir, fromBase, toDir, toBase, 0); err {
	case nil:
		return fs.Discard(from)
	case unix.EPERM:
		var st unix.Stat_t
		if unix.Fstatat(fromDir, fromBase, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return unix.Renameat(fromDir, fromBase, toDir, toBase) // replaces nothing but an empty directory
		}
		return err
	default:
		return err
	}
}

// Remove implements change.FS.
func (fs *fileSystem) Remove(name string) error {
	dir, base := fs.at(name)
	return unix.Unlinkat(dir, base, 0)
}

// RemoveDir implements change.FS.
func (fs *fileSystem) RemoveDir(name string) error {
	dir, base := fs.at(name)
	return unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
}

// Discard implements change.FS.
func (fs *fileSystem) Discard(temp string) error {
	dir, base := fs.at(temp)
	return discard(dir, base)
}

// discard removes a temporary name.
func discard(dir int, base string) error {
	err := unix.Unlinkat(dir, base, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// Sync implements change.FS.
func (fs *fileSystem) Sync(dir string) error {
	fd, _ := fs.at(path.Join(dir, "name"))
	return durable(fd)
}

// Undoing implements change.FS. Nothing here ends with its caller.
func (fs *fileSystem) Undoing() (undo change.FS, release func()) { return fs, func() {} }

// newFile is a file under a temporary name.
type newFile struct {
	fs   *fileSystem
	file *os.File
}

// NewFile implements change.FS.
func (fs *fileSystem) NewFile(temp string) (change.File, error) {
	dir, base := fs.at(temp)
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	return &newFile{fs, os.NewFile(uintptr(fd), base)}, nil // #nosec G115 -- a descriptor
}

// Write implements change.File.
func (f *newFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	return n, plain(err)
}

// Finish implements change.File.
func (f *newFile) Finish(a change.Attributes) error {
	if a.Like != "" {
		if err := f.copyAttributes(a.Like, a.Mode); err != nil {
			return err
		}
	}
	fd := int(f.file.Fd()) // #nosec G115 -- a descriptor
	if err := own(fd, a.UID, a.GID, a.Mode); err != nil {
		return err
	}
	if !a.Mtime.IsZero() {
		if err := setTime("/proc/self/fd/"+strconv.Itoa(fd), a.Mtime); err != nil {
			return err
		}
	}
	return plain(f.file.Sync())
}

// Close implements change.File.
func (f *newFile) Close() error { return plain(f.file.Close()) }

// NewDir implements change.FS.
func (fs *fileSystem) NewDir(temp string, a change.Attributes) error {
	dir, base := fs.at(temp)
	if err := unix.Mkdirat(dir, base, 0o700); err != nil {
		return err
	}
	fd, err := openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if err := own(fd, a.UID, a.GID, a.Mode); err != nil {
		return err
	}
	return durable(fd)
}

// NewLink implements change.FS.
func (fs *fileSystem) NewLink(temp, text string, a change.Attributes) error {
	dir, base := fs.at(temp)
	if err := unix.Symlinkat(text, dir, base); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Uid == a.UID && st.Gid == a.GID {
		return nil
	}
	return unix.Fchownat(dir, base, int(a.UID), int(a.GID), unix.AT_SYMLINK_NOFOLLOW)
}

// heldFile is a file by its descriptor, which gives no access to its content.
type heldFile struct {
	fd  int
	was *targets.State
}

// Hold implements change.FS.
func (fs *fileSystem) Hold(name string, seen change.Seen) (change.Held, error) {
	dir, base := fs.at(name)
	fd, err := openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW)
	if err == nil {
		var i inode
		if _, i, err = describe(fd); err == nil && i == seen.Identity {
			return &heldFile{fd, seen.State}, nil
		}
		closeFD(fd)
	}
	if err == nil || missing(err) {
		err = fmt.Errorf("%w: %s was changed at this moment", targets.ErrConflict, name)
	}
	return nil, err
}

func (h *heldFile) name() string { return "/proc/self/fd/" + strconv.Itoa(h.fd) }

// Chown implements change.Held.
func (h *heldFile) Chown(uid, gid uint32) error {
	return unix.Fchownat(h.fd, "", int(uid), int(gid), unix.AT_EMPTY_PATH)
}

// Chmod implements change.Held.
func (h *heldFile) Chmod(mode uint32) error {
	err := unix.Chmod(h.name(), mode)
	if s, _, e := describe(h.fd); err == nil && (e != nil || s.Perm() != mode) {
		err = unix.EPERM
	}
	return err
}

// Touch implements change.Held.
func (h *heldFile) Touch(at time.Time) error { return setTime(h.name(), at) }

// Sync implements change.Held.
func (h *heldFile) Sync() error { return durableInode(h.name(), h.was) }

// Close implements change.Held.
func (h *heldFile) Close() { closeFD(h.fd) }

// plain is an error without the names that the standard library adds.
func plain(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// own gives an open file its owner, where that differs, and its mode: in this order, since the kernel clears
// set-user-ID bits with a change of owner.
func own(fd int, uid, gid, mode uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Uid != uid || st.Gid != gid {
		if err := unix.Fchown(fd, int(uid), int(gid)); err != nil {
			return fmt.Errorf("give the file to %d:%d: %w", uid, gid, err)
		}
	}
	if err := unix.Fchmod(fd, mode&0o7777); err != nil {
		return err
	}
	// A set-group-ID bit of a group that one is not in is dropped without a word.
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&0o7777 != mode&0o7777 {
		return fmt.Errorf("set the mode %04o: %w", mode&0o7777, unix.EPERM)
	}
	return nil
}

// copied reports whether a new content keeps an extended attribute of the old one: what users set, access control lists,
// and the label of SELinux. Other attributes vouch for the content (capabilities, IMA) or belong to the system.
func copied(name string) bool {
	return strings.HasPrefix(name, "user.") || name == accessList || name == labelAttribute
}

const (
	labelAttribute = "security.selinux"
	accessList     = "system.posix_acl_access"
)

// limitAccess gives an access control list the permission bits of a mode, as chmod(2) does, since the list brings those of the
// file that it comes from, which may be more. The layout is that of linux/posix_acl_xattr.h, which is little-endian: a version, and
// entries of a tag, permissions and an identity. The kernel refuses what is no such list.
func limitAccess(list []byte, mode uint32) {
	const version, entry = 4, 8
	const owner, group, mask, other = 0x01, 0x04, 0x10, 0x20 // ACL_USER_OBJ and so on, acl(5)
	class := group                                           // what the mode's bits of the group stand for
	for at := version; at+entry <= len(list); at += entry {
		if binary.LittleEndian.Uint16(list[at:]) == mask {
			class = mask
		}
	}
	for at := version; at+entry <= len(list); at += entry {
		shift := 0
		switch int(binary.LittleEndian.Uint16(list[at:])) {
		case owner:
			shift = 6
		case class:
			shift = 3
		case other:
		default:
			continue
		}
		binary.LittleEndian.PutUint16(list[at+2:], uint16(mode>>shift&7)) // #nosec G115 -- three bits
	}
}

// copyAttributes gives the new file the extended attributes of the one that it replaces, access control lists among
// them: without these the group's permission bits would mean more than they did. mode is what the new file is to have: at no
// moment it has more.
func (f *newFile) copyAttributes(like string, mode uint32) error {
	dir, base := f.fs.at(like)
	held, err := openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer closeFD(held)
	from := "/proc/self/fd/" + strconv.Itoa(held)
	buf := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Listxattr(from, buf)
	if err == unix.ENOTSUP || err == unix.EACCES {
		return nil
	}
	if err != nil {
		return err
	}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for _, name := range splitNames(buf[:n]) {
		if !copied(name) {
			continue
		}
		size, err := unix.Getxattr(from, name, value)
		if err == unix.ENODATA {
			continue
		}
		if err == nil {
			if name == accessList {
				limitAccess(value[:size], mode)
			}
			err = unix.Fsetxattr(int(f.file.Fd()), name, value[:size], 0)
		}
		// What labels a file by its place, such as SELinux, has labelled the new one already.
		if err != nil && name != labelAttribute {
			return fmt.Errorf("keep the attribute %s: %w", name, err)
		}
	}
	return nil
}

func splitNames(list []byte) (names []string) {
	for start, i := 0, 0; i < len(list); i++ {
		if list[i] == 0 {
			names = append(names, string(list[start:i]))
			start = i + 1
		}
	}
	return names
}

// setTime sets the time of the last change; zero is now.
func setTime(name string, at time.Time) error {
	mtime := unix.Timespec{Nsec: unix.UTIME_NOW}
	if !at.IsZero() {
		var err error
		if mtime, err = unix.TimeToTimespec(at); err != nil {
			return err
		}
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, mtime}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, times, 0)
}

// durableInode makes the attributes of a file durable. A file that cannot be opened, or should not be, since opening a
// device means something, is synced with the whole system.
func durableInode(name string, was *targets.State) error {
	if !was.IsRegular() && !was.IsDir() {
		unix.Sync()
		return nil
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Sync()
		return nil
	}
	defer closeFD(fd)
	return durable(fd)
}

// durable makes an open directory or file durable. File systems that cannot say so.
func durable(fd int) error {
	switch err := unix.Fsync(fd); err {
	case unix.EINVAL, unix.ENOTSUP, unix.EROFS:
		return nil
	case unix.EBADF: // held by name only
		unix.Sync()
		return nil
	default:
		return err
	}
}
