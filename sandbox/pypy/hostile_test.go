//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
)

// A child whose interpreter was taken over can say anything. Whatever it says, the driver must keep its own memory
// bounded, end that session, and leave the gateway alive.

// say starts a driver on a child that says what from gives, and returns how the run ended.
func say(t testing.TB, from io.Reader, change func(*sandbox.Job)) sandbox.Result {
	t.Helper()
	job, _, _ := jobOver(t, targetFiles())
	job.Limits.Wall = 20 * time.Second
	if change != nil {
		change(&job)
	}
	c := newDouble(t)
	go func() { _, _ = io.Copy(io.Discard, c.answers) }()
	c.start(t.Context(), job)
	go func() {
		_, _ = io.Copy(c.calls, from)
		c.end(0)
	}()
	return c.outcome()
}

func callBytes(signature string, args ...uint64) []byte {
	b := append([]byte{byte(len(signature))}, signature...)
	for _, a := range args {
		b = binary.LittleEndian.AppendUint64(b, a)
	}
	return b
}

func TestSubvertedChildIsEnded(t *testing.T) {
	huge := le64(1 << 60)
	for name, wire := range map[string][]byte{
		"a name of no length":              {0},
		"a name that is none":              callBytes("rm -rf /"),
		"a name with a NUL":                callBytes("op\x00en(pii)i"),
		"an unknown type":                  callBytes("open(pxi)i", 1, 2, 3),
		"no result":                        callBytes("open(pii)", 1, 2, 3),
		"two results":                      callBytes("open(pii)ii", 1, 2, 3),
		"a hundred arguments":              callBytes("f("+strings.Repeat("i", 100)+")i", make([]uint64, 100)...),
		"a string longer than asked":       append(callBytes("stat64(pp)i", firstAddress, firstAddress), huge...),
		"a string of minus one":            append(callBytes("unlink(p)i", firstAddress), bytes.Repeat([]byte{0xff}, 8)...),
		"a string with a NUL in it":        append(callBytes("unlink(p)i", firstAddress), append(le64(3), "a\x00b"...)...),
		"a variable that ends in a NUL":    append(callBytes("getenv(p)p", firstAddress), append(le64(2), "a\x00"...)...),
		"a string just longer than a path": append(callBytes("unlink(p)i", firstAddress), le64(maxPath+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			// What comes behind it never ends: the end must come from what was said.
			if r := say(t, io.MultiReader(bytes.NewReader(wire), &endless{pattern: []byte{'A'}}), nil); r.Cause != sandbox.Protocol || r.ExitCode != 137 || r.Detail == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestChildThatDiesInTheMiddleOfACallIsNoFault(t *testing.T) {
	whole := callBytes("open(pii)i", firstAddress, 0, 0)
	for cut := range len(whole) {
		if r := say(t, bytes.NewReader(whole[:cut]), nil); r.Cause != sandbox.Exited {
			t.Errorf("after %d bytes: %+v", cut, r)
		}
	}
}

// endless gives the same bytes for ever, or until something else ends it.
type endless struct {
	pattern []byte
	given   int64
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.pattern[(int(e.given)+i)%len(e.pattern)]
	}
	e.given += int64(len(p))
	return len(p), nil
}

func TestFloodsStayWithinBounds(t *testing.T) {
	t.Parallel()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for name, pattern := range map[string][]byte{
		"of calls":               callBytes("getuid()i"),
		"of unknown calls":       callBytes("nothing(i)i", 1),
		"of reads of everything": callBytes("write(ipi)i", 1, 1<<40, 1<<62),
		"of zeroes":              append(callBytes("mkdir(pi)i", 1, 2), make([]byte, 4096)...),
		"of pipes":               callBytes("pipe(p)i", 8),
		"of streams":             append(callBytes("opendir(p)p", 8), append(append(le64(1), '/'), le64(firstAddress)...)...),
		"of environments":        append(callBytes("get_environ()p"), make([]byte, 16)...),
		"of answers":             bytes.Repeat([]byte{'R'}, 64),
		"of long strings":        append(append(callBytes("getenv(p)p", 8), le64(maxCommand-1)...), bytes.Repeat([]byte{'A'}, maxCommand-1)...),
		"of variables":           append(append(append(callBytes("putenv(p)i", 8), le64(1<<19)...), "A="...), bytes.Repeat([]byte{'A'}, 1<<19-2)...),
		"of descriptor sets":     append(callBytes("select(ipppp)i", 1024, 8, 8, 8, 8), make([]byte, 16+2*128)...),
	} {
		t.Run(name, func(t *testing.T) {
			flood := &endless{pattern: pattern}
			r := say(t, flood, func(j *sandbox.Job) { j.Limits.Wall, j.Limits.Calls, j.Stdout = 3*supervisor.Tick, 50_000, io.Discard })
			if r.Cause != sandbox.WallTime && r.Cause != sandbox.Protocol {
				t.Errorf("%+v", r)
			}
			var now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&now)
			if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("the gateway holds %d MiB more after %d MiB", grown>>20, flood.given>>20)
			}
		})
	}
}

func TestChildThatReadsNothingEndsWithItsTime(t *testing.T) {
	job, _, _ := jobOver(t, targetFiles())
	job.Limits.Wall = 2 * supervisor.Tick
	c := newDouble(t)
	c.start(t.Context(), job)
	for {
		if _, err := c.calls.Write(callBytes("getenv(p)p", 0)); err != nil {
			break // the pipe of the answers is full, and then that of the calls
		}
	}
	if r := c.outcome(); r.Cause != sandbox.WallTime {
		t.Errorf("%+v", r)
	}
}

func TestPointersThatAreGivenTwiceLoseOnlyTheOldStream(t *testing.T) {
	c, _, _ := begin(t, nil)
	first := uint64(c.call("opendir(p)p", c.text("/etc")))
	c.used = first - firstAddress // the next allocation gets the same address
	path := append([]byte("/proc"), 0)
	copy(c.memory[1<<20:], path)
	second := uint64(c.call("opendir(p)p", firstAddress+1<<20))
	if first != second {
		t.Fatalf("addresses %#x and %#x", first, second)
	}
	c.want(0, 0, "closedir(p)i", first)
	c.want(-1, syscall.EBADF, "closedir(p)i", first)
	c.finish(0)
}

func TestPanicWhileACallIsAnsweredEndsThatSessionAlone(t *testing.T) {
	const signature = "test_panic()i"
	functions[signature] = &function{signature: signature, result: 'i', why: "a test", call: func(*calls, []uint64) (int64, error) {
		panic("injected")
	}}
	defer delete(functions, signature)
	other, _, _ := begin(t, nil)
	c, _, _ := begin(t, nil)
	if _, err := c.try(signature); !errors.Is(err, errGone) {
		t.Errorf("it was answered: %v", err)
	}
	if r := c.outcome(); r.Cause != sandbox.Stopped || !strings.Contains(r.Detail, "internal error") {
		t.Errorf("%+v", r)
	}
	other.want(1000, 0, "getuid()i")
	other.finish(0)
}

// failing panics wherever the engine calls it.
type failing struct{}

func (failing) Read([]byte) (int, error) { panic("injected") }

func (failing) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return failing{}, nil
}

