// Package durable gives files their names in such a way that a crash leaves what was there before or what is there now,
// whole, and never a part: content goes to a temporary file of the same directory and to the disk, then the file gets its
// name, and then the directory goes to the disk (fsync(2), rename(2)). It must never be told about content that may be
// lost: each of these steps waits for the disk.
package durable

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A File is written under a temporary name and gets its own at the end, by Replace or Create. It is for one goroutine.
type File struct {
	*os.File
	sealed bool
	err    error // of sealing
}

// New makes an empty file, of mode 0600, in the directory where it will have its name. The pattern of the temporary name
// is that of os.CreateTemp. Discard must follow, at the latest after Replace or Create.
func New(dir, pattern string) (*File, error) {
	f, err := os.CreateTemp(dir, pattern) // O_EXCL, 0600
	if err != nil {
		return nil, err
	}
	return &File{File: f}, nil
}

// Seal brings the content to the disk and ends the writing. A second call gives the first one's error.
func (f *File) Seal() error {
	if !f.sealed {
		f.sealed = true
		f.err = errors.Join(f.Sync(), f.Close())
	}
	return f.err
}

// Replace gives the file its name, and takes it from a file that had it.
func (f *File) Replace(name string) error {
	if err := f.Seal(); err != nil {
		return err
	}
	return Rename(f.Name(), name)
}

// Create gives the file its name. It fails with fs.ErrExist where there is something of that name. The file system must
// have hard links.
func (f *File) Create(name string) error {
	if err := f.Seal(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(name))
}

// Discard removes what has no name but the temporary one. After Replace or Create it costs the file nothing.
func (f *File) Discard() {
	if !f.sealed {
		f.sealed, f.err = true, errors.New("the file was discarded")
		_ = f.Close()
	}
	_ = os.Remove(f.Name())
}

// Create writes a new file of mode 0600. It fails with fs.ErrExist where there is something of that name.
func Create(name string, content []byte) error {
	f, err := New(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Create(name)
}

// Rename gives another name in the same file system to something whose content is on the disk already.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// RenameTree gives another name to a directory, once everything in it is on the disk. It syncs the whole file system, which
// for many files is far quicker than one after the other.
func RenameTree(from, to string) error {
	unix.Sync()
	return Rename(from, to)
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(name string) error {
	d, err := os.Open(name) // #nosec G304 -- a directory that the caller has chosen
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncAll brings the content of files, and the names in directories, to the disk. It waits for all of them at once. It is for
// who writes much that nobody depends on before a certain moment, and then syncs each file, its directory, and the directories
// above that are new.
func SyncAll(names ...string) error {
	results := make(chan error, len(names))
	for _, name := range names {
		go func() { results <- SyncDir(name) }()
	}
	var err error
	for range names {
		err = errors.Join(err, <-results)
	}
	return err
}
