package vfs

import (
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Static is a small tree in memory, for what an engine makes up. It may be used and added to from several goroutines.
// The zero value is an empty directory.
type Static struct {
	mu    sync.RWMutex
	files map[string]*staticFile
	made  time.Time
}

type staticFile struct {
	info    Info
	content []byte
	target  string
	names   []string
}

// SetTime sets the time that files added from now on bear; without it they bear the zero time.
func (t *Static) SetTime(made time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = made
}

// AddDir adds a directory, mode 0755, and the ones above it.
func (t *Static) AddDir(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.directory(path.Clean("/" + name))
}

// AddFile adds a regular file, or replaces one. The content must not be changed afterwards.
func (t *Static) AddFile(name string, mode uint32, content []byte) {
	t.add(name, &staticFile{
		info:    Info{Mode: syscall.S_IFREG | mode&0o7777, Size: int64(len(content)), Blocks: int64(len(content)+511) / 512},
		content: content,
	})
}

// AddLink adds a symbolic link with this text, or replaces one.
func (t *Static) AddLink(name, target string) {
	t.add(name, &staticFile{info: Info{Mode: syscall.S_IFLNK | 0o777, Size: int64(len(target))}, target: target})
}

func (t *Static) add(name string, f *staticFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name = path.Clean("/" + name)
	dir := t.directory(path.Dir(name))
	f.info.Nlink = 1
	if old := t.files[name]; old != nil {
		f.info.Ino = old.info.Ino
	} else {
		dir.names = append(dir.names, path.Base(name))
	}
	t.place(name, f)
}

// directory returns a directory, made where it is missing.
func (t *Static) directory(name string) *staticFile {
	if f := t.files[name]; f != nil {
		return f
	}
	f := &staticFile{info: Info{Mode: syscall.S_IFDIR | 0o755, Nlink: 2}}
	if name != "/" {
		up := t.directory(path.Dir(name))
		up.names = append(up.names, path.Base(name))
		up.info.Nlink++
	}
	t.place(name, f)
	return f
}

func (t *Static) place(name string, f *staticFile) {
	if t.files == nil {
		t.files = map[string]*staticFile{}
	}
	if f.info.Ino == 0 {
		f.info.Ino = uint64(len(t.files) + 1)
	}
	f.info.Atime, f.info.Mtime, f.info.Ctime = t.made, t.made, t.made
	t.files[name] = f
}

// find returns a file as it is now: a copy, since a directory changes when something is added to it.
func (t *Static) find(name string) (staticFile, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if f := t.files[name]; f != nil {
		return *f, nil
	}
	if name == "/" {
		return staticFile{info: Info{Mode: syscall.S_IFDIR | 0o755, Nlink: 2, Ino: 1}}, nil
	}
	for up := path.Dir(name); ; up = path.Dir(up) {
		if f := t.files[up]; f != nil {
			switch f.info.Type() {
			case syscall.S_IFDIR:
				return staticFile{}, syscall.ENOENT
			case syscall.S_IFLNK:
				return staticFile{}, syscall.ELOOP
			}
			return staticFile{}, syscall.ENOTDIR
		}
		if up == "/" || up == "." {
			return staticFile{}, syscall.ENOENT
		}
	}
}

// Lstat describes a file.
func (t *Static) Lstat(name string) (Info, error) {
	f, err := t.find(name)
	if err != nil {
		return Info{}, err
	}
	return f.info, nil
}

// ReadDir lists a directory.
func (t *Static) ReadDir(name string) ([]Dirent, error) {
	f, err := t.find(name)
	if err != nil {
		return nil, err
	}
	if !f.info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]Dirent, 0, len(f.names))
	for _, n := range f.names {
		info := t.files[strings.TrimSuffix(name, "/")+"/"+n].info
		out = append(out, Dirent{Name: n, Ino: info.Ino, Type: info.Type()})
	}
	slices.SortFunc(out, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Readlink returns a link's text.
func (t *Static) Readlink(name string) (string, error) {
	f, err := t.find(name)
	if err != nil {
		return "", err
	}
	if !f.info.IsSymlink() {
		return "", syscall.EINVAL
	}
	return f.target, nil
}

// Open returns a descriptor of a sealed copy of the content. EROFS for writing.
func (t *Static) Open(name string, flags int) (int, error) {
	f, err := t.find(name)
	switch {
	case err != nil:
		return -1, err
	case flags&syscall.O_ACCMODE != syscall.O_RDONLY:
		return -1, syscall.EROFS
	case f.info.IsDir():
		return -1, syscall.EISDIR
	case f.info.IsSymlink():
		return -1, syscall.ELOOP
	}
	return Sealed(path.Base(name), f.content)
}
