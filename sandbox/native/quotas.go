//go:build linux && (amd64 || arm64)

package native

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
)

// What the kernel counts for a user, or for the machine, and not for a process is shared with the gateway, which must not
// find it used up. Calls that make such objects are asked about and counted for all interpreters of a session; the calls
// that use them are not. Who closes what asks nobody: where a count is at its bound, what is really there is counted anew.

const (
	// mostPipes is how many pipes a session has at once, where the kernel's own bound leaves that, see pipesOf.
	mostPipes = 256
	// socketMemory is what the kernel may hold for the sockets of a session, in bytes.
	socketMemory = 64 << 20
	// fewest is what a session has of everything, whatever the kernel's bounds are.
	fewest = 16
	// mostFiles is how many descriptors and mappings of files a session has at once. Descriptors of files that an interpreter
	// makes alone, as event counters, are bounded for each by RLIMIT_NOFILE.
	mostFiles = 16 * maxDescriptors
	// mostWatches is how many files a session watches by epoll(7) at once, each epoll instance counting for two.
	mostWatches = 4096
	// mostInstances is how many epoll instances a session has at once. One of them is watched by the supervisor, which the
	// kernel allows on fewer than five hundred ways, see path_limits in fs/eventpoll.c.
	mostInstances = 128
)

// kernelBound reads a number of /proc/sys, or returns usual where there is none.
func kernelBound(name string, usual int64) int64 {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(procfs.Small("/proc/sys/"+name))), 10, 64)
	if err != nil {
		return usual
	}
	return n
}

// within is a bound of a session's: what the kernel's leaves, no more than most.
func within(left int64, most int) int { return int(max(fewest, min(left, int64(most)))) }

// pipesOf bounds a session's pipes: to a quarter of the pages that the kernel gives to pipes of one user without shrinking
// them. See pipe-user-pages-soft in proc_sys_fs(5).
var pipesOf = sync.OnceValue(func() int {
	pages := kernelBound("fs/pipe-user-pages-soft", 16384)
	if hard := kernelBound("fs/pipe-user-pages-hard", 0); hard > 0 && (pages == 0 || hard < pages) {
		pages = hard
	}
	if pages == 0 {
		return mostPipes
	}
	const pagesOfOne = 16
	return within(pages/pagesOfOne/4, mostPipes)
})

// socketsOf bounds a session's sockets by what each may have on the way to it. A send is begun while there is room, and may
// then be half as large as all of it: see unix_stream_sendmsg in net/unix/af_unix.c.
var socketsOf = sync.OnceValue(func() int {
	room := max(1, kernelBound("net/core/wmem_default", 212992))
	return within(socketMemory/(room+room/2), maxDescriptors)
})

// filesOf bounds a session's open files to a 64th of the machine's, but to no fewer than two interpreters may have.
var filesOf = sync.OnceValue(func() int {
	return max(2*maxDescriptors, within(kernelBound("fs/file-max", math.MaxInt64)/64, mostFiles))
})

// watchesOf bounds a session's watches: 64 sessions leave the user of the gateway three quarters of them.
var watchesOf = sync.OnceValue(func() int {
	return max(4*fewest, within(kernelBound("fs/epoll/max_user_watches", mostWatches*256)/256, mostWatches))
})

// objects is what the interpreters of a process tree have made in the kernel. It is of the process tree's turn.
type objects struct {
	pipes, sockets, files tally
	epolls                epolls
	told                  map[string]bool
}

// A tally counts objects of one kind: no fewer than there are.
type tally struct {
	made int
	due  time.Time // when they may be counted anew
}

// room reports whether there is room for so many more below a bound. Where there seems to be none, count says how many there
// are; it is given no more than a twentieth of a processor, and waits for that.
func (t *tally) room(c *caller, more, bound int, count func() int) bool {
	if t.made+more > bound {
		c.pauseUntil(t.due)
		begun := time.Now()
		vfs.Apart(func() { t.made = count() }) // by what /proc has of interpreters, which is root's alone
		if t.made > bound/2 {
			t.due = time.Now().Add(min(time.Second, 20*time.Since(begun)))
		}
	}
	if t.made+more > bound {
		return false
	}
	t.made += more
	return true
}

