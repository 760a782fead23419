//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// Layers are the layers of confinement behind the filter that this machine lets an interpreter have. None of them is required; what
// one lacks is said once by Probe. The rest (no capabilities, no new privileges, the parent-death signal) is always
// there, and a first stage that cannot have it ends.
type Layers struct {
	// Namespaces are flags of clone(2). With CLONE_NEWNS the root is an empty, read-only directory.
	Namespaces uintptr
	// Undumpable keeps processes of the same user, other sandboxes above all, from the interpreter's memory and from
	// its part of /proc. The supervisor reads that memory itself, which takes rights over the interpreter's user
	// namespace or CAP_SYS_PTRACE.
	Undumpable bool
}

// Has reports whether a namespace is one of the layers, by its flag of clone(2).
func (l Layers) Has(flag uintptr) bool { return l.Namespaces&flag != 0 }

// namespaces are tried beside the user namespace. A PID namespace is left out: as its first process Python would
// ignore SIGTERM, and a time namespace would change clocks that scripts may see anyway.
var namespaces = []struct {
	flag   uintptr
	name   string
	effect string
}{
	{unix.CLONE_NEWNS, "mount namespace", "an empty, read-only root"},
	{unix.CLONE_NEWNET, "network namespace", "no interface"},
	{unix.CLONE_NEWIPC, "IPC namespace", "no System V IPC or message queues of the host"},
	{unix.CLONE_NEWUTS, "UTS namespace", "host names of its own"},
	{unix.CLONE_NEWCGROUP, "cgroup namespace", "cgroup paths of its own"},
}

// discovery is what probe processes found out: the layers that work together, and the reason for each that does not.
type discovery struct {
	layers  Layers
	refused map[uintptr]error
	open    error // why an interpreter stays dumpable
}

// Available are the layers that this machine lets a process have.
func Available() Layers { return available().layers }

// available is found out once, with real first stages.
var available = sync.OnceValue(func() discovery { return discover(tryLayers, os.Geteuid() == 0) })

// discover asks probe for the largest set of layers that works. probe reports what failed, or errDumpable where all
// but that stands.
func discover(probe func(Layers) error, root bool) discovery {
	d := discovery{refused: map[uintptr]error{}}
	accepted := func(flags uintptr) error {
		err := probe(Layers{Namespaces: flags, Undumpable: true})
		if errors.Is(err, errDumpable) {
			return nil
		}
		return err
	}
	var all uintptr
	for _, n := range namespaces {
		all |= n.flag
	}
	user := uintptr(unix.CLONE_NEWUSER)
	if err := accepted(user | all); err == nil {
		d.layers.Namespaces = user | all
	} else {
		if err := accepted(user); err != nil {
			d.refused[user], user = err, 0
		}
		d.layers.Namespaces = d.oneByOne(user, user == 0 && !root, accepted)
	}
	err := probe(Layers{Namespaces: d.layers.Namespaces, Undumpable: true})
	d.layers.Undumpable, d.open = err == nil, err
	return d
}

// oneByOne collects the namespaces that work alone, and gives all of them up where they do not work together. Without
// a user namespace only root may make them; hopeless spares the probes.
func (d *discovery) oneByOne(user uintptr, hopeless bool, accepted func(uintptr) error) uintptr {
	flags := user
	for _, n := range namespaces {
		err := d.refused[unix.CLONE_NEWUSER]
		if !hopeless {
			err = accepted(user | n.flag)
		}
		if err != nil {
			d.refused[n.flag] = err
			continue
		}
		flags |= n.flag
	}
	if err := accepted(flags); err != nil {
		for _, n := range namespaces {
			if flags&n.flag != 0 {
				d.refused[n.flag] = fmt.Errorf("not together with the others: %w", err)
			}
		}
		return user
	}
	return flags
}

// errDumpable says that the supervisor could not look into an undumpable first stage.
var errDumpable = errors.New("the gateway has no rights over an undumpable process")

// ProbeLayers reports each layer as a finding.
func ProbeLayers() []sandbox.Finding {
	d := available()
	finding := func(flag uintptr, name, effect string) sandbox.Finding {
		f := sandbox.Finding{Name: name, OK: d.layers.Has(flag), Detail: effect}
		if !f.OK {
			f.Detail = fmt.Sprintf("not available, the other layers hold: %v", d.refused[flag])
		}
		return f
	}
	out := []sandbox.Finding{finding(unix.CLONE_NEWUSER, "user namespace", "no right over anything outside")}
	for _, n := range namespaces {
		out = append(out, finding(n.flag, n.name, n.effect))
	}
	undumpable := sandbox.Finding{Name: "undumpable", OK: d.layers.Undumpable, Detail: "closed to processes of the same user"}
	if !undumpable.OK {
		undumpable.Detail = fmt.Sprintf("not available, the other layers hold: %v", d.open)
	}
	user := sandbox.Finding{Name: "unprivileged user", OK: true, Detail: fmt.Sprintf("user %d", Nobody)}
	if euid := os.Geteuid(); euid != 0 {
		user.Detail = fmt.Sprintf("user %d, the gateway's own", euid)
	}
	return append(out, undumpable, user,
		sandbox.Finding{Name: "no capabilities", OK: true, Detail: "bounding, ambient, inheritable, permitted and effective sets are empty"},
		sandbox.Finding{Name: "no new privileges", OK: true, Detail: "set, and with it the parent-death signal"},
	)
}
