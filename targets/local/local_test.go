//go:build unix

package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
	"shannot-gateway/vfs/tasks"
)

func newLocal(tb testing.TB, runAs string) *Local {
	tb.Helper()
	l, err := New(Options{RunAs: runAs})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// shell makes a command of shell text with its output in one buffer.
func shell(l *Local, text string, out io.Writer) targets.Command {
	return targets.Command{Path: "/bin/sh", Argv: []string{"sh", "-c", text}, Dir: "/", Env: l.Account().Env("dumb"), Stdout: out, Stderr: out}
}

func run(t *testing.T, l *Local, c targets.Command) targets.Exit {
	t.Helper()
	p, err := l.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

func TestCommandsRunAsTheyWereDecided(t *testing.T) {
	l := newLocal(t, "")
	cases := []struct{ name, text, want string }{
		{"output in order", "echo a; echo b >&2; echo c", "a\nb\nc\n"},
		{"no input", "cat; echo end", "end\n"},
		{"directory", "pwd", "/\n"},
		{"the program's name", "echo $0", "sh\n"},
		{"no environment of the gateway's", "echo $SHANNOT_TEST_SECRET.", ".\n"},
		{"no descriptors of the gateway's", "ls /proc/self/fd | wc -l", "4\n"},
	}
	t.Setenv("SHANNOT_TEST_SECRET", "secret")
	left, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = left.Close() }()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if exit := run(t, l, shell(l, c.text, &out)); exit.Code != 0 || out.String() != c.want {
				t.Errorf("exit %+v, output %q, want %q", exit, out.String(), c.want)
			}
		})
	}
}

func TestExitStatusAndSignal(t *testing.T) {
	l := newLocal(t, "")
	if exit := run(t, l, shell(l, "exit 7", io.Discard)); exit.Code != 7 || exit.Signal != 0 {
		t.Errorf("%+v, want code 7", exit)
	}
	if exit := run(t, l, shell(l, "kill -TERM $$", io.Discard)); exit.Signal != syscall.SIGTERM {
		t.Errorf("%+v, want SIGTERM", exit)
	}
}

func TestEndOfTheContextKillsTheWholeGroup(t *testing.T) {
	l := newLocal(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	started, w := io.Pipe()
	p, err := l.Start(ctx, shell(l, "sleep 600 & echo up; wait", w))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := started.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if exit, _ := p.Wait(); exit.Signal != syscall.SIGKILL {
		t.Errorf("%+v, want SIGKILL", exit)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Errorf("signal after the end: %v", err)
	}
}

func TestCommandHasASessionOfItsOwn(t *testing.T) {
	l := newLocal(t, "")
	var out bytes.Buffer
	run(t, l, shell(l, "cut -d' ' -f1,5,6 /proc/$$/stat", &out))
	f := strings.Fields(out.String())
	if len(f) != 3 || f[0] != f[1] || f[0] != f[2] {
		t.Errorf("pid, group, session: %v; want three times the same", f)
	}
}

func TestWhatCannotStartIsTheErrnoOfExec(t *testing.T) {
	l := newLocal(t, "")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	resolve := []struct {
		name string
		want error
	}{
		{"no-such-program", syscall.ENOENT}, {"", syscall.ENOENT}, {"a\x00b", syscall.ENOENT},
		{plain, syscall.EACCES}, {plain + "/below", syscall.ENOTDIR}, {plain + "/", syscall.ENOTDIR}, {"/", syscall.EACCES}, {"./sh", syscall.ENOENT},
	}
	for _, c := range resolve {
		if got, err := l.Resolve(t.Context(), c.name, "/"); !errors.Is(err, c.want) {
			t.Errorf("resolve %q: %q, %v; want %v", c.name, got, err, c.want)
		}
	}
	if got, err := l.Resolve(t.Context(), "sh", "/tmp"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("resolve sh: %q, %v", got, err)
	}
	c := shell(l, "true", io.Discard)
	c.Dir = "/no/such/directory"
	if _, err := l.Start(t.Context(), c); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("missing directory: %v, want ENOENT", err)
	}
	c.Dir = plain
	if _, err := l.Start(t.Context(), c); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file as directory: %v, want ENOTDIR", err)
	}
	c = shell(l, "true", io.Discard)
	c.Path = "sh"
	if _, err := l.Start(t.Context(), c); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a path that would be looked up: %v, want EINVAL", err)
	}
}

func TestCommandsRunAsTheConfiguredUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run commands as somebody else")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody:", err)
	}
	l := newLocal(t, "nobody")
	var out bytes.Buffer
	run(t, l, shell(l, "id -u; echo $USER; cat /etc/shadow 2>/dev/null || echo denied", &out))
	if want := u.Uid + "\nnobody\ndenied\n"; out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
}

func TestMain(m *testing.M) {
	jail.Init()
	os.Exit(m.Run())
}

