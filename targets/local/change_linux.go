package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
)

// do makes the change on a thread with the account's rights.
func (w *work) do(ctx context.Context) error {
	switch w.c.Op {
	case targets.Write:
		return w.build(func(temp string) error { return w.write(ctx, temp) })
	case targets.Mkdir:
		return w.build(w.mkdir)
	case targets.Symlink:
		return w.build(w.symlink)
	case targets.Delete:
		return w.delete()
	case targets.Rmdir:
		return w.rmdir()
	case targets.Rename:
		return w.rename()
	case targets.Chmod, targets.Chown, targets.Touch:
		return w.attributes()
	}
	return unix.EINVAL
}

// build makes what is to be under a temporary name and then gives it the name, in one step of the kernel.
func (w *work) build(make func(temp string) error) error {
	temp, err := targets.TempName(w.c.ID)
	if err != nil {
		return err
	}
	if err := make(temp); err != nil {
		return errors.Join(err, w.discard(temp))
	}
	base := path.Base(w.c.Path)
	if w.c.Was == nil {
		err = w.occupy(temp, base)
	} else {
		err = w.exchange(w.dir, temp, w.dir, base, w.was)
	}
	if err != nil {
		return errors.Join(err, w.discard(temp))
	}
	if w.c.Was != nil { // what was replaced has the temporary name now
		if err := w.discard(temp); err != nil {
			back := unix.Renameat2(w.dir, temp, w.dir, base, unix.RENAME_EXCHANGE)
			if back == nil {
				back = w.discard(temp)
			}
			return errors.Join(fmt.Errorf("remove what was replaced: %w", err), back)
		}
	}
	return durable(w.dir)
}

// discard removes a temporary name. What it names was made by this change or replaced by it.
func (w *work) discard(temp string) error {
	err := unix.Unlinkat(w.dir, temp, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(w.dir, temp, unix.AT_REMOVEDIR)
	}
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// occupy gives a temporary file a name that must be free.
func (w *work) occupy(temp, base string) error {
	err := unix.Renameat2(w.dir, temp, w.dir, base, unix.RENAME_NOREPLACE)
	switch err {
	case unix.EINVAL: // a file system without it: a link does the same for anything but a directory
		if err = unix.Linkat(w.dir, temp, w.dir, base, 0); err == nil {
			err = w.discard(temp)
		}
		if err == unix.EPERM && w.c.Op == targets.Mkdir {
			err = unix.Renameat(w.dir, temp, w.dir, base) // replaces nothing but an empty directory
		}
	case unix.ENOTEMPTY:
		err = unix.EEXIST
	}
	if err == unix.EEXIST {
		return fmt.Errorf("%w: %s exists", targets.ErrConflict, w.c.Path)
	}
	return err
}

// exchange lets two names change places. It looks once more at the file that is to go, and changes them back where that
// is not what was verified: somebody may have written or replaced it in the short moment since.
func (w *work) exchange(fromDir int, from string, toDir int, to string, verified inode) error {
	err := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_EXCHANGE)
	switch err {
	case nil:
	case unix.EINVAL, unix.ENOSYS: // a file system without it, such as NFS: look again and replace
		if _, i, err := look(context.Background(), toDir, to, false); err != nil || i != verified {
			return changedNow(to, err)
		}
		return unix.Renameat(fromDir, from, toDir, to)
	case unix.ENOENT:
		return changedNow(to, nil)
	default:
		return err
	}
	_, i, err := look(context.Background(), fromDir, from, false)
	if err == nil && i == verified {
		return nil
	}
	back := unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_EXCHANGE)
	return errors.Join(changedNow(to, err), back)
}

func changedNow(name string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s was changed at this moment", targets.ErrConflict, name)
}

// write makes the new file and makes it durable.
func (w *work) write(ctx context.Context, temp string) error {
	fd, err := unix.Openat(w.dir, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), temp) // #nosec G115 -- a descriptor
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), &reader{ctx, io.LimitReader(w.content, w.c.Size+1)})
	if err != nil {
		return plain(err)
	}
	if n != w.c.Size || [sha256.Size]byte(h.Sum(nil)) != w.c.SHA256 {
		return errors.New("the content is not the one that was decided upon")
	}
	if w.c.Was.IsRegular() {
		if err := w.copyAttributes(fd); err != nil {
			return err
		}
	}
	if err := own(fd, w.c.UID, w.c.GID, w.c.Mode); err != nil {
		return err
	}
	if !w.c.Mtime.IsZero() {
		if err := setTime("/proc/self/fd/"+strconv.Itoa(fd), w.c.Mtime); err != nil {
			return err
		}
	}
	return f.Sync()
}

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
	return strings.HasPrefix(name, "user.") || name == "system.posix_acl_access" || name == labelAttribute
}

const labelAttribute = "security.selinux"

