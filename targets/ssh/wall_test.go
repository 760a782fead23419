package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
	"shannot-gateway/targets/ssh/sshdtest"
)

// account is one whose commands the tests start themselves, by the line that a target would get.
type account struct {
	name string
	uid  uint32
}

// accounts are the test's own and, where that is root, one without privileges.
func accounts() []account {
	all := []account{{"own", uint32(os.Geteuid())}}
	if os.Geteuid() == 0 {
		all = append(all, account{"nobody", nobody})
	}
	return all
}

// shell runs a line as a target's login shell would, and returns what it printed and how it ended.
func (a account) shell(t *testing.T, text string) (out, errs string, ended bool, exit targets.Exit, group int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", text)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if int(a.uid) != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.uid}
	}
	var stdout, stderr bytes.Buffer
	marked := &markedWriter{to: &stderr, mark: "themark", found: func(g int) { group = g }}
	cmd.Stdout, cmd.Stderr = &stdout, marked
	err := cmd.Run()
	unmarked := marked.end()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	ws, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	exit = targets.Exit{Code: ws.ExitStatus()}
	if ws.Signaled() {
		exit = targets.Exit{Signal: ws.Signal()}
	}
	return stdout.String(), stderr.String(), !unmarked, exit, group
}

// behind runs a command of an account behind a wall of one mechanism, or without one, and returns what came of it.
func (a account) behind(t *testing.T, w *walled, argv ...string) (out, errs string, exit targets.Exit) {
	t.Helper()
	out, errs, ran, exit := a.behindIn(t, "/", w, argv...)
	if !ran {
		t.Fatalf("%q: the wall was not built: %s", argv, errs)
	}
	return out, errs, exit
}

// behindIn is behind in a directory, where the wall may not be built.
func (a account) behindIn(t *testing.T, dir string, w *walled, argv ...string) (out, errs string, ran bool, exit targets.Exit) {
	t.Helper()
	name, err := exec.LookPath(argv[0])
	if err != nil {
		t.Skip(err)
	}
	if w != nil {
		w.needs = jail.NeedsOf(argv)
	}
	text, err := line(targets.Command{Path: name, Argv: argv, Dir: dir, Env: []string{"PATH=" + targets.Path, "LC_ALL=C"}}, "/bin/sh", "themark", false, w)
	if err != nil {
		t.Fatal(err)
	}
	out, errs, ran, exit, _ = a.shell(t, text)
	if s := signalled(argv, exit.Code); w != nil && s != 0 {
		exit = targets.Exit{Signal: s}
	}
	return out, errs, ran, exit
}

// walls calls a test for each account and mechanism that this machine has.
func walls(t *testing.T, each func(t *testing.T, a account, w *walled)) {
	t.Helper()
	for _, a := range accounts() {
		for _, by := range []mechanism{byBwrap, byUnshare} {
			t.Run(a.name+" by "+string(by), func(t *testing.T) {
				w := &walled{wall: wall{by: by, root: a.uid == 0}}
				text, err := line(targets.Command{Path: "/bin/true", Argv: []string{"true"}, Dir: "/"}, "/bin/sh", "themark", false, w)
				if err != nil {
					t.Fatal(err)
				}
				if _, errs, ran, _, _ := a.shell(t, text); !ran {
					t.Skipf("this machine has no such wall: %s", errs)
				}
				each(t, a, w)
			})
		}
	}
}

// open makes a directory that every account may write to.
func open(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil { // #nosec G302 -- a marker must be able to appear there
			break
		}
	}
	return dir
}

