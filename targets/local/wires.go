//go:build unix

package local

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"shannot-gateway/targets"
)

// afterExit is how long attend waits for the streams of a command that has ended, which something that it left behind may
// hold. It reads first what is still in them, however slowly somebody takes it.
const afterExit = 5 * time.Second

// wires are the ends of a command's streams, which are pipes. The command gets no file of anybody's, but for an input
// that says that it can be handed on.
type wires struct {
	theirs []*os.File  // to be closed here once the command has them
	input  *os.File    // where the input is written to, nil where the command reads it itself
	output [2]*os.File // where standard output and error are read from, nil where they are not, or are one
	done   sync.WaitGroup

	mu   sync.Mutex
	over bool // the command has ended
}

// wire gives a command that was not started its streams.
func wire(cmd *exec.Cmd, c targets.Command) (*wires, error) {
	w := &wires{}
	err := w.wireInput(cmd, c.Stdin)
	if err == nil && c.Stdout != nil {
		var theirs *os.File
		if w.output[0], theirs, err = w.pipe(); err == nil {
			cmd.Stdout = theirs
		}
	}
	switch {
	case err != nil || c.Stderr == nil:
	case targets.Same(c.Stdout, c.Stderr):
		cmd.Stderr = cmd.Stdout
	default:
		var theirs *os.File
		if w.output[1], theirs, err = w.pipe(); err == nil {
			cmd.Stderr = theirs
		}
	}
	if err != nil {
		w.started()
		w.cut()
		return nil, err
	}
	return w, nil
}

// pipe makes one of which the command gets the end that is written to.
func (w *wires) pipe() (ours, theirs *os.File, err error) {
	if ours, theirs, err = os.Pipe(); err == nil {
		w.theirs = append(w.theirs, theirs)
	}
	return ours, theirs, err
}

func (w *wires) wireInput(cmd *exec.Cmd, from io.Reader) error {
	file, direct := from.(*os.File)
	if in, ok := from.(targets.Inheritable); ok {
		var err error
		if file, err = in.Inherit(); err != nil {
			return err
		}
		direct = true
	}
	switch {
	case from == nil:
	case direct:
		// Nobody else reads it, and who writes it is to learn when the command does not any more.
		cmd.Stdin, w.theirs = file, append(w.theirs, file)
	default:
		theirs, ours, err := os.Pipe()
		if err != nil {
			return err
		}
		cmd.Stdin, w.input, w.theirs = theirs, ours, append(w.theirs, theirs)
	}
	return nil
}

// started closes what the command has by now.
func (w *wires) started() {
	for _, f := range w.theirs {
		_ = f.Close()
	}
	w.theirs = nil
}

// copy begins to move what the command reads and writes.
func (w *wires) copy(c targets.Command) {
	if to := w.input; to != nil {
		go func() { // it may be waiting for more when the command has ended long ago
			_, _ = io.Copy(to, c.Stdin)
			_ = to.Close()
		}()
	}
	for i, to := range []io.Writer{c.Stdout, c.Stderr} {
		if from := w.output[i]; from != nil {
			w.done.Go(func() {
				w.drain(to, from)
				_ = from.Close()
			})
		}
	}
}

// drain copies one output to its end. Once the command has ended, waiting for more of it is bounded; the time that the other
// side takes is not.
func (w *wires) drain(to io.Writer, from *os.File) {
	buffer := make([]byte, 32<<10)
	patience := time.Duration(afterExit)
	for {
		over := w.expectLittle(from, patience)
		began := time.Now()
		n, err := from.Read(buffer)
		if over {
			patience -= time.Since(began)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return // the command learns of it by SIGPIPE
			}
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || over) {
			return
		}
	}
}

// expectLittle bounds the next read where the command has ended, and reports whether it has.
func (w *wires) expectLittle(from *os.File, patience time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		_ = from.SetReadDeadline(time.Now().Add(max(patience, time.Millisecond)))
	}
	return w.over
}

// exited says that the command has ended: a read that waits is to look how long it may.
func (w *wires) exited() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	for _, f := range w.output {
		if f != nil {
			_ = f.SetReadDeadline(time.Now())
		}
	}
	if w.input != nil {
		_ = w.input.Close()
	}
}

// copied is closed when everything that the command wrote was copied.
func (w *wires) copied() <-chan struct{} {
	done := make(chan struct{})
	go func() { w.done.Wait(); close(done) }()
	return done
}

// cut closes our ends.
func (w *wires) cut() {
	for _, f := range append([]*os.File{w.input}, w.output[:]...) {
		if f != nil {
			_ = f.Close()
		}
	}
}
