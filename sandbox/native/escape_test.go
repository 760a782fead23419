//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// The attempts under testdata/escape are scripts, one for each attempt. The comments at the top of each are what it
// tries, which layer of the sandbox is there, and what must happen:
//
//	# tries: …     what the attempt is
//	# layer: …     what stops it
//	# prints: …    what it must print in the sandbox; lines are joined by " | "
//	# bare: …      what it prints in the same CPython without a sandbox, which shows that the layer and not a slip in the
//	               script is what stops it; or "not run: " and why
//	# ends: …      the cause that the run must end with, where that is not its own end, or a signal's name
//	# open: …      what it prints in the open, see control_test.go, or "otherwise"
//	# itself: …    how it shows by itself that it can succeed
//	# impossible: …  what it prints in the open where the kernel does not have what it tries, and why: it is skipped there
//	# arch: …      the one architecture that has it
//	# slow         left out of short runs, as what is not in a sandbox is
//
//go:embed testdata/escape
var attemptFiles embed.FS

type attempt struct {
	name, tries, layer, prints, bare, ends, arch, script string
	open, itself, impossible                             string
	slow                                                 bool
}

// notRun begins the reason why an attempt is not made without a sandbox.
const notRun = "not run: "

func parseAttempt(tb testing.TB, name, script string) attempt {
	tb.Helper()
	a := attempt{name: name, script: script, ends: string(sandbox.Exited)}
	fields := map[string]*string{"tries": &a.tries, "layer": &a.layer, "prints": &a.prints, "bare": &a.bare, "ends": &a.ends, "arch": &a.arch, "open": &a.open, "itself": &a.itself, "impossible": &a.impossible}
	for line := range strings.Lines(script) {
		comment, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "# ")
		if !ok {
			break
		}
		if comment == "slow" {
			a.slow = true
			continue
		}
		key, value, _ := strings.Cut(comment, ":")
		field := fields[key]
		if field == nil {
			tb.Fatalf("%s: unknown line %q", name, line)
		}
		*field = strings.TrimPrefix(value, " ")
	}
	for _, key := range []string{"tries", "layer", "bare"} {
		if *fields[key] == "" {
			tb.Fatalf("%s does not say %q", name, key)
		}
	}
	return a
}

