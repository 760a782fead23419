package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressIsALineThatChangesForWhoLooksAtIt(t *testing.T) {
	at := time.Unix(0, 0)
	run := func(animated bool) string {
		var out bytes.Buffer
		b := &progressBar{to: &out, animated: animated, now: func() time.Time { return at }}
		const mebi = 1 << 20
		b.show("executable", 0, 2*mebi)
		b.show("executable", mebi/2, 2*mebi) // too soon to be drawn
		at = at.Add(time.Second)
		b.show("executable", mebi, 2*mebi)
		b.show("executable", 2*mebi, 2*mebi)
		b.show("standard library", mebi, 0)
		b.end()
		b.end()
		return out.String()
	}
	whole := "executable        [##############################] 2.0/2.0 MiB\n"
	last := "standard library  1.0 MiB\n"
	if got := run(false); got != whole+last {
		t.Errorf("got %q", got)
	}
	got := run(true)
	if n := strings.Count(got, "\r"); n != 6 || !strings.Contains(got, "\r"+"executable        [###############...............] 1.0/2.0 MiB") ||
		!strings.HasSuffix(got, "\r"+last) || strings.Count(got, "\n") != 2 {
		t.Errorf("%d times: %q", n, got)
	}
}
