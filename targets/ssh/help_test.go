package ssh

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"shannot-gateway/targets/ssh/sshdtest"
)

func fingerprint(k gossh.PublicKey) string { return gossh.FingerprintSHA256(k) }

func authorized(k gossh.PublicKey) []byte { return gossh.MarshalAuthorizedKey(k) }

func keyText(k gossh.PublicKey) string { return strings.TrimSpace(string(authorized(k))) }

func randomReader() io.Reader { return rand.Reader }

// hashedLine is the server's line with its name hashed.
func hashedLine(s *sshdtest.Server) string {
	return knownhosts.HashHostname(fmt.Sprintf("[%s]:%d", s.Host, s.Port)) + " " + keyText(s.HostKey) + "\n"
}

// lineReader reads a command's output.
type lineReader struct{ s *bufio.Scanner }

func newLineReader(r io.Reader) *lineReader { return &lineReader{bufio.NewScanner(r)} }

func (l *lineReader) want(t *testing.T, line string) {
	t.Helper()
	if !l.s.Scan() || l.s.Text() != line {
		t.Fatalf("the command said %q, want %q (%v)", l.s.Text(), line, l.s.Err())
	}
}

func TestTheMarkIsTakenOutOfStandardError(t *testing.T) {
	const mark = "0123456789abcdef"
	for _, c := range []struct {
		name, in, out string
		group         int
	}{
		{"alone", mark + " 42\n", "", 42},
		{"then output", mark + " 42\nerror\n", "error\n", 42},
		{"after the shell's own words", "motd" + mark + " 42\nerror\n", "motderror\n", 42},
		{"only once", mark + " 42\n" + mark + " 43\n", mark + " 43\n", 42},
		{"none", "no such account\n", "no such account\n", 0},
		{"cut short", mark + " 4", mark + " 4", 0},
		{"no number", mark + " x\nerror", mark + " x\nerror", 0},
		{"everybody", mark + " 1\n", mark + " 1\n", 0},
		{"negative", mark + " -5\n", mark + " -5\n", 0},
		{"endless number", mark + " " + strings.Repeat("1", 50), mark + " " + strings.Repeat("1", 50), 0},
		{"nothing", "", "", 0},
	} {
		for size := 1; size <= 40; size++ {
			var out bytes.Buffer
			group := 0
			w := &markedWriter{to: &out, mark: mark, found: func(g int) { group = g }}
			for in := []byte(c.in); len(in) > 0; in = in[min(size, len(in)):] {
				if _, err := w.Write(in[:min(size, len(in))]); err != nil {
					t.Fatal(err)
				}
			}
			w.end()
			if out.String() != c.out || group != c.group {
				t.Fatalf("%s, %d bytes at a time: %q, group %d; want %q, %d", c.name, size, out.String(), group, c.out, c.group)
			}
		}
	}
}