// pauseUntil keeps the thread that asked waiting, unless its interpreter is to end.
func (c *caller) pauseUntil(due time.Time) {
	for time.Now().Before(due) && !c.proc.Exited() && c.ctx.Err() == nil {
		time.Sleep(min(supervisor.Tick/20, time.Until(due)))
	}
}

// watchesWord is what registrations are called.
const watchesWord = "files that it watches by epoll"

// tellBound says once that a bound of this kind was met.
func (f *processTree) tellBound(what string, bound int) {
	f.blamed.mu.Lock()
	f.blamed.met = fmt.Sprintf("%d %s", bound, what)
	f.blamed.mu.Unlock()
	if f.objects.told[what] {
		return
	}
	if f.objects.told == nil {
		f.objects.told = map[string]bool{}
	}
	f.objects.told[what] = true
	f.tell(fmt.Sprintf("the script has %d %s, as many as a session may have at once", bound, what))
}

// makePipe answers pipe(2) and pipe2(2), whose flags the filter has seen.
func (o *objectCalls) makePipe(*seccomp.Notification) answer {
	f := o.tree
	if !f.objects.pipes.room(o.caller, 1, pipesOf(), func() int { return f.openOf(unix.S_IFIFO) }) {
		f.tellBound("pipes", pipesOf())
		return failed(unix.ENFILE)
	}
	return answer{resume: true}
}

// makePair answers socketpair(2), whose kind the filter has seen.
func (o *objectCalls) makePair(*seccomp.Notification) answer {
	f := o.tree
	if !f.objects.sockets.room(o.caller, 2, socketsOf(), func() int { return f.openOf(unix.S_IFSOCK) }) {
		f.tellBound("sockets", socketsOf())
		return failed(unix.ENFILE)
	}
	return answer{resume: true}
}

// mayOpen counts what becomes an open file. A mapping keeps one without a descriptor, and where it is shared and of nothing, it is
// one.
func (o *objectCalls) mayOpen() bool {
	f := o.tree
	if f.objects.files.room(o.caller, 1, filesOf(), f.openFiles) {
		return true
	}
	f.tellBound("open files and mappings of files", filesOf())
	return false
}

// mapping answers mmap(2) where it is shared, or where its descriptor may be a stream.
func (o *objectCalls) mapping(n *seccomp.Notification) answer {
	flags, fd := n.Args[3], int32(n.Args[4]) // #nosec G115 -- a descriptor
	if flags&unix.MAP_ANONYMOUS == 0 && fd >= streamBit {
		if a := o.streams.refuse(fd, unix.ENODEV); !a.resume {
			return a
		}
	}
	if kind := flags & unix.MAP_TYPE; (kind == unix.MAP_SHARED || kind == unix.MAP_SHARED_VALIDATE) && !o.mayOpen() {
		return failed(unix.ENFILE)
	}
	return answer{resume: true}
}

// openFiles counts the descriptors and the mappings of files that the interpreters have: no fewer than there are open files.
func (f *processTree) openFiles() (n int) {
	var pids []int
	f.visible(func(m *run) { pids = append(pids, m.proc.PID) })
	for _, pid := range pids {
		names, _ := procfs.Names(fmt.Sprintf("/proc/%d/fd", pid))
		n += len(names) + mappedFiles(pid, filesOf())
	}
	return n
}

// mappedFiles counts the mappings of files of a process, up to a bound, see proc_pid_maps(5): the fifth field is the inode.
func mappedFiles(pid, most int) (n int) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = maps.Close() }()
	for lines := bufio.NewScanner(maps); n < most && lines.Scan(); {
		if fields := bytes.Fields(lines.Bytes()); len(fields) >= 5 && string(fields[4]) != "0" {
			n++
		}
	}
	return n
}

