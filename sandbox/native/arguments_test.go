//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
)

// tellArguments compares what a script knows of its arguments and environment, tells its process id and waits.
const tellArguments = `
import os, sys, time
told = open("/proc/self/cmdline", "rb").read().split(b"\0")[1:-1]
print(told == [os.fsencode(a) for a in sys.orig_argv[-len(told):]], sys.argv == ([sys.argv[0]] + sys.orig_argv[-len(sys.argv):][1:]),
    sorted(os.environ) == ["HOME", "LANG", "PATH", "SHANNOT_SANDBOX"] and len(os.environb) == 4, ascii(sys.argv))
print(os.getpid(), flush=True)
time.sleep(60)
`

// told runs a job, calls look with the process id that it tells in its second line, and returns the first.
func told(t *testing.T, job sandbox.Job, look func(pid int)) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, tell := io.Pipe()
	job.Stdout = tell
	done := make(chan sandbox.Result, 1)
	go func() {
		result, err := engine(t).Run(ctx, job)
		if err != nil {
			t.Error(err)
		}
		_ = tell.CloseWithError(fmt.Errorf("ended: %+v", result))
		done <- result
	}()
	text := bufio.NewReader(lines)
	first, err := text.ReadString('\n')
	second, err2 := text.ReadString('\n')
	pid := 0
	if _, err3 := fmt.Sscan(second, &pid); err != nil || err2 != nil || err3 != nil {
		t.Fatalf("%q %q: %v %v; stderr %s", first, second, err, err2, job.Stderr)
	}
	look(pid)
	cancel()
	<-done
	return strings.TrimSpace(first)
}

// The kernel shows everybody on the machine what a process was started with.
func TestScriptAndItsArgumentsAreInNobodysCommandLine(t *testing.T) {
	const marker = "password-of-the-script"
	for _, c := range []struct {
		name, code string
		args       []string
		argv       string
	}{
		{"code", "-c", nil, "['-c']"},
		{"code and arguments", "-c", []string{marker, "", "LD_PRELOAD=/" + marker, "=", "a=" + marker, "\xff" + marker, "ü"},
			`['-c', 'password-of-the-script', '', 'LD_PRELOAD=/password-of-the-script', '=', 'a=password-of-the-script', '\udcffpassword-of-the-script', '\xfc']`},
		{"a script on standard input", "-", []string{marker, "--" + marker}, `['-', 'password-of-the-script', '--password-of-the-script']`},
		{"much", "-c", []string{strings.Repeat(marker, 2000)}, "['-c', '" + strings.Repeat(marker, 2000) + "']"},
		{"many", "-c", slices.Repeat([]string{"~"}, 5000), "['-c'" + strings.Repeat(", '~'", 5000) + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			job, _, _ := jobFor(t, tellArguments)
			job.Args = append([]string{c.code}, c.args...)
			if c.code == "-c" {
				job.Args = append([]string{"-c", tellArguments + "#" + marker}, c.args...)
			}
			first := told(t, job, func(pid int) {
				line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				if err != nil || len(line) == 0 || bytes.Contains(line, []byte("password")) || bytes.ContainsAny(line, "(~") {
					t.Errorf("its command line is %q, %v", line, err)
				}
			})
			if first != "True True True "+c.argv {
				t.Errorf("%.300s", first)
			}
		})
	}
}

// look tries what a script of another session, with the gateway's rights, may find of a process: by its number, and by those of
// its threads.
const lookAtOther = `
import os
found = []
for base in BASES:
    for name in ("", "/cmdline", "/comm", "/status", "/stat", "/cwd", "/exe", "/root", "/fd", "/maps", "/environ", "/io", "/limits", "/task", "/task/THREAD/comm", "/task/THREAD/cmdline", "/net/dev"):
        for look in (os.lstat, os.listdir, os.readlink, lambda n: open(n, "rb").read()):
            try: found.append((base + name, look(base + name)))
            except OSError: pass
print(found, [n for n in os.listdir("/proc") if "/proc/" + n in BASES])
`

// Sessions of one gateway share a user, and the supervisor looks with the gateway's rights.
func TestNothingOfAnotherSessionsInterpreterIsShown(t *testing.T) {
	job, _, _ := jobFor(t, "")
	job.Args = []string{"-c", "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n" + tellArguments}
	told(t, job, func(pid int) {
		bases, thread := fmt.Sprintf("['/proc/%d'", pid), ""
		names, err := procfs.Names(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil || len(names) < 2 {
			t.Fatalf("threads %v, %v", names, err)
		}
		for _, tid := range names {
			if tid != fmt.Sprint(pid) {
				thread, bases = tid, bases+", '/proc/"+tid+"'"
			}
		}
		got := runScript(t, strings.NewReplacer("BASES", bases+"]", "THREAD", thread).Replace(lookAtOther))
		if got.stdout != "[] []\n" {
			t.Errorf("a script finds %s %s", got.stdout, got.stderr)
		}
	})
}

// The kernel opens /proc/NUMBER of a thread and does not list it. That leads to the same as the number of the interpreter, and
// of a process of the host, to nothing.
func TestNumbersOfThreadsLeadToTheSame(t *testing.T) {
	got := runScript(t, strings.ReplaceAll(`
import os, threading, time
def look():
    tid = str(threading.get_native_id())
    read = lambda *names: open("/".join(("/proc",) + names)).read()
    print(read(tid, "cmdline") == read(me, "cmdline"), read(tid, "comm") == "looker\n", os.readlink(f"/proc/{tid}/exe"), f"\nPid:\t{tid}\n" in read(tid, "status"))
    print(read(tid, "maps").count("/opt/shannot") > 0, "GATEWAYS" in read(tid, "status"), sorted(os.listdir(f"/proc/{tid}/task")) == sorted([me, tid]), os.path.exists(f"/proc/{tid}/task/{me}/comm"))
    f = open("/tmp/file", "w+"); f.write("text"); f.flush()
    print(os.readlink(f"/proc/{tid}/fd/{f.fileno()}"), open(f"/proc/{tid}/fd/{f.fileno()}").read() in ("", "text"), os.path.exists(f"/proc/{tid}/mem"), tid in os.listdir("/proc"))
me = str(os.getpid())
t = threading.Thread(target=look, name="looker"); t.start(); t.join()
for tid in os.listdir("/proc/GATEWAYS/task"):
    if tid != "GATEWAYS" and any(os.path.lexists(f"/proc/{tid}{n}") for n in ("", "/comm", "/status", "/cmdline")): print("thread", tid, "is there")
print(os.path.exists("/proc/GATEWAYS/comm"), os.path.exists("/proc/1/comm"))`, "GATEWAYS", fmt.Sprint(unix.Getpid())))
	const want = "True True /opt/shannot/bin/python3.14 True\nTrue False True True\n/tmp/file True False False\nTrue True\n"
	if got.stdout != want {
		t.Errorf("%+v\n%s\nwant\n%s\n%s", got.result, got.stdout, want, got.stderr)
	}
}
