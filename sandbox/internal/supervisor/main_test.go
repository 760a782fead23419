//go:build linux && (amd64 || arm64)

package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

// TestUnprivileged runs this package's tests again as a user without privileges.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the tests run unprivileged already")
	}
	if testing.Short() {
		t.Skip("the whole package again, as another user")
	}
	const uid = 65533
	dir, err := os.MkdirTemp("", "shannot-unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "supervisor.test")
	for _, command := range [][]string{{"cp", own, binary}, {"cp", "-r", "testdata", dir}, {"chown", "-R", "65533:65533", dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.count=1", "-test.timeout=5m")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as uid %d: %v\n%s", uid, err, out)
	}
}