// openOf counts the pipes or sockets that the interpreters have open. One that a thread moves about and back between two
// looks, or waits for while nobody has a descriptor of it any more, is missed until the next count: no more than threads.
func (f *processTree) openOf(kind uint32) int {
	open := map[inode]bool{}
	see := func(st *unix.Stat_t) {
		if st.Mode&unix.S_IFMT == kind {
			open[inodeOf(st)] = true
		}
	}
	for range 2 {
		for _, pid := range f.pids() {
			_ = procfs.EachOpen(pid, see) // of one that has ended there is nothing
		}
	}
	for _, fd := range f.carried() {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			see(&st)
		}
	}
	return len(open)
}

// epolls is the epoll instances of a process tree. A registration lasts as long as the watched file is open by whatever
// descriptor, so that one number can be registered again and again: they are counted by the kernel's own list of them. The
// supervisor makes the instances, and knows each by a mark: a registration of its own that never has an event, with a number
// that nobody else knows. An instance of its own watches all of them, and the kernel takes from that what nobody has any more.
// So what lives is known for certain. While one lives that cannot be looked at, since its descriptors are closed and a
// thread waits for it, nothing is given back.
type epolls struct {
	watches, instances tally
	lives              int // the instance that watches the others; 0 before there is one
	mark               int // what is registered in each
}

// begin makes what instances are known by.
func (e *epolls) begin() error {
	if e.lives > 0 {
		return nil
	}
	lives, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	mark, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(lives)
		return err
	}
	e.lives, e.mark = lives, mark
	return nil
}

// eventPoll is what the kernel calls an epoll instance in /proc/PID/fd.
const eventPoll = "anon_inode:[eventpoll]"

// close releases what is known by them.
func (e *epolls) close() {
	if e.lives > 0 {
		_, _ = unix.Close(e.lives), unix.Close(e.mark)
		e.lives = 0
	}
}

// watchesOfInstance is what an instance counts for: its mark, and that it is watched itself.
const watchesOfInstance = 2

// makeEpoll answers epoll_create(2) and epoll_create1(2).
func (o *objectCalls) makeEpoll(n *seccomp.Notification) answer {
	flags := int32(n.Args[0])
	if seccomp.Name(n.Nr) == "epoll_create" {
		if flags <= 0 { // a size
			return failed(unix.EINVAL)
		}
		flags = 0
	}
	if flags&^unix.EPOLL_CLOEXEC != 0 {
		return failed(unix.EINVAL)
	}
	f := o.tree
	e := &f.objects
	if !e.epolls.instances.room(o.caller, 1, mostInstances, e.epolls.count) {
		f.tellBound("epoll instances", mostInstances)
		return failed(unix.EMFILE)
	}
	if !o.mayWatch(watchesOfInstance) {
		return failed(unix.EMFILE)
	}
	fd, err := e.epolls.instance()
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return answer{inject: true, fd: fd, cloexec: flags != 0}
}

