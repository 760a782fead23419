//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func everyNamespace() uintptr {
	all := uintptr(unix.CLONE_NEWUSER)
	for _, n := range namespaces {
		all |= n.flag
	}
	return all
}

func TestLayersAreTheLargestSetThatTheKernelAllows(t *testing.T) {
	const user, net = unix.CLONE_NEWUSER, unix.CLONE_NEWNET
	forbid := func(flags uintptr) func(Layers) error {
		return func(l Layers) error {
			if l.Namespaces&flags != 0 {
				return unix.EPERM
			}
			return nil
		}
	}
	closed := func(l Layers) error {
		if l.Undumpable {
			return fmt.Errorf("%w: EPERM", errDumpable)
		}
		return nil
	}
	// As where AppArmor lets an unprivileged process make a user namespace, and nothing inside it.
	hollow := func(l Layers) error {
		if l.Namespaces&^user != 0 {
			return unix.EACCES
		}
		return nil
	}
	alone := func(l Layers) error {
		if l.Namespaces != user && l.Namespaces != user|net {
			return unix.ENOSPC
		}
		return nil
	}
	for _, c := range []struct {
		name       string
		probe      func(Layers) error
		root       bool
		want       uintptr
		undumpable bool
	}{
		{"everything", forbid(0), false, everyNamespace(), true},
		{"no network namespaces", forbid(net), false, everyNamespace() &^ net, true},
		{"no user namespaces, unprivileged", forbid(user), false, 0, true},
		{"no user namespaces, root", forbid(user), true, everyNamespace() &^ user, true},
		{"no rights inside", hollow, false, user, true},
		{"no rights over undumpable processes", closed, false, everyNamespace(), false},
		{"one alone", alone, false, user | net, true},
		{"nothing", func(Layers) error { return unix.EPERM }, true, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := discover(c.probe, c.root)
			if d.layers.Namespaces != c.want || d.layers.Undumpable != c.undumpable {
				t.Errorf("got %#x, undumpable %v; want %#x, %v", d.layers.Namespaces, d.layers.Undumpable, c.want, c.undumpable)
			}
			for _, n := range namespaces {
				if (d.refused[n.flag] == nil) != d.layers.Has(n.flag) {
					t.Errorf("%s: used %v, and the reason is %v", n.name, d.layers.Has(n.flag), d.refused[n.flag])
				}
			}
		})
	}
}
