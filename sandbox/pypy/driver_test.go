//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

const null = 0

func TestScriptSeesItsOwnWritesAndTheTargetDoesNot(t *testing.T) {
	c, _, _ := begin(t, nil)
	if got := c.read(c.open("/etc/hostname", unix.O_RDONLY|unix.O_CLOEXEC), 100); got != "target-1\n" {
		t.Errorf("/etc/hostname holds %q", got)
	}
	fd := c.open("/etc/new.conf", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC)
	if n := c.write(fd, "one\ntwo\n"); n != 8 {
		t.Errorf("wrote %d", n)
	}
	st := c.room(144)
	c.want(0, 0, "fstat64(ip)i", uint64(fd), st)
	c.want(0, 0, "close(i)i", uint64(fd))
	c.want(0, 0, "stat64(pp)i", c.text("/etc/new.conf"), st)
	size := 48
	if len(encodeStat(vfs.Info{})) == 144 {
		size = 48 // the same place on both architectures
	}
	if got := binary.LittleEndian.Uint64(c.at(st, 144)[size:]); got != 8 {
		t.Errorf("stat says %d bytes", got)
	}
	fd = c.open("/etc/new.conf", unix.O_WRONLY|unix.O_APPEND)
	c.write(fd, "three\n")
	c.want(14, 0, "lseek(iii)i", uint64(fd), 0, unix.SEEK_CUR)
	fd = c.open("/etc/new.conf", unix.O_RDWR)
	if got := c.read(fd, 100); got != "one\ntwo\nthree\n" {
		t.Errorf("read back %q", got)
	}
	c.want(4, 0, "lseek(iii)i", uint64(fd), 4, unix.SEEK_SET)
	c.want(0, 0, "ftruncate(ii)i", uint64(fd), 7)
	if got := c.read(fd, 100); got != "two" {
		t.Errorf("after truncate %q", got)
	}
	c.want(2, 0, "pwrite(ipii)i", uint64(fd), c.text("XY"), 2, 0)
	to := c.room(8)
	c.want(3, 0, "pread(ipii)i", uint64(fd), to, 3, 1)
	if got := string(c.at(to, 3)); got != "Ye\n" {
		t.Errorf("pread %q", got)
	}
	if got := c.list("/etc"); !reflect.DeepEqual(got, []string{"hostname", "hosts", "new.conf"}) {
		t.Errorf("/etc holds %q", got)
	}
	c.want(0, 0, "rename(pp)i", c.text("/etc/new.conf"), c.text("/etc/old.conf"))
	c.want(0, 0, "unlink(p)i", c.text("/etc/hostname"))
	c.want(-1, unix.ENOENT, "stat64(pp)i", c.text("/etc/hostname"), st)
	if got := c.list("/etc"); !reflect.DeepEqual(got, []string{"hosts", "old.conf"}) {
		t.Errorf("/etc holds %q", got)
	}
	if r := c.finish(3); r.Cause != sandbox.Exited || r.ExitCode != 3 {
		t.Errorf("%+v", r)
	}
}

