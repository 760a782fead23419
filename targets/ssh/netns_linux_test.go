package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
	"shannot-gateway/vfs"
)

// namespace is a network namespace of a test's own, with a loopback that is slow and loses packets.
type namespace struct{ fd int }

// newNamespace makes a namespace with this tc-netem(8) rule on its loopback. It lives as long as the test, which is
// skipped where there can be none.
func newNamespace(tb testing.TB, rule string) *namespace {
	tb.Helper()
	ns, err := makeNamespace(tb, rule)
	if err != nil {
		tb.Skip(err)
	}
	return ns
}

func makeNamespace(tb testing.TB, rule string) (*namespace, error) {
	tb.Helper()
	if os.Geteuid() != 0 {
		return nil, errors.New("only root may make a network namespace")
	}
	for _, tool := range []string{"unshare", "ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("no %s on this machine: install iproute2 and util-linux", tool)
		}
	}
	cmd := exec.Command("unshare", "--net", "sh", "-c", "ip link set lo up && { tc qdisc add dev lo root "+rule+" || exit 9; } && echo ready && exec sleep 3600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if n, _ := out.Read(make([]byte, 16)); n == 0 {
		_ = cmd.Wait() // and with it the copying of what it says
		return nil, fmt.Errorf("this kernel has no netem: %s", strings.TrimSpace(complaint.String()))
	}
	tb.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() { _ = unix.Close(fd) })
	return &namespace{fd}, nil
}

// in runs something on a thread in the namespace, which ends with it. Sockets and processes made there stay there. A nil
// namespace is the test's own.
func (n *namespace) in(do func() error) error {
	if n == nil {
		return do()
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is not fit for anything else
		if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		failed <- do()
	}()
	return <-failed
}

// dial connects in the namespace.
func (n *namespace) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = n.in(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func TestTargetsOverALineThatDelaysAndLosesPackets(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	ns := newNamespace(t, "netem delay 15ms 5ms loss 2% limit 100000")
	overLine(t, ns)
}

// overLine looks at a target and runs commands there, both ends in the namespace.
func overLine(t *testing.T, ns *namespace) {
	t.Helper()
	s := sshdtest.Start(t)
	if err := ns.in(s.Rebind); err != nil {
		t.Fatal(err)
	}
	target := New(Options{Hops: []Hop{hopTo(s, "far")}, Timeout: 30 * time.Second, Dial: ns.dial})
	t.Cleanup(func() { _ = target.Close() })
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(text)
	if err := os.WriteFile(filepath.Join(dir, "large"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := os.WriteFile(fmt.Sprintf("%s/%02d", dir, i), []byte(fmt.Sprint(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy, err := vfs.NewPolicy([]string{"/"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := viewOf(t, target, targets.ViewOptions{Policy: policy})
	if _, err := v.ReadDir(dir); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if got, err := content(v, fmt.Sprintf("%s/%02d", dir, i)); got != fmt.Sprint(i) || err != nil {
			t.Errorf("file %d: %q, %v", i, got, err)
		}
	}
	large := make([]byte, len(text))
	if n, err := (whole{streamOf(t, v, filepath.Join(dir, "large"))}).ReadAt(large, 0); err != nil || n != len(text) || !bytes.Equal(large, text) {
		t.Errorf("the large file: %d bytes, %v", n, err)
	}
	if out, _, exit := run(t, target, sh("cat "+dir+"/07; exit 4")); out != "7" || exit.Code != 4 {
		t.Errorf("a command: %q, %+v", out, exit)
	}
	change := writing(dir+"/new", strings.Repeat("x", 300_000), 0o600, nil)
	if err := target.Apply(t.Context(), change); err != nil {
		t.Errorf("a change: %v", err)
	}
	if err := target.Apply(t.Context(), change); !errors.Is(err, targets.ErrConflict) {
		t.Errorf("the change again: %v, want a conflict", err)
	}
}

// The same without the line: that a machine without netem tests the test.
func TestTargetsInANamespace(t *testing.T) {
	overLine(t, newNamespace(t, "pfifo limit 1000"))
}
