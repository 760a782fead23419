package pypy

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Bounds of an archive, whatever its hash says.
const (
	maxMembers  = 100_000
	maxMember   = 256 << 20 // bytes of one file
	maxUnpacked = 1 << 30   // bytes of all files that are looked at
	maxName     = 512       // bytes
)

// chooser says where a member goes in the installation, or "" for one that is left out. The name is clean and relative.
type chooser func(name string) string

// executableParts are the executable under any of its names, and its shared libraries, wherever they are in the archive.
func executableParts(name string) string {
	base := path.Base(name)
	if base == "pypy3-c" || base == "pypy-sandbox" || base == "pypy3-c-sandbox" {
		return executableFile
	}
	if strings.HasPrefix(base, "lib") && strings.Contains(base, ".so") {
		return path.Dir(executableFile) + "/" + base
	}
	return ""
}

// libraryParts are the standard library, below the archive's one directory, without its tests.
func libraryParts(name string) string {
	_, inside, _ := strings.Cut(name, "/")
	if inside == "lib-python/3/test" || strings.HasPrefix(inside, "lib-python/3/test/") {
		return ""
	}
	for _, dir := range []string{"lib-python/3/", "lib_pypy/"} {
		if strings.HasPrefix(inside, dir) {
			return inside
		}
	}
	return ""
}

// unpack writes the chosen members of an archive below root. Every member is checked, also those that are left out: an
// archive with one that leads out is refused as a whole.
func unpack(archive string, root *os.Root, choose chooser) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	plain, err := decompress(bufio.NewReader(f))
	if err != nil {
		return err
	}
	left := int64(maxUnpacked)
	members := tar.NewReader(plain)
	for n := 0; ; n++ {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if n >= maxMembers {
			return fmt.Errorf("the archive has more than %d members", maxMembers)
		}
		if left -= max(header.Size, 0); header.Size > maxMember || left < 0 {
			return fmt.Errorf("the archive's member %q is too large", header.Name)
		}
		if err := unpackMember(members, header, root, choose); err != nil {
			return err
		}
	}
}

// decompress knows what the archives are compressed with.
func decompress(r *bufio.Reader) (io.Reader, error) {
	magic, err := r.Peek(3)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the archive: %w", err)
	case string(magic) == "BZh":
		return bzip2.NewReader(r), nil
	case magic[0] == 0x1f && magic[1] == 0x8b:
		return gzip.NewReader(r)
	}
	return nil, errors.New("the archive is neither gzip nor bzip2")
}

func unpackMember(from io.Reader, h *tar.Header, root *os.Root, choose chooser) error {
	name, err := memberName(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
	case tar.TypeSymlink, tar.TypeLink:
		// Nothing of the installation is a link; one that leads out says what the archive is.
		target := h.Linkname
		if h.Typeflag == tar.TypeSymlink {
			target = path.Join(path.Dir(name), h.Linkname) // #nosec G305 -- checked below, and never made
		}
		if _, err := memberName(target); err != nil || path.IsAbs(h.Linkname) {
			return fmt.Errorf("the archive's member %q is a link that leads out, to %q", h.Name, h.Linkname)
		}
		return nil
	default:
		return fmt.Errorf("the archive's member %q is neither a file nor a directory", h.Name)
	}
	to := choose(name)
	if to == "" || h.Typeflag != tar.TypeReg {
		return nil
	}
	if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	out, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("unpack %q: %w", h.Name, err)
	}
	if _, err := io.Copy(out, io.LimitReader(from, maxMember)); err != nil {
		_ = out.Close()
		return fmt.Errorf("unpack %q: %w", h.Name, err)
	}
	return out.Close()
}

// memberName cleans a name that stays below the directory that it is unpacked in.
func memberName(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("the archive's member %q leads out", name)
		}
	}
	clean := path.Clean(name)
	if path.IsAbs(name) || name == "" || len(name) > maxName || strings.ContainsAny(name, "\x00\\") {
		return "", fmt.Errorf("the archive's member %q has no name that is taken", name)
	}
	return clean, nil
}
