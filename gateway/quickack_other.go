//go:build !linux

package gateway

import "net"

// acknowledgeAtOnce does nothing: the option is Linux's.
func acknowledgeAtOnce(net.Conn) {}
