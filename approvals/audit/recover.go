package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
)

// recover finds the log's end, removes what a crash cut off, and compares the end with the signed head. It returns the
// events that tell the log of that.
func (l *Log) recover() (news []Event, err error) {
	head, key, damaged, err := readHead(filepath.Join(l.o.Dir, headFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if l.kept, err = segments(l.o.Dir); err != nil {
		return nil, err
	}
	if len(l.kept) > 0 {
		l.number, _ = segmentNumber(l.kept[len(l.kept)-1])
	}
	if head != nil {
		// Files that were about to be removed.
		if i := slices.Index(l.kept, head.First); i > 0 {
			if err := remove(l.o.Dir, l.kept[:i]); err != nil {
				return nil, err
			}
			l.kept = l.kept[i:]
		}
	}
	if news, err = l.findEnd(); err != nil {
		return nil, err
	}
	known, err := l.anchored()
	if err != nil {
		return nil, err
	}
	if head != nil || len(l.kept) > 0 || damaged { // else it is a new log
		news = append(news, l.compare(head, key, damaged)...)
	}
	if l.o.Anchor != nil {
		news = append(news, l.compareAnchor(known)...)
	}
	return news, nil
}

// findEnd makes the last file with a whole line the one that is written.
func (l *Log) findEnd() (news []Event, err error) {
	for len(l.kept) > 0 {
		name := l.kept[len(l.kept)-1]
		path := filepath.Join(l.o.Dir, name)
		p, err := findEnd(path)
		if err != nil {
			return nil, err
		}
		if p.more > 0 {
			news = append(news, Event{
				Event: Recovered, Files: []string{name}, Count: uint64(p.more), Hash: hashOf(p.rest), // #nosec G115 -- not negative
				Reason: "the last line was not whole, and was removed",
			})
		}
		if p.hash == "" { // not even its first line was written
			if err := remove(l.o.Dir, []string{name}); err != nil {
				return nil, err
			}
			l.kept = l.kept[:len(l.kept)-1]
			continue
		}
		f, err := l.openFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		l.end = end{file: f, name: name, size: p.size, seq: p.seq, hash: p.hash}
		if l.fileID, err = os.Lstat(path); err != nil {
			return nil, err
		}
		l.day = name[len("audit-") : len("audit-")+len("2006-01-02")]
		if p.more > 0 {
			if err := errors.Join(f.Truncate(p.size), f.Sync()); err != nil {
				return nil, err
			}
		}
		return news, nil
	}
	return news, nil
}

// anchored finds the line that the journal knows among those that are there, and returns its hash, "" where it is not.
func (l *Log) anchored() (hash string, err error) {
	if l.o.Anchor == nil {
		return "", nil
	}
	for i := len(l.kept) - 1; i >= 0; i-- {
		first, hash, err := findLine(filepath.Join(l.o.Dir, l.kept[i]), l.o.Anchor.Seq)
		if err != nil || hash != "" || first <= l.o.Anchor.Seq {
			return hash, err
		}
	}
	return "", nil
}

// compareAnchor says how the log differs from what the journal knows of it. known is the hash that the log has for the
// line that the journal knows.
func (l *Log) compareAnchor(known string) (news []Event) {
	reason := differs(*l.o.Anchor, l.seq, known)
	if reason == "" {
		return nil
	}
	l.o.Log.Error("the audit log is not as it was left", "directory", l.o.Dir, "reason", reason)
	news = []Event{{Event: Broken, Reason: reason, Count: l.o.Anchor.Seq, Hash: l.o.Anchor.Hash}}
	if len(l.kept) == 0 && l.seq < l.o.Anchor.Seq { // the next line follows those that are lost
		l.seq, l.hash = l.o.Anchor.Seq, l.o.Anchor.Hash
	}
	return news
}

// compare says how the log differs from its signed head. The log goes on where it ends. The finding stays in it, and
// verify names it.
func (l *Log) compare(head *head, key ssh.PublicKey, damaged bool) (news []Event) {
	broken := func(format string, args ...any) {
		e := Event{Event: Broken, Reason: fmt.Sprintf(format, args...)}
		if head != nil {
			e.Count, e.Hash = head.Seq, head.Hash
		}
		l.o.Log.Error("the audit log is not as it was left", "directory", l.o.Dir, "reason", e.Reason)
		news = append(news, e)
	}
	if damaged {
		broken("the signed head was damaged")
	}
	if head == nil {
		broken("there is no signed head")
		return news
	}
	if !same(key, l.o.Signer.PublicKey()) {
		e := handover(key, l.o.Signer, l.o.Former)
		l.o.Log.Info("another host key signs the audit log", "before", e.Key, "now", ssh.FingerprintSHA256(l.o.Signer.PublicKey()),
			"handed_over", e.signer != nil)
		news = append(news, e)
	}
	seq, hash := l.seq, l.hash
	if len(l.kept) == 0 {
		broken("the files of the log are gone")
		l.seq, l.hash = head.Seq, head.Hash
		l.number, _ = segmentNumber(head.Segment)
		return news
	}
	if !slices.Contains(l.kept, head.First) {
		broken("the oldest file, %s, is gone", head.First)
	}
	switch {
	case head.Seq > seq:
		broken("the log ended at line %d, and its signed head says %d", seq, head.Seq)
	case head.Seq == seq && head.Hash != hash:
		broken("the last line, %d, is not the one that was signed", seq)
	}
	return news
}
