//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// calls answers the calls of one child, each topic with the state that it needs. The table says which call is whose.
type calls struct {
	opens       openCalls
	descriptors descriptorCalls
	content     contentCalls
	stats       statCalls
	directories directoryCalls
	names       nameCalls
	attributes  attributeCalls
	listings    listingCalls
	polls       pollCalls
	times       timeCalls
	environment environmentCalls
	identity    identityCalls
	machine     machineCalls
	children    childCalls
	commands    commandCalls
}

// on is the handler that answers a call by a method of a topic.
func on[T any](topic func(*calls) *T, call func(*T, []uint64) (int64, error)) handler {
	return func(c *calls, a []uint64) (int64, error) { return call(topic(c), a) }
}

// paths reads the names of files that a call has as arguments.
type paths struct {
	wire  *wire
	names *posix.Names
}

// openCalls open files.
type openCalls struct {
	*paths
	*descriptorTable
}

func opensOf(c *calls) *openCalls { return &c.opens }

// descriptorCalls are those on descriptors as such, and make pipes.
type descriptorCalls struct {
	*descriptorTable
	wire   *wire
	output uint64 // what get_stdout returns, in the child
}

func descriptorsOf(c *calls) *descriptorCalls { return &c.descriptors }

// contentCalls move bytes.
type contentCalls struct {
	*descriptorTable
	wire    *wire
	job     *sandbox.Job
	pipes   pipes
	outputs *outputs
	guest   *guestCalls
	block   []byte // for one read or write
	slack   int64  // bytes that files may grow by before they are counted again
}

func contentOf(c *calls) *contentCalls { return &c.content }

// pipes reads and writes pipes until the run ends.
type pipes struct{ ctx context.Context }

// outputs is the script's standard output and error, which its commands share.
type outputs struct {
	mu     sync.Mutex // held while one of them is written
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// statCalls describe files, and tell whether they may be used.
type statCalls struct {
	*paths
	*descriptorTable
	job   *sandbox.Job
	began time.Time // the time of what has none
}

func statsOf(c *calls) *statCalls { return &c.stats }

// directoryCalls make directories, and change the working directory and the mask of modes.
type directoryCalls struct {
	*paths
	*descriptorTable
}

func directoriesOf(c *calls) *directoryCalls { return &c.directories }

// nameCalls give files other names, and take names away.
type nameCalls struct{ *paths }

func namesOf(c *calls) *nameCalls { return &c.names }

// attributeCalls change modes, owners and times.
type attributeCalls struct {
	*paths
	*descriptorTable
	now func() time.Time
}

func attributesOf(c *calls) *attributeCalls { return &c.attributes }

// listingCalls read directories.
type listingCalls struct {
	*paths
	*descriptorTable
	listings map[uint64]*listing
}

func listingsOf(c *calls) *listingCalls { return &c.listings }

// pollCalls wait for descriptors, or for a time.
type pollCalls struct {
	*descriptorTable
	wire *wire
	ctx  context.Context
}

func pollsOf(c *calls) *pollCalls { return &c.polls }

// texts are the C strings that the driver has put into the child's memory, for answers that are pointers to them.
type texts struct {
	wire    *wire
	strings map[string]uint64 // addresses by content
	size    int
}

// timeCalls tell the time, and take it apart.
type timeCalls struct {
	wire  *wire
	now   func() time.Time
	child process
	texts *texts
	zone  *time.Location
	tm    uint64 // a struct tm in the child
}

func timesOf(c *calls) *timeCalls { return &c.times }

// environmentCalls read the environment, and change it.
type environmentCalls struct {
	wire        *wire
	fs          *vfs.Session
	environment *environment
	texts       *texts
	times       *timeCalls
}

func environmentOf(c *calls) *environmentCalls { return &c.environment }

// identityCalls tell as whom the script runs, and on which machine.
type identityCalls struct {
	wire        *wire
	job         *sandbox.Job
	environment *environment
	texts       *texts
	child       process
	children    *posix.Children
}

func identityOf(c *calls) *identityCalls { return &c.identity }

// machineCalls tell what that machine has.
type machineCalls struct {
	wire  *wire
	job   *sandbox.Job
	texts *texts
	table *descriptorTable
}

func machineOf(c *calls) *machineCalls { return &c.machine }

// childCalls wait for commands and signal them, and end the script.
type childCalls struct {
	wire     *wire
	ctx      context.Context
	child    process
	children *posix.Children
	end      ending
}

func childrenOf(c *calls) *childCalls { return &c.children }

// ending is the end that the script asked for.
type ending struct {
	asked bool
	code  int
}

// commandCalls start commands.
type commandCalls struct {
	*descriptorTable
	wire        *wire
	ctx         context.Context
	guard       func(doing string)
	job         *sandbox.Job
	names       *posix.Names
	environment *environment
	children    *posix.Children
	outputs     *outputs
	dialogue    *dialogue
	starting    atomic.Bool  // the script itself is inside the start of a command
	running     atomic.Int32 // commands that run
}

func commandsOf(c *calls) *commandCalls { return &c.commands }

// guestCalls answer what the guest asks on its connections.
type guestCalls struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	blame    func(kind string) bool
	polls    *pollCalls
	commands *commandCalls
}
