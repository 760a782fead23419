package approvals

import (
	"context"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/internal/turns"
	"shannot-gateway/targets"
)

// Manager owns all sessions of a gateway.
type Manager struct {
	registry
	resumer
	config   Config
	rules    atomic.Pointer[Rules] // of sessions that begin now
	bus      events.Bus
	programs programs
	grants   *grants.Book
	scopes   *scope.Scopes
	turns    turns.Turns
	outputs  *output.Folder
	look     *change.Look
	contents change.Contents
	rolling  exclusive // sessions that are being rolled back

	begun atomic.Int64
}

// registry knows the sessions that have not ended: those that are alive, those that are parked, and those that wait for a place.
type registry struct {
	places *places.Places

	mu      sync.Mutex
	live    map[string]*Live
	present map[string]int // by session: clients of its own that wait for it
	parked  map[string]parkedSession
	going   map[string]chan struct{} // sessions that are about to start again; closed once they have
	closing bool
	closed  context.Context // ends with closing
	close   context.CancelFunc
	work    sync.WaitGroup // live sessions, and goroutines that start one
}

type parkedSession struct {
	identity, target string
	deadline         time.Time
}

// resumer lets parked sessions go on.
type resumer struct{ m *Manager }

// exclusive makes sure that one rollback of a session runs at a time.
type exclusive struct {
	mu   sync.Mutex
	held map[string]bool
}

// programs remembers, by target, which names are found in directories that others can write.
type programs struct {
	mu    sync.Mutex
	known map[string]*foreignPrograms
}

// foreignPrograms has a lock of its own: a target that does not answer holds up nobody at another one.
type foreignPrograms struct {
	mu    sync.Mutex
	at    time.Time         // zero before the first look
	names map[string]string // name → path
}

// Live is a session that is alive: its script runs, or waits inside an operation. Each of its parts guards its own state.
//
// The order of locks: committing, gate, grants.mu, registry.mu, and then presence.mu, progress.lock and the bus's, which are held
// for a moment only. A change in the store takes presence.mu at most. Nobody waits for the store, a target or a human with registry.mu or
// one of those behind it.
type Live struct {
	*execution
	presence
	files *change.Workspace // with gate
	progress

	taken *places.Place // released when it is not alive any more

	gate sync.Mutex // operations are taken in one at a time, so that their order is the journal's
	// Guarded by gate.
	skip     map[string]bool // digests of changes that nobody is asked about again
	inflight map[string]int  // digests of changes that wait: their operations
	exit     int             // how the script ended, once it has

	reads readList // files that the script has opened

	committing sync.Mutex // changes are made one at a time
	placed     placed     // files of scratch that are on the target, with committing
}

// execution is one run of a session's script, from its start to its end. It does not change.
type execution struct {
	m        *Manager
	rules    *Rules // those of when it began
	id       string
	identity string
	target   targets.Target
	unuse    func() // ends the session's use of it
	env      []string
	plan     bool
	// interactive sessions are never parked
	interactive bool
	resumed     bool // it was parked
	out         *output.Recording
	ctx         context.Context
	cancel      context.CancelCauseFunc
	began       time.Time
	gone        chan struct{} // closed once it is not alive any more
}

// progress is how far the script has come in the journal, and how much of it there is.
type progress struct {
	*execution
	lock     sync.Mutex
	journal  []journal.Operation // of an earlier run, to be taken up again
	at       int                 // place in the journal
	count    int                 // operations so far
	recorded int64               // bytes of commands' output that were kept
	// recordedBytes is what the commands themselves take in the journal.
	recordedBytes int
}

// presence is who waits for whom: the script for humans, clients for the script, and the session's end for its commands.
type presence struct {
	*execution
	mu          sync.Mutex
	news        chan struct{} // closed with the next decision
	holds       int           // operations that wait
	alone       bool          // the last client that waited for it has left
	active      int           // commands that run
	parking     chan struct{} // closed once it is known whether the session is parked, nil at other times
	lingering   time.Time     // until when it stays alive alone for what was approved, zero before it does
	sent        func() bool   // see SetSent, may be nil
	nothingSent bool          // by its client before it was parked
	parked      bool
	over        bool
	commands    sync.WaitGroup // that run, or whose results are being recorded
}

// group is what is decided together: changes of files, and the command that comes after them, if any.
type group struct {
	files   []*change.Pending
	command *change.Pending // nil at the end of the script
}

// readList collects the files that a script opens.
type readList struct {
	mu    sync.Mutex
	names map[string]struct{}
	bytes int
	more  uint64
	sum   hash.Hash // of the names that the list has no room for, nil where there are none
}

// placed are the paths of files of scratch that this session has made on the target, in order.
type placed []string

// prepared are the parked ones of the sessions that a decision is about.
type prepared struct {
	runs   map[string]Rerun
	unable map[string]error         // why one cannot go on
	claims map[string]func()        // that are to be released
	places map[string]*places.Place // of those that have one; the others wait for theirs
}

// process is a running command. Its result is recorded whether anybody waits for it or not.
type process struct {
	targets.Process
	live   *Live
	n      int
	record *output.Recording
	ended  chan struct{}
	exit   targets.Exit // after ended
	err    error
}
