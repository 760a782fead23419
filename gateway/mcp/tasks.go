package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// tasksExtension is the extension by which a call is answered with a handle, version 2026-07-28:
// https://github.com/modelcontextprotocol/ext-tasks. The SDK does not have it. A task is a session, and has its id: it is in the
// journal before the call is answered, and whoever asks for it is held to what that identity may see. So an id need not be a secret.
const tasksExtension = "io.modelcontextprotocol/tasks"

// taskVersion is the first version of the protocol that has the extension.
const taskVersion = "2026-07-28"

// taskTools are the tools whose calls are tasks: those that run something.
var taskTools = []string{"sandbox_run", "shell", "write_file"}

// Statuses of a task.
const (
	taskWorking   = "working"
	taskInput     = "input_required"
	taskCompleted = "completed"
	taskCancelled = "cancelled"
)

// How often a client is told to ask, in milliseconds: while something runs, and while a human decides.
const (
	pollRunning = 1000
	pollWaiting = 5000
)

// task is the answer to a call that is one, and to tasks/get.
type task struct {
	sdk.ResultBase
	ResultType string `json:"resultType"` // "task" in answer to a call, else "complete"
	ID         string `json:"taskId"`
	Status     string `json:"status"`
	Message    string `json:"statusMessage,omitempty"`
	Created    string `json:"createdAt"`
	Updated    string `json:"lastUpdatedAt"`
	TTL        *int64 `json:"ttlMs"` // from its creation; null without limit
	Poll       int64  `json:"pollIntervalMs,omitempty"`
	// Requests is there, and empty, where a human decides: that human is not the client's user, whose answer would come by the
	// agent's key and could not count.
	Requests *struct{}           `json:"inputRequests,omitempty"`
	Result   *sdk.CallToolResult `json:"result,omitempty"` // of one that is completed
}

// acknowledged is the answer to tasks/update and tasks/cancel.
type acknowledged struct {
	sdk.ResultBase
	ResultType string `json:"resultType"`
}

// taskParams are those of tasks/get, tasks/update and tasks/cancel.
type taskParams struct {
	sdk.ParamsBase
	ID string `json:"taskId"`
}

// declaresTasks reports whether a request declares the extension. What another request of the client declared does not count.
func declaresTasks(meta map[string]any) bool {
	version, _ := meta[sdk.MetaKeyProtocolVersion].(string)
	capabilities, _ := meta[sdk.MetaKeyClientCapabilities].(map[string]any)
	extensions, _ := capabilities["extensions"].(map[string]any)
	_, ok := extensions[tasksExtension]
	return ok && version >= taskVersion
}

// errUndeclared is for who has not declared the extension.
func errUndeclared() *jsonrpc.Error {
	return &jsonrpc.Error{
		Code: sdk.CodeMissingRequiredClientCapabilities, Message: "the request does not declare the extension " + tasksExtension,
		Data: json.RawMessage(`{"requiredCapabilities":{"extensions":{"` + tasksExtension + `":{}}}}`),
	}
}

// addTasks offers the extension.
func (s *server) addTasks(to *sdk.Server) error {
	to.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, req sdk.Request) (sdk.Result, error) {
			call, ok := req.(*sdk.CallToolRequest)
			if !ok || !slices.Contains(taskTools, call.Params.Name) || !declaresTasks(call.Params.GetMeta()) {
				return next(ctx, method, req)
			}
			return s.asTask(ctx, func(ctx context.Context) (sdk.Result, error) { return next(ctx, method, req) })
		}
	})
	return errors.Join(
		sdk.AddReceivingCustomMethod(to, "tasks/get", s.getTask),
		sdk.AddReceivingCustomMethod(to, "tasks/update", s.updateTask),
		sdk.AddReceivingCustomMethod(to, "tasks/cancel", s.cancelTask))
}

// toTask is where a call that may be a task tells the session that it has begun; it takes one.
type toTask chan *session

// toTaskKey is the key of a toTask in the context of a call: the SDK stands between who makes it and who uses it.
type toTaskKey struct{}

// begun tells a call's session to who waits for a task, and reports whether it is one. A session of several is none.
func (s *server) begun(ctx context.Context, id string) bool {
	to, ok := ctx.Value(toTaskKey{}).(toTask)
	if !ok {
		return false
	}
	one, err := s.look(context.WithoutCancel(ctx), id)
	if err != nil || one.Group != "" {
		return false
	}
	select {
	case to <- one:
	default:
		return false
	}
	return true
}

// asTask answers a call as soon as its session is in the journal, and lets it go on: until its end, or the connection's, which it takes
// as an ssh client that leaves. A call that begins no session is answered with what is wrong with it.
func (s *server) asTask(ctx context.Context, call func(context.Context) (sdk.Result, error)) (sdk.Result, error) {
	to := make(toTask, 1)
	work, end := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), toTaskKey{}, to))
	cancelled := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	type answer struct {
		result sdk.Result
		err    error
	}
	over := make(chan answer, 1)
	s.background.Go(func() {
		result, err := call(work)
		over <- answer{result, err}
		end(nil)
	})
	select {
	case a := <-over:
		cancelled()
		return a.result, a.err
	case one := <-to:
		cancelled() // a task is cancelled by tasks/cancel alone
		left := context.AfterFunc(s.connection, func() { end(errLeft) })
		context.AfterFunc(work, func() { left() })
		t := s.task(one)
		t.ResultType = "task"
		if t.Status != taskInput {
			t.Status = taskWorking // its result is for tasks/get
		}
		return t, nil
	}
}