// copyAttributes gives the new file the extended attributes of the one that it replaces, access control lists among
// them: without these the group's permission bits would mean more than they did.
func (w *work) copyAttributes(fd int) error {
	held, err := openat(w.dir, path.Base(w.c.Path), unix.O_PATH|unix.O_NOFOLLOW)
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
			err = unix.Fsetxattr(fd, name, value[:size], 0)
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

func (w *work) mkdir(temp string) error {
	if err := unix.Mkdirat(w.dir, temp, 0o700); err != nil {
		return err
	}
	fd, err := openat(w.dir, temp, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if err := own(fd, w.c.UID, w.c.GID, w.c.Mode); err != nil {
		return err
	}
	return durable(fd)
}

func (w *work) symlink(temp string) error {
	if err := unix.Symlinkat(w.c.To, w.dir, temp); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(w.dir, temp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Uid == w.c.UID && st.Gid == w.c.GID {
		return nil
	}
	return unix.Fchownat(w.dir, temp, int(w.c.UID), int(w.c.GID), unix.AT_SYMLINK_NOFOLLOW)
}

// delete gives the file a temporary name first, so that what is removed is what was verified and nothing else.
func (w *work) delete() error {
	if w.c.Was == nil || w.c.Was.IsDir() {
		return unix.EINVAL
	}
	temp, err := targets.TempName(w.c.ID)
	if err != nil {
		return err
	}
	base := path.Base(w.c.Path)
	switch err := unix.Renameat2(w.dir, base, w.dir, temp, unix.RENAME_NOREPLACE); err {
	case nil:
	case unix.EINVAL, unix.ENOSYS:
		if _, i, err := look(context.Background(), w.dir, base, false); err != nil || i != w.was {
			return changedNow(base, err)
		}
		if err := unix.Unlinkat(w.dir, base, 0); err != nil {
			return err
		}
		return durable(w.dir)
	case unix.ENOENT:
		return changedNow(base, nil)
	default:
		return err
	}
	_, i, err := look(context.Background(), w.dir, temp, false)
	if err != nil || i != w.was {
		back := unix.Renameat2(w.dir, temp, w.dir, base, unix.RENAME_NOREPLACE)
		return errors.Join(changedNow(base, err), back)
	}
	if err := unix.Unlinkat(w.dir, temp, 0); err != nil {
		return errors.Join(err, unix.Renameat2(w.dir, temp, w.dir, base, unix.RENAME_NOREPLACE))
	}
	return durable(w.dir)
}

func (w *work) rmdir() error {
	if !w.c.Was.IsDir() {
		return unix.EINVAL
	}
	switch err := unix.Unlinkat(w.dir, path.Base(w.c.Path), unix.AT_REMOVEDIR); err {
	case nil:
		return durable(w.dir)
	case unix.ENOTEMPTY, unix.EEXIST:
		return fmt.Errorf("%w: %s is not empty", targets.ErrConflict, w.c.Path)
	case unix.ENOENT, unix.ENOTDIR:
		return changedNow(w.c.Path, nil)
	default:
		return err
	}
}

// rename moves a file. What had the new name is exchanged with it first, looked at, and only then removed.
func (w *work) rename() error {
	if w.c.Was == nil || w.c.Was.IsDir() || w.c.WasTo.IsDir() {
		return unix.EINVAL
	}
	from, to := path.Base(w.c.Path), path.Base(w.c.To)
	if w.c.WasTo == nil {
		switch err := unix.Renameat2(w.dir, from, w.toDir, to, unix.RENAME_NOREPLACE); err {
		case nil:
		case unix.EEXIST:
			return fmt.Errorf("%w: %s exists", targets.ErrConflict, w.c.To)
		case unix.ENOENT:
			return changedNow(from, nil)
		default:
			return err // EXDEV too: the two are on different file systems
		}
		if _, i, err := look(context.Background(), w.toDir, to, false); err != nil || i != w.was {
			return errors.Join(changedNow(from, err), unix.Renameat2(w.toDir, to, w.dir, from, unix.RENAME_NOREPLACE))
		}
		return errors.Join(durable(w.toDir), durable(w.dir))
	}
	if err := w.exchange(w.dir, from, w.toDir, to, w.wasTo); err != nil {
		return err
	}
	if _, i, err := look(context.Background(), w.toDir, to, false); err != nil || i != w.was {
		return errors.Join(changedNow(from, err), unix.Renameat2(w.dir, from, w.toDir, to, unix.RENAME_EXCHANGE))
	}
	if err := unix.Unlinkat(w.dir, from, 0); err != nil && err != unix.ENOENT {
		return errors.Join(err, unix.Renameat2(w.dir, from, w.toDir, to, unix.RENAME_EXCHANGE))
	}
	return errors.Join(durable(w.toDir), durable(w.dir))
}

// attributes changes mode, owner or time of exactly the file that was verified.
func (w *work) attributes() error {
	if w.c.Was == nil || w.c.Was.IsLink() && w.c.Op == targets.Chmod {
		return unix.EINVAL
	}
	fd, err := openat(w.dir, path.Base(w.c.Path), unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return changedNow(w.c.Path, nil)
	}
	defer closeFD(fd)
	if _, i, err := describe(fd); err != nil || i != w.was {
		return changedNow(w.c.Path, err)
	}
	self := "/proc/self/fd/" + strconv.Itoa(fd)
	if w.c.Op == targets.Touch {
		return touch(self, w.c.Was, w.c.Mtime)
	}
	if w.c.Op == targets.Chown {
		if err := unix.Fchownat(fd, "", int(w.c.UID), int(w.c.GID), unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if !w.c.Was.IsLink() {
		err = unix.Chmod(self, w.c.Mode&0o7777)
		if s, _, e := describe(fd); err == nil && (e != nil || s.Perm() != w.c.Mode&0o7777) {
			err = unix.EPERM
		}
		if err != nil { // nothing is changed after an error
			if w.c.Op == targets.Chown {
				_ = unix.Fchownat(fd, "", int(w.c.Was.UID), int(w.c.Was.GID), unix.AT_EMPTY_PATH)
			}
			_ = unix.Chmod(self, w.c.Was.Perm())
			return err
		}
	}
	return durableInode(self, w.c.Was)
}

func touch(name string, was *targets.State, at time.Time) error {
	if err := setTime(name, at); err != nil {
		return err
	}
	return durableInode(name, was)
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
