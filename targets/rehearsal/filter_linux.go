//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/targets/jail"
)

// Handlers of calls that the world's first process is asked about.
const (
	handleNever   = "never" // refused, and told
	handleConnect = "connect"
	handleBind    = "bind"
	handleSend    = "send"
	handleMessage = "message"
	handleSignal  = "signal"
	handleProcess = "process"
	handleOpen    = "open"
	handleSocket  = "socket"
)

// asked are the calls of which a human is told: each goes to a handler, which lets it through or refuses it.
var asked = []seccomp.Row{
	{Call: "connect", Do: seccomp.Notify, Handler: handleConnect, Why: "nobody can be reached; to whom is told"},
	{Call: "bind", Do: seccomp.Notify, Handler: handleBind, Why: "nobody is served; where is told"},
	{Call: "sendto", Do: seccomp.Notify, Handler: handleSend, When: []seccomp.Condition{{Arg: 4, Wide: true, Values: []uint32{0}, Not: true}}, Why: "it names whom to reach"},
	{Call: "sendto", Do: seccomp.Fail, Errno: unix.EPERM, When: bits(3, unix.MSG_FASTOPEN), Why: "connects with data"},
	{Call: "sendmsg", Do: seccomp.Notify, Handler: handleMessage, Why: "it may name whom to reach"},
	{Call: "sendmmsg", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "it names whom to reach in an array; callers go on with sendmsg"},
	{Call: "kill", Do: seccomp.Notify, Handler: handleSignal, Why: "a process of the host is not there to be signalled; which one is told"},
	{Call: "clone", Do: seccomp.Notify, Handler: handleProcess, Why: "processes are counted"},
	{Call: "fork", Do: seccomp.Notify, Handler: handleProcess, Why: "processes are counted"},
	{Call: "vfork", Do: seccomp.Notify, Handler: handleProcess, Why: "processes are counted"},
	{Call: "socket", Do: seccomp.Notify, Handler: handleSocket, Why: "a family that leads to hardware or to the kernel",
		When: []seccomp.Condition{{Arg: 0, Values: []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}, Not: true}}},
}

// bounds are calls that fail without a word: they take memory that no limit of the world counts, or change what belongs to more
// than the caller, or hide from the filter what they do.
var bounds = append([]seccomp.Row{
	{Call: "memfd_create", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "files that the limit of the disk does not count"},
	{Call: "memfd_secret", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "memory that the limit does not count"},
	{Call: "clone3", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "its flags are in memory; the C library goes on with clone"},
	{Call: "fanotify_mark", Do: seccomp.Fail, Errno: unix.EPERM, Why: "the watch of hidden files"},
	{Call: "seccomp", Do: seccomp.Fail, Errno: unix.EPERM, Why: "a filter of its own could answer for this one"},
	{Call: "prctl", Do: seccomp.Fail, Errno: unix.EPERM, When: []seccomp.Condition{{Arg: 0, Values: []uint32{unix.PR_SET_SECCOMP}}}, Why: "a filter of its own"},
	{Call: "ioctl", Do: seccomp.Fail, Errno: unix.EPERM, When: []seccomp.Condition{{Arg: 1, Values: []uint32{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCCONS}}}, Why: "the input of terminals"},
}, jail.Background()...)

// opens are the calls that read a file where the kernel does not ask about it, see watch.
var opens = []seccomp.Row{
	{Call: "openat", Do: seccomp.Notify, Handler: handleOpen, Why: "a hidden file must not be read"},
	{Call: "open", Do: seccomp.Notify, Handler: handleOpen, Why: "a hidden file must not be read"},
	{Call: "openat2", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "how it opens is in memory, where no filter sees it"},
}

// bits holds where an argument has one of them.
func bits(arg int, mask uint32) []seccomp.Condition {
	return []seccomp.Condition{{Arg: arg, Mask: mask, Values: []uint32{0}, Not: true}}
}

// policy is the filter of every command in the world. What the jail never lets through is refused here too, and told.
func policy(lookups bool) seccomp.Policy {
	rows := append(bounds[:len(bounds):len(bounds)], asked...)
	for _, r := range jail.Never() {
		r.Do, r.Errno, r.Handler = seccomp.Notify, 0, handleNever
		rows = append(rows, r)
	}
	if lookups {
		rows = append(rows, opens...)
	}
	return seccomp.Policy{Rows: rows, Rest: seccomp.ActionAllow, Foreign: seccomp.Errno(unix.ENOSYS)}
}

// effects are calls in words, for who reads what a command tried. Others go by their own names.
var effects = map[string]string{
	"mount": "mount a file system", "umount2": "unmount a file system", "fsopen": "mount a file system", "open_tree": "mount a file system",
	"move_mount": "move a mount", "mount_setattr": "change a mount", "pivot_root": "change the root", "chroot": "change the root",
	"swapon": "add swap space", "swapoff": "remove swap space", "setns": "enter a namespace", "unshare": "make a namespace",
	"init_module": "load a kernel module", "finit_module": "load a kernel module", "delete_module": "remove a kernel module",
	"kexec_load": "load another kernel", "kexec_file_load": "load another kernel", "reboot": "reboot or power off",
	"settimeofday": "set the clock", "clock_settime": "set the clock", "sethostname": "set the host's name", "setdomainname": "set the host's name",
	"bpf": "use BPF", "perf_event_open": "trace the kernel", "ptrace": "trace a process", "process_vm_readv": "read a process's memory",
	"process_vm_writev": "write a process's memory", "add_key": "add a key to the kernel", "keyctl": "use the kernel's keys",
	"request_key": "use the kernel's keys", "quotactl": "change quotas", "acct": "account for processes",
}

// inWords is a call as a human reads it.
func inWords(call string) string {
	if text, is := effects[call]; is {
		return text
	}
	return "call " + strings.ReplaceAll(call, "_", " ")
}
