//go:build linux

package streams

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
)

// table is the descriptors of a script whose outputs are counted.
type table struct {
	outputs map[int32]*counted
	same    bool
}

type counted struct {
	bytes.Buffer
	closed int
}

func (c *counted) Close() error { c.closed++; return nil }

func (t table) Input(s *Streams, _ frames.Start) error { s.Known([]byte("input")); return nil }
func (t table) Same(int32, int32) bool                 { return t.same }
func (t table) Output(fd int32) (io.WriteCloser, error) {
	if o := t.outputs[fd]; o != nil {
		return o, nil
	}
	return nil, unix.EBADF
}

func TestTakeConnectsWhatTheScriptNames(t *testing.T) {
	one, two := new(counted), new(counted)
	of := map[int32]*counted{1: one, 2: two}
	for _, c := range []struct {
		name   string
		same   bool
		q      frames.Start
		shared bool
		input  sandbox.Input
	}{
		{"all three", false, frames.Start{Stdin: 0, Stdout: 1, Stderr: 2}, false, sandbox.DataInput},
		{"none", false, frames.Start{Stdin: -1, Stdout: -1, Stderr: -1}, true, sandbox.NoInput},
		{"one number for both", false, frames.Start{Stdin: -1, Stdout: 1, Stderr: 1}, true, sandbox.NoInput},
		{"two numbers of one file", true, frames.Start{Stdin: -1, Stdout: 1, Stderr: 2}, true, sandbox.NoInput},
		{"no error output", true, frames.Start{Stdin: -1, Stdout: 1, Stderr: -1}, false, sandbox.NoInput},
	} {
		s, err := Take(table{of, c.same}, c.q)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if (s.Stdout == s.Stderr) != c.shared || s.Input != c.input {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	// What was taken before something is missing is given back, once.
	one.closed = 0
	if _, err := Take(table{of, false}, frames.Start{Stdin: 0, Stdout: 1, Stderr: 9}); !errors.Is(err, unix.EBADF) || one.closed != 1 {
		t.Errorf("%v, closed %d times", err, one.closed)
	}
}

func newPipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func TestFeedIsEmptyOnlyWhenAllOfItWasRead(t *testing.T) {
	r, w := newPipe(t)
	var f Feed
	if f.Empty(int(r.Fd())) {
		t.Error("empty before anything came")
	}
	f.Move(w, strings.NewReader("x"))
	if f.Empty(int(r.Fd())) {
		t.Error("empty with a byte in it")
	}
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if !f.Empty(int(r.Fd())) {
		t.Error("not empty at its end")
	}
	if f.Empty(-1) {
		t.Error("what cannot be looked at is taken for empty")
	}
}

// A command gets what the guest said, and what the script writes to the pipe goes nowhere, however much it is.
func TestKnownInputIsReadAway(t *testing.T) {
	r, w := newPipe(t)
	own, err := Reopen(int(r.Fd()), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	var s Streams
	done := make(chan struct{})
	s.FromPipe(own, frames.Start{HasInput: true, Input: []byte("said")}, func(string) { close(done) })
	if _, err := w.Write(make([]byte, 1<<20)); err != nil { // more than a pipe holds
		t.Fatal(err)
	}
	_ = w.Close()
	<-done
	if text, err := io.ReadAll(s.Stdin); err != nil || string(text) != "said" || string(s.Content) != "said" || s.Input != sandbox.DataInput {
		t.Errorf("%q, %v: %+v", text, err, s.Input)
	}
}

func TestUnknownInputStaysAPipe(t *testing.T) {
	r, _ := newPipe(t)
	own, err := Reopen(int(r.Fd()), unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	var s Streams
	s.FromPipe(own, frames.Start{HasInput: true, Input: make([]byte, sandbox.MaxContent+1)}, nil)
	defer s.Close()
	if s.Input != sandbox.PipeInput || s.Content != nil {
		t.Errorf("%+v", s.Input)
	}
}

func TestOutputThatNobodyReadsIsDiscarded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	out, err := ReopenOutput(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	_, _ = out.Close(), r.Close()
	if out, err = ReopenOutput(int(w.Fd())); err != nil || out != (Discard{}) {
		t.Errorf("%v, %v", out, err)
	}
}

// Who sees the end of the input sees that there is no more of it: else a command that a script starts then would have one at one
// time and none at another, and be another operation.
func TestTheEndOfTheInputIsKnownBeforeItIsSeen(t *testing.T) {
	for range 2000 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var f Feed
		go f.Move(w, strings.NewReader("x"))
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if !f.Empty(int(r.Fd())) {
			t.Fatal("the end was seen, and is not known")
		}
		_ = r.Close()
	}
}
