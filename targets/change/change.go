// Package change makes one change of a file on a target: it looks whether the target still holds what was decided on, makes
// what is new under a temporary name, and gives it its name in one step. The steps and their order are the same on every
// target; FS is what a target does for them. The package must never touch a file that was not verified, and must leave
// everything as it was where it fails. Begin with Apply.
package change

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"time"

	"shannot-gateway/targets"
)

// FS is a target's file system for one change. Names are absolute and clean: those of the change, and temporary ones beside
// its Path. No method follows a link, neither as the last component nor before. Errors are a syscall.Errno or wrap one.
type FS interface {
	// Look describes what has a name, with hash also a regular file's content. State is nil for nothing.
	Look(name string, hash bool) (Seen, error)
	// Still reports whether a name leads to the file that Look has seen, which may have had another name then. thorough
	// looks at the content too, where that is more than size, time and identity tell.
	Still(name string, seen Seen, thorough bool) (bool, error)

	// NewFile, NewDir and NewLink make something under a temporary name, which must be free.
	NewFile(temp string) (File, error)
	NewDir(temp string, a Attributes) error
	NewLink(temp, text string, a Attributes) error

	// Rename gives a file another name in one step. EEXIST where something has that name; errors.ErrUnsupported where the
	// target cannot do it so.
	Rename(from, to string) error
	// Place is Rename of what this change has made, in more than one step: for targets where Rename is unsupported.
	Place(from, to string) error
	// Exchange lets two names change places in one step. errors.ErrUnsupported where the target cannot.
	Exchange(from, to string) error
	// Replace gives a file a name that another one has, in one step. That one is gone then.
	Replace(from, to string) error
	// Remove removes the name of what is no directory, RemoveDir an empty directory: ENOTEMPTY where it is not.
	Remove(name string) error
	RemoveDir(name string) error
	// Discard removes a temporary name, whatever has it. Nothing there is no error.
	Discard(temp string) error

	// Hold holds on to the file that Look has seen, to change its attributes. targets.ErrConflict where it is another one.
	Hold(name string, seen Seen) (Held, error)
	// Sync makes the names of a directory durable, as far as the target can.
	Sync(dir string) error

	// Undoing is the same file system for a step back, although the caller may have left. release is called afterwards.
	Undoing() (fs FS, release func())
}

// Seen is what Look has seen.
type Seen struct {
	State *targets.State // nil for nothing
	// Identity tells the file from any other one, and changes with its content; nil where the target has no such thing. It is
	// comparable, and of the target's own type.
	Identity any
}

// Attributes are what something new is to have.
type Attributes struct {
	Mode     uint32 // permission bits, 07777
	UID, GID uint32
	Mtime    time.Time // zero for the moment at which it is made
	// Like names the file whose further attributes a new one takes over, "" for none.
	Like string
}

// File is a new file under a temporary name.
type File interface {
	io.Writer
	// Finish gives the file its attributes when all is written, and makes it durable.
	Finish(a Attributes) error
	// Close releases the file. It is called after Finish, and without it.
	Close() error
}

// Held is a file whose attributes are changed.
type Held interface {
	Chown(uid, gid uint32) error
	// Chmod fails with EPERM where the mode is another afterwards.
	Chmod(mode uint32) error
	// Touch sets the time of the last change; zero is now.
	Touch(at time.Time) error
	// Sync makes the attributes durable.
	Sync() error
	Close()
}

// NoDirectory is the conflict of a directory that is gone, or is a link now: the human was shown another path.
func NoDirectory(dir string, err error) error {
	return fmt.Errorf("%w: %s is not a directory that a path leads to without links (%w)", targets.ErrConflict, dir, err)
}

// Missing reports whether an error says that there is no such file.
func Missing(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR)
}

// Apply makes a change, see targets.FileTarget. as runs what touches the target, with the rights of its account; the new
// content is opened without them.
func Apply(ctx context.Context, fs FS, c *targets.Change, as func(func() error) error) error {
	s := &steps{fs: fs, c: c}
	if err := as(s.verify); err != nil {
		return err
	}
	var content io.Reader
	if c.Op == targets.Write {
		if c.Content == nil {
			return syscall.EINVAL
		}
		in, err := c.Content()
		if err != nil {
			return fmt.Errorf("open the new content: %w", err)
		}
		defer func() { _ = in.Close() }()
		content = targets.NewReader(ctx, io.LimitReader(in, c.Size+1))
	}
	return as(func() error { return s.make(content) })
}

// steps is one change while it is made.
type steps struct {
	fs         FS
	c          *targets.Change
	was, wasTo Seen // what was verified
}

// verify compares what is there with what was decided on.
func (s *steps) verify() (err error) {
	if s.was, err = s.expect(s.c.Path, s.c.Was); err != nil {
		return err
	}
	if s.c.Op == targets.Rename {
		s.wasTo, err = s.expect(s.c.To, s.c.WasTo)
	}
	return err
}

