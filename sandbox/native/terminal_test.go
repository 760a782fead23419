//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

// control are the sequences that a line editor draws with (ECMA-48), and carriage returns.
var control = regexp.MustCompile("\x1b(\\[[0-9;?]*[A-Za-z]|[=>])|\r")

func plain(text string) string { return control.ReplaceAllString(text, "") }

// typist is a human at a script's terminal: what it shows, and what is typed into it.
type typist struct {
	tb     testing.TB
	keys   *io.PipeWriter
	resize chan sandbox.Size
	result chan sandbox.Result

	mu      sync.Mutex
	shown   bytes.Buffer
	at      int // what was looked for already
	changed chan struct{}
}

// atTerminal starts an interpreter at a terminal of 24 by 80.
func atTerminal(tb testing.TB, env []string, args ...string) *typist {
	tb.Helper()
	job, _, _ := jobFor(tb, "")
	read, write := io.Pipe()
	h := &typist{tb: tb, keys: write, resize: make(chan sandbox.Size), result: make(chan sandbox.Result, 1), changed: make(chan struct{}, 1)}
	job.Args, job.Stdin, job.Stdout = args, read, h
	job.Env = append(job.Env, env...)
	job.Terminal = &sandbox.Terminal{Size: sandbox.Size{Rows: 24, Columns: 80}, Resize: h.resize}
	e := engine(tb)
	go func() {
		result, err := e.Run(tb.Context(), job)
		if err != nil {
			tb.Error(err)
		}
		h.result <- result
	}()
	tb.Cleanup(func() { _ = write.Close() })
	return h
}

func (h *typist) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
	return h.shown.Write(p)
}

func (h *typist) types(text string) {
	h.tb.Helper()
	if _, err := io.WriteString(h.keys, text); err != nil {
		h.tb.Fatal(err)
	}
}

// sees waits until text is shown, after what was seen before.
func (h *typist) sees(text string) {
	h.tb.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		all := plain(h.shown.String())
		if i := strings.Index(all[h.at:], text); i >= 0 {
			h.at += i + len(text)
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		select {
		case <-h.changed:
		case r := <-h.result:
			h.result <- r
			h.tb.Fatalf("ended with %+v before %q was shown: %q", r, text, all)
		case <-deadline:
			h.tb.Fatalf("%q was not shown: %q", text, all)
		}
	}
}

func (h *typist) ends() sandbox.Result {
	h.tb.Helper()
	select {
	case r := <-h.result:
		return r
	case <-time.After(patience):
		h.tb.Fatalf("the interpreter did not end: %q", h.shown.String())
		return sandbox.Result{}
	}
}

