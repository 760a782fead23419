package admission

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAddressesOfOneHostCountAsOne(t *testing.T) {
	for _, tt := range []struct{ ip, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.2", "127.0.0.2"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"fe80::1", "fe80::/64"},
		{"::1", "::/64"},
	} {
		if got := Address(&net.TCPAddr{IP: net.ParseIP(tt.ip), Port: 22, Zone: "eth0"}); got != tt.want {
			t.Errorf("%s counts as %s, want %s", tt.ip, got, tt.want)
		}
	}
	if got := Address(&net.UnixAddr{Name: "/s", Net: "unix"}); got != "unix /s" {
		t.Errorf("a socket's name counts as %s", got)
	}
}

// clock is a time that stands still until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time       { return c.t }
func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }
func newClock() *clock                { return &clock{time.Unix(1_000_000, 0)} }

// Each line is what happens to connections of the names' first letters' addresses, in a Pending for four: "+a1" comes, "-a1"
// leaves, "!a1" waits for the gateway, "?a1" is waited for, "*a1" has sent what was not read, ">a1" has come one step further, "." is a second.
func TestWhoGoesForANewcomer(t *testing.T) {
	for _, tt := range []struct {
		name, happens string
		gone          string // in order; a newcomer that is refused is written "a1x"
	}{
		{"nobody while there is room", "+a1 +a2 +a3 +a4", ""},
		{"the oldest silent one", "+a1 . +a2 . +a3 . +a4 . +a5 +a6", "a1 a2"},
		{"a thousand silent ones are nothing to one more", "+a1 +a2 +a3 +a4 +a5 +a6 +a7 +a8", "a1 a2 a3 a4"},
		{"of the most crowded address", "+b1 . . . +a1 . +a2 +a3 +b2", "a1"},
		{"the newcomer counts to the crowd", "+b1 . +a1 +a2 . +b2 +b3", "b1"},
		{"who is in the middle of a login has patience", "+a1 >a1 . +a2 +a3 +a4 . +a5", "a2"},
		{"as much of it as it has come far", "+a1 >a1 . . . . . . . . +a2 . +a3 +a4 +a5", "a1"},
		{"and no less", "+a1 >a1 . . . . . . +a2 . +a3 +a4 +a5", "a2"},
		{"twice as far, and much more", "+a1 >a1 >a1 +a2 >a2 . . . . . . . . . +a3 . +a4 +a5", "a2"},
		{"not who waits for the gateway", "+a1 !a1 . +a2 . +a3 +a4 +a5", "a2"},
		{"not who has sent what was not read", "+a1 *a1 . +a2 . +a3 +a4 +a5", "a2"},
		{"until it was read and more is owed", "+a1 *a1 . +a2 . +a3 . +a4 +a5 ?a1 . +a6 +a7", "a2 a3 a1"},
		{"the oldest where nothing of any was read", "+a1 *a1 +a2 *a2 +a3 *a3 +a4 *a4 +a5", "a1"},
		{"the newcomer where all of its address wait for the gateway", "+a1 !a1 +a2 !a2 +a3 !a3 +a4 !a4 +a5", "a5x"},
		{"the newest of the crowd for another address", "+a1 !a1 +a2 !a2 +a3 !a3 +a4 !a4 +b1", "a4"},
		{"a place that was left is free", "+a1 +a2 +a3 +a4 -a1 +a5", ""},
		{"who is gone is not let go again", "+a1 +a2 +a3 +a4 +a5 -a1 -a1 +a6", "a1 a2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			p := NewPending(4, c.now)
			guests, unread, gone := map[string]*Guest{}, map[string]bool{}, []string(nil)
			for _, word := range strings.Fields(tt.happens) {
				what, name := word[0], word[1:]
				switch what {
				case '.':
					c.pass(time.Second)
				case '+':
					g := p.Admit(name[:1], func() { gone = append(gone, name) }, func() bool { return unread[name] })
					if guests[name] = g; g == nil {
						gone = append(gone, name+"x")
					}
				case '-':
					guests[name].Leave()
				case '!':
					guests[name].Paid()
				case '*':
					unread[name] = true
				case '?':
					unread[name] = false
					guests[name].Owes()
				case '>':
					guests[name].Reached(guests[name].Step() + 1)
				}
				if n, most := p.Count(); n > most {
					t.Fatalf("%d of %d after %s", n, most, word)
				}
			}
			if !slices.Equal(gone, strings.Fields(tt.gone)) {
				t.Errorf("gone: %v, want %s", gone, tt.gone)
			}
		})
	}
}

func TestFewMayStayInTheMiddleOfALogin(t *testing.T) {
	c := newClock()
	p, gone := NewPending(4, c.now), ""
	begin := func(name string) *Guest {
		g := p.Admit(name[:1], func() { gone += name }, func() bool { return false })
		g.Reached(Keyed)
		g.Reached(Keyed)
		c.pass(time.Second)
		return g
	}
	a, b := begin("a"), begin("b")
	a.Paid() // waits for the gateway
	begin("c")
	if gone != "b" {
		t.Errorf("gone: %q, want b", gone)
	}
	b.Leave()
	a.Leave()
	begin("d")
	if n, _ := p.Count(); gone != "b" || n != 2 {
		t.Errorf("gone: %q, %d are there", gone, n)
	}
}

func TestWhatIsUsedUpIsTakenFromTheLatest(t *testing.T) {
	c := newClock()
	p, gone := NewPending(10, c.now), ""
	if p.Shed() {
		t.Error("somebody went where nobody was")
	}
	for _, name := range []string{"b1", "a1", "a2"} {
		p.Admit(name[:1], func() { gone += name }, func() bool { return false })
		c.pass(time.Second)
	}
	if !p.Shed() || gone != "a1" {
		t.Errorf("gone: %q, want a1", gone)
	}
}