func (s *steps) expect(name string, want *targets.State) (Seen, error) {
	have, err := s.fs.Look(name, want != nil && want.Hashed)
	if err != nil {
		return have, err
	}
	if !have.State.Same(want) {
		return have, fmt.Errorf("%w: %s", targets.ErrConflict, targets.Difference(name, have.State, want))
	}
	return have, nil
}

// make makes the change. content is what is to be written.
func (s *steps) make(content io.Reader) error {
	a := Attributes{Mode: s.c.Mode & 0o7777, UID: s.c.UID, GID: s.c.GID}
	switch s.c.Op {
	case targets.Write:
		a.Mtime = s.c.Mtime
		return s.build(func(temp string) error { return s.write(temp, content, a) })
	case targets.Mkdir:
		if s.was.State != nil {
			return syscall.EINVAL
		}
		return s.build(func(temp string) error { return s.fs.NewDir(temp, a) })
	case targets.Symlink:
		return s.build(func(temp string) error { return s.fs.NewLink(temp, s.c.To, a) })
	case targets.Delete:
		return s.delete()
	case targets.Rmdir:
		return s.rmdir()
	case targets.Rename:
		return s.rename()
	case targets.Chmod, targets.Chown, targets.Touch:
		return s.attributes()
	}
	return syscall.EINVAL
}

// temp is a new temporary name beside the change's path, for what new makes names of.
func (s *steps) temp(new func(id string) (string, error)) (string, error) {
	base, err := new(s.c.ID)
	return path.Join(path.Dir(s.c.Path), base), err
}

// build makes what is to be under a temporary name and then gives it the name, in one step where the target can.
func (s *steps) build(make func(temp string) error) error {
	temp, err := s.temp(targets.TempName)
	if err != nil {
		return err
	}
	if err := make(temp); err != nil {
		return errors.Join(err, s.fs.Discard(temp))
	}
	swapped := false // what was replaced has the temporary name
	if s.was.State == nil {
		err = s.occupy(temp, s.c.Path)
	} else {
		swapped, err = s.supplant(temp, s.c.Path, s.was)
	}
	switch {
	case err != nil && swapped:
		return err // nobody has verified what has the temporary name: it stays
	case err != nil:
		return errors.Join(err, s.fs.Discard(temp))
	case swapped:
		if err := s.fs.Discard(temp); err != nil {
			back := s.exchangeBack(temp, s.c.Path)
			if back == nil {
				back = s.fs.Discard(temp)
			}
			return errors.Join(fmt.Errorf("remove what was replaced: %w", err), back)
		}
	}
	return s.fs.Sync(path.Dir(s.c.Path))
}

// occupy gives what was made a name that must be free.
func (s *steps) occupy(temp, to string) error {
	err := s.fs.Rename(temp, to)
	if errors.Is(err, errors.ErrUnsupported) {
		err = s.fs.Place(temp, to)
	}
	return s.occupied(to, err)
}

// occupied makes a conflict of a name that is not free.
func (s *steps) occupied(to string, err error) error {
	if errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("%w: %s exists", targets.ErrConflict, to)
	}
	return err
}

// supplant gives a file the name of another one that was verified. Where the target can exchange names, it looks once more
// at the file that is to go, and changes the names back where that is not what was verified: somebody may have written or
// replaced it in the short moment since. swapped says that what was replaced has the other name now.
func (s *steps) supplant(from, to string, verified Seen) (swapped bool, err error) {
	err = s.fs.Exchange(from, to)
	switch {
	case err == nil:
	case errors.Is(err, errors.ErrUnsupported):
		if err := s.still(to, verified, false); err != nil {
			return false, err
		}
		return false, s.fs.Replace(from, to)
	case Missing(err):
		return false, changedNow(to)
	default:
		return false, err
	}
	now, err := s.fs.Still(from, verified, false)
	if now && err == nil {
		return true, nil
	}
	if err == nil {
		err = changedNow(to)
	}
	back := s.exchangeBack(from, to)
	return back != nil, undone(err, back)
}

// undone is an error after which everything is as it was, but where the step back failed as well: that is no conflict, since
// something was changed.
func undone(err, back error) error {
	if back == nil {
		return err
	}
	return fmt.Errorf("%v, and it could not be put back: %w", err, back)
}

func (s *steps) exchangeBack(from, to string) error {
	fs, release := s.fs.Undoing()
	defer release()
	return fs.Exchange(from, to)
}

func (s *steps) renameBack(from, to string) error {
	fs, release := s.fs.Undoing()
	defer release()
	return fs.Rename(from, to)
}

// still fails with a conflict where a name does not lead to what was verified.
func (s *steps) still(name string, verified Seen, thorough bool) error {
	now, err := s.fs.Still(name, verified, thorough)
	if err == nil && !now {
		err = changedNow(name)
	}
	return err
}

