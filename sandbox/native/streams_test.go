//go:build linux && (amd64 || arm64)

package native

import (
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"shannot-gateway/vfs"
)

// farAway is a source with a log that is too large to be had at once.
type farAway struct {
	vfs.Static
	size   int64
	served atomic.Int64
	open   atomic.Int64
}

const logLine = "0123456789abcdef0123456789abcd\n" // 31 bytes, no divisor of a page

func (f *farAway) Lstat(name string) (vfs.Info, error) {
	info, err := f.Static.Lstat(name)
	if name == "/log" {
		info.Size = f.size
	}
	return info, err
}

func (f *farAway) OpenStream(name string, flags int) (int, vfs.Stream, error) {
	if name != "/log" {
		fd, err := f.Open(name, flags)
		return fd, nil, err
	}
	f.open.Add(1)
	return -1, &farStream{f}, nil
}

func (f *farAway) Open(name string, flags int) (int, error) {
	if name == "/log" {
		return -1, syscall.EFBIG
	}
	return f.Static.Open(name, flags)
}

type farStream struct{ f *farAway }

func (s *farStream) Size() int64  { return s.f.size }
func (s *farStream) Close() error { s.f.open.Add(-1); return nil }
func (s *farStream) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.f.size-off, 300_001)) // short, and across everything
	for i := range n {
		p[i] = logLine[(off+int64(i))%int64(len(logLine))]
	}
	s.f.served.Add(int64(n))
	return n, nil
}

