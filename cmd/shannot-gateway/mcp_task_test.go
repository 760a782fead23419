package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/rogpeppe/go-internal/testscript"
)

// mcpLines is a client that writes lines, over the OpenSSH client, for what the SDK's client does not have.
type mcpLines struct {
	ts   *testscript.TestScript
	to   io.WriteCloser
	from *bufio.Reader

	program *exec.Cmd
	stop    func() bool // keeps a context's end from the program
}

func mcpTalk(ctx context.Context, ts *testscript.TestScript) *mcpLines {
	program := mcpProgram(ts)
	in, err := program.StdinPipe()
	ts.Check(err)
	out, err := program.StdoutPipe()
	ts.Check(err)
	ts.Check(program.Start())
	stop := context.AfterFunc(ctx, func() { _ = program.Process.Kill() })
	return &mcpLines{ts, in, bufio.NewReader(out), program, stop}
}

// end leaves, whatever the gateway has still to say.
func (l *mcpLines) end() {
	l.stop()
	_ = l.to.Close()
	_ = l.program.Process.Kill()
	_ = l.program.Wait()
}

// tasksDeclared is the _meta of a request that declares the extension for tasks.
const tasksDeclared = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// ask sends a request, and returns the result of its answer, or what is wrong.
func (l *mcpLines) ask(method, params string) (json.RawMessage, error) {
	_, err := fmt.Fprintf(l.to, `{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,%s}}`+"\n", method, params, tasksDeclared)
	l.ts.Check(err)
	line, err := l.from.ReadBytes('\n')
	l.ts.Check(err)
	var answer struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	l.ts.Check(json.Unmarshal(line, &answer))
	if answer.Error != nil {
		return nil, fmt.Errorf("%d: %s", answer.Error.Code, answer.Error.Message)
	}
	return answer.Result, nil
}

// mcpTask calls a tool as a task, and leaves. The task's id is in MCP_ID, its first answer is printed.
func mcpTask(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mcp task TOOL JSON")
	}
	l := mcpTalk(ctx, ts)
	defer l.end()
	result, err := l.ask("tools/call", fmt.Sprintf(`"name":%q,"arguments":%s`, args[0], args[1]))
	ts.Check(err)
	var task struct{ TaskID string }
	ts.Check(json.Unmarshal(result, &task))
	if task.TaskID == "" {
		ts.Fatalf("the call is no task: %s", result)
	}
	ts.Setenv("MCP_ID", task.TaskID)
	_, _ = ts.Stdout().Write(result)
}

// mcpAbout asks about a task, again and again until it has a status, where one is named, and prints the answer.
func mcpAbout(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: mcp about METHOD ID [STATUS]")
	}
	l := mcpTalk(ctx, ts)
	defer l.end()
	for {
		result, err := l.ask("tasks/"+args[0], fmt.Sprintf(`"taskId":%q`, args[1]))
		if err != nil {
			_, _ = fmt.Fprintf(ts.Stdout(), "an error: %v\n", err)
			return
		}
		var task struct{ Status string }
		ts.Check(json.Unmarshal(result, &task))
		if len(args) == 2 || task.Status == args[2] {
			_, _ = ts.Stdout().Write(result)
			return
		}
		select {
		case <-time.After(lookAgain / 4):
		case <-ctx.Done():
			ts.Fatalf("the task is not %s: %s", args[2], result)
		}
	}
}

// mcpTold subscribes to a session that waits, in a generation, ends it, and waits until that is told.
func mcpTold(ctx context.Context, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mcp told VERSION ID")
	}
	told := make(chan string, 1)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case told <- r.Params.URI:
			default:
			}
		},
	})
	s, err := client.Connect(ctx, &mcp.CommandTransport{Command: mcpProgram(ts)}, &mcp.ClientSessionOptions{ProtocolVersion: args[0]})
	ts.Check(err)
	defer func() { _ = s.Close() }()
	uri := "shannot://sessions/" + args[1]
	ts.Check(s.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}))
	ask(ts, "cancel "+args[1])
	select {
	case got := <-told:
		if got != uri {
			ts.Fatalf("%s was told of, not %s", got, uri)
		}
	case <-ctx.Done():
		ts.Fatalf("the end of the session was not told")
	}
}

// mcpSlow asks for more than the pipes between hold, reads none of it for as long as another client is served, and then all of it.
func mcpSlow(ctx context.Context, ts *testscript.TestScript, _ []string) {
	l := mcpTalk(ctx, ts)
	defer l.end()
	const calls = 60 // of the list of tools, some 10 KiB each, of a client whose window is 2 MiB at most
	const more = 20
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for i := range calls * more {
			if _, err := fmt.Fprintf(l.to, `{"jsonrpc":"2.0","id":%d,"method":"tools/list","params":{%s}}`+"\n", i, tasksDeclared); err != nil {
				return
			}
		}
	}()
	for range 3 {
		other, end := mcpConnect(ctx, ts, "", nil)
		_, text, out := mcpRun(ctx, ts, other, "shell", map[string]any{"command": "echo another", "wait": 3600})
		if end(); out.Status != "done" {
			ts.Fatalf("while a client does not read, another gets: %s", text)
		}
	}
	answered := map[int]bool{}
	for len(answered) < calls*more {
		line, err := l.from.ReadBytes('\n')
		ts.Check(err)
		var m struct{ ID int }
		ts.Check(json.Unmarshal(line, &m))
		answered[m.ID] = true
	}
	<-asked
}