func TestNamesOfEveryShape(t *testing.T) {
	c, _, _ := begin(t, nil)
	st, dir := c.room(144), uint64(0)
	c.want(0, 0, "mkdir(pi)i", c.text("/tmp/d"), 0o777)
	dir = uint64(c.open("/tmp/d", unix.O_RDONLY|unix.O_DIRECTORY))
	c.want(0, 0, "mkdirat(ipi)i", dir, c.text("e"), 0o700)
	fd := c.call("openat(ipii)i", dir, c.text("f"), unix.O_CREAT|unix.O_WRONLY, 0o600)
	c.write(fd, "abc")
	c.want(0, 0, "fchdir(i)i", dir)
	buffer := c.room(64)
	c.want(int64(buffer), 0, "getcwd(pi)p", buffer, 64)
	if got := c.cstring(buffer); got != "/tmp/d" {
		t.Errorf("cwd %q", got)
	}
	c.want(0, unix.ERANGE, "getcwd(pi)p", buffer, 6)
	c.want(0, 0, "stat64(pp)i", c.text("f"), st)
	c.want(0, 0, "symlink(pp)i", c.text("f"), c.text("l"))
	c.want(1, 0, "readlink(ppi)i", c.text("l"), buffer, 64)
	c.want(0, 0, "symlinkat(pip)i", c.text("../d/f"), dir, c.text("m"))
	c.want(6, 0, "readlinkat(ippi)i", dir, c.text("m"), buffer, 64)
	c.want(0, 0, "linkat(ipipi)i", dir, c.text("f"), dir, c.text("g"), 0)
	c.want(0, 0, "link(pp)i", c.text("f"), c.text("h"))
	c.want(0, 0, "fstatat64(ippi)i", dir, c.text("l"), st, unix.AT_SYMLINK_NOFOLLOW)
	c.want(0, 0, "lstat64(pp)i", c.text("l"), st)
	c.want(0, 0, "access(pi)i", c.text("f"), unix.R_OK|unix.W_OK)
	c.want(-1, unix.EACCES, "faccessat(ipii)i", dir, c.text("f"), unix.X_OK, 0)
	c.want(0, 0, "chmod(pi)i", c.text("f"), 0o755)
	c.want(0, 0, "faccessat(ipii)i", dir, c.text("f"), unix.X_OK, 0)
	c.want(0, 0, "fchmod(ii)i", uint64(fd), 0o600)
	c.want(0, 0, "fchmodat(ipii)i", dir, c.text("f"), 0o640, 0)
	c.want(0, 0, "chown(pii)i", c.text("f"), 7, ^uint64(0))
	c.want(0, 0, "fchown(iii)i", uint64(fd), 7, 8)
	c.want(0, 0, "lchown(pii)i", c.text("l"), 7, 8)
	c.want(0, 0, "fchownat(ipiii)i", dir, c.text("l"), 7, 8, unix.AT_SYMLINK_NOFOLLOW)
	times := c.alloc(append(encodeDuration(1000, 5), encodeDuration(2000, 6)...))
	c.want(0, 0, "utimensat(ippi)i", dir, c.text("f"), times, 0)
	c.want(0, 0, "futimens(ip)i", uint64(fd), times)
	c.want(0, 0, "stat64(pp)i", c.text("f"), st)
	if got := binary.LittleEndian.Uint64(c.at(st, 144)[len(encodeStat(vfs.Info{}))-timesFromEnd():]); got != 1000 {
		t.Errorf("atime %d", got)
	}
	c.want(0, 0, "renameat(ipip)i", dir, c.text("f"), dir, c.text("r"))
	c.want(0, 0, "unlinkat(ipi)i", dir, c.text("r"), 0)
	c.want(-1, unix.EISDIR, "unlink(p)i", c.text("e"))
	c.want(0, 0, "unlinkat(ipi)i", dir, c.text("e"), unix.AT_REMOVEDIR)
	c.want(-1, unix.ENOTEMPTY, "rmdir(p)i", c.text("/tmp/d"))
	c.want(-1, unix.ENOENT, "open(pii)i", c.text(""), 0, 0)
	c.want(-1, unix.EFAULT, "open(pii)i", null, 0, 0)
	c.want(-1, unix.ENAMETOOLONG, "open(pii)i", c.text("/"+strings.Repeat("a/", 3000)), 0, 0)
	c.want(-1, unix.EBADF, "openat(ipii)i", 99, c.text("x"), 0, 0)
	c.want(-1, unix.ENOTDIR, "openat(ipii)i", uint64(fd), c.text("x"), 0, 0)
	c.want(-1, unix.ENOENT, "open(pii)i", c.text("/etc/secret"), 0, 0)
	c.want(-1, unix.EROFS, "mkdir(pi)i", c.text(Prefix+"/lib_pypy/__pycache__"), 0o777)
	c.want(-1, unix.EROFS, "open(pii)i", c.text(Prefix+"/lib-python/3/os.py"), unix.O_WRONLY, 0)
	c.want(-1, unix.EEXIST, "open(pii)i", c.text("/etc/hosts"), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
	c.want(0o022, 0, "umask(i)i", 0o077)
	c.want(0o077, 0, "umask(i)i", 0o077)
	c.finish(0)
}

// timesFromEnd is how far from the end of struct stat its three times begin.
func timesFromEnd() int {
	if len(encodeStat(vfs.Info{})) == 144 {
		return 24 + 48
	}
	return 8 + 48
}

func TestStructStatHasTheSizeOfEachArchitecture(t *testing.T) {
	info := vfs.Info{
		Dev: 1, Ino: 2, Mode: 3, Nlink: 4, UID: 5, GID: 6, Rdev: 7, Size: 8, Blocks: 9,
		Atime: time.Unix(10, 11), Mtime: time.Unix(12, 13), Ctime: time.Unix(14, 15),
	}
	words := func(p []byte, size int, at ...int) (out []uint64) {
		for _, a := range at {
			if size == 4 {
				out = append(out, uint64(binary.LittleEndian.Uint32(p[a:])))
			} else {
				out = append(out, binary.LittleEndian.Uint64(p[a:]))
			}
		}
		return out
	}
	amd, arm := encodeStatFor("amd64", info), encodeStatFor("arm64", info)
	if len(amd) != 144 || len(arm) != 128 {
		t.Fatalf("sizes %d and %d", len(amd), len(arm))
	}
	if got := append(words(amd, 8, 0, 8, 16, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112), words(amd, 4, 24, 28, 32)...); !reflect.DeepEqual(got,
		[]uint64{1, 2, 4, 7, 8, 4096, 9, 10, 11, 12, 13, 14, 15, 3, 5, 6}) {
		t.Errorf("amd64: %v", got)
	}
	if got := append(words(arm, 8, 0, 8, 32, 48, 64, 72, 80, 88, 96, 104, 112), words(arm, 4, 16, 20, 24, 28, 56)...); !reflect.DeepEqual(got,
		[]uint64{1, 2, 7, 8, 9, 10, 11, 12, 13, 14, 15, 3, 4, 5, 6, 4096}) {
		t.Errorf("arm64: %v", got)
	}
}

func TestDescriptors(t *testing.T) {
	c, stdout, stderr := begin(t, func(j *sandbox.Job) { j.Limits.Files = 8 })
	if got := c.read(0, 100); got != "typed\n" {
		t.Errorf("stdin %q", got)
	}
	if got := c.read(0, 100); got != "" {
		t.Errorf("stdin after its end %q", got)
	}
	c.want(4, 0, "write(ipi)i", 1, c.text("out\n"), 4)
	c.want(4, 0, "write(ipi)i", 2, c.text("err\n"), 4)
	c.want(0, 0, "write(ipi)i", 1, null, 0)
	c.want(-1, unix.EFAULT, "write(ipi)i", 1, null, 5)
	c.want(-1, unix.EINVAL, "read(ipi)i", 0, c.room(8), ^uint64(0))
	c.want(0, unix.ENOTTY, "isatty(i)i", 1)
	c.want(0, unix.EBADF, "isatty(i)i", 77)
	c.want(-1, unix.ENOTTY, "ioctl(iip)i", 1, unix.TIOCGWINSZ, c.room(8))
	c.want(-1, unix.ESPIPE, "lseek(iii)i", 1, 0, 1)
	c.want(-1, unix.EBADF, "read(ipi)i", 1, c.room(8), 8)
	c.want(-1, unix.EBADF, "write(ipi)i", 0, c.room(8), 8)
	c.want(3, 0, "dup(i)i", 1)
	c.want(5, 0, "fcntl(iii)i", 1, unix.F_DUPFD_CLOEXEC, 5)
	c.want(3, 0, "dup2(ii)i", 2, 3)
	c.want(-1, unix.EBADF, "dup2(ii)i", 2, 8)
	c.want(-1, unix.EBADF, "dup2(ii)i", 2, ^uint64(0))
	c.want(-1, unix.EINVAL, "fcntl(iii)i", 1, unix.F_DUPFD, ^uint64(0))
	c.want(-1, unix.EINVAL, "fcntl(iii)i", 1, unix.F_SETOWN, 1)
	c.want(2, 0, "write(ipi)i", 3, c.text("3\n"), 2)
	c.want(0, 0, "rpy_get_inheritable(i)i", 3)
	c.want(-1, unix.EBADF, "rpy_get_inheritable(i)i", 42)
	c.want(unix.O_WRONLY, 0, "rpy_get_status_flags(i)i", 3)
	file := uint64(c.call("get_stdout()p"))
	c.want(1, 0, "fileno(p)i", file)
	c.want(-1, unix.EBADF, "fileno(p)i", file+8)
	c.want(4, 0, "open(pii)i", c.text("/dev/stderr"), unix.O_WRONLY, 0)
	c.want(-1, unix.EACCES, "open(pii)i", c.text("/dev/stdin"), unix.O_WRONLY, 0)
	c.want(6, 0, "open(pii)i", c.text("/etc/hosts"), 0, 0)
	c.want(7, 0, "open(pii)i", c.text("/etc/hosts"), 0, 0)
	c.want(-1, unix.EMFILE, "open(pii)i", c.text("/etc/hosts"), 0, 0)
	c.want(-1, unix.EMFILE, "pipe(p)i", c.room(8))
	c.want(0, 0, "close(i)i", 7)
	c.want(-1, unix.EBADF, "close(i)i", 7)
	c.want(0, 0, "close(i)i", 1)
	c.want(-1, unix.EBADF, "write(ipi)i", 1, c.text("x"), 1)
	c.want(3, 0, "write(ipi)i", 5, c.text("end"), 3)
	c.finish(0)
	if stdout.String() != "out\nend" || stderr.String() != "err\n3\n" {
		t.Errorf("stdout %q stderr %q", stdout, stderr)
	}
}

func TestPipesOfTheScriptItself(t *testing.T) {
	c, _, _ := begin(t, nil)
	pair := c.room(8)
	c.want(0, 0, "pipe2(pi)i", pair, unix.O_NONBLOCK)
	r, w := int64(binary.LittleEndian.Uint32(c.at(pair, 4))), int64(binary.LittleEndian.Uint32(c.at(pair+4, 4)))
	c.want(-1, unix.EAGAIN, "read(ipi)i", uint64(r), c.room(8), 8)
	if c.write(w, "hello") != 5 || c.read(r, 100) != "hello" {
		t.Error("the pipe does not carry")
	}
	c.write(w, "more")
	held := c.room(4)
	c.want(0, 0, "ioctl(iip)i", uint64(r), unix.TIOCINQ, held)
	if n := binary.LittleEndian.Uint32(c.at(held, 4)); n != 4 {
		t.Errorf("the pipe holds %d", n)
	}
	c.want(0, 0, "rpy_set_status_flags(ii)i", uint64(w), 0)
	c.want(0, 0, "close(i)i", uint64(r))
	c.want(-1, unix.EPIPE, "write(ipi)i", uint64(w), c.text("x"), 1)
	c.finish(0)
}

func TestBlockedReadEndsWithTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	job, _, _ := jobOver(t, targetFiles())
	c := newDouble(t)
	c.start(ctx, job)
	pair := c.room(8)
	c.want(0, 0, "pipe(p)i", pair)
	done := make(chan error, 1)
	go func() {
		_, err := c.try("read(ipi)i", uint64(binary.LittleEndian.Uint32(c.at(pair, 4))), c.room(8), 8)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, errGone) {
		t.Errorf("the read ended with %v", err)
	}
	if r := c.outcome(); r.Cause != sandbox.Stopped {
		t.Errorf("%+v", r)
	}
}

