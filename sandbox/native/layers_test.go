//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// TestInterpreterStandsBehindEveryLayer looks at a running interpreter as the host shows it: the script's /proc is the view's.
func TestInterpreterStandsBehindEveryLayer(t *testing.T) {
	l := supervisor.Available()
	t.Logf("layers %#x, undumpable %v", l.Namespaces, l.Undumpable)
	status := map[string]string{}
	lookInside(t, func(pid int) {
		for line := range strings.Lines(string(procfs.Small(fmt.Sprintf("/proc/%d/status", pid)))) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			status[key] = strings.TrimSpace(value)
		}
	})
	const none = "0000000000000000"
	for _, key := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if status[key] != none {
			t.Errorf("%s is %s", key, status[key])
		}
	}
	if (os.Geteuid() == 0 || l.Has(unix.CLONE_NEWUSER)) && status["CapBnd"] != none {
		t.Errorf("the bounding set is %s", status["CapBnd"])
	}
	if status["NoNewPrivs"] != "1" || status["Seccomp"] != "2" {
		t.Errorf("no new privileges %s, seccomp %s", status["NoNewPrivs"], status["Seccomp"])
	}
	if os.Geteuid() == 0 && !strings.HasPrefix(status["Uid"], "65534\t65534") {
		t.Errorf("user %s", status["Uid"])
	}
}

// lookInside runs a script and calls look while the interpreter waits for a command to start.
func lookInside(t *testing.T, look func(pid int)) {
	t.Helper()
	job, _, stderr := jobFor(t, `
import os
try:
    os.posix_spawn("/x", [str(os.getpid())], {})
except FileNotFoundError:
    pass`)
	job.Commands = pidCommander{look}
	if result := runJob(t, job); result.ExitCode != 0 {
		t.Fatalf("%+v: %s", result, stderr)
	}
}

func TestInterpreterSeesAnEmptyRootAndNamespacesOfItsOwn(t *testing.T) {
	l := supervisor.Available()
	lookInside(t, func(pid int) {
		for _, n := range []struct {
			flag uintptr
			name string
		}{
			{unix.CLONE_NEWUSER, "user"}, {unix.CLONE_NEWNS, "mnt"}, {unix.CLONE_NEWNET, "net"},
			{unix.CLONE_NEWIPC, "ipc"}, {unix.CLONE_NEWUTS, "uts"}, {unix.CLONE_NEWCGROUP, "cgroup"},
		} {
			theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, n.name))
			if err != nil {
				t.Error(err)
				continue
			}
			if ours, _ := os.Readlink("/proc/self/ns/" + n.name); (ours != theirs) != l.Has(n.flag) {
				t.Errorf("%s namespace: ours %s, theirs %s", n.name, ours, theirs)
			}
		}
		if !l.Has(unix.CLONE_NEWNS) {
			return
		}
		names, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", pid))
		if err != nil || len(names) != 0 {
			t.Errorf("the root holds %v, %v", names, err)
		}
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil || strings.Count(string(mounts), "\n") != 1 || !strings.Contains(string(mounts), " ro,") {
			t.Errorf("mounts %q, %v", mounts, err)
		}
	})
}

// TestOtherProcessesOfTheUserCannotLookIntoAnInterpreter is the attack of one sandbox on another: they share a user.
func TestOtherProcessesOfTheUserCannotLookIntoAnInterpreter(t *testing.T) {
	if !supervisor.Available().Undumpable {
		t.Skip("the gateway has no rights over an undumpable process")
	}
	if os.Geteuid() != 0 {
		t.Skip("an unprivileged gateway's own processes have rights over the user namespace")
	}
	lookInside(t, func(pid int) {
		for _, name := range []string{"environ", "mem", "maps", "fd/0"} {
			cmd := exec.Command("cat", fmt.Sprintf("/proc/%d/%s", pid, name))
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: supervisor.Nobody, Gid: supervisor.Nobody}}
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ermission denied") {
				t.Errorf("%s: %v, %q", name, err, out)
			}
		}
	})
}

func TestNoDescriptorOfTheGatewayIsLeftOpen(t *testing.T) {
	// One that the gateway was started with, or that a library made: Go leaves it open in what it starts.
	inherited, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(inherited) }()
	got := runScript(t, `
import os, subprocess, sys
code = """
import os
left = []
for fd in range(3, 1024):
    try: os.fstat(fd); left.append(fd)
    except OSError: pass
print(left, flush=True)"""
exec(code)
subprocess.run([sys.executable, "-c", code])`)
	if got.stdout != "[]\n[]\n" {
		t.Errorf("%+v stdout %q stderr %s", got.result, got.stdout, got.stderr)
	}
}

// gatewayEnv makes this program a gateway of one script, see TestInterpretersEndWithTheGateway.
const gatewayEnv = "SHANNOT_TEST_GATEWAY"

// runGateway runs a script that has a further interpreter and says the process ids of both.
func runGateway() {
	e, err := testEngine()
	if err == nil {
		policy, _ := vfs.NewPolicy(narrowRead(), vfs.DefaultHide())
		var view *vfs.Session
		view, err = vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/tmp"}, Now: time.Now})
		if err == nil {
			_, err = e.Run(context.Background(), sandbox.Job{
				Args: []string{"-c", `
import os, signal, subprocess, sys
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(s, signal.SIG_IGN)
code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
p = subprocess.Popen([sys.executable, "-c", code])
exec(code)`}, Dir: "/", FS: view, Stdout: os.Stdout, Stderr: os.Stderr, Commands: conformance.Refuse{},
			})
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// A gateway that is killed takes every interpreter along, without a chance to say so.
func TestInterpretersEndWithTheGateway(t *testing.T) {
	engine(t) // unpacked before
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gateway := exec.Command(own)
	gateway.Env = append(os.Environ(), gatewayEnv+"=1")
	stdout, err := gateway.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	defer func() {
		if !killed {
			_ = gateway.Process.Kill()
			_ = gateway.Wait()
		}
	}()
	var fds []unix.PollFd
	lines := bufio.NewScanner(stdout)
	for range 2 {
		lines.Scan()
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if n, _ := unix.Poll(fds, 0); n != 0 {
		t.Fatal("an interpreter has ended before the gateway")
	}
	if err := gateway.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = gateway.Wait()
	killed = true
	for i := range fds {
		if n, err := unix.Poll(fds[i:i+1], 60_000); n != 1 {
			t.Errorf("interpreter %d lives on: %v", i, err)
		}
	}
}

// pidCommander shows the interpreter to a test when it starts a command, which is then refused.
type pidCommander struct{ look func(pid int) }

func (c pidCommander) Start(_ context.Context, command sandbox.Command) (sandbox.Process, error) {
	pid, err := strconv.Atoi(command.Argv[0])
	if err != nil {
		return nil, err
	}
	c.look(pid)
	return nil, &sandbox.Refusal{Errno: unix.ENOENT, Reason: "only a look"}
}
