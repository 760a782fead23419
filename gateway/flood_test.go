package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/admission"
)

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// opened opens connections from an address that say this and nothing more, and that end with the test.
func opened(t *testing.T, r *running, from string, n int, says string) []net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := dialer.Dial("tcp", r.address)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		_, _ = io.WriteString(c, says)
		conns[i] = c
	}
	t.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return conns
}

// flood does something again and again, in so many goroutines, until the function that it returns is called.
func flood(n int, do func()) (stop func()) {
	var all sync.WaitGroup
	done := make(chan struct{})
	for range n {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
				}
			}
		})
	}
	return func() { close(done); all.Wait() }
}

// logsIn fails the test where somebody cannot log in and ask something.
func (r *running) logsIn(who string, signer gossh.Signer) {
	r.tb.Helper()
	c, err := r.dial(signer)
	if err != nil {
		r.tb.Errorf("%s cannot log in: %v", who, err)
		return
	}
	defer func() { _ = c.Close() }()
	if out, _, status := output(r.tb, c, "whoami", ""); status != 0 || !strings.HasPrefix(out, who) {
		r.tb.Errorf("whoami of %s: %q, status %d", who, out, status)
	}
}

// Clients that do not log in: however many, whatever they have said, from the address of those who do.
func TestClientsThatDoNotLogInShutNobodyOut(t *testing.T) {
	const version = "SSH-2.0-x\r\n"
	for _, tt := range []struct {
		name, says string
		n          int
	}{
		{"8 silent", "", 8}, {"64 silent", "", 64}, {"1000 silent", "", 1000},
		{"1000 with a version", version, 1000},
		{"1000 with a packet without an end", version + "\x00\x00\x3f\xff", 1000},
		{"1000 with a packet that is too long", version + "\x00\x03\xff\xff", 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, "[connections]\npending = 60\n")
			opened(t, r, "127.0.0.1", tt.n, tt.says)
			for range 3 {
				r.logsIn("claude", r.agent)
				r.logsIn("alice", r.approver)
			}
			if now, most := r.gateway.connections.pending.Count(); now > most {
				t.Errorf("%d of %d", now, most)
			}
		})
	}
}

func TestAFloodOfSilentConnectionsShutsNobodyOut(t *testing.T) {
	r := start(t, "")
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		var mu sync.Mutex
		var kept []net.Conn
		stop := flood(4, func() {
			time.Sleep(time.Millisecond) // thousands a second; the processor is the test's and its clients' too
			c, err := dialer.Dial("tcp", r.address)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if kept = append(kept, c); len(kept) > 5000 { // descriptors of the test
				_ = kept[0].Close()
				kept = kept[1:]
			}
		})
		for range 5 {
			r.logsIn("claude", r.agent)
			r.logsIn("alice", r.approver)
		}
		stop()
		for _, c := range kept {
			_ = c.Close()
		}
	}
}

func TestOneKeyThatConnectsWithoutEndShutsNoApproverOut(t *testing.T) {
	r := start(t, "[connections]\nmax = 24\nreserved = 8\nper_identity = 12\nwaiting = 4\nwait = \"1m\"\n")
	var mu sync.Mutex
	var kept []*gossh.Client
	stop := flood(16, func() {
		c, err := r.dial(r.agent)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, c)
		}
	})
	defer func() {
		_ = r.gateway.Reload(r.without("claude")) // lets those go that wait
		stop()
		for _, c := range kept {
			_ = c.Close()
		}
	}()
	eventually(t, "the agent has all that it can have", func() bool {
		n := r.gateway.connections.count()
		return n.Agents == 12 && n.Waiting == 4
	})
	for range 5 {
		r.logsIn("alice", r.approver)
	}
	n := r.gateway.connections.count()
	if n.Agents > 12 || n.Waiting > 4 {
		t.Errorf("the agent has %d connections, and %d wait", n.Agents, n.Waiting)
	}
	out, _, _ := output(t, r.as(r.approver), "status", "")
	if !strings.Contains(out, "connections: 12 of 16 of agents, ") {
		t.Errorf("status says %s", out)
	}
}

