//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

//go:embed testdata/walks.py
var walks string

// realDir is a temporary directory whose path leads through no link.
func realDir(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// hostileTree makes a tree of what makes trouble, on the host.
func hostileTree(tb testing.TB) string {
	tb.Helper()
	dir := realDir(tb)
	do := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	for _, d := range []string{"sub/deep/deeper", "many", "closed", "unpassable", "\xffdir"} {
		do(os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for i := range 40 { // a walk is told of several at once
		do(os.MkdirAll(filepath.Join(dir, "tree", fmt.Sprint(i%4), fmt.Sprint(i), "below"), 0o755))
		do(os.Symlink([]string{"file", "below", "../0", "nothing", "link", dir}[i%6], filepath.Join(dir, "tree", fmt.Sprint(i%4), fmt.Sprint(i), "link")))
		do(os.WriteFile(filepath.Join(dir, "tree", fmt.Sprint(i%4), fmt.Sprint(i), "file"), nil, 0o600))
	}
	names := []string{"file", "sub/file", "sub/deep/file", "new\nline", "tab\t", "\xff\xfe", "\xed\xa0\x80", "ünïcode", "\xffdir/\xfe", "closed/inside", "unpassable/inside", "-", " "}
	for i := range 150 { // more than one question asks about
		names = append(names, fmt.Sprintf("many/%03d", i))
	}
	for i, name := range names {
		do(os.WriteFile(filepath.Join(dir, name), make([]byte, 17*i), 0o640))
		do(os.Chtimes(filepath.Join(dir, name), time.Unix(int64(i), 123456789), time.Unix(1<<33+int64(i), 999999999)))
	}
	do(os.Chtimes(filepath.Join(dir, "many/000"), time.Unix(-5, 1), time.Unix(-1, 999999999))) // before 1970
	for name, text := range map[string]string{
		"link": "file", "link-dir": "sub", "dangling": "nothing", "loop": "loop", "loop-a": "loop-b", "loop-b": "loop-a", "up": "..", "sub/deep/up": "../..",
		"absolute": dir + "/sub/file", "through": "file/x", "many/link": "../file", "to-closed": "closed/inside",
	} {
		do(os.Symlink(text, filepath.Join(dir, name)))
	}
	do(os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "hard")))
	do(unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	do(os.Chmod(filepath.Join(dir, "closed"), 0))
	do(os.Chmod(filepath.Join(dir, "unpassable"), 0o444)) // can be listed, and nothing in it described
	tb.Cleanup(func() {
		_ = os.Chmod(filepath.Join(dir, "closed"), 0o755)
		_ = os.Chmod(filepath.Join(dir, "unpassable"), 0o755)
	})
	return dir
}

func TestWalksSayWhatTheyDoWithoutASandbox(t *testing.T) {
	dir := hostileTree(t)
	want := bareIn(t, dir, walks)
	sameLines(t, "over the host", boxedCompat(t, walks, dir, vfs.Config{Scratch: []string{"/var/tmp"}}), want)
}

// walkJob is a job over a directory of the host, some of which is hidden.
func walkJob(t *testing.T, dir, script string, hide ...string) (sandbox.Job, func() string) {
	t.Helper()
	policy, err := vfs.NewPolicy([]string{"/etc", "/usr", dir}, hide)
	if err != nil {
		t.Fatal(err)
	}
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Scratch: []string{"/var/tmp"}, Now: time.Now, MaxBytes: 64 << 20, MaxFile: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	job, stdout, stderr := jobFor(t, script)
	job.FS, job.Dir = view, dir
	return job, func() string {
		if result := runJob(t, job); result.Cause != sandbox.Exited || result.ExitCode != 0 {
			t.Fatalf("%+v: %s", result, stderr)
		}
		return stdout.String()
	}
}

func TestWalksShowNoHiddenName(t *testing.T) {
	dir := hostileTree(t)
	_, run := walkJob(t, dir, `
import os, glob, pathlib
def refused(f, p):
    try: f(p)
    except FileNotFoundError as e: return e.errno, e.filename
    return "told"
names = sorted(os.listdir("many"))
print(len(names), "many/007" in names, sorted(e.name for e in os.scandir(".") if e.name.startswith("hard")))
print([refused(f, p) for p in ("many/007", "many/008", "hard", "to-hidden") for f in (os.lstat, os.stat)][:7])
print(any("007" in p or "hard" in p for d, ds, fs in os.walk(".") for p in ds + fs), glob.glob("many/00[78]"), refused(os.stat, "to-hidden"))
print(os.lstat("many/009").st_size, os.stat("many").st_nlink)
# Whoever asks past the guest is told no more.
answer = bytearray(1 << 16)
n = os.readv(-0x5348, (bytearray(b"lmany\x00006\x00007\x00../hard\x00..\x00.\x00\x00008\x00009"), answer))
print([int.from_bytes(answer[i:i + 8], "little") != 0 for i in range(0, n, 152)])
n = os.readv(-0x5348, (bytearray(b"dmany"), answer))
print(b"007" in answer[:n], b"008" in answer[:n], b"009" in answer[:n])
`, dir+"/many/007", dir+"/many/008", dir+"/hard", "**/to-hidden")
	if err := os.Symlink("many/007", filepath.Join(dir, "to-hidden")); err != nil {
		t.Fatal(err)
	}
	want := `149 False []
[(2, 'many/007'), (2, 'many/007'), (2, 'many/008'), (2, 'many/008'), (2, 'hard'), (2, 'hard'), (2, 'to-hidden')]
False [] (2, 'to-hidden')
` + fmt.Sprint(17*(13+9)) + ` 1
[True, False, False, False, False, False, False, True]
False False True
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestWalksSeeTheSessionsOwnChangesAtOnce changes files whose attributes were told ahead.
func TestWalksSeeTheSessionsOwnChangesAtOnce(t *testing.T) {
	dir := hostileTree(t)
	_, run := walkJob(t, dir, `
import os, shutil, pathlib
def ahead():
    """Have the gateway tell of all in the directory, and use nothing of it but the first."""
    os.listdir("many")
    os.lstat("many/000"), os.stat("many/000")
def says(name):
    try: st = os.lstat(name)
    except OSError as e: return e.errno
    return oct(st.st_mode), st.st_size
changes = [
    ("many/001", lambda p: open(p, "w").close()),
    ("many/002", lambda p: os.truncate(p, 3)),
    ("many/003", lambda p: os.unlink(p)),
    ("many/004", lambda p: os.chmod(p, 0o777)),
    ("many/005", lambda p: os.rename("many/006", p)),
    ("many/007", lambda p: os.rename(p, "many/new")),
    ("many/008", lambda p: shutil.copyfile("many/009", p)),
    ("many/010", lambda p: (os.unlink(p), os.symlink("x", p))),
    ("many/011", lambda p: (os.unlink(p), os.mkdir(p))),
    ("many/012", lambda p: os.write(os.open(p, os.O_WRONLY | os.O_APPEND), b"more")),
    ("many/013", lambda p: os.truncate(os.open(p, os.O_RDWR), 1)),
    ("many/014", lambda p: pathlib.Path(p).write_text("abc")),
    ("many/015", lambda p: (os.rename("many", "elsewhere") if False else os.link("many/016", "many/hard"))),
]
for name, change in changes:
    ahead()
    change(name)
    print(name, says(name))
ahead()
print(says("many/006"), says("many/007"), says("many/003"), says("many/new"), says("many/hard"), os.stat("many/016").st_nlink)
ahead()
f = open("many/020", "ab", buffering=0)
for i in range(3):
    os.listdir("many"); os.stat("many/021")
    f.write(b"0123456789")
    print(os.stat("many/020").st_size - 17 * 33)
ahead()
os.utime("many/030", ns=(5, 6))
print(os.stat("many/030").st_mtime_ns)
print(sorted(set(os.listdir("many")) ^ {f"{i:03}" for i in range(150)}))
`)
	size := func(i int) int { return 17 * (13 + i) }
	want := strings.Join([]string{
		"many/001 ('0o100640', 0)", "many/002 ('0o100640', 3)", "many/003 2", fmt.Sprintf("many/004 ('0o100777', %d)", size(4)),
		fmt.Sprintf("many/005 ('0o100640', %d)", size(6)), "many/007 2", fmt.Sprintf("many/008 ('0o100640', %d)", size(9)), "many/010 ('0o120777', 1)",
		"many/011 ('0o40755', 0)", fmt.Sprintf("many/012 ('0o100640', %d)", size(12)+4), "many/013 ('0o100640', 1)", "many/014 ('0o100640', 3)",
		fmt.Sprintf("many/015 ('0o100640', %d)", size(15)),
		fmt.Sprintf("2 2 2 ('0o100640', %d) ('0o100640', %d) 2", size(7), size(16)), "10", "20", "30", "6",
		"['003', '006', '007', 'hard', 'link', 'new']", "",
	}, "\n")
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestWalksSeeWhatOthersChange changes files on the host when the script has said that it was told of them.
func TestWalksSeeWhatOthersChange(t *testing.T) {
	dir := hostileTree(t)
	job, _ := walkJob(t, dir, "")
	in, out, done := io.Pipe, io.Pipe, make(chan sandbox.Result, 1)
	fromTest, toScript := in()
	fromScript, toTest := out()
	job.Args, job.Stdin, job.Stdout = []string{"-c", `
import os, sys, time
def told():
    """What was told ahead of all but the first is not used."""
    os.listdir("many"); os.lstat("many/000")
    print("told", flush=True); sys.stdin.readline()
os.listdir("many")
print(os.lstat("many/001").st_size, flush=True); sys.stdin.readline()
print(os.lstat("many/001").st_size, flush=True); sys.stdin.readline() # it was handed out: this is asked for by itself
told()
while os.lstat("many/002").st_size != 1: pass # it polls
told()
time.sleep(0.02) # longer than anything is good that was told
try: os.lstat("many/003")
except FileNotFoundError as e: print(e.errno, e.filename, flush=True)
print(os.lstat("many/004").st_size, "005" in os.listdir("many"), flush=True)
`}, fromTest, toTest
	go func() {
		result, err := engine(t).Run(t.Context(), job)
		if err != nil {
			t.Error(err)
		}
		_ = toTest.Close()
		done <- result
	}()
	lines := bufio.NewScanner(fromScript)
	expect := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("the script said %q, want %q", lines.Text(), want)
		}
	}
	at := func(name string) string { return filepath.Join(dir, "many", name) }
	host := func(change func() error) {
		if err := change(); err != nil {
			t.Error(err)
		}
		_, _ = toScript.Write([]byte("\n"))
	}
	expect(fmt.Sprint(17 * 14))
	host(func() error { return os.Truncate(at("001"), 1) })
	expect("1")
	host(func() error { return nil })
	expect("told")
	host(func() error { return os.Truncate(at("002"), 1) })
	expect("told")
	host(func() error {
		return firstOf(os.Remove(at("003")), os.Truncate(at("004"), 1), os.Remove(at("005")))
	})
	expect("2 many/003")
	expect("1 False")
	if result := <-done; result.ExitCode != 0 || result.Cause != sandbox.Exited {
		t.Errorf("%+v", result)
	}
	_ = toScript.Close()
}

func firstOf(errs ...error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}

// TestACommandsChangesAreSeenWhenItHasEnded runs commands that change what was told before.
func TestACommandsChangesAreSeenWhenItHasEnded(t *testing.T) {
	dir := hostileTree(t)
	_, run := walkJob(t, dir, `
import os, subprocess
for size in range(1, 6):
    os.listdir("many"); os.lstat("many/000"); os.stat("many/000")
    subprocess.run(["truncate", "-s", str(size), "many/001"], check=True)
    print(os.lstat("many/001").st_size, os.stat("many/001").st_size)
with subprocess.Popen(["sh", "-c", "read line; rm many/002; echo done"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
    os.listdir("many"); os.lstat("many/000")
    print(p.communicate("go\n")[0], os.path.exists("many/002"))
`)
	if got, want := run(), "1 1\n2 2\n3 3\n4 4\n5 5\ndone\n False\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestADirectoryOfVeryManyEntriesTakesLittleMemory lists more than one answer holds, in a process that may not grow much.
func TestADirectoryOfVeryManyEntriesTakesLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("makes twenty thousand files")
	}
	dir := t.TempDir()
	const files = 20_000
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%0240d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, run := walkJob(t, dir, `
import os
def peak(): return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = peak()
print(sum(e.stat(follow_symlinks=False).st_size for e in os.scandir(".")), sum(e.is_file() for e in os.scandir(".")))
print(peak() - before < 64 << 10, len(os.listdir(".")), os.lstat("0" * 240).st_size)
`)
	if got, want := run(), fmt.Sprintf("0 %d\nTrue %d 0\n", files, files); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestQuestionsThatNoGuestAsks has the supervisor refuse them, and the session go on.
func TestQuestionsThatNoGuestAsks(t *testing.T) {
	dir := hostileTree(t)
	_, run := walkJob(t, dir, `
import os, errno
def ask(*buffers):
    try: return os.readv(-0x5348, buffers)
    except OSError as e: return errno.errorcode[e.errno]
out = bytearray(1 << 16)
for question in (b"", b"d", b"x", b"xsub", b"dmissing", b"dfile", b"lfile\0a", b"l\0a", b"d" + b"a/" * 40000, b"d/proc/self/fd/0", b"lsub" + b"\0f" * 5000,
                 b"lsub" + b"\0f" * 500, b"l/proc\x001", b"l/var/tmp\0x", b"dsub\0file", b"l" + b"s" * 5000 + b"\0f"):
    print(question[:16], ask(bytearray(question), out))
print(ask(bytearray(b"dsub"), bytearray(8)), ask(bytearray(b"dsub")), ask(bytearray(b"dsub"), out, out), ask(bytearray(b"lsub\0file"), bytearray(151)))
for bad in (-0x5347, -1, 1000):
    try: os.readv(bad, (bytearray(b"dsub"), out))
    except OSError as e: print(errno.errorcode[e.errno])
print(ask(bytearray(b"lsub\0file"), out))
`)
	want := `b'' EINVAL
b'd' ENOENT
b'x' ENOENT
b'xsub' EINVAL
b'dmissing' ENOENT
b'dfile' ENOTDIR
b'lfile\x00a' ENOTDIR
b'l\x00a' ENOENT
b'da/a/a/a/a/a/a/a' EINVAL
b'd/proc/self/fd/0' ENOTSUP
b'lsub\x00f\x00f\x00f\x00f\x00f\x00f' E2BIG
b'lsub\x00f\x00f\x00f\x00f\x00f\x00f' E2BIG
b'l/proc\x001' ENOTSUP
b'l/var/tmp\x00x' ENOTSUP
b'dsub\x00file' 35
b'lsssssssssssssss' ENAMETOOLONG
E2BIG EBADF EBADF E2BIG
EBADF
EBADF
EBADF
152
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestThePageThatTellsOfChangesCannotBeWritten tries every way to it.
func TestThePageThatTellsOfChangesCannotBeWritten(t *testing.T) {
	_, run := walkJob(t, hostileTree(t), `
import os, mmap, errno
def refused(f):
    try: return f()
    except OSError as e: return errno.errorcode[e.errno]
name = "/dev/shannot-changes"
fd = os.open(name, os.O_RDONLY)
print(refused(lambda: mmap.mmap(fd, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)), refused(lambda: os.write(fd, b"x")), refused(lambda: os.ftruncate(fd, 0)))
print(refused(lambda: os.open(name, os.O_RDWR)), refused(lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR)), refused(lambda: os.truncate(name, 0)))
page = mmap.mmap(fd, 4096, prot=mmap.PROT_READ)
before = page[:8]
os.mkdir("/var/tmp/x")
print(page[:8] != before, len(os.read(fd, 5000)))
`)
	if got, want := run(), "EACCES EBADF EINVAL\nEACCES EACCES EINVAL\nTrue 4096\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// BenchmarkWalk looks at a tree of the host in the ways that scripts do.
func BenchmarkWalk(b *testing.B) {
	const setup = `
root = '/usr/lib/python3'
if not os.path.isdir(root): root = '/usr/share/doc'
def walk():
    return sum(len(files) for _, _, files in os.walk(root))
def lstat():
    n = 0
    for d, _, files in os.walk(root):
        for f in files: n += os.lstat(os.path.join(d, f)).st_size
    return n
def entries(path=root):
    n = 0
    with os.scandir(path) as it:
        for e in it:
            n += e.stat(follow_symlinks=False).st_size
            if e.is_dir(follow_symlinks=False): n += entries(e.path)
    return n
def read():
    n = 0
    for d, _, files in os.walk(root):
        for f in files[:5]:
            with open(os.path.join(d, f), 'rb') as file: n += len(file.read())
    return n
def processes():
    n = 0
    for p in os.listdir('/proc'):
        if p.isdigit():
            try: n += len(open(f'/proc/{p}/stat').read()) + len(open(f'/proc/{p}/status').read())
            except OSError: pass
    return n`
	for _, name := range []string{"walk", "lstat", "entries", "read", "processes"} {
		b.Run(name, func(b *testing.B) { inScript(b, 10, 1, setup, name+"()") })
	}
}
