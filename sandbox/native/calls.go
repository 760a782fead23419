//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"sync/atomic"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
)

// calls answers the calls of one interpreter, each topic with the state that it needs. handlers says which call is whose.
type calls struct {
	caller      caller
	paths       paths
	files       fileCalls
	directories directoryCalls
	descriptors descriptorCalls
	streams     streamCalls
	locks       lockCalls
	objects     objectCalls
	children    childCalls
	processes   processCalls
	identity    identityCalls
	terminal    terminalCalls
	bulk        bulk
}

// caller is the interpreter that makes the calls, and when it ends.
type caller struct {
	proc  *supervisor.Process
	ctx   context.Context
	guard func(doing string)
	asked *atomic.Int32 // calls of the process tree that were told to ask again, see processTree
}

// paths reads the names of files that a call has as arguments.
type paths struct {
	proc    *supervisor.Process
	names   *posix.Names
	handles *handleTable
}

// fileCalls are the calls that name a file.
type fileCalls struct {
	*paths
	job         *sandbox.Job
	descriptors *descriptorCalls
	objects     *objectCalls
}

// directoryCalls are those that concern the working directory, and what a directory has.
type directoryCalls struct{ *paths }

// descriptorCalls are those on open files.
type descriptorCalls struct {
	proc      *supervisor.Process
	job       *sandbox.Job
	handles   *handleTable
	processes *processes
}

// streamCalls are those on descriptors that are streams.
type streamCalls struct {
	proc    *supervisor.Process
	job     *sandbox.Job
	handles *handleTable
	next    int // the number after which a free one for a stream is looked for, downwards
}

// lockCalls take locks on files, and give them up.
type lockCalls struct {
	*caller
	handles *handleTable
	table   *lockTable
	streams *streamCalls
}

// objectCalls make what the kernel counts for a user.
type objectCalls struct {
	*caller
	tree    *processTree
	streams *streamCalls
}

// childCalls wait for commands and other interpreters, and signal them.
type childCalls struct {
	*caller
	job      *sandbox.Job
	children *posix.Children
	members  *members
}

// processCalls are those about the interpreter's own process and its threads.
type processCalls struct {
	proc   *supervisor.Process
	tree   *processTree
	parent int // see run
}

// identityCalls tell which machine the script is on, and as whom.
type identityCalls struct {
	proc *supervisor.Process
	job  *sandbox.Job
}

// terminalCalls are those on the script's terminal.
type terminalCalls struct {
	proc    *supervisor.Process
	handles *handleTable
	depth   int // see run
}

// join makes the run a member of a process tree, whose interpreters share what they have open, and gives its calls what they
// are answered with.
func (r *run) join(tree *processTree, files *openFiles) {
	r.tree = tree
	r.handles = handleTable{proc: r.proc, files: files}
	c := &r.calls
	c.caller = caller{proc: r.proc, ctx: r.ctx, guard: r.panics.Recover, asked: &tree.asked}
	c.paths = paths{proc: r.proc, names: &r.names, handles: &r.handles}
	c.files = fileCalls{paths: &c.paths, job: &r.job, descriptors: &c.descriptors, objects: &c.objects}
	c.directories = directoryCalls{&c.paths}
	c.descriptors = descriptorCalls{proc: r.proc, job: &r.job, handles: &r.handles, processes: &processes{tree: tree}}
	c.streams = streamCalls{proc: r.proc, job: &r.job, handles: &r.handles}
	c.locks = lockCalls{caller: &c.caller, handles: &r.handles, table: &tree.locks, streams: &c.streams}
	c.objects = objectCalls{caller: &c.caller, tree: tree, streams: &c.streams}
	c.children = childCalls{caller: &c.caller, job: &r.job, children: &r.children, members: &tree.members}
	c.processes = processCalls{proc: r.proc, tree: tree, parent: r.parent}
	c.identity = identityCalls{proc: r.proc, job: &r.job}
	c.terminal = terminalCalls{proc: r.proc, handles: &r.handles, depth: r.depth}
	c.bulk = bulk{r}
}