func TestDirectoryStreams(t *testing.T) {
	c, _, _ := begin(t, nil)
	if got := c.list(Prefix + "/lib-python/3"); !reflect.DeepEqual(got, []string{"codecs.py", "encodings", "io.py", "os.py", "site.py", "subprocess.py"}) {
		t.Errorf("the library lists %q", got)
	}
	if got := c.list(Prefix + "/lib_pypy"); !reflect.DeepEqual(got, []string{"_stat.py", "subprocess.py"}) {
		t.Errorf("the library lists %q", got)
	}
	if got := c.read(c.open(Prefix+"/lib-python/3/subprocess.py", 0), 100); got != "# the guest's\n" {
		t.Errorf("subprocess is %q", got)
	}
	if got := c.list("/nope"); !reflect.DeepEqual(got, []string{"errno no such file or directory"}) {
		t.Errorf("a missing directory lists %q", got)
	}
	stream := uint64(c.call("opendir(p)p", c.text("/etc")))
	fd := uint64(c.call("dirfd(p)i", stream))
	c.want(int64(fd), 0, "dirfd(p)i", stream)
	st := c.room(144)
	c.want(0, 0, "fstatat64(ippi)i", fd, c.text("hosts"), st, 0)
	first := c.call("readdir(p)p", stream)
	c.call("rewinddir(p)v", stream)
	if again := c.call("readdir(p)p", stream); again != first {
		t.Errorf("entries are at %#x and %#x", first, again)
	}
	c.want(0, 0, "closedir(p)i", stream)
	c.want(-1, unix.EBADF, "fstat64(ip)i", fd, st)
	c.want(-1, unix.EBADF, "closedir(p)i", stream)
	c.want(0, unix.EBADF, "readdir(p)p", stream)
	fd = uint64(c.open("/etc", unix.O_RDONLY))
	stream = uint64(c.call("fdopendir(i)p", fd))
	if c.call("readdir(p)p", stream) == 0 {
		t.Error("fdopendir lists nothing")
	}
	c.want(0, 0, "close(i)i", fd)
	c.want(0, 0, "closedir(p)i", stream)
	c.want(0, unix.ENOTDIR, "fdopendir(i)p", uint64(c.open("/etc/hosts", 0)))
	c.want(-1, unix.EISDIR, "read(ipi)i", uint64(c.open("/etc", 0)), c.room(8), 8)
	var streams []uint64
	for range maxListings {
		streams = append(streams, uint64(c.call("opendir(p)p", c.text("/etc"))))
	}
	c.want(0, unix.EMFILE, "opendir(p)p", c.text("/etc"))
	for _, s := range streams {
		c.want(0, 0, "closedir(p)i", s)
	}
	if !slices.Contains(c.frees, streams[0]) {
		t.Error("closedir does not free")
	}
	c.finish(0)
}

