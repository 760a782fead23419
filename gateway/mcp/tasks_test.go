package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// house is what verbs stand for in these tests: it has one session, which begins with run or exec.
type house struct {
	mu      sync.Mutex
	status  string // of the session, "" before it has begun
	group   string
	refuse  bool          // to begin one
	ended   chan struct{} // when the verb that began it has
	how     string        // it ended
	changed chan string
}

const houseID = "abcd2345"

func (h *house) json() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ended := ""
	if h.status == "done" || h.status == "cancelled" {
		ended = `"ended":"2031-03-04T03:00:09Z",`
	}
	return fmt.Sprintf(`{"session":%q,"status":%q,"group":%q,"target":"local","created":"2031-03-04T03:00:00Z",%s"stdout":"said","stderr":"","operations":[{"n":1,"decision":"waiting","summary":"rm x","decided":"2031-03-04T03:00:05.5Z"}]}`+"\n",
		houseID, h.status, h.group, ended)
}

func (h *house) set(status string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (h *house) run(ctx context.Context, c *command.Call) int {
	verb, rest, _ := strings.Cut(c.Line, " ")
	switch verb {
	case "run", "exec":
		if h.refuse {
			_, _ = fmt.Fprintln(c.Stderr, "shannot: busy")
			return command.ExitBusy
		}
		h.set("running")
		c.Began(houseID)
		select {
		case <-ctx.Done():
			h.how = "left"
		case <-c.Signals:
			h.how = "signalled"
		case <-c.Enough:
			h.how = "enough"
		}
		close(h.ended)
		_, _ = io.WriteString(c.Stdout, h.json())
		return command.ExitWaiting
	case "show", "wait":
		if !strings.Contains(rest, quoted(houseID)) || h.status == "" {
			_, _ = fmt.Fprintln(c.Stderr, "shannot: there is no such session")
			return command.ExitUsage
		}
		_, _ = io.WriteString(c.Stdout, h.json())
	case "cancel":
		h.set("cancelled")
	}
	return command.ExitOK
}

// talk is a client that writes lines.
type talk struct {
	*testing.T
	h     *house
	to    *io.PipeWriter
	lines *bufio.Scanner
	asked int // requests, and the id of the last one
	over  chan struct{}
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	in, to := io.Pipe()
	from, out := io.Pipe()
	h := &house{ended: make(chan struct{}), changed: make(chan string)}
	c := &talk{T: t, h: h, to: to, lines: bufio.NewScanner(from), over: make(chan struct{})}
	c.lines.Buffer(nil, maxLine)
	go func() {
		defer close(c.over)
		defer func() { _ = out.Close() }()
		Serve(t.Context(), Options{
			Stdin: in, Stdout: out, Version: "test", Log: slog.New(slog.DiscardHandler), Run: h.run, Expire: func() time.Duration { return time.Hour },
			Changed: func(ctx context.Context) <-chan string {
				told := make(chan string)
				go func() {
					defer close(told)
					for {
						select {
						case id := <-h.changed:
							select {
							case told <- id:
							case <-ctx.Done():
							}
						case <-ctx.Done():
							return
						}
					}
				}()
				return told
			},
		})
	}()
	t.Cleanup(func() { _ = to.Close(); go func() { _, _ = io.Copy(io.Discard, from) }(); <-c.over })
	return c
}

// declared and bare are _meta of the newest version, with and without the extension.
const (
	declared = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
	bare     = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
)

// say sends a line.
func (c *talk) say(line string) {
	c.Helper()
	if _, err := io.WriteString(c.to, line+"\n"); err != nil {
		c.Fatal(err)
	}
}

// wrong is what is wrong with a request.
type wrong struct {
	Code    int
	Message string
	Data    json.RawMessage
}

func (w *wrong) String() string { return fmt.Sprintf("%d %s %s", w.Code, w.Message, w.Data) }

// reply is what tests look at of an answer.
type reply struct {
	ID     any
	Method string
	Error  *wrong
	Result struct {
		ResultType, TaskID, Status, StatusMessage, CreatedAt, LastUpdatedAt string
		TTL                                                                 *int64          `json:"ttlMs"`
		Poll                                                                int64           `json:"pollIntervalMs"`
		Requests                                                            json.RawMessage `json:"inputRequests"`
		Result                                                              *struct {
			Structured struct{ Status, Stdout string } `json:"structuredContent"`
		}
		Structured struct{ Status string } `json:"structuredContent"`
	}
	Params struct {
		URI string
	}
}

// next is the next line of the server.
func (c *talk) next() (r reply) {
	c.Helper()
	if !c.lines.Scan() {
		c.Fatalf("the server has ended: %v", c.lines.Err())
	}
	if err := json.Unmarshal(c.lines.Bytes(), &r); err != nil {
		c.Fatalf("%v: %s", err, c.lines.Bytes())
	}
	return r
}

// ask sends a request with parameters and returns its answer.
func (c *talk) ask(method, params string) reply {
	c.Helper()
	c.asked++
	c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, c.asked, method, params))
	return c.next()
}

