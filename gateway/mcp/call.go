package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// server is a server of one client.
type server struct {
	Options
	sdk        *sdk.Server
	connection context.Context //nolint:containedctx // ends when the client is gone
	background sync.WaitGroup  // what outlives the request that began it
	watched    watched
}

// Bounds of how long a call is answered after, in seconds. Most clients give a tool 60.
const (
	defaultWait = 45
	maxWait     = 3600
)

// patience is how long a client waits; a tool's own default where it says nothing.
func patience(seconds *int, otherwise int) time.Duration {
	if seconds != nil {
		otherwise = min(max(*seconds, 0), maxWait)
	}
	return time.Duration(otherwise) * time.Second
}

// line builds the line of a verb.
type line struct{ b strings.Builder }

func lineOf(verb string) *line {
	l := &line{}
	l.b.WriteString(verb)
	return l
}

// word adds a word, whatever is in it.
func (l *line) word(s string) *line {
	l.b.WriteString(" " + quoted(s))
	return l
}

// quoted is a text as one word, whatever is in it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// option adds a flag that has no value.
func (l *line) option(name string) *line {
	l.b.WriteString(" --" + name)
	return l
}

// flag adds a flag with its value, where it has one. The flag itself is not quoted: a verb that takes a command tells its flags by that.
func (l *line) flag(name, value string) *line {
	if value == "" {
		return l
	}
	l.b.WriteString(" --" + name + "=" + quoted(value))
	return l
}

// String is the line.
func (l *line) String() string { return l.b.String() }

// caller is who may be told how a call goes.
type caller interface {
	// progress is where to, and by which token; nil where nobody wants to know.
	progress() (to *sdk.ServerSession, token any)
}

// toolCall is a call of a tool.
type toolCall struct{ *sdk.CallToolRequest }

func (t toolCall) progress() (*sdk.ServerSession, any) {
	return t.Session, t.Params.GetProgressToken()
}

// nobody wants to know.
type nobody struct{}

func (nobody) progress() (*sdk.ServerSession, any) { return nil, nil }

// answered is what a verb has answered.
type answered struct {
	status  int
	stdout  []byte
	notices []string // the gateway's own lines, without its mark
}

// run gives a line to the verbs and waits for the answer, at most for wait. The client's cancelling reaches the session as a
// signal would; a client that is gone leaves it as an ssh client does. The gateway's notices are progress.
func (s *server) run(ctx context.Context, req caller, l string, stdin io.Reader, wait time.Duration) *answered {
	asked := context.WithoutCancel(ctx)
	stay, leave := context.WithCancel(asked) // ends when the client is gone
	defer leave()
	signals, enough := make(chan syscall.Signal), make(chan struct{})
	var watching sync.WaitGroup
	timer := time.AfterFunc(wait, func() { close(enough) })
	defer timer.Stop()
	watching.Go(func() {
		select {
		case <-ctx.Done():
		case <-stay.Done():
			return
		}
		if !errors.Is(context.Cause(ctx), context.Canceled) { // the connection has ended: that is the cause then
			leave()
			return
		}
		select {
		case signals <- syscall.SIGINT:
		case <-stay.Done():
		}
	})
	tell := &progress{asked: asked, req: req}
	var out bytes.Buffer
	call := &command.Call{
		Line: l, Stdin: stdin, Stdout: &out, Stderr: tell, Signals: signals, Enough: enough,
		Began: func(id string) {
			tell.say("session " + id + " runs")
			if s.begun(ctx, id) {
				timer.Stop() // the client has its answer
			}
		},
	}
	watching.Go(func() { tell.remind(stay) })
	status := s.Run(stay, call)
	leave()
	watching.Wait()
	return &answered{status: status, stdout: out.Bytes(), notices: tell.lines()}
}

// gatewayMark is before each line of the gateway's own.
const gatewayMark = "shannot: "

// progress takes the gateway's own lines and passes them on while the call waits.
type progress struct {
	asked context.Context //nolint:containedctx // of the call that it is about
	req   caller

	mu   sync.Mutex
	text bytes.Buffer
	told int
}

// Write implements io.Writer: it takes whole lines.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.text.Write(b)
	p.mu.Unlock()
	p.say(strings.TrimPrefix(strings.TrimSuffix(string(b), "\n"), gatewayMark))
	return len(b), nil
}

// reminder is how often a client that waits is told that it does.
const reminder = 10 * time.Second

// remind does so until ctx ends: some clients have no patience with a server that says nothing.
func (p *progress) remind(ctx context.Context) {
	tick := time.NewTicker(reminder)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.say("not ended yet")
		case <-ctx.Done():
			return
		}
	}
}

// say sends a line of progress to a client that wants it.
func (p *progress) say(text string) {
	to, token := p.req.progress()
	if token == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told++
	_ = to.NotifyProgress(p.asked, &sdk.ProgressNotificationParams{ProgressToken: token, Message: text, Progress: float64(p.told)})
}

// lines are those of the gateway.
func (p *progress) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for l := range strings.Lines(p.text.String()) {
		all = append(all, strings.TrimPrefix(strings.TrimSuffix(l, "\n"), gatewayMark))
	}
	return all
}

// session is what the verbs answer of a session in JSON; docs/json.md has its fields.
type session struct {
	streams
	Session  string  `json:"session"`
	Status   string  `json:"status"`
	Group    string  `json:"group"`
	Script   string  `json:"script"`
	Ended    string  `json:"ended"`
	Target   string  `json:"target"`
	Name     string  `json:"name"`
	Created  string  `json:"created"`
	Deadline *string `json:"deadline"`
	ExitCode *int    `json:"exit_code"`
	GoesOn   bool    `json:"goes_on"`
	Obstacle string  `json:"obstacle"`

	Operations []struct {
		N        int    `json:"n"`
		Kind     string `json:"kind"`
		Summary  string `json:"summary"`
		Effect   string `json:"effect"`
		Undo     string `json:"undo"`
		Risk     string `json:"risk"`
		Reason   string `json:"reason"`
		Decision string `json:"decision"`
		Diff     string `json:"diff"`
		Decided  string `json:"decided"`
		Started  string `json:"started"`
		Finished string `json:"finished"`
	} `json:"operations"`
}

// streams are what a script has written.
type streams struct {
	Stdout    *string `json:"stdout"`
	StdoutB64 []byte  `json:"stdout_b64"`
	Stderr    *string `json:"stderr"`
	StderrB64 []byte  `json:"stderr_b64"`
	Truncated bool    `json:"truncated"`
}

// sessions are those that an answer holds: one JSON object each.
func (a *answered) sessions() []session {
	var all []session
	for dec := json.NewDecoder(bytes.NewReader(a.stdout)); ; {
		var one session
		if err := dec.Decode(&one); err != nil {
			return all
		}
		all = append(all, one)
	}
}

// text is what a script has written; bytes that are no text are shown as U+FFFD.
func text(s *string, b []byte) string {
	if s != nil {
		return *s
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// number is a decimal number.
func number(n int64) string { return strconv.FormatInt(n, 10) }
