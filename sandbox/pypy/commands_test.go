//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
)

// recorder is a gate that lets everything pass to programs of its own, by the first argument: echo prints the others,
// cat copies, sleep waits for a signal, exit ends with its argument. "sh -c TEXT" is the program that TEXT names.
type recorder struct {
	mu       sync.Mutex
	commands []sandbox.Command
	hold     chan struct{} // Start waits for it, where it is set
}

func (r *recorder) started() []sandbox.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commands
}

type fakeProcess struct {
	done chan struct{}
	exit sandbox.ExitStatus
	kill chan syscall.Signal
}

func (p *fakeProcess) Wait() (sandbox.ExitStatus, error) {
	<-p.done
	return p.exit, nil
}

func (p *fakeProcess) Signal(sig syscall.Signal) error {
	select {
	case p.kill <- sig:
	default:
	}
	return nil
}

func (r *recorder) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	r.mu.Lock()
	r.commands = append(r.commands, c)
	r.mu.Unlock()
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	argv := c.Argv
	if len(argv) == 3 && argv[0] == "sh" {
		argv = strings.Fields(argv[2])
	}
	if len(argv) == 0 {
		return nil, &sandbox.Refusal{Errno: syscall.ENOENT}
	}
	p := &fakeProcess{done: make(chan struct{}), kill: make(chan syscall.Signal, 8)}
	var run func()
	switch argv[0] {
	case "echo":
		run = func() { _, _ = io.WriteString(c.Stdout, strings.Join(argv[1:], " ")+"\n") }
	case "complain":
		run = func() { _, _ = io.WriteString(c.Stderr, "no\n"); p.exit.Code = 1 }
	case "cat":
		run = func() {
			if c.Stdin != nil {
				_, _ = io.Copy(c.Stdout, c.Stdin)
			}
		}
	case "sleep":
		run = func() {
			select {
			case p.exit.Signal = <-p.kill:
			case <-ctx.Done():
				p.exit.Signal = syscall.SIGKILL
			}
		}
	case "exit":
		run = func() { p.exit.Code = len(argv[1]) }
	default:
		return nil, &sandbox.Refusal{Errno: syscall.ENOENT, Reason: ""}
	}
	go func() { defer close(p.done); run() }()
	return p, nil
}

// guestSide is the other side of /dev/shannot, as the guest's Python is.
type guestSide struct {
	*double
	fd int64
}

func newGuest(c *double) *guestSide {
	return &guestSide{c, c.open("/dev/shannot", unix.O_RDWR|unix.O_CLOEXEC)}
}

func list(items ...string) []byte {
	b := make([][]byte, len(items))
	for i, s := range items {
		b[i] = []byte(s)
	}
	return frames.EncodeList(b...)
}

// ask sends a request in two parts, and reads the reply.
func (g *guestSide) ask(items ...[]byte) [][]byte {
	g.tb.Helper()
	var wire bytes.Buffer
	_ = frames.Write(&wire, items...)
	half := wire.Len() / 2
	for _, part := range [][]byte{wire.Bytes()[:half], wire.Bytes()[half:]} {
		if n, err := g.try("write(ipi)i", uint64(g.fd), g.alloc(part), uint64(len(part))); err != nil || n != int64(len(part)) {
			return nil
		}
	}
	var reply bytes.Buffer
	reply.WriteString(g.read(g.fd, 4))
	for reply.Len() < 4+int(binary.LittleEndian.Uint32(reply.Bytes())) {
		more := g.read(g.fd, 1000)
		if more == "" {
			g.tb.Fatal("the reply is short")
		}
		reply.WriteString(more)
	}
	out, err := frames.DecodeList(reply.Bytes()[4:])
	if err != nil {
		g.tb.Fatal(err)
	}
	return out
}

// begin starts a command, and returns its process id, or what was refused.
func (g *guestSide) begin(stdin, stdout, stderr int64, input []byte, argv ...string) (int64, [][]byte) {
	g.tb.Helper()
	known := frames.EncodeList()
	if input != nil {
		known = frames.EncodeList(input)
	}
	reply := g.ask([]byte(frames.OpStart), frames.EncodeInt(12), frames.EncodeInt(stdin), frames.EncodeInt(stdout), frames.EncodeInt(stderr),
		list(argv...), list("/bin/"+argv[0]), frames.EncodeList(list("A=1")), nil, known, frames.EncodeList())
	if len(reply) == 2 && string(reply[0]) == "ok" {
		pid, _ := frames.DecodeInt(reply[1])
		return pid, reply
	}
	return 0, reply
}

func (g *guestSide) makePipe() (r, w int64) {
	pair := g.room(8)
	g.want(0, 0, "pipe2(pi)i", pair, unix.O_CLOEXEC)
	return int64(binary.LittleEndian.Uint32(g.at(pair, 4))), int64(binary.LittleEndian.Uint32(g.at(pair+4, 4)))
}

