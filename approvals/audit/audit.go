// Package audit keeps a log of everything that a gateway was asked, decided and did: JSON lines, each with the hash of the
// one before it, and a head that is signed with the host key. A line is on the disk before what it tells of takes effect.
// Where the line cannot be written, nothing takes effect. The package knows the events of sessions and the renderer, and
// implements the auditor that approvals declares. It must never hold a secret that Options.Redact describes, and never
// change a line that was written. Begin with Log in this file and Event in event.go; docs/audit.md says what a reader of the
// log may rely on.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/linux/durable"
)

// Rotations: when a new file begins, apart from one that has become too large.
const (
	Daily   = "daily"
	AtStart = "session" // whenever a gateway starts
	Never   = "none"
)

// maxPending is how many events wait in memory for a log that cannot be written.
const maxPending = 4096

// flushEvery is how long an event that nobody waits for may stay in memory.
const flushEvery = time.Second

// Options say how a log is kept.
type Options struct {
	Dir      string
	Rotation string // one of the rotations; "" is Daily
	MaxFiles int    // how many files are kept, with Daily of how many days, 0 for all
	// BytesEach is how many bytes a day an identity may cause, 0 for no limit. See Over.
	BytesEach int64
	Signer    Signer
	Former    []Signer // that may have signed the log so far, and hand it over
	// Anchor is how far the log went when the journal was last written, nil where the journal does not say. The log may
	// go further, never less far.
	Anchor *journal.Anchor
	// Redact finds secrets in texts.
	Redact *Redactor
	// Skip are kinds of events that are not wanted.
	Skip map[string]bool
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means slog.Default
}

// file is what the log needs of an *os.File. Tests put failures there.
type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Log is an open log. Its methods may be called at the same time.
type Log struct {
	o        Options
	lock     *flock.Flock
	openFile func(name string, flag int, perm os.FileMode) (file, error)
	failures limiter
	spending spending
	reads    map[string]*reader                               // by identity, with mu
	wait     func(ctx context.Context, d time.Duration) error // sleep outside of tests
	stop     chan struct{}
	stopped  chan struct{}

	mu     sync.Mutex
	closed bool
	failed error // why the last write failed, nil where it did not
	end
	day     string   // of the file
	number  int      // of the file
	kept    []string // the log's files, oldest first
	pending []Event  // not written yet
	lost    uint64   // events that pending had no room for
	head    file
	turn    int64 // which place of the head is next
	// What the files are, to see that they are still under their names; nil for none.
	fileID, headID os.FileInfo

	last    atomic.Pointer[journal.Anchor] // the end, once its line is on the disk
	watched verified
}

// end is where the log ends.
type end struct {
	file  file // nil where a new one must begin
	name  string
	size  int64  // bytes of lines that are on the disk
	dirty bool   // there may be more in the file
	seq   uint64 // of the last line
	hash  string // of the last line
}

// Open opens or begins the log of a directory. It removes what a crash cut off, and records that. It records a log that
// is not the one that its head was signed for. A log that another process has open is an error.
func Open(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Rotation == "" {
		o.Rotation = Daily
	}
	l := &Log{o: o, reads: map[string]*reader{}, wait: sleep, end: end{hash: genesis}, openFile: openFile, watched: verified{again: make(chan struct{}, 1)}, stop: make(chan struct{}), stopped: make(chan struct{})}
	l.failures.now = o.Now
	l.spending.now, l.spending.share = o.Now, o.BytesEach
	if err := l.open(); err != nil {
		l.release()
		return nil, fmt.Errorf("open the audit log in %s: %w", o.Dir, err)
	}
	go l.flushNow()
	return l, nil
}

func openFile(name string, flag int, perm os.FileMode) (file, error) {
	return os.OpenFile(name, flag, perm) // #nosec G304 -- a name of our own making
}

func (l *Log) open() error {
	if err := os.MkdirAll(l.o.Dir, 0o700); err != nil {
		return err
	}
	l.lock = flock.New(filepath.Join(l.o.Dir, ".lock"))
	if ok, err := l.lock.TryLock(); err != nil {
		return err
	} else if !ok {
		return errors.New("another process writes it; is a gateway running already?")
	}
	news, err := l.recover()
	if err != nil {
		return err
	}
	if err := l.openHead(); err != nil {
		return err
	}
	if l.o.Rotation == AtStart && l.file != nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	if err := l.write(news); err != nil {
		return err
	}
	l.last.Store(&journal.Anchor{Seq: l.seq, Hash: l.hash})
	for range 2 { // both places: what a crash left of one is gone
		if err := l.writeHead(); err != nil {
			return err
		}
	}
	if err := l.head.Sync(); err != nil {
		return err
	}
	return durable.SyncDir(l.o.Dir)
}

