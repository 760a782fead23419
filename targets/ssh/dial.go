package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/hostkeys"
)

// clientVersion is what a server is told, RFC 4253, section 4.2.
const clientVersion = "SSH-2.0-Shannot"

// Hop is one SSH server on the way, the target itself being the last.
type Hop struct {
	Name  string // in the configuration
	Host  string
	Port  int
	User  string
	Login Login
	Known hostkeys.KnownOptions
}

// Address is host:port.
func (h Hop) Address() string { return net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) }

// link is one SSH connection, with those that carry it.
type link struct {
	client *gossh.Client
	below  []*gossh.Client // jump hosts, the first one first
	gone   chan struct{}   // closed when the connection is
}

func (l *link) close() {
	_ = l.client.Close()
	for i := len(l.below) - 1; i >= 0; i-- {
		_ = l.below[i].Close()
	}
}

// dialer makes connections.
type dialer struct {
	timeout   time.Duration // for all of one connection
	keepalive time.Duration
	silence   time.Duration // of an SFTP server; 0 means its default
	now       func() time.Time
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
}

// connect goes from hop to hop to the last one. The use is what the certificates name, where hops want some.
func (d *dialer) connect(ctx context.Context, hops []Hop, use string) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no connection within %v", d.timeout))
	defer cancel()
	l := &link{gone: make(chan struct{})}
	for i, hop := range hops {
		client, err := d.hop(ctx, l.client, hop, use)
		if err != nil {
			for _, c := range l.below {
				_ = c.Close()
			}
			if l.client != nil {
				_ = l.client.Close()
			}
			var closed *gossh.OpenChannelError
			if i > 0 && errors.As(err, &closed) {
				err = fmt.Errorf("the jump host %s does not connect to it: %w; the gateway's key there needs port-forwarding, and its permitopen this "+
					"address, in authorized_keys, and its sshd AllowTcpForwarding", hops[i-1].Name, err)
			}
			if i < len(hops)-1 {
				return nil, fmt.Errorf("jump host %s: %w", hop.Name, err)
			}
			return nil, err
		}
		if l.client != nil {
			l.below = append(l.below, l.client)
		}
		l.client = client
	}
	go func() {
		_ = l.client.Wait()
		close(l.gone)
		l.close()
	}()
	go KeepAlive(l.client, d.keepalive, l.gone)
	return l, nil
}

// hop connects to one SSH server, through the one before it. A host that shows a key of a type that is not known is
// asked for one of another type.
func (d *dialer) hop(ctx context.Context, through *gossh.Client, hop Hop, use string) (*gossh.Client, error) {
	known, err := hostkeys.LoadKnown(hop.Known)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, algorithms := range known.Algorithms(hop.Address()) {
		client, err := d.handshake(ctx, through, hop, use, known, algorithms)
		if err == nil {
			return client, nil
		}
		var key *hostkeys.HostKeyError
		var none *gossh.AlgorithmNegotiationError
		switch {
		case (errors.As(err, &key) || errors.As(err, &none)) && refused == nil:
			refused = err // the key that it prefers to show is the one to tell of
		case errors.As(err, &key), errors.As(err, &none):
		default:
			return nil, err
		}
	}
	return nil, refused
}

// handshake is one attempt.
func (d *dialer) handshake(ctx context.Context, through *gossh.Client, hop Hop, use string, known *hostkeys.Known, algorithms []string) (*gossh.Client, error) {
	conn, err := d.transport(ctx, through, hop.Address())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", hop.Address(), err)
	}
	// The library has no context: closing the transport ends whatever waits for it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	methods, release, err := hop.Login.methods(ctx, hop.User, keyID(hop.Name, use), localAddress(through, conn), d.now())
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, err
	}
	defer release()
	var hostKey error
	c, channels, requests, err := gossh.NewClientConn(conn, hop.Address(), &gossh.ClientConfig{
		User: hop.User, Auth: methods, HostKeyAlgorithms: algorithms, ClientVersion: clientVersion,
		HostKeyCallback: func(address string, remote net.Addr, key gossh.PublicKey) error {
			hostKey = known.Check(address, remote, key)
			return hostKey
		},
	})
	if !stop() && err == nil { // the time was up in the last moment
		_ = c.Close()
		return nil, fmt.Errorf("connect to %s: %w", hop.Address(), context.Cause(ctx))
	}
	switch {
	case hostKey != nil:
		_ = conn.Close()
		return nil, hostKey
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("connect to %s: %w", hop.Address(), context.Cause(ctx))
	case err != nil:
		_ = conn.Close()
		return nil, fmt.Errorf("log in to %s as %s: %w", hop.Address(), hop.User, err)
	}
	return gossh.NewClient(c, refuse(channels), requests), nil
}