func TestAddressesTakeTurns(t *testing.T) {
	turns, never := NewTurns(1), make(chan struct{})
	if !turns.Take("x", Silent, never) {
		t.Fatal("a free turn was not given")
	}
	order := make(chan string)
	// A crowd of one address, of whom one is in the middle of a login, and one of another that comes last.
	line := []struct {
		name, address string
		step          Step
	}{{"a1", "a", Silent}, {"a2", "a", Silent}, {"a3", "a", Keyed}, {"a4", "a", Silent}, {"b1", "b", Silent}}
	for i, w := range line {
		go func() {
			if turns.Take(w.address, w.step, never) {
				order <- w.name
			}
		}()
		for waiting(turns) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	var got []string
	for range line {
		turns.Give()
		got = append(got, <-order)
	}
	if want := []string{"a3", "b1", "a1", "a2", "a4"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func waiting(t *Turns) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range t.waiting {
		n += len(line)
	}
	return n
}

func TestWhoIsGoneTakesNoTurn(t *testing.T) {
	turns, gone, never := NewTurns(1), make(chan struct{}), make(chan struct{})
	turns.Take("a", Silent, never)
	close(gone)
	if turns.Take("a", Silent, gone) {
		t.Error("a turn was given to who is gone")
	}
	turns.Give()
	if !turns.Take("b", Silent, never) || waiting(turns) != 0 {
		t.Error("the turn is lost")
	}
	turns.SetLimit(2)
	if !turns.Take("b", Silent, never) {
		t.Error("a second turn was not given")
	}
	turns.SetLimit(1)
	turns.Give()
	if turns.Take("b", Silent, gone) {
		t.Error("more turns than there are")
	}
}

// Each line is what identities ask for and give back: "a" is an agent and "D" somebody who decides; "+a" takes a place,
// "-a" gives its first one back.
func TestPlaces(t *testing.T) {
	limits := PlaceLimits{Max: 12, Reserved: 4, PerIdentity: 6, Guaranteed: 2, Waiting: 2, Identities: [kinds]int{2, 2}}
	repeat := func(word string, n int) (s string) {
		for range n {
			s += word + " "
		}
		return s
	}
	for _, tt := range []struct {
		name, happens string
		want          map[string]int // places
		waiting       map[string]int
		refused       int
	}{
		{"as many as one may have", repeat("+a", 9), map[string]int{"a": 6}, map[string]int{"a": 2}, 1},
		{"none of another's", repeat("+a", 6) + repeat("+b", 2), map[string]int{"a": 6, "b": 2}, nil, 0},
		{"no more than there are", repeat("+a", 6) + repeat("+b", 3), map[string]int{"a": 6, "b": 2}, map[string]int{"b": 1}, 0},
		{"what others do not need", repeat("+a", 4) + repeat("+b", 4), map[string]int{"a": 4, "b": 4}, nil, 0},
		{"of approvers, none is an agent's", repeat("+a", 8) + repeat("+b", 8) + "+D", map[string]int{"a": 6, "b": 2, "D": 1},
			map[string]int{"a": 2, "b": 2}, 4},
		{"of one approver, none is another's", repeat("+D", 4) + "+E +E", map[string]int{"D": 2, "E": 2}, map[string]int{"D": 2}, 0},
		{"a place that is given back goes to who waits", repeat("+a", 7) + "-a", map[string]int{"a": 6}, nil, 0},
		{"and to another where that one may have it", repeat("+a", 6) + repeat("+b", 3) + "-a", map[string]int{"a": 5, "b": 3}, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, held, refused := NewPlaces(limits), map[string][]*Place{}, 0
			for _, word := range strings.Fields(tt.happens) {
				name := word[1:]
				kind := Asks
				if name >= "A" && name <= "Z" {
					kind = Decides
				}
				if word[0] == '-' {
					held[name][0].Release()
					held[name][0].Release() // which changes nothing
					held[name] = held[name][1:]
				} else if place := p.Ask(kind, name); place == nil {
					refused++
				} else {
					held[name] = append(held[name], place)
				}
			}
			has, waits := map[string]int{}, map[string]int{}
			for name, places := range held {
				for _, place := range places {
					select {
					case <-place.Granted():
						has[name]++
					default:
						waits[name]++
					}
				}
			}
			if fmt.Sprint(has) != fmt.Sprint(tt.want) || len(waits)+len(tt.waiting) > 0 && fmt.Sprint(waits) != fmt.Sprint(tt.waiting) || refused != tt.refused {
				t.Errorf("%v, waiting %v, refused %d; want %v, %v, %d", has, waits, refused, tt.want, tt.waiting, tt.refused)
			}
		})
	}
}

func TestPlacesKeepTheirOrder(t *testing.T) {
	p := NewPlaces(PlaceLimits{Max: 2, Reserved: 1, PerIdentity: 1, Waiting: 9})
	first := p.Ask(Asks, "a")
	second, third := p.Ask(Asks, "a"), p.Ask(Asks, "a")
	second.Release() // does not want to wait any more
	fourth := p.Ask(Asks, "a")
	first.Release()
	<-third.Granted()
	select {
	case <-fourth.Granted():
		t.Error("two have one place")
	case <-second.Granted():
		t.Error("who left has a place")
	default:
	}
	p.SetLimits(PlaceLimits{Max: 3, Reserved: 1, PerIdentity: 2, Waiting: 9})
	<-fourth.Granted()
	if now, most, waits := p.Count(Asks); now != 2 || most != 2 || waits != 0 {
		t.Errorf("%d of %d, %d wait", now, most, waits)
	}
}
