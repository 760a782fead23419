package command

import (
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestASilentClientIsToldWhatIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said lockedText
		in, client := io.Pipe()
		c := &Call{Stdin: in, Stderr: &said}
		got := make(chan string)
		go func() {
			text, err := c.readScript(t.Context(), 100)
			if err != nil {
				t.Error(err)
			}
			got <- text
		}()
		time.Sleep(silence - time.Second)
		synctest.Wait()
		if said.String() != "" {
			t.Errorf("said %q too early", said.String())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !strings.HasPrefix(said.String(), "shannot: waits for a script on standard input") {
			t.Errorf("said %q", said.String())
		}
		said.reset()
		_, _ = client.Write([]byte("print(1)"))
		time.Sleep(time.Minute) // one that has begun is not told anything
		_ = client.Close()
		if text := <-got; text != "print(1)" || said.String() != "" {
			t.Errorf("read %q, said %q", text, said.String())
		}
	})
}

func TestAScriptComesFromATerminal(t *testing.T) {
	for sent, want := range map[string]string{
		"print(1)\nprint(2)\n":            "print(1)\nprint(2)\n", // a file, by a client that asked for a terminal
		"print(1)\rprint(2)\r\x04more":    "print(1)\nprint(2)\n", // pasted, and Ctrl-D
		"print(1)\r\nprint(2)\r\n":        "print(1)\nprint(2)\n",
		"print(1)\r\x03":                  "", // Ctrl-C
		"":                                "",
		strings.Repeat("x", 100):          strings.Repeat("x", 100),
		strings.Repeat("x", 101) + "\x04": "too large",
	} {
		var said strings.Builder
		c := &Call{Stdin: strings.NewReader(sent), Stderr: &said}
		got, err := c.typedScript(t.Context(), 100)
		if err != nil {
			got = "too large"
		}
		if got != want {
			t.Errorf("%q was read as %q, %v", sent, got, err)
		}
		if !strings.Contains(said.String(), "Ctrl-D") {
			t.Errorf("said %q", said.String())
		}
	}
}

// lockedText is a text that one goroutine writes and another reads.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lockedText) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
