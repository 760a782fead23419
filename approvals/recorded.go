package approvals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// maxRecordFile bounds the file of one operation's output, in bytes: maxRecorded with a header for every byte of it, if
// the command wrote so.
const maxRecordFile = maxRecorded * (1 + recordHeader)

// storeOutput makes a closed output content, so that it is checked as it is read and goes with the record that names it. The
// file can be removed once that record is written. "" means that there is none, or that it stays in its file.
func (m *Manager) storeOutput(name string) (sha256 string, err error) {
	if m.config.Blobs == nil {
		return "", nil
	}
	f, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err != nil {
		return "", fmt.Errorf("%w: keep recorded output: %w", ErrStore, err)
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err == nil && st.Size() == 0 {
		return "", os.Remove(name)
	}
	sha256, _, err = m.config.Blobs.PutBlob(context.Background(), f, 0)
	return sha256, err
}

// dropOutput removes the file of an output that is content by now.
func (m *Manager) dropOutput(name string) {
	if err := os.Remove(name); err != nil {
		m.config.Log.Error("remove recorded output that is kept elsewhere", "error", err)
	}
}

// readOutput calls fn with a recorded output: content, or what is in the file of that name so far. named says which
// content it is, "" while it is in the file. Damage of content shows at its end.
func (m *Manager) readOutput(id, name string, named func(*Session) string, fn func(Chunk) error) error {
	for range 2 {
		s, err := m.session(id)
		if err != nil {
			return err
		}
		sha := named(&s)
		if sha != "" {
			return m.readContent(sha, fn)
		}
		err = replayOutput(name, fn)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		// There is none, or it became content at this moment.
	}
	return nil
}

func (m *Manager) readContent(sha256 string, fn func(Chunk) error) error {
	if m.config.Blobs == nil {
		return fmt.Errorf("read recorded output: %w", ErrNoContent)
	}
	r, _, err := m.config.Blobs.OpenBlob(sha256)
	if err != nil {
		return fmt.Errorf("read recorded output: %w", err)
	}
	defer func() { _ = r.Close() }()
	return replayRecords(r, fn)
}

// wholeOutput is readOutput of one operation for a replay: nothing is given to a script before all of it was checked.
func (m *Manager) wholeOutput(id string, o *Operation) ([]byte, error) {
	if o.Output == "" {
		f, err := os.Open(m.operationName(id, o.N)) // #nosec G304 -- a name of our own making
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil // it said nothing
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return io.ReadAll(io.LimitReader(f, maxRecordFile))
	}
	if m.config.Blobs == nil {
		return nil, ErrNoContent
	}
	r, size, err := m.config.Blobs.OpenBlob(o.Output)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if size > maxRecordFile {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	return io.ReadAll(r)
}

// keepOutput makes what a script has said content, "" where it has said nothing, for the record of the session's end. Nothing is
// added to it any more. ok is false where it stays in its file, which has this name.
func keepOutput(c Config, out *output, name string) (sha256 string, ok bool) {
	if c.Blobs == nil {
		return "", false
	}
	if out.seal() == 0 {
		return "", true
	}
	f, err := os.Open(name) // #nosec G304 -- a name of our own making
	if err == nil {
		defer func() { _ = f.Close() }()
		sha256, _, err = c.Blobs.PutBlob(context.Background(), f, 0)
	}
	if err != nil {
		c.Log.Error("keep a session's output", "file", filepath.Base(name), "error", err)
	}
	return sha256, err == nil
}

// keepSessionOutput makes the output of a session that has ended content.
func (m *Manager) keepSessionOutput(id string) {
	name := m.outputName(id)
	sha, err := m.storeOutput(name)
	if err == nil && sha != "" {
		_, err = m.config.Store.Update(id, func(s *Session) error {
			if !s.Status.Final() {
				return fmt.Errorf("%w: session %s goes on", ErrNotWaiting, id)
			}
			s.Output = sha
			return nil
		})
	}
	if err != nil {
		m.config.Log.Error("keep a session's output", "session", id, "error", err) // it stays in its file
		return
	}
	if sha != "" {
		m.dropOutput(name)
	}
}

// replay gives a command's recorded result and output.
func replay(recorded []byte, o Operation, c Start) replayed {
	r := replayed{done: make(chan struct{})}
	switch {
	case o.Signal != 0:
		r.exit.Signal = syscall.Signal(o.Signal)
	case o.ExitCode != nil:
		r.exit.Code = *o.ExitCode
	}
	go func() {
		defer close(r.done)
		_ = replayRecords(bytes.NewReader(recorded), func(chunk Chunk) error {
			to := c.Stdout
			if chunk.Stream == StreamStderr {
				to = c.Stderr
			}
			if to != nil {
				_, err := to.Write(chunk.Data)
				return err
			}
			return nil
		})
	}()
	return r
}