func (failing) Wait() (sandbox.ExitStatus, error) { panic("injected") }

func (failing) Signal(syscall.Signal) error { return nil }

func TestPanicBesideTheCallsEndsThatSessionAlone(t *testing.T) {
	for name, change := range map[string]func(*sandbox.Job){
		"in the input":  func(j *sandbox.Job) { j.Stdin = failing{} },
		"in a command":  func(j *sandbox.Job) { j.Commands = failing{} },
		"in the notice": func(j *sandbox.Job) { j.Limits.Calls, j.Notice = 10, func(string) { panic("injected") } },
	} {
		t.Run(name, func(t *testing.T) {
			other, _, _ := begin(t, nil)
			c, _, _ := begin(t, change)
			for {
				if _, err := c.try("system(p)i", c.text("echo x")); err != nil {
					break
				}
				c.used = 0
			}
			if r := c.outcome(); r.Cause != sandbox.Stopped || r.Detail != supervisor.ErrPanic.Error() {
				t.Errorf("%+v", r)
			}
			other.want(1000, 0, "getuid()i")
			other.finish(0)
		})
	}
}

// FuzzHostileChild lets a child say anything, in answer to anything.
func FuzzHostileChild(f *testing.F) {
	f.Add([]byte{0})
	f.Add(callBytes("open(pii)i", firstAddress, 0, 0))
	f.Add(append(callBytes("stat64(pp)i", 1, 2), append(le64(4), "/etc"...)...))
	f.Add(append(callBytes("opendir(p)p", 1), append(append(le64(1), '/'), le64(9)...)...))
	f.Add(append(callBytes("write(ipi)i", 1, 1, 5), "hello"...))
	f.Add(append(append(callBytes("pipe(p)i", 1), callBytes("dup2(ii)i", 3, 0)...), callBytes("fcntl(iii)i", 3, 0, 99)...))
	f.Add(append(callBytes("select(ipppp)i", 0, 0, 0, 0, 1), make([]byte, 16)...))
	f.Add(append(callBytes("system(p)i", 1), append(le64(7), "echo hi"...)...))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 1<<16 {
			return
		}
		job, stdout, _ := jobOver(t, targetFiles())
		job.Limits = sandbox.Limits{Wall: 5 * time.Second, Write: 1 << 20}
		job.Stdin, job.Commands = strings.NewReader(""), new(recorder)
		d, err := newDriver(t.Context(), job, newStill(), bytes.NewReader(wire), io.Discard, time.Now, func(string, ...any) {})
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(100*time.Millisecond, func() { d.cancel(&supervisor.LimitError{Cause: sandbox.WallTime, Detail: "fuzzing"}) })
		defer timer.Stop()
		err = d.serve()
		d.cancel(nil)
		d.release()
		d.state.children.WaitAll()
		if err == nil {
			t.Fatal("the driver serves for ever")
		}
		if len(d.state.descriptors.descriptors)+len(d.calls.listings.listings) != 0 {
			t.Fatal("something is still open")
		}
		if stdout.Len() > len(wire) {
			t.Fatalf("%d bytes were printed out of %d", stdout.Len(), len(wire))
		}
	})
}

// newStill is a process that does nothing.
func newStill() process { return &double{} }