func TestInterpreterAtATerminalEditsInterruptsAndEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		exit int // as in bare CPython, whose basic prompt remembers the interrupt
	}{
		{"line editor", []string{"TERM=xterm-256color", "PYTHON_HISTORY=/tmp/.python_history"}, 0},
		{"dumb", []string{"TERM=dumb"}, 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := atTerminal(t, c.env)
			h.sees(">>> ")
			h.types("print('a', 6*7)\r")
			h.sees("\na 42")
			h.sees(">>> ")
			// Not one long sleep: an interrupt just before it would be seen after it, as in bare CPython.
			h.types("import time; all(not time.sleep(0.01) for _ in iter(int, 1))\r")
			h.sees("iter(int, 1))")
			h.sees("\n") // it runs
			h.types("\x03")
			h.sees("KeyboardInterrupt")
			h.sees(">>> ")
			h.types("import os; os.get_terminal_size()\r")
			h.sees("columns=80, lines=24")
			h.sees(">>> ")
			h.resize <- sandbox.Size{Rows: 30, Columns: 100}
			h.types("all(os.get_terminal_size() != (100, 30) for _ in iter(int, 1)) or print('re' + 'sized')\r")
			h.sees("\nresized")
			h.sees(">>> ")
			h.types("import subprocess; subprocess.run(['echo', 'from', 'a', 'command']).returncode\r")
			h.sees("\nfrom a command\n0")
			h.sees(">>> ")
			h.types("\x04")
			if r := h.ends(); r.Cause != sandbox.Exited || r.ExitCode != c.exit {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestLineEditorHasHistoryAndCursorKeys(t *testing.T) {
	h := atTerminal(t, []string{"TERM=xterm-256color", "PYTHON_HISTORY=/tmp/.python_history"})
	h.sees(">>> ")
	h.types("1000 + 1\r")
	h.sees("\n1001")
	h.sees(">>> ")
	h.types("\x1bOA\x1bOD\x7f5\r") // the last line again, left of its last character: 1000 +51
	h.sees("\n1051")
	h.sees(">>> ")
	h.types("exit(7)\r")
	if r := h.ends(); r.ExitCode != 7 {
		t.Errorf("%+v", r)
	}
}

func TestScriptAtATerminalFindsIt(t *testing.T) {
	h := atTerminal(t, []string{"TERM=xterm"}, "-c", `
import os, sys, termios, tty
print([os.isatty(fd) for fd in (0, 1, 2)], os.tcgetpgrp(0) == os.getpid(), os.tcsetpgrp(0, os.getpgrp()))
with open("/dev/tty", "w") as f: f.write("by name\n")
before = termios.tcgetattr(0); tty.setcbreak(0); print("one key:", flush=True); print(sys.stdin.read(1)); termios.tcsetattr(0, termios.TCSADRAIN, before)
import getpass; print(len(getpass.getpass("secret? ")))`)
	h.sees("[True, True, True] True None")
	h.sees("by name")
	h.sees("one key:")
	h.types("k")
	h.sees("k")
	h.sees("secret? ")
	h.types("hunter2\r")
	h.sees("7")
	h.ends()
	if strings.Contains(h.shown.String(), "hunter2") {
		t.Errorf("the password was shown: %q", h.shown.String())
	}
}

// What a terminal would let a process do to others: type for them, change what it is, take it away, resize it.
func TestTerminalCannotBeTurnedAgainstOthers(t *testing.T) {
	h := atTerminal(t, nil, "-c", `
import errno, fcntl, os
for name, number in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c), ("TIOCSETD", 0x5423), ("TIOCCONS", 0x541d), ("TIOCSWINSZ", 0x5414),
                     ("TIOCNOTTY", 0x5422), ("TIOCSCTTY", 0x540e), ("TIOCSPGRP", 0x5410), ("TIOCVHANGUP", 0x5437), ("TIOCGPTPEER", 0x5441),
                     ("TIOCPKT", 0x5420), ("TIOCEXCL", 0x540c), ("TIOCSTI with high bits", 0x5412 | 1 << 31)):
    for fd in (0, os.open("/dev/tty", os.O_RDWR)):
        try: fcntl.ioctl(fd, number - (1 << 32) if number >> 31 else number, b"x" * 64); print(name, "WENT THROUGH")
        except OSError as e: print(name, errno.errorcode[e.errno])
for path in ("/dev/ptmx", "/dev/pts/0", "/dev/pts", "/dev/console", "/dev/tty0"):
    print(path, os.path.exists(path))
print("done")`)
	h.sees("done")
	if r := h.ends(); r.ExitCode != 0 {
		t.Errorf("%+v", r)
	}
	shown := h.shown.String()
	if strings.Contains(shown, "THROUGH") || strings.Contains(shown, "True") || strings.Count(shown, "ENOTTY") != 24 || strings.Count(shown, "EPERM") != 2 {
		t.Errorf("%s", shown)
	}
}

func TestEndOfWhatIsTypedEndsTheInterpreter(t *testing.T) {
	h := atTerminal(t, []string{"TERM=xterm"})
	h.sees(">>> ")
	_ = h.keys.Close()
	if r := h.ends(); r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Errorf("%+v", r)
	}
}

func TestScriptWithoutATerminalHasNone(t *testing.T) {
	got := runScript(t, `
import os
print([os.isatty(fd) for fd in (0, 1, 2)], os.path.exists("/dev/tty"), "tty" in os.listdir("/dev"))
try: open("/dev/tty")
except OSError as e: print(e.strerror)`)
	if got.stdout != "[False, False, False] False False\nNo such file or directory\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}
