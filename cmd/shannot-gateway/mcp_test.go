package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rogpeppe/go-internal/testscript"
)

// mcpEnds is how long a conversation of MCP may take in a machine that has much else to do.
const mcpEnds = 5 * time.Minute

// cmdMCP has the SDK's own client talk to the gateway over the OpenSSH client.
//
//	mcp call TOOL JSON      calls a tool and puts its structured content into the file mcp.json, what a model reads into mcp.txt and
//	                        the session's id, where it has one, into MCP_ID
//	mcp generations         calls a tool in each generation of the protocol
//	mcp many N              makes N calls at once
//	mcp cancel              cancels a call of a script that would run on, and waits until the session has ended by that
//	mcp enough              has a call of such a script answered while it runs, and ends the session
//	mcp vanish TOOL JSON    calls a tool, kills the client when the session is held, and waits until it is parked; its id is in MCP_ID
//	mcp read URI            reads a resource and prints it, or what is wrong
//	mcp prompts             gets every prompt
//	mcp task TOOL JSON      calls a tool as a task, leaves, and prints the answer; the task's id is in MCP_ID
//	mcp about METHOD ID [STATUS]  tasks/METHOD of a task, until it has a status; the answer is printed
//	mcp told VERSION ID     subscribes to a session that waits, ends it, and waits until that is told
//	mcp slow                has a client not read, while others are served
//	mcp hostile             sends lines that are no messages, and is served on
func cmdMCP(ts *testscript.TestScript, neg bool, args []string) {
	do := map[string]func(context.Context, *testscript.TestScript, []string){
		"call": mcpCall, "generations": mcpGenerations, "many": mcpMany, "cancel": mcpCancel, "enough": mcpEnough, "vanish": mcpVanish,
		"hostile": mcpHostile, "read": mcpRead, "prompts": mcpPrompts, "task": mcpTask, "about": mcpAbout, "told": mcpTold, "slow": mcpSlow,
	}
	if neg || len(args) == 0 || do[args[0]] == nil {
		ts.Fatalf("usage: mcp WHAT [args…]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), mcpEnds)
	defer cancel()
	do[args[0]](ctx, ts, args[1:])
}

// mcpProgram is what a client is configured with.
func mcpProgram(ts *testscript.TestScript) *exec.Cmd {
	return exec.Command("ssh", "-T", "-F", ts.MkAbs("ssh_config"), "agent", "mcp") // #nosec G204 -- the test's own
}

// mcpConnect connects in a version of the protocol, "" for the newest. close must be called.
func mcpConnect(ctx context.Context, ts *testscript.TestScript, version string, progress func(string)) (_ *mcp.ClientSession, close func()) {
	program := mcpProgram(ts)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			if progress != nil {
				progress(r.Params.Message)
			}
		},
	})
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: program}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	ts.Check(err)
	return session, func() { _ = session.Close() }
}

// mcpRun calls a tool and returns its structured content, what a model reads, and the fields that tests look at.
func mcpRun(ctx context.Context, ts *testscript.TestScript, s *mcp.ClientSession, tool string, arguments any) (structured []byte, text string, out mcpOutcome) {
	result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	ts.Check(err)
	structured, err = json.Marshal(result.StructuredContent)
	ts.Check(err)
	if !result.IsError {
		ts.Check(json.Unmarshal(structured, &out))
	}
	var b strings.Builder
	if result.IsError {
		b.WriteString("an error: ")
	}
	for _, c := range result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			b.WriteString(t.Text + "\n")
		}
	}
	return structured, b.String(), out
}

type mcpOutcome struct{ Status, Session, Stdout string }

func mcpCall(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mcp call TOOL JSON")
	}
	s, end := mcpConnect(ctx, ts, "", nil)
	defer end()
	structured, text, out := mcpRun(ctx, ts, s, args[0], json.RawMessage(args[1]))
	ts.Check(writeFile(ts.MkAbs("mcp.json"), structured))
	ts.Check(writeFile(ts.MkAbs("mcp.txt"), []byte(text)))
	if out.Session != "" {
		ts.Setenv("MCP_ID", out.Session)
	}
	_, _ = ts.Stdout().Write(structured)
}