// instance makes an instance and its mark.
func (e *epolls) instance() (int, error) {
	if err := e.begin(); err != nil {
		return -1, err
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return -1, err
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	event := unix.EpollEvent{
		Fd: int32(binary.NativeEndian.Uint32(id[:])), Pad: int32(binary.NativeEndian.Uint32(id[4:])), // #nosec G115 -- bits
	}
	err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, e.mark, &event)
	if err == nil {
		err = unix.EpollCtl(e.lives, unix.EPOLL_CTL_ADD, fd, &event)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// addWatch answers epoll_ctl(2) with EPOLL_CTL_ADD: the kernel does it where there is room.
func (o *objectCalls) addWatch(*seccomp.Notification) answer {
	if !o.mayWatch(1) {
		return failed(unix.ENOSPC)
	}
	return answer{resume: true}
}

// mayWatch counts registrations.
func (o *objectCalls) mayWatch(more int) bool {
	f := o.tree
	if f.objects.epolls.watches.room(o.caller, more, watchesOf(), f.watches) {
		return true
	}
	f.tellBound(watchesWord, watchesOf())
	return false
}

// living is the numbers of the instances that somebody has. It is not known where the kernel does not say it.
func (e *epolls) living() (ids map[string]bool, known bool) {
	ids = map[string]bool{}
	if e.lives <= 0 {
		return ids, true
	}
	list := procfs.Small(fmt.Sprintf("/proc/self/fdinfo/%d", e.lives))
	for id := range registrations(list) {
		ids[id] = true
	}
	return ids, len(list) > 0
}

// count is how many instances there are.
func (e *epolls) count() int {
	ids, known := e.living()
	if !known {
		return e.instances.made
	}
	return len(ids)
}

// watches counts the registrations in the instances of the process tree, or gives the count that there was where that is not known.
func (f *processTree) watches() int {
	e := &f.objects.epolls
	seen := map[string]int{}
	living, known := e.living()
	if !known {
		return e.watches.made
	}
	look := func(name string) {
		all, id := 0, ""
		for data := range registrations(procfs.Small(name)) {
			if all++; living[data] {
				id = data
			}
		}
		if id != "" {
			seen[id] = all
		}
	}
	for _, pid := range f.pids() {
		base := fmt.Sprintf("/proc/%d/", pid)
		names, _ := procfs.Names(base + "fd")
		for _, name := range names {
			if kind, _ := os.Readlink(base + "fd/" + name); kind == eventPoll {
				look(base + "fdinfo/" + name)
			}
		}
	}
	for _, fd := range f.carried() {
		look(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	}
	total := 0
	for id := range living {
		n, ok := seen[id]
		if !ok {
			return e.watches.made
		}
		total += n + 1
	}
	return total
}

// registrations yields the data of each registration in what the kernel says of an epoll instance, see proc_pid_fdinfo(5):
//
//	tfd:       12 events:       19 data:                c  pos:0 ino:2e1b sdev:e
func registrations(fdinfo []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(fdinfo) {
			rest, ok := bytes.CutPrefix(line, []byte("tfd:"))
			if !ok {
				continue
			}
			_, rest, _ = bytes.Cut(rest, []byte("data:"))
			if fields := bytes.Fields(rest); len(fields) > 0 && !yield(string(fields[0])) {
				return
			}
		}
	}
}

// descriptionLocks bounds the locks that belong to open file descriptions, which the kernel holds: of flock(2), one for each,
// and those of F_OFD_SETLK in fcntl(2), any number. A mapping keeps a description, and its locks, without a descriptor, so
// that they are counted by the kernel's own list of them.
type descriptionLocks struct {
	tally tally
	files map[inode]bool // on which there may be some
}

// room counts so many more locks on a file.
func (d *descriptionLocks) room(c *caller, file inode, more int) bool {
	if !d.tally.room(c, more, maxLocks, d.count) {
		return false
	}
	if d.files == nil {
		d.files = map[inode]bool{}
	}
	d.files[file] = true
	return true
}

// count counts the locks on the files, see proc_locks(5), and forgets those that have none.
//
//	3: OFDLCK ADVISORY  WRITE -1 00:01:2055 0 EOF
func (d *descriptionLocks) count() int {
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return d.tally.made
	}
	names := map[string]inode{}
	for file := range d.files {
		names[fmt.Sprintf("%02x:%02x:%d", unix.Major(file.dev), unix.Minor(file.dev), file.ino)] = file
	}
	d.files = map[inode]bool{}
	n := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[1] != "OFDLCK" && fields[1] != "FLOCK" {
			continue
		}
		if file, ok := names[fields[5]]; ok {
			d.files[file] = true
			n++
		}
	}
	return n
}