// wait waits for a command and returns its status.
func (g *guestSide) wait(pid int64) uint32 {
	g.tb.Helper()
	status := g.room(4)
	g.want(pid, 0, "waitpid(ipi)i", uint64(pid), status, 0)
	return binary.LittleEndian.Uint32(g.at(status, 4))
}

func TestCommandsThroughTheGuest(t *testing.T) {
	gate := new(recorder)
	c, stdout, stderr := begin(t, func(j *sandbox.Job) { j.Commands = gate })
	g := newGuest(c)
	r, w := g.makePipe()
	pid, _ := g.begin(0, w, 2, nil, "echo", "a b", "c")
	g.want(0, 0, "close(i)i", uint64(w))
	if got := g.read(r, 100); got != "a b c\n" {
		t.Errorf("captured %q", got)
	}
	if got := g.read(r, 100); got != "" {
		t.Errorf("after the end %q", got)
	}
	if s := g.wait(pid); s != 0 {
		t.Errorf("status %#x", s)
	}
	g.want(-1, unix.ECHILD, "waitpid(ipi)i", uint64(pid), null, 0)
	pid, _ = g.begin(-1, 1, 1, nil, "exit", "1234567")
	if s := g.wait(pid); s != 7<<8 {
		t.Errorf("status %#x", s)
	}
	pid, _ = g.begin(-1, 1, 2, nil, "sleep", "9")
	g.want(0, 0, "waitpid(ipi)i", uint64(pid), null, unix.WNOHANG)
	g.want(0, 0, "kill(ii)i", uint64(pid), 0)
	g.want(0, 0, "kill(ii)i", uint64(pid), uint64(unix.SIGTERM))
	if s := g.wait(pid); s != uint32(unix.SIGTERM) {
		t.Errorf("status %#x", s)
	}
	g.write(1, "between\n")
	pid, _ = g.begin(-1, 1, 2, nil, "echo", "direct")
	g.wait(pid)
	pid, _ = g.begin(-1, 1, 2, nil, "complain")
	g.wait(pid)
	if pid, reply := g.begin(-1, 1, 2, nil, "no-such-program"); pid != 0 || len(reply) != 3 || reply[1][0] != byte(unix.ENOENT) {
		t.Errorf("a missing program is %q", reply)
	}
	if _, reply := g.begin(-1, 99, 2, nil, "echo"); len(reply) != 3 || reply[1][0] != byte(unix.EBADF) {
		t.Errorf("a closed descriptor is %q", reply)
	}
	g.finish(0)
	if stdout.String() != "between\ndirect\n" || stderr.String() != "no\n" {
		t.Errorf("stdout %q stderr %q", stdout, stderr)
	}
	first := gate.started()[0]
	if !reflect.DeepEqual(first.Argv, []string{"echo", "a b", "c"}) || first.Line != 12 || first.Dir != "/" || !reflect.DeepEqual(first.Env, []string{"A=1"}) {
		t.Errorf("the gate saw %+v", first)
	}
}

func TestWhatACommandReadsIsKnownWhereItCanBe(t *testing.T) {
	gate := new(recorder)
	c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands, j.Stdin = gate, strings.NewReader("the agent's") })
	g := newGuest(c)
	run := func(stdin int64, input []byte) string {
		r, w := g.makePipe()
		pid, reply := g.begin(stdin, w, 2, input, "cat")
		if pid == 0 {
			t.Fatalf("refused: %q", reply)
		}
		g.want(0, 0, "close(i)i", uint64(w))
		out := ""
		for more := g.read(r, 1000); more != ""; more = g.read(r, 1000) {
			out += more
		}
		g.wait(pid)
		g.want(0, 0, "close(i)i", uint64(r))
		return out
	}
	file := g.open("/tmp/in", unix.O_CREAT|unix.O_RDWR)
	g.write(file, "skipped;read")
	g.want(8, 0, "lseek(iii)i", uint64(file), 8, 0)
	if got := run(file, nil); got != "read" {
		t.Errorf("a file gives %q", got)
	}
	in, out := g.makePipe()
	if got := run(in, []byte("as said")); got != "as said" {
		t.Errorf("a known input gives %q", got)
	}
	g.want(0, 0, "close(i)i", uint64(in))
	g.want(0, 0, "close(i)i", uint64(out))
	in, out = g.makePipe()
	g.write(out, "streamed")
	g.want(0, 0, "close(i)i", uint64(out))
	if got := run(in, nil); got != "streamed" {
		t.Errorf("a pipe gives %q", got)
	}
	if got := run(g.open("/dev/null", unix.O_RDONLY), nil); got != "" {
		t.Errorf("nothing gives %q", got)
	}
	if got := run(0, nil); got != "the agent's" {
		t.Errorf("the agent's input gives %q", got)
	}
	if got := run(0, nil); got != "" {
		t.Errorf("the agent's input, used up, gives %q", got)
	}
	if _, reply := g.begin(99, 1, 2, nil, "cat"); len(reply) != 3 || reply[1][0] != byte(unix.EBADF) {
		t.Errorf("a closed input is %q", reply)
	}
	g.finish(0)
	var inputs []sandbox.Input
	for _, c := range gate.started() {
		inputs = append(inputs, c.Input)
	}
	if want := []sandbox.Input{"data", "data", "stream", "none", "stream", "none"}; !reflect.DeepEqual(inputs, want) {
		t.Errorf("inputs %q, want %q", inputs, want)
	}
}

