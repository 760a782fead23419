//go:build linux

package vfs_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func TestHostTellsWhatIsThere(t *testing.T) {
	root := tree(t, "d/f=content", "l->d/f", "d/"+strings.Repeat("n", 255)+"=x", "d/\xff=x", "d/a\nb=x")
	h := vfs.NewHost()
	var st unix.Stat_t
	ok(t, unix.Lstat(root+"/d/f", &st))
	info, err := h.Lstat(root + "/d/f")
	if err != nil || info.Ino != st.Ino || info.Dev != uint64(st.Dev) || info.Size != 7 || info.Mode != st.Mode ||
		info.Mtime.UnixNano() != unix.TimespecToNsec(st.Mtim) {
		t.Errorf("Lstat: %+v, %v", info, err)
	}
	text, err := h.Readlink(root + "/l")
	if text != "d/f" || err != nil {
		t.Errorf("Readlink: %q, %v", text, err)
	}
	_, err = h.Readlink(root + "/d")
	is(t, "readlink of a directory", err, syscall.EINVAL)
	entries, err := h.ReadDir(root + "/d")
	if len(entries) != 4 || err != nil {
		t.Errorf("ReadDir: %v, %v", entries, err)
	}
	_, err = h.ReadDir(root + "/d/f")
	is(t, "list a file", err, syscall.ENOTDIR)
	info, err = h.Lstat("/")
	if err != nil || !info.IsDir() {
		t.Errorf("/: %+v, %v", info, err)
	}
}

func TestHostNeverFollowsALink(t *testing.T) {
	root := tree(t, "d/f=content", "l->d", "d/m->f")
	h := vfs.NewHost()
	_, err := h.Lstat(root + "/l/f")
	is(t, "lstat through a link", err, syscall.ELOOP)
	_, err = h.Open(root+"/l/f", unix.O_RDONLY)
	is(t, "open through a link", err, syscall.ELOOP)
	_, err = h.Open(root+"/d/m", unix.O_RDONLY)
	is(t, "open a link", err, syscall.ELOOP)
	if _, err = h.ReadDir(root + "/l"); err != syscall.ELOOP && err != syscall.ENOTDIR {
		t.Errorf("list a link: %v", err)
	}
	_, err = h.Readlink(root + "/l/m")
	is(t, "readlink through a link", err, syscall.ELOOP)
	_, err = h.Lstat(fmt.Sprintf("/proc/%d/cwd/x", os.Getpid()))
	is(t, "lstat through a magic link", err, syscall.ELOOP)
	_, err = h.Open(fmt.Sprintf("/proc/%d/exe", os.Getpid()), unix.O_RDONLY)
	is(t, "open a magic link", err, syscall.ELOOP)
	text, err := h.Readlink(fmt.Sprintf("/proc/%d/root", os.Getpid()))
	if text != "/" || err != nil {
		t.Errorf("magic link: %q, %v", text, err)
	}
}

func TestHostOpensNothingButRegularFilesForReading(t *testing.T) {
	root := tree(t, "f=content")
	h := vfs.NewHost()
	ok(t, unix.Mkfifo(root+"/fifo", 0o600))
	listener, err := net.Listen("unix", filepath.Join(root, "s"))
	if err == nil {
		defer func() { _ = listener.Close() }()
		_, err := h.Open(root+"/s", unix.O_RDONLY)
		is(t, "open a socket", err, syscall.ENXIO)
	}
	_, err = h.Open(root+"/fifo", unix.O_RDONLY) // would wait for a writer
	is(t, "open a FIFO", err, syscall.ENXIO)
	_, err = h.Open("/dev/null", unix.O_RDONLY)
	is(t, "open a device", err, syscall.EACCES)
	_, err = h.Open(root, unix.O_RDONLY)
	is(t, "open a directory", err, syscall.EISDIR)
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR} {
		_, err = h.Open(root+"/f", flags)
		is(t, "open for writing", err, syscall.EACCES)
	}
	fd, err := h.Open(root+"/f", unix.O_RDONLY)
	ok(t, err)
	defer func() { _ = unix.Close(fd) }()
	if text, err := readAll(fd); text != "content" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); flags&(unix.O_NONBLOCK|unix.O_ACCMODE) != 0 {
		t.Errorf("descriptor flags %#x", flags)
	}
	if _, err := unix.Write(fd, []byte("x")); err != unix.EBADF {
		t.Errorf("write: %v", err)
	}
}

// A script must not hold our own descriptor to a file that the kernel makes: what it reads may depend on who opened it.
func TestKernelFilesAreSealedCopies(t *testing.T) {
	h := vfs.NewHost()
	for _, name := range []string{
		"/proc/meminfo", "/proc/1/status", "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled",
	} {
		fd, err := h.Open(name, unix.O_RDONLY)
		if err == syscall.ENOENT || err == syscall.EACCES {
			continue
		}
		ok(t, err)
		text, err := readAll(fd)
		if text == "" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		if err != nil || seals&unix.F_SEAL_WRITE == 0 {
			t.Errorf("%s: seals %#x, %v", name, seals, err)
		}
		if _, err := unix.Write(fd, []byte("x")); err == nil {
			t.Errorf("%s could be written", name)
		}
		_ = unix.Close(fd)
	}
}

func TestKernelFilesThatWouldBlockDoNot(t *testing.T) {
	fd, err := vfs.NewHost().Open("/proc/kmsg", unix.O_RDONLY)
	if err == nil { // the log had something to say
		_ = unix.Close(fd)
	}
}

