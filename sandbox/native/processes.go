//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// processes is what /proc has of a script's own interpreters, by the numbers that they know of themselves, and "self" and
// "thread-self", which lead there. It stands in front of the target's /proc: there the same numbers are other processes, or
// on this host what the interpreters really are. See proc(5).
type processes struct {
	tree *processTree
	made time.Time
}

// A process is a name below processes: a directory of an interpreter, or of one of its threads, and what follows.
type process struct {
	run   *run
	tid   int    // 0 in the interpreter's own directory
	leads bool   // it is a directory of an interpreter, or one that has a thread's number and is the same otherwise
	rest  string // "" for the directory itself
}

// ownFiles are read from the interpreter's own directory in /proc: they name nothing of the host.
var ownFiles = []string{"statm", "io", "limits", "schedstat", "oom_score", "oom_score_adj"}

// toldFiles are the same, told as they are in the script's view.
var toldFiles = map[string]func(*run, []byte) []byte{
	"stat": (*run).ownStat, "status": (*run).ownStatus, "maps": (*run).ownMaps,
}

// hostProcess is a process of the target that sees what all of it sees: its first.
const hostProcess = "/proc/1/"

// find takes a name apart. ENOENT where it begins with no interpreter of the process tree, or no thread of one.
func (p *processes) find(name string) (at process, err error) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	id, ok := posix.Number(first)
	if ok {
		at.run, at.tid = p.tree.whose(id)
	}
	if at.run == nil {
		return process{}, unix.ENOENT
	}
	at.leads, at.rest = true, rest
	thread, ok := strings.CutPrefix(rest, "task/")
	if !ok {
		return at, nil
	}
	at.leads = false
	thread, at.rest, _ = strings.Cut(thread, "/")
	if at.tid, ok = posix.Number(thread); !ok || !hasThread(at.run.proc, at.tid) || at.rest == "task" {
		return process{}, unix.ENOENT
	}
	return at, nil
}

// whose is the interpreter that has a process id, or one of whose threads has that number, which is then the second value. The
// kernel does not list these, and opens them: see proc_pid_task(5).
func (f *processTree) whose(id int) (owner *run, tid int) {
	f.visible(func(m *run) {
		if m.proc.PID == id {
			owner = m
		}
	})
	if owner != nil || unix.Tgkill(id, id, 0) != unix.ESRCH { // a process of its own
		return owner, 0
	}
	f.visible(func(m *run) {
		if hasThread(m.proc, id) {
			owner, tid = m, id
		}
	})
	return owner, tid
}

// hasThread reports whether a thread is the interpreter's.
func hasThread(p *supervisor.Process, tid int) bool {
	err := unix.Tgkill(p.PID, tid, 0) // signal 0 only looks, kill(2)
	return err == nil || err == unix.EPERM
}

// directory is where the kernel has what is told here.
func (at process) directory() string {
	if at.tid == 0 || at.rest == "task" {
		return fmt.Sprintf("/proc/%d", at.run.proc.PID)
	}
	return fmt.Sprintf("/proc/%d/task/%d", at.run.proc.PID, at.tid)
}

// isDir reports whether the name is a directory.
func (at process) isDir() bool {
	return at.rest == "" || at.rest == "fd" || at.rest == "task" && at.leads
}

// own reports whether the process asks about itself. Descriptors are nobody else's business.
func (p *processes) own(at process) bool { return at.run == p.tree.turn.asking }

// asks reports whether it is the thread that asks, which for an interpreter's own directory is its first.
func (p *processes) asks(at process) bool {
	tid := at.tid
	if tid == 0 {
		tid = at.run.proc.PID
	}
	return p.own(at) && tid == p.tree.turn.thread
}

// links are texts: a name below them is resolved in the view.
func (at process) links() map[string]string {
	return map[string]string{
		"exe": Interpreter, "cwd": at.run.names.Dir.Path(), "root": "/",
		"net": hostProcess + "net", "mounts": hostProcess + "mounts", "mountinfo": hostProcess + "mountinfo",
		"cgroup": hostProcess + "cgroup",
	}
}

