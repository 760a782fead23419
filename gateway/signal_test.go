package gateway

import (
	"errors"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// A tool's timeout sends a signal and expects what it started to end.
func TestASignalEndsWhatRuns(t *testing.T) {
	for _, c := range []struct {
		signal gossh.Signal
		status int
	}{{gossh.SIGTERM, 143}, {gossh.SIGINT, 130}, {gossh.SIGKILL, 137}, {gossh.SIGHUP, 129}} {
		r := start(t, "[profile]\nauto_approve = [\"sleep\"]\n")
		s := newSession(t, r.as(r.agent))
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(`python3 -c 'print("runs", flush=True); import time; time.sleep(600)'`); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Signal(c.signal); err != nil {
			t.Fatal(err)
		}
		var ended *gossh.ExitError
		if err := s.Wait(); !errors.As(err, &ended) || ended.ExitStatus() != c.status {
			t.Errorf("%s: %v, not status %d", c.signal, err, c.status)
		}
		list, err := newSession(t, r.as(r.approver)).Output("list --all")
		if err != nil || !strings.Contains(string(list), "cancelled") {
			t.Errorf("%s: %s, %v", c.signal, list, err)
		}
	}
}

// A client may send signals without end, before and after it asks for something.
func TestSignalsWithoutEndBlockNothing(t *testing.T) {
	r := start(t, "")
	s := newSession(t, r.as(r.agent))
	for range 1000 {
		if err := s.Signal(gossh.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.Output("whoami"); err != nil || !strings.HasPrefix(string(out), "claude") {
		t.Errorf("%s, %v", out, err)
	}
}

func newSession(t *testing.T, c *gossh.Client) *gossh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
