//go:build linux && (amd64 || arm64)

package pypy

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/vfs"
)

// What a script reads of this host is what the account may, in this engine too.
func TestScriptsReadByTheAccountsRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	const account = 61234
	e := interposedEngine(t)
	_, names := conformance.ClosedTree(t, account)
	names = append(names, "/root", "/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/1/maps", "/proc/1/exe", "/proc/1/cmdline")
	script := "names = " + conformance.PythonList(names) + "\n" + conformance.LookAround
	// An interpreter of the same kind: others differ in what they ask before they fail.
	cmd := exec.Command("pypy3", "-I", "-S", "-")
	cmd.Stdin, cmd.Dir = strings.NewReader(script), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: account, Gid: account}}
	want, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHostAs(vfs.NewRights(account, account, nil)), UID: account, GID: account})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	job, stdout, stderr := unmountedHostJob(t, script)
	job.FS, job.Host.UID, job.Host.GID = view, account, account
	result, err := e.Run(t.Context(), job)
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%+v, %v: %s", result, err, stderr)
	}
	conformance.SameLines(t, stdout.String(), string(want))
}
