//go:build linux && (amd64 || arm64)

package jail

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs a filter on a call, as the kernel would.
func verdict(t *testing.T, k kind, abi int, arch, call uint32, args ...uint64) uint32 {
	t.Helper()
	vm, err := bpf.NewVM(program(rules(k, abi)))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64) // struct seccomp_data; the machine reads words in network order, the kernel in its own
	binary.BigEndian.PutUint32(data[offNumber:], call)
	binary.BigEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

var kinds = map[string]kind{"plain": plain, "observer": observer, "caller": caller, "tester": tester}

func TestFilterRefusesEveryCallOfItsLists(t *testing.T) {
	for name, k := range kinds {
		for _, list := range [][]uint32{never, neverHere} {
			for _, call := range list {
				if got := verdict(t, k, 7, auditArch, call); got != returns(unix.EPERM) {
					t.Errorf("%s, call %d: %#x", name, call, got)
				}
			}
		}
		for _, call := range append(attributes, attributesHere...) {
			if got := verdict(t, k, 7, auditArch, call); (got == unix.SECCOMP_RET_ALLOW) != (k == tester) {
				t.Errorf("%s, call %d: %#x", name, call, got)
			}
		}
		for _, call := range append(names, namesHere...) {
			if got := verdict(t, k, 7, auditArch, call); (got == unix.SECCOMP_RET_ALLOW) != (k != observer) {
				t.Errorf("%s, call %d: %#x", name, call, got)
			}
		}
		for _, call := range signals {
			bounded := k == plain || k == caller // by Landlock
			if got := verdict(t, k, 6, auditArch, call); (got == unix.SECCOMP_RET_ALLOW) != bounded {
				t.Errorf("%s, call %d: %#x", name, call, got)
			}
			if got := verdict(t, k, 5, auditArch, call); got != returns(unix.EPERM) {
				t.Errorf("%s, call %d without scopes: %#x", name, call, got)
			}
		}
	}
}

func TestFilterLooksAtArguments(t *testing.T) {
	const allow, high = unix.SECCOMP_RET_ALLOW, 1 << 32
	eperm, eacces, asks := returns(unix.EPERM), returns(unix.EACCES), uint32(unix.SECCOMP_RET_USER_NOTIF)
	cases := []struct {
		name string
		kind kind
		call uint32
		args []uint64
		want uint32
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
		{"clone by structure", plain, unix.SYS_CLONE3, nil, returns(unix.ENOSYS)},
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
		{"stream", plain, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}, allow},
		{"multipath", plain, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, returns(unix.EPROTONOSUPPORT)},
		{"netlink", observer, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, 4}, allow},
		{"stream of an observer", observer, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, 0}, eacces},
		{"packets", plain, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, eacces},
		{"send", plain, unix.SYS_SENDTO, []uint64{0, 0, 0, unix.MSG_NOSIGNAL}, allow},
		{"send and connect", plain, unix.SYS_SENDTO, []uint64{0, 0, 0, unix.MSG_FASTOPEN | unix.MSG_NOSIGNAL}, eperm},
	}
	for _, c := range cases {
		if got := verdict(t, c.kind, 7, auditArch, c.call, c.args...); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestFilterKnowsOneEntryToTheKernel(t *testing.T) {
	for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
		if got := verdict(t, plain, 7, arch, unix.SYS_READ); got != returns(unix.ENOSYS) {
			t.Errorf("architecture %#x: %#x", arch, got)
		}
	}
	if got := verdict(t, plain, 7, auditArch, unix.SYS_READ|x32Bit); x32Bit != 0 && got != returns(unix.ENOSYS) {
		t.Errorf("x32: %#x", got)
	}
}