func (l *Log) release() {
	if l.file != nil {
		_ = l.file.Close()
	}
	if l.head != nil {
		_ = l.head.Close()
	}
	if l.lock != nil {
		_ = l.lock.Close()
	}
}

// failure is the error for what may not take effect.
func failure(err error) error {
	return fmt.Errorf("%w: the audit log cannot be written: %w", journal.ErrStore, err)
}

// Append writes events. They are on the disk when it returns nil; on an error none of them is in the log.
func (l *Log) Append(events ...Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return failure(os.ErrClosed)
	}
	if err := l.write(events); err != nil {
		return failure(err)
	}
	return nil
}

// Later takes events of what has happened already, or of what nobody waits for. It writes them soon, before those that
// come later. They wait in memory while the log cannot be written. Later counts those that it has no room for.
func (l *Log) Later(events ...Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if len(l.pending) >= maxPending {
			l.lost++
			continue
		}
		l.o.Redact.event(&e)
		e = e.cut(maxText)
		e.at = l.o.Now()
		l.pending = append(l.pending, e)
	}
}

// flushNow writes what waits from time to time.
func (l *Log) flushNow() {
	defer close(l.stopped)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			l.mu.Lock()
			_ = l.write(nil) // the next Append tells
			l.mu.Unlock()
		}
	}
}

// State says whether the log can be written: nil, or why not. It tries.
func (l *Log) State() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	if l.failed != nil {
		_ = l.write(nil)
	}
	return l.failed
}

// End is the last line that is on the disk. It waits for nobody.
func (l *Log) End() journal.Anchor { return *l.last.Load() }

// Close writes what waits and closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	err := l.write(nil)
	if serr := l.head.Sync(); err == nil {
		err = serr
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.stopped
	l.release()
	return err
}

// write puts what waits and then events at the end of the log. The caller holds the lock.
func (l *Log) write(events []Event) (err error) {
	all := l.waiting(events)
	gone := l.gone()
	if gone != "" {
		all = append([]Event{{Event: Broken, Reason: gone, Count: l.seq, Hash: l.hash}}, all...)
	}
	if len(all) == 0 && l.failed == nil {
		l.pending = nil
		return nil
	}
	defer func() {
		if (err == nil) != (l.failed == nil) {
			if err != nil {
				l.o.Log.Error("the audit log cannot be written; nothing will be run", "error", err)
			} else {
				l.o.Log.Info("the audit log can be written again")
			}
		}
		l.failed = err
	}()
	if len(all) == 0 { // try whether it works again
		all = []Event{{Event: Resumed}}
	}
	if gone != "" {
		err = l.beginAgain(gone)
	} else {
		err = l.rotate()
	}
	if err != nil {
		return err
	}
	if err := l.put(all); err != nil {
		return err
	}
	l.pending, l.lost = nil, 0
	l.last.Store(&journal.Anchor{Seq: l.seq, Hash: l.hash})
	// The lines are on the disk. The next head catches up with one that lags behind; after a crash meanwhile, verify
	// counts lines as not signed.
	if err := l.writeHead(); err != nil {
		l.o.Log.Error("sign the audit log", "error", err)
	}
	return nil
}

// waiting lists what is to be written, redacted, in order.
func (l *Log) waiting(events []Event) []Event {
	var all []Event
	for _, e := range l.pending {
		if !l.o.Skip[e.Event] {
			all = append(all, e)
		}
	}
	if l.lost > 0 {
		all = append(all, Event{Event: Lost, Count: l.lost})
	}
	for _, e := range events {
		if !l.o.Skip[e.Event] {
			l.o.Redact.event(&e)
			all = append(all, e)
		}
	}
	return all
}

