package audit

import (
	"fmt"
	"os"
	"path/filepath"
)

// openHead opens the file of the signed head.
func (l *Log) openHead() error {
	path := filepath.Join(l.o.Dir, headFile)
	head, err := l.openFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.head = head
	l.headID, err = os.Lstat(path)
	return err
}

// gone says which of the open files is no longer under its name, "" for none. What the log writes there would be lost
// with the last descriptor.
func (l *Log) gone() string {
	for _, f := range []struct {
		name string
		id   os.FileInfo
	}{{l.name, l.fileID}, {headFile, l.headID}} {
		if f.id == nil {
			continue
		}
		now, err := os.Lstat(filepath.Join(l.o.Dir, f.name))
		if os.IsNotExist(err) || err == nil && !os.SameFile(now, f.id) {
			return fmt.Sprintf("%s was removed or replaced while the gateway wrote it", f.name)
		}
	}
	return ""
}

// beginAgain goes on in new files, which say that the ones before are gone.
func (l *Log) beginAgain(gone string) error {
	l.o.Log.Error("the audit log was tampered with", "directory", l.o.Dir, "reason", gone)
	if err := os.MkdirAll(l.o.Dir, 0o700); err != nil {
		return err
	}
	l.watched.soon()
	before := l.head
	if err := l.openHead(); err != nil {
		return err
	}
	if before != nil {
		_ = before.Close()
	}
	l.turn = 0
	kept, err := segments(l.o.Dir)
	if err != nil {
		return err
	}
	for _, name := range kept { // whoever replaced them may have put further ones there
		n, _ := segmentNumber(name)
		l.number = max(l.number, n)
	}
	l.kept = kept
	return l.begin()
}