const callShell = `"name":"shell","arguments":{"command":"rm x"}`

func TestACallOfAClientThatDeclaresTasksIsOne(t *testing.T) {
	c := newTalk(t)
	r := c.ask("tools/call", callShell+","+declared).Result
	if r.ResultType != "task" || r.TaskID != houseID || r.Status != taskWorking || r.TTL == nil || *r.TTL != 3_600_000 || r.Poll == 0 || r.CreatedAt != "2031-03-04T03:00:00Z" || r.LastUpdatedAt != "2031-03-04T03:00:05.5Z" {
		t.Fatalf("%+v", r)
	}
	get := func() reply { return c.ask("tasks/get", `"taskId":"`+houseID+`",`+declared) }
	if r := get().Result; r.ResultType != "complete" || r.Status != taskWorking || r.Requests != nil {
		t.Errorf("%+v", r)
	}
	c.h.set("held")
	if r := get().Result; r.Status != taskInput || string(r.Requests) != "{}" || !strings.Contains(r.StatusMessage, "rm x") || r.Result != nil {
		t.Errorf("%+v", r)
	}
	// An answer by the agent's key decides nothing.
	if r := c.ask("tasks/update", `"taskId":"`+houseID+`","inputResponses":{"approve":{"action":"accept","content":{"approve":true}}},`+declared); r.Error != nil || r.Result.ResultType != "complete" {
		t.Errorf("%+v", r)
	}
	if r := get().Result; r.Status != taskInput {
		t.Errorf("after an answer that nobody asked for: %+v", r)
	}
	// What was answered is not cancelled by its request's id: only tasks/cancel does that.
	c.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	c.h.set("done")
	if r := get().Result; r.Status != taskCompleted || r.Result == nil || r.Result.Structured.Status != "done" || r.Result.Structured.Stdout != "said" || r.LastUpdatedAt != "2031-03-04T03:00:09Z" {
		t.Errorf("%+v", r)
	}
	select {
	case <-c.h.ended:
		t.Errorf("its client still waits for it, and it has ended: %s", c.h.how)
	default:
	}
	_ = c.to.Close()
	if <-c.h.ended; c.h.how != "left" {
		t.Errorf("a client that is gone leaves its session as %q", c.h.how)
	}
}

func TestATaskIsCancelled(t *testing.T) {
	c := newTalk(t)
	c.ask("tools/call", callShell+","+declared)
	if r := c.ask("tasks/cancel", `"taskId":"`+houseID+`",`+declared); r.Error != nil || r.Result.ResultType != "complete" {
		t.Errorf("%+v", r)
	}
	if r := c.ask("tasks/get", `"taskId":"`+houseID+`",`+declared).Result; r.Status != taskCancelled || r.Result != nil {
		t.Errorf("%+v", r)
	}
	if r := c.ask("tasks/cancel", `"taskId":"`+houseID+`",`+declared); r.Error != nil { // again
		t.Errorf("%+v", r)
	}
}