func mcpGenerations(ctx context.Context, ts *testscript.TestScript, _ []string) {
	for _, version := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
		s, end := mcpConnect(ctx, ts, version, nil)
		tools, err := s.ListTools(ctx, nil)
		ts.Check(err)
		var names []string
		for _, t := range tools.Tools {
			names = append(names, t.Name)
			if a := t.Annotations; a == nil || a.DestructiveHint == nil || t.InputSchema == nil || t.OutputSchema == nil || t.Description == "" {
				ts.Fatalf("%s: the tool %s lacks hints, a schema or a description", version, t.Name)
			}
			if readOnly := !slices.Contains([]string{"sandbox_run", "shell", "write_file", "cancel_session"}, t.Name); t.Annotations.ReadOnlyHint != readOnly {
				ts.Fatalf("%s: the tool %s says of reading only: %v", version, t.Name, !readOnly)
			}
		}
		want := []string{"cancel_session", "explain_policy", "list_directory", "list_sessions", "list_targets", "read_file", "sandbox_run", "session_result", "shell", "write_file"}
		if slices.Sort(names); !slices.Equal(names, want) {
			ts.Fatalf("%s: the tools are %v", version, names)
		}
		_, text, out := mcpRun(ctx, ts, s, "shell", map[string]any{"command": "echo it speaks " + version, "wait": 3600})
		if out.Status != "done" || out.Stdout != "it speaks "+version+"\n" {
			ts.Fatalf("%s: %+v: %s", version, out, text)
		}
		end()
	}
}

func mcpMany(ctx context.Context, ts *testscript.TestScript, args []string) {
	var n int
	if _, err := fmt.Sscan(strings.Join(args, " "), &n); err != nil {
		ts.Fatalf("usage: mcp many N")
	}
	s, end := mcpConnect(ctx, ts, "", nil)
	defer end()
	wrong := make(chan string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "shell", Arguments: map[string]any{"command": fmt.Sprintf("echo call %d", i), "wait": 3600}})
			if err != nil {
				wrong <- err.Error()
				return
			}
			said, err := json.Marshal(result.StructuredContent)
			if err != nil || !strings.Contains(string(said), fmt.Sprintf(`"stdout":"call %d\n"`, i)) {
				wrong <- fmt.Sprintf("%v %s", err, said)
			}
		})
	}
	all.Wait()
	close(wrong)
	for w := range wrong {
		ts.Fatalf("a call of %d at once: %s", n, w)
	}
}

// endless is a script that ends when it is ended.
const endless = "import time\nwhile True:\n    time.sleep(60)\n"

func mcpCancel(ctx context.Context, ts *testscript.TestScript, _ []string) {
	ids := make(chan string, 100)
	s, end := mcpConnect(ctx, ts, "", func(said string) {
		if id, ok := strings.CutSuffix(said, " runs"); ok {
			ids <- strings.TrimPrefix(id, "session ")
		}
	})
	defer end()
	call, cancel := context.WithCancel(ctx)
	defer cancel()
	params := &mcp.CallToolParams{Name: "sandbox_run", Arguments: map[string]any{"script": endless, "wait": 3600}}
	params.SetProgressToken("progress")
	ended := make(chan error, 1)
	go func() {
		_, err := s.CallTool(call, params)
		ended <- err
	}()
	var id string
	select {
	case id = <-ids:
	case err := <-ended:
		ts.Fatalf("the call has ended: %v", err)
	case <-ctx.Done():
		ts.Fatalf("the session has not begun")
	}
	cancel()
	if err := <-ended; err == nil {
		ts.Fatalf("a cancelled call was answered")
	}
	if _, _, out := mcpRun(ctx, ts, s, "session_result", map[string]any{"session": id, "wait": 3600}); out.Status != "" {
		ts.Fatalf("the session of a cancelled call: %+v", out)
	}
	var shown struct{ Status string }
	ts.Check(json.Unmarshal(ask(ts, "show "+id+" --json"), &shown))
	if shown.Status != "cancelled" {
		ts.Fatalf("the session of a cancelled call is %s", shown.Status)
	}
}

func mcpEnough(ctx context.Context, ts *testscript.TestScript, _ []string) {
	s, end := mcpConnect(ctx, ts, "", nil)
	defer end()
	for wait := 1; ; wait *= 2 { // on a busy machine a session may not have begun by then
		_, text, out := mcpRun(ctx, ts, s, "sandbox_run", map[string]any{"script": endless, "wait": wait})
		if out.Session == "" && strings.Contains(text, "nothing was started") {
			continue
		}
		if out.Status != "running" || !strings.Contains(text, "session_result") {
			ts.Fatalf("a script that runs on: %+v\n%s", out, text)
		}
		mcpRun(ctx, ts, s, "cancel_session", map[string]any{"session": out.Session})
		_, text, _ = mcpRun(ctx, ts, s, "session_result", map[string]any{"session": out.Session, "wait": 3600})
		if !strings.Contains(text, "cancelled") {
			ts.Fatalf("its end: %s", text)
		}
		return
	}
}

