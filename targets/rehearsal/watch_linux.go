//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch keeps hidden files from being opened. The kernel itself asks about each open file where this process is root of the machine
// (fanotify(7)): by its descriptor, so that no name can change meanwhile. Elsewhere the filter of system calls asks about
// names, see answers.
type watch struct {
	lookups bool // the filter has to ask
	allowed map[string]bool

	mu     sync.Mutex
	denied func(name string) // nil for nobody
}

func watchOpens(p *place, l *line) (*watch, error) {
	w := &watch{allowed: map[string]bool{}}
	if !l.hides {
		return w, nil
	}
	if p.unprivileged {
		w.lookups = true
		return w, nil
	}
	for _, name := range accounts {
		w.allowed[name] = true // a stand-in
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS, unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch hidden files: %w", err)
	}
	for _, layer := range p.layers {
		if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_MOUNT, unix.FAN_OPEN_PERM|unix.FAN_ONDIR, unix.AT_FDCWD, layer.at); err != nil {
			return nil, fmt.Errorf("watch hidden files below %s: %w", layer.at, err)
		}
	}
	go w.serve(fd, l)
	return w, nil
}

// serve answers the kernel. What it cannot tell is denied.
func (w *watch) serve(fd int, l *line) {
	const size = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	buffer := make([]byte, 256*size)
	for {
		n, err := unix.Read(fd, buffer)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		} else if err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "watch hidden files:", err)
			os.Exit(1) // without it nothing may be opened
		}
		for at := 0; at+size <= n; {
			event := (*unix.FanotifyEventMetadata)(unsafe.Pointer(&buffer[at]))
			if event.Event_len < uint32(size) {
				break
			}
			at += int(event.Event_len)
			if event.Fd < 0 {
				continue
			}
			answer := unix.FanotifyResponse{Fd: event.Fd, Response: unix.FAN_DENY}
			if event.Pid == int32(os.Getpid()) || w.mayOpen(int(event.Fd), l) {
				answer.Response = unix.FAN_ALLOW
			}
			_, _ = unix.Write(fd, unsafe.Slice((*byte)(unsafe.Pointer(&answer)), unsafe.Sizeof(answer)))
			_ = unix.Close(int(event.Fd))
		}
	}
}

func (w *watch) mayOpen(fd int, l *line) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return false
	}
	name = strings.TrimSuffix(name, " (deleted)")
	if w.allowed[name] || !l.hides1(name) {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denied != nil {
		w.denied(name)
	}
	return false
}

// tell says who is told of what is denied.
func (w *watch) tell(denied func(name string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.denied = denied
}

// limit ends all commands where one of the world's limits is met, until the function is called that it returns, which says in
// words which one that was.
func (s *stage) limit(_ int, a *answers) (stopped func() string) {
	done, over := make(chan struct{}), make(chan struct{})
	var why atomic.Pointer[string]
	stop := func(text string) {
		why.CompareAndSwap(nil, &text)
		_ = unix.Kill(-1, unix.SIGKILL)
	}
	a.stop = stop
	go func() {
		defer close(over)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				if now.After(s.deadline) {
					stop(fmt.Sprintf("it took longer than %s", s.order.Limits.Wall))
				} else if used() > s.order.Limits.Memory {
					stop("it needed more memory than a rehearsal may")
				}
			}
		}
	}()
	return sync.OnceValue(func() string {
		close(done)
		<-over
		if text := why.Load(); text != nil {
			return *text
		}
		return ""
	})
}

// used is the memory of all processes of the world but this one, in bytes.
func used() (bytes int64) {
	for _, pid := range processes() {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status") // #nosec G304 -- a number
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if key, rest, _ := strings.Cut(line, ":"); key == "RssAnon" || key == "RssShmem" {
				if fields := strings.Fields(rest); len(fields) > 0 {
					n, _ := strconv.ParseInt(fields[0], 10, 64)
					bytes += n << 10
				}
			}
		}
	}
	return bytes
}

// processes are those of the world but this one.
func processes() (list []int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = proc.Close() }()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() {
			list = append(list, pid)
		}
	}
	return list
}

// left are the names of processes that are alive after the command's end.
func left() (names []string) {
	for _, pid := range processes() {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat") // #nosec G304 -- a number
		if err != nil {
			continue
		}
		before, after, ok := strings.Cut(string(text), ") ")
		_, name, ok2 := strings.Cut(before, "(")
		if ok && ok2 && !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X") && len(names) < maxLeft {
			names = append(names, name)
		}
	}
	return names
}

// maxLeft bounds the processes that are named.
const maxLeft = 100

// empty ends every process of the world but this one, and returns when none is left.
func empty() {
	for range 1000 {
		_ = unix.Kill(-1, unix.SIGKILL)
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if errors.Is(err, unix.ECHILD) {
				return
			}
			if pid <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
}