// TestWallsKeepCommandsFromActing: each text could make a marker, reach a listener or show a secret, as it does without.
func TestWallsKeepCommandsFromActing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	walls(t, func(t *testing.T, a account, w *walled) {
		dir := open(t)
		for _, c := range []struct{ name, text string }{
			{"a new file", "echo x > " + dir + "/marker && echo done"},
			{"a changed file", "echo x >> " + dir + "/there && echo done"},
			{"a removed file", "rm " + dir + "/there && echo done"},
			{"a mode", "chmod 700 " + dir + "/there && echo done"},
			{"a connection", "exec 5<>/dev/tcp/127.0.0.1/" + port + " && echo done"},
		} {
			there := filepath.Join(dir, "there")
			fresh := func() {
				_, _ = os.Remove(filepath.Join(dir, "marker")), os.Remove(there)
				if err := os.WriteFile(there, []byte("before\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				if os.Geteuid() == 0 {
					if err := os.Chown(there, int(a.uid), int(a.uid)); err != nil {
						t.Fatal(err)
					}
				}
			}
			fresh()
			if out, errs, _ := a.behind(t, nil, "bash", "-c", c.text); out != "done\n" {
				t.Errorf("%s without a wall: %q, %q", c.name, out, errs)
			}
			fresh()
			out, _, _ := a.behind(t, w, "bash", "-c", c.text)
			_, err := os.Lstat(filepath.Join(dir, "marker"))
			kept, err2 := os.ReadFile(there)
			info, err3 := os.Stat(there)
			if out != "" || err == nil || err2 != nil || string(kept) != "before\n" || err3 != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: it printed %q; marker: %v, the other file holds %q, %v", c.name, out, err == nil, kept, err2)
			}
		}
		// Devices, which a read-only file system does not protect.
		if a.uid == 0 {
			if out, _, _ := a.behind(t, w, "bash", "-c", "for d in /sys/block/*; do [ -e /de''v/${d##*/} ] && { : < /de''v/${d##*/}; } 2>/dev/null && echo opened; done"); out != "" {
				t.Errorf("a disk: %q", out)
			}
		}
	})
}

// TestWallsMaskHiddenFiles: by whatever name it comes to them.
func TestWallsMaskHiddenFiles(t *testing.T) {
	walls(t, func(t *testing.T, a account, w *walled) {
		dir := open(t)
		for _, name := range []string{"home/.ssh/id_x", "home/.aws/credentials", "etc/a/b/it's [a].key", "plain", "shown", "odd 'name'"} {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- the account reads there
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte("the secret\n"), 0o644); err != nil { // #nosec G306 -- the account reads it
				t.Fatal(err)
			}
		}
		if err := os.Symlink("plain", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		w.home = dir + "/home"
		hidden := []string{"**/.ssh/id_*", "**/.aws", dir + "/etc/**/*.key", dir + "/link", dir + "/odd 'name'", dir + "/none", "/proc/kcore", "/sys/devices/**/config"}
		show := "cd " + dir + "; find home etc plain link odd* -type f -exec cat {} + 2>/dev/null; cat < plain; grep -r secret etc home"
		w.hide = nil
		if out, errs, _ := a.behind(t, w, "sh", "-c", show); strings.Count(out, "the secret") < 8 {
			t.Fatalf("where nothing is hidden: %q, %q", out, errs)
		}
		w.hide = hidden
		if out, errs, _ := a.behind(t, w, "sh", "-c", show); strings.Contains(out, "secret") || !strings.Contains(errs, "Permission denied") {
			t.Errorf("%q, %q", out, errs)
		}
		if out, errs, _ := a.behind(t, w, "cat", dir+"/shown"); out != "the secret\n" {
			t.Errorf("what is not hidden: %q, %q", out, errs)
		}
	})
}

// TestWallsMaskWhatIsHardToName: names that a shell's glob leaves out or takes for a pattern, names of several lines, and a
// directory that the command is in already.
func TestWallsMaskWhatIsHardToName(t *testing.T) {
	walls(t, func(t *testing.T, a account, w *walled) {
		dir := open(t)
		write := func(names ...string) {
			t.Helper()
			for _, name := range names {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- the account reads there
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte("the secret\n"), 0o644); err != nil { // #nosec G306 -- the account reads it
					t.Fatal(err)
				}
			}
		}
		write("keys/.own", "keys/..two", "keys/plain", "ends/.pem", "ends/.a.pem", "ends/b.pem", "some/.dot/token", "below/[ab].key", "below/a.key", "below/*.key", "vault/inner/x")
		w.hide = []string{dir + "/keys/*", dir + "/ends/*.pem", dir + "/some/*/token", dir + "/below/**/*.key", dir + "/vault"}
		if out, errs, _ := a.behind(t, w, "grep", "-r", "secret", dir); strings.Contains(out, "secret") {
			t.Errorf("%q, %q", out, errs)
		}
		for _, in := range []string{"/vault", "/vault/inner"} {
			if out, errs, ran, _ := a.behindIn(t, dir+in, w, "grep", "-r", "secret", "."); strings.Contains(out, "secret") {
				t.Errorf("within %s: %v, %q, %q", in, ran, out, errs)
			}
		}
		if out, errs, ran, _ := a.behindIn(t, dir+"/keys", w, "pwd"); out != dir+"/keys\n" || !ran {
			t.Errorf("beside hidden files: %v, %q, %q", ran, out, errs)
		}
		write("below/x\n" + dir + "/below/a.key")
		if out, errs, ran, _ := a.behindIn(t, "/", w, "grep", "-r", "secret", dir+"/below"); ran || out != "" || !strings.Contains(errs, "the end of a line in its name") {
			t.Errorf("several lines: %v, %q, %q", ran, out, errs)
		}
	})
}

