//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/conformance"
	"shannot-gateway/sandbox/internal/supervisor"
)

// delegatedTree is where sessions get control groups of their own. `systemd-run --wait --pipe -p Delegate=yes` gives a test
// one, and few other ways of running it do.
func delegatedTree(t *testing.T) *cgroup.Tree {
	t.Helper()
	tree, err := supervisor.Groups()
	if err != nil {
		t.Skipf("no control group is delegated to this process: %v", err)
	}
	return tree
}

// sessionGroups are the groups of sessions that there are, with the processes of each.
func sessionGroups(t *testing.T, tree *cgroup.Tree) map[string]int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(tree.Dir(), fmt.Sprintf("session-%d-*", os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, dir := range found {
		out[dir] = len(strings.Fields(string(procfs.Small(filepath.Join(dir, "cgroup.procs")))))
	}
	return out
}

// Nobody looks at what is used here: only the kernel keeps the limit.
func TestTheKernelBoundsMemoryInSum(t *testing.T) {
	tree := delegatedTree(t)
	job, _, stderr := jobFor(t, `
import subprocess, sys
ps = [subprocess.Popen([sys.executable, "-c", "b = bytearray(60 << 20); b[:] = b'x' * len(b); input()"], stdin=-1) for _ in range(6)]
for p in ps: p.wait()`)
	job.Limits.Memory, job.Limits.Write = jobMemory/2, 1<<20
	e := engine(t)
	in, loader, err := e.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.root(t.Context(), job, loader)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.mount(in); err != nil {
		t.Fatal(err)
	}
	config, err := e.configFor(job)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.launch(loader, config); err != nil {
		t.Fatal(err)
	}
	var output sync.WaitGroup
	stop := make(chan struct{})
	r.move(r.stdio, &output, stop)
	state := r.proc.Reap()
	r.tree.remove(r, state)
	r.children.WaitAll()
	r.tree.end()
	output.Wait()
	close(stop)
	r.stdio.Close()
	got := r.result(state)
	if got.Cause != sandbox.Memory || got.Detail == "" {
		t.Errorf("%+v %v; stderr %s", got, state, stderr)
	}
	r.release()
	if left := sessionGroups(t, tree); len(left) > e.options.Warm {
		t.Errorf("groups are left: %v", left)
	}
}

func TestInterpretersOfASessionShareAGroup(t *testing.T) {
	tree := delegatedTree(t)
	job, stdout, stderr := jobFor(t, `
import subprocess, sys
p = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
subprocess.run(["true"], check=True)
p.communicate(b"\n")`)
	most := 0
	job.Commands = lookout{look: func() {
		for _, processes := range sessionGroups(t, tree) {
			most = max(most, processes)
		}
	}}
	if r := runJob(t, job); r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Errorf("%+v stdout %q stderr %s", r, stdout, stderr)
	}
	if most != 2 {
		t.Errorf("%d processes were in a group of the session, want 2", most)
	}
}

// lookout runs commands, and looks before each.
type lookout struct {
	conformance.Exec
	look func()
}

// Start implements sandbox.Commander.
func (l lookout) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	l.look()
	return l.Exec.Start(ctx, c)
}