func TestWhoIsOverTheirPlacesIsToldSo(t *testing.T) {
	r := start(t, "[connections]\nper_identity = 1\nguaranteed = 1\nwaiting = 1\nwait = \"1h\"\n")
	r.as(r.agent)
	waits := make(chan error, 1)
	go func() {
		c, err := r.dial(r.agent)
		if err == nil {
			defer func() { _ = c.Close() }()
		}
		waits <- err
	}()
	eventually(t, "one waits", func() bool { return r.gateway.connections.count().Waiting == 1 })
	told := make(chan string, 1)
	_, err := gossh.Dial("tcp", r.address, &gossh.ClientConfig{
		User: "shannot", Auth: []gossh.AuthMethod{gossh.PublicKeys(r.agent)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		BannerCallback: func(message string) error { told <- message; return nil },
	})
	if err == nil {
		t.Fatal("one more than may wait has logged in")
	}
	if got := <-told; !strings.HasPrefix(got, "shannot: busy: too many connections: 1 connections of claude wait") {
		t.Errorf("it was told %q", got)
	}
	if err := r.gateway.Reload(r.settings); err != nil { // the same limits: nobody is let in by it
		t.Fatal(err)
	}
	more := *r.settings.Config
	more.Connections.PerIdentity = 2
	if err := r.gateway.Reload(Settings{&more, r.settings.Judge, r.settings.Targets}); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Errorf("whoever waited, after a reload with more places: %v", err)
	}
}

// Whoever waits for a place has logged in, and nothing counts what they send; it is little.
func TestWhoHasNoPlaceSendsLittle(t *testing.T) {
	l := &login{c: &connection{}}
	if n, err := l.count(maxLogin, nil); n != maxLogin || err != nil {
		t.Errorf("%d bytes: %v", n, err)
	}
	if n, err := l.count(1, nil); n != 0 || !errors.Is(err, errTooMuch) {
		t.Errorf("one byte more: %d, %v", n, err)
	}
	l.c.meter.Store(&admission.Meter{})
	if n, err := l.count(1, nil); n != 1 || err != nil {
		t.Errorf("with a place: %d, %v", n, err)
	}
}

// burst runs so many clients at once.
func burst(t *testing.T, r *running, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() { r.logsIn("claude", r.agent) })
	}
	all.Wait()
}

func TestABurstOfHonestClientsIsServed(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 60
	}
	t.Run("at once", func(t *testing.T) { burst(t, start(t, ""), n) })
	t.Run("waiting for places", func(t *testing.T) {
		burst(t, start(t, "[connections]\nper_identity = 3\nguaranteed = 3\nwait = \"10m\"\n"), n)
	})
}

// pour sends into a channel until nobody takes any more of it.
func pour(c gossh.Channel, size int) {
	piece := make([]byte, size)
	for {
		if _, err := c.Write(piece); err != nil {
			return
		}
	}
}

// Forty connections with ten channels each, into each of which a client sends as much as it can, and asks for nothing.
func TestChannelsThatAskForNothingHoldLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends a gigabyte where it can")
	}
	for _, size := range []int{32 << 10, 1} {
		t.Run(fmt.Sprintf("pieces of %d bytes", size), func(t *testing.T) {
			r := start(t, "[connections]\nrequest = \"1h\"\nunread = \"16MiB\"\n")
			limits := inputLimits(r.settings.Config)
			const connections = 40
			most := limits.Budget + limits.Alone + connections*(64<<10+maxRead)
			var channels []gossh.Channel
			for range connections {
				c := r.as(r.agent)
				for range 10 {
					channel, requests, err := c.OpenChannel("session", nil)
					if err != nil {
						t.Fatal(err)
					}
					go gossh.DiscardRequests(requests)
					channels = append(channels, channel)
				}
			}
			for _, channel := range channels {
				go pour(channel, size)
			}
			eventually(t, "the budget is used", func() bool { return r.gateway.connections.input.Held() >= limits.Budget })
			for range 20 {
				r.logsIn("claude", r.agent) // the same identity, with little input
				r.logsIn("alice", r.approver)
				if held := r.gateway.connections.input.Held(); held > most {
					t.Fatalf("%d bytes are held, want at most %d", held, most)
				}
			}
			r.gateway.connections.closeAll() // nobody would wait for what they have not sent yet
		})
	}
}

// channel opens a channel of a connection and pours into it.
func poured(t *testing.T, c *gossh.Client) (ended <-chan struct{}) {
	t.Helper()
	channel, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); gossh.DiscardRequests(requests) }()
	go pour(channel, 32<<10)
	return over
}

