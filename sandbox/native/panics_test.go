//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// explosive is a tree of a host with a file that nobody survives touching.
type explosive struct{ vfs.Source }

func (e explosive) Lstat(name string) (vfs.Info, error) {
	if strings.Contains(name, "explosive") {
		panic("touched " + name)
	}
	return e.Source.Lstat(name)
}

func (e explosive) Open(name string, flags int) (int, error) {
	if strings.HasSuffix(name, "/hosts") {
		panic("opened " + name)
	}
	return e.Source.Open(name, flags)
}

type explosiveCommands struct{ wait bool }

func (c explosiveCommands) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	if c.wait {
		return explosiveProcess{}, nil
	}
	panic("started a command")
}

type explosiveProcess struct{}

func (explosiveProcess) Wait() (sandbox.ExitStatus, error) { panic("waited for a command") }
func (explosiveProcess) Signal(syscall.Signal) error       { return nil }

type explosiveReader struct{ first io.Reader }

func (r explosiveReader) Read(p []byte) (int, error) {
	n, err := r.first.Read(p)
	if n == 0 {
		panic("read the input")
	}
	return n, err
}

// A defect anywhere in the work for one session ends that session, with the reason in the log. The other goes on.
func TestPanicEndsThatSessionOnly(t *testing.T) {
	e := engine(t)
	var log bytes.Buffer
	quiet := *e.options.Log
	e.options.Log = slog.New(slog.NewTextHandler(&log, nil))
	defer func() { e.options.Log = &quiet }()

	other, otherOut, otherErr := jobFor(t, "")
	lines, type_ := io.Pipe()
	other.Args = []string{"-c", "import os\nwhile input(): print(os.stat('/etc').st_ino > 0, flush=True)"}
	other.Stdin = lines
	ended := make(chan sandbox.Result, 1)
	go func() {
		r, err := e.Run(context.Background(), other)
		if err != nil {
			t.Error(err)
		}
		ended <- r
	}()

	const wait = "\nimport time; time.sleep(60)"
	cases := []struct {
		name, script string
		set          func(*sandbox.Job)
	}{
		{"in a walk", "import os; os.stat('/etc/explosive')" + wait, func(*sandbox.Job) {}},
		{"in an open", "open('/etc/hosts')" + wait, func(*sandbox.Job) {}},
		{"in an interpreter's call", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import os; os.stat(\"/etc/explosive\")'])" + wait, func(*sandbox.Job) {}},
		{"in a working directory", "import subprocess; subprocess.run(['true'], cwd='/etc/explosive')" + wait, func(*sandbox.Job) {}},
		{"in the gate", "import subprocess; subprocess.run(['true'])" + wait, func(j *sandbox.Job) { j.Commands = explosiveCommands{} }},
		{"in a wait", "import subprocess; subprocess.run(['true'])" + wait, func(j *sandbox.Job) { j.Commands = explosiveCommands{wait: true} }},
		{"in the output", "print('x')" + wait, func(j *sandbox.Job) { j.Stdout = writerFunc(func([]byte) (int, error) { panic("wrote output") }) }},
		{"in the input", "", func(j *sandbox.Job) {
			j.Args, j.Stdin = []string{"-c", wait}, explosiveReader{strings.NewReader("x")}
		}},
		{"in a notice", "import os\nwhile True: os.stat('/')", func(j *sandbox.Job) {
			j.Limits.Calls, j.Notice = 1000, func(string) { panic("told of a limit") }
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log.Reset()
			job, _, stderr := jobFor(t, c.script)
			policy, err := vfs.NewPolicy(narrowRead(), nil)
			if err != nil {
				t.Fatal(err)
			}
			job.FS, err = vfs.NewSession(vfs.Config{Base: explosive{vfs.NewHost()}, Policy: policy, Scratch: []string{"/tmp"}, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			c.set(&job)
			r := runJob(t, job)
			if r.Cause != sandbox.Stopped || r.Detail != supervisor.ErrPanic.Error() {
				t.Errorf("%+v, want %q; stderr %s", r, supervisor.ErrPanic, stderr)
			}
			if !strings.Contains(log.String(), "panic") || !strings.Contains(log.String(), "panics_test.go") {
				t.Errorf("the log does not say where: %s", log.String())
			}
			if _, err := io.WriteString(type_, "go on\n"); err != nil {
				t.Fatal(err)
			}
		})
	}
	_, _ = io.WriteString(type_, "\n")
	if r := <-ended; r.Cause != sandbox.Exited || r.ExitCode != 0 || otherOut.String() != strings.Repeat("True\n", len(cases)) {
		t.Errorf("the other session: %+v, stdout %q stderr %s", r, otherOut, otherErr)
	}
}
