//go:build linux

package vfs_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// The account of these tests: nobody's, with a group of its own and a further one.
const (
	otherUID  = 61234
	otherGID  = 61235
	moreGroup = 61236
)

// lookerEnv makes the test program a process that looks at the names on its standard input.
const lookerEnv = "SHANNOT_TEST_LOOK"

func init() {
	if os.Getenv(lookerEnv) == "" {
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		op, name, _ := strings.Cut(lines.Text(), " ")
		fmt.Println(kernelAnswer(op, name))
	}
	os.Exit(0)
}

// looks are what can be asked of a name.
var looks = []string{"stat", "lstat", "read", "open", "list", "readlink", "r_ok", "x_ok", "statfs"}

// answer is what a look gave, as text.
func answer(what any, err error) string {
	if err != nil {
		return fmt.Sprintf("errno %v", err)
	}
	return fmt.Sprint(what)
}

// kernelAnswer asks the kernel as an ordinary program does.
func kernelAnswer(op, name string) string {
	var st unix.Stat_t
	described := func(err error) string {
		return answer(fmt.Sprintf("%o %d:%d %d", st.Mode, st.Uid, st.Gid, st.Size), err)
	}
	switch op {
	case "stat":
		return described(unix.Stat(name, &st))
	case "lstat":
		return described(unix.Lstat(name, &st))
	case "read", "open":
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil || op == "open" {
			_ = unix.Close(fd)
			return answer("opened", err)
		}
		return digestOf(fd)
	case "list":
		entries, err := os.ReadDir(name)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if p, ok := err.(*os.PathError); ok {
			err = p.Err
		}
		slices.Sort(names)
		return answer(names, err)
	case "readlink":
		text, err := os.Readlink(name)
		if p, ok := err.(*os.PathError); ok {
			err = p.Err
		}
		return answer(text, err)
	case "r_ok":
		return answer("may", unix.Access(name, unix.R_OK))
	case "x_ok":
		return answer("may", unix.Access(name, unix.X_OK))
	case "statfs":
		var fs unix.Statfs_t
		err := unix.Statfs(name, &fs)
		return answer(fs.Type, err)
	}
	return "what?"
}

func digestOf(fd int) string {
	f := os.NewFile(uintptr(fd), "file")
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if p, ok := err.(*os.PathError); ok {
		err = p.Err
	}
	return answer(fmt.Sprintf("%d bytes %x", n, h.Sum(nil)), err)
}

// viewAnswer asks a session.
func viewAnswer(s *vfs.Session, op, name string) string {
	describe := func(info vfs.Info, err error) string {
		return answer(fmt.Sprintf("%o %d:%d %d", info.Mode, info.UID, info.GID, info.Size), err)
	}
	switch op {
	case "stat":
		return describe(s.Stat(name))
	case "lstat":
		return describe(s.Lstat(name))
	case "read", "open":
		f, err := s.Open(name, unix.O_RDONLY, 0)
		if err != nil {
			return answer(nil, err)
		}
		defer func() { _ = f.Close() }()
		if op == "open" {
			return "opened"
		}
		fd, err := f.Descriptor(unix.O_RDONLY)
		if err != nil {
			return answer(nil, err)
		}
		return digestOf(fd)
	case "list":
		f, err := s.Open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return answer(nil, err)
		}
		defer func() { _ = f.Close() }()
		entries, err := f.ReadDir()
		var names []string
		for _, e := range entries {
			if e.Name != "." && e.Name != ".." {
				names = append(names, e.Name)
			}
		}
		slices.Sort(names)
		return answer(names, err)
	case "readlink":
		text, err := s.Readlink(name)
		return answer(text, err)
	case "r_ok":
		return answer("may", s.Access(name, unix.R_OK))
	case "x_ok":
		return answer("may", s.Access(name, unix.X_OK))
	case "statfs":
		space, _, err := s.Space(name)
		return answer(space.Type, err)
	}
	return "what?"
}

