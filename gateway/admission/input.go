package admission

import (
	"sync"
	"time"
)

// Slight is what a connection may hold whatever the rest of its identity does, in bytes. A connection that only asks and
// answers is never stopped.
const Slight = 64 << 10

// quiet is how long a reader has to wait in vain until the gateway knows that it has read all that came before. A reader
// gets at once what there is, and what is on its way inside the gateway arrives in far less.
const quiet = 100 * time.Millisecond

// Input bounds what the gateway holds of what its clients have sent.
//
// The SSH library lets a client send 2 MiB into each channel that nobody reads. It cannot say how many bytes it keeps for
// them: each byte may have come in a packet of its own. So Input counts the bytes of a connection as they come in, and
// takes them off as somebody reads them from channels. It takes off the rest, which is no data of a channel, when it is
// certain that all has been read, see Arrived. What was read from a channel counts on until the channel ends, up to the
// size of a script: the gateway may keep it as one.
//
// While an identity holds more than its budget, the gateway does not read from its connections. The clients see a slow
// network. For one identity:
//
//   - A connection with less than Slight is always read from.
//   - Of those with more, the gateway goes on reading from one: the oldest, until it holds little, has ended, or holds
//     what one alone may need. So what waits for the rest of its input ends, one after the other.
//   - In sum the identity holds no more than the budget, what one alone may need, and for each connection Slight and what
//     one read brings.
type Input struct {
	now func() time.Time

	mu       sync.Mutex
	limits   InputLimits
	accounts map[string]*account
	opened   uint64
}

// InputLimits are in bytes.
type InputLimits struct {
	Budget int64 // of one identity
	Keep   int64 // of one channel that was read, and may be kept in memory
	Alone  int64 // what the oldest connection may hold beyond the budget
}

// account is what one identity holds.
type account struct {
	held   int64
	meters map[*Meter]struct{}
	goesOn *Meter        // which is read from although the budget is used up
	wake   chan struct{} // closed, and made anew, whenever less is held and somebody waits
	stops  int           // how many wait
}

// NewInput makes an Input that holds nothing.
func NewInput(l InputLimits, now func() time.Time) *Input {
	return &Input{now: now, limits: l, accounts: map[string]*account{}}
}

// SetLimits changes the limits.
func (in *Input) SetLimits(l InputLimits) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.limits = l
	for _, a := range in.accounts {
		a.news()
	}
}

// Held is what is held of everybody, in bytes.
func (in *Input) Held() (sum int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, a := range in.accounts {
		sum += a.held
	}
	return sum
}

// news wakes who waits for the account to hold less. The caller holds the lock.
func (a *account) news() {
	if a.stops > 0 {
		close(a.wake)
		a.wake = make(chan struct{})
	}
}

// Meter counts one connection's input.
type Meter struct {
	in      *Input
	account *account
	name    string
	n       uint64 // in the order of coming

	// Guarded by in.mu.
	unread  int64 // came in, and was not read from a channel
	kept    int64 // by channels
	streams map[*Stream]struct{}
	closed  bool
}

// Open counts a connection in.
func (in *Input) Open(identity string) *Meter {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.accounts[identity]
	if a == nil {
		a = &account{meters: map[*Meter]struct{}{}, wake: make(chan struct{})}
		in.accounts[identity] = a
	}
	in.opened++
	m := &Meter{in: in, account: a, name: identity, n: in.opened, streams: map[*Stream]struct{}{}}
	a.meters[m] = struct{}{}
	return m
}

// Close counts a connection out, with all that it holds.
func (m *Meter) Close() {
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	m.account.held -= m.own()
	m.unread, m.kept = 0, 0
	delete(m.account.meters, m)
	m.account.news()
	if len(m.account.meters) == 0 {
		delete(m.in.accounts, m.name)
	}
}

// Held is what the connection holds, in bytes.
func (m *Meter) Held() int64 {
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	return m.own()
}

// Wait waits until the connection may be read from, and reports false where gone was closed before.
func (m *Meter) Wait(gone <-chan struct{}) bool {
	for began := m.in.now(); ; {
		m.in.mu.Lock()
		if m.may() {
			m.in.mu.Unlock()
			return true
		}
		wake := m.account.wake
		m.account.stops++
		m.in.mu.Unlock()
		timer := time.NewTimer(quiet)
		ended := false
		select {
		case <-wake:
		case <-timer.C:
		case <-gone:
			ended = true
		}
		timer.Stop()
		m.settle(m.in.now().Sub(began))
		m.in.mu.Lock()
		m.account.stops--
		m.in.mu.Unlock()
		if ended {
			return false
		}
	}
}

