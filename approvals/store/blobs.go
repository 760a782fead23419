package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/linux/durable"
)

// blobFolder is where blobs are kept, beside the database: each in a file that is named by the SHA-256 of its content,
// in folders by the first two digits.
const blobFolder = "blobs"

// newBlob begins the names of files that are being written. What is left of them after a crash goes at the next start.
const newBlob = ".new-"

// blobGrace is how long content is kept that no record names yet. Whoever puts it names it in a record next, which
// takes milliseconds.
const blobGrace = time.Hour

// blobs is the folder of content.
type blobs struct {
	dir string
	now func() time.Time

	// suspect is content of sessions that have not ended which was damaged at the start: it is looked at again before it is
	// believed. It does not change.
	suspect map[string]bool

	mu    sync.Mutex
	loose map[string]time.Time // content that no record may name: since when that may be so
	fresh map[string]bool      // content that is not durable yet. It is before a record names it
	young map[string]bool      // folders that are not durable yet
}

func openBlobs(dir string, now func() time.Time) (*blobs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(dir, newBlob+"*"))
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	return &blobs{dir: dir, now: now, loose: map[string]time.Time{}, fresh: map[string]bool{}, young: map[string]bool{}, suspect: map[string]bool{}}, nil
}

// validSHA reports whether s is a SHA-256 in lower-case hex. It becomes a file's name, so nothing else gets that far.
func validSHA(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

func (b *blobs) name(sha string) string { return filepath.Join(b.dir, sha[:2], sha[2:]) }

// PutBlob implements journal.Blobs.
func (s *Store) PutBlob(ctx context.Context, r io.Reader, limit int64) (sha string, size int64, err error) {
	sha, size, err = s.blobs.put(ctx, r, limit)
	if err != nil && !errors.Is(err, journal.ErrTooLarge) && ctx.Err() == nil {
		err = failure("keep content", err)
	}
	return sha, size, err
}

// put writes content under a temporary name, and gives it its own name. It is not durable until sync.
func (b *blobs) put(ctx context.Context, r io.Reader, limit int64) (sha string, size int64, err error) {
	f, err := os.CreateTemp(b.dir, newBlob+"*") // O_EXCL, 0600
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if size, err = fill(ctx, io.MultiWriter(f, sum), r, limit); err != nil {
		return "", 0, err
	}
	sha = hex.EncodeToString(sum.Sum(nil))
	return sha, size, b.publish(f, sha)
}

// fill copies r, or fails where it gives more than limit bytes.
func fill(ctx context.Context, w io.Writer, r io.Reader, limit int64) (int64, error) {
	if limit > 0 {
		r = io.LimitReader(r, limit+1)
	}
	n, err := io.Copy(w, contextReader{ctx, r})
	if err == nil && limit > 0 && n > limit {
		err = fmt.Errorf("%w: more than %d bytes", journal.ErrTooLarge, limit)
	}
	return n, err
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// publish gives a written file its name, where there is not that content already.
func (b *blobs) publish(f *os.File, sha string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loose[sha] = b.now()
	name := b.name(sha)
	switch err := os.Mkdir(filepath.Dir(name), 0o700); {
	case err == nil:
		b.young[filepath.Dir(name)] = true
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if _, err := os.Lstat(name); err == nil {
		if b.intact(sha) {
			return nil
		}
		// Records may name the damaged one: what takes its place is durable first.
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	b.fresh[sha] = true
	return nil
}

// sync makes content durable before a record names it. All of it waits for the disk at once.
func (b *blobs) sync(named map[string]int) error {
	files, folders := b.unsynced(named)
	if len(files) == 0 {
		return nil
	}
	names := make([]string, len(files))
	for i, sha := range files {
		names[i] = b.name(sha)
	}
	if err := durable.SyncAll(append(names, folders...)...); err != nil {
		return failure("keep content", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sha := range files {
		delete(b.fresh, sha)
		delete(b.young, filepath.Dir(b.name(sha)))
	}
	return nil
}

// unsynced lists which of the named content is not durable, and the folders that have to be synced for it.
func (b *blobs) unsynced(named map[string]int) (files, folders []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	dirs := map[string]bool{}
	for sha := range named {
		if !b.fresh[sha] {
			continue
		}
		files = append(files, sha)
		dir := filepath.Dir(b.name(sha))
		dirs[dir] = true
		if b.young[dir] {
			dirs[b.dir] = true
		}
	}
	return files, slices.Collect(maps.Keys(dirs))
}

// has reports whether there is content of that name, damaged or not.
func (b *blobs) has(sha string) bool {
	if !validSHA(sha) {
		return false
	}
	info, err := os.Lstat(b.name(sha))
	return err == nil && info.Mode().IsRegular()
}

// size is that of content in bytes, 0 where there is none.
func (b *blobs) size(sha string) int64 {
	if !validSHA(sha) {
		return 0
	}
	info, err := os.Lstat(b.name(sha))
	if err != nil {
		return 0
	}
	return info.Size()
}

// look remembers content that lost its last reference.
func (b *blobs) look(loose []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sha := range loose {
		b.loose[sha] = b.now()
	}
}

// collect removes content that has been loose for blobGrace and that no record names. The caller sees to it that no
// record comes to name any meanwhile; content that is put at the same time stays.
func (b *blobs) collect(named func(sha string) bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var failed error
	for sha, since := range b.loose {
		if b.now().Sub(since) < blobGrace {
			continue
		}
		delete(b.loose, sha)
		if named(sha) {
			continue
		}
		delete(b.fresh, sha)
		if err := os.Remove(b.name(sha)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	return failed
}

// collectAll removes all content that no record names. It is for the start, when nobody can have put any.
func (b *blobs) collectAll(named func(sha string) bool) error {
	return b.walk(func(sha, name string) error {
		if sha == "" || named(sha) {
			return nil // what is no content is somebody else's
		}
		return os.Remove(name)
	})
}

// walk visits every file of the folder. What has not a blob's name has sha "".
func (b *blobs) walk(visit func(sha, name string) error) error {
	return filepath.WalkDir(b.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		sha := filepath.Base(filepath.Dir(name)) + e.Name()
		if !validSHA(sha) || b.name(sha) != name {
			sha = ""
		}
		return visit(sha, name)
	})
}

// OpenBlob implements journal.Blobs.
func (s *Store) OpenBlob(sha string) (io.ReadCloser, int64, error) {
	f, size, err := s.blobs.open(sha)
	if err != nil && !errors.Is(err, journal.ErrNoContent) {
		return nil, 0, failure("open content "+sha, err)
	}
	return f, size, err
}

func (b *blobs) open(sha string) (io.ReadCloser, int64, error) {
	if !validSHA(sha) {
		return nil, 0, fmt.Errorf("content of that name: %w", journal.ErrNoContent)
	}
	f, err := os.OpenFile(b.name(sha), os.O_RDONLY|syscall.O_NOFOLLOW, 0) // #nosec G304 -- checked above
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("content %s: %w", sha, journal.ErrNoContent)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: it is not a regular file", journal.ErrDamaged)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return &checkedBlob{f: f, sum: sha256.New(), want: sha, left: info.Size()}, info.Size(), nil
}

// checkedBlob reads a blob and compares its content with its name at the end.
type checkedBlob struct {
	f    *os.File
	sum  hash.Hash
	want string
	left int64 // bytes of the size that was told
	err  error
}

// Read implements io.Reader.
func (c *checkedBlob) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	n, err := c.f.Read(p)
	_, _ = c.sum.Write(p[:n])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && (c.left != 0 || hex.EncodeToString(c.sum.Sum(nil)) != c.want) || c.left < 0 {
		err = fmt.Errorf("%w: %s", journal.ErrDamaged, c.want)
	}
	c.err = err
	return n, err
}

// Close implements io.Closer.
func (c *checkedBlob) Close() error { return c.f.Close() }
