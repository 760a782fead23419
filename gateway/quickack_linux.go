package gateway

import (
	"net"

	"golang.org/x/sys/unix"
)

// acknowledgeAtOnce has the kernel acknowledge what comes next without a delay (TCP_QUICKACK in tcp(7)). OpenSSH's client
// sets TCP_NODELAY only once a session begins. Until then a second small packet of it waits until the first one is
// acknowledged, for 40 ms where the server has nothing to answer in between. The kernel forgets the option when the server
// writes, so that it is set before each read of a login. Connections other than TCP have no such delay.
func acknowledgeAtOnce(conn net.Conn) {
	_ = onSocket(conn, func(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}
