package gateway

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/gateway/config"
)

// quick reports whether the kernel acknowledges at once what comes next on a connection.
func quick(t *testing.T, conn *net.TCPConn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	var failed error
	if err := raw.Control(func(fd uintptr) { on, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return on != 0
}

// pair is the two ends of a connection over loopback.
func pair(t *testing.T) (server, client *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = dialled.Close(), accepted.Close() })
	return accepted.(*net.TCPConn), dialled.(*net.TCPConn)
}

// A client without TCP_NODELAY sends its next small packet when the last one is acknowledged. The kernel delays that once
// a server has answered, and a login has several pairs of such packets.
func TestReadsOfALoginAreAcknowledgedAtOnce(t *testing.T) {
	server, client := pair(t)
	// The kernel takes the connection for one of questions and answers, whose acknowledgements ride on the answers.
	question := make([]byte, 1)
	for range 4 {
		if _, err := client.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(question); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write([]byte("!")); err != nil {
			t.Fatal(err)
		}
	}
	if quick(t, server) {
		t.Skip("this kernel delays no acknowledgement here")
	}

	login := newConnections(&config.Config{Connections: config.DefaultConnections()}, time.Now).admit(server)
	if login == nil {
		t.Fatal("no place for the connection")
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = login.Read(make([]byte, 1))
	}()
	for deadline := time.Now().Add(time.Minute); !quick(t, server); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a login waits for its client, and the kernel would delay the acknowledgement")
		}
	}
	_ = client.Close()
	<-read
	_ = login.Close()
}
