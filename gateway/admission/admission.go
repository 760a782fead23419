// Package admission decides which connections a gateway keeps, in which order it works for them, and how much of what they
// send it holds. So nobody takes the gateway from anybody else. It knows addresses, names and sizes alone: it never touches
// a connection, a key or a byte that a client sent.
//
// A connection passes these, in order, a file for each:
//
//   - Pending: it has not logged in. Nobody is refused while somebody else keeps the gateway waiting.
//   - Turns: computing a login takes the processor, address by address in turn.
//   - Places: it has logged in, and takes a place of its identity. Whoever decides has places that no agent can take.
//   - Input: what it sends, and nobody has read yet, counts against its identity.
package admission

import (
	"net"
	"net/netip"
)

// Address is what connections are counted by: an IPv4 address, or the network of 64 bits that an IPv6 host chooses its
// addresses from. An IPv4 address that is written as an IPv6 one is the former.
func Address(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.Network() + " " + a.String()
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return a.String()
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