func TestIdentityIsTheTargets(t *testing.T) {
	c, _, _ := begin(t, nil)
	uts := c.room(390)
	c.want(0, 0, "uname(p)i", uts)
	for i, want := range []string{"Linux", "target-1", "6.1", "#1", "x86_64", ""} {
		if got := c.cstring(uts + uint64(i*65)); got != want {
			t.Errorf("uname field %d is %q", i, got)
		}
	}
	c.want(1000, 0, "getuid()i")
	c.want(1001, 0, "getegid()i")
	c.want(4321, 0, "getpid()i")
	c.want(1, 0, "getppid()i")
	c.want(4321, 0, "getpgid(i)i", 0)
	c.want(-1, unix.ESRCH, "getsid(i)i", 1)
	c.want(2, 0, "rpy_cpu_count()i")
	c.want(2, 0, "sysconf(i)i", 84)
	c.want(-1, unix.EINVAL, "sysconf(i)i", 9999)
	loads := c.room(24)
	c.want(3, 0, "getloadavg(pi)i", loads, 3)
	if got := binary.LittleEndian.Uint64(c.at(loads, 8)); got != 0x3fd0000000000000 { // 0.25
		t.Errorf("load %#x", got)
	}
	if got := c.cstring(uint64(c.call("getlogin()p"))); got != "ops" {
		t.Errorf("login %q", got)
	}
	if got := c.cstring(uint64(c.call("_pypy_init_home()p"))); got != Prefix {
		t.Errorf("home %q", got)
	}
	ids := c.room(12)
	c.want(0, 0, "getresuid(ppp)i", ids, ids+4, ids+8)
	c.want(1, 0, "getgroups(ip)i", 0, null)
	c.want(1, 0, "getgroups(ip)i", 8, ids)
	c.want(0, 0, "statvfs(pp)i", c.text("/tmp"), c.room(112))
	c.want(-1, unix.ENOENT, "statvfs(pp)i", c.text("/nope"), c.room(112))
	c.want(255, 0, "pathconf(pi)i", c.text("/"), 3)
	c.finish(0)
}

