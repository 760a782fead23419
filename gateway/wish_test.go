package gateway

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"charm.land/ssh"
	"charm.land/wish/v2/recover"
	"charm.land/wish/v2/testsession"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"shannot-gateway/gateway/command"
)

// logLines are the lines of a log, which may be written to meanwhile.
type logLines struct {
	mu      sync.Mutex
	written sync.Cond
	text    bytes.Buffer
}

func newLogLines() *logLines {
	l := &logLines{}
	l.written.L = &l.mu
	return l
}

// Write implements io.Writer.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written.Broadcast()
	return l.text.Write(p)
}

// await waits until some lines hold all words: a channel's client may know of its end before the log does.
func (l *logLines) await(n int, words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if found := l.find(words...); len(found) >= n {
			return found
		}
		l.written.Wait()
	}
}

// find are the lines that hold all words. The caller holds the lock.
func (l *logLines) find(words ...string) (found []string) {
lines:
	for line := range strings.Lines(l.text.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		found = append(found, line)
	}
	return found
}

func TestAPanicEndsOneChannelWithAStatus(t *testing.T) {
	log := newLogLines()
	handler := ssh.Handler(func(ssh.Session) { panic("the handler's own") })
	for _, wrap := range []func(ssh.Handler) ssh.Handler{exits, recover.MiddlewareWithLogger(panics{slog.New(slog.NewTextHandler(log, nil))})} {
		handler = wrap(handler)
	}
	err := testsession.New(t, &ssh.Server{Handler: handler}, nil).Run("")
	var exit *gossh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != command.ExitFault {
		t.Errorf("the client of a handler that panics gets %v", err)
	}
	if lines := log.await(1, "level=ERROR", "panic in a channel"); !strings.Contains(lines[0], "the handler's own") || !strings.Contains(lines[0], "wish_test.go") {
		t.Errorf("the log does not say what the panic was and where: %q", lines)
	}
}

func TestTheLogTellsWhoAskedForWhichVerbAndNoMore(t *testing.T) {
	log := newLogLines()
	r := startAltered(t, "", nil, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	agent, err := gossh.Dial("tcp", r.address, &gossh.ClientConfig{
		User: strings.Repeat("n", 100), Auth: []gossh.AuthMethod{gossh.PublicKeys(r.agent)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Close() }()
	output(t, agent, "policy -- echo SECRET", "")
	output(t, agent, "echo SECRET", "")
	if s, err := agent.NewSession(); err != nil || s.RequestSubsystem(sftpSubsystem) != nil {
		t.Fatal(err)
	} else {
		_ = s.Close()
	}
	for _, verb := range []string{"policy", "shell", sftpSubsystem} {
		lines := log.await(1, "msg=connect", "identity=claude", "key=SHA256:", "remote-addr=127.0.0.1:", "public-key=true", "command="+verb+" ", "user="+strings.Repeat("n", maxLoggedName)+" ")
		if len(lines) != 1 {
			t.Errorf("the log has %d lines for %s", len(lines), verb)
		}
	}
	log.await(3, "msg=disconnect", "identity=claude", "duration=")
	log.mu.Lock()
	defer log.mu.Unlock()
	if lines := log.find("SECRET"); len(lines) > 0 {
		t.Errorf("the log has what stood in a line: %q", lines)
	}
}

func TestCommandsOfAnIdentityAreRefusedWhereTheyComeTooOften(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := startAltered(t, "[connections]\nrate = 1\n", nil, func(o *Options) { o.Now = func() time.Time { return noon } })
	agent, approver := r.as(r.agent), r.as(r.approver)
	for i := range rateBurst {
		if _, errs, status := output(t, agent, "whoami", ""); status != 0 {
			t.Fatalf("%d: %d, %q", i, status, errs)
		}
	}
	out, errs, status := output(t, agent, "whoami", "")
	if status != command.ExitBusy || out != "" || !strings.HasPrefix(errs, "shannot: busy:") || strings.Count(errs, "\n") != 1 {
		t.Errorf("one more ends with %d and says %q, %q", status, out, errs)
	}
	if _, errs, status := output(t, approver, "whoami", ""); status != 0 {
		t.Errorf("another identity: %d, %q", status, errs)
	}
}

func TestRatesFollowTheConfiguration(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	r := &rates{now: func() time.Time { return now }, all: map[string]*rate.Limiter{}}
	count := func(limit int) (n int) {
		for r.take("claude", limit) {
			n++
		}
		return n
	}
	if got := count(2); got != 2*rateBurst {
		t.Errorf("%d at once, want %d", got, 2*rateBurst)
	}
	now = now.Add(3 * time.Second)
	if got := count(2); got != 6 {
		t.Errorf("%d after three seconds, want 6", got)
	}
	if got := count(50); got != 0 {
		t.Errorf("a higher limit gives %d at once", got)
	}
	now = now.Add(time.Second)
	if got := count(50); got != 50 {
		t.Errorf("%d in a second at the higher limit, want 50", got)
	}
	now = now.Add(time.Hour)
	if got := count(1); got != rateBurst {
		t.Errorf("%d at the lower limit after an hour, want %d", got, rateBurst)
	}
}
