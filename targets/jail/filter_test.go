//go:build linux && (amd64 || arm64)

package jail

import (
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

// filterOf is the filter of a kind of jail.
func filterOf(t *testing.T, k kind, abi int) []unix.SockFilter {
	t.Helper()
	program, err := policy(k, abi).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return program.Code
}

// verdict runs a filter on a call, as the kernel would.
func verdict(t *testing.T, k kind, abi int, arch, call uint32, args ...uint64) seccomp.Action {
	t.Helper()
	action, _ := seccomptest.Run(t, filterOf(t, k, abi), arch, call, args...)
	return seccomp.Action(action)
}

var kinds = map[string]kind{"plain": plain, "observer": observer, "caller": caller, "tester": tester, "inspector": inspector, "manager": manager,
	"heldplain": plain | held, "heldobserver": observer | held, "heldcaller": caller | held}

func TestFilterRefusesEveryCallOfItsLists(t *testing.T) {
	for name, k := range kinds {
		each := func(rows []row, abi int, check func(seccomp.Action) bool) {
			for _, r := range rows {
				if number, here := seccomp.Number(r.Call); here {
					if got := verdict(t, k, abi, seccomp.AuditArch, number); !check(got) {
						t.Errorf("%s, %s: %#x", name, r.Call, got)
					}
				}
			}
		}
		refused := func(got seccomp.Action) bool { return got == seccomp.Errno(unix.EPERM) }
		allowedWhere := func(allowed bool) func(seccomp.Action) bool {
			return func(got seccomp.Action) bool { return (got == seccomp.ActionAllow) == allowed }
		}
		each(never, 7, refused)
		k := k.base()
		each(attributes, 7, allowedWhere(k == tester))
		each(names, 7, allowedWhere(k != observer))
		each(signals, 6, allowedWhere(k != observer && k != tester)) // there Landlock bounds them
		each(signals, 5, refused)
	}
}

func TestFilterAgreesWithItsPolicy(t *testing.T) {
	for name, k := range kinds {
		program := filterOf(t, k, 6)
		for number := range uint32(1000) { // more than there are
			got, _ := seccomptest.Run(t, program, seccomp.AuditArch, number, make([]uint64, 6)...)
			if want := seccomptest.Decide(policy(k, 6), 1, seccomp.AuditArch, number, [6]uint64{}); seccomp.Action(got) != want {
				t.Errorf("%s, call %d: the filter returns %#x, the table says %#x", name, number, got, want)
			}
		}
	}
}

func TestFilterLooksAtArguments(t *testing.T) {
	const allow, high = seccomp.ActionAllow, 1 << 32
	eperm, eacces, asks := seccomp.Errno(unix.EPERM), seccomp.Errno(unix.EACCES), seccomp.ActionNotify
	cases := []struct {
		name string
		kind kind
		call uint32
		args []uint64
		want seccomp.Action
	}{
		{"read", plain, unix.SYS_READ, nil, allow},
		{"open for reading", observer, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC}, allow},
		{"open for writing", observer, unix.SYS_OPENAT, []uint64{0, 0, unix.O_WRONLY}, asks},
		{"open for both", observer, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDWR}, asks},
		{"open and create", observer, unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT}, asks},
		{"open without a name", observer, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TMPFILE}, asks},
		{"Landlock looks at opens", plain, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDWR}, allow},
		{"thread", plain, unix.SYS_CLONE, []uint64{unix.CLONE_THREAD | unix.CLONE_VM}, allow},
		{"namespace", plain, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, eperm},
		{"clone by structure", plain, unix.SYS_CLONE3, nil, seccomp.Errno(unix.ENOSYS)},
		{"terminal's size", plain, unix.SYS_IOCTL, []uint64{1, unix.TIOCGWINSZ}, allow},
		{"terminal's input", plain, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, eperm},
		{"the last of a list", plain, unix.SYS_IOCTL, []uint64{0, uint64(changing[len(changing)-1])}, eperm},
		{"kernel's log", plain, unix.SYS_SYSLOG, []uint64{3}, allow},
		{"clear it", plain, unix.SYS_SYSLOG, []uint64{5}, eperm},
		{"read and clear it", plain, unix.SYS_SYSLOG, []uint64{4}, eperm},
		{"own priority", plain, unix.SYS_SETPRIORITY, []uint64{0, 0, 10}, allow},
		{"another's priority", plain, unix.SYS_SETPRIORITY, []uint64{0, 1, 10}, eperm},
		{"a user's priority", plain, unix.SYS_SETPRIORITY, []uint64{unix.PRIO_USER, 0, 10}, eperm},
		{"own limits", plain, unix.SYS_PRLIMIT64, []uint64{0, 7, 0x7fff_0000_1000}, allow},
		{"another's limits read", plain, unix.SYS_PRLIMIT64, []uint64{1, 7, 0}, allow},
		{"another's limits", plain, unix.SYS_PRLIMIT64, []uint64{1, 7, 0x1000}, eperm},
		{"another's limits from a high page", plain, unix.SYS_PRLIMIT64, []uint64{1, 7, 5 * high}, eperm},
		{"stream", plain, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}, eacces},
		{"datagrams", plain, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM, 0}, eacces},
		{"datagrams of a manager", manager, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, 0}, allow},
		{"a manager connects", manager, unix.SYS_CONNECT, nil, eacces},
		{"stream of a caller", caller, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}, allow},
		{"socket about interfaces", inspector, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM, 0}, allow},
		{"it connects", inspector, unix.SYS_CONNECT, nil, eacces},
		{"it binds", inspector, unix.SYS_BIND, []uint64{3, 0, unix.SizeofSockaddrInet4}, eacces},
		{"netlink binds", inspector, unix.SYS_BIND, []uint64{3, 0, unix.SizeofSockaddrNetlink}, allow},
		{"a session of its own", plain, unix.SYS_SETSID, nil, eperm},
		{"open for reading, held", plain | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_CLOEXEC}, asks},
		{"a name alone, held", plain | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_PATH}, asks},
		{"a directory, held", plain | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY | unix.O_DIRECTORY}, allow},
		{"open for both, held", plain | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDWR}, allow},
		{"open by structure, held", plain | held, unix.SYS_OPENAT2, nil, seccomp.Errno(unix.ENOSYS)},
		{"open for writing, held observer", observer | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_WRONLY}, asks},
		{"open for reading, held observer", observer | held, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY}, asks},
		{"multipath", caller, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, seccomp.Errno(unix.EPROTONOSUPPORT)},
		{"netlink", observer, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, 4}, allow},
		{"stream of an observer", observer, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, eacces},
		{"packets", plain, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, eacces},
		{"send", plain, unix.SYS_SENDTO, []uint64{0, 0, 0, unix.MSG_NOSIGNAL}, allow},
		{"send and connect", plain, unix.SYS_SENDTO, []uint64{0, 0, 0, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL}, eperm},
	}
	for _, c := range cases {
		if got := verdict(t, c.kind, 7, seccomp.AuditArch, c.call, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestFilterKnowsOneEntryToTheKernel(t *testing.T) {
	for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
		if got := verdict(t, plain, 7, arch, unix.SYS_READ); got != seccomp.Errno(unix.ENOSYS) {
			t.Errorf("architecture %#x: %#x", arch, got)
		}
	}
	if got := verdict(t, plain, 7, seccomp.AuditArch, unix.SYS_READ|seccomp.X32Bit); seccomp.X32Bit != 0 && got != seccomp.Errno(unix.ENOSYS) {
		t.Errorf("x32: %#x", got)
	}
}