func TestHostHasNoProcSelf(t *testing.T) {
	h := vfs.NewHost()
	for _, name := range []string{"/proc/self", "/proc/self/environ", "/proc/thread-self", "/proc/thread-self/mem"} {
		_, err := h.Lstat(name)
		is(t, "lstat "+name, err, enoent)
		_, err = h.Open(name, unix.O_RDONLY)
		is(t, "open "+name, err, enoent)
		_, err = h.Readlink(name)
		is(t, "readlink "+name, err, enoent)
		_, err = h.ReadDir(name)
		is(t, "list "+name, err, enoent)
	}
	entries, err := h.ReadDir("/proc")
	ok(t, err)
	for _, e := range entries {
		if e.Name == "self" || e.Name == "thread-self" {
			t.Errorf("/proc lists %s", e.Name)
		}
	}
}

// isAbsent checks that a name of /proc, and what is below it, is not there by any call.
func isAbsent(t *testing.T, h vfs.Source, dir string) {
	t.Helper()
	for _, name := range []string{dir, dir + "/comm", dir + "/status", dir + "/task", dir + "/fd/0", dir + "/exe"} {
		_, err := h.Lstat(name)
		is(t, "lstat "+name, err, enoent)
		_, err = h.Open(name, unix.O_RDONLY)
		is(t, "open "+name, err, enoent)
		_, err = h.Readlink(name)
		is(t, "readlink "+name, err, enoent)
		_, err = h.ReadDir(name)
		is(t, "list "+name, err, enoent)
	}
}

// The kernel opens /proc/NUMBER of a thread, and does not list it.
func TestHostHasNoThreadsByNumber(t *testing.T) {
	h, own := vfs.NewHost(), os.Getpid()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", own))
	ok(t, err)
	looked := false
	for _, thread := range threads {
		if thread.Name() != fmt.Sprint(own) {
			looked = true
			isAbsent(t, h, "/proc/"+thread.Name())
		}
	}
	if !looked {
		t.Error("this process has one thread")
	}
	for _, name := range []string{"", "/comm", "/task", fmt.Sprintf("/task/%d/comm", own)} {
		_, err := h.Lstat(fmt.Sprintf("/proc/%d%s", own, name))
		ok(t, err)
	}
	for _, name := range []string{"/proc/1/comm", "/proc/cpuinfo", "/proc/sys/kernel/ostype"} {
		_, err := h.Lstat(name)
		ok(t, err)
	}
}

func TestConcealedProcessIsInNoView(t *testing.T) {
	child := exec.Command("sleep", "60")
	ok(t, child.Start())
	t.Cleanup(func() { _, _ = child.Process.Kill(), child.Wait() })
	pid := child.Process.Pid
	h, dir := vfs.NewHost(), fmt.Sprintf("/proc/%d", pid)
	listed := func() bool {
		entries, err := h.ReadDir("/proc")
		ok(t, err)
		return slices.ContainsFunc(entries, func(e vfs.Dirent) bool { return "/proc/"+e.Name == dir })
	}
	vfs.Conceal(pid)
	vfs.Conceal(pid)
	vfs.Show(pid)
	isAbsent(t, h, dir)
	if listed() {
		t.Error("it is listed")
	}
	vfs.Show(pid)
	if _, err := h.Lstat(dir + "/comm"); err != nil || !listed() {
		t.Errorf("it is not there again: %v", err)
	}
}

func TestDefaultViewOfThisHostKeepsItsSecrets(t *testing.T) {
	s := session(t, vfs.Config{
		Base: vfs.NewHost(), Policy: policy(t, vfs.DefaultRead(), vfs.DefaultHide()), Scratch: []string{"/tmp", "/var/tmp"},
	})
	own := fmt.Sprintf("/proc/%d", os.Getpid())
	for _, name := range []string{
		"/etc/shadow", "/proc/kcore", "/proc/self/environ", own + "/root/etc/shadow",
	} {
		_, err := s.Stat(name)
		is(t, name, err, enoent)
	}
	for _, name := range []string{own + "/environ", own + "/mem", own + "/fd/0", own + "/task/" + fmt.Sprint(os.Getpid()) + "/environ"} {
		_, err := read(s, name)
		is(t, name, err, syscall.EACCES)
	}
	for _, name := range []string{"/etc/passwd", "/proc/meminfo", own + "/status"} {
		if text, err := read(s, name); text == "" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if got, err := s.Canonical(own + "/root/etc"); got != "/etc" || err != nil {
		t.Errorf("a magic link leads to %q, %v", got, err)
	}
	lists(t, s, "/tmp", "")
}

// Without privileges the kernel's own permissions come first, and the errors are the kernel's.
func TestUnreadableFilesStayUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	s, root := over(t, "f=x")
	ok(t, os.Chmod(root+"/f", 0))
	_, err := s.Open("/f", unix.O_RDONLY, 0)
	is(t, "open", err, syscall.EACCES)
	is(t, "copy up", write(s, "/f", "x", 0), syscall.EACCES)
	s = session(t, vfs.Config{Base: vfs.NewHost()})
	is(t, "access", s.Access(root+"/f", unix.R_OK), syscall.EACCES)
	is(t, "access of a readable file", s.Access("/etc/passwd", unix.R_OK), nil)
}