func changedNow(name string) error {
	return fmt.Errorf("%w: %s was changed at this moment", targets.ErrConflict, name)
}

// copySize is how much of a content is written at once, in bytes.
const copySize = 64 << 10

// write makes the new file.
func (s *steps) write(temp string, content io.Reader, a Attributes) error {
	f, err := s.fs.NewFile(temp)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(f, sum), content, make([]byte, copySize))
	if err == nil && (n != s.c.Size || [sha256.Size]byte(sum.Sum(nil)) != s.c.SHA256) {
		err = errors.New("the content is not the one that was decided upon")
	}
	if err == nil {
		if s.was.State.IsRegular() {
			a.Like = s.c.Path
		}
		err = f.Finish(a)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func (s *steps) delete() error {
	if s.was.State == nil || s.was.State.IsDir() {
		return syscall.EINVAL
	}
	if err := s.takeAway(s.c.Path, s.was); err != nil {
		return err
	}
	return s.fs.Sync(path.Dir(s.c.Path))
}

// takeAway removes a file that was verified. It gives the file a temporary name first, so that what is removed is that file
// and nothing else.
func (s *steps) takeAway(name string, verified Seen) error {
	temp, err := s.temp(targets.TakenName)
	if err != nil {
		return err
	}
	switch err := s.fs.Rename(name, temp); {
	case err == nil:
	case errors.Is(err, errors.ErrUnsupported):
		if err := s.still(name, verified, true); err != nil {
			return err
		}
		return s.fs.Remove(name)
	case Missing(err):
		return changedNow(name)
	default:
		return err
	}
	err = s.still(temp, verified, true)
	if err == nil {
		err = s.fs.Remove(temp)
	}
	if err != nil {
		return undone(err, s.renameBack(temp, name))
	}
	return nil
}

func (s *steps) rmdir() error {
	if !s.was.State.IsDir() {
		return syscall.EINVAL
	}
	switch err := s.fs.RemoveDir(s.c.Path); {
	case err == nil:
		return s.fs.Sync(path.Dir(s.c.Path))
	case errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EEXIST):
		return fmt.Errorf("%w: %s is not empty", targets.ErrConflict, s.c.Path)
	case Missing(err):
		return changedNow(s.c.Path)
	default:
		return err
	}
}

// rename moves a file. What had the new name is exchanged with it first, looked at, and only then removed.
func (s *steps) rename() error {
	if s.was.State == nil || s.was.State.IsDir() || s.wasTo.State.IsDir() {
		return syscall.EINVAL
	}
	move := s.renameOver
	if s.wasTo.State == nil {
		move = s.renameFree
	}
	if err := move(s.c.Path, s.c.To); err != nil {
		return err
	}
	return errors.Join(s.fs.Sync(path.Dir(s.c.To)), s.fs.Sync(path.Dir(s.c.Path)))
}

func (s *steps) renameFree(from, to string) error {
	if err := s.fs.Rename(from, to); err != nil {
		if Missing(err) {
			return changedNow(from)
		}
		return s.occupied(to, err) // EXDEV too: the two are on different file systems
	}
	if err := s.still(to, s.was, false); err != nil {
		return undone(err, s.renameBack(to, from))
	}
	return nil
}

func (s *steps) renameOver(from, to string) error {
	if err := s.still(from, s.was, false); err != nil {
		return err
	}
	swapped, err := s.supplant(from, to, s.wasTo)
	if err != nil || !swapped {
		return err
	}
	err = s.still(to, s.was, false)
	if err == nil {
		if err = s.takeAway(from, s.wasTo); errors.Is(err, targets.ErrConflict) {
			return nil // what was replaced is gone already, or somebody else has another file there
		}
	}
	if err != nil {
		return undone(err, s.exchangeBack(from, to))
	}
	return nil
}

// attributes changes mode, owner or time of exactly the file that was verified.
func (s *steps) attributes() error {
	if s.was.State == nil || s.was.State.IsLink() && s.c.Op == targets.Chmod {
		return syscall.EINVAL
	}
	held, err := s.fs.Hold(s.c.Path, s.was)
	if err != nil {
		return err
	}
	defer held.Close()
	if s.c.Op == targets.Touch {
		err = held.Touch(s.c.Mtime)
	} else {
		err = s.ownerAndMode(held)
	}
	if err != nil {
		return err
	}
	return held.Sync()
}

// ownerAndMode changes nothing where it fails.
func (s *steps) ownerAndMode(held Held) error {
	was := s.was.State
	if s.c.Op == targets.Chown {
		if err := held.Chown(s.c.UID, s.c.GID); err != nil {
			return err
		}
	}
	if was.IsLink() {
		return nil
	}
	err := held.Chmod(s.c.Mode & 0o7777)
	if err != nil {
		if s.c.Op == targets.Chown {
			_ = held.Chown(was.UID, was.GID)
		}
		_ = held.Chmod(was.Perm())
	}
	return err
}
