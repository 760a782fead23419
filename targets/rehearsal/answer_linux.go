//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
)

// Bounds of what is told of a command's attempts.
const (
	maxAttempts = 200 // different ones
	maxAbout    = 256 // bytes of one
)

// maxStarted is how many processes and threads a command may start, whether or not they have ended.
const maxStarted = 20_000

// answers answers the filter of one command. Where a call may go on it does so with arguments that the command could change
// meanwhile: such a call reaches nothing outside the world whatever they are, but for opens in an unprivileged world.
type answers struct {
	stage  *stage
	effect *targets.Effect
	stop   func(why string)
	done   sync.WaitGroup

	mu      sync.Mutex // of effect.Refused
	started int
	counted int // started when processes were last counted
	buffer  [seccomp.MaxPath]byte
	calls   map[int32]string
}

func newAnswers(s *stage, e *targets.Effect) *answers {
	a := &answers{stage: s, effect: e, calls: policy(s.watch.lookups).Handlers()}
	s.watch.tell(func(name string) { a.note("open a hidden file", name) })
	return a
}

// begin answers what comes at a listener until no process has its filter.
func (a *answers) begin(listener int) {
	a.done.Go(func() {
		jail.Answer(listener, func(n *seccomp.Notification) {
			reply := seccomp.Response{ID: n.ID}
			if e := a.answer(n, listener); e != 0 {
				reply.Err = -int32(e) // #nosec G115 -- an errno
			} else {
				reply.Flags = seccomp.Continue
			}
			seccomp.Send(listener, &reply)
		})
	})
}

// end waits until everything was answered that the command's processes asked. None is alive any more.
func (a *answers) end() {
	a.done.Wait()
	a.stage.watch.tell(nil)
}

// note tells of an attempt.
func (a *answers) note(what, about string) {
	about = about[:min(len(about), maxAbout)]
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.effect.Refused {
		if r := &a.effect.Refused[i]; r.What == what && r.About == about {
			r.Times++
			return
		}
	}
	if len(a.effect.Refused) >= maxAttempts {
		a.effect.RefusedCut = true
		return
	}
	a.effect.Refused = append(a.effect.Refused, targets.Attempt{What: what, About: about, Times: 1})
}

// answer is 0 where the call may go on, else what it fails with.
func (a *answers) answer(n *seccomp.Notification, listener int) unix.Errno {
	switch a.calls[n.Nr] {
	case handleConnect:
		return a.address(n, "connect", n.Args[1], n.Args[2])
	case handleBind:
		return a.address(n, "listen", n.Args[1], n.Args[2])
	case handleSend:
		return a.address(n, "send", n.Args[4], n.Args[5])
	case handleMessage:
		var header [16]byte // msg_name and msg_namelen of struct msghdr
		if got, e := seccomp.ReadMemory(int(n.PID), n.Args[1], header[:]); e != 0 || got < len(header) {
			return unix.EFAULT
		}
		if name := binary.LittleEndian.Uint64(header[:]); name != 0 {
			return a.address(n, "send", name, uint64(binary.LittleEndian.Uint32(header[8:])))
		}
		return 0
	case handleSignal:
		return a.signal(int32(n.Args[0]), int32(n.Args[1])) // #nosec G115 -- as the kernel takes them
	case handleProcess:
		return a.process(n)
	case handleOpen:
		return a.open(n, listener)
	case handleSocket:
		a.note("open a socket of another family", strconv.Itoa(int(int32(n.Args[0])))) // #nosec G115 -- as the kernel takes it
		return unix.EAFNOSUPPORT
	}
	a.note(inWords(seccomp.Name(n.Nr)), "")
	return unix.EPERM
}

