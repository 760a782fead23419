package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

const beginning = `{"jsonrpc":"2.0","id":"begin","method":"initialize","params":{"protocolVersion":"%s","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// agreed answers the request to initialize that a wire has read.
func agreed(t *testing.T, w *wire, version string) {
	t.Helper()
	msg, err := w.Read(t.Context())
	r, ok := msg.(*jsonrpc.Request)
	if err != nil || !ok || r.Method != "initialize" {
		t.Fatalf("%T %v", msg, err)
	}
	if err := w.Write(t.Context(), &jsonrpc.Response{ID: r.ID, Result: json.RawMessage(`{"protocolVersion":"` + version + `"}`)}); err != nil {
		t.Fatal(err)
	}
}

func TestABatchIsAnsweredInOneLine(t *testing.T) {
	for _, version := range []string{"2024-11-05", "2025-03-26"} {
		w, out := wireOf(t, fmt.Sprintf(beginning, version)+"\n"+
			`[{"jsonrpc":"2.0","id":1,"method":"ping"},7,{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":1,"method":"ping"}]`+"\n"+
			`{"jsonrpc":"2.0","id":3,"method":"ping"}`+"\n")
		agreed(t, w, version)
		out.Reset()
		var asked []jsonrpc.ID
		for range 4 {
			msg, err := w.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r := msg.(*jsonrpc.Request); r.IsCall() { //nolint:forcetypeassert // or the test fails
				asked = append(asked, r.ID)
			}
		}
		if len(asked) != 3 || out.Len() != 0 {
			t.Fatalf("%v are asked, and %q was answered", asked, out)
		}
		for i := len(asked) - 1; i >= 0; i-- { // in any order
			if err := w.Write(t.Context(), &jsonrpc.Response{ID: asked[i], Result: json.RawMessage("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		single, batch, _ := strings.Cut(out.String(), "\n")
		var answers []struct {
			ID    any
			Error *struct{ Code int }
		}
		if err := json.Unmarshal([]byte(batch), &answers); err != nil || !strings.Contains(single, `"id":3`) {
			t.Fatalf("%v: %q, %q", err, single, batch)
		}
		wrong := 0
		for _, a := range answers {
			if a.Error != nil {
				wrong++
			}
		}
		if len(answers) != 4 || wrong != 2 || strings.Count(batch, "\n") != 1 {
			t.Errorf("%s: %s", version, batch)
		}
		if w.weight != 0 || len(w.calls) != 0 || w.answering != 0 {
			t.Errorf("%d bytes of %d requests count on", w.weight, len(w.calls))
		}
	}
}

func TestWhatIsNoBatchIsAnsweredOnce(t *testing.T) {
	many := strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"ping"},`, maxCalls) + "1"
	for batch, want := range map[string]string{
		"[]": `{"jsonrpc":"2.0","id":null,"error":{"code":-32600`, "[" + many + "]": "nothing of it was done",
		"[1,2]": `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600`, "[1,": `"code":-32700`, "[" + strings.Repeat("1,", 1<<20) + "1]": "at most",
		`[{"jsonrpc":"2.0","id":9,"result":{}}]`: "asks nothing", "[[]]": `"code":-32600`,
	} {
		w, out := wireOf(t, fmt.Sprintf(beginning, "2025-03-26")+"\n"+batch+"\n")
		agreed(t, w, "2025-03-26")
		out.Reset()
		if _, err := w.Read(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("%.40q is served: %v", batch, err)
		}
		if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, want) {
			t.Errorf("%.40q is answered %.200q, not %q", batch, s, want)
		}
	}
}

func TestVersionsWithoutBatchesRefuseThem(t *testing.T) {
	for _, version := range []string{"", "2025-06-18", "2025-11-25"} {
		lines := `[{"jsonrpc":"2.0","id":1,"method":"ping"}]` + "\n"
		if version != "" {
			lines = fmt.Sprintf(beginning, version) + "\n" + lines
		}
		w, out := wireOf(t, lines)
		if version != "" {
			agreed(t, w, version)
		}
		if _, err := w.Read(t.Context()); !errors.Is(err, io.EOF) || !strings.Contains(out.String(), "batches are of the versions") {
			t.Errorf("%q: %v %s", version, err, out)
		}
	}
}

// TestABatchIsServed has the whole server answer one, of which a request is cancelled.
func TestABatchIsServed(t *testing.T) {
	c := newTalk(t)
	c.say(fmt.Sprintf(beginning, "2025-03-26"))
	c.next()
	c.say(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}]`)
	if !c.lines.Scan() {
		t.Fatal(c.lines.Err())
	}
	var answers []struct{ ID int }
	if err := json.Unmarshal(c.lines.Bytes(), &answers); err != nil || len(answers) != 2 || answers[0].ID+answers[1].ID != 3 {
		t.Errorf("%v %s", err, c.lines.Bytes())
	}
}