func TestEnvironment(t *testing.T) {
	c, _, _ := begin(t, nil)
	c.want(0, 0, "getenv(p)p", c.text("NOPE"))
	home := uint64(c.call("getenv(p)p", c.text("HOME")))
	if got := c.cstring(home); got != "/home" {
		t.Errorf("HOME is %q", got)
	}
	if again := uint64(c.call("getenv(p)p", c.text("HOME"))); again != home {
		t.Error("the same value is allocated twice")
	}
	c.want(0, 0, "setenv(ppi)i", c.text("HOME"), c.text("/x"), 0)
	c.want(0, 0, "setenv(ppi)i", c.text("A"), c.text("1=2"), 1)
	c.want(0, 0, "putenv(p)i", c.text("B=3"))
	c.want(0, 0, "unsetenv(p)i", c.text("USER"))
	c.want(-1, unix.EINVAL, "setenv(ppi)i", c.text("A=B"), c.text("1"), 1)
	c.want(-1, unix.EINVAL, "unsetenv(p)i", c.text(""))
	array := uint64(c.call("get_environ()p"))
	var got []string
	for ; ; array += 8 {
		at := binary.LittleEndian.Uint64(c.at(array, 8))
		if at == 0 {
			break
		}
		got = append(got, c.cstring(at))
	}
	if want := []string{"PATH=/usr/bin:/bin", "HOME=/home", "A=1=2", "B=3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
	big := strings.Repeat("x", 1<<19)
	c.want(0, 0, "setenv(ppi)i", c.text("C"), c.text(big), 1)
	c.want(-1, unix.ENOMEM, "setenv(ppi)i", c.text("D"), c.text(big), 1)
	c.want(0, 0, "unsetenv(p)i", c.text("C"))
	for i := range maxNames {
		before := c.used
		if c.call("putenv(p)i", c.text(fmt.Sprintf("N%d=x", i))) != 0 {
			break
		}
		c.used = before
	}
	c.want(-1, unix.ENOMEM, "putenv(p)i", c.text("ONE=more"))
	c.want(0, 0, "putenv(p)i", c.text("HOME=changed"))
	c.finish(0)
}

func TestTimeAndZone(t *testing.T) {
	// Central European time: the rule at its end is all that is needed.
	zone, err := os.ReadFile("/usr/share/zoneinfo/Europe/Berlin")
	if err != nil {
		zone = []byte("TZif2" + strings.Repeat("\x00", 15) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04" +
			"\x00\x00\x00\x00\x00\x00UTC\x00" + "TZif2" + strings.Repeat("\x00", 15) +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x04" +
			"\x00\x00\x0e\x10\x00\x00CET\x00\nCET-1CEST,M3.5.0,M10.5.0/3\n")
	}
	target := targetFiles()
	target.AddFile("/etc/localtime", 0o644, zone)
	job, _, _ := jobOver(t, target)
	c := newDouble(t)
	c.start(t.Context(), job)
	tv := c.room(16)
	before := time.Now().Unix()
	c.want(0, 0, "gettimeofday(pp)i", tv, null)
	if got := int64(binary.LittleEndian.Uint64(c.at(tv, 8))); got < before || got > time.Now().Unix() {
		t.Errorf("it is %d", got)
	}
	if got := c.call("time(p)i", tv); got < before {
		t.Errorf("time %d", got)
	}
	for _, clock := range []uint64{unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_PROCESS_CPUTIME_ID} {
		c.want(0, 0, "clock_gettime(ip)i", clock, tv)
	}
	c.want(-1, unix.EINVAL, "clock_gettime(ip)i", 99, tv)
	c.want(-1, unix.EPERM, "clock_settime(ip)i", 0, tv)
	c.want(5000, 0, "clock()i")
	c.want(0, 0, "getrusage(ip)i", 0, c.room(144))
	when := c.alloc(le64(1_700_000_000)) // 2023-11-14 22:13:20 UTC, a Tuesday
	tm := uint64(c.call("gmtime(p)p", when))
	if n := decodeTm(c.at(tm, tmSize)); n != [9]int{20, 13, 22, 14, 10, 123, 2, 317, 0} {
		t.Errorf("gmtime %v", n)
	}
	local := uint64(c.call("localtime(p)p", when))
	if n := decodeTm(c.at(local, tmSize)); n[2] != 23 || local != tm {
		t.Errorf("localtime %v at %#x and %#x", n, local, tm)
	}
	if got := c.cstring(binary.LittleEndian.Uint64(c.at(local+48, 8))); got != "CET" {
		t.Errorf("zone %q", got)
	}
	c.want(1_700_000_000, 0, "mktime(p)i", local)
	out := c.room(200)
	n := c.call("strftime(pipp)i", out, 200, c.text("%Y-%m-%d %H:%M:%S %a %A %b %B %j %U %W %w %u %y %C %I %p %e %D %F %T %R %V %G %Z %z %% %n%s"), local)
	want := "2023-11-14 23:13:20 Tue Tuesday Nov November 318 46 46 2 2 23 20 11 PM 14 11/14/23 2023-11-14 23:13:20 23:13 46 2023 CET +0100 % \n1700000000"
	if got := string(c.at(out, uint64(n))); got != want {
		t.Errorf("strftime %q\n     want %q", got, want)
	}
	c.want(0, 0, "strftime(pipp)i", out, 3, c.text("%Y"), local)
	c.want(0, unix.EFAULT, "localtime(p)p", null)
	c.want(0, 0, "setenv(ppi)i", c.text("TZ"), c.text("No/Where"), 1)
	if n := decodeTm(c.at(uint64(c.call("localtime(p)p", when)), tmSize)); n[2] != 22 {
		t.Errorf("with an unknown zone %v", n)
	}
	c.finish(0)
	if rule := zoneRule(zone); rule != "CET-1CEST,M3.5.0,M10.5.0/3" {
		t.Errorf("rule %q", rule)
	}
	for _, bad := range []string{"", "TZif", "TZif2\nCET", "x\nCET\n", "TZif2\nC\x00T\n"} {
		if rule := zoneRule([]byte(bad)); rule != "" {
			t.Errorf("rule %q of %q", rule, bad)
		}
	}
}

func TestSleepWaitsAndEndsWithTheRun(t *testing.T) {
	c, _, _ := begin(t, nil)
	start := time.Now()
	c.want(0, 0, "select(ipppp)i", 0, null, null, null, c.alloc(encodeDuration(0, 30_000)))
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("slept %v", d)
	}
	c.want(-1, unix.EINVAL, "select(ipppp)i", 0, null, null, null, c.alloc(encodeDuration(0, 2_000_000)))
	c.want(-1, unix.EINVAL, "select(ipppp)i", 5000, null, null, null, null)
	c.finish(0)

	c, _, _ = begin(t, func(j *sandbox.Job) { j.Limits.Wall = time.Millisecond })
	if _, err := c.try("select(ipppp)i", 0, null, null, null, null); !errors.Is(err, errGone) {
		t.Errorf("an endless sleep ended with %v", err)
	}
	if r := c.outcome(); r.Cause != sandbox.WallTime {
		t.Errorf("%+v", r)
	}
}