// TestWallsLeaveNothingRunning: what a text has left in the background ends with it, in whatever session it is.
func TestWallsLeaveNothingRunning(t *testing.T) {
	walls(t, func(t *testing.T, a account, w *walled) {
		number := strconv.Itoa(100000000 + os.Getpid()*10 + int(a.uid%2))
		out, errs, exit := a.behind(t, w, "sh", "-c", "sleep "+number+" >/dev/null 2>&1 & setsid sleep "+number+" >/dev/null 2>&1 & echo started")
		if out != "started\n" || exit.Code != 0 {
			t.Fatalf("%q, %q, %+v", out, errs, exit)
		}
		gone(t, number)
	})
}

// gone waits until no process has a word.
func gone(t *testing.T, word string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(withWord(word)) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("processes %v still run", withWord(word))
		}
		time.Sleep(time.Millisecond)
	}
}

// withWord lists the processes that have a word and are no shells.
func withWord(word string) (pids []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && slices.Contains(strings.Split(string(text), "\x00"), word) {
			pids = append(pids, name)
		}
	}
	return pids
}

// TestCommandsPrintTheSameBehindAWall: what they say of the host, and how they end.
func TestCommandsPrintTheSameBehindAWall(t *testing.T) {
	walls(t, func(t *testing.T, a account, w *walled) {
		w.hide = []string{"/etc/shadow", "/etc/ssl/private"}
		for _, argv := range [][]string{
			{"df", "--output=source,target"}, {"ls", "/etc"}, {"ls", "/dev"}, {"id", "-u"}, {"cat", "/etc/passwd"}, {"cat", "/proc/sys/kernel/hostname"},
			{"hostname", "-I"}, {"ip", "-br", "addr"}, {"cat", "/proc/net/dev_mcast"}, {"env"}, {"pwd"}, {"uname", "-a"}, {"lsblk"}, {"sysctl", "net.ipv4.ip_forward"}, {"ipcs"},
			{"ls", "-l", "/etc"}, {"stat", "/etc/shadow"}, {"mount"}, {"cat", "/proc/self/mounts"}, {"sh", "-c", "ls -ld / | cut -c1-10"}, {"pgrep", "-x", "nosuchprogram"},
			{"false"}, {"cat", "/nonexistent"}, {"sh", "-c", "exit 143"}, {"bash", "-c", "kill -TERM $$"}, {"grep", "-c", "root", "/etc/passwd"}, {"sh", "-c", "printf a; printf b >&2; exit 3"},
		} {
			v := *w
			if _, err := v.held(argv); err != nil {
				continue // it runs without
			}
			out, errs, exit := a.behind(t, nil, argv...)
			out2, errs2, exit2 := a.behind(t, &v, argv...)
			out2 = strings.Replace(out2, "TMPDIR="+temporaryFiles+"\n", "", 1)
			if s := signalled(nil, exit2.Code); exit.Signal != 0 && s == exit.Signal {
				exit2 = exit // as a shell tells it
			}
			if argv[0] == "df" { // the order is that of the mounts
				out, out2 = sorted(out), sorted(out2)
			}
			if out != out2 || errs != errs2 || exit != exit2 {
				t.Errorf("%q prints %q, %q, %+v; behind the wall %q, %q, %+v", argv, out, errs, exit, out2, errs2, exit2)
			}
		}
		// A program that a signal ends, and temporary files.
		if _, _, exit := a.behind(t, w, "timeout", "-s", "KILL", "0.01", "sleep", "100"); exit.Signal != syscall.SIGKILL {
			t.Errorf("killed: %+v", exit)
		}
		if out, errs, _ := a.behind(t, w, "bash", "-c", `f=$(mktemp) && echo x > "$f" && cat "$f"`); out != "x\n" {
			t.Errorf("a temporary file: %q, %q", out, errs)
		}
	})
}

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestTargetsHaveTheirWall goes through a real server.
func TestTargetsHaveTheirWall(t *testing.T) {
	target := connect(t, sshdtest.Start(t))
	stands, what := target.Wall()
	if !stands {
		t.Skip(what)
	}
	found := target.facts.wall.by
	for _, by := range []mechanism{byBwrap, byUnshare} {
		if by != found && target.tryWall(t.Context(), target.Account(), wall{by: by, root: os.Geteuid() == 0}) != nil {
			continue
		}
		target.facts.wall.by = by
		dir := open(t)
		c := sh("echo x > " + dir + "/marker; cat; pwd; echo err >&2; exit 9")
		c.Dir, c.Stdin, c.ReadOnly = dir, strings.NewReader("input\n"), true
		out, errs, exit := run(t, target, c)
		if out != "input\n"+dir+"\n" || !strings.HasSuffix(errs, "err\n") || !strings.Contains(errs, "marker") || exit != (targets.Exit{Code: 9}) {
			t.Errorf("%s: %q, %q, %+v", by, out, errs, exit)
		}
		c = sh("printf 'out\n'; printf 'err\n' >&2")
		var both bytes.Buffer
		c.Dir, c.ReadOnly, c.Stdout, c.Stderr = "/", true, &both, &both
		if p, err := target.Start(t.Context(), c); err != nil {
			t.Error(err)
		} else if _, err := p.Wait(); err != nil || both.String() != "out\nerr\n" {
			t.Errorf("%s: one stream for both: %q, %v", by, both.String(), err)
		}
		// What somebody approved is not held.
		c = sh("echo x > " + dir + "/marker")
		if _, errs, exit := run(t, target, c); exit.Code != 0 {
			t.Errorf("%s: approved: %q, %+v", by, errs, exit)
		}
	}
}

