//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

//go:embed testdata/reads.py
var reads string

// manyFiles makes a directory "many" with files that are read one after the other, and what stands between them.
func manyFiles(tb testing.TB) string {
	tb.Helper()
	dir := realDir(tb)
	many := filepath.Join(dir, "many")
	err := os.Mkdir(many, 0o755)
	for i := range 150 {
		err = firstOf(err, os.WriteFile(filepath.Join(many, fmt.Sprintf("%03d", i)), fmt.Appendf(nil, "line %d\r\nsecond \xc3\xbc\nlast", i), 0o644))
	}
	err = firstOf(err, os.WriteFile(filepath.Join(many, "large"), make([]byte, 100_000), 0o644), os.WriteFile(filepath.Join(many, "empty"), nil, 0o644),
		os.Symlink("000", filepath.Join(many, "link")), os.Symlink("nothing", filepath.Join(many, "dangling")), os.Mkdir(filepath.Join(many, "sub"), 0o755), unix.Mkfifo(filepath.Join(many, "fifo"), 0o600))
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestReadsSayWhatTheyDoWithoutASandbox(t *testing.T) {
	dir := manyFiles(t)
	want := bareIn(t, dir, reads)
	sameLines(t, "over the host", boxedCompat(t, reads, dir, vfs.Config{Scratch: []string{"/var/tmp"}}), want)
}

// inOrder is the beginning of a script that has the gateway tell it what is in files. told() are the names of those that it was told of
// and has not read.
const inOrder = `
import os, sys
ahead = sys.modules["_shannot_readdirplus"]
ahead._LIFETIME = 3600 # what is told ahead is used, however slow this machine is
def told(): return sorted(n.split("/")[-1] for n in ahead._walks._contents)
def says(name):
    try: return open("many/" + name).read()
    except OSError as e: return e.errno
def begin(first=0):
    """Read some files in order, so that those that follow are told ahead."""
    os.listdir("many")
    for i in range(first, first + 4): says(f"{i:03}")
`

func TestReadsShowNoHiddenFile(t *testing.T) {
	dir := manyFiles(t)
	_, run := walkJob(t, dir, inOrder+`
begin()
print(told()[:3], says("005"), says("006"))
for i in range(7, 150): says(f"{i:03}")
print("hidden" in ahead._walks._contents, says("dangling"), says("to-hidden"))
# Whoever asks past the guest is told no more.
answer = bytearray(1 << 16)
def ask(*names):
    n, at, out = os.readv(-0x5348, (bytearray(b"\0".join((b"rmany", *names))), answer)), 0, []
    while at < n:
        size = int.from_bytes(answer[at : at + 4], "little")
        at += 20
        out.append(None if size == 0xFFFFFFFF else bytes(answer[at : at + size][:7]))
        at += 0 if size == 0xFFFFFFFF else size
    return out
print(ask(b"004", b"005", b"to-hidden", b"sub/../005", b"../many/005", b"../many/006", b"large", b"sub", b"fifo", b"dangling", b"link", b"", b"."))
print(ask(b"../../../../../proc/self/fd/0", b"/proc/self/stat", b"../../../../../dev/null", b"../../../../../dev/shannot-changes", b"/etc/hostname/x", b"sub/\xff", b"x" * 5000))
`, dir+"/many/005", "**/hidden")
	if err := firstOf(os.Symlink("005", filepath.Join(dir, "many", "to-hidden")), os.WriteFile(filepath.Join(dir, "many", "hidden"), []byte("secret"), 0o644)); err != nil {
		t.Fatal(err)
	}
	want := `['004', '006'] 2 line 6
second ü
last
False 2 2
[b'line 4\r', None, None, None, None, b'line 6\r', None, None, None, None, b'line 0\r', None, None]
[None, None, None, None, None, None, None]
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestWhatIsReadAheadCountsAsRead has the session's record say of each file that a script was told of that it was opened.
func TestWhatIsReadAheadCountsAsRead(t *testing.T) {
	dir := manyFiles(t)
	policy, err := vfs.NewPolicy([]string{dir}, []string{dir + "/many/010"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	opened := map[string]int{}
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: policy, Now: time.Now, Opened: func(name string) {
		mu.Lock()
		defer mu.Unlock()
		opened[filepath.Base(name)]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	job, stdout, stderr := jobFor(t, inOrder+`
os.listdir("many")
for i in range(12): says(f"{i:03}")
print(*(f"{i:03}" for i in range(12) if i != 10), *told())
`)
	job.FS, job.Dir = view, dir
	if result := runJob(t, job); result.ExitCode != 0 {
		t.Fatalf("%+v: %s", result, stderr)
	}
	if got, want := slices.Sorted(maps.Keys(opened)), strings.Fields(stdout.String()); !slices.Equal(got, want) || len(got) < 13 {
		t.Errorf("opened %q, the script has what is in %q", got, want)
	}
}

// TestReadsSeeTheSessionsOwnChangesAtOnce changes files of which was told what is in them.
func TestReadsSeeTheSessionsOwnChangesAtOnce(t *testing.T) {
	_, run := walkJob(t, manyFiles(t), inOrder+`
import pathlib, shutil
changes = [
    lambda p: open(p, "w").write("new"),
    lambda p: os.truncate(p, 4),
    lambda p: os.unlink(p),
    lambda p: os.rename("many/100", p),
    lambda p: os.rename(p, "many/renamed"),
    lambda p: shutil.copyfile("many/101", p),
    lambda p: (os.unlink(p), os.symlink("102", p)),
    lambda p: (os.unlink(p), os.mkdir(p)),
    lambda p: os.write(os.open(p, os.O_WRONLY), b"LINE"),
    lambda p: os.chmod(p, 0),
]
for i, change in enumerate(changes):
    first = 10 * i
    begin(first)
    name = f"{first + 4:03}"
    was = name in told()
    change("many/" + name)
    print(was, ascii(says(name))[:12])
os.chdir("many")
os.listdir()
for i in range(110, 114): open(f"{i:03}").read()
was = "114" in told()
os.chdir("sub")
try: open("114")
except FileNotFoundError: print(was, "not here")
`)
	want := `True 'new'
True 'line'
True 2
True 'line 100\ns
True 2
True 'line 101\ns
True 'line 102\ns
True 21
True 'LINE 84\nse
True 'line 94\nse
True not here
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestReadsSeeWhatCommandsChange runs commands that change what was told before, and while they run.
func TestReadsSeeWhatCommandsChange(t *testing.T) {
	_, run := walkJob(t, manyFiles(t), inOrder+`
import io, subprocess
for i in range(3):
    begin(10 * i)
    name = f"{10 * i + 4:03}"
    was = name in told()
    subprocess.run(["sh", "-c", f"echo changed > many/{name}"], check=True)
    print(was, says(name), end="")
with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as p:
    begin(40)
    print("044" in told())
    p.communicate(b"")
# A file that was opened before a command runs shows what that does to it: what is begun goes on where it was, and what is gone stays.
begin(50)
log, begun, replaced, gone, cut = (open(f"many/{i:03}", "rb") for i in range(54, 59))
print(type(log.raw) is not io.FileIO, begun.raw.read(5))
subprocess.run(["sh", "-c", "cd many; echo more >> 054; echo more >> 055; echo x > other; mv other 056; rm 057; : > 058"], check=True)
for f in log, begun.raw, replaced, gone, cut: print(f.read())
log.seek(0)
print(log.read()[:7], replaced.read(), gone.read())
`)
	want := `True changed
True changed
True changed
False
True b'line '
b'line 54\r\nsecond \xc3\xbc\nlastmore\n'
b'55\r\nsecond \xc3\xbc\nlastmore\n'
b'line 56\r\nsecond \xc3\xbc\nlast'
b'line 57\r\nsecond \xc3\xbc\nlast'
b''
b'line 54' b'' b''
`
	if got := run(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReadsSeeWhatOthersChange has what was told be too old at once, and a file be replaced between an open and the next question
// about it.
func TestReadsSeeWhatOthersChange(t *testing.T) {
	dir := manyFiles(t)
	many := filepath.Join(dir, "many")
	job, _ := walkJob(t, dir, "")
	fromTest, toScript := io.Pipe()
	fromScript, toTest := io.Pipe()
	job.Args, job.Stdin, job.Stdout = []string{"-c", inOrder + `
def wait(): print("now", flush=True); sys.stdin.readline()
begin()
held, replaced, grown = (open(f"many/{i:03}", "rb") for i in (4, 5, 6))
print(held.read(4), replaced.read(), grown.read(), grown.read())
wait()
print(held.read(), os.fstat(held.fileno()).st_size, grown.read())
try: replaced.fileno()
except OSError as e: print(e.errno, e.filename)
print(replaced.read())
del ahead._LIFETIME
ahead._LIFETIME = 0 # nothing that was told is used
os.listdir("many")
for i in range(20, 40): says(f"{i:03}")
wait()
print([says(f"{i:03}") for i in range(40, 44)], flush=True)
`}, fromTest, toTest
	done := make(chan sandbox.Result, 1)
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
	grow := func(name, text string) error {
		f, err := os.OpenFile(filepath.Join(many, name), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(text)
			err = firstOf(err, f.Close())
		}
		return err
	}
	host := func(err error) {
		if err != nil {
			t.Error(err)
		}
		_, _ = toScript.Write([]byte("\n"))
	}
	expect(`b'line' b'line 5\r\nsecond \xc3\xbc\nlast' b'line 6\r\nsecond \xc3\xbc\nlast' b''`)
	expect("now")
	host(firstOf(grow("004", "!"), grow("006", "more"), os.WriteFile(filepath.Join(many, "other"), []byte("x"), 0o600), os.Rename(filepath.Join(many, "other"), filepath.Join(many, "005"))))
	expect(`b' 4\r\nsecond \xc3\xbc\nlast' 23 b'more'`)
	expect("116 many/005")
	expect(`b''`)
	expect("now")
	var err error
	for i := range 4 {
		err = firstOf(err, os.WriteFile(filepath.Join(many, fmt.Sprintf("%03d", 40+i)), []byte{'a' + byte(i)}, 0o600))
	}
	host(err)
	expect("['a', 'b', 'c', 'd']")
	if result := <-done; result.ExitCode != 0 || result.Cause != sandbox.Exited {
		t.Errorf("%+v", result)
	}
	_ = toScript.Close()
}

// TestFilesOfTheKernelThatAreReadAheadAreReadAnew tells of processes ahead. Whoever reads on, or from the beginning again, is told what is so then.
func TestFilesOfTheKernelThatAreReadAheadAreReadAnew(t *testing.T) {
	got := runScript(t, inOrder+`
pids = [p for p in os.listdir("/proc") if p.isdigit()]
files = []
for p in pids:
    try: files.append((p, open(f"/proc/{p}/stat", "rb"), open(f"/proc/{p}/comm")))
    except OSError: continue # it has ended
for p, stat, comm in files:
    try: first = stat.read()
    except OSError: continue
    assert first.startswith(p.encode() + b" ("), (p, first)
ahead_of = [p for p, stat, _ in files if type(stat.raw) is not type(open("/proc/version", "rb").raw)]
print(len(files) < 8 or len(ahead_of) > 0)
def again():
    stat = next(stat for p, stat, _ in files if p == "1")
    stat.seek(0)
    return stat.read().startswith(b"1 ("), os.fstat(stat.fileno()).st_size
print(again())
`)
	if want := "True\n(True, 0)\n"; got.stdout != want {
		t.Errorf("got %q, want %q", got.stdout, want)
	}
}

// TestReadsAndWalksAskSeldom counts the questions of scripts that read what they list and walk a tree.
func TestReadsAndWalksAskSeldom(t *testing.T) {
	dir := manyFiles(t)
	for i := range 300 {
		sub := filepath.Join(dir, "tree", fmt.Sprint(i%10), fmt.Sprint(i))
		if err := firstOf(os.MkdirAll(sub, 0o755), os.WriteFile(filepath.Join(sub, "file"), nil, 0o600), os.WriteFile(filepath.Join(sub, "other"), nil, 0o600), os.Symlink("file", filepath.Join(sub, "link"))); err != nil {
			t.Fatal(err)
		}
	}
	_, run := walkJob(t, dir, inOrder+`
asked, real = 0, ahead._readv
def counted(fd, buffers):
    global asked
    asked += fd == -0x5348
    return real(fd, buffers)
ahead._readv = counted
def count(f):
    global asked
    asked = 0
    result = f()
    return result, asked < 20
def walk(): return sum(len(fs) for _, _, fs in os.walk("tree"))
def lstat(): return sum(os.lstat(os.path.join(d, f)).st_nlink for d, _, fs in os.walk("tree") for f in fs)
def stat(): return sum(os.stat(os.path.join(d, f)).st_nlink for d, _, fs in os.walk("tree") for f in fs)
def read(): return sum(len(open("many/" + n).read()) > 0 for n in os.listdir("many") if n.isdigit())
print(count(walk), count(lstat), count(stat), count(read))
print(walk() == sum(len(list(os.scandir(b"tree/%d/%d" % (i % 10, i)))) for i in range(300)), ahead._walks._trees == {})
`)
	if got, want := run(), "(900, True) (900, True) (900, True) (150, True)\nTrue True\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// inWalk is the beginning of a script that has the gateway tell it of directories. told() are those that it was told of and has not
// listed.
const inWalk = `
import os, sys
ahead = sys.modules["_shannot_readdirplus"]
ahead._LIFETIME = 3600 # what is told ahead is used, however slow this machine is
def told(): return sorted(n.removeprefix("tree/") for n in ahead._walks._trees)
def begin():
    """Walk through the beginning of a tree, so that what follows is told ahead."""
    ahead._walks._trees.clear()
    ahead._walks._tree_size, ahead._walks._tree_asked, ahead._walks._tree_patience = 64, 0, 0
    at = iter(os.walk("tree"))
    for _ in range(6): next(at)
    return at
`

// smallTree makes a directory "tree" with twenty directories, each of which has a file and a directory with another one.
func smallTree(tb testing.TB) string {
	tb.Helper()
	dir := realDir(tb)
	var err error
	for i := range 20 {
		sub := filepath.Join(dir, "tree", fmt.Sprintf("%02d", i))
		err = firstOf(err, os.MkdirAll(filepath.Join(sub, "below"), 0o755), os.WriteFile(filepath.Join(sub, "file"), nil, 0o600), os.WriteFile(filepath.Join(sub, "below", "deep"), nil, 0o600))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

func TestTreesShowNoHiddenName(t *testing.T) {
	dir := smallTree(t)
	err := firstOf(os.Symlink("secret", filepath.Join(dir, "tree", "07", "to-secret")), os.WriteFile(filepath.Join(dir, "tree", "07", "secret"), nil, 0o600),
		os.Symlink("../08/below/deep", filepath.Join(dir, "tree", "07", "to-deep")), os.Symlink("07", filepath.Join(dir, "tree", "link")))
	if err != nil {
		t.Fatal(err)
	}
	_, run := walkJob(t, dir, inWalk+`
rest = [(d, *ds, *fs) for d, ds, fs in begin()]
print([r for r in rest if r[0].split("/")[1] in ("06", "07", "08", "09", "10")])
answer = bytearray(1 << 18)
def ask(question):
    try: n = os.readv(-0x5348, (bytearray(question), answer))
    except OSError as e: return e.errno
    return [name in answer[:n] for name in (b"file", b"deep", b"secret", b"below", b"root")]
for question in (b"t3tree\x0005\x0006", b"t3tree\x0007", b"t0tree\x0008", b"t1tree\x0009", b"t3tree/09\0below", b"t3.\0tree", b"t3tree\0link", b"t3tree\0../tree", b"t3tree\0..", b"t3tree\x0007/file",
                 b"t3tree\x0006\0\0tree\x0007", b"t3/\0root\0proc\0dev", b"t3/proc\0self", b"t3/dev\0fd", b"t3/proc/self\0fd", b"t3/var\0tmp"):
    print(question, ask(question))
for question in (b"t", b"t3", b"t4tree", b"txtree", b"t3\0tree", b"t3missing\0a", b"t3tree/07/file\0a", b"t3tree" + b"\x0007" * 2000, b"t3tree\0" + b"n" * 5000, b"t3tree\0\0"):
    print(question[:20], ask(question))
print(os.readv(-0x5348, (bytearray(b"t3tree\x0005"), bytearray(8))))
`, "**/secret", dir+"/tree/08", dir+"/tree/09/below")
	want := `[('tree/06', 'below', 'file'), ('tree/06/below', 'deep'), ('tree/07', 'below', 'file', 'to-deep', 'to-secret'), ('tree/07/below', 'deep'), ('tree/09', 'file'), ('tree/10', 'below', 'file'), ('tree/10/below', 'deep')]
b't3tree\x0005\x0006' [True, True, False, True, False]
b't3tree\x0007' [True, True, True, True, False]
b't0tree\x0008' [False, False, False, False, False]
b't1tree\x0009' [True, False, False, False, False]
b't3tree/09\x00below' [False, False, False, False, False]
b't3.\x00tree' [True, True, True, True, False]
b't3tree\x00link' [False, False, False, False, False]
b't3tree\x00../tree' [False, False, False, False, False]
b't3tree\x00..' [False, False, False, False, False]
b't3tree\x0007/file' [False, False, False, False, False]
b't3tree\x0006\x00\x00tree\x0007' [True, True, True, True, False]
b't3/\x00root\x00proc\x00dev' [False, False, False, False, False]
b't3/proc\x00self' 95
b't3/dev\x00fd' 95
b't3/proc/self\x00fd' 95
b't3/var\x00tmp' 95
b't' 22
b't3' 2
b't4tree' 22
b'txtree' 22
b't3\x00tree' 2
b't3missing\x00a' 2
b't3tree/07/file\x00a' 20
b't3tree\x0007\x0007\x0007\x0007\x000' 7
b't3tree\x00nnnnnnnnnnnnn' [False, False, False, False, False]
b't3tree\x00\x00' 2
0
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTreesSeeTheSessionsOwnChangesAtOnce changes directories that were told ahead.
func TestTreesSeeTheSessionsOwnChangesAtOnce(t *testing.T) {
	_, run := walkJob(t, smallTree(t), inWalk+`
def after(change, name):
    """What a walk says of a directory that was told ahead and then changed."""
    at = begin()
    was = name in told()
    change()
    print(was, next(((ds, fs) for d, ds, fs in at if d == "tree/" + name), None))
after(lambda: open("tree/04/new", "w").close(), "04")
after(lambda: os.unlink("tree/05/below/deep"), "05/below")
after(lambda: os.rename("tree/06/file", "tree/06/moved"), "06")
after(lambda: (os.unlink("tree/07/file"), os.symlink("below", "tree/07/file")), "07")
after(lambda: os.mkdir("tree/08/below/further"), "08/below")
print([d for d, _, _ in os.walk("tree") if d.endswith("further")], os.lstat("tree/06/moved").st_size)
`)
	want := `True (['below'], ['file', 'new'])
True ([], [])
True (['below'], ['moved'])
True (['below', 'file'], [])
True (['further'], ['deep'])
['tree/08/below/further'] 0
`
	if got := run(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
