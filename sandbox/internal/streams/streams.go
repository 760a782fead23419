// Package streams is a command's standard streams: as an engine takes them out of a script, and as the gate gets them. It
// knows descriptors, and no session. It must never give a command a descriptor that the script has as well. Begin with
// Streams.
package streams

import (
	"bytes"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// Streams are a command's standard streams. Stdin is nil where there is no input; Stderr may be Stdout.
type Streams struct {
	Stdin          io.ReadCloser
	Stdout, Stderr io.WriteCloser
	Input          sandbox.Input
	Content        []byte

	closing sync.Once
}

// Close closes each stream once. It may be called while they are read and written, which ends that.
func (s *Streams) Close() { s.closing.Do(s.close) }

func (s *Streams) close() {
	if s.Stdin != nil {
		_ = s.Stdin.Close()
	}
	if s.Stdout != nil {
		_ = s.Stdout.Close()
	}
	if s.Stderr != nil && s.Stderr != s.Stdout {
		_ = s.Stderr.Close()
	}
}

// FromFile reads the input from a file of the view, from where the script stands, as the command would. What is no more
// than sandbox.MaxContent is known, and the file is closed.
func (s *Streams) FromFile(file io.Reader, closer io.Closer) error {
	content, err := io.ReadAll(io.LimitReader(file, sandbox.MaxContent+1))
	if err != nil {
		_ = closer.Close()
		return err
	}
	if len(content) <= sandbox.MaxContent {
		_ = closer.Close()
		s.Known(content)
		return nil
	}
	s.Input = sandbox.FileInput
	s.Stdin = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(content), file), closer}
	return nil
}

// Known makes content the whole input.
func (s *Streams) Known(content []byte) {
	s.Input, s.Content = sandbox.DataInput, content
	s.Stdin = io.NopCloser(bytes.NewReader(content))
}

// Pipe is a pipe of the script that a command reads, with a description of its own that does not block. A command that runs
// here reads it itself, and what it leaves is left for the script; of one that runs elsewhere the gateway reads it.
type Pipe struct{ File *os.File }

// Read implements io.Reader.
func (p Pipe) Read(b []byte) (int, error) { return p.File.Read(b) }

// Close implements io.Closer.
func (p Pipe) Close() error { return p.File.Close() }

// Inherit is the pipe for a child process, which is to find it blocking, as a pipe is.
func (p Pipe) Inherit() (*os.File, error) {
	raw, err := p.File.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetNonblock(int(fd), false) }); cerr != nil {
		return nil, cerr
	}
	return p.File, err
}

// Output is a file or pipe of the script. It is no *os.File, so that nobody hands its descriptor to a command: a pipe's
// does not block, and what a command writes must pass whoever records it.
type Output struct{ File *os.File }

// Write implements io.Writer.
func (o Output) Write(p []byte) (int, error) { return o.File.Write(p) }

// Close implements io.Closer.
func (o Output) Close() error { return o.File.Close() }

// Discard is an output that nobody reads.
type Discard struct{}

// Write implements io.Writer.
func (Discard) Write(p []byte) (int, error) { return len(p), nil }

// Close implements io.Closer.
func (Discard) Close() error { return nil }