func TestStreamsAreReadPieceByPiece(t *testing.T) {
	far := &farAway{size: 10 << 30 / int64(len(logLine)) * int64(len(logLine))}
	far.AddFile("/log", 0o644, nil)
	far.AddFile("/small", 0o644, []byte("small\n"))
	view, err := vfs.NewSession(vfs.Config{Base: far, Scratch: []string{"/tmp"}, MaxBytes: 64 << 20, MaxFile: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	job, stdout, stderr := jobFor(t, `
import errno, io, mmap, os, shutil, subprocess, sys
LINE = "0123456789abcdef0123456789abcd\n"
def fails(f):
    try: f()
    except OSError as e: return errno.errorcode[e.errno]
    return "no error"
size = os.path.getsize("/log")
with open("/log") as f:
    print("fd", f.fileno() >= 512, os.fstat(f.fileno()).st_size == size)
    f.seek(size - 3 * len(LINE))
    print("tail", f.read() == 3 * LINE, f.read() == "")
    f.seek(5 << 30)
    print("line", f.readline() in LINE, f.readline() == LINE)
    f.seek(0)
    print("lines", all(line == LINE for line, _ in zip(f, range(100_000))))
with open("/log", "rb", buffering=0) as f:
    print("end", f.seek(0, os.SEEK_END) == size, f.read(10) == b"")
    print("pread", os.pread(f.fileno(), 31, 31 * 7) == LINE.encode(), f.tell() == size)
    f.seek(31)
    a, b = bytearray(10), bytearray(21)
    n = os.readv(f.fileno(), [bytearray(), a, b]); n += os.readv(f.fileno(), [b])
    print("readv", bytes(a + b) == LINE.encode(), n)
    n = os.preadv(f.fileno(), [a], 62)
    print("preadv", bytes(a) == LINE.encode()[:10], n, f.tell())
    print("mmap", fails(lambda: mmap.mmap(f.fileno(), 4096, access=mmap.ACCESS_READ)))
    print("anonymous mmap", len(mmap.mmap(-1, 4096)))
    d = os.dup(f.fileno())
    print("dup", d >= 512, os.lseek(d, 0, os.SEEK_CUR), os.read(d, 31) == LINE.encode(), f.tell())
    os.close(d)
    print("dup2", fails(lambda: os.dup2(f.fileno(), 100)))
    print("reopen", fails(lambda: open(f"/proc/self/fd/{f.fileno()}")))
    print("sendfile", fails(lambda: os.sendfile(os.open("/tmp/x", os.O_CREAT | os.O_WRONLY), f.fileno(), 0, 10)))
    print("write", fails(lambda: os.write(f.fileno(), b"x")))
    print("interpreter", fails(lambda: subprocess.run([sys.executable, "-c", "pass"], stdin=f)))
    f.seek(size - 31)
    print("command", subprocess.run(["cat"], stdin=f, capture_output=True).stdout == LINE.encode())
print("copy", fails(lambda: shutil.copy("/log", "/tmp/log")))
print("write open", fails(lambda: open("/log", "r+")))
print("small", open("/small").read().strip())
# Descriptors of the upper half that are no streams work as before.
many = [os.open("/small", os.O_RDONLY) for _ in range(700)]
print("many", many[-1] >= 512, os.read(many[-1], 10), os.read(os.dup(many[-1]), 1), os.pread(many[-1], 2, 1))
r, w = os.pipe()
os.write(w, b"x")
print("pipe", r >= 512, os.read(r, 1))
for fd in many: os.close(fd)
# Opened and closed again and again.
for _ in range(600): open("/log").close()
print("again", fails(lambda: [open("/log") for _ in range(600)]))
`)
	job.FS = view
	job.Limits.Calls = 0
	result := runJob(t, job)
	want := strings.TrimLeft(`
fd True True
tail True True
line True True
lines True
end True True
pread True True
readv True 31
preadv True 10 62
mmap ENODEV
anonymous mmap 4096
dup True 62 True 93
dup2 ENOTSUP
reopen ENXIO
sendfile EINVAL
write EBADF
interpreter ENOTSUP
command True
copy EFBIG
write open EFBIG
small small
many True b'small\n' b'' b'ma'
pipe True b'x'
again EMFILE
`, "\n")
	if stdout.String() != want || result.ExitCode != 0 {
		t.Errorf("it printed\n%swant\n%s%s\n%+v", stdout, want, stderr, result)
	}
	// The copy that filled the disk and the lines in order are the most of it.
	if n := far.served.Load(); n > 200<<20 {
		t.Errorf("%d MiB were read", n>>20)
	}
}

// What the kernel says of the script's own processes is told anew too, and an interpreter or a number of no stream gets a copy.
func TestFilesOfTheKernelAreReadAnew(t *testing.T) {
	got := runScript(t, `
import os, subprocess, sys, time
with open("/proc/self/stat") as f:
    before = f.read()
    while f.seek(0) or f.read() == before: pass
    print("own", os.fstat(f.fileno()).st_size, os.pread(f.fileno(), 100, 0).startswith(b"%d (" % os.getpid()))
with open("/proc/version") as f:
    print("number", f.fileno() >= 512, os.get_inheritable(f.fileno()), os.get_inheritable(os.dup(f.fileno())))
    print("command", subprocess.run(["head", "-c", "5"], stdin=f, stdout=-1).stdout)
    print("interpreter", subprocess.run([sys.executable, "-c", "print(input()[:5])"], stdin=f, stdout=-1).stdout)
    os.lseek(f.fileno(), 2, os.SEEK_SET)
    os.dup2(f.fileno(), 100)
    print("dup2", os.read(100, 3), os.get_inheritable(100))
    for number in (5000, -1):
        try: os.dup2(f.fileno(), number)
        except OSError as e: print(e.errno)
# Closed ones go, and the gateway's descriptors with them.
for _ in range(3000): open("/proc/loadavg").close()
many = [open("/proc/loadavg") for _ in range(500)]
print("many", many[0].read() != "", many[-1].read() != "")
`)
	const want = `own 0 True
number True False False
command b'Linux'
interpreter b'Linux\n'
dup2 b'nux' True
9
9
many True True
`
	if got.stdout != want || got.result.ExitCode != 0 {
		t.Errorf("it printed\n%swant\n%s%s\n%+v", got.stdout, want, got.stderr, got.result)
	}
}

// A script lies about the memory that it reads a stream to, and puts other files behind its number meanwhile.
func TestStreamsOfAHostileScript(t *testing.T) {
	far := &farAway{size: 1 << 30}
	far.AddFile("/log", 0o644, nil)
	far.AddFile("/small", 0o644, []byte("small\n"))
	view, err := vfs.NewSession(vfs.Config{Base: far, Scratch: []string{"/var/tmp"}, MaxBytes: 64 << 20, MaxFile: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	w := newWorld(t, 0)
	job, stdout, stderr := jobFor(t, w.setup(t, scratch)+`
import struct, threading
fd = os.open("/log", os.O_RDONLY)
space = ctypes.create_string_buffer(64)
at = ctypes.addressof(space)
vector = lambda *pairs: ctypes.create_string_buffer(b"".join(struct.pack("QQ", *p) for p in pairs))
print("pointers", call("read", fd, 8, 10), call("read", fd, 0xFFFF800000000000, 1 << 63), call("readv", fd, 8, 1), call("preadv", fd, vector((8, 10)), 1, 0))
print("sizes", call("read", fd, at, 0), call("readv", fd, at, 1025), call("readv", fd, 0, 0), call("readv", fd, vector((at, 0), (at, 0)), 2))
print("offsets", call("pread64", fd, at, 10, -1 & 0xFFFFFFFFFFFFFFFF), call("preadv", fd, vector((at, 10)), 1, 1 << 63), call("pread64", fd, at, 10, (1 << 63) - 1), outcome(os.lseek, fd, -1, 0))
print("writes", outcome(os.write, fd, b"x"), outcome(os.ftruncate, fd, 0), outcome(os.pwrite, fd, b"x", 0), call("sendfile", fd, fd, 0, 10))
# The number is a stream's at one moment and a file's at the next.
other = [os.open("/small", os.O_RDONLY) for _ in range(3)]
stop = False
def flip():
    while not stop:
        os.dup2(other[0], fd)
        os.close(fd)
        try: again = os.open("/log", os.O_RDONLY)
        except OSError: continue
        if again != fd: os.close(again)
thread = threading.Thread(target=flip); thread.start()
seen = set()
for _ in range(2000):
    try: data = os.pread(fd, 6, 0)
    except OSError as e: data = errno.errorcode[e.errno]
    seen.add(data)
    call("mmap", 0, 4096, 1, 1, fd, 0)
stop = True; thread.join()
# The empty file that holds a stream's place may be seen, and nothing else.
print("races", seen <= {b"small\n", b"012345", b"", bytes(6), "EBADF", "ENODEV", "ESRCH"} or seen)`)
	job.FS = view
	job.Limits.Calls = 0
	result := runJob(t, job)
	const want = `pointers EFAULT EFAULT EFAULT EFAULT
sizes OK EINVAL OK OK
offsets EINVAL EINVAL OK EINVAL
writes EBADF EINVAL EBADF EINVAL
races True
`
	if stdout.String() != want || result.ExitCode != 0 {
		t.Errorf("it printed\n%swant\n%s%s\n%+v", stdout, want, stderr, result)
	}
}