func TestAChannelThatAsksForNothingIsClosed(t *testing.T) {
	r := start(t, "[connections]\nrequest = \"100ms\"\n")
	c := r.as(r.agent)
	for range 20 { // more than there may be at once
		<-poured(t, c)
	}
	eventually(t, "nothing is held of it", func() bool { return r.gateway.connections.input.Held() < 64<<10 })
	// This machine may take longer than that to ask for something in a channel that it has opened.
	eventually(t, "another channel of the connection works", func() bool {
		s, err := c.NewSession()
		if err != nil {
			return false
		}
		defer func() { _ = s.Close() }()
		return s.Run("whoami") == nil
	})
}

func TestAChannelWithoutASessionKeepsNoConnection(t *testing.T) {
	r := start(t, "[connections]\nrequest = \"1h\"\nidle = \"200ms\"\n")
	c := r.as(r.agent)
	poured(t, c)
	stop := flood(1, func() { // and neither does a sign of life
		if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			time.Sleep(time.Millisecond)
		}
	})
	defer stop()
	_ = c.Wait()
	// What is at work is not idle. This machine may take longer than idle to come from the login to its request.
	var out bytes.Buffer
	var s *gossh.Session
	eventually(t, "a session begins", func() bool {
		c, err := r.dial(r.agent)
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = c.Close() })
		if s, err = c.NewSession(); err != nil {
			return false
		}
		s.Stdout = &out
		return s.Start("run -c 'import time; time.sleep(1); print(1)'") == nil
	})
	if err := s.Wait(); out.String() != "1\n" || err != nil {
		t.Errorf("a session that is longer than idle: %q, %v", out.String(), err)
	}
}

// A session that does not read its input holds no more of it than one channel's window; many of them no more than the budget.
func TestInputThatNobodyReadsIsBounded(t *testing.T) {
	r := start(t, "[connections]\nunread = \"3MiB\"\n[limits]\nscript = \"64KiB\"\nwall = \"2m\"\n")
	const sessions = 8
	limits := inputLimits(r.settings.Config)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range sessions {
		c := r.as(r.agent)
		s, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		stdin, err := s.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start("run -c 'import time; print(flush=True); time.sleep(100)'"); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for piece := make([]byte, 32<<10); ctx.Err() == nil; {
				if _, err := stdin.Write(piece); err != nil {
					return
				}
			}
		}()
	}
	eventually(t, "the budget is used", func() bool { return r.gateway.connections.input.Held() >= limits.Budget })
	most := limits.Budget + limits.Alone + sessions*(64<<10+maxRead)
	for range 20 {
		r.logsIn("alice", r.approver)
		if held := r.gateway.connections.input.Held(); held > most {
			t.Fatalf("%d bytes are held, want at most %d", held, most)
		}
	}
	for _, id := range r.open() {
		if _, errs, status := output(t, r.as(r.agent), "cancel "+id, ""); status != 0 {
			t.Errorf("cancel: %d %s", status, errs)
		}
	}
}

