//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/sandbox"
)

// Groups is the control group below which every session has its own, nil with the reason where there is none.
var Groups = sync.OnceValues(func() (*cgroup.Tree, error) {
	tree, err := cgroup.Delegated()
	if err != nil {
		return nil, err
	}
	if err := tryGroup(tree); err != nil {
		return nil, fmt.Errorf("start a process in a group below %s: %w", tree.Dir(), err)
	}
	return tree, nil
})

// tryGroup starts a process in a group, which takes clone3(2): some containers forbid it.
func tryGroup(tree *cgroup.Tree) error {
	g, err := tree.New(0)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // see tryLayers
	defer runtime.UnlockOSThread()
	pidfd := -1
	attr := Layers{}.attributes(&pidfd)
	attr.UseCgroupFD, attr.CgroupFD = true, g.FD()
	control, process, err := startProbe(attr)
	if err == nil {
		_ = process.Kill()
		_, _ = process.Wait()
		_, _ = unix.Close(control), unix.Close(pidfd)
	}
	if e := g.Close(); err == nil {
		err = e
	}
	return err
}

// NewGroup makes the control group of a session with these limits; nil where none can be made on this machine. Files of the
// session are in its memory too and have a limit of their own, so that the kernel's bound is for both. Where they have none,
// there is no such bound, and the supervisor alone looks at what is used beside them.
func NewGroup(l sandbox.Limits) (*cgroup.Group, error) {
	tree, err := Groups()
	if err != nil {
		return nil, nil
	}
	var most int64
	if l.Memory > 0 && l.Write > 0 {
		most = l.Memory + 2*l.Write
	}
	return tree.New(most)
}

// ProbeGroups reports the control group as a finding.
func ProbeGroups() sandbox.Finding {
	f := sandbox.Finding{Name: "control group"}
	tree, err := Groups()
	if err != nil {
		f.Detail = fmt.Sprintf("not available, memory in sum is counted ten times a second: %v", err)
		return f
	}
	f.OK, f.Detail = true, "the kernel bounds memory in sum below "+tree.Dir()
	return f
}
