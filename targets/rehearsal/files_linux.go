//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"crypto/sha256"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// What is read here was made by hostile commands, or changes on the host meanwhile: no link is followed, and nothing is read but
// directories and regular files.

// stateOf is what stat says.
func stateOf(s *unix.Stat_t) *targets.State {
	state := &targets.State{Mode: s.Mode, UID: s.Uid, GID: s.Gid, Mtime: time.Unix(s.Mtim.Unix())}
	if s.Mode&unix.S_IFMT == unix.S_IFREG {
		state.Size = s.Size
	}
	return state
}

// openParent opens the directory that holds a path below another, -1 where there is none, and gives the last name.
func openParent(dir int, name string) (parent int, last string) {
	parent, err := vfs.OpenBeneath(dir, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return -1, ""
	}
	return parent, path.Base(name)
}

// readNames are the names in a directory, which may be read more than once.
func readNames(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "directory")
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(maxEntries)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

func readLink(dir int, name string) string {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buffer)
	if err != nil {
		return ""
	}
	return string(buffer[:n])
}

// opaque reports whether an overlay's directory hides what is below it.
func opaque(fd int) bool {
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		var value [2]byte
		if n, err := unix.Fgetxattr(fd, name, value[:]); err == nil && n == 1 && value[0] == 'y' {
			return true
		}
	}
	return false
}

// hash reads a regular file: its hash, and its content where that is not larger than keep.
func hash(dir int, name string, keep int64) (content []byte, digest [sha256.Size]byte, err error) {
	fd, err := vfs.OpenBeneath(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err != nil {
		return nil, digest, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, digest, unix.EINVAL
	}
	if st.Size <= keep {
		content, err = io.ReadAll(io.LimitReader(f, keep+1))
		return content, sum(content), err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(digest[:0])
	return nil, digest, err
}

func sum(content []byte) [sha256.Size]byte { return sha256.Sum256(content) }