func TestSelectWaitsForPipes(t *testing.T) {
	c, _, _ := begin(t, nil)
	pair := c.room(8)
	c.want(0, 0, "pipe(p)i", pair)
	set := c.alloc([]byte{1 << 3, 0, 0, 0, 0, 0, 0, 0})
	writes := c.alloc([]byte{1 << 4, 0, 0, 0, 0, 0, 0, 0})
	c.want(0, 0, "select(ipppp)i", 5, set, null, null, c.alloc(encodeDuration(0, 1000)))
	c.want(0, 0, "write(ipi)i", 4, c.room(1), 0)
	c.write(4, "x")
	copy(c.at(set, 8), []byte{1 << 3})
	c.want(2, 0, "select(ipppp)i", 5, set, writes, null, null)
	if c.at(set, 1)[0] != 1<<3 || c.at(writes, 1)[0] != 1<<4 {
		t.Error("the sets do not say what is ready")
	}
	copy(c.at(set, 8), []byte{1 << 5})
	c.want(-1, unix.EBADF, "select(ipppp)i", 6, set, null, null, null)
	c.finish(0)
}

func TestRandomBytesComeFromADevice(t *testing.T) {
	c, _, _ := begin(t, nil)
	fd := c.open("/dev/urandom", unix.O_RDONLY)
	a, b := c.read(fd, 16), c.read(fd, 16)
	if len(a) != 16 || a == b {
		t.Errorf("random bytes %q and %q", a, b)
	}
	if got := c.list("/dev"); !reflect.DeepEqual(got, []string{"full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"}) {
		t.Errorf("/dev holds %q", got)
	}
	c.want(-1, unix.ENOSPC, "write(ipi)i", uint64(c.open("/dev/full", unix.O_WRONLY)), c.text("x"), 1)
	c.want(1, 0, "write(ipi)i", uint64(c.open("/dev/null", unix.O_WRONLY|unix.O_TRUNC|unix.O_CREAT)), c.text("x"), 1)
	if got := c.read(c.open("/proc/self/cmdline", 0), 100); got != Interpreter+"\x00-\x00" {
		t.Errorf("cmdline %q", got)
	}
	c.finish(0)
}

