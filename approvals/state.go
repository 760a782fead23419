package approvals

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/scope"
)

// Manager owns all sessions of a gateway.
type Manager struct {
	registry
	resumer
	config   Config
	rules    atomic.Pointer[gate.Rules] // of sessions that begin now
	bus      events.Bus
	gate     *gate.Gate
	grants   *grants.Book
	scopes   *scope.Scopes
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
	live    map[string]*alive
	present map[string]int // by session: clients of its own that wait for it
	parked  map[string]parkedSession
	going   map[string]chan struct{} // sessions that are about to start again; closed once they have
	closing bool
	closed  context.Context // ends with closing
	close   context.CancelFunc
	work    sync.WaitGroup // live sessions, and goroutines that start one
}

// alive is a session that is alive.
type alive struct {
	*gate.Live
	place *places.Place
	gone  chan struct{} // closed once it is not alive any more
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

// prepared are the parked ones of the sessions that a decision is about.
type prepared struct {
	runs   map[string]Rerun
	unable map[string]error         // why one cannot go on
	claims map[string]func()        // that are to be released
	places map[string]*places.Place // of those that have one; the others wait for theirs
}
