//go:build linux && (amd64 || arm64)

package native

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/vfs"
)

// account is the user that scripts read as in this test.
const account = 61234

// What a script reads of this host is what the account may: each way to a file gives what it gives a program of the account's own.
func TestScriptsReadByTheAccountsRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	python := conformance.SystemPython()
	if python == "" {
		t.Skip("no Python of the system's to compare with")
	}
	root, names := conformance.ClosedTree(t, account)
	names = append(names, "/root", "/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/1/maps", "/proc/1/exe", "/proc/1/cwd", "/proc/1/cmdline")
	script := "names = " + conformance.PythonList(names) + "\n" + conformance.LookAround
	cmd := exec.Command(python, "-I", "-S", "-")
	cmd.Stdin, cmd.Dir = strings.NewReader(script), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: account, Gid: account}}
	want, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	view := func() *vfs.Session {
		s, err := vfs.NewSession(vfs.Config{Base: vfs.NewHostAs(vfs.NewRights(account, account, nil)), UID: account, GID: account})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	for _, warm := range []int{0, 1} {
		e := warmEngine(t, warm)
		job, stdout, stderr := jobFor(t, script)
		job.FS, job.Host.UID, job.Host.GID = view(), account, account
		if warm > 0 {
			standing(t, e, job)
		}
		result, err := e.Run(t.Context(), job)
		if err != nil || result.ExitCode != 0 {
			t.Fatalf("%+v, %v: %s", result, err, stderr)
		}
		conformance.SameLines(t, stdout.String(), string(want))
	}
	// What the interpreter's own /proc has, and what a listing of open files needs, is read by the gateway's rights.
	job, stdout, stderr := jobFor(t, `import os
for name in "maps", "status", "io", "limits", "stat": print(name, len(open("/proc/self/" + name).read()) > 0)
print(len(os.listdir("/proc/self/fd")) > 2, len(os.listdir("/proc/self/task")), os.readlink("/proc/self/fd/0").startswith("pipe:"))
for _ in range(3000):
    for fd in os.pipe(): os.close(fd)
import select
for _ in range(500):
    with select.epoll() as e: e.register(0)
for _ in range(5000): os.close(os.open("/etc/passwd", os.O_RDONLY))
f = open("`+root+`/open/file"); print(open("/proc/self/fd/%d" % f.fileno()).read())
os.chdir("`+root+`/open"); print(open("file").read(), os.getcwd() == "`+root+`/open")`)
	job.FS = view()
	result, err := engine(t).Run(t.Context(), job)
	wantOwn := "maps True\nstatus True\nio True\nlimits True\nstat True\nTrue 1 True\ncontent of open/file\ncontent of open/file True\n"
	if err != nil || result.ExitCode != 0 || stdout.String() != wantOwn {
		t.Errorf("%+v, %v: %s%s", result, err, stdout, stderr)
	}
}
