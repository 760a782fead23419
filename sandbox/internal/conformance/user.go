//go:build unix

package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// otherUser is a user without privileges and without files.
const otherUser = 65533

// AsOtherUser runs the tests of this executable again as a user without privileges, with these arguments, in a directory of
// that user's that holds copies of the given files of this one. It needs root, and skips without.
func AsOtherUser(t *testing.T, files []string, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: the tests run unprivileged already")
	}
	dir, err := os.MkdirTemp("", "shannot-unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range append([]string{own}, files...) {
		if out, err := exec.Command("cp", "-a", from, dir+"/").CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v: %s", from, err, out)
		}
	}
	if out, err := exec.Command("chown", "-R", "65533:65533", dir).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // #nosec G302 -- the other user's
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, filepath.Base(own)), args...) // #nosec G204 -- this executable
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as user %d: %v\n%s", otherUser, err, out)
	}
}