// closedTree makes a tree of root's in which the account may see some things. It returns its directory and the names to ask for.
func closedTree(t *testing.T) (string, []string) {
	t.Helper()
	root, err := os.MkdirTemp("", "shannot-rights-")
	ok(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	ok(t, os.Chmod(root, 0o755))
	var names []string
	dir := func(name string, mode os.FileMode, uid, gid int) {
		ok(t, os.Mkdir(filepath.Join(root, name), 0o700))
		ok(t, os.Lchown(filepath.Join(root, name), uid, gid))
		ok(t, os.Chmod(filepath.Join(root, name), mode))
		names = append(names, name, name+"/", name+"/.", name+"/..", name+"/missing", name+"/../open/file")
	}
	file := func(name string, mode os.FileMode, uid, gid int) {
		ok(t, os.WriteFile(filepath.Join(root, name), []byte("content of "+name), 0o600))
		ok(t, os.Lchown(filepath.Join(root, name), uid, gid))
		ok(t, os.Chmod(filepath.Join(root, name), mode))
		names = append(names, name, name+"/", name+"/x")
	}
	link := func(name, to string) {
		ok(t, os.Symlink(to, filepath.Join(root, name)))
		names = append(names, name)
	}
	dir("open", 0o755, 0, 0)
	file("open/file", 0o644, 0, 0)
	file("open/closed", 0o600, 0, 0)
	file("open/group", 0o640, 0, otherGID)
	file("open/more", 0o640, 0, moreGroup)
	file("open/rootgroup", 0o640, 0, 0)
	file("open/othersgroup", 0o604, 0, otherGID) // the group is refused what others may
	file("open/mine", 0o600, otherUID, otherGID)
	file("open/notmine", 0o044, otherUID, otherGID)
	file("open/program", 0o755, 0, 0)
	file("open/rootprogram", 0o744, 0, 0)
	dir("private", 0o700, 0, 0)
	file("private/secret", 0o644, 0, 0)
	dir("private/deep", 0o755, 0, 0)
	file("private/deep/secret", 0o600, 0, 0)
	dir("passed", 0o711, 0, 0) // can be passed and not listed
	file("passed/file", 0o644, 0, 0)
	file("passed/closed", 0o600, 0, 0)
	dir("listed", 0o744, 0, 0) // can be listed and not passed
	file("listed/file", 0o644, 0, 0)
	dir("sticky", os.ModeSticky|0o777, 0, 0)
	file("sticky/file", 0o600, 0, 0)
	link("open/out", "../private/secret")
	link("open/deep", root+"/private/deep/secret")
	link("open/toclosed", "closed")
	link("open/fine", "../passed/file")
	link("open/todir", "../private")
	link("private/link", "../open/file")
	names = append(names, "open/todir/secret", "open/todir/..", "private/deep/../../open/file")
	if setfacl, err := exec.LookPath("setfacl"); err == nil {
		file("open/acl", 0o600, 0, 0)
		if out, err := exec.Command(setfacl, "-m", fmt.Sprintf("u:%d:r", otherUID), root+"/open/acl").CombinedOutput(); err != nil {
			t.Logf("no access control lists here: %s", out)
		}
	}
	for i, name := range names {
		names[i] = root + "/" + name
	}
	return root, names
}

// processNames are files about processes: this one, the first, and one that may be looked into.
func processNames(t *testing.T) []string {
	t.Helper()
	mine := exec.Command("sleep", "600")
	mine.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUID, Gid: otherGID, Groups: []uint32{moreGroup}}}
	ok(t, mine.Start())
	t.Cleanup(func() { _ = mine.Process.Kill(); _ = mine.Wait() })
	var names []string
	for _, pid := range []int{1, os.Getpid(), mine.Process.Pid} {
		for _, file := range []string{
			"", "/environ", "/maps", "/smaps", "/auxv", "/mem", "/exe", "/cwd", "/root", "/fd", "/fd/0", "/fdinfo/0", "/ns/net", "/ns/user",
			"/map_files", "/stack", "/syscall", "/io", "/pagemap", "/cmdline", "/comm", "/cgroup", "/limits", "/loginuid", "/oom_score_adj",
		} {
			names = append(names, fmt.Sprintf("/proc/%d%s", pid, file))
		}
		names = append(names, fmt.Sprintf("/proc/%d/task/%d/environ", pid, pid), fmt.Sprintf("/proc/%d/task/%d/exe", pid, pid))
	}
	return names
}

// ownProcess asks the same of the kernel, by a process of the account's own.
func ownProcess(t *testing.T, questions []string) []string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = []string{lookerEnv + "=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUID, Gid: otherGID, Groups: []uint32{moreGroup}}}
	cmd.Stdin = strings.NewReader(strings.Join(questions, "\n") + "\n")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(lines), len(questions))
	}
	return lines
}

// byDesign are errors where the kernel has none, in /proc alone: a file that the kernel makes is not opened before it can be
// read, nothing but regular files and directories is opened, and what a link of a descriptor or namespace leads to has no name.
func byDesign(op, name, got string) bool {
	return strings.HasPrefix(got, "errno") && strings.HasPrefix(name, "/proc/") &&
		(op == "open" || op == "read" || strings.Contains(name, "/ns/") || strings.Contains(name, "/fd/"))
}

// What an account sees of a host is what the kernel shows a process of its own: the same bytes, or the same error.
func TestAnAccountSeesWhatItsOwnProcessesSee(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	_, names := closedTree(t)
	names = append(names, processNames(t)...)
	names = append(names, "/root", "/root/.ssh", "/etc/shadow", "/etc/passwd", "/proc", "/proc/cpuinfo", "/proc/kallsyms", "/sys/kernel/debug",
		"/sys/kernel/notes", "/sys/power/state", "/proc/sys/kernel/cad_pid", "/proc/slabinfo", "/proc/kmsg")
	var questions []string
	for _, name := range names {
		for _, op := range looks {
			switch {
			case op == "list" && name == "/proc", strings.HasSuffix(op, "stat") && strings.HasSuffix(name, "/fd"):
				continue // another one each time
			case op == "read" && (strings.HasSuffix(name, "/pagemap") || strings.HasSuffix(name, "/smaps")):
				continue // without end, or another one each time
			}
			questions = append(questions, op+" "+name)
		}
	}
	want := ownProcess(t, questions)
	rights := vfs.NewRights(otherUID, otherGID, []uint32{moreGroup})
	check := func(t *testing.T) {
		s := session(t, vfs.Config{Base: vfs.NewHostAs(rights)})
		refused, shown := 0, 0
		for i, q := range questions {
			op, name, _ := strings.Cut(q, " ")
			got := viewAnswer(s, op, name)
			if strings.HasPrefix(got, "errno permission") {
				refused++
			} else if !strings.HasPrefix(got, "errno") {
				shown++
			}
			if got != want[i] && !byDesign(op, name, got) {
				t.Errorf("%s: %s; the kernel says %s", q, got, want[i])
			}
		}
		if refused < 100 || shown < 100 {
			t.Errorf("%d refused, %d shown: the test shows nothing", refused, shown)
		}
	}
	t.Run("by errand", check)
	t.Run("held", func(t *testing.T) { holding(t, rights, func() { check(t) }) })
}

// holding calls f on a thread that has the rights for good.
func holding(t *testing.T, rights *vfs.Rights, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends with this goroutine
		if err := rights.Hold(); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// What the gateway has kept of a file is in a folder that no account may enter, and a script that runs again sees it all the same.
func TestWhatWasKeptIsReadByTheGatewaysRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	kept := filepath.Join(t.TempDir(), "kept")
	ok(t, os.Mkdir(kept, 0o700))
	ok(t, os.WriteFile(kept+"/blob", []byte("as it was"), 0o600))
	content := func() (io.ReadCloser, error) { return os.Open(kept + "/blob") }
	rights := vfs.NewRights(otherUID, otherGID, nil)
	read := func() {
		snapshot := vfs.NewSnapshot(vfs.NewHostAs(rights), map[string]*vfs.SnapshotFile{"/etc/changed": {Info: vfs.Info{Mode: unix.S_IFREG | 0o644}, Content: content}})
		s := session(t, vfs.Config{Base: snapshot})
		for _, flags := range []int{unix.O_RDONLY, unix.O_RDWR} { // the latter copies it up
			f, err := s.Open("/etc/changed", flags, 0)
			ok(t, err)
			fd, err := f.Descriptor(flags)
			ok(t, err)
			text := make([]byte, 100)
			n, err := unix.Read(fd, text)
			_, _ = unix.Close(fd), f.Close()
			if got := answer(string(text[:max(n, 0)]), err); got != "as it was" {
				t.Errorf("opened with %#x: %s", flags, got)
			}
		}
	}
	read()
	holding(t, rights, read)
}

// A gateway's own rights are untouched by those that its threads took.
func TestRightsAreAThreads(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	ok(t, os.WriteFile(secret, []byte("x"), 0o600))
	rights := vfs.NewRights(otherUID, otherGID, nil)
	read := func() error { _, err := os.ReadFile(secret); return err }
	for range 50 {
		var inside, apart error
		ok(t, rights.Do(func() {
			inside = read()
			vfs.Apart(func() { apart = read() })
			_ = rights.Do(func() { inside = read() }) // nothing is taken twice
		}))
		if inside == nil || apart != nil {
			t.Fatalf("within the account's rights %v, apart %v", inside, apart)
		}
		ok(t, read())
		done := make(chan error)
		go func() { done <- read() }()
		ok(t, <-done)
	}
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("a panic within rights arrived as %v", p)
			}
		}()
		_ = rights.Do(func() { panic("mine") })
	}()
	// The account has no rights over a thread that acts for it: a signal to that would be one to the gateway.
	ok(t, rights.Do(func() {
		tid := unix.Gettid()
		kill := exec.Command("kill", "-0", fmt.Sprint(tid))
		kill.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUID, Gid: otherGID}}
		vfs.Apart(func() {
			if out, err := kill.CombinedOutput(); err == nil {
				t.Errorf("the account may signal the gateway by its thread %d", tid)
			} else if !strings.Contains(string(out), "not permitted") {
				t.Errorf("kill: %v: %s", err, out)
			}
		})
	}))
}
