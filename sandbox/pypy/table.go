//go:build linux && (amd64 || arm64)

package pypy

import (
	"fmt"
	"strings"
	"syscall"
)

// A treatment is what the driver does with a function.
type treatment uint8

const (
	answer  treatment = iota // do what it asks, in the script's own world
	pretend                  // answer a fixed value: there is nothing to do
	refuse                   // answer with an errno, which Python raises as an OSError
)

// A handler answers a call. An errno as its error reaches the child with the result -1 (NULL for a pointer); any other
// error ends the run.
type handler func(c *calls, a []uint64) (int64, error)

// A function says how one external function is treated, and why. It is one row of the table below.
type function struct {
	signature string // name(argument types)result type, as the child names it
	do        treatment
	call      handler       // with answer
	value     int64         // with pretend
	errno     syscall.Errno // with refuse
	why       string

	words  int  // arguments
	result byte // 'i', 'p', 'f' or 'v'
}

// functions are the rows by signature. A function that has none is refused with ENOSYS.
var functions = map[string]*function{}

// init, since the handlers refer to the table.
func init() {
	for i := range table {
		f := &table[i]
		if err := f.parse(); err != nil {
			panic(err)
		}
		functions[f.signature] = f
	}
}

// parse fills in what the signature says.
func (f *function) parse() error {
	name, rest, ok := strings.Cut(f.signature, "(")
	types, result, ok2 := strings.Cut(rest, ")")
	if !ok || !ok2 || name == "" || len(result) != 1 || !strings.Contains("ipfv", result) {
		return fmt.Errorf("%q is no signature", f.signature)
	}
	for i := range len(types) {
		switch types[i] {
		case 'i', 'p', 'f':
			f.words++
		case 'v':
		default:
			return fmt.Errorf("%q is no signature", f.signature)
		}
	}
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return fmt.Errorf("%q is no signature", f.signature)
		}
	}
	f.result = result[0]
	return nil
}

// unknownFunction is the row of a function that the table lacks.
func unknownFunction(signature string) (*function, bool) {
	f := &function{signature: signature, do: refuse, errno: syscall.ENOSYS, why: "not in the table"}
	return f, f.parse() == nil
}