// reader is what "self" and "thread-self" lead to.
func (p *processes) reader(name string) (text string, ok bool) {
	switch name {
	case "/self":
		return strconv.Itoa(p.tree.turn.asking.proc.PID), true
	case "/thread-self":
		return fmt.Sprintf("%d/task/%d", p.tree.turn.asking.proc.PID, p.tree.turn.thread), true
	}
	return "", false
}

// has reports whether there is such a file, without making its text: that of a large process takes long.
func (at process) has() bool {
	switch at.rest {
	case "cmdline", "environ", "comm":
		return true
	}
	return slices.Contains(ownFiles, at.rest) || toldFiles[at.rest] != nil
}

// content returns the text of a file that is there.
func (at process) content() []byte {
	r := at.run
	switch at.rest {
	case "cmdline":
		return nulTerminated(append([]string{Interpreter}, r.job.Args...))
	case "environ":
		return nulTerminated(r.job.Env)
	}
	var text []byte
	vfs.Apart(func() { text = procfs.Small(at.directory() + "/" + at.rest) }) // an interpreter's files in /proc are nobody's but root's
	if r.proc.Exited() {
		return nil // the number may have been another's by then, see run.reap
	}
	if at.rest == "comm" {
		return []byte(threadName(strings.TrimSuffix(string(text), "\n")) + "\n")
	}
	if tell := toldFiles[at.rest]; tell != nil {
		return tell(r, text)
	}
	return text
}

// Lstat implements vfs.Source.
func (p *processes) Lstat(name string) (vfs.Info, error) {
	info := vfs.Info{
		Nlink: 1, UID: p.tree.turn.asking.job.Host.UID, GID: p.tree.turn.asking.job.Host.GID,
		Atime: p.made, Mtime: p.made, Ctime: p.made, Ino: posix.Inode("process" + name),
	}
	link := func(text string) (vfs.Info, error) {
		info.Mode, info.Size = unix.S_IFLNK|0o777, int64(len(text))
		return info, nil
	}
	if name == "/" {
		info.Mode, info.Nlink = unix.S_IFDIR|0o555, 2
		return info, nil
	}
	if text, ok := p.reader(name); ok {
		return link(text)
	}
	at, err := p.find(name)
	if err != nil {
		return vfs.Info{}, err
	}
	if text, ok := at.links()[at.rest]; ok {
		return link(text)
	}
	fd, isDescriptor := posix.DescriptorName(at.rest)
	switch {
	case at.isDir():
		info.Mode, info.Nlink = unix.S_IFDIR|0o555, 2
	case at.has():
		info.Mode = unix.S_IFREG | 0o444
	case isDescriptor && p.own(at):
		own, e := at.run.handles.grab(fd)
		if e != 0 {
			return vfs.Info{}, unix.ENOENT
		}
		_ = unix.Close(own)
		// A device and not a link: following it is opening it, which is Open's business. Scripts are told of a link, see
		// ownDescriptor.
		info.Mode = unix.S_IFCHR | 0o600
	default:
		return vfs.Info{}, unix.ENOENT
	}
	return info, nil
}

