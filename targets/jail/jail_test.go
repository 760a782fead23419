//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// outcome is what a command gave.
type outcome struct {
	status         int
	stdout, stderr string
}

// look runs a command inside or outside the jail, in a repository with a known state.
func look(tb testing.TB, jailed bool, dir string, argv ...string) outcome {
	tb.Helper()
	name, err := exec.LookPath(argv[0])
	if err != nil {
		tb.Skip(err)
	}
	cmd := exec.Command(name)
	cmd.Args, cmd.Dir = argv, dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + dir, "TERM=dumb"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	end, err := begin(cmd, jailed)
	if err != nil {
		tb.Fatal(err)
	}
	_ = cmd.Wait() // the status tells
	end()
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// hiddenInTests is what commands in the jail may not read, nil for nothing.
var hiddenInTests func(name string) bool

// begin starts a command, and returns what is to be called after its end.
func begin(cmd *exec.Cmd, jailed bool) (end func(), err error) {
	if !jailed {
		return func() {}, cmd.Start()
	}
	entry, err := Prepare(cmd, hiddenInTests)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		entry.Abandon()
		return nil, err
	}
	return entry.Ended, entry.Entered()
}

// Commands that only read give in the jail what they give without it. What changes from one moment to the next is
// compared by its status, its first line and what it complained of.
func TestReadersAreNotDisturbed(t *testing.T) {
	needJail(t)
	dir := t.TempDir()
	exact := [][]string{
		{"cat", "/etc/passwd"}, {"ls", "-la", "/etc"}, {"stat", "/etc/passwd"}, {"head", "-c", "16", "/etc/services"}, {"du", "-s", "/etc"},
		{"grep", "-rn", "root", "/etc/passwd", "/etc/group"}, {"find", "/etc", "-maxdepth", "1", "-name", "*.conf"}, {"sort", "/etc/passwd"},
		{"wc", "-l", "/etc/passwd"}, {"sha256sum", "/etc/passwd"}, {"awk", "-F:", "{print $1}", "/etc/passwd"}, {"sed", "-n", "1,3p", "/etc/passwd"},
		{"id"}, {"hostname"}, {"uname", "-a"}, {"printenv", "HOME"}, {"pwd"}, {"date", "+%Y"}, {"getent", "passwd", "root"}, {"file", "/etc/passwd"},
		{"lsblk"}, {"lscpu"}, {"findmnt", "/"}, {"mount"}, {"lsmod"}, {"locale"}, {"nproc"}, {"arch"}, {"groups"}, {"lsmem"}, {"lsipc", "-g"}, {"sh", "-c", "lslogins root | grep -v ^Running"},
		{"dpkg", "-l", "bash"}, {"dpkg", "-S", "/bin/sh"}, {"dpkg-query", "-W", "bash"}, {"openssl", "version"}, {"ip", "-br", "addr"}, {"ip", "route"},
		{"ip", "link", "show"}, {"sysctl", "kernel.ostype"}, {"jq", "-n", "1+1"}, {"git", "-C", dir, "log", "--oneline"}, {"git", "-C", dir, "status", "--short"},
		{"git", "-C", dir, "diff"}, {"xxd", "-l", "16", "/etc/passwd"}, {"namei", "-l", "/etc/passwd"}, {"loginctl", "list-sessions"},
		{"systemctl", "is-system-running"}, {"journalctl", "-n", "1", "--no-pager"}, {"timedatectl", "show"}, {"modinfo", "-n", "loop"},
		{"sh", "-c", "cat /etc/passwd 2>/dev/null | grep root >/dev/null && echo yes"}, {"sh", "-c", "for i in a b; do echo $i; done | tac"},
		{"sh", "-c", "cat <<x\nhere\nx\n"}, {"sh", "-c", "kill -0 $$; sleep 0 & wait"}, {"timeout", "5", "true"}, {"timeout", "0.01", "sleep", "60"}, {"xargs", "echo"},
		{"bash", "-c", "echo $((1+1)); type ls; cat < /etc/hostname"}, {"nice", "cat", "/etc/hostname"}, {"test", "-w", "/etc/passwd"}, {"nginx", "-v"},
		{"nginx", "-t"}, {"sqlite3", "-readonly", filepath.Join(dir, "none"), ".tables"}, {"apt-cache", "policy", "bash"}, {"apt", "list", "bash"},
	}
	lsof := []string{"sh", "-c", "lsof -n 2>/dev/null | wc -l"}
	if testing.Short() { // of all processes it takes as long as there are descriptors on the machine
		lsof[2] = "lsof -n -p 1,$$ 2>/dev/null | wc -l"
	}
	moving := [][]string{
		{"ps", "aux"}, {"ps", "-ef", "--forest"}, {"top", "-b", "-n1"}, {"free", "-m"}, {"df", "-h"}, {"uptime"}, {"w"}, {"who"}, {"last", "-n1"}, {"vmstat"}, {"ss", "-tlnp"}, {"ss", "-s"},
		{"lsof", "-n", "-p", "1"}, {"netstat", "-tlnp"}, {"pmap", "1"}, {"pwdx", "1"}, {"lsns"}, {"lslocks"}, {"dmesg"}, {"pgrep", "-a", "."}, {"sh", "-c", "pidof sh | wc -l"},
		{"cat", "/proc/1/environ"}, {"ls", "-l", "/proc/1/fd"}, {"cat", "/proc/meminfo"}, {"cat", "/proc/net/tcp"}, {"sh", "-c", "ss -tln 2>/dev/null | head -1"}, lsof,
		{"sh", "-c", "cat /proc/loadavg | wc -w"}, {"pstree"}, {"sh", "-c", "ls -l /proc/*/exe 2>/dev/null | wc -l"}, {"iostat"}, {"docker", "ps"}, {"kubectl", "version"},
	}
	prepareRepository(t, dir)
	locked, err := os.Create(filepath.Join(t.TempDir(), "locked")) // lslocks prints no heading where there is no lock at all
	if err == nil {
		defer func() { _ = locked.Close() }()
		err = syscall.Flock(int(locked.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, list := range []struct {
		argv  [][]string
		exact bool
	}{{exact, true}, {moving, false}} {
		for _, argv := range list.argv {
			t.Run(strings.ReplaceAll(strings.Join(argv, "_"), "/", "|"), func(t *testing.T) {
				without := look(t, false, dir, argv...)
				within := look(t, true, dir, argv...)
				if !list.exact {
					without.stdout, within.stdout = columns(without.stdout), columns(within.stdout)
					without.stderr, within.stderr = columns(without.stderr), columns(within.stderr)
				}
				if without != within {
					t.Errorf("without the jail %+v\nwithin %+v", without, within)
				}
				ran++
			})
		}
	}
	if ran < 40 {
		t.Errorf("%d commands ran; the test needs more of the usual programs", ran)
	}
}

// columns is the first line of a text without its numbers and spaces.
func columns(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == ' ' || r == '.' || r == ',' {
			return -1
		}
		return r
	}, line)
}

func prepareRepository(t *testing.T, dir string) {
	t.Helper()
	for _, argv := range [][]string{
		{"init", "-q"}, {"-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		cmd := exec.Command("git", append([]string{"-C", dir}, argv...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
		if text, err := cmd.CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
			t.Fatalf("%v: %s", err, text)
		}
	}
}

func TestWhatCannotStartInTheJailIsTheErrnoOfExec(t *testing.T) {
	needJail(t)
	dir := t.TempDir()
	plain, script := filepath.Join(dir, "plain"), filepath.Join(dir, "script")
	if err := errors.Join(os.WriteFile(plain, []byte("x"), 0o600), os.WriteFile(script, []byte("#!/no/such/interpreter\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("neither machine code nor a script"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		filepath.Join(dir, "missing"): syscall.ENOENT, plain: syscall.EACCES, script: syscall.ENOENT, text: syscall.ENOEXEC, dir: syscall.EACCES,
	} {
		cmd := &exec.Cmd{Path: name, Args: []string{"x"}, Env: []string{}}
		end, err := begin(cmd, true)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", filepath.Base(name), err, want)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: ended well", name)
		}
		end()
	}
	if _, err := Prepare(&exec.Cmd{Path: "/bin/true", ExtraFiles: []*os.File{os.Stdin}}, nil); err == nil {
		t.Error("a command with further descriptors was taken")
	}
}

func TestNothingOfTheGatewayEntersTheJail(t *testing.T) {
	needJail(t)
	dir := t.TempDir()
	if got := look(t, true, dir, "sh", "-c", "ls /proc/self/fd | wc -l; grep NoNewPrivs /proc/self/status"); got.stdout != "4\nNoNewPrivs:\t1\n" || got.status != 0 {
		t.Errorf("%+v", got)
	}
	if os.Getuid() != 0 {
		t.Skip("only root has capabilities to lose")
	}
	got := look(t, true, dir, "grep", "-E", "Cap(Prm|Eff|Amb)", "/proc/self/status")
	for _, line := range strings.Split(strings.TrimSpace(got.stdout), "\n") {
		if set := strings.TrimLeft(line[strings.Index(line, "\t")+1:], "0"); set != "" && set != "400080004" { // SYSLOG, SYS_PTRACE, DAC_READ_SEARCH
			t.Errorf("capabilities in the jail: %s", line)
		}
	}
	if kept != 0x400080004 {
		t.Errorf("the set kept is %#x", kept)
	}
	if got := look(t, true, dir, "cat", "/etc/shadow"); got.status != 0 {
		t.Errorf("root cannot read what is root's: %+v", got)
	}
}

// What reads a pipe twice keeps it in a file meanwhile. That file is the only thing that the command may write.
func TestTemporaryDirectoryIsTheCommandsOwn(t *testing.T) {
	needJail(t)
	dir := t.TempDir()
	got := look(t, true, dir, "sh", "-c", `echo $TMPDIR; echo x >$TMPDIR/a; mv $TMPDIR/a $TMPDIR/b; cat $TMPDIR/b; ln -s / $TMPDIR/link; mv $TMPDIR $TMPDIR.2; echo y >$TMPDIR/../c`)
	lines := strings.Split(got.stdout, "\n")
	if len(lines) != 3 || lines[1] != "x" || got.status == 0 || strings.Count(got.stderr, "ermission denied") != 3 {
		t.Fatalf("%+v", got)
	}
	if _, err := os.Lstat(filepath.Dir(lines[0])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if got := look(t, true, dir, "sh", "-c", "cat /etc/passwd | tac | head -1"); got.status != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestKindOfACommand(t *testing.T) {
	cases := []struct {
		argv []string
		want kind
	}{
		{[]string{"ls", "-l"}, plain}, {[]string{"ss", "-tlnp"}, observer}, {[]string{"/usr/bin/lsof", "-n"}, observer},
		{[]string{"sh", "-c", "ss -tlnp | grep 22"}, observer}, {[]string{"sh", "-c", "ss -tlnp 2>/dev/null"}, observer}, {[]string{"sh", "-c", "cat </proc/1/environ"}, observer},
		{[]string{"cat", "/proc/1/environ"}, observer}, {[]string{"sh", "-c", "x=$(cat /proc/1/maps); echo $x"}, observer},
		{[]string{"grep", "-c", "x", "ss"}, plain}, {[]string{"timeout", "5", "ss", "-t"}, observer}, {[]string{"find", "/", "-exec", "lsof", "{}", ";"}, observer},
		{[]string{"sh", "-c", "echo docker"}, plain}, {[]string{"grep", "docker", "/etc/passwd"}, plain}, {[]string{"sh", "-c", "grep -r docker /etc; cat kubectl"}, plain},
		{[]string{"sh", "-c", "ls; docker ps"}, caller}, {[]string{"sh", "-c", "for i in a; do docker logs $i; done"}, caller}, {[]string{"sh", "-c", "x=1 docker ps"}, caller},
		{[]string{"ip", "addr"}, inspector}, {[]string{"sh", "-c", "ip addr | grep inet"}, inspector},
		{[]string{"iptables", "-L"}, manager}, {[]string{"sh", "-c", "iptables -L"}, plain}, {[]string{"echo", "iptables"}, plain},
		{[]string{"kubectl", "get", "pods"}, caller}, {[]string{"sh", "-c", "kubectl get pods | wc -l"}, caller},
		{[]string{"nginx", "-t"}, tester}, {[]string{"sh", "-c", "nginx -t 2>&1"}, tester}, {[]string{"/usr/sbin/nginx", "-T", "-q"}, tester},
		{[]string{"nginx"}, plain}, {[]string{"nginx", "-s", "stop"}, plain}, {[]string{"sh", "-c", "nginx -t; rm x"}, plain},
		{[]string{"/tmp/nginx", "-t"}, plain}, {[]string{"nginx", "-t -c /tmp/x"}, plain}, {[]string{"echo", "nginx", "-t"}, plain},
		{[]string{"sh", "-c", "nginx -t\nrm x"}, plain},
	}
	for _, c := range cases {
		if got := kindOf(c.argv); got != c.want {
			t.Errorf("%q: %d, want %d", c.argv, got, c.want)
		}
	}
}

// hide hides one file by its name, and what is in one directory.
func hide(t *testing.T, file, dir string) {
	t.Helper()
	hiddenInTests = func(name string) bool { return name == file || strings.HasPrefix(name, dir+"/") }
	t.Cleanup(func() { hiddenInTests = nil })
}

// TestHiddenFilesCannotBeShown tries what shows the content of a file in ways that no look at a command's words finds.
func TestHiddenFilesCannotBeShown(t *testing.T) {
	needJail(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const secret = "marker-of-the-hidden"
	for _, name := range []string{"x/hidden", "x/shown", "keys/one", "list"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "x/hidden")
	for link, to := range map[string]string{"x/link": "hidden", "up": "x/../x/link", "self": "/proc/self/cwd/x/hidden", "d": "keys", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "list")), os.WriteFile(filepath.Join(dir, "list"), []byte(file+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	hide(t, file, filepath.Join(dir, "keys"))
	for _, argv := range [][]string{
		{"cat", file}, {"cat", "x/hidden"}, {"cat", "x/link"}, {"cat", "up"}, {"cat", "self"}, {"cat", "keys/one"}, {"cat", "d/one"},
		{"cat", "x/./../x//hidden"}, {"cat", "/proc/self/cwd/x/hidden"}, {"cat", "/proc/thread-self/cwd/x/hidden"}, {"cat", "/proc/self/root" + file},
		{"grep", "-r", "marker", "x/hidden", "keys"}, {"find", dir, "-name", "hid*", "-exec", "cat", "{}", "+"}, {"sort", "x/hidden"},
		{"sh", "-c", "cat < x/hidden"}, {"sh", "-c", "cd x; cat hidden"}, {"sh", "-c", "cd keys && head -1 one"}, {"sh", "-c", "while read l; do echo $l; done < x/hidden"},
		{"sh", "-c", "cat list | xargs cat"}, {"sh", "-c", "f=hid; cat x/${f}den"}, {"sh", "-c", "cat x/h*n"}, {"bash", "-c", "mapfile a < x/hidden; echo ${a[0]}"},
		{"bash", "-c", "exec 7<x; cat /proc/self/fd/7/hidden"}, {"bash", "-c", "echo $(<x/hidden)"}, {"diff", "x/hidden", "/dev/null"}, {"awk", "1", "x/hidden"},
		{"sed", "-n", "p", "x/hidden"}, {"tail", "-n", "1", "x/hidden"}, {"dd", "if=x/hidden"}, {"base64", "x/hidden"}, {"cp", "x/hidden", "/dev/stdout"},
		{"sh", "-c", "cat /proc/1/cwd/../" + file}, {"tar", "cf", "-", "x/hidden"}, {"sh", "-c", "ss -t; cat x/hidden"}, {"sh", "-c", "cat loop x/hidden"},
	} {
		got := look(t, true, dir, argv...)
		if strings.Contains(got.stdout+got.stderr, secret) || strings.Contains(got.stdout, "bWFya2Vy") {
			t.Errorf("%q shows it: %+v", argv, got)
		}
		if got.status == 0 && argv[0] == "cat" {
			t.Errorf("%q ended well", argv)
		}
	}
	for _, argv := range [][]string{
		{"cat", "x/shown"}, {"sh", "-c", "cat < x/shown"}, {"sh", "-c", "ls x keys >/dev/null && cat x/shown"}, {"find", "x", "-name", "shown", "-exec", "cat", "{}", "+"},
		{"sh", "-c", "cat x/shown | cat /dev/stdin"}, {"bash", "-c", "cat <(cat x/shown)"}, {"grep", "-rh", "marker", dir},
	} {
		if got := look(t, true, dir, argv...); !strings.Contains(got.stdout, secret) {
			t.Errorf("%q does not show what may be seen: %+v", argv, got)
		}
	}
	if got := look(t, true, dir, "stat", "-c", "%n", "x/hidden"); got.stdout != "x/hidden\n" {
		t.Errorf("a hidden file has no name: %+v", got)
	}
}

// TestKeepersReadWhatTheyNeed: programs that show no content do what they do without the jail, whatever is hidden.
func TestKeepersReadWhatTheyNeed(t *testing.T) {
	needJail(t)
	dir := t.TempDir()
	hiddenInTests = func(name string) bool {
		return name == "/etc/machine-id" || name == "/etc/shadow" || strings.HasPrefix(name, "/sys/firmware/") || strings.HasPrefix(name, "/proc/") && strings.HasSuffix(name, "maps")
	}
	t.Cleanup(func() { hiddenInTests = nil })
	for _, argv := range [][]string{{"journalctl", "-n", "1", "--no-pager"}, {"passwd", "-S", "root"}, {"chage", "-l", "root"}, {"lscpu"}, {"pmap", "1"}} {
		without, within := look(t, false, dir, argv...), look(t, true, dir, argv...)
		if without.status != within.status || (without.stdout == "") != (within.stdout == "") { // what they print changes by itself
			t.Errorf("%q: without the jail %+v\nwithin %+v", argv, without, within)
		}
	}
}

// The cost of the second wall is one more exec.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name   string
		jailed bool
	}{{"without", false}, {"jailed", true}} {
		b.Run(c.name, func(b *testing.B) {
			if c.jailed && Check() != nil {
				b.Skip(Check())
			}
			for b.Loop() {
				if got := look(b, c.jailed, "/", "true"); got.status != 0 {
					b.Fatal(got)
				}
			}
		})
	}
}