func TestLimitsOfFiles(t *testing.T) {
	c, _, _ := begin(t, func(j *sandbox.Job) { j.Limits.Write = 100_000 })
	fd := c.open("/tmp/big", unix.O_CREAT|unix.O_RDWR)
	block := c.room(60_000)
	c.want(60_000, 0, "write(ipi)i", uint64(fd), block, 60_000)
	c.want(40_000, 0, "write(ipi)i", uint64(fd), block, 60_000)
	c.want(-1, unix.EFBIG, "write(ipi)i", uint64(fd), block, 1)
	c.want(-1, unix.EFBIG, "ftruncate(ii)i", uint64(fd), 1<<40)
	c.want(-1, unix.EINVAL, "ftruncate(ii)i", uint64(fd), ^uint64(0))
	c.want(int64(unix.EFBIG), 0, "posix_fallocate(iii)i", uint64(fd), 0, 1<<40)
	c.want(int64(unix.EINVAL), 0, "posix_fallocate(iii)i", uint64(fd), ^uint64(0), 1)
	c.want(-1, unix.EFBIG, "pwrite(ipii)i", uint64(fd), block, 1, 1<<62)
	other := c.open("/tmp/other", unix.O_CREAT|unix.O_WRONLY)
	c.want(-1, unix.ENOSPC, "write(ipi)i", uint64(other), block, 50_000)
	c.want(-1, unix.ENOSPC, "ftruncate(ii)i", uint64(other), 50_000)
	c.finish(0)
}

