//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/vfs"
)

// double stands in for a pypy-sandbox executable: it has a memory of its own, speaks the real framing over real pipes,
// and makes the calls that a test tells it to.
type double struct {
	tb     testing.TB
	memory []byte
	used   uint64
	frees  []uint64
	errno  syscall.Errno

	calls, answers *os.File // its ends
	theirs         [2]*os.File
	ended          chan struct{}
	once           sync.Once
	status         syscall.WaitStatus
	messages       string
	trips          int // messages read from the driver that wanted an answer

	result chan outcome
}

type outcome struct {
	result sandbox.Result
	err    error
}

// firstAddress is where the double's memory begins.
const firstAddress = 0x10000

func (c *double) PID() int                     { return 4321 }
func (c *double) WithPID(func(pid int))        {}
func (c *double) Used() (time.Duration, int64) { return 5 * time.Millisecond, 1 << 20 }
func (c *double) Calls() io.Reader             { return c.theirs[0] }
func (c *double) Answers() io.Writer           { return c.theirs[1] }
func (c *double) Messages() string             { return c.messages }
func (c *double) Settle()                      {}
func (c *double) Kill()                        { c.end(syscall.WaitStatus(syscall.SIGKILL)) }

func (c *double) Wait() syscall.WaitStatus {
	<-c.ended
	return c.status
}

func (c *double) end(status syscall.WaitStatus) {
	c.once.Do(func() {
		c.status = status
		_ = c.calls.Close()
		_ = c.answers.Close()
		close(c.ended)
	})
}

func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

// newDouble makes a double that nobody answers yet.
func newDouble(tb testing.TB) *double {
	tb.Helper()
	c := &double{tb: tb, memory: make([]byte, 4<<20), ended: make(chan struct{}), result: make(chan outcome, 1)}
	c.theirs[0], c.calls = pipe(tb)
	c.answers, c.theirs[1] = pipe(tb)
	return c
}

// start has a driver answer the double.
func (c *double) start(ctx context.Context, job sandbox.Job) {
	go func() {
		result, err := converse(ctx, job, c, time.Now, func(m string, a ...any) { c.tb.Log(m, a) })
		c.result <- outcome{result, err}
	}()
	c.tb.Cleanup(c.Kill)
}

// finish ends the double as a process does, and returns what the driver made of it.
func (c *double) finish(code int) sandbox.Result {
	c.tb.Helper()
	c.end(syscall.WaitStatus(code << 8))
	return c.outcome()
}

func (c *double) outcome() sandbox.Result {
	c.tb.Helper()
	select {
	case o := <-c.result:
		if o.err != nil {
			c.tb.Fatal(o.err)
		}
		return o.result
	case <-time.After(time.Minute):
		c.tb.Fatal("the driver does not end")
		panic("unreachable")
	}
}

// alloc puts bytes into the double's memory.
func (c *double) alloc(p []byte) uint64 {
	at := c.used
	c.used += uint64(len(p)+15) &^ 15
	if c.used > uint64(len(c.memory)) {
		c.tb.Fatal("the double is out of memory")
	}
	copy(c.memory[at:], p)
	return firstAddress + at
}

func (c *double) text(s string) uint64 { return c.alloc(append([]byte(s), 0)) }
func (c *double) room(n int) uint64    { return c.alloc(make([]byte, n)) }

// at is the memory behind an address. An address that is none crashes the double, as it would a process.
func (c *double) at(address, size uint64) []byte {
	if address < firstAddress || address-firstAddress+size > uint64(len(c.memory)) {
		c.end(syscall.WaitStatus(syscall.SIGSEGV))
		return nil
	}
	return c.memory[address-firstAddress:][:size]
}

func (c *double) cstring(address uint64) string {
	end := bytes.IndexByte(c.memory[address-firstAddress:], 0)
	return string(c.at(address, uint64(end)))
}

var errGone = errors.New("the driver is gone")

// try makes a call and serves the driver's memory commands until it has the result.
func (c *double) try(signature string, args ...uint64) (int64, error) {
	c.errno = 0
	request := append([]byte{byte(len(signature))}, signature...)
	for _, a := range args {
		request = binary.LittleEndian.AppendUint64(request, a)
	}
	if _, err := c.calls.Write(request); err != nil {
		return 0, errGone
	}
	for {
		var letter [1]byte
		if _, err := io.ReadFull(c.answers, letter[:]); err != nil {
			return 0, errGone
		}
		value, done, err := c.serve(letter[0])
		if err != nil || done {
			return value, err
		}
	}
}

func (c *double) word() uint64 {
	var p [8]byte
	_, _ = io.ReadFull(c.answers, p[:])
	return binary.LittleEndian.Uint64(p[:])
}

func (c *double) say(p []byte) { c.trips++; _, _ = c.calls.Write(p) }

func (c *double) serve(letter byte) (value int64, done bool, err error) {
	switch letter {
	case 'R':
		address, size := c.word(), c.word()
		c.say(c.at(address, size))
	case 'Z':
		address, most := c.word(), c.word()
		if address < firstAddress || address-firstAddress >= uint64(len(c.memory)) { // also where the driver ended in between
			return 0, false, errGone
		}
		text := c.memory[address-firstAddress:]
		text = text[:bytes.IndexByte(text, 0)]
		text = text[:min(uint64(len(text)), most)]
		c.say(append(le64(uint64(len(text))), text...))
	case 'W':
		address, size := c.word(), c.word()
		p := make([]byte, size)
		_, _ = io.ReadFull(c.answers, p)
		copy(c.at(address, size), p)
	case 'M':
		p := make([]byte, c.word())
		_, _ = io.ReadFull(c.answers, p)
		c.say(le64(c.alloc(p)))
	case 'F':
		c.frees = append(c.frees, c.word())
	case 'E':
		var p [4]byte
		_, _ = io.ReadFull(c.answers, p[:])
		c.errno = syscall.Errno(binary.LittleEndian.Uint32(p[:]))
	case 'v':
		return 0, true, nil
	case 'i', 'p', 'f':
		return int64(c.word()), true, nil
	default:
		return 0, false, errGone
	}
	return 0, false, nil
}