func TestSystemAnswersAWaitStatus(t *testing.T) {
	c, stdout, _ := begin(t, func(j *sandbox.Job) { j.Commands = new(recorder) })
	c.want(0, 0, "system(p)i", c.text("echo hi"))
	c.want(3<<8, 0, "system(p)i", c.text("exit abc"))
	c.want(127<<8, 0, "system(p)i", c.text("nothing like it"))
	c.want(1, 0, "system(p)i", null)
	c.finish(0)
	if stdout.String() != "hi\n" {
		t.Errorf("stdout %q", stdout)
	}
	c, _, stderr := begin(t, nil)
	c.want(126<<8, 0, "system(p)i", c.text("rm -rf /"))
	c.finish(0)
	if stderr.String() != "sh: not today\n" {
		t.Errorf("stderr %q", stderr)
	}
}

func TestPollWaitsForCommands(t *testing.T) {
	c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands = new(recorder) })
	g := newGuest(c)
	r, w := g.makePipe()
	number := func(n int64) []byte { return frames.EncodeList(frames.EncodeInt(n)) }
	reply := g.ask([]byte(opPoll), frames.EncodeInt(0), number(r), frames.EncodeList())
	if len(reply) != 3 || len(reply[1]) != 4 {
		t.Errorf("an empty pipe is ready: %q", reply)
	}
	g.begin(-1, w, 2, nil, "echo", "x")
	reply = g.ask([]byte(opPoll), frames.EncodeInt(-1), number(r), number(1))
	if len(reply) != 3 || !bytes.Equal(reply[2], number(1)) {
		t.Errorf("standard output is not ready: %q", reply)
	}
	reply = g.ask([]byte(opPoll), frames.EncodeInt(-1), number(r), frames.EncodeList())
	if len(reply) != 3 || !bytes.Equal(reply[1], number(r)) {
		t.Errorf("the pipe is not ready: %q", reply)
	}
	reply = g.ask([]byte(opPoll), frames.EncodeInt(-1), number(99), frames.EncodeList())
	if len(reply) != 3 || string(reply[0]) != "error" || reply[1][0] != byte(unix.EBADF) {
		t.Errorf("a closed descriptor: %q", reply)
	}
	c.finish(0)
}

func TestTimeHeldByAHumanDoesNotCount(t *testing.T) {
	gate := &recorder{hold: make(chan struct{})}
	c, _, _ := begin(t, func(j *sandbox.Job) {
		j.Commands, j.Limits.Wall, j.Held = gate, 2*supervisor.Tick, func() bool { return true }
	})
	done := make(chan int64, 1)
	go func() {
		v, _ := c.try("system(p)i", c.text("echo x"))
		done <- v
	}()
	time.Sleep(4 * supervisor.Tick) // not a wait for anything: it is the time that must not count
	close(gate.hold)
	if v := <-done; v != 0 {
		t.Errorf("the command ended with %d", v)
	}
	if r := c.finish(0); r.Cause != sandbox.Exited {
		t.Errorf("%+v", r)
	}
}

func TestCommandsEndWithTheRun(t *testing.T) {
	c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands, j.Limits.Wall = new(recorder), 2*supervisor.Tick })
	if _, err := c.try("system(p)i", c.text("sleep 100")); !errors.Is(err, errGone) {
		t.Errorf("it ended with %v", err)
	}
	if r := c.outcome(); r.Cause != sandbox.WallTime {
		t.Errorf("%+v", r)
	}
}

func TestLimitThatTheGuestBlamesNamesTheEnd(t *testing.T) {
	for code, want := range map[int]sandbox.Cause{1: sandbox.Memory, 0: sandbox.Exited} {
		c, _, _ := begin(t, nil)
		if reply := newGuest(c).ask([]byte(frames.OpLimit), []byte("memory")); len(reply) != 0 {
			t.Errorf("reply %q", reply)
		}
		if r := c.finish(code); r.Cause != want {
			t.Errorf("status %d: %+v", code, r)
		}
	}
}