// errLeft ends what goes on for a client that is gone.
var errLeft = errors.New("the client has left")

// look is what show says of a session.
func (s *server) look(ctx context.Context, id string) (*session, error) {
	a := s.run(ctx, nobody{}, lineOf("show").option("json").word(id).String(), strings.NewReader(""), patience(nil, defaultWait))
	all := a.sessions()
	switch {
	case len(all) == 1 && all[0].Session == id:
		return &all[0], nil
	case a.status == command.ExitUsage || a.status == command.ExitOK:
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is no such task that you may see; it may have expired"}
	}
	return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: strings.Join(a.notices, "; ")}
}

// task is a session as a task, without its result.
func (s *server) task(one *session) *task {
	t := &task{ResultType: "complete", ID: one.Session, Status: taskCompleted, Created: one.Created, Updated: one.updated()}
	if ttl := s.Expire(); ttl > 0 {
		t.TTL = new(int64)
		*t.TTL = ttl.Milliseconds()
	}
	switch one.Status {
	case "running":
		t.Status, t.Poll = taskWorking, pollRunning
	case "held", "parked":
		if one.GoesOn {
			t.Status, t.Poll = taskWorking, pollRunning
			break
		}
		t.Status, t.Poll, t.Requests = taskInput, pollWaiting, &struct{}{}
		out := &outcome{}
		out.take(one)
		out.wait(one)
		t.Message = out.TellUser
	case "cancelled":
		t.Status = taskCancelled
	}
	return t
}

// updated is when a session last changed.
func (s *session) updated() string {
	last := s.Created
	at, _ := time.Parse(time.RFC3339Nano, last)
	times := []string{s.Ended}
	for i := range s.Operations {
		times = append(times, s.Operations[i].Decided, s.Operations[i].Started, s.Operations[i].Finished)
	}
	for _, text := range times {
		if when, err := time.Parse(time.RFC3339Nano, text); err == nil && when.After(at) {
			last, at = text, when
		}
	}
	return last
}

// known is the session of a request about a task.
func (s *server) known(ctx context.Context, p *taskParams) (*session, error) {
	if p == nil || !declaresTasks(p.GetMeta()) {
		return nil, errUndeclared()
	}
	if p.ID == "" {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "taskId is missing"}
	}
	return s.look(ctx, p.ID)
}

// getTask is tasks/get. What it says of one that has ended is what the call would have been answered with.
func (s *server) getTask(ctx context.Context, _ *sdk.ServerSession, p *taskParams) (*task, error) {
	one, err := s.known(ctx, p)
	if err != nil {
		return nil, err
	}
	t := s.task(one)
	if t.Status == taskCompleted {
		a := s.run(ctx, nobody{}, lineOf("wait").option("json").word(p.ID).String(), strings.NewReader(""), patience(nil, defaultWait))
		out := outcomeOf(a, window{limit: maxShown})
		t.Result = out.result()
		t.Result.StructuredContent = out
	}
	return t, nil
}

// updateTask is tasks/update. No request to the client is ever outstanding, and answers to what is not are ignored: what waits is decided
// by an approver, by a key of their own.
func (s *server) updateTask(ctx context.Context, _ *sdk.ServerSession, p *taskParams) (*acknowledged, error) {
	if _, err := s.known(ctx, p); err != nil {
		return nil, err
	}
	return &acknowledged{ResultType: "complete"}, nil
}

// cancelTask is tasks/cancel. One that has ended stays as it is.
func (s *server) cancelTask(ctx context.Context, _ *sdk.ServerSession, p *taskParams) (*acknowledged, error) {
	one, err := s.known(ctx, p)
	if err != nil {
		return nil, err
	}
	if one.Ended == "" {
		a := s.run(ctx, nobody{}, lineOf("cancel").word(one.Session).String(), strings.NewReader(""), patience(nil, defaultWait))
		if a.status == command.ExitFault {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: strings.Join(a.notices, "; ")}
		}
	}
	return &acknowledged{ResultType: "complete"}, nil
}

// checkListen refuses a request to be told of tasks from a client that has not declared them: the SDK does not know that part of
// subscriptions/listen. Nobody is told of tasks: a client asks.
func checkListen(params json.RawMessage) *jsonrpc.Error {
	var asked struct {
		Meta          map[string]any `json:"_meta"`
		Notifications struct {
			Tasks json.RawMessage `json:"taskIds"`
		} `json:"notifications"`
	}
	if err := json.Unmarshal(params, &asked); err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("read the parameters: %v", err)}
	}
	if len(asked.Notifications.Tasks) > 0 && !declaresTasks(asked.Meta) {
		return errUndeclared()
	}
	return nil
}
