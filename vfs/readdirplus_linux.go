package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// LstatAll implements bulk. The directory is held, so that each name is one component that the kernel looks up in it, and
// follows no link. /proc has files that are not for every view, and is asked about one by one.
func (h *host) LstatAll(dir string, names []string, each func(i int, info Info)) error {
	if dir == "/proc" || strings.HasPrefix(dir, "/proc/") {
		return unix.EOPNOTSUPP
	}
	_, err := with(h, dir, func(h *host, dir string) (struct{}, error) {
		held, err := openBeneath(h.root, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return struct{}{}, err
		}
		defer closeFD(held)
		var st unix.Stat_t
		for i, name := range names {
			if fstatat(held, name, &st) == nil {
				each(i, infoOf(&st))
			}
		}
		return struct{}{}, nil
	})
	return err
}

// fstatat describes one component of a held directory, a link as a link, and mounts nothing for it.
func fstatat(dir int, name string, st *unix.Stat_t) error {
	for {
		err := unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
		if err != unix.EINTR {
			return err
		}
	}
}

// LstatAll implements bulk where nothing differs from the base.
func (p *Snapshot) LstatAll(dir string, names []string, each func(i int, info Info)) error {
	p.mu.RLock()
	differs := len(p.files) > 0
	p.mu.RUnlock()
	if b, ok := p.base.(bulk); ok && !differs {
		return b.LstatAll(dir, names, each)
	}
	return unix.EOPNOTSUPP
}