func TestWhatNoGuestSendsEndsTheSession(t *testing.T) {
	whole := func(items ...[]byte) []byte {
		var b bytes.Buffer
		_ = frames.Write(&b, items...)
		return b.Bytes()
	}
	for name, wire := range map[string][]byte{
		"a size beyond all":   {0xff, 0xff, 0xff, 0xff},
		"more than one":       append(whole([]byte(frames.OpLimit), []byte("memory")), 1),
		"an empty list":       whole(),
		"an unknown request":  whole([]byte("exec")),
		"an unknown limit":    whole([]byte(frames.OpLimit), []byte("patience")),
		"a false list":        {4, 0, 0, 0, 9, 9, 9, 9},
		"a poll of nothing":   whole([]byte(opPoll)),
		"a poll of no number": whole([]byte(opPoll), frames.EncodeInt(1), list("x"), frames.EncodeList()),
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := begin(t, nil)
			g := newGuest(c)
			if _, err := g.try("write(ipi)i", uint64(g.fd), g.alloc(wire), uint64(len(wire))); !errors.Is(err, errGone) {
				t.Errorf("it was answered: %v", err)
			}
			if r := g.outcome(); r.Cause != sandbox.Protocol {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestConnectionsOfTheGuestAreFew(t *testing.T) {
	c, _, _ := begin(t, nil)
	first := newGuest(c)
	for range maxLinks - 1 {
		newGuest(c)
	}
	c.want(-1, unix.EMFILE, "open(pii)i", c.text("/dev/shannot"), unix.O_RDWR, 0)
	c.want(0, 0, "close(i)i", uint64(first.fd))
	again := newGuest(c)
	if again.fd < 0 {
		t.Error("a closed connection is not given back")
	}
	if got := c.read(again.fd, 10); got != "" {
		t.Errorf("a connection without a request says %q", got)
	}
	c.finish(0)
}

func TestCommandsThatWereNotWaitedForAreFew(t *testing.T) {
	c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands = new(recorder) })
	g := newGuest(c)
	for range posix.MaxChildren {
		if pid, reply := g.begin(-1, 1, 2, nil, "exit", ""); pid == 0 {
			t.Fatalf("refused: %q", reply)
		}
		g.used = 0
	}
	if _, reply := g.begin(-1, 1, 2, nil, "exit", ""); len(reply) != 3 || reply[1][0] != byte(unix.EAGAIN) {
		t.Errorf("one more is %q", reply)
	}
	for range posix.MaxChildren {
		if pid := g.call("waitpid(ipi)i", ^uint64(0), null, 0); pid < posix.FirstPID {
			t.Fatalf("waited for %d", pid)
		}
	}
	g.want(-1, unix.ECHILD, "waitpid(ipi)i", ^uint64(0), null, 0)
	g.finish(0)
}

func TestOpenFilesOfAllSessionsAreBoundedTogether(t *testing.T) {
	before := mostEverywhere
	most := everywhere.Load() + 3
	mostEverywhere = func() int64 { return most }
	defer func() { mostEverywhere = before }()
	one, _, _ := begin(t, nil)
	other, _, _ := begin(t, nil)
	fd := one.open("/etc/hosts", unix.O_RDONLY)
	one.want(0, 0, "pipe(p)i", one.room(8))
	other.want(-1, unix.ENFILE, "open(pii)i", other.text("/etc/hosts"), 0, 0)
	other.want(-1, unix.ENFILE, "pipe(p)i", other.room(8))
	one.want(0, 0, "close(i)i", uint64(fd))
	other.want(3, 0, "open(pii)i", other.text("/etc/hosts"), 0, 0)
	one.finish(0)
	other.finish(0)
	if left := everywhere.Load(); left > most-3 {
		t.Errorf("%d are counted after the end, %d before", left, most-3)
	}
}

func TestGatewaysDescriptorsAreGivenBack(t *testing.T) {
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(names)
	}
	session := func() {
		c, _, _ := begin(t, func(j *sandbox.Job) { j.Commands = new(recorder) })
		g := newGuest(c)
		for range 20 {
			g.makePipe()
			g.open("/tmp/f", unix.O_CREAT|unix.O_RDWR)
			g.call("opendir(p)p", g.text("/etc"))
		}
		r, _ := g.makePipe()
		g.begin(r, 1, 2, []byte("known"), "cat")
		g.call("system(p)i", g.text("echo x"))
		g.finish(0)
		_ = c.theirs[0].Close()
		_ = c.theirs[1].Close()
	}
	session()
	before := count()
	for range 5 {
		session()
	}
	// The views of the sessions are closed with the test: each keeps its one file.
	if after := count(); after > before+5*4 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