func TestNoTaskWithoutADeclarationASessionOrASingleOne(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		c := newTalk(t)
		c.h.refuse = true
		if r := c.ask("tools/call", callShell+","+declared).Result; r.ResultType != "complete" || r.Structured.Status != "refused" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("undeclared", func(t *testing.T) {
		c := newTalk(t)
		if r := c.ask("tools/call", `"name":"shell","arguments":{"command":"rm x","wait":0},`+bare).Result; r.ResultType != "complete" || r.Structured.Status != "running" || c.h.how != "enough" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("several sessions", func(t *testing.T) {
		c := newTalk(t)
		c.h.group = "gabcd"
		if r := c.ask("tools/call", `"name":"shell","arguments":{"command":"rm x","wait":0},`+declared).Result; r.ResultType != "complete" || c.h.how != "enough" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("an older generation", func(t *testing.T) { // in which the extension cannot be declared
		c := newTalk(t)
		c.say(strings.Replace(fmt.Sprintf(beginning, "2025-11-25"), `"capabilities":{}`, `"capabilities":{"extensions":{"`+tasksExtension+`":{}}}`, 1))
		c.next()
		if r := c.ask("tools/call", `"name":"shell","arguments":{"command":"rm x","wait":0}`).Result; r.TaskID != "" || r.Structured.Status != "running" {
			t.Errorf("%+v", r)
		}
		if r := c.ask("tasks/get", `"taskId":"`+houseID+`"`); r.Error == nil || r.Error.Code != -32021 {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhatIsNoTaskIsAnError(t *testing.T) {
	c := newTalk(t)
	c.ask("tools/call", callShell+","+declared)
	for _, method := range []string{"tasks/get", "tasks/update", "tasks/cancel"} {
		for params, want := range map[string]int{
			`"taskId":"` + houseID + `",` + bare: -32021, `"taskId":"nosuch12",` + declared: -32602, `"taskId":"--help",` + declared: -32602,
			`"taskId":"",` + declared: -32602, declared: -32602, `"taskId":"` + houseID + `' --all '",` + declared: -32602, `"taskId":{},` + declared: -32602,
		} {
			r := c.ask(method, params)
			if r.Error == nil || r.Error.Code != want {
				t.Errorf("%s %s: %+v, want %d", method, params, r, want)
			}
			if want == -32021 && !strings.Contains(string(r.Error.Data), `"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}`) {
				t.Errorf("%s: %s", method, r.Error.Data)
			}
		}
	}
	if r := c.ask("subscriptions/listen", `"notifications":{"taskIds":["`+houseID+`"]},`+bare); r.Error == nil || r.Error.Code != -32021 {
		t.Errorf("%+v", r)
	}
	if c.h.status != "running" {
		t.Errorf("the session is %s", c.h.status)
	}
}

func TestACallThatIsCancelledBeforeItIsATaskIsSignalled(t *testing.T) {
	h := &house{}
	waits := make(chan struct{})
	s := &server{Options: Options{Expire: func() time.Duration { return 0 }, Run: h.run}, connection: t.Context()}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waits; cancel() }()
	_, err := s.asTask(ctx, func(work context.Context) (_ sdk.Result, err error) {
		s.Run = func(ctx context.Context, c *command.Call) int { // it waits for a place
			close(waits)
			if sig := <-c.Signals; sig != syscall.SIGINT {
				err = fmt.Errorf("%v", sig)
			}
			return command.ExitBusy
		}
		s.run(work, nobody{}, "run", strings.NewReader(""), time.Hour)
		return nil, err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestChangesOfASessionAreTold(t *testing.T) {
	c := newTalk(t)
	c.say(fmt.Sprintf(beginning, "2025-11-25"))
	c.next()
	uri := `"uri":"` + sessionsURI + houseID + `"`
	if r := c.ask("resources/subscribe", uri); r.Error == nil {
		t.Error("a session that is not there is told of")
	}
	if r := c.ask("resources/subscribe", `"uri":"`+targetsURI+`"`); r.Error == nil {
		t.Error("what does not change is told of")
	}
	c.h.set("running")
	if r := c.ask("resources/subscribe", uri); r.Error != nil {
		t.Fatalf("%+v", r)
	}
	c.h.changed <- "zzzz2345" // another session
	for _, id := range []string{houseID, ""} {
		c.h.changed <- id
		if r := c.next(); r.Method != "notifications/resources/updated" || r.Params.URI != sessionsURI+houseID {
			t.Errorf("%q: %+v", id, r)
		}
	}
	if r := c.ask("resources/unsubscribe", uri); r.Error != nil {
		t.Fatalf("%+v", r)
	}
	c.h.changed <- houseID
	c.h.changed <- houseID // the first has been dealt with
	if r := c.ask("ping", ""); r.Method != "" || r.ID == nil {
		t.Errorf("%+v", r)
	}
}

func TestSessionsThatAreToldOfAreBounded(t *testing.T) {
	var w watched
	w.uris = map[string]string{}
	for i := range maxWatched {
		w.uris[fmt.Sprint(i)] = "x"
	}
	h := &house{status: "running"}
	s := &server{Options: Options{Run: h.run}, connection: t.Context()}
	s.watched.uris = w.uris
	err := s.subscribe(t.Context(), subscribeTo(sessionsURI+houseID))
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%v", err)
	}
}

func subscribeTo(uri string) *sdk.SubscribeRequest {
	return &sdk.SubscribeRequest{Params: &sdk.SubscribeParams{URI: uri}}
}
