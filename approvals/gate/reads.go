package gate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"shannot-gateway/approvals/journal"
)

// readList collects the files that a script opens.
type readList struct {
	mu    sync.Mutex
	names map[string]struct{}
	bytes int
	more  uint64
	sum   hash.Hash // of the names that the list has no room for, nil where there are none
}

// Bounds of one session's list.
const (
	maxReadFiles = 20_000
	maxReadBytes = 2 << 20
	maxReadHere  = 4 << 10 // in the record itself, in bytes: content costs more waits for the disk
)

// add is called for each file that is opened.
func (l *readList) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.names[name]; ok {
		return
	}
	if len(l.names) < maxReadFiles && l.bytes+len(name)+1 <= maxReadBytes {
		if l.names == nil {
			l.names = map[string]struct{}{}
		}
		l.names[strings.Clone(name)] = struct{}{}
		l.bytes += len(name) + 1
		return
	}
	if l.sum == nil {
		l.sum = sha256.New()
	}
	l.more++
	_, _ = io.WriteString(l.sum, name+"\x00")
}

// resume begins with what an earlier run has opened.
func (l *readList) resume(r *journal.Reads, list []byte) {
	for _, name := range splitReads(list) {
		l.add(name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.More > 0 {
		l.more, l.sum = r.More, sha256.New()
		_, _ = io.WriteString(l.sum, r.MoreSHA256+"\x00")
	}
}

// state is what was opened so far, with the whole list; nil for nothing.
func (l *readList) state() *journal.Reads {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.names) == 0 {
		return nil
	}
	r := &journal.Reads{Files: len(l.names), More: l.more}
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		r.List = append(append(r.List, name...), 0)
	}
	r.SHA256 = journal.SHA256Hex(r.List)
	if l.sum != nil {
		r.MoreSHA256 = hex.EncodeToString(l.sum.Sum(nil))
	}
	return r
}

// splitReads takes a list apart.
func splitReads(list []byte) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
}

// Opened records that the script opened a file of the target. The view calls it for each.
func (l *Live) Opened(name string) { l.reads.add(name) }

// keepReads makes what the script has opened ready for the session's record; nil for nothing.
func (l *Live) keepReads() *journal.Reads {
	r := l.reads.state()
	if r == nil || len(r.List) <= maxReadHere {
		return r
	}
	err := journal.ErrNoContent
	if l.of.config.Blobs != nil {
		_, _, err = l.of.config.Blobs.PutBlob(context.WithoutCancel(l.ctx), bytes.NewReader(r.List), 0)
	}
	if r.List = nil; err != nil {
		r.Lost = "the list could not be kept"
		l.of.config.Log.Error("keep the list of files that a script has read", "session", l.id, "files", r.Files, "error", err)
	}
	return r
}

// recallReads begins with what an earlier run has opened.
func (l *Live) recallReads(r *journal.Reads) {
	if r == nil {
		return
	}
	list, err := readsList(l.of.config.Blobs, r)
	if err != nil {
		l.of.config.Log.Error("read the list of files that a script has read in an earlier run", "session", l.id, "error", err)
	}
	l.reads.resume(r, list)
}

// readsList is the list of a record, checked against its digest.
func readsList(blobs journal.Blobs, r *journal.Reads) ([]byte, error) {
	list := r.List
	if r.Lost != "" {
		return nil, errors.New(r.Lost)
	}
	if len(list) == 0 {
		if blobs == nil {
			return nil, journal.ErrNoContent
		}
		from, size, err := blobs.OpenBlob(r.SHA256)
		if err != nil {
			return nil, err
		}
		defer func() { _ = from.Close() }()
		if size > maxReadBytes {
			return nil, fmt.Errorf("%w: it has %d bytes", journal.ErrDamaged, size)
		}
		if list, err = io.ReadAll(from); err != nil {
			return nil, err
		}
	}
	if journal.SHA256Hex(list) != r.SHA256 {
		return nil, fmt.Errorf("the list of files: %w", journal.ErrDamaged)
	}
	return list, nil
}

// Reads are the files that the script has opened so far, with the whole list; nil for none.
func (l *Live) Reads() *journal.Reads { return l.reads.state() }

// ReadNames are the names of a record of files that were opened, from the record or from what is kept of it, checked against the
// record's digest.
func ReadNames(blobs journal.Blobs, r *journal.Reads) ([]string, error) {
	list, err := readsList(blobs, r)
	return splitReads(list), err
}
