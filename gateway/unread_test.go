package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/config"
)

// asked begins a command line whose answer nobody reads.
func asked(t *testing.T, c *gossh.Client, line string) (s *gossh.Session, stdout, stderr io.Reader) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdout, _ = s.StdoutPipe()
	stderr, _ = s.StderrPipe()
	if err := s.Start(line); err != nil {
		t.Fatal(err)
	}
	return s, stdout, stderr
}

// An answer in JSON is held until its client has read it: an identity has few of them at once, however many it asks for.
func TestAnswersThatNobodyReadsAreFew(t *testing.T) {
	r := start(t, "[profile]\nauto_approve = [\"seq\"]\n[connections]\nanswers = 2\n")
	c := r.as(r.agent)
	if _, stderr, status := output(t, c, "exec --json -- seq 500000", ""); status != 0 { // 3.4 MB, which no channel takes unread
		t.Fatalf("status %d: %s", status, stderr)
	}
	list, _, _ := output(t, c, "list --all", "")
	id := strings.Fields(strings.Split(list, "\n")[1])[0]
	first, _, _ := asked(t, c, "wait --json "+id)
	_, firstOut, _ := asked(t, c, "wait --json "+id)
	third, thirdOut, thirdErr := asked(t, c, "wait --json "+id)
	told := make(chan string)
	go func() {
		line, _ := bufio.NewReader(thirdErr).ReadString('\n')
		told <- line
		_, _ = io.Copy(io.Discard, thirdErr)
	}()
	if line := <-told; !strings.Contains(line, "connections.answers") {
		t.Errorf("who waits for its turn is told %q", line)
	}
	if out, _, status := output(t, r.as(r.approver), "list --all", ""); status != 0 || !strings.Contains(out, id) {
		t.Errorf("somebody else waits as well: status %d, %q", status, out)
	}
	_ = first.Close() // leaves, and another one is served
	whole := make(chan int)
	go func() {
		text, _ := io.ReadAll(thirdOut)
		whole <- len(text)
	}()
	if n := <-whole; n < 3_000_000 {
		t.Errorf("an answer of %d bytes", n)
	}
	if err := third.Wait(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, firstOut)
}

func TestFilesAreReadInFewChannelsAtOnce(t *testing.T) {
	r := start(t, "[connections]\ntransfers = 2\n")
	c := r.as(r.agent)
	var clients []*sftp.Client
	for range 2 {
		f, err := sftp.NewClient(c)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, f)
	}
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stderr, _ := s.StderrPipe()
	in, _ := s.StdinPipe()
	out, _ := s.StdoutPipe()
	if err := s.RequestSubsystem("sftp"); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stderr).ReadString('\n')
	if !strings.Contains(line, "connections.transfers") {
		t.Errorf("who waits for its turn is told %q", line)
	}
	_ = clients[0].Close()
	third, err := sftp.NewClientPipe(out, in)
	if err != nil {
		t.Fatal("no turn after one was given back:", err)
	}
	if _, err := third.Stat("/local"); err != nil {
		t.Error(err)
	}
}

// Descriptors are what connections and sessions need too.
func TestOneAgentHoldsFewFilesOpen(t *testing.T) {
	other, key := newSigner(t)
	r := start(t, fmt.Sprintf("[identities.second]\nrole = \"agent\"\nkeys = [%q]\n", strings.TrimSpace(key)))
	most, _ := openFiles(descriptors())
	opened := 0
	for full := false; !full; {
		f, err := sftp.NewClient(r.as(r.agent))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			if _, err := f.Open("/local/etc/hosts"); err != nil {
				full = n == 0 // else it is the bound of one channel
				break
			}
			if opened++; opened > most {
				t.Fatalf("%d files are open, more than %d", opened, most)
			}
		}
	}
	if opened != most {
		t.Errorf("%d files are open, want %d", opened, most)
	}
	f, err := sftp.NewClient(r.as(other))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open("/local/etc/hosts"); err != nil {
		t.Errorf("another agent is kept out: %v", err)
	}
}

func TestOpenFilesLeaveDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64][2]int{0: {1024, 0}, 1: {1, 1}, 1024: {128, 256}, 1 << 20: {1024, 1 << 18}, 1 << 40: {1024, 1 << 20}} {
		if each, all := openFiles(descriptors); each != want[0] || all != want[1] {
			t.Errorf("of %d: %d and %d, want %v", descriptors, each, all, want)
		}
	}
}

// A second exchange of keys waits for a second, so that nobody asks for one after the other. In a login it would do that in
// somebody's turn.
func TestALoginExchangesKeysOnce(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	c := newConnections(&config.Config{Connections: config.DefaultConnections()}, time.Now).admit(ours)
	defer func() { _ = c.Close() }()
	if err := c.exchanged(); err != nil {
		t.Error(err)
	}
	if err := c.exchanged(); err == nil {
		t.Error("keys were exchanged a second time before the login")
	}
	c.login.end()
	if err := c.exchanged(); err != nil {
		t.Errorf("after the login: %v", err)
	}
}