// firstWrite tells of the first write to it.
type firstWrite struct {
	wrote chan struct{}
	once  sync.Once
}

// Write implements io.Writer.
func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.wrote) })
	return len(p), nil
}

// TestWalledCommandEndsWithItsConnection: also what it has in the background, and when it is cancelled.
func TestWalledCommandEndsWithItsConnection(t *testing.T) {
	for _, how := range []string{"dropped", "cancelled"} {
		for _, by := range []mechanism{byBwrap, byUnshare} {
			t.Run(how+" by "+string(by), func(t *testing.T) {
				s := sshdtest.Start(t)
				target := connect(t, s)
				if err := target.tryWall(t.Context(), target.Account(), wall{by: by, root: os.Geteuid() == 0}); err != nil {
					t.Skip(err)
				}
				target.facts.wall = wall{by: by, root: os.Geteuid() == 0}
				number := fmt.Sprintf("2%08d%d", os.Getpid(), len(how)*10+len(by))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := sh("sleep " + number + " & echo started; sleep " + number)
				started := make(chan struct{})
				c.Dir, c.ReadOnly, c.Stdout = "/", true, &firstWrite{wrote: started}
				p, err := target.Start(ctx, c)
				if err != nil {
					t.Fatal(err)
				}
				<-started
				if how == "dropped" {
					s.Drop()
				} else {
					cancel()
				}
				_, _ = p.Wait()
				gone(t, number)
			})
		}
	}
}

// TestRequiredWallRefuses where there is none, or one that cannot hold a command, and never sends that.
func TestRequiredWallRefuses(t *testing.T) {
	s := sshdtest.Start(t)
	target := New(Options{Hops: []Hop{hopTo(s, "prod")}, Wall: WallOptions{Mode: WallRequired}})
	t.Cleanup(func() { _ = target.Close() })
	if err := target.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	target.facts.wall = wall{why: "there is none"}
	dir := open(t)
	c := sh("echo x > " + dir + "/marker")
	c.Dir, c.ReadOnly = "/", true
	if _, err := target.Start(t.Context(), c); !errors.Is(err, errNoWall) {
		t.Errorf("%v", err)
	}
	if err := target.Unheld(t.Context(), []string{"cat", "/etc/passwd"}); !errors.Is(err, errNoWall) {
		t.Errorf("%v", err)
	}
	target.facts.wall = wall{by: byBwrap}
	for word, held := range map[string]bool{"mount": false, "id": false, "cat": true} {
		if err := target.Unheld(t.Context(), []string{word}); (err == nil) != held {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := os.Lstat(dir + "/marker"); err == nil {
		t.Error("it ran")
	}
}