// put writes events at the end of the current file and syncs it.
func (l *Log) put(events []Event) error {
	seq, hash := l.seq, l.hash
	var out []byte
	caused := map[string]int{}
	for _, e := range events {
		at := e.at
		if at.IsZero() {
			at = l.o.Now()
		}
		e, err := e.signed(seq+1, hash)
		if err != nil {
			return err
		}
		text, err := encode(seq+1, at, hash, e)
		if err != nil {
			return err
		}
		seq, hash = seq+1, hashOf(text)
		out = append(append(out, text...), '\n')
		if e.owner != "" {
			caused[e.owner] += len(text) + 1
		}
	}
	if l.dirty {
		if err := l.file.Truncate(l.size); err != nil {
			return err
		}
	}
	l.dirty = true
	_, err := l.file.WriteAt(out, l.size)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// None of these lines is in the log. Where even this fails, the next write begins with it.
		l.dirty = l.file.Truncate(l.size) != nil
		return err
	}
	l.size, l.seq, l.hash, l.dirty = l.size+int64(len(out)), seq, hash, false
	l.spending.charge(caused)
	return nil
}

// rotate begins a new file where there is none or its time has come.
func (l *Log) rotate() error {
	today := l.o.Now().UTC().Format(time.DateOnly)
	switch {
	case l.file == nil:
	case l.size >= maxSegment:
	case l.o.Rotation == Daily && l.day != today:
	default:
		return nil
	}
	return l.begin()
}

// begin makes a new file, whose first line goes on from the last one's.
func (l *Log) begin() error {
	name := segmentName(l.number+1, l.o.Now())
	path := filepath.Join(l.o.Dir, name)
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := l.openFile(path, flags, 0o600)
	if errors.Is(err, os.ErrExist) { // of an attempt that failed, and could not take it away
		if err = os.Remove(path); err == nil {
			f, err = l.openFile(path, flags, 0o600)
		}
	}
	if err != nil {
		return err
	}
	before := l.end
	l.end = end{file: f, name: name, seq: before.seq, hash: before.hash}
	first := Event{Event: Segment}
	if before.name != "" {
		first.Files = []string{before.name}
	}
	if err = l.put([]Event{first}); err == nil {
		err = durable.SyncDir(l.o.Dir)
	}
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		l.end = before
		return err
	}
	if before.file != nil {
		_ = before.file.Close()
	}
	l.fileID, _ = os.Lstat(path)
	l.number, l.day = l.number+1, l.o.Now().UTC().Format(time.DateOnly)
	l.kept = append(l.kept, name)
	return l.expire()
}

// tooMany lists the files that are too many. With a file for each day, it counts days: a day on which somebody was noisy
// has several files, and pushes out no more than another.
func (l *Log) tooMany() []string {
	if l.o.MaxFiles <= 0 {
		return nil
	}
	if l.o.Rotation != Daily {
		return l.kept[:max(0, len(l.kept)-l.o.MaxFiles)]
	}
	days, last := 0, ""
	for i := len(l.kept) - 1; i >= 0; i-- {
		if d := segmentDay(l.kept[i]); d != last {
			days, last = days+1, d
		}
		if days > l.o.MaxFiles {
			return l.kept[:i+1]
		}
	}
	return nil
}

// expire removes the files that are too many. First the log says so, then its head speaks of them no more, then they go.
func (l *Log) expire() error {
	old := l.tooMany()
	if len(old) == 0 {
		return nil
	}
	if err := l.put([]Event{{Event: Removed, Files: old}}); err != nil {
		return err
	}
	l.kept = l.kept[len(old):]
	if err := l.writeHead(); err != nil {
		return err
	}
	if err := l.head.Sync(); err != nil {
		return err
	}
	if err := remove(l.o.Dir, old); err != nil {
		l.o.Log.Error("remove old files of the audit log", "error", err) // the next start tries again
	}
	return nil
}

// writeHead signs the log as it is.
func (l *Log) writeHead() error {
	if l.head == nil || len(l.kept) == 0 {
		return nil
	}
	h := head{Seq: l.seq, Hash: l.hash, Segment: l.name, First: l.kept[0], At: l.o.Now().UTC().Format(time.RFC3339Nano)}
	text, err := h.sign(l.o.Signer)
	if err != nil {
		return err
	}
	if _, err := l.head.WriteAt(text, l.turn%2*slotSize); err != nil {
		return err
	}
	l.turn++
	return nil
}