func mcpVanish(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mcp vanish TOOL JSON")
	}
	program := mcpProgram(ts)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := client.Connect(ctx, &mcp.CommandTransport{Command: program}, nil)
	ts.Check(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: args[0], Arguments: json.RawMessage(args[1])})
		if err == nil { // it shows why the session is not held
			said, _ := json.Marshal(result)
			ts.Logf("the call was answered: %s", said)
		}
	}()
	cmdHeld(ts, false, []string{"MCP_ID"})
	_ = program.Process.Kill()
	<-ended
	_ = s.Close()
	approver := asApprover(ts)
	defer func() { _ = approver.Close() }()
	for { // it only goes one way
		var shown struct{ Status string }
		out, err := answer(approver, "show "+ts.Getenv("MCP_ID")+" --json")
		ts.Check(err)
		ts.Check(json.Unmarshal(out, &shown))
		switch shown.Status {
		case "parked":
			return
		case "held":
		default:
			ts.Fatalf("the session of a client that is gone is %s", shown.Status)
		}
		select {
		case <-time.After(lookAgain / 4):
		case <-ctx.Done():
			ts.Fatalf("the session of a client that is gone is held on")
		}
	}
}

func mcpRead(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: mcp read URI")
	}
	s, end := mcpConnect(ctx, ts, "", nil)
	defer end()
	r, err := s.ReadResource(ctx, &mcp.ReadResourceParams{URI: args[0]})
	if err != nil {
		_, _ = fmt.Fprintf(ts.Stdout(), "an error: %v\n", err)
		return
	}
	for _, c := range r.Contents {
		_, _ = io.WriteString(ts.Stdout(), c.Text)
	}
}

func mcpPrompts(ctx context.Context, ts *testscript.TestScript, _ []string) {
	s, end := mcpConnect(ctx, ts, "", nil)
	defer end()
	all, err := s.ListPrompts(ctx, nil)
	ts.Check(err)
	for _, p := range all.Prompts {
		given := map[string]string{}
		for _, a := range p.Arguments {
			given[a.Name] = "the " + a.Name
		}
		r, err := s.GetPrompt(ctx, &mcp.GetPromptParams{Name: p.Name, Arguments: given})
		ts.Check(err)
		for _, m := range r.Messages {
			if t, ok := m.Content.(*mcp.TextContent); ok {
				_, _ = fmt.Fprintf(ts.Stdout(), "%s: %s\n", p.Name, t.Text)
			}
		}
		if _, err := s.GetPrompt(ctx, &mcp.GetPromptParams{Name: p.Name}); err == nil {
			ts.Fatalf("the prompt %s needs nothing", p.Name)
		}
	}
}

func mcpHostile(ctx context.Context, ts *testscript.TestScript, _ []string) {
	l := mcpTalk(ctx, ts)
	defer l.stop()
	const begin = `{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	lines := []string{
		"this is not JSON", "\x00\xff\x1b[2J", "[]", "[" + begin + "]", "{}", "null", "7", `{"jsonrpc":"1.0","id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}`, `{"jsonrpc":"2.0","id":9,"result":{}}`,
		strings.Repeat(`{"a":`, 100_000), strings.Repeat("[", 100_000), strings.Repeat("x", 17<<20), begin, "", "{",
	}
	go func() {
		for _, text := range lines {
			_, _ = io.WriteString(l.to, text+"\n")
		}
		_, _ = io.WriteString(l.to, `{"jsonrpc":"2.0","id":"last","method":"ping"}`+"\n")
	}()
	errors, first := 0, false
	for {
		line, err := l.from.ReadBytes('\n')
		if err != nil {
			ts.Fatalf("the gateway has ended the connection after %d errors: %v", errors, err)
		}
		var m struct {
			ID    any
			Error *struct{ Code int }
		}
		if err := json.Unmarshal(line, &m); err != nil {
			ts.Fatalf("what is no protocol on stdout: %q", line)
		}
		if m.Error != nil {
			errors++
		}
		first = first || m.ID == "first" && m.Error == nil
		if m.ID == "last" {
			break
		}
	}
	if !first || errors < len(lines)-2 {
		ts.Fatalf("%d errors for %d lines; initialize was answered: %v", errors, len(lines)-2, first)
	}
	ts.Check(l.to.Close())
	ts.Check(l.program.Wait())
}

func writeFile(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }
