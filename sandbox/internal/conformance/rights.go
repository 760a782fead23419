//go:build unix

package conformance

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// LookAround prints what a script finds out about the paths in the list names, in each way that there is to ask for one.
const LookAround = `
import hashlib, os, stat
def say(what, name, do):
    try: got = do()
    except OSError as e: got = "errno %d" % e.errno
    print(what, name, got)
def described(st): return "%o %d:%d %d" % (st.st_mode, st.st_uid, st.st_gid, st.st_size)
def content(fd):
    try: return "directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else hashlib.sha256(os.read(fd, 1 << 16)).hexdigest()
    finally: os.close(fd)
def listed(fd):
    try: return sorted(os.listdir(fd))
    finally: os.close(fd)
def moved(name):
    os.chdir(name)
    os.chdir("/")
    return "there"
def again(name):
    fd = os.open(name, os.O_RDONLY)
    try: return content(os.open("/proc/self/fd/%d" % fd, os.O_RDONLY))
    finally: os.close(fd)
def below(name):
    dir = os.open(os.path.dirname(name) or "/", os.O_RDONLY)
    try: return content(os.open(os.path.basename(name), os.O_RDONLY, dir_fd=dir))
    finally: os.close(dir)
for n in names:
    say("stat", n, lambda: described(os.stat(n)))
    say("lstat", n, lambda: described(os.lstat(n)))
    say("read", n, lambda: content(os.open(n, os.O_RDONLY | os.O_NONBLOCK)))
    say("list", n, lambda: sorted(os.listdir(n)))
    say("open", n, lambda: listed(os.open(n, os.O_RDONLY | os.O_DIRECTORY)))
    say("scan", n, lambda: sorted(e.name for e in os.scandir(n)))
    say("readlink", n, lambda: os.readlink(n))
    say("access", n, lambda: [os.access(n, m) for m in (os.F_OK, os.R_OK, os.X_OK)])
    say("chdir", n, lambda: moved(n))
    say("again", n, lambda: again(n))
    say("below", n, lambda: below(n))
    say("statvfs", n, lambda: os.statvfs(n).f_bsize)
`

// ClosedTree makes a tree of root's of which an account may see some, and returns its directory and the names to ask for. It
// needs root.
func ClosedTree(t *testing.T, account int) (root string, names []string) {
	t.Helper()
	root, err := os.MkdirTemp("", "shannot-rights-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Chmod(root, 0o755)) // #nosec G302 -- for the account
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{"open", 0o755}, {"private", 0o700}, {"private/deep", 0o755}, {"passed", 0o711}, {"listed", 0o744}, {"sticky", os.ModeSticky | 0o777}} {
		check(os.Mkdir(filepath.Join(root, d.name), 0o700))
		check(os.Chmod(filepath.Join(root, d.name), d.mode))
		names = append(names, d.name, d.name+"/.", d.name+"/..", d.name+"/missing", d.name+"/../open/file")
	}
	for _, f := range []struct {
		name     string
		mode     os.FileMode
		uid, gid int
	}{
		{"open/file", 0o644, 0, 0}, {"open/closed", 0o600, 0, 0}, {"open/group", 0o640, 0, account}, {"open/rootgroup", 0o640, 0, 0},
		{"open/mine", 0o600, account, account}, {"open/notmine", 0o044, account, account}, {"open/program", 0o755, 0, 0},
		{"open/rootprogram", 0o744, 0, 0}, {"private/secret", 0o644, 0, 0}, {"private/deep/secret", 0o600, 0, 0},
		{"passed/file", 0o644, 0, 0}, {"passed/closed", 0o600, 0, 0}, {"listed/file", 0o644, 0, 0}, {"sticky/file", 0o600, 0, 0},
	} {
		name := filepath.Join(root, f.name)
		check(os.WriteFile(name, []byte("content of "+f.name), 0o600))
		check(os.Lchown(name, f.uid, f.gid))
		check(os.Chmod(name, f.mode))
		names = append(names, f.name)
	}
	for name, to := range map[string]string{"open/out": "../private/secret", "open/toclosed": "closed", "open/fine": "../passed/file", "open/todir": "../private"} {
		check(os.Symlink(to, filepath.Join(root, name)))
		names = append(names, name)
	}
	names = append(names, "open/todir/secret", "open/todir/..")
	for i, name := range names {
		names[i] = root + "/" + name
	}
	return root, names
}

// SystemPython is an interpreter that any account may run, "" where there is none.
func SystemPython() string {
	for _, name := range []string{"/usr/bin/python3", "/usr/bin/pypy3"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	return ""
}

// PythonList is a list of texts as Python writes it.
func PythonList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// SameLines compares what a script printed with what it should have.
func SameLines(t *testing.T, got, want string) {
	t.Helper()
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(gotLines) != len(wantLines) || len(wantLines) < 100 {
		t.Fatalf("%d lines, not %d: %s", len(gotLines), len(wantLines), got)
	}
	for i, line := range gotLines {
		if line != wantLines[i] {
			t.Errorf("%s; an own process of the account: %s", line, wantLines[i])
		}
	}
}
