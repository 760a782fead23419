//go:build linux && (amd64 || arm64)

package shell

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/vfs"
)

// message is a frame in hex.
func message(t *testing.T, items ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := frames.Write(&b, items...); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b.Bytes())
}

// TestHostileShellSaysAnything is a shell that was taken over: it says to the supervisor what no shell says. It gets no more than
// a text could ask for: what is no message ends the session, and what is one is judged.
func TestHostileShellSaysAnything(t *testing.T) {
	program, err := builtProgram()
	if err != nil {
		t.Skip(err)
	}
	if _, err := sandboxed(); err != nil {
		t.Fatal(err)
	}
	host := native.New(native.Options{Runtime: filepath.Join(madeRuntime, "runtime"), Shell: native.Shell{Executable: program, Takes: Takes}})
	t.Cleanup(func() { _ = host.Close() })
	start := func(change func(*frames.Start)) string {
		q := frames.Start{Argv: []string{"true"}, Executables: []string{"/bin/true"}, Stdin: -1, Stdout: -1, Stderr: -1}
		change(&q)
		return message(t, frames.EncodeStart(q)...)
	}
	for _, c := range []struct {
		what, say string
		cause     sandbox.Cause
		asked     int    // commands at the gate
		said      string // in what it prints
	}{
		{"a message without end", "ffffffff", sandbox.Protocol, 0, ""},
		{"a list of more than it holds", "08000000ffffff0000000000", sandbox.Protocol, 0, ""},
		{"an unknown request", message(t, []byte("exec"), []byte("/bin/sh")), sandbox.Protocol, 0, ""},
		{"a request for a session", message(t, []byte(frames.OpWait)), sandbox.Protocol, 0, ""},
		{"a limit that there is not", message(t, []byte(frames.OpLimit), []byte("gravity")), sandbox.Protocol, 0, ""},
		{"a NUL in a word", start(func(q *frames.Start) { q.Argv = []string{"true\x00x"} }), sandbox.Protocol, 0, ""},
		{"a NUL in a directory", start(func(q *frames.Start) { q.Dir = "/\x00" }), sandbox.Protocol, 0, ""},
		{"no words", start(func(q *frames.Start) { q.Argv = nil }), sandbox.Protocol, 0, ""},
		{"a descriptor of another process", start(func(q *frames.Start) { q.Stdout = 900 }), sandbox.Exited, 0, "error"},
		{"a negative descriptor, which is none", start(func(q *frames.Start) { q.Stdin = -7 }), sandbox.Exited, 1, "ok"},
		{"standard input to write to", start(func(q *frames.Start) { q.Stdout = 0 }), sandbox.Exited, 0, "error"},
		{"a directory that is none", start(func(q *frames.Start) { q.Dir = "/proc/self/exe" }), sandbox.Exited, 0, "error"},
		{"half a message, and nobody there", "40000000aabb-", sandbox.Exited, 0, "left"},
		{"the shell itself by another name", start(func(q *frames.Start) {
			q.Argv, q.Executables = []string{"rm", "-rf", "/"}, []string{sandbox.Shell}
		}), sandbox.Exited, 0, "ok"},
		{"a command by another name", start(func(q *frames.Start) { q.Argv = []string{"ls"} }), sandbox.Exited, 1, "ok"},
		{"a line that is none", start(func(q *frames.Start) { q.Line = -1 << 31 }), sandbox.Exited, 1, "ok"},
		{"connections without end", "many", sandbox.Exited, 0, "true"},
	} {
		t.Run(c.what, func(t *testing.T) {
			view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Scratch: []string{"/tmp"}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = view.Close() }()
			gate := &recorder{}
			var stdout, stderr bytes.Buffer
			result, err := New(host).Run(t.Context(), sandbox.Job{
				Session: t.Name(), Args: []string{"-c", "frames", c.say}, Env: testEnv, Dir: "/", FS: view, Stdin: strings.NewReader(""), Stdout: &stdout,
				Stderr: &stderr, Commands: gate, Limits: sandbox.Limits{Wall: time.Minute, Memory: 512 << 20, Threads: 64, Processes: 4},
			})
			if err != nil || result.Cause != c.cause || len(gate.asked) != c.asked || !strings.Contains(stdout.String(), c.said) {
				t.Errorf("%v %+v, asked %+v, said %q %q", err, result, gate.asked, &stdout, &stderr)
			}
			for _, asked := range gate.asked {
				if asked.Executables[0] != "/bin/true" { // what a human is shown beside the words
					t.Errorf("%+v", asked)
				}
			}
		})
	}
}
