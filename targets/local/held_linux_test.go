package local

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shannot-gateway/targets"
)

// jailed is a target with a jail, for each user that the tests can be.
func jailed(t *testing.T, each func(t *testing.T, l *Local)) {
	t.Helper()
	users := []string{""}
	if os.Geteuid() == 0 {
		users = append(users, "nobody")
	}
	for _, user := range users {
		t.Run("as "+user, func(t *testing.T) {
			l, err := New(Options{RunAs: user, Jail: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Jail(); err != nil {
				t.Skip(err)
			}
			each(t, l)
		})
	}
}

// held runs text that nobody saw in bash, and returns what it printed and its status.
func held(t *testing.T, l *Local, hidden func(string) bool, text string) (string, int) {
	t.Helper()
	bash, err := l.Resolve(t.Context(), "bash", "/")
	if err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	p, err := l.Start(t.Context(), targets.Command{
		Path: bash, Argv: []string{"bash", "-c", text}, Dir: "/", Env: []string{"PATH=" + targets.Path}, Stdout: &out, Stderr: &out, ReadOnly: true, Hidden: hidden,
	})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), exit.Code
}

// TestNothingOfAJailedCommandOutlivesIt: what it left in the background, in a group of its own as well, is killed with it.
func TestNothingOfAJailedCommandOutlivesIt(t *testing.T) {
	jailed(t, func(t *testing.T, l *Local) {
		out, _ := held(t, l, nil, "sleep 100001 >/dev/null 2>&1 & echo $!; set -m; sleep 100001 >/dev/null 2>&1 & echo $!; (trap '' TERM HUP; sleep 100001 >/dev/null 2>&1) & echo $!")
		pids := strings.Fields(out)
		if len(pids) != 3 {
			t.Fatalf("it printed %q", out)
		}
		for _, pid := range pids {
			deadline := time.Now().Add(time.Minute)
			for runs(pid) {
				if time.Now().After(deadline) {
					t.Errorf("process %s still runs", pid)
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		out, code := held(t, l, nil, "command -v setsid >/dev/null || exit 9; setsid sleep 100001 2>/dev/null || echo refused")
		if code != 9 && out != "refused\n" {
			t.Errorf("a session of its own: %q, status %d", out, code)
		}
	})
}

// runs reports whether a process is one of those that the test starts, and alive.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	state, _, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+2:]), " ")
	text, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err == nil && state != "Z" && state != "X" && bytes.Contains(text, []byte("100001"))
}

// TestJailedCommandReachesNobody: no connection and no datagram leaves, and so no question to a name server.
func TestJailedCommandReachesNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packets.Close() }()
	_, tcp, _ := net.SplitHostPort(listener.Addr().String())
	_, udp, _ := net.SplitHostPort(packets.LocalAddr().String())
	jailed(t, func(t *testing.T, l *Local) {
		for _, word := range []string{"", "grep docker /dev/null; "} { // a word that is no program opens nothing
			for _, to := range []string{"tcp/127.0.0.1/" + tcp, "udp/127.0.0.1/" + udp} {
				out, code := held(t, l, nil, word+"exec 5<>/dev/"+to+" && echo connected")
				if code == 0 || strings.Contains(out, "connected") {
					t.Errorf("%s%s: %q, status %d", word, to, out, code)
				}
			}
		}
	})
}

// TestJailedCommandCannotShowWhatIsHidden tries it as every user, through the target.
func TestJailedCommandCannotShowWhatIsHidden(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "hidden")
	if err := os.WriteFile(file, []byte("the secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	jailed(t, func(t *testing.T, l *Local) {
		hidden := func(name string) bool { return name == file }
		for _, text := range []string{"cat %s", "cd $(dirname %[1]s); cat $(ls)", "find $(dirname %s) -type f -exec cat {} +", "echo %s | xargs cat", "grep -r . $(dirname %s)"} {
			text := fmt.Sprintf(text, file)
			if out, _ := held(t, l, nil, text); !strings.Contains(out, "the secret") {
				t.Errorf("%s shows nothing where nothing is hidden: %q", text, out)
			}
			if out, _ := held(t, l, hidden, text); strings.Contains(out, "the secret") {
				t.Errorf("%s shows it: %q", text, out)
			}
		}
	})
}

// TestJailedCommandHasBoundedMemory: a buffer of more than a host has is refused.
func TestJailedCommandHasBoundedMemory(t *testing.T) {
	jailed(t, func(t *testing.T, l *Local) {
		out, _ := held(t, l, nil, "ulimit -d")
		if kib, err := strconv.Atoi(strings.TrimSpace(out)); err != nil || kib > 4<<20 {
			t.Errorf("its data may grow to %q KiB", out)
		}
	})
}

// TestJailedCommandCannotSwapADirectoryUnderALook: a name that leads through another process's directory means another file
// once that process has gone elsewhere, which it may do between the gateway's look and the kernel's.
func TestJailedCommandCannotSwapADirectoryUnderALook(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "secret", "file")
	for _, name := range []string{filepath.Dir(dir), dir, filepath.Dir(file), filepath.Join(dir, "open")} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("the secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hidden := func(name string) bool { return name == file }
	jailed(t, func(t *testing.T, l *Local) {
		for _, text := range []string{
			`cd %[1]s; (while :; do cd ../secret; cd ../open; done) & for ((i = 0; i < 2000; i++)); do { read -r x < /proc/$!/cwd/file; } 2>/dev/null && echo "$x"; done; kill -9 $!`,
			`cd %[1]s; (while :; do exec 3< ../secret; exec 3< .; done) & for ((i = 0; i < 2000; i++)); do { read -r x < /proc/$!/fd/3/file; } 2>/dev/null && echo "$x"; done; kill -9 $!`,
		} {
			out, _ := held(t, l, hidden, fmt.Sprintf(text, filepath.Join(dir, "open")))
			if strings.Contains(out, "the secret") {
				t.Errorf("%s shows it %d times", text, strings.Count(out, "the secret"))
			}
		}
	})
}
