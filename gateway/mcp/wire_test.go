package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"shannot-gateway/gateway/command"
)

// answersTo serves lines to their end and returns what the server has written.
func answersTo(t testing.TB, lines string) []byte {
	t.Helper()
	var mu sync.Mutex
	var out bytes.Buffer
	status := Serve(t.Context(), Options{
		Stdin: strings.NewReader(lines), Version: "test", Log: slog.New(slog.DiscardHandler), Expire: func() time.Duration { return time.Hour },
		Changed: func(ctx context.Context) <-chan string {
			none := make(chan string)
			context.AfterFunc(ctx, func() { close(none) })
			return none
		},
		Stdout: writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return out.Write(p)
		}),
		Run: func(_ context.Context, c *command.Call) int {
			_, _ = fmt.Fprintln(c.Stderr, "shannot: nothing runs in a test")
			return command.ExitFault
		},
	})
	if status != command.ExitOK {
		t.Errorf("the server ends with %d", status)
	}
	return out.Bytes()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// checkLines fails where something that is no message of JSON-RPC was written.
func checkLines(t *testing.T, out []byte) {
	t.Helper()
	for line := range bytes.Lines(out) {
		parts := []json.RawMessage{line}
		if line[0] == '[' {
			if err := json.Unmarshal(line, &parts); err != nil || len(parts) == 0 {
				t.Errorf("no batch: %q (%v)", line, err)
			}
		}
		for _, part := range parts {
			var m struct {
				Version string          `json:"jsonrpc"`
				ID      json.RawMessage `json:"id"`
				Method  string          `json:"method"`
			}
			if err := json.Unmarshal(part, &m); err != nil || m.Version != "2.0" || m.ID == nil && m.Method == "" {
				t.Errorf("no message: %q (%v)", line, err)
			}
		}
	}
}

// FuzzLines serves hostile lines: nothing but messages may come back, and the server ends with its input.
func FuzzLines(f *testing.F) {
	begin := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	f.Add("no JSON\n[]\n{}\nnull\n" + begin + "\n" + begin)
	f.Add(begin + "\n" + `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"shell","arguments":{"command":"'"}}}`)
	f.Add(begin + "\n" + `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"session_result","arguments":{"session":"'","offset":-1e300}}}`)
	f.Add(`{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	f.Add(`{"jsonrpc":"2.0","id":null,"method":"ping"}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}`)
	f.Add(`{"jsonrpc":"2.0","id":1.5,"method":"ping","params":null}` + "\r\n" + `{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}`)
	f.Add(`{"jsonrpc":"2.0","id":3,"method":"server/discover"}` + "\n" + `{"jsonrpc":"2.0","id":4,"method":"subscriptions/listen","params":{}}`)
	f.Add(fmt.Sprintf(beginning, "2025-03-26") + "\n" + `[{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"shell"}},[],null]`)
	f.Add(`{"jsonrpc":"2.0","id":2,"method":"tasks/get","params":{"taskId":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":null}}}}}`)
	f.Fuzz(func(t *testing.T, lines string) { checkLines(t, answersTo(t, lines)) })
}

func TestALineThatIsNoMessageIsAnsweredAndServedOn(t *testing.T) {
	for _, bad := range []string{
		"x", "{", "[]", "null", "7", `"s"`, "{}", `{"jsonrpc":"2.0","id":[],"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":1}`,
		"\xff\xfe", strings.Repeat("[", 1<<20), strings.Repeat(`{"a":`, 1<<20), strings.Repeat("x", maxLine+1), `{"a":"` + strings.Repeat("x", maxLine) + `"}`,
		`{"jsonrpc":"2.0","method":"m","params":{"a":"` + strings.Repeat("x", maxNotice) + `"}}`,
	} {
		out := answersTo(t, bad+"\n"+`{"jsonrpc":"2.0","id":"after","method":"ping"}`+"\n")
		checkLines(t, out)
		shown := bad[:min(len(bad), 40)]
		if !bytes.Contains(out, []byte(`"id":null,"error":`)) {
			t.Errorf("%q is not answered: %s", shown, out)
		}
	}
}

// wireOf is a wire that reads what is given, and what was written to it.
func wireOf(t *testing.T, lines string) (*wire, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	w := newWire(strings.NewReader(lines), &out)
	t.Cleanup(func() { _ = w.Close() })
	return w, &out
}

func TestTheLongestMessageIsTaken(t *testing.T) {
	begin, end := `{"jsonrpc":"2.0","id":1,"method":"`, `"}`
	method := strings.Repeat("x", maxLine-len(begin)-len(end))
	w, out := wireOf(t, begin+method+end) // the last line has no end
	msg, err := w.Read(t.Context())
	if r, ok := msg.(*jsonrpc.Request); err != nil || !ok || r.Method != method {
		t.Errorf("%T %v %s", msg, err, out)
	}
	if _, err := w.Read(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v", err)
	}
}

func TestRequestsWithoutAnAnswerAreBounded(t *testing.T) {
	var lines strings.Builder
	for i := range maxCalls + 2 {
		fmt.Fprintf(&lines, `{"jsonrpc":"2.0","id":%d,"method":"ping"}`+"\n", i)
	}
	fmt.Fprintln(&lines, `{"jsonrpc":"2.0","id":0,"method":"ping"}`)
	fmt.Fprintln(&lines, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}`)
	fmt.Fprintln(&lines, `{"jsonrpc":"2.0","id":"late","method":"ping"}`)
	w, out := wireOf(t, lines.String())
	read := func() *jsonrpc.Request {
		msg, err := w.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return msg.(*jsonrpc.Request) //nolint:forcetypeassert // or the test fails
	}
	first := read()
	for range maxCalls - 1 {
		read()
	}
	if r := read(); r.Method != "notifications/cancelled" { // it comes through, whatever waits
		t.Fatalf("%+v", r)
	}
	want := fmt.Sprintf(`"id":%d,"error":{"code":-32000`, maxCalls)
	if s := out.String(); !strings.Contains(s, want) || strings.Count(s, "busy") != 2 || !strings.Contains(s, `"id":null,"error":{"code":-32600,"message":"a request with this id`) {
		t.Errorf("answers: %s", s)
	}
	if err := w.Write(t.Context(), &jsonrpc.Response{ID: first.ID, Result: json.RawMessage("{}")}); err != nil {
		t.Fatal(err)
	}
	if r := read(); r.ID.Raw() != "late" {
		t.Errorf("there is room again, and %+v comes", r)
	}
}

func TestBytesWithoutAnAnswerAreBounded(t *testing.T) {
	var lines strings.Builder
	for i := range 3 {
		fmt.Fprintf(&lines, `{"jsonrpc":"2.0","id":%d,"method":"ping","params":{"a":"%s"}}`+"\n", i, strings.Repeat("x", maxInFlight/2-100))
	}
	w, out := wireOf(t, lines.String())
	for range 2 {
		if _, err := w.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Read(t.Context()); !errors.Is(err, io.EOF) || !strings.Contains(out.String(), `"id":2,"error":{"code":-32000`) {
		t.Errorf("%v %s", err, out)
	}
}