func attempts(tb testing.TB) []attempt {
	tb.Helper()
	var all []attempt
	err := fs.WalkDir(attemptFiles, "testdata/escape", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(name) == "prelude.py" {
			return err
		}
		text, err := attemptFiles.ReadFile(name)
		short := strings.TrimSuffix(strings.TrimPrefix(name, "testdata/escape/"), ".py")
		all = append(all, parseAttempt(tb, short, string(text)))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// world is what an attempt meets on the host: files that it may see and others, services, a process of its user.
type world struct {
	dir, abstract string
	port          int
	victim        *exec.Cmd
	signal        int
}

// scratch is where an attempt may write. It is not /tmp, where the world is.
const scratch = "/var/tmp"

const (
	secretText = "the gateway's own"
	shownText  = "the host's own\n"
)

func newWorld(tb testing.TB, signal int) *world {
	tb.Helper()
	// Not tb.TempDir: a socket's path has room for about a hundred bytes.
	dir, err := os.MkdirTemp("", "escape-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{dir: dir, signal: signal, abstract: filepath.Base(dir)}
	for _, name := range []string{"shown", "here"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	for name, text := range map[string]string{"secret": secretText, "shown/file": shownText, "shown/other": shownText} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	w.port = listen(tb, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	for _, name := range []string{filepath.Join(dir, "socket"), filepath.Join(dir, "shown/socket"), "@" + w.abstract} {
		listen(tb, "unix", name)
	}
	w.victim = exec.Command("sleep", "infinity")
	w.victim.Env = []string{"SECRET=" + secretText}
	if err := w.victim.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.victim.Process.Kill(); _ = w.victim.Wait() })
	return w
}

// listen accepts connections until the test ends.
func listen(tb testing.TB, network, address string) net.Addr {
	tb.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr()
}

// setup is what is put before an attempt.
func (w *world) setup(tb testing.TB, here string) string {
	tb.Helper()
	prelude, err := attemptFiles.ReadFile("testdata/escape/prelude.py")
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("NR = {")
	for name, number := range seccomp.Calls(runtime.GOARCH) {
		fmt.Fprintf(&b, "%q:%d,", name, number)
	}
	b.WriteString("}\n")
	fmt.Fprintf(&b, "GATEWAY, VICTIM, SIGNAL, PORT = %d, %d, %d, %d\n", os.Getpid(), w.victim.Process.Pid, w.signal, w.port)
	for name, value := range map[string]string{
		"SECRET": filepath.Join(w.dir, "secret"), "SHOWN": filepath.Join(w.dir, "shown"), "SOCKET": filepath.Join(w.dir, "socket"),
		"SHOWN_SOCKET": filepath.Join(w.dir, "shown/socket"), "ABSTRACT": w.abstract, "HERE": here,
	} {
		fmt.Fprintf(&b, "%s = %s\n", name, strconv.Quote(value))
	}
	return b.String() + string(prelude)
}

// asHostMustBe fails where an attempt has changed the host.
func (w *world) asHostMustBe(tb testing.TB) {
	tb.Helper()
	for name, want := range map[string]string{"secret": secretText, "shown/file": shownText, "shown/other": shownText} {
		if got, err := os.ReadFile(filepath.Join(w.dir, name)); err != nil || string(got) != want {
			tb.Errorf("%s of the host holds %q, %v", name, got, err)
		}
		st, err := os.Lstat(filepath.Join(w.dir, name))
		if err != nil || st.Mode() != 0o600 || st.Sys().(*syscall.Stat_t).Nlink != 1 || time.Since(st.ModTime()) > time.Hour {
			tb.Errorf("%s of the host has other attributes: %v, %v", name, st, err)
		}
	}
	for dir, want := range map[string]int{".": 4, "shown": 3, "here": 0} {
		if names, err := os.ReadDir(filepath.Join(w.dir, dir)); err != nil || len(names) != want {
			tb.Errorf("%s of the host holds %v, %v", dir, names, err)
		}
	}
	// A process that was killed stays as a zombie until it is waited for.
	status := procfs.Small(fmt.Sprintf("/proc/%d/status", w.victim.Process.Pid))
	if !bytes.Contains(status, []byte("\nState:\tS")) {
		tb.Errorf("the other process is not what it was: %s", status)
	}
}

// job is a script's run in the sandbox over this world.
func (w *world) job(tb testing.TB, script string) (sandbox.Job, *bytes.Buffer, *bytes.Buffer) {
	tb.Helper()
	job, stdout, stderr := jobFor(tb, script)
	policy, err := vfs.NewPolicy(append(narrowRead(), filepath.Join(w.dir, "shown")), vfs.DefaultHide())
	if err != nil {
		tb.Fatal(err)
	}
	job.FS, err = vfs.NewSession(vfs.Config{
		Base: vfs.NewHost(), Policy: policy, Scratch: []string{scratch}, MaxBytes: 64 << 20, MaxFile: 32 << 20,
		UID: 1000, GID: 1000, Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = job.FS.Close() })
	return job, stdout, stderr
}

// TestEscapeAttemptsMeetALayer makes every attempt in the sandbox, and where that does no harm in bare CPython too.
func TestEscapeAttemptsMeetALayer(t *testing.T) {
	hostFiles := map[string][]byte{}
	for _, name := range []string{"/etc/passwd", "/etc/hosts", "/proc/sys/kernel/core_pattern"} {
		hostFiles[name], _ = os.ReadFile(name)
	}
	w := newWorld(t, int(syscall.SIGKILL))
	all := attempts(t)
	const least = 120
	if len(all) < least {
		t.Errorf("%d attempts, want %d or more", len(all), least)
	}
	engine(t) // unpacked once, before the clocks of the attempts run
	inside, turns := w.setup(t, scratch), make(chan struct{}, 2*runtime.NumCPU())
	t.Run("attempts", func(t *testing.T) {
		for _, a := range all {
			t.Run(a.name, func(t *testing.T) {
				if a.arch != "" && a.arch != runtime.GOARCH {
					t.Skip("this architecture does not have it")
				}
				if a.slow && testing.Short() {
					t.Skip("slow")
				}
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
				a.mustBePossible(t)
				a.insideMust(t, w, inside)
				a.bareMust(t)
			})
		}
	})
	w.asHostMustBe(t)
	for name, before := range hostFiles {
		if now, _ := os.ReadFile(name); !bytes.Equal(now, before) {
			t.Errorf("%s of the host has changed", name)
		}
	}
}

func (a attempt) insideMust(t *testing.T, w *world, setup string) {
	job, stdout, stderr := w.job(t, setup+a.script)
	if a.ends == string(sandbox.Memory) {
		job.Limits.Memory = jobMemory
	}
	if a.ends == string(sandbox.WallTime) {
		job.Limits.Wall = 5 * time.Second // until then it must have begun, on a busy machine too
	}
	result := runJob(t, job)
	ended := string(result.Cause)
	if result.Cause == sandbox.Exited && result.Signal != 0 {
		ended = unix.SignalName(result.Signal)
	}
	if got := joinLines(stdout.String()); got != a.prints || !slices.Contains(strings.Split(a.ends, " or "), ended) {
		t.Errorf("tries %s\nprinted %q\n   want %q\nended by %q, want %q (%+v)\nstderr: %s",
			a.tries, got, a.prints, ended, a.ends, result, stderr)
	}
}

func joinLines(text string) string {
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), " | ")
}

// bareMust makes the attempt without a sandbox, in a world of its own.
func (a attempt) bareMust(t *testing.T) {
	if strings.HasPrefix(a.bare, notRun) || testing.Short() {
		return
	}
	w := newWorld(t, 0)
	script := w.setup(t, filepath.Join(w.dir, "here")) + a.script
	in, _, err := engine(t).prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(in.root, pythonBinary), "-I", "-S", "-")
	cmd.Dir, cmd.Stdin = filepath.Join(w.dir, "here"), strings.NewReader(script)
	cmd.Env = []string{"LANG=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/"}
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	got := joinLines(string(out))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		got = unix.SignalName(exit.Sys().(syscall.WaitStatus).Signal())
	}
	if got != a.bare {
		t.Errorf("without a sandbox it printed %q, want %q: %v\n%s", got, a.bare, err, stderr.String())
	}
}

