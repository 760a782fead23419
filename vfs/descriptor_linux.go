package vfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// InfoOf is Info of an open file of this host by what the kernel says of its descriptor, which spares looking the name up. It
// reports false where Info has to be asked: a name may lead to something of the session's, which then is what the file is too.
func InfoOf(file File, st *unix.Stat_t) (Info, bool) {
	f, ok := file.(*sourceFile)
	if !ok || !f.layer.base || f.layer.holding == nil {
		return Info{}, false
	}
	f.s.mu.Lock()
	changed := f.s.nodes > 0 || f.s.closed
	f.s.mu.Unlock()
	if changed {
		return Info{}, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stream != nil {
		return f.info, true // the descriptor only stands for it
	}
	if now := infoOf(st); now.Dev == f.info.Dev && now.Ino == f.info.Ino {
		f.info = now
		return now, true
	}
	// A file that the kernel makes is a copy, with the attributes that it had when it was copied.
	return f.info, strings.HasPrefix(f.path, "/proc/")
}