// ReadDir implements vfs.Source.
func (p *processes) ReadDir(name string) ([]vfs.Dirent, error) {
	var out []vfs.Dirent
	add := func(kind uint32, names ...string) {
		for _, n := range names {
			out = append(out, vfs.Dirent{Name: n, Type: kind, Ino: posix.Inode("process" + path.Join(name, n))})
		}
	}
	if name == "/" {
		add(unix.S_IFLNK, "self", "thread-self")
		p.tree.visible(func(m *run) { add(unix.S_IFDIR, strconv.Itoa(m.proc.PID)) })
		return out, nil
	}
	at, err := p.find(name)
	switch {
	case err != nil:
		return nil, err
	case !at.isDir():
		return nil, unix.ENOTDIR
	case at.rest == "fd" && !p.own(at):
		return nil, unix.EACCES
	case at.rest != "":
		var names []string
		vfs.Apart(func() { names, err = procfs.Names(at.directory() + "/" + at.rest) })
		if err != nil || at.run.proc.Exited() {
			return nil, unix.ENOENT
		}
		add(map[string]uint32{"fd": unix.S_IFLNK, "task": unix.S_IFDIR}[at.rest], names...)
		return out, nil
	}
	add(unix.S_IFDIR, "fd")
	if at.leads {
		add(unix.S_IFDIR, "task")
	}
	add(unix.S_IFREG, "cmdline", "comm", "environ")
	add(unix.S_IFREG, ownFiles...)
	for n := range toldFiles {
		add(unix.S_IFREG, n)
	}
	for n := range at.links() {
		add(unix.S_IFLNK, n)
	}
	return out, nil
}

// Readlink implements vfs.Source.
func (p *processes) Readlink(name string) (string, error) {
	if text, ok := p.reader(name); ok {
		return text, nil
	}
	at, err := p.find(name)
	if err != nil {
		return "", err
	}
	if text, ok := at.links()[at.rest]; ok {
		return text, nil
	}
	return "", unix.EINVAL
}

// OpenStream implements vfs's streams: a file of an interpreter is told anew each time that it is read.
func (p *processes) OpenStream(name string, flags int) (int, vfs.Stream, error) {
	at, err := p.find(name)
	if err == nil && at.has() {
		return -1, &ownText{shown: p, at: at}, nil
	}
	fd, err := p.Open(name, flags)
	return fd, nil, err
}

// ownText is an open file of an interpreter. It is read in the process tree's turn, whose caller it is told for.
type ownText struct {
	shown *processes
	at    process

	mu   sync.Mutex
	text []byte // as it was when it was last read from its beginning
}

// Live implements vfs.Live.
func (t *ownText) Live() {}

// Size implements vfs.Stream.
func (t *ownText) Size() int64 { return 0 }

// Close implements vfs.Stream.
func (t *ownText) Close() error { return nil }

// ReadAt implements vfs.Stream.
func (t *ownText) ReadAt(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if off == 0 {
		t.text = t.shown.text(t.at)
	}
	if off < 0 || off >= int64(len(t.text)) {
		return 0, io.EOF
	}
	return copy(b, t.text[off:]), nil
}

// text is what a file that is there says to who asks.
func (p *processes) text(at process) []byte {
	text := at.content()
	if p.asks(at) {
		text = asRunning(at.rest, text)
	}
	return text
}

// Open gives a file's text, or the script another descriptor for one that it has, in no mode that it does not have.
func (p *processes) Open(name string, flags int) (int, error) {
	at, err := p.find(name)
	if err != nil {
		return -1, err
	}
	if fd, ok := posix.DescriptorName(at.rest); ok && p.own(at) {
		return at.run.handles.reopen(fd, flags)
	}
	if !at.has() {
		return -1, unix.ENOENT
	}
	return vfs.Sealed(at.rest, p.text(at))
}

func (t *handleTable) reopen(fd int32, flags int) (int, error) {
	own, h, e := t.open(fd)
	if e != 0 {
		return -1, e
	}
	if s := streamOf(h.file); s != nil { // its number says that it is one, and the new one's would not
		_ = unix.Close(own)
		if vfs.LiveStream(s) {
			return h.file.Descriptor(flags)
		}
		return -1, unix.ENXIO
	}
	has, err := unix.FcntlInt(uintptr(own), unix.F_GETFL, 0)
	if err != nil {
		_ = unix.Close(own)
		return -1, err
	}
	if want := flags & unix.O_ACCMODE; has&unix.O_ACCMODE != unix.O_RDWR && has&unix.O_ACCMODE != want {
		_ = unix.Close(own)
		return -1, unix.EACCES
	}
	// The same description, as opening /dev/stdin gives on a socket or a pipe for all a script can tell.
	return own, nil
}
