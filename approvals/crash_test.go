package approvals_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/store"
	"shannot-gateway/targets/jail"
)

// crashDir makes this test binary a gateway of its own, to be killed.
const crashDir = "SHANNOT_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	jail.Init()
	if dir := os.Getenv(crashDir); dir != "" {
		runUntilKilled(dir)
		return
	}
	os.Exit(m.Run())
}

// runUntilKilled approves a command that never ends and says when it runs.
func runUntilKilled(dir string) {
	b := openIn(&testing.T{}, dir, store.Open, nil)
	l := b.begin()
	events := b.Subscribe(context.Background())
	mark := filepath.Join(dir, "mark")
	result := start(l, command(os.Stdout, "sh", "-c", "echo ran >> "+mark+"; echo $$; exec sleep 600"))
	b.waiting(events, l.ID())
	if _, err := b.approve(l.ID(), alice); err != nil {
		fmt.Println("approve:", err)
		return
	}
	r := <-result
	if r.err != nil {
		fmt.Println("start:", r.err)
		return
	}
	_, _ = r.process.Wait()
}

func TestOperationCutByACrashIsUnknownAndNotRunAgain(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("cannot start this test binary again:", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway to be killed said nothing: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
		t.Cleanup(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	}

	for _, withParking := range []bool{false, true} {
		var b *book
		if withParking {
			b, _ = parking(t, copyOf(t, dir), nil)
		} else {
			b = openIn(t, copyOf(t, dir), store.Open, nil)
		}
		all, err := b.Sessions(approvals.Filter{All: true})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d sessions, %v (the gateway said %q)", len(all), err, line)
		}
		if s := all[0]; s.Status != journal.StatusFailed || s.Operations[0].Decision != journal.Unknown || *s.ExitCode != journal.ExitFault {
			t.Errorf("parking %v: session %+v", withParking, s)
		}
		if _, err := b.approve(all[0].ID, alice); err == nil {
			t.Error("an unknown operation could be approved again")
		}
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "mark")); string(text) != "ran\n" {
		t.Errorf("the file holds %q", text)
	}
}

// copyOf copies a database that nobody has open any more.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	text, err := os.ReadFile(filepath.Join(dir, "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "gateway.db"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
