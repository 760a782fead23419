//go:build linux && (amd64 || arm64)

package native

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// mount puts the engine's own trees into the script's view.
func (r *run) mount(in *installation) error {
	r.names.FS = r.job.FS
	r.job.FS.SetMeter(r.tree.walked)
	made := time.Now()
	library := in.library
	if shell := r.tree.engine.shell; shell != nil {
		library = withShell{library, shell}
	}
	mounts := []vfs.Mount{
		{Path: Prefix, Source: library},
		{Path: "/dev", Source: &posix.Devices{Made: made, Added: r.devices()}},
		{Path: "/proc", Source: &processes{tree: r.tree, made: made}, Union: true},
	}
	for _, m := range mounts {
		if err := r.job.FS.Mount(m); err != nil {
			return fmt.Errorf("mount %s: %w", m.Path, err)
		}
	}
	if err := r.job.FS.AddScratch(sharedMemory); err != nil {
		return fmt.Errorf("make %s: %w", sharedMemory, err)
	}
	return r.names.Enter(r.job.Dir)
}

// sharedMemory is where glibc keeps named semaphores and shared memory, see shm_overview(7). It is the session's own.
const sharedMemory = "/dev/shm"

// terminalDevice is the script's terminal, where it has one.
const terminalDevice = "tty"

// scriptFile is the script that came on standard input once more, for further interpreters of multiprocessing.
const scriptFile = "shannot-script.py"

// guestDevice is what the guest opens to start a command.
const guestDevice = "shannot"

var deviceLinks = map[string]string{
	"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "fd": "/proc/self/fd",
}

// devices are what the engine adds to the memory devices of /dev.
func (r *run) devices() map[string]posix.Device {
	all := map[string]posix.Device{
		guestDevice: {Mode: unix.S_IFCHR | 0o600, Hidden: true, Open: func(int) (int, error) {
			fd, e := r.tree.turn.asking.connect()
			return fd, orNil(e)
		}},
		noticeDevice: {Mode: unix.S_IFCHR | 0o400, Hidden: true, Open: func(flags int) (int, error) {
			if flags&unix.O_ACCMODE != unix.O_RDONLY {
				return -1, unix.EACCES
			}
			return r.tree.notice.open()
		}},
		strings.TrimPrefix(sharedMemory, "/dev/"): {Mode: unix.S_IFDIR | 0o1777, Hidden: true},
	}
	for name, to := range deviceLinks {
		all[name] = posix.Device{Mode: unix.S_IFLNK | 0o777, Link: to}
	}
	job := r.tree.root.job
	switch {
	case job.Terminal != nil:
		all[terminalDevice] = posix.Device{
			Mode: unix.S_IFCHR | 0o666, Rdev: unix.Mkdev(5, 0), Open: func(int) (int, error) { return r.tree.root.stdio.Slave() },
		}
	case len(job.Args) > 0 && job.Args[0] == "-" && job.Script != "":
		all[scriptFile] = posix.Device{
			Mode: unix.S_IFREG | 0o444, Size: int64(len(job.Script)), Hidden: true,
			Open: func(int) (int, error) { return vfs.Sealed("script", []byte(job.Script)) },
		}
	}
	return all
}

// throughDevice is the name that a link of devices leads to, any other name itself. What it leads to may be a descriptor,
// of which the view knows nothing but that it is there.
func throughDevice(name string) string {
	if base, ok := strings.CutPrefix(name, "/dev/"); ok && deviceLinks[base] != "" {
		return deviceLinks[base]
	}
	return name
}

func nulTerminated(items []string) []byte {
	var b []byte
	for _, s := range items {
		b = append(append(b, s...), 0)
	}
	return b
}

func orNil(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

var errNoLoader = errors.New("this machine has no glibc, which the embedded interpreter needs")