// A command that nobody saw cannot write, as whoever it runs; one that was approved can.
func TestReadOnlyCommandsAreInTheJail(t *testing.T) {
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "nobody")
	}
	for _, user := range users {
		l, err := New(Options{RunAs: user, Jail: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Jail(); err != nil {
			t.Skip(err)
		}
		dir := t.TempDir()
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			var out bytes.Buffer
			c := shell(l, "id -u; (echo x >"+dir+"/made) 2>/dev/null && echo written", &out)
			c.ReadOnly = readOnly
			run(t, l, c)
			want := strconv.Itoa(int(l.Account().UID)) + "\n"
			if !readOnly {
				want += "written\n"
			}
			if out.String() != want {
				t.Errorf("as %q, read-only %v: %q, want %q", user, readOnly, out.String(), want)
			}
		}
		c := shell(l, "true", io.Discard)
		c.ReadOnly, c.Path = true, filepath.Join(dir, "none")
		if _, err := l.Start(t.Context(), c); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("a missing program: %v, want ENOENT", err)
		}
	}
}

func TestJailThatIsSwitchedOffSaysSo(t *testing.T) {
	if err := newLocal(t, "").Jail(); err == nil || !strings.Contains(err.Error(), "profile.jail") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownUserIsAnError(t *testing.T) {
	if _, err := New(Options{RunAs: "no-such-user-here"}); err == nil || !strings.Contains(err.Error(), "local.run_as") {
		t.Errorf("%v", err)
	}
}

// What a command wrote is copied, however long whoever takes it needs; what it has left behind is not waited for.
func TestOutputOfAnEndedCommandIsNotCut(t *testing.T) {
	const size = 1 << 20
	got, slow := 0, make(chan struct{})
	l := newLocal(t, "")
	p, err := l.Start(t.Context(), shell(l, "head -c "+strconv.Itoa(size)+" /dev/zero", writerFunc(func(b []byte) (int, error) {
		<-slow
		got += len(b)
		return len(b), nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 20 {
			slow <- struct{}{}
			time.Sleep(10 * time.Millisecond) // a slow reader, no wait for anything
		}
		close(slow)
	}()
	if exit, err := p.Wait(); err != nil || exit.Code != 0 || got != size {
		t.Errorf("%+v, %v, %d bytes", exit, err, got)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A killed command is given up when it, what it left behind, or whoever takes its output does not end.
func TestKilledCommandIsGivenUp(t *testing.T) {
	l := newLocal(t, "")
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for name, c := range map[string]struct {
		text string
		out  io.Writer
	}{
		"children in a session of their own": {"setsid sleep 20 & echo up; wait", io.Discard},
		"a writer that never returns":        {"cat /dev/zero", writerFunc(func(p []byte) (int, error) { <-never; return 0, io.EOF })},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			p, err := l.Start(ctx, shell(l, c.text, c.out))
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			if exit, _ := p.Wait(); exit.Signal != syscall.SIGKILL {
				t.Errorf("%+v, want SIGKILL", exit)
			}
		})
	}
}

// A gateway without privileges cannot kill a command that runs as somebody else, by the set-user-ID bit. What becomes of it is
// not known, and nobody waits for it.
func TestCommandThatCannotBeKilledIsLost(t *testing.T) {
	if stubborn := os.Getenv("SHANNOT_TEST_STUBBORN"); stubborn != "" {
		l := newLocal(t, "")
		ctx, cancel := context.WithCancel(t.Context())
		p, err := l.Start(ctx, targets.Command{Path: stubborn, Argv: []string{"setpriv", "--reuid=0", "sleep", "20"}, Dir: "/", Env: l.Account().Env("dumb")})
		if err != nil {
			t.Fatal(err)
		}
		for became := false; !became; { // somebody else
			st, err := os.Stat(fmt.Sprintf("/proc/%d/cmdline", p.(*process).cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.(*process).cmd.Process.Pid))
			became = st.Sys().(*syscall.Stat_t).Uid == 0 && bytes.HasPrefix(text, []byte("sleep"))
		}
		cancel()
		if _, err := p.Wait(); !errors.Is(err, targets.ErrLost) {
			t.Errorf("got %v, want %v", err, targets.ErrLost)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a set-user-ID program of its own")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "stubborn-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for to, from := range map[string]string{"setpriv": setpriv, "local.test": "/proc/self/exe"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o755); err != nil { // #nosec G306 -- run by another user
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, "setpriv"), 0o755|os.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "local.test"), "-test.run=^TestCommandThatCannotBeKilledIsLost$", "-test.count=1")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SHANNOT_TEST_STUBBORN=" + filepath.Join(dir, "setpriv")}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestWaitingForCommandsTakesNoThreads(t *testing.T) {
	const many = 60
	l := newLocal(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := pprof.Lookup("threadcreate").Count()
	var all []targets.Process
	for range many {
		p, err := l.Start(ctx, shell(l, "exec sleep 60", io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if n := pprof.Lookup("threadcreate").Count() - before; n > many/2 {
		t.Errorf("%d threads more for %d commands", n, many)
	}
	cancel()
	for _, p := range all {
		_, _ = p.Wait()
	}
}

// Commands in sum leave the gateway the threads that it needs.
func TestCommandsInSumAreBounded(t *testing.T) {
	l := newLocal(t, "")
	l.running.Store(int32(tasks.AllCommands())) // #nosec G115 -- no more than there are processes
	command := targets.Command{Path: "/bin/true", Argv: []string{"true"}, Dir: "/"}
	if _, err := l.Start(t.Context(), command); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("one more than all: %v", err)
	}
	l.running.Add(-1)
	command.Path = "/bin/no-such-program"
	if _, err := l.Start(t.Context(), command); err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Errorf("a program that is not there: %v", err)
	}
	command.Path = "/bin/true"
	for range 3 { // each gives its place back
		p, err := l.Start(t.Context(), command)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
