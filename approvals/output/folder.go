package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/internal/linux/durable"
)

// MaxOperation bounds the output of one operation that is kept for a replay and for show, in bytes.
const MaxOperation = 1 << 20

// maxOperationFile bounds the file of one operation's output, in bytes: MaxOperation with a header for every byte of it, if
// the command wrote so.
const maxOperationFile = MaxOperation * (1 + recordHeader)

// Folder has the recordings of all sessions: files while something may still be added to them, content from then on.
type Folder struct {
	dir   string
	blobs journal.Blobs // nil for none: then all stay files
	log   *slog.Logger
}

// Open makes the directory of recordings where it is not there.
func Open(dir string, blobs journal.Blobs, log *slog.Logger) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for outputs: %w", err)
	}
	return &Folder{dir, blobs, log}, nil
}

// Check reports whether a recording can be made now.
func (f *Folder) Check() error {
	if err := durable.Writable(f.dir); err != nil {
		return fmt.Errorf("%w: record output: %w", journal.ErrStore, err)
	}
	return nil
}

func (f *Folder) session(id string) string { return filepath.Join(f.dir, id+".out") }

func (f *Folder) operation(id string, n int) string {
	return filepath.Join(f.dir, id+".op"+strconv.Itoa(n))
}

// Session begins the recording of a session's script. limit bounds stdout and stderr in bytes, 0 for no limit.
func (f *Folder) Session(id string, limit int64) (*Recording, error) {
	return create(f.session(id), limit)
}

// Operation begins the recording of an operation's command.
func (f *Folder) Operation(id string, n int, limit int64) (*Recording, error) {
	return create(f.operation(id, n), limit)
}

// KeepSession makes the recording of a session that has ended content, and returns its name. Nobody is to follow it any more. "" means that
// there is none, or that it stays in its file.
func (f *Folder) KeepSession(ctx context.Context, id string) (sha256 string, err error) {
	return f.keep(ctx, f.session(id))
}

// DropSession removes the file of what KeepSession has kept, once a record names it.
func (f *Folder) DropSession(id string) { f.drop(f.session(id)) }

// KeepOperation ends a recording of a command and makes it content for the result that names it. The rest is as with
// KeepSession.
func (f *Folder) KeepOperation(ctx context.Context, r *Recording) (sha256 string, err error) {
	if err := r.End(f.blobs == nil); err != nil {
		return "", err
	}
	return f.keep(ctx, r.name)
}

// DropOperation removes the file of what KeepOperation has kept, once a record names it.
func (f *Folder) DropOperation(id string, n int) { f.drop(f.operation(id, n)) }

// KeepEnded makes what a script has said content, "" where it has said nothing, for the record of the session's end. Nothing of the
// script's is added to it any more. ok is false where it stays in its file.
func (f *Folder) KeepEnded(ctx context.Context, r *Recording) (sha256 string, ok bool) {
	if f.blobs == nil {
		return "", false
	}
	if r.seal() == 0 {
		return "", true
	}
	file, err := os.Open(r.name)
	if err == nil {
		defer func() { _ = file.Close() }()
		sha256, _, err = f.blobs.PutBlob(context.WithoutCancel(ctx), file, 0)
	}
	if err != nil {
		f.log.Error("keep a session's output", "file", filepath.Base(r.name), "error", err)
	}
	return sha256, err == nil
}

// keep makes a file that has ended content, so that it is checked as it is read and goes with the record that names it.
func (f *Folder) keep(ctx context.Context, name string) (sha256 string, err error) {
	if f.blobs == nil {
		return "", nil
	}
	file, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err != nil {
		return "", fmt.Errorf("%w: keep recorded output: %w", journal.ErrStore, err)
	}
	defer func() { _ = file.Close() }()
	if st, err := file.Stat(); err == nil && st.Size() == 0 {
		return "", os.Remove(name)
	}
	sha256, _, err = f.blobs.PutBlob(context.WithoutCancel(ctx), file, 0)
	return sha256, err
}

func (f *Folder) drop(name string) {
	if err := os.Remove(name); err != nil {
		f.log.Error("remove recorded output that is kept elsewhere", "error", err)
	}
}

// ReadSession calls fn with what a session's script has written so far: content, or what is in the file. named says which
// content it is, "" while it is in the file. Damage of content shows at its end.
func (f *Folder) ReadSession(id string, named func() (string, error), fn func(Chunk) error) error {
	return f.read(f.session(id), named, fn)
}

// ReadOperation is ReadSession for what an operation's command has written.
func (f *Folder) ReadOperation(id string, n int, named func() (string, error), fn func(Chunk) error) error {
	return f.read(f.operation(id, n), named, fn)
}

func (f *Folder) read(name string, named func() (string, error), fn func(Chunk) error) error {
	for range 2 {
		sha, err := named()
		if err != nil {
			return err
		}
		if sha != "" {
			return f.readContent(sha, fn)
		}
		err = replayFile(name, fn)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		// There is none, or it became content at this moment.
	}
	return nil
}

func replayFile(name string, fn func(Chunk) error) error {
	f, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = f.Close() }()
	return Replay(f, fn)
}

func (f *Folder) readContent(sha256 string, fn func(Chunk) error) error {
	if f.blobs == nil {
		return fmt.Errorf("read recorded output: %w", journal.ErrNoContent)
	}
	r, _, err := f.blobs.OpenBlob(sha256)
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = r.Close() }()
	return Replay(r, fn)
}

// Whole is all that an operation's command has written, for Replay: nothing is given to a script before all of it was checked. sha256
// is the content's name, "" where it is in the file.
func (f *Folder) Whole(id string, n int, sha256 string) ([]byte, error) {
	if sha256 == "" {
		file, err := os.Open(f.operation(id, n)) // #nosec G304 -- a name of our own making
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil // it said nothing
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		return io.ReadAll(io.LimitReader(file, maxOperationFile))
	}
	if f.blobs == nil {
		return nil, journal.ErrNoContent
	}
	r, size, err := f.blobs.OpenBlob(sha256)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if size > maxOperationFile {
		return nil, fmt.Errorf("%w: it has %d bytes", journal.ErrDamaged, size)
	}
	return io.ReadAll(r)
}

// Sweep removes the files of sessions that are gone.
func (f *Folder) Sweep(gone func(id string) bool) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.log.Error("look for old outputs", "error", err)
		return
	}
	known := map[string]bool{}
	for _, e := range entries {
		id, _, ok := strings.Cut(e.Name(), ".")
		if !ok || !journal.ValidID(id) {
			continue
		}
		if _, asked := known[id]; !asked {
			known[id] = gone(id)
		}
		if known[id] {
			if err := os.Remove(filepath.Join(f.dir, e.Name())); err != nil {
				f.log.Error("remove an old output", "error", err)
			}
		}
	}
}