// may reports whether the connection may be read from. The caller holds the lock.
func (m *Meter) may() bool {
	a, limits := m.account, m.in.limits
	if a.held < limits.Budget {
		a.goesOn = nil
		return true
	}
	return m.own() < Slight || a.next() == m && m.own() < limits.Alone
}

// own is what the connection holds. The caller holds the lock.
func (m *Meter) own() int64 { return m.unread + m.kept }

// next is the one connection that the gateway goes on reading from when the budget is used up. It stays the same until it
// holds little. Were it always the oldest, an older one that held little before could take its place, and another one
// after that. The caller holds the lock.
func (a *account) next() *Meter {
	if a.goesOn != nil && !a.goesOn.closed && a.goesOn.own() >= Slight {
		return a.goesOn
	}
	a.goesOn = nil
	for m := range a.meters {
		if m.own() >= Slight && (a.goesOn == nil || m.n < a.goesOn.n) {
			a.goesOn = m
		}
	}
	return a.goesOn
}

// Arrived counts bytes that came, after the connection had waited for them for so long. If that was long, and somebody
// has waited as long for more of each channel, then all that came before has been read.
func (m *Meter) Arrived(bytes int, after time.Duration) {
	m.settle(after)
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	if !m.closed {
		m.unread += int64(bytes)
		m.account.held += int64(bytes)
	}
}

// settle takes off what was not data of a channel, if all that came has been read.
func (m *Meter) settle(after time.Duration) {
	if after < quiet {
		return
	}
	m.in.mu.Lock()
	since := m.in.now().Add(-quiet)
	var ended []*Stream
	for s := range m.streams {
		if s.ended {
			ended = append(ended, s)
		} else if s.reads == 0 || s.since.After(since) {
			m.in.mu.Unlock()
			return
		}
	}
	before := m.unread
	m.in.mu.Unlock()
	for _, s := range ended { // a client that sends on after its own end of file
		if !s.empty() {
			m.in.mu.Lock()
			s.ended = false // and nobody will read it
			m.in.mu.Unlock()
			return
		}
	}
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	m.takeOff(before)
}

// takeOff counts bytes as read. The caller holds the lock.
func (m *Meter) takeOff(bytes int64) {
	bytes = min(bytes, m.unread)
	m.unread -= bytes
	m.account.held -= bytes
	m.account.news()
}

// Stream is what a client sends into one channel.
type Stream struct {
	meter *Meter
	empty func() bool // after the end: whether nothing has come since

	// Guarded by meter.in.mu.
	reads  int       // those who read it now
	since  time.Time // since when they have waited in vain
	ended  bool
	kept   int64
	closed bool
}

// Stream counts a channel in. It calls empty after the client has ended the channel; empty must not wait for the client.
func (m *Meter) Stream(empty func() bool) *Stream {
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	s := &Stream{meter: m, empty: empty}
	if !m.closed {
		m.streams[s] = struct{}{}
	}
	return s
}

// Reads notes that somebody begins to read.
func (s *Stream) Reads() {
	s.meter.in.mu.Lock()
	defer s.meter.in.mu.Unlock()
	if s.reads++; s.reads == 1 {
		s.since = s.meter.in.now()
	}
}

// overhead is the part of a packet of the usual size that is no data: one byte in so many.
const overhead = 512

// Read notes what came of it.
func (s *Stream) Read(bytes int, ended bool) {
	m := s.meter
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	s.reads--
	s.since = m.in.now()
	s.ended = s.ended || ended
	if m.closed {
		return
	}
	n := int64(bytes)
	m.takeOff(n + n/overhead)
	if !s.closed {
		s.keep(n)
	}
}

// Keep counts bytes that the gateway keeps until the channel ends: a command line.
func (s *Stream) Keep(bytes int) {
	m := s.meter
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	if m.closed || s.closed {
		return
	}
	m.takeOff(int64(bytes))
	s.keep(int64(bytes))
}

// keep counts bytes as kept, up to what a channel may keep. The caller holds the lock.
func (s *Stream) keep(bytes int64) {
	bytes = min(bytes, s.meter.in.limits.Keep-s.kept)
	if bytes <= 0 {
		return
	}
	s.kept += bytes
	s.meter.kept += bytes
	s.meter.account.held += bytes
}

// Skipped notes bytes that were read, and thrown away at once.
func (s *Stream) Skipped(bytes int) {
	s.meter.in.mu.Lock()
	defer s.meter.in.mu.Unlock()
	if !s.meter.closed {
		s.meter.takeOff(int64(bytes))
	}
}

// Close counts a channel out.
func (s *Stream) Close() {
	m := s.meter
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	delete(m.streams, s)
	if !m.closed {
		m.kept -= s.kept
		m.account.held -= s.kept
		m.account.news()
	}
}
