package targets

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"syscall"
	"time"
)

// FileOp is what a Change does.
type FileOp string

// File operations. Each says what of a Change it uses beside ID, Path and Was.
const (
	Write   FileOp = "write"   // Content, Size, SHA256, Mode, UID, GID, Mtime where it is not zero: a regular file, made or replaced
	Delete  FileOp = "delete"  // a file that is no directory
	Rename  FileOp = "rename"  // To, WasTo: a regular file or a link gets another name, what had that name is gone
	Mkdir   FileOp = "mkdir"   // Mode, UID, GID
	Rmdir   FileOp = "rmdir"   // an empty directory
	Symlink FileOp = "symlink" // To, the link's text; UID, GID
	Chmod   FileOp = "chmod"   // Mode
	Chown   FileOp = "chown"   // UID, GID, Mode: the kernel clears set-user-ID bits, so the mode is set too
	Touch   FileOp = "touch"   // Mtime, or where it is zero the moment of the change
)

// Change is one file operation as it was decided: nothing in it is looked up again.
type Change struct {
	// ID is made of a-z, 0-9 and dashes and names the temporary files of the change, so that Sweep finds them.
	ID   string
	Op   FileOp
	Path string // absolute, clean, with every link resolved
	To   string // the new name, absolute and clean; a link's text
	// Mode holds permission bits (07777), UID and GID the owner: as they are to be afterwards.
	Mode     uint32
	UID, GID uint32
	Mtime    time.Time
	// Content opens what is to be written: Size bytes with this SHA256, which Apply checks.
	Content func() (io.ReadCloser, error)
	Size    int64
	SHA256  [sha256.Size]byte
	// Was is what must still be at Path, nil for nothing; WasTo the same for To.
	Was, WasTo *State
}

// State is what is at a path.
type State struct {
	Mode     uint32 // st_mode: type and permission bits
	UID, GID uint32
	Size     int64 // bytes, of a regular file
	Mtime    time.Time
	Link     string            // text of a symbolic link
	SHA256   [sha256.Size]byte // of a regular file's content, where Hashed
	Hashed   bool
}

// Type returns the S_IFMT bits.
func (s *State) Type() uint32 { return s.Mode & syscall.S_IFMT }

// Perm returns the permission bits, set-user-ID, set-group-ID and sticky bit included.
func (s *State) Perm() uint32 { return s.Mode & 0o7777 }

// IsDir reports whether it is a directory. Nil is nothing.
func (s *State) IsDir() bool { return s != nil && s.Type() == syscall.S_IFDIR }

// IsRegular reports whether it is a regular file. Nil is nothing.
func (s *State) IsRegular() bool { return s != nil && s.Type() == syscall.S_IFREG }

// IsLink reports whether it is a symbolic link. Nil is nothing.
func (s *State) IsLink() bool { return s != nil && s.Type() == syscall.S_IFLNK }

// Same reports whether two states are the same for a change: type, permission bits, owner, a link's text, a file's
// content. Where one content has no hash, size and time of the last change decide. Nil is nothing.
func (s *State) Same(o *State) bool {
	switch {
	case s == nil || o == nil:
		return s == nil && o == nil
	case s.Mode != o.Mode || s.UID != o.UID || s.GID != o.GID || s.Link != o.Link:
		return false
	case !s.IsRegular():
		return true
	case s.Hashed && o.Hashed:
		return s.Size == o.Size && s.SHA256 == o.SHA256
	}
	return s.Size == o.Size && s.Mtime.Equal(o.Mtime)
}

// ErrConflict says that the target does not hold any more what a change was decided upon. Nothing was changed.
var ErrConflict = errors.New("the target has changed since")

// ErrInterrupted is wrapped by Apply's error where the connection broke before the answer came: a look at the target may tell
// whether the change was made.
var ErrInterrupted = errors.New("the connection was lost while it was made")

// FileTarget is a Target whose files can be changed. Paths are absolute and clean. No method follows a symbolic link,
// neither as the last component nor before: ELOOP.
type FileTarget interface {
	Target
	// State describes what is at a path, with a regular file's hash. It is nil where nothing is there, or where a
	// directory on the way is missing.
	State(ctx context.Context, path string) (*State, error)
	// Content opens a regular file for reading and describes it, without its hash.
	Content(ctx context.Context, path string) (io.ReadCloser, *State, error)
	// Apply makes one change with the rights of the target's account, durably: when it returns nil the change outlives
	// a crash. Where Was or WasTo no longer holds it returns ErrConflict; after any error nothing was changed. A reader
	// sees the file as it was or as it is to be, never a part of it.
	Apply(ctx context.Context, c Change) error
	// Sweep removes what an interrupted Apply of the change with this ID has left beside a path, and puts back what it had taken
	// away, unless something else is at the path by now.
	Sweep(ctx context.Context, id, path string) error
}
