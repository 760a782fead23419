package gateway

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

// The gateway waits for its clients so long that the test would fail if it waited for one that only watches.
func TestWatchersAndScreensDoNotHoldUpAStop(t *testing.T) {
	t.Parallel()
	r := startAltered(t, "", nil, func(o *Options) { o.Drain = time.Hour })
	client := r.as(r.approver)
	type opened struct {
		said bytes.Buffer
		end  func() error
	}
	var all []*opened
	for _, line := range []string{"watch", "watch --json", "approve --plain"} {
		s, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		one := &opened{end: s.Wait}
		s.Stderr = &one.said
		in, _ := s.StdinPipe() // open: nobody leaves
		t.Cleanup(func() { _ = in.Close() })
		out, err := s.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(line); err != nil {
			t.Fatal(err)
		}
		if line == "approve --plain" { // it has begun, and waits for an answer
			if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, one)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if err := one.end(); err != nil || !strings.Contains(one.said.String(), "shutting down") {
			t.Errorf("%v, %q", err, one.said.String())
		}
	}
}