// Nobody reads what a client sends as standard error: a window's worth would stay in each channel.
func TestStandardErrorOfAClientIsThrownAway(t *testing.T) {
	r := start(t, "[connections]\nunread = \"3MiB\"\n[limits]\nscript = \"64KiB\"\n")
	channel, requests, err := r.as(r.agent).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(requests)
	piece := make([]byte, 32<<10)
	for range 16 << 20 / len(piece) {
		if _, err := channel.Stderr().Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := channel.SendRequest("exec", true, gossh.Marshal(struct{ Line string }{"whoami"})); !ok || err != nil {
		t.Errorf("afterwards: %v, %v", ok, err)
	}
}

func TestLargeInputArrivesWhole(t *testing.T) {
	r := start(t, "[connections]\nunread = \"3MiB\"\n[limits]\nscript = \"64KiB\"\n")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	out, errs, status := output(t, r.as(r.agent), "run -c 'import sys, time; time.sleep(0.5); print(len(sys.stdin.buffer.read()))'", string(content))
	if want := fmt.Sprintf("%d\n", len(content)); out != want || status != 0 {
		t.Errorf("%q, %s, status %d; want %s", out, errs, status, want)
	}
}

func TestAClientThatIsNoneIsLeft(t *testing.T) {
	r := start(t, "")
	for name, says := range map[string]string{
		"another protocol": "GET / HTTP/1.1\r\n", "lines before the first": "hello\r\nSSH-2.0-x\r\n", "no end of the line": "SSH-" + strings.Repeat("x", 300),
		"much before the login": "SSH-2.0-x\r\n" + strings.Repeat("\x00\x00\x00\x0c\x0a\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20<<10),
	} {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		go func() { _, _ = io.WriteString(c, says) }()
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
	}
	eventually(t, "none of them is kept", func() bool { return r.gateway.connections.count().LoggingIn == 0 })
}

func TestPacketsOfALoginFit(t *testing.T) {
	long := string(make([]byte, maxPlain))
	for _, tt := range []struct {
		stream string
		fits   bool
	}{
		{"", true}, {"\x00", true}, {"\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c\x00", true},
		{"\x00\x00\x40\x00" + long, true}, {"\x00\x00\x40\x01" + long, false},
		{"\x00\x00\x00\x02ab\xff\xff\xff\xff", false}, {"\x00\x00\x40\x00" + long + "\x01\x00\x00\x00", false},
	} {
		var whole, split framing
		if got := whole.fits([]byte(tt.stream)); got != tt.fits {
			t.Errorf("%.20q: %v", tt.stream, got)
		}
		got := true
		for i := range len(tt.stream) {
			got = got && split.fits([]byte{tt.stream[i]})
		}
		if got != tt.fits {
			t.Errorf("%.20q, byte by byte: %v", tt.stream, got)
		}
	}
}

func TestALoginHasItsTime(t *testing.T) {
	r := start(t, "[connections]\nlogin = \"200ms\"\n")
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	stop := flood(1, func() { // a byte now and then is no login
		if _, err := c.Write([]byte("S")); err != nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
	})
	defer stop()
	_, _ = io.Copy(io.Discard, c)
	// With all turns taken, a login takes longer than that.
	g := r.gateway.connections
	// A client on this machine may itself take longer at times, which counts.
	eventually(t, "a login that waits for the gateway", func() bool {
		var taken int
		for range handshakes(r.settings.Config.Connections) {
			g.turns.Take("test", 0, nil)
			taken++
		}
		result := make(chan error, 1)
		go func() {
			c, err := r.dial(r.agent)
			if err == nil {
				_ = c.Close()
			}
			result <- err
		}()
		time.Sleep(400 * time.Millisecond)
		for range taken {
			g.turns.Give()
		}
		return <-result == nil
	})
}

func TestWhatAChannelMayAskIsBounded(t *testing.T) {
	r := start(t, "")
	channel, requests, err := r.as(r.agent).OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(requests)
	ask := func(kind string, payload any) bool {
		ok, err := channel.SendRequest(kind, true, gossh.Marshal(payload))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		return ok
	}
	colour := struct{ K, V string }{"NO_COLOR", "1"}
	for range maxVariables {
		if !ask("env", colour) {
			t.Fatal("a variable was refused")
		}
	}
	if ask("env", colour) {
		t.Error("one more variable was taken")
	}
	if ask("shell", struct{ Line string }{"whoami"}) {
		t.Error("a command line was taken with a shell")
	}
	if ask("signal", struct{ Name string }{strings.Repeat("T", 100)}) {
		t.Error("a long signal was taken")
	}
	if ask("pty-req", struct {
		Term       string
		W, H, X, Y uint32
		Modes      string
	}{"xterm", 80, 24, 0, 0, strings.Repeat("\x01\x00\x00\x00\x01", 1000)}) {
		t.Error("a terminal with long modes was taken")
	}
	if !ask("exec", struct{ Line string }{"whoami"}) {
		t.Error("after all of that, nothing runs")
	}
}

func TestExchangesOfKeysAreSlowedDown(t *testing.T) {
	var e exchanges
	at := time.Unix(1_000_000, 0)
	for i, tt := range []struct{ after, want time.Duration }{
		{0, 0}, {0, rekeyEvery}, {0, 2 * rekeyEvery}, {2 * rekeyEvery, rekeyEvery}, {10 * rekeyEvery, 0}, {rekeyEvery, 0},
	} {
		at = at.Add(tt.after)
		if got := e.wait(at); got != tt.want {
			t.Errorf("exchange %d waits for %s, want %s", i, got, tt.want)
		}
	}
}
