//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An attempt that fails for a reason of its own looks like one that met a layer. So each has a control, which shows that it can
// succeed, or that what it prints is said by the layer alone:
//
//	bare     it was made in bare CPython, and printed something else
//	open     it was made without a filter or a view, by a user of its own in namespaces of its own, and printed something else:
//	         what "open: …" says, or "open: otherwise" where that depends on the kernel
//	answer   what it prints is an answer of the layer: an errno or an exception for each of its calls
//	end      its run has the one end that the layer gives it
//	itself   it shows first that it can: "itself: WHY"
//
// TestEveryAttemptHasAControl fails for one that has none.
const (
	controlBare   = "bare"
	controlOpen   = "open"
	controlAnswer = "answer"
	controlEnd    = "end"
	controlItself = "itself"
)

// otherwise stands for what an attempt prints in the open where that depends on the kernel: something, and something else.
const otherwise = "otherwise"

// control is the kind of an attempt's control, or "".
func (a attempt) control() string {
	switch {
	case a.open != "":
		return controlOpen
	case !strings.HasPrefix(a.bare, notRun) && a.bare != a.prints:
		return controlBare
	case a.itself != "":
		return controlItself
	case a.ends != "exited" && !strings.Contains(a.ends, " or "):
		return controlEnd
	case answers(a.prints):
		return controlAnswer
	}
	return ""
}

// controlInWords is the kind with what it says.
func (a attempt) controlInWords() string {
	if kind := a.control(); kind != controlItself {
		return kind
	}
	return controlItself + ": " + a.itself
}

// answers reports whether a text names an error, which nothing but a call that was made and refused gives.
func answers(text string) bool {
	for _, word := range strings.Fields(text) {
		if strings.HasSuffix(word, "Error") || strings.HasSuffix(word, "error") {
			return true
		}
		if len(word) > 3 && word[0] == 'E' && strings.ToUpper(word) == word {
			return true
		}
	}
	return false
}

func TestEveryAttemptHasAControl(t *testing.T) {
	for _, a := range attempts(t) {
		if a.control() == "" {
			t.Errorf("%s prints %q whether it met a layer or failed by itself: give it a control", a.name, a.prints)
		}
		if a.open != "" && a.open == a.prints {
			t.Errorf("%s prints %q in the open as well: that is no control", a.name, a.prints)
		}
	}
}

// throwAway owns nothing on any machine.
const throwAway = 65531

// openRuntime is the interpreter where a user without privileges can run it.
var openRuntime = sync.OnceValues(func() (string, error) {
	e, err := testEngine()
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return e.installed().root, nil
	}
	dir, err := os.MkdirTemp("", "open-")
	if err != nil {
		return "", err
	}
	openCopy = dir
	out, err := exec.Command("cp", "-a", e.installed().root+"/.", dir).CombinedOutput()
	if err == nil {
		out, err = exec.Command("chmod", "-R", "a+rX", dir).CombinedOutput()
	}
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return dir, nil
})

// openCopy is the copy that openRuntime made, "" for none.
var openCopy string

// removeOpenRuntime is called when all tests have ended.
func removeOpenRuntime() {
	if openCopy != "" {
		_ = os.RemoveAll(openCopy)
	}
}

// inTheOpen makes an attempt without the sandbox: as a user without files or privileges, who is root in namespaces of its
// own, within bounds of time, memory, files and processes. It returns what was printed, or the name of the signal at the end;
// ok is false where this machine has no such namespaces.
func (a attempt) inTheOpen(t *testing.T) (got, stderr string, ok bool) {
	t.Helper()
	dir, err := openRuntime()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, int(unix.SIGKILL))
	script := w.setup(t, filepath.Join(w.dir, "here")) + a.script
	uid := os.Geteuid()
	if uid == 0 {
		uid = throwAway
		if out, err := exec.Command("chown", "-R", "65531:65531", w.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "ulimit -v 1000000 -f 65536 -t 20; ulimit -n 1024; exec \"$0\" -I -S -", filepath.Join(dir, pythonBinary))
	cmd.Dir, cmd.Stdin = filepath.Join(w.dir, "here"), strings.NewReader(script)
	cmd.Env = []string{"LANG=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/", "OUTSIDE=" + secretText}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		Pdeathsig: syscall.SIGKILL, Setsid: true,
	}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true}
	} else {
		cmd.SysProcAttr.GidMappings[0].HostID = os.Getegid()
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Logf("no namespaces for a user here: %v", err)
		return "", "", false
	}
	err = cmd.Wait()
	got = joinLines(out.String())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		got = unix.SignalName(exit.Sys().(syscall.WaitStatus).Signal())
	}
	return got, errs.String(), true
}

// mustBePossible skips an attempt at what this machine's kernel does not have: it would pass without having met a layer.
func (a attempt) mustBePossible(t *testing.T) {
	t.Helper()
	if a.impossible == "" {
		return
	}
	printed, why, _ := strings.Cut(a.impossible, ", ")
	if got, _, ok := a.inTheOpen(t); !ok {
		t.Skip("not known to be possible here: no namespaces for a user")
	} else if got == printed {
		t.Skip("not possible here: it ends with ", printed, " without a sandbox too, ", why)
	}
}

// TestControlsOfAttemptsTrip makes every attempt that has such a control in the open, where it must succeed.
func TestControlsOfAttemptsTrip(t *testing.T) {
	engine(t)
	for _, a := range attempts(t) {
		if a.open == "" && os.Getenv("SHANNOT_TEST_OPEN") == "" {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			if a.arch != "" && a.arch != runtime.GOARCH {
				t.Skip("this architecture does not have it")
			}
			got, stderr, ok := a.inTheOpen(t)
			if !ok {
				t.Skip("not possible here: no namespaces for a user")
			}
			if os.Getenv("SHANNOT_TEST_OPEN") != "" {
				t.Logf("OPEN\t%s\t%s\t%s", a.name, a.prints, got)
				return
			}
			if printed, why, _ := strings.Cut(a.impossible, ", "); a.impossible != "" && got == printed {
				t.Skip("not possible here: ", why)
			}
			switch {
			case a.open == otherwise && (got == "" || got == a.prints || strings.Contains(stderr, "Traceback")):
				t.Errorf("in the open it printed %q, as where it meets the layer, or nothing\n%s", got, stderr)
			case a.open != otherwise && got != a.open:
				t.Errorf("in the open it printed %q, want %q\n%s", got, a.open, stderr)
			}
		})
	}
}