var update = flag.Bool("update", false, "write anew what is generated: docs/escape-attempts.md, docs/compatibility.md, what CPython prints")

// TestEveryAttemptIsInTheDocumentation holds docs/escape-attempts.md against the attempts' own words.
func TestEveryAttemptIsInTheDocumentation(t *testing.T) {
	const file = "../../docs/escape-attempts.md"
	old, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Skipf("the documentation is not here: %v", err)
	}
	var b strings.Builder
	b.WriteString("# Attempts to escape\n\n" +
		"`TestEscapeAttemptsMeetALayer` makes each of these attempts, and each meets a layer that stops it. The scripts are in\n" +
		"`sandbox/native/testdata/escape`. Their first lines are the source of this page:\n\n" +
		"    go test -run TestEveryAttemptIsInTheDocumentation ./sandbox/native -update\n\n" +
		"\"bare\" in the fourth column marks the attempts that the test also makes in CPython without a sandbox. The last column is the\n" +
		"attempt's control. It shows that the attempt does not pass by failing for a reason of its own:\n\n" +
		"| control | what it means |\n| --- | --- |\n" +
		"| `bare` | it has another outcome in bare CPython |\n" +
		"| `open` | it has another outcome as a user in namespaces of its own |\n" +
		"| `answer` | what it prints is an answer that only the layer gives |\n" +
		"| `end` | its end is one that only the layer gives |\n" +
		"| `itself` | it shows by itself that it can succeed |\n\n" +
		"`TestEveryAttemptHasAControl` and `TestControlsOfAttemptsTrip` hold each attempt to its control. [threat-model.md](threat-model.md) has the\n" +
		"whole picture.\n")
	folder, cell := "", strings.NewReplacer("|", `\|`)
	for _, a := range attempts(t) {
		dir, name := path.Split(a.name)
		if dir != folder {
			folder = dir
			fmt.Fprintf(&b, "\n## %s\n\n| attempt | what it tries | what stops it | | control |\n| --- | --- | --- | --- | --- |\n", strings.TrimSuffix(dir, "/"))
		}
		mark := "bare"
		if strings.HasPrefix(a.bare, notRun) {
			mark = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, cell.Replace(strings.TrimPrefix(a.tries, "to ")), cell.Replace(a.layer), mark, a.controlInWords())
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(old) != b.String() {
		t.Errorf("%s is not what the attempts say: run this test with -update", file)
	}
}
