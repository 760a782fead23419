//go:build linux && (amd64 || arm64)

package native

import (
	"strconv"
	"sync"
	"testing"

	"shannot-gateway/sandbox"
)

// TestOrdersOfManyKindsComeToAnEnd asks for interpreters of several kinds at once, which take each other's room.
func TestOrdersOfManyKindsComeToAnEnd(t *testing.T) {
	const size, kinds = 2, 5
	e := warmEngine(t, size)
	var all sync.WaitGroup
	for i := range kinds {
		job, _, _ := jobFor(t, "print(1)")
		job.Env = append(job.Env[:len(job.Env):len(job.Env)], "LANG=kind"+strconv.Itoa(i))
		all.Go(func() {
			if _, err := e.Run(t.Context(), job); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(settled(t, e)); n != size { // and whoever starts them has done, or this does not return
		t.Errorf("%d interpreters wait, want %d", n, size)
	}
	if n := e.Starts(); n.Cold != kinds || n.Ahead > size*kinds {
		t.Errorf("%+v for %d sessions", n, kinds)
	}
}

// TestWhatASessionBringsIsNoOtherKind gives an interpreter that waited an environment that nobody knew when it started.
func TestWhatASessionBringsIsNoOtherKind(t *testing.T) {
	e := warmEngine(t, 1)
	got := warmed(t, e, func(job *sandbox.Job) { job.Env = append(job.Env, "SHANNOT_SESSION=abc", "EMPTY=", "TERM=x=y") }, `
import os, subprocess, sys
print(os.environ["SHANNOT_SESSION"], repr(os.environ["EMPTY"]), os.environ["TERM"], os.environ.get("SHANNOT_WAIT"), os.environ.get("MALLOC_ARENA_MAX"))
print(list(os.environ) == [e.partition("=")[0] for e in open("/proc/self/environ").read().split("\0")[:-1]], len(os.environ))
print(subprocess.run([sys.executable, "-c", "import os; print(os.environ['SHANNOT_SESSION'])"], capture_output=True, text=True).stdout)`)
	if want := "abc '' x=y None None\nTrue 7\nabc\n\n"; got.stdout != want {
		t.Errorf("%q, want %q: %s", got.stdout, want, got.stderr)
	}
}