func TestEndsAreNamedAsInTheOtherEngine(t *testing.T) {
	t.Run("_exit", func(t *testing.T) {
		c, _, _ := begin(t, nil)
		if _, err := c.try("_exit(i)v", 7); !errors.Is(err, errGone) {
			t.Errorf("_exit returned: %v", err)
		}
		if r := c.outcome(); r != (sandbox.Result{Cause: sandbox.Exited, ExitCode: 7}) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("crash", func(t *testing.T) {
		c, _, _ := begin(t, nil)
		if _, err := c.try("stat64(pp)i", c.text("/"), 0x1234); !errors.Is(err, errGone) {
			t.Errorf("a bad address was answered: %v", err)
		}
		if r := c.outcome(); r.Cause != sandbox.Exited || r.Signal != syscall.SIGSEGV || r.ExitCode != 139 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("out of memory", func(t *testing.T) {
		c, _, stderr := begin(t, func(j *sandbox.Job) { j.Limits.Memory = 64 << 20 })
		c.messages = "out of memory: couldn't allocate the next arena\n"
		c.end(syscall.WaitStatus(syscall.SIGABRT))
		if r := c.outcome(); r.Cause != sandbox.Memory || r.ExitCode != 134 || stderr.String() != c.messages {
			t.Errorf("%+v, stderr %q", r, stderr)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		job, _, _ := jobOver(t, targetFiles())
		c := newDouble(t)
		c.start(ctx, job)
		c.want(1000, 0, "getuid()i")
		cancel(errors.New("the agent left"))
		if r := c.outcome(); r.Cause != sandbox.Stopped || !strings.Contains(r.Detail, "the agent left") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("output refused", func(t *testing.T) {
		c, _, _ := begin(t, func(j *sandbox.Job) { j.Stdout = refusingWriter{} })
		if _, err := c.try("write(ipi)i", 1, c.text("x"), 1); !errors.Is(err, errGone) {
			t.Errorf("a write that nobody takes was answered: %v", err)
		}
		if r := c.outcome(); r.Cause != sandbox.Stopped || !strings.Contains(r.Detail, "too much") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("own signal", func(t *testing.T) {
		c, _, _ := begin(t, nil)
		c.want(0, 0, "kill(ii)i", 4321, uint64(unix.SIGCHLD))
		c.want(-1, unix.EPERM, "kill(ii)i", ^uint64(0), 9)
		c.want(-1, unix.ESRCH, "kill(ii)i", 1, 9)
		if _, err := c.try("kill(ii)i", 4321, uint64(unix.SIGTERM)); !errors.Is(err, errGone) {
			t.Errorf("it outlived its own signal: %v", err)
		}
		if r := c.outcome(); r.Cause != sandbox.Exited || r.ExitCode != 143 {
			t.Errorf("%+v", r)
		}
	})
}

type refusingWriter struct{}

func (refusingWriter) Write([]byte) (int, error) { return 0, errors.New("too much output") }

func TestCallsBeyondTheLimitAreSlowedDown(t *testing.T) {
	var notices []string
	c, _, _ := begin(t, func(j *sandbox.Job) {
		j.Limits.Calls = 500
		j.Notice = func(line string) { notices = append(notices, line) }
	})
	start := time.Now()
	for range 150 { // three ticks' worth
		c.want(1000, 0, "getuid()i")
	}
	if d := time.Since(start); d < 2*supervisor.Tick-supervisor.Tick/2 {
		t.Errorf("150 calls took %v", d)
	}
	c.finish(0)
	if len(notices) != 1 || !strings.Contains(notices[0], "limits.calls") {
		t.Errorf("notices %q", notices)
	}
}

func TestStreamedBytesArriveUntouched(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	job, stdout, _ := jobOver(t, targetFiles())
	job.Stdin = bytes.NewReader(bytes.Repeat(all, 4096))
	c := newDouble(t)
	c.start(t.Context(), job)
	to := c.room(300_000)
	for {
		n := c.call("read(ipi)i", 0, to, 300_000)
		if n <= 0 {
			break
		}
		c.want(n, 0, "write(ipi)i", 1, to, uint64(n))
	}
	c.finish(0)
	if !bytes.Equal(stdout.Bytes(), bytes.Repeat(all, 4096)) {
		t.Errorf("%d bytes arrived", stdout.Len())
	}
}

// farSource has one file that comes piece by piece.
type farSource struct{ *vfs.Static }

func (s farSource) OpenStream(name string, flags int) (int, vfs.Stream, error) {
	if name == "/etc/far" {
		return -1, &farStream{strings.NewReader(farText)}, nil
	}
	fd, err := s.Open(name, flags)
	return fd, nil, err
}

var farText = strings.Repeat("0123456789", 1000)

type farStream struct{ *strings.Reader }

func (s *farStream) ReadAt(p []byte, off int64) (int, error) {
	if off == 9000 {
		return 0, errors.New("the line is dead")
	}
	return s.Reader.ReadAt(p[:min(len(p), 100)], off)
}

func (s *farStream) Size() int64  { return int64(len(farText)) }
func (s *farStream) Close() error { return nil }

func TestFileThatComesPieceByPiece(t *testing.T) {
	target := targetFiles()
	target.AddFile("/etc/far", 0o644, []byte(farText))
	job, _, _ := jobOver(t, farSource{target})
	gate := new(recorder)
	job.Commands = gate
	c := newDouble(t)
	c.start(t.Context(), job)
	fd := c.open("/etc/far", unix.O_RDONLY)
	if got := c.read(fd, 4000); got != farText[:100] {
		t.Errorf("read %q", got)
	}
	to := c.room(200)
	c.want(100, 0, "pread(ipii)i", uint64(fd), to, 200, 5005)
	if got := string(c.at(to, 5)); got != "56789" {
		t.Errorf("pread %q", got)
	}
	c.want(-1, unix.EINVAL, "pread(ipii)i", uint64(fd), to, 200, ^uint64(0))
	c.want(100, 0, "lseek(iii)i", uint64(fd), 0, unix.SEEK_CUR)
	c.want(9995, 0, "lseek(iii)i", uint64(fd), ^uint64(4), unix.SEEK_END)
	if got := c.read(fd, 100); got != "56789" {
		t.Errorf("at the end %q", got)
	}
	c.want(0, 0, "read(ipi)i", uint64(fd), to, 100)
	c.want(-1, unix.EINVAL, "lseek(iii)i", uint64(fd), ^uint64(0), unix.SEEK_SET)
	c.want(-1, unix.EINVAL, "lseek(iii)i", uint64(fd), 0, unix.SEEK_HOLE)
	c.want(9000, 0, "lseek(iii)i", uint64(fd), 9000, unix.SEEK_SET)
	c.want(-1, unix.EIO, "read(ipi)i", uint64(fd), to, 100)
	c.want(-1, unix.EBADF, "write(ipi)i", uint64(fd), to, 100)
	st := c.room(144)
	c.want(0, 0, "fstat64(ip)i", uint64(fd), st)
	if got := binary.LittleEndian.Uint64(c.at(st+48, 8)); got != uint64(len(farText)) {
		t.Errorf("fstat says %d bytes", got)
	}
	c.want(9900, 0, "lseek(iii)i", uint64(fd), 9900, unix.SEEK_SET)
	g := newGuest(c)
	r, w := g.makePipe()
	pid, _ := g.begin(fd, w, 2, nil, "cat")
	g.want(0, 0, "close(i)i", uint64(w))
	if got := g.read(r, 1000); got != farText[9900:] {
		t.Errorf("a command reads %q", got)
	}
	g.wait(pid)
	c.finish(0)
	if in := gate.started()[0].Input; in != sandbox.DataInput {
		t.Errorf("its input is %q", in)
	}
}
