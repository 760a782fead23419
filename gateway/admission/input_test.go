package admission

import (
	"testing"
	"time"
)

var testLimits = InputLimits{Budget: 1 << 20, Keep: 100 << 10, Alone: 300 << 10}

// stopped reports whether a connection is not read from now.
func stopped(m *Meter) bool {
	gone := make(chan struct{})
	close(gone)
	return !m.Wait(gone)
}

func TestAnIdentityHoldsNoMoreThanItsBudget(t *testing.T) {
	c := newClock()
	in := NewInput(testLimits, c.now)
	var meters []*Meter
	for range 100 {
		m := in.Open("a")
		m.Stream(func() bool { return true }) // that nobody reads
		meters = append(meters, m)
	}
	const piece = 4 << 10
	for range 1000 { // each sends whenever it is read from, and pauses long
		for _, m := range meters {
			if !stopped(m) {
				m.Arrived(piece, time.Second)
			}
		}
	}
	most := testLimits.Budget + testLimits.Alone + 100*(Slight+piece)
	if held := in.Held(); held > most || held < testLimits.Budget {
		t.Errorf("%d bytes are held, want the budget (%d) and at most %d", held, testLimits.Budget, most)
	}
	other := in.Open("b")
	other.Arrived(200<<10, 0)
	if stopped(other) {
		t.Error("another identity is stopped")
	}
	if late := in.Open("a"); stopped(late) {
		t.Error("a connection that holds nothing is stopped")
	}
	for _, m := range meters {
		m.Close()
		m.Close()
	}
	other.Close()
	if held := in.Held(); held != 0 || len(in.accounts) != 1 {
		t.Errorf("after all: %d bytes, %d accounts", held, len(in.accounts))
	}
}

func TestTheOldestGoesOnWhereAllAreOverTheBudget(t *testing.T) {
	c := newClock()
	in := NewInput(testLimits, c.now)
	first, second, third := in.Open("a"), in.Open("a"), in.Open("a")
	first.Arrived(Slight, 0)
	second.Arrived(Slight, 0)
	third.Arrived(int(testLimits.Budget), 0)
	if stopped(first) || !stopped(second) || !stopped(third) {
		t.Errorf("stopped: %v %v %v, want the oldest alone to go on", stopped(first), stopped(second), stopped(third))
	}
	first.Arrived(int(testLimits.Alone), 0)
	if !stopped(first) || !stopped(second) {
		t.Error("what one alone may hold has no end, or another one goes on in its place")
	}
	waits := make(chan bool)
	go func() { waits <- second.Wait(make(chan struct{})) }()
	first.Close()
	if !<-waits {
		t.Error("the next one does not go on once the oldest is gone")
	}
}

// Older connections that held little, and come to hold more one after the other, are not each the oldest in turn.
func TestNoSecondOneGoesOnBesideTheFirst(t *testing.T) {
	c := newClock()
	in := NewInput(testLimits, c.now)
	older, old, full := in.Open("a"), in.Open("a"), in.Open("a")
	full.Arrived(int(testLimits.Budget), 0)
	old.Arrived(Slight, 0)
	if stopped(old) {
		t.Fatal("none goes on")
	}
	older.Arrived(Slight, 0)
	if !stopped(older) || stopped(old) {
		t.Error("an older one goes on beside the first, or in its place")
	}
	old.Close()
	if stopped(older) {
		t.Error("the next one does not go on")
	}
}

func TestWhatWasReadIsTakenOff(t *testing.T) {
	c := newClock()
	in := NewInput(testLimits, c.now)
	m := in.Open("a")
	s := m.Stream(func() bool { return true })
	m.Arrived(900_000, 0)
	for range 9 {
		s.Reads()
		s.Read(100_000, false)
	}
	if held := m.Held(); held > testLimits.Keep {
		t.Errorf("%d bytes are held, want at most what a channel may keep", held)
	}
	s.Close()
	if held := m.Held(); held != 0 {
		t.Errorf("%d bytes are held after the channel", held)
	}
}

// Packets bring more bytes than data. They are taken off when it is certain that nothing is left of them.
func TestOverheadIsTakenOffInAPause(t *testing.T) {
	type state struct {
		name  string
		do    func(c *clock, s *Stream)
		empty bool // what the channel says after its end
		want  int64
	}
	read := func(c *clock, s *Stream) { s.Reads(); c.pass(time.Second) }
	ends := func(_ *clock, s *Stream) { s.Reads(); s.Read(0, true) }
	for _, tt := range []state{
		{"somebody waits for more", read, true, 7},
		{"nobody reads", func(*clock, *Stream) {}, true, 1007},
		{"somebody has only begun to read", func(c *clock, s *Stream) { c.pass(time.Second); s.Reads() }, true, 1007},
		{"what was read came just now", func(c *clock, s *Stream) { s.Reads(); s.Reads(); c.pass(time.Second); s.Read(0, false) }, true, 1007},
		{"the client has ended it", ends, true, 7},
		{"the client has ended it, and sends on", ends, false, 1007},
		{"it is over", func(_ *clock, s *Stream) { s.Close() }, true, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			in := NewInput(testLimits, c.now)
			m := in.Open("a")
			m.Arrived(1000, 0)
			tt.do(c, m.Stream(func() bool { return tt.empty }))
			m.Arrived(7, time.Second)
			if held := m.Held(); held != tt.want {
				t.Errorf("%d bytes are held, want %d", held, tt.want)
			}
			before := m.Held()
			m.Arrived(5, time.Millisecond)
			if held := m.Held(); held != before+5 {
				t.Errorf("without a pause: %d, want %d", held, before+5)
			}
		})
	}
}

func TestACommandLineIsHeldUntilItsChannelEnds(t *testing.T) {
	c := newClock()
	in := NewInput(testLimits, c.now)
	m := in.Open("a")
	s := m.Stream(func() bool { return true })
	m.Arrived(60_000, 0)
	s.Keep(50_000)
	s.Reads()
	c.pass(time.Second)
	m.Arrived(0, time.Second)
	if held := m.Held(); held != 50_000 {
		t.Errorf("%d bytes, want those of the command line", held)
	}
	s.Close()
	s.Close()
	if held := m.Held(); held != 0 {
		t.Errorf("%d bytes after the channel", held)
	}
}