// refuse rejects every channel that a server opens: it has nothing to ask of the gateway.
func refuse(channels <-chan gossh.NewChannel) <-chan gossh.NewChannel {
	go func() {
		for offered := range channels {
			_ = offered.Reject(gossh.Prohibited, "not here")
		}
	}()
	none := make(chan gossh.NewChannel)
	close(none)
	return none
}

func (d *dialer) transport(ctx context.Context, through *gossh.Client, address string) (net.Conn, error) {
	if through == nil {
		return d.dial(ctx, "tcp", address)
	}
	return through.DialContext(ctx, "tcp", address)
}

// localAddress is the address that the host at the other end sees, nil where that is a jump host's.
func localAddress(through *gossh.Client, conn net.Conn) net.Addr {
	if through != nil {
		return nil
	}
	return conn.LocalAddr()
}

// maxSilent is how many questions in a row the other end may leave unanswered.
const maxSilent = 3

// KeepAlive asks the other end of a connection for a sign of life, as ServerAliveInterval and ClientAliveInterval of
// OpenSSH do. It closes the connection after three questions without an answer: nobody else would notice that the other
// end is gone. It returns when stop is closed.
func KeepAlive(conn gossh.Conn, every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answered := make(chan struct{}, 1)
	asking, silent := false, 0
	for {
		select {
		case <-stop:
			return
		case <-answered:
			asking, silent = false, 0
		case <-ticker.C:
			if asking {
				if silent++; silent >= maxSilent {
					_ = conn.Close()
					return
				}
				continue
			}
			asking = true
			go func() {
				// Any answer will do, a refusal included. An error means that the connection is gone already.
				_, _, _ = conn.SendRequest("keepalive@openssh.com", true, nil)
				answered <- struct{}{}
			}()
		}
	}
}

// errShown ends a handshake once the host has shown its key.
var errShown = errors.New("the host key was shown")

// shownKey asks a host for its key and goes no further: it proves nothing to the host, and believes nothing. The hosts
// before it on the way are those of the configuration, by the keys that are known.
func (d *dialer) shownKey(ctx context.Context, hops []Hop, use string) (gossh.PublicKey, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no answer within %v", d.timeout))
	defer cancel()
	last := hops[len(hops)-1]
	var through *gossh.Client
	if len(hops) > 1 {
		l, err := d.connect(ctx, hops[:len(hops)-1], use)
		if err != nil {
			return nil, err
		}
		defer l.close()
		through = l.client
	}
	var failed error
	for _, algorithms := range append(hostkeys.PlainAlgorithms(), nil) {
		conn, err := d.transport(ctx, through, last.Address())
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", last.Address(), err)
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		var shown gossh.PublicKey
		_, _, _, err = gossh.NewClientConn(conn, last.Address(), &gossh.ClientConfig{
			User: last.User, HostKeyAlgorithms: algorithms, ClientVersion: clientVersion,
			HostKeyCallback: func(_ string, _ net.Addr, key gossh.PublicKey) error { shown = key; return errShown },
		})
		stop()
		_ = conn.Close()
		if shown != nil {
			return shown, nil
		}
		failed = err
		var none *gossh.AlgorithmNegotiationError
		if !errors.As(err, &none) {
			break
		}
	}
	return nil, fmt.Errorf("ask %s for its host key: %w", last.Address(), failed)
}
