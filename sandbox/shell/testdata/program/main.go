// Command program is the shell of a sandbox, for tests whose own program cannot be that. With "walls" as its argument it tries
// what no text can ask for, and says what came of it; with "frames" it says to the supervisor what no shell says.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/shell"
)

func main() {
	if len(os.Args) > 2 && os.Args[2] == "walls" {
		walls(os.Args[3])
		return
	}
	if len(os.Args) > 3 && os.Args[2] == "frames" {
		say(os.Args[3])
		return
	}
	shell.Init()
}

// connections is how many a hostile child opens.
const connections = 300

// say writes bytes, given in hex, to the supervisor as they are, and prints what comes back. It closes its end first where the bytes
// end in "-", and opens many connections for "many".
func say(what string) {
	if what == "many" {
		n := 0
		for range connections {
			if _, err := unix.Open("/dev/shannot", unix.O_RDWR, 0); err == nil {
				n++
			}
		}
		fmt.Println(n < connections)
		return
	}
	fd, err := unix.Open("/dev/shannot", unix.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, leave := strings.CutSuffix(what, "-")
	message, err := hex.DecodeString(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for len(message) > 0 {
		n, err := unix.Write(fd, message)
		if err != nil {
			fmt.Println(err)
			return
		}
		message = message[n:]
	}
	if leave {
		_ = unix.Close(fd)
		fmt.Println("left")
		return
	}
	answer := make([]byte, 4096)
	n, err := unix.Read(fd, answer)
	fmt.Printf("%d bytes, %v: %q\n", n, err, answer[:max(0, n)])
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