// call is try for a driver that must answer.
func (c *double) call(signature string, args ...uint64) int64 {
	c.tb.Helper()
	v, err := c.try(signature, args...)
	if err != nil {
		c.tb.Fatalf("%s: %v", signature, err)
	}
	return v
}

// want makes a call and compares its result.
func (c *double) want(value int64, errno syscall.Errno, signature string, args ...uint64) {
	c.tb.Helper()
	if got := c.call(signature, args...); got != value || c.errno != errno {
		c.tb.Errorf("%s: got %d, errno %d (%v); want %d, errno %d (%v)", signature, got, c.errno, c.errno, value, errno, errno)
	}
}

func (c *double) open(name string, flags int) int64 {
	c.tb.Helper()
	return c.call("open(pii)i", c.text(name), uint64(flags), 0o666)
}

func (c *double) write(fd int64, text string) int64 {
	c.tb.Helper()
	return c.call("write(ipi)i", uint64(fd), c.alloc([]byte(text)), uint64(len(text)))
}

// read reads once.
func (c *double) read(fd int64, size int) string {
	c.tb.Helper()
	to := c.room(size)
	n := c.call("read(ipi)i", uint64(fd), to, uint64(size))
	if n < 0 {
		return "errno " + c.errno.Error()
	}
	return string(c.at(to, uint64(n)))
}

// list reads a directory by name.
func (c *double) list(name string) []string {
	c.tb.Helper()
	stream := uint64(c.call("opendir(p)p", c.text(name)))
	if stream == 0 {
		return []string{"errno " + c.errno.Error()}
	}
	var out []string
	for {
		entry := c.call("readdir(p)p", stream)
		if entry == 0 {
			break
		}
		if n := c.cstring(uint64(entry) + 19); n != "." && n != ".." {
			out = append(out, n)
		}
	}
	c.want(0, 0, "closedir(p)i", stream)
	return out
}

// testLibrary stands for the interpreter's library.
func testLibrary(tb testing.TB) *library {
	tb.Helper()
	disk := &vfs.Static{}
	for _, n := range []string{"os", "codecs", "io", "subprocess", "site"} {
		disk.AddFile("/lib-python/3/"+n+".py", 0o644, []byte("# "+n+"\n"))
	}
	disk.AddFile("/lib-python/3/encodings/__init__.py", 0o644, []byte("# encodings\n"))
	disk.AddFile("/lib_pypy/_stat.py", 0o644, []byte("# _stat\n"))
	return newLibrary(disk, map[string][]byte{"subprocess.py": []byte("# the guest's\n")}, time.Unix(1e9, 0))
}

// targetFiles stands for a target.
func targetFiles() *vfs.Static {
	t := &vfs.Static{}
	for name, text := range map[string]string{
		"/etc/hostname": "target-1\n", "/etc/hosts": "127.0.0.1 localhost\n", "/proc/cpuinfo": "processor : 0\n\nprocessor : 1\n",
		"/proc/meminfo": "MemTotal: 1 kB\n", "/proc/loadavg": "0.25 0.50 1.00 1/2 3\n", "/script.py": "print(1)\n",
		"/etc/secret": "hidden\n",
	} {
		t.AddFile(name, 0o644, []byte(text))
	}
	t.AddDir("/proc/1")
	t.AddDir("/usr/bin")
	t.AddDir("/home")
	return t
}

// jobOver makes a job over a small target; the test may change it.
func jobOver(tb testing.TB, target vfs.Source) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	tb.Helper()
	job, stdout, stderr := unmountedJob(tb, target)
	if err := mount(job, testLibrary(tb), time.Unix(1e9, 0)); err != nil {
		tb.Fatal(err)
	}
	return job, stdout, stderr
}

// unmountedJob is jobOver without the engine's own trees.
func unmountedJob(tb testing.TB, target vfs.Source) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	tb.Helper()
	policy, err := vfs.NewPolicy([]string{"/"}, []string{"/etc/secret"})
	if err != nil {
		tb.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{
		Base: target, Policy: policy, Scratch: []string{"/tmp"}, MaxBytes: 8 << 20, MaxFile: 4 << 20, UID: 1000, GID: 1001,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = view.Close() })
	stdout, stderr := new(bytes.Buffer), new(bytes.Buffer)
	return sandbox.Job{
		Session: tb.Name(), Args: []string{"-"}, Dir: "/", FS: view, Env: []string{"PATH=/usr/bin:/bin", "HOME=/home", "USER=ops"},
		Stdin: strings.NewReader("typed\n"), Stdout: stdout, Stderr: stderr, Commands: conformance.Refuse{},
		Limits: sandbox.Limits{Wall: time.Minute, Write: 4 << 20},
		Host:   sandbox.Host{Sysname: "Linux", Nodename: "target-1", Release: "6.1", Version: "#1", Machine: "x86_64", UID: 1000, GID: 1001},
	}, stdout, stderr
}

// begin starts a double over a small target.
func begin(tb testing.TB, change func(*sandbox.Job)) (c *double, stdout, stderr *bytes.Buffer) {
	tb.Helper()
	job, stdout, stderr := jobOver(tb, targetFiles())
	if change != nil {
		change(&job)
	}
	c = newDouble(tb)
	c.start(tb.Context(), job)
	return c, stdout, stderr
}
