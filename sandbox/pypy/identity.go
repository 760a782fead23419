//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"
	"math"
	"shannot-gateway/sandbox/internal/posix"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (c *identityCalls) uname(a []uint64) (int64, error) {
	h := c.job.Host
	return 0, c.wire.store(a[0], encodeUname(h.Sysname, h.Nodename, h.Release, h.Version, h.Machine, ""))
}

func (c *identityCalls) uid([]uint64) (int64, error) { return int64(c.job.Host.UID), nil }
func (c *identityCalls) gid([]uint64) (int64, error) { return int64(c.job.Host.GID), nil }

func (c *identityCalls) getresuid(a []uint64) (int64, error) {
	return 0, c.storeThrice(a, c.job.Host.UID)
}
func (c *identityCalls) getresgid(a []uint64) (int64, error) {
	return 0, c.storeThrice(a, c.job.Host.GID)
}

func (c *identityCalls) storeThrice(a []uint64, id uint32) error {
	for _, address := range a[:3] {
		if err := c.wire.store(address, le32(id)); err != nil {
			return err
		}
	}
	return nil
}

func (c *identityCalls) getgroups(a []uint64) (int64, error) {
	if i32(a[0]) <= 0 {
		return 1, nil // how many there are
	}
	return 1, c.wire.store(a[1], le32(c.job.Host.GID))
}

func (c *identityCalls) getlogin([]uint64) (int64, error) {
	for _, name := range []string{"LOGNAME", "USER"} {
		if user := c.environment.get(name); user != "" {
			return c.texts.address(user)
		}
	}
	return 0, unix.ENXIO
}

func (c *identityCalls) pid([]uint64) (int64, error) { return int64(c.child.PID()), nil }

// processGroup answers getpgid(2) and getsid(2): the child and each of its commands lead their own.
func (c *identityCalls) processGroup(a []uint64) (int64, error) {
	pid := int(i32(a[0]))
	if pid == 0 || pid == c.child.PID() {
		return int64(c.child.PID()), nil
	}
	if c.children.Get(pid) != nil {
		return int64(pid), nil
	}
	return 0, unix.ESRCH
}

// sysconf knows a few names of sysconf(3), by their numbers in glibc's confname.h.
func (c *machineCalls) sysconf(a []uint64) (int64, error) {
	const (
		argMax, childMax, clockTicks, nGroups, openMax, pageSize, processors, processorsOnline = 0, 1, 2, 3, 4, 30, 83, 84
		pages, freePages                                                                       = 85, 86
	)
	switch i32(a[0]) {
	case argMax:
		return 2 << 20, nil
	case childMax:
		return posix.MaxChildren, nil
	case clockTicks:
		return ticksPerSecond, nil
	case nGroups:
		return 1, nil
	case openMax:
		return int64(c.table.most()), nil
	case pageSize:
		return 4096, nil
	case processors, processorsOnline:
		return c.cpuCount(nil)
	case pages:
		return c.memoryPages("MemTotal:")
	case freePages:
		return c.memoryPages("MemFree:")
	}
	return 0, unix.EINVAL
}

// memoryPages are pages of the target's memory. EINVAL where it does not show them.
func (c *machineCalls) memoryPages(key string) (int64, error) {
	for line := range strings.Lines(string(readFile(c.job.FS, "/proc/meminfo", 1<<20))) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil && kib >= 0 {
				return kib / 4, nil
			}
		}
	}
	return 0, unix.EINVAL
}

// cpuCount counts the target's processors; 1 where it does not show them.
func (c *machineCalls) cpuCount([]uint64) (int64, error) {
	n := int64(0)
	for line := range strings.Lines(string(readFile(c.job.FS, "/proc/cpuinfo", 1<<20))) {
		if strings.HasPrefix(line, "processor") {
			n++
		}
	}
	return max(n, 1), nil
}

func (c *machineCalls) getloadavg(a []uint64) (int64, error) {
	fields := strings.Fields(string(readFile(c.job.FS, "/proc/loadavg", 4096)))
	var p []byte
	for _, f := range fields[:min(len(fields), 3, int(max(i32(a[1]), 0)))] {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			break
		}
		p = binary.LittleEndian.AppendUint64(p, math.Float64bits(v))
	}
	if len(p) == 0 {
		return 0, unix.EIO
	}
	return int64(len(p) / 8), c.wire.store(a[0], p)
}

// ctermid fills in a buffer, or answers a string of its own.
func (c *machineCalls) ctermid(a []uint64) (int64, error) {
	const name = "/dev/tty"
	if a[0] == 0 {
		return c.texts.address(name)
	}
	return int64(a[0]), c.wire.store(a[0], append([]byte(name), 0)) // #nosec G115 -- an address
}

// initHome answers where the library is; the interpreter asks where its own path does not say it.
func (c *machineCalls) initHome([]uint64) (int64, error) { return c.texts.address(Prefix) }