// address refuses to reach an address, and tells which. Netlink leads to the world's own kernel tables alone.
func (a *answers) address(n *seccomp.Notification, what string, at, size uint64) unix.Errno {
	var raw [128]byte
	got, e := seccomp.ReadMemory(int(n.PID), at, raw[:min(size, uint64(len(raw)))])
	if e != 0 {
		return unix.EFAULT
	}
	if got < 2 {
		return unix.EINVAL
	}
	about, family := text(raw[:got])
	switch {
	case family == unix.AF_NETLINK && what != "connect":
		return 0
	case family == unix.AF_UNIX && what == "listen":
		return 0 // a file of the world, which the changes show
	case family == unix.AF_UNIX && strings.HasPrefix(about, "/") && !strings.HasPrefix(about, "/dev/"):
		if _, err := os.Lstat(about); err != nil {
			return unix.ENOENT // as on the host
		}
	}
	if family == unix.AF_UNSPEC {
		return 0 // it ends a connection, and none is there
	}
	if family == unix.AF_UNIX && (strings.Contains(about, "dbus") || strings.HasPrefix(about, "/run/systemd/")) {
		about += " (system services: systemd, D-Bus)"
	}
	a.note(what, about)
	if family == unix.AF_UNIX {
		return unix.ECONNREFUSED
	}
	if what == "listen" {
		return unix.EACCES
	}
	return unix.ENETUNREACH
}

// text is an address in words, from struct sockaddr.
func text(raw []byte) (string, uint16) {
	family := binary.LittleEndian.Uint16(raw)
	switch {
	case family == unix.AF_INET && len(raw) >= 8:
		port := binary.BigEndian.Uint16(raw[2:])
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[4:8])), port).String(), family
	case family == unix.AF_INET6 && len(raw) >= 24:
		port := strconv.Itoa(int(binary.BigEndian.Uint16(raw[2:])))
		return net.JoinHostPort(netip.AddrFrom16([16]byte(raw[8:24])).Unmap().String(), port), family
	case family == unix.AF_UNIX && len(raw) > 2 && raw[2] == 0:
		return "@" + string(raw[3:]), family
	case family == unix.AF_UNIX:
		name, _, _ := strings.Cut(string(raw[2:]), "\x00")
		return name, family
	}
	return "an address of family " + strconv.Itoa(int(family)), family
}

// signal lets a command signal what it has started, and tells whom else it meant.
func (a *answers) signal(pid, sig int32) unix.Errno {
	name := unix.SignalName(unix.Signal(sig))
	if name == "" {
		name = strconv.Itoa(int(sig))
	}
	switch {
	case pid == 0:
		return 0
	case pid == 1:
		a.note("signal", name+" to process 1")
		return unix.EPERM
	case pid == -1:
		a.note("signal", name+" to every process")
		return unix.EPERM
	}
	if unix.Kill(int(pid), 0) == nil {
		return 0
	}
	if pid < 0 {
		a.note("signal", name+" to process group "+strconv.Itoa(int(-pid)))
	} else {
		a.note("signal", name+" to process "+strconv.Itoa(int(pid)))
	}
	return unix.ESRCH
}

// namespaces are the flags of clone(2) that make one.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// process counts processes and threads, and refuses namespaces.
func (a *answers) process(n *seccomp.Notification) unix.Errno {
	if seccomp.Name(n.Nr) == "clone" && n.Args[0]&namespaces != 0 {
		a.note("make a namespace", "")
		return unix.EPERM
	}
	a.started++
	limit := a.stage.order.Limits.Processes
	if a.started > maxStarted {
		a.stop("it started more processes than a rehearsal may")
		return unix.EAGAIN
	}
	if a.started-a.counted >= limit/4 {
		tasks := count()
		if tasks >= limit {
			a.note("have more processes than a rehearsal may", strconv.Itoa(limit))
			return unix.EAGAIN
		}
		if tasks < limit/2 {
			a.counted = a.started
		}
	}
	return 0
}

// count counts the threads of the world's processes but this one.
func count() (n int) {
	for _, pid := range processes() {
		var s unix.Stat_t
		if unix.Stat("/proc/"+strconv.Itoa(pid)+"/task", &s) == nil && s.Nlink > 2 {
			n += int(s.Nlink) - 2 // #nosec G115 -- far smaller
		}
	}
	return n
}

// open lets a name be opened that is not hidden.
func (a *answers) open(n *seccomp.Notification, listener int) unix.Errno {
	name, known := jail.OpenedName(n, &a.buffer)
	if !known {
		return unix.EACCES
	}
	if name == "" || strings.HasPrefix(name, "/proc/") || !a.stage.hides1(name) {
		if !seccomp.Valid(listener, n.ID) {
			return unix.EACCES
		}
		return 0
	}
	a.note("open a hidden file", name)
	return unix.EACCES
}
