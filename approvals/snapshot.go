package approvals

import (
	"io"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/vfs"
)

// remember makes the view of a script that runs again: every file that its earlier run has changed is at first what it
// was before, where that was kept. nil where nothing was changed.
func (l *workspace) remember(base vfs.Source, earlier []journal.Operation) *vfs.Snapshot {
	files := map[string]*vfs.SnapshotFile{}
	l.last = map[string]int{}
	for i := range earlier {
		o := &earlier[i]
		if !o.Made() {
			continue
		}
		for path, was := range o.File.Before() {
			if _, ok := files[path]; !ok && (was == nil || o.File.Kept) {
				files[path] = l.snapshotFile(was)
			}
			l.last[path] = o.N
		}
	}
	if len(files) == 0 {
		return nil
	}
	return vfs.NewSnapshot(base, files)
}

func (l *workspace) snapshotFile(s *journal.FileState) *vfs.SnapshotFile {
	if s == nil {
		return nil
	}
	p := &vfs.SnapshotFile{Target: string(s.Link), Info: vfs.Info{
		Mode: s.Mode, UID: s.UID, GID: s.GID, Size: s.Size, Blocks: (s.Size + 511) / 512, Nlink: 1, Atime: s.Mtime, Mtime: s.Mtime, Ctime: s.Mtime,
	}}
	if sha := s.SHA256; sha != "" {
		p.Content = func() (io.ReadCloser, error) {
			r, _, err := l.m.config.Blobs.OpenBlob(sha)
			return r, err
		}
	}
	return p
}

// reached says that the script has come to a change of its earlier run: what it reads from now on is what it read
// after it.
func (l *workspace) reached(o *journal.Operation) {
	for path, now := range o.File.After() {
		if l.last[path] <= o.N {
			l.snapshot.Reach(path)
		} else {
			l.snapshot.Set(path, l.snapshotFile(now))
		}
	}
}
