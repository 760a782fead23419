// Command program is the shell of a sandbox, for tests whose own program cannot be that. With "walls" as its argument it tries
// what no text can ask for, and says what came of it.
package main

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/shell"
)

func main() {
	if len(os.Args) > 2 && os.Args[2] == "walls" {
		walls(os.Args[3])
		return
	}
	shell.Init()
}

// walls makes calls itself.
func walls(secret string) {
	say := func(what string, err error) { fmt.Printf("%s: %v\n", what, err) }
	fd, err := unix.Open(secret, unix.O_RDONLY, 0)
	say("open what is hidden", err)
	fd, err = unix.Openat2(unix.AT_FDCWD, secret, &unix.OpenHow{})
	say("open it by another call", err)
	_ = fd
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	say("socket", err)
	say("connect", unix.Connect(0, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}))
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	say("unix socket", err)
	say("exec", unix.Exec("/bin/true", []string{"true"}, nil))
	_, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	say("fork", e)
	say("signal another process", unix.Kill(1, 0))
	say("trace", unix.PtraceAttach(1))
	say("raise a limit", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
	say("mount", unix.Mount("none", "/", "tmpfs", 0, ""))
	say("namespace", unix.Unshare(unix.CLONE_NEWUSER))
	_, _, e = unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	say("io_uring", e)
	_, err = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
	say("children", err)
	say("open for writing on the host", write("/etc/shannot-test-wall"))
}

// write makes a file, which stays in the session.
func write(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return f.Close()
}