// table has a row for every function that a known executable names, and for those of the protocol that it does not.
var table = []function{
	// Files, in the script's view.
	{signature: "open(pii)i", call: on(opensOf, (*openCalls).open), why: "through the view"},
	{signature: "openat(ipii)i", call: on(opensOf, (*openCalls).openat), why: "through the view"},
	{signature: "close(i)i", call: on(descriptorsOf, (*descriptorCalls).closeDescriptor), why: "the driver's own table"},
	{signature: "read(ipi)i", call: on(contentOf, (*contentCalls).read), why: "what the driver opened"},
	{signature: "pread(ipii)i", call: on(contentOf, (*contentCalls).pread), why: "what the driver opened"},
	{signature: "write(ipi)i", call: on(contentOf, (*contentCalls).write), why: "the overlay, scratch or a stream, within the limits"},
	{signature: "pwrite(ipii)i", call: on(contentOf, (*contentCalls).pwrite), why: "the overlay or scratch, within the limits"},
	{signature: "lseek(iii)i", call: on(contentOf, (*contentCalls).lseek), why: "a position of its own"},
	{signature: "ftruncate(ii)i", call: on(contentOf, (*contentCalls).ftruncate), why: "the overlay or scratch, within the limits"},
	{signature: "posix_fallocate(iii)i", call: on(contentOf, (*contentCalls).fallocate), why: "the overlay or scratch, within the limits"},
	{signature: "posix_fadvise(iiii)i", do: pretend, why: "advice"},
	{signature: "fsync(i)i", call: on(descriptorsOf, (*descriptorCalls).sync), why: "nothing is on a disk"},
	{signature: "fdatasync(i)i", call: on(descriptorsOf, (*descriptorCalls).sync), why: "nothing is on a disk"},
	{signature: "sync()v", do: pretend, why: "nothing is on a disk"},
	{signature: "lockf(iii)i", call: on(descriptorsOf, (*descriptorCalls).sync), why: "nobody else has the file"},
	{signature: "sendfile(iipi)i", do: refuse, errno: syscall.EINVAL, why: "reading and writing does the same"},
	{signature: "dup(i)i", call: on(descriptorsOf, (*descriptorCalls).dup), why: "the driver's own table"},
	{signature: "dup2(ii)i", call: on(descriptorsOf, (*descriptorCalls).dup2), why: "the driver's own table"},
	{signature: "rpy_dup_noninheritable(i)i", call: on(descriptorsOf, (*descriptorCalls).dup), why: "nothing is inherited"},
	{signature: "rpy_dup2_noninheritable(ii)i", call: on(descriptorsOf, (*descriptorCalls).dup2), why: "nothing is inherited"},
	{signature: "rpy_get_inheritable(i)i", call: on(descriptorsOf, (*descriptorCalls).sync), why: "nothing is inherited"},
	{signature: "rpy_set_inheritable(ii)i", call: on(descriptorsOf, (*descriptorCalls).sync), why: "nothing is inherited"},
	{signature: "rpy_get_status_flags(i)i", call: on(descriptorsOf, (*descriptorCalls).statusFlags), why: "the driver's own table"},
	{signature: "rpy_set_status_flags(ii)i", call: on(descriptorsOf, (*descriptorCalls).setStatusFlags), why: "the driver's own table"},
	{signature: "fcntl(iii)i", call: on(descriptorsOf, (*descriptorCalls).fcntl), why: "duplicates and flags; no locks, owners or leases"},
	{signature: "ioctl(iip)i", call: on(descriptorsOf, (*descriptorCalls).ioctl), why: "nothing is a terminal or a device"},
	{signature: "isatty(i)i", call: on(descriptorsOf, (*descriptorCalls).isatty), why: "nothing is a terminal"},
	{signature: "pipe(p)i", call: on(descriptorsOf, (*descriptorCalls).pipe), why: "between the script and its commands"},
	{signature: "pipe2(pi)i", call: on(descriptorsOf, (*descriptorCalls).pipe2), why: "between the script and its commands"},
	{signature: "select(ipppp)i", call: on(pollsOf, (*pollCalls).selectCall), why: "sleeping, and waiting for pipes"},
	{signature: "get_stdout()p", call: on(descriptorsOf, (*descriptorCalls).standardOutput), why: "a handle that means descriptor 1"},
	{signature: "fileno(p)i", call: on(descriptorsOf, (*descriptorCalls).fileno), why: "of that handle"},

	// Names, in the script's view.
	{signature: "stat64(pp)i", call: on(statsOf, (*statCalls).stat), why: "through the view"},
	{signature: "lstat64(pp)i", call: on(statsOf, (*statCalls).lstat), why: "through the view"},
	{signature: "fstat64(ip)i", call: on(statsOf, (*statCalls).fstat), why: "what the driver opened"},
	{signature: "fstatat64(ippi)i", call: on(statsOf, (*statCalls).fstatat), why: "through the view"},
	{signature: "access(pi)i", call: on(statsOf, (*statCalls).access), why: "through the view"},
	{signature: "faccessat(ipii)i", call: on(statsOf, (*statCalls).faccessat), why: "through the view"},
	{signature: "readlink(ppi)i", call: on(statsOf, (*statCalls).readlink), why: "through the view"},
	{signature: "readlinkat(ippi)i", call: on(statsOf, (*statCalls).readlinkat), why: "through the view"},
	{signature: "opendir(p)p", call: on(listingsOf, (*listingCalls).opendir), why: "through the view"},
	{signature: "fdopendir(i)p", call: on(listingsOf, (*listingCalls).fdopendir), why: "what the driver opened"},
	{signature: "readdir(p)p", call: on(listingsOf, (*listingCalls).readdir), why: "one listing, taken at the opening"},
	{signature: "rewinddir(p)v", call: on(listingsOf, (*listingCalls).rewinddir), why: "takes the listing anew"},
	{signature: "closedir(p)i", call: on(listingsOf, (*listingCalls).closedir), why: "the driver's own table"},
	{signature: "dirfd(p)i", call: on(listingsOf, (*listingCalls).dirfd), why: "the driver's own table"},
	{signature: "getcwd(pi)p", call: on(directoriesOf, (*directoryCalls).getcwd), why: "the driver's own state"},
	{signature: "chdir(p)i", call: on(directoriesOf, (*directoryCalls).chdir), why: "the driver's own state"},
	{signature: "fchdir(i)i", call: on(directoriesOf, (*directoryCalls).fchdir), why: "the driver's own state"},
	{signature: "mkdir(pi)i", call: on(directoriesOf, (*directoryCalls).mkdir), why: "the overlay or scratch"},
	{signature: "mkdirat(ipi)i", call: on(directoriesOf, (*directoryCalls).mkdirat), why: "the overlay or scratch"},
	{signature: "rmdir(p)i", call: on(namesOf, (*nameCalls).rmdir), why: "the overlay or scratch"},
	{signature: "unlink(p)i", call: on(namesOf, (*nameCalls).unlink), why: "the overlay or scratch"},
	{signature: "unlinkat(ipi)i", call: on(namesOf, (*nameCalls).unlinkat), why: "the overlay or scratch"},
	{signature: "rename(pp)i", call: on(namesOf, (*nameCalls).rename), why: "the overlay or scratch"},
	{signature: "renameat(ipip)i", call: on(namesOf, (*nameCalls).renameat), why: "the overlay or scratch"},
	{signature: "link(pp)i", call: on(namesOf, (*nameCalls).link), why: "the overlay or scratch"},
	{signature: "linkat(ipipi)i", call: on(namesOf, (*nameCalls).linkat), why: "the overlay or scratch"},
	{signature: "symlink(pp)i", call: on(namesOf, (*nameCalls).symlink), why: "the overlay or scratch; links are resolved in the view"},
	{signature: "symlinkat(pip)i", call: on(namesOf, (*nameCalls).symlinkat), why: "the overlay or scratch; links are resolved in the view"},
	{signature: "chmod(pi)i", call: on(attributesOf, (*attributeCalls).chmod), why: "the overlay or scratch"},
	{signature: "fchmod(ii)i", call: on(attributesOf, (*attributeCalls).fchmod), why: "the overlay or scratch"},
	{signature: "fchmodat(ipii)i", call: on(attributesOf, (*attributeCalls).fchmodat), why: "the overlay or scratch"},
	{signature: "chown(pii)i", call: on(attributesOf, (*attributeCalls).chown), why: "the overlay or scratch"},
	{signature: "lchown(pii)i", call: on(attributesOf, (*attributeCalls).lchown), why: "the overlay or scratch"},
	{signature: "fchown(iii)i", call: on(attributesOf, (*attributeCalls).fchown), why: "the overlay or scratch"},
	{signature: "fchownat(ipiii)i", call: on(attributesOf, (*attributeCalls).fchownat), why: "the overlay or scratch"},
	{signature: "utimensat(ippi)i", call: on(attributesOf, (*attributeCalls).utimensat), why: "the overlay or scratch"},
	{signature: "futimens(ip)i", call: on(attributesOf, (*attributeCalls).futimens), why: "the overlay or scratch"},
	{signature: "statvfs(pp)i", call: on(statsOf, (*statCalls).statvfs), why: "the target's, or what the session may hold"},
	{signature: "fstatvfs(ip)i", call: on(statsOf, (*statCalls).fstatvfs), why: "the target's, or what the session may hold"},
	{signature: "umask(i)i", call: on(directoriesOf, (*directoryCalls).setUmask), why: "the driver's own state"},
	{signature: "pathconf(pi)i", call: on(statsOf, (*statCalls).pathconf), why: "the view's bounds"},
	{signature: "fpathconf(ii)i", call: on(statsOf, (*statCalls).pathconf), why: "the view's bounds"},
	{signature: "mkfifo(pi)i", do: refuse, errno: syscall.EPERM, why: "a view has files, directories and links"},
	{signature: "mkfifoat(ipi)i", do: refuse, errno: syscall.EPERM, why: "a view has files, directories and links"},
	{signature: "mknod(pii)i", do: refuse, errno: syscall.EPERM, why: "a view has files, directories and links"},
	{signature: "mknodat(ipii)i", do: refuse, errno: syscall.EPERM, why: "a view has files, directories and links"},
	{signature: "chroot(p)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "getxattr(pppi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "lgetxattr(pppi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "fgetxattr(ippi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "setxattr(pppii)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "lsetxattr(pppii)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "fsetxattr(ippii)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "listxattr(ppi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "llistxattr(ppi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "flistxattr(ipi)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "removexattr(pp)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "lremovexattr(pp)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},
	{signature: "fremovexattr(ip)i", do: refuse, errno: syscall.ENOTSUP, why: "a view has no extended attributes"},

	// Time.
	{signature: "time(p)i", call: on(timesOf, (*timeCalls).time), why: "this machine's clock"},
	{signature: "gettimeofday(pp)i", call: on(timesOf, (*timeCalls).gettimeofday), why: "this machine's clock"},
	{signature: "clock_gettime(ip)i", call: on(timesOf, (*timeCalls).clockGettime), why: "this machine's clocks"},
	{signature: "clock_getres(ip)i", call: on(timesOf, (*timeCalls).clockGetres), why: "this machine's clocks"},
	{signature: "clock_settime(ip)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "clock()i", call: on(timesOf, (*timeCalls).clock), why: "the child's own processor time"},
	{signature: "times(p)i", call: on(timesOf, (*timeCalls).times), why: "the child's own processor time"},
	{signature: "getrusage(ip)i", call: on(timesOf, (*timeCalls).getrusage), why: "the child's own use"},
	{signature: "localtime(p)p", call: on(timesOf, (*timeCalls).localtime), why: "the target's zone"},
	{signature: "gmtime(p)p", call: on(timesOf, (*timeCalls).gmtime), why: "a calculation"},
	{signature: "mktime(p)i", call: on(timesOf, (*timeCalls).mktime), why: "the target's zone"},
	{signature: "strftime(pipp)i", call: on(timesOf, (*timeCalls).strftime), why: "a calculation"},

	// Identity, and the machine that the script looks at.
	{signature: "uname(p)i", call: on(identityOf, (*identityCalls).uname), why: "the target's"},
	{signature: "getuid()i", call: on(identityOf, (*identityCalls).uid), why: "whom the session's commands run as"},
	{signature: "geteuid()i", call: on(identityOf, (*identityCalls).uid), why: "whom the session's commands run as"},
	{signature: "getgid()i", call: on(identityOf, (*identityCalls).gid), why: "whom the session's commands run as"},
	{signature: "getegid()i", call: on(identityOf, (*identityCalls).gid), why: "whom the session's commands run as"},
	{signature: "getresuid(ppp)i", call: on(identityOf, (*identityCalls).getresuid), why: "whom the session's commands run as"},
	{signature: "getresgid(ppp)i", call: on(identityOf, (*identityCalls).getresgid), why: "whom the session's commands run as"},
	{signature: "getgroups(ip)i", call: on(identityOf, (*identityCalls).getgroups), why: "whom the session's commands run as"},
	{signature: "getlogin()p", call: on(identityOf, (*identityCalls).getlogin), why: "USER of the environment"},
	{signature: "getpid()i", call: on(identityOf, (*identityCalls).pid), why: "the child's own"},
	{signature: "getpgrp()i", call: on(identityOf, (*identityCalls).pid), why: "the child leads a group of its own"},
	{signature: "getppid()i", do: pretend, value: 1, why: "the driver is nobody's to signal"},
	{signature: "getpgid(i)i", call: on(identityOf, (*identityCalls).processGroup), why: "its own, and its commands'"},
	{signature: "getsid(i)i", call: on(identityOf, (*identityCalls).processGroup), why: "its own, and its commands'"},
	{signature: "getenv(p)p", call: on(environmentOf, (*environmentCalls).getenv), why: "the session's environment"},
	{signature: "get_environ()p", call: on(environmentOf, (*environmentCalls).getEnviron), why: "the session's environment"},
	{signature: "setenv(ppi)i", call: on(environmentOf, (*environmentCalls).setenv), why: "the driver's copy"},
	{signature: "putenv(p)i", call: on(environmentOf, (*environmentCalls).putenv), why: "the driver's copy"},
	{signature: "unsetenv(p)i", call: on(environmentOf, (*environmentCalls).unsetenv), why: "the driver's copy"},
	{signature: "sysconf(i)i", call: on(machineOf, (*machineCalls).sysconf), why: "a few numbers; processors and memory are the target's"},
	{signature: "confstr(ipi)i", do: refuse, errno: syscall.EINVAL, why: "no such name"},
	{signature: "getloadavg(pi)i", call: on(machineOf, (*machineCalls).getloadavg), why: "the target's, as far as it can be seen"},
	{signature: "rpy_cpu_count()i", call: on(machineOf, (*machineCalls).cpuCount), why: "the target's, as far as it can be seen"},
	{signature: "ctermid(p)p", call: on(machineOf, (*machineCalls).ctermid), why: "a constant"},
	{signature: "ttyname(i)p", do: refuse, errno: syscall.ENOTTY, why: "nothing is a terminal"},
	{signature: "_pypy_init_home()p", call: on(machineOf, (*machineCalls).initHome), why: "where the library is in the view"},
	{signature: "_pypy_init_free(p)v", do: pretend, why: "the string stays"},
	{signature: "pypy__allow_attach()v", do: pretend, why: "nobody attaches"},

	// Processes.
	{signature: "system(p)i", call: on(commandsOf, (*commandCalls).system), why: "through the gate"},
	{signature: "waitpid(ipi)i", call: on(childrenOf, (*childCalls).waitpid), why: "commands that went through the gate"},
	{signature: "kill(ii)i", call: on(childrenOf, (*childCalls).kill), why: "its own commands, and itself"},
	{signature: "_exit(i)v", call: on(childrenOf, (*childCalls).exit), why: "its own end"},
	{signature: "killpg(ii)i", call: on(childrenOf, (*childCalls).killpg), why: "its own commands' groups"},
	{signature: "fork()i", do: refuse, errno: syscall.EPERM, why: "commands start through the guest"},
	{signature: "forkpty(pppp)i", do: refuse, errno: syscall.EPERM, why: "commands start through the guest"},
	{signature: "openpty(ppppp)i", do: refuse, errno: syscall.EPERM, why: "there are no terminals"},
	{signature: "execv(pp)i", do: refuse, errno: syscall.EPERM, why: "commands start through the guest"},
	{signature: "execve(ppp)i", do: refuse, errno: syscall.EPERM, why: "commands start through the guest"},
	{signature: "fexecve(ipp)i", do: refuse, errno: syscall.EPERM, why: "commands start through the guest"},
	{signature: "nice(i)i", do: refuse, errno: syscall.EPERM, why: "the operator's to set"},
	{signature: "getpriority(ii)i", do: pretend, why: "what every process begins with"},
	{signature: "setpriority(iii)i", do: refuse, errno: syscall.EPERM, why: "the operator's to set"},
	{signature: "sched_yield()i", do: pretend, why: "there is one thread"},
	{signature: "sched_get_priority_max(i)i", do: pretend, why: "what Linux has for ordinary processes"},
	{signature: "sched_get_priority_min(i)i", do: pretend, why: "what Linux has for ordinary processes"},
	{signature: "tcgetpgrp(i)i", do: refuse, errno: syscall.ENOTTY, why: "nothing is a terminal"},
	{signature: "tcsetpgrp(ii)i", do: refuse, errno: syscall.ENOTTY, why: "nothing is a terminal"},
	{signature: "setsid()i", do: refuse, errno: syscall.EPERM, why: "it leads a session already"},
	{signature: "setpgrp()i", do: refuse, errno: syscall.EPERM, why: "it leads a session"},
	{signature: "setpgid(ii)i", do: refuse, errno: syscall.EPERM, why: "it leads a session"},
	{signature: "setuid(i)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setgid(i)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "seteuid(i)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setegid(i)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setreuid(ii)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setregid(ii)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setresuid(iii)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setresgid(iii)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "setgroups(ip)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
	{signature: "initgroups(pi)i", do: refuse, errno: syscall.EPERM, why: "a privilege"},
}
