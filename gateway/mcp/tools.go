package mcp

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"shannot-gateway/gateway/command"
)

// The scripts of the tools on files. They run in the sandbox like any other, so that the read policy, the limits and the journal
// are those of every script.
var (
	//go:embed guest/read_file.py
	readFileScript string
	//go:embed guest/list_directory.py
	listDirectoryScript string
	//go:embed guest/write_file.py
	writeFileScript string
)

// purpose is what a human who decides reads, and where.
type purpose struct {
	Target   string `json:"target,omitempty" jsonschema:"host, see list_targets; default local"`
	Name     string `json:"name,omitempty" jsonschema:"short name, for the human who decides"`
	Analysis string `json:"analysis,omitempty" jsonschema:"why, for the human who decides"`
	Wait     *int   `json:"wait,omitempty" jsonschema:"seconds until this answers at the latest; default 45"`
}

// line begins a verb's line with the flags that all of them have.
func (p *purpose) line(verb string) *line {
	return lineOf(verb).option("json").flag("target", p.Target).flag("name", p.Name).flag("analysis", p.Analysis)
}

type runInput struct {
	Script string   `json:"script" jsonschema:"Python 3 source"`
	Args   []string `json:"args,omitempty" jsonschema:"sys.argv[1:]"`
	Plan   bool     `json:"plan,omitempty" jsonschema:"run nothing: list each command and change with its verdict; nothing of it can be approved"`
	purpose
}

type shellInput struct {
	Command string `json:"command" jsonschema:"a line as bash takes it"`
	purpose
}

type resultInput struct {
	Session string `json:"session"`
	Wait    *int   `json:"wait,omitempty" jsonschema:"seconds to wait for its end at most; default 0"`
	Stream  string `json:"stream,omitempty" jsonschema:"stdout or stderr, for a range of it"`
	Offset  int64  `json:"offset,omitempty" jsonschema:"first byte of the range"`
	Limit   int64  `json:"limit,omitempty" jsonschema:"bytes, at most 65536"`
}

type listInput struct {
	All bool `json:"all,omitempty" jsonschema:"those that have ended, too"`
}

type sessionInput struct {
	Session string `json:"session"`
}

type nothing struct{}

type readInput struct {
	Path   string `json:"path" jsonschema:"absolute"`
	Offset int64  `json:"offset,omitempty" jsonschema:"first byte"`
	Limit  int64  `json:"limit,omitempty" jsonschema:"bytes, at most 65536; default 16384"`
	Target string `json:"target,omitempty"`
}

type directoryInput struct {
	Path   string `json:"path" jsonschema:"absolute"`
	Limit  int64  `json:"limit,omitempty" jsonschema:"entries, at most 1000; default 200"`
	Target string `json:"target,omitempty"`
}

type writeInput struct {
	Path    string `json:"path" jsonschema:"absolute"`
	Content string `json:"content" jsonschema:"all of the file, UTF-8"`
	purpose
}

type policyInput struct {
	Command string `json:"command" jsonschema:"a line as bash takes it"`
}

// The hints of tools. A client may go by them when it asks its own user; here they decide nothing.
func reads() *sdk.ToolAnnotations {
	no := false
	return &sdk.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: &no, OpenWorldHint: &no}
}

func acts(destroys, again bool) *sdk.ToolAnnotations {
	no := false
	return &sdk.ToolAnnotations{DestructiveHint: &destroys, IdempotentHint: again, OpenWorldHint: &no}
}

// addTools adds all tools.
func (s *server) addTools(to *sdk.Server) {
	sdk.AddTool(to, &sdk.Tool{Name: "sandbox_run", Annotations: acts(true, false), Description: `Run a Python script in the sandbox: it reads ` +
		`the target's files, has no network, and starts commands on the target by subprocess. Reading and harmless commands run at once. What ` +
		`changes something (commands, files written outside /tmp) waits for a human: the answer is then pending_approval.`}, s.sandboxRun)
	sdk.AddTool(to, &sdk.Tool{Name: "shell", Annotations: acts(true, false), Description: `Run a shell line on a target. Each command in it is judged: ` +
		`df, ps, cat and the like run at once; what changes something waits for a human (pending_approval); some are denied.`}, s.shell)
	sdk.AddTool(to, &sdk.Tool{Name: "session_result", Annotations: reads(), Description: `Status, output and exit code of a session, for one ` +
		`that was pending_approval or running, or a range of a long output.`}, s.sessionResult)
	sdk.AddTool(to, &sdk.Tool{Name: "list_sessions", Annotations: reads(), Description: `Your sessions that run or wait.`}, s.listSessions)
	sdk.AddTool(to, &sdk.Tool{Name: "cancel_session", Annotations: acts(true, true), Description: `End a session of yours; what it waits for is withdrawn.`}, s.cancelSession)
	sdk.AddTool(to, &sdk.Tool{Name: "list_targets", Annotations: reads(), Description: `Hosts that you may use, and whether each can be reached.`}, s.listTargets)
	sdk.AddTool(to, &sdk.Tool{Name: "read_file", Annotations: reads(), Description: `Read a file of a target, or a range of it. Runs at once. ` +
		`What the gateway hides looks absent.`}, s.readFile)
	sdk.AddTool(to, &sdk.Tool{Name: "list_directory", Annotations: reads(), Description: `List a directory of a target. Runs at once.`}, s.listDirectory)
	sdk.AddTool(to, &sdk.Tool{Name: "write_file", Annotations: acts(true, true), Description: `Write a whole text file on a target (up to about 1 MB). Waits for ` +
		`a human, who sees the diff: pending_approval. Not for /tmp, which vanishes with the session.`}, s.writeFile)
	sdk.AddTool(to, &sdk.Tool{Name: "explain_policy", Annotations: reads(), Description: `Say whether a shell line would run at once (allow), wait ` +
		`for a human (ask) or be denied. Nothing runs.`}, s.explainPolicy)
}

// ran puts the answer of a verb that runs something into a tool's result.
func ran(a *answered) (*sdk.CallToolResult, *outcome, error) {
	out := outcomeOf(a, window{limit: maxShown})
	return out.result(), out, nil
}

func (s *server) sandboxRun(ctx context.Context, req *sdk.CallToolRequest, in runInput) (*sdk.CallToolResult, *outcome, error) {
	l := in.line("run")
	if in.Plan {
		l.option("plan")
	}
	l.word("-")
	for _, arg := range in.Args {
		l.word(arg)
	}
	return ran(s.run(ctx, toolCall{req}, l.String(), strings.NewReader(in.Script), patience(in.Wait, defaultWait)))
}

func (s *server) shell(ctx context.Context, req *sdk.CallToolRequest, in shellInput) (*sdk.CallToolResult, *outcome, error) {
	return ran(s.run(ctx, toolCall{req}, in.line("exec").String()+" -- "+in.Command, strings.NewReader(""), patience(in.Wait, defaultWait)))
}

// maxRange is the longest range of a file or a stream that one call answers with, in bytes.
const maxRange = 64 << 10

// within is a number between 1 and the most, where none is given the default.
func within(n, otherwise, most int64) int64 {
	if n == 0 {
		n = otherwise
	}
	return min(max(n, 1), most)
}

func (s *server) sessionResult(ctx context.Context, req *sdk.CallToolRequest, in resultInput) (*sdk.CallToolResult, *outcome, error) {
	shown := window{stream: in.Stream, offset: in.Offset, limit: within(in.Limit, maxShown, maxRange)}
	switch {
	case in.Stream != "" && in.Stream != "stdout" && in.Stream != "stderr":
		return nil, nil, fmt.Errorf("stream is stdout or stderr, not %q", in.Stream)
	case in.Stream == "" && in.Offset != 0:
		return nil, nil, fmt.Errorf("an offset needs a stream: stdout or stderr")
	}
	a := s.run(ctx, toolCall{req}, lineOf("wait").option("json").word(in.Session).String(), strings.NewReader(""), patience(in.Wait, 0))
	out := outcomeOf(a, shown)
	return out.result(), out, nil
}

// listed is a session in a list.
type listed struct {
	Session string `json:"session"`
	Status  string `json:"status"`
	Target  string `json:"target"`
	Name    string `json:"name,omitempty"`
	Created string `json:"created"`
	Waits   string `json:"waits_for,omitempty"`
}

type listOutput struct {
	Sessions []listed `json:"sessions"`
	LeftOut  int      `json:"left_out,omitempty"`
}

// maxListed is how many sessions are listed.
const maxListed = 100

// plain runs a verb that answers at once, and fails with its own words where that fails.
func (s *server) plain(ctx context.Context, req *sdk.CallToolRequest, l string) (*answered, error) {
	a := s.run(ctx, toolCall{req}, l, strings.NewReader(""), patience(nil, defaultWait))
	if a.status != command.ExitOK {
		return a, fmt.Errorf("%s (exit status %d)", strings.Join(a.notices, "; "), a.status)
	}
	return a, nil
}

func (s *server) listSessions(ctx context.Context, req *sdk.CallToolRequest, in listInput) (*sdk.CallToolResult, *listOutput, error) {
	l := lineOf("list").option("json")
	if in.All {
		l.option("all")
	}
	a, err := s.plain(ctx, req, l.String())
	if err != nil {
		return nil, nil, err
	}
	var all []session
	if err := json.Unmarshal(a.stdout, &all); err != nil {
		return nil, nil, fmt.Errorf("read the list: %w", err)
	}
	out := &listOutput{Sessions: []listed{}}
	for i := range all {
		if len(out.Sessions) == maxListed {
			out.LeftOut = len(all) - maxListed
			break
		}
		one := &all[i]
		row := listed{Session: one.Session, Status: one.Status, Target: one.Target, Name: one.Name, Created: one.Created}
		for n := range one.Operations {
			if op := &one.Operations[n]; op.Decision == "waiting" && row.Waits == "" {
				row.Waits = op.Summary
			}
		}
		out.Sessions = append(out.Sessions, row)
	}
	return nil, out, nil
}

type said struct {
	Text string `json:"text"`
}

func (s *server) cancelSession(ctx context.Context, req *sdk.CallToolRequest, in sessionInput) (*sdk.CallToolResult, *said, error) {
	a, err := s.plain(ctx, req, lineOf("cancel").word(in.Session).String())
	if err != nil {
		return nil, nil, err
	}
	return nil, &said{strings.Join(a.notices, "\n")}, nil
}

// target is one host.
type target struct {
	Name    string   `json:"target"`
	OK      bool     `json:"reachable"`
	Problem string   `json:"problem,omitempty"`
	Node    string   `json:"node,omitempty"`
	System  string   `json:"system,omitempty"`
	Release string   `json:"release,omitempty"`
	RunAs   string   `json:"run_as,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

type targetsOutput struct {
	Targets []target `json:"targets"`
}

func (s *server) listTargets(ctx context.Context, req *sdk.CallToolRequest, _ nothing) (*sdk.CallToolResult, *targetsOutput, error) {
	a, err := s.plain(ctx, req, lineOf("targets").option("json").String())
	if err != nil {
		return nil, nil, err
	}
	out := &targetsOutput{}
	if err := json.Unmarshal(a.stdout, &out.Targets); err != nil {
		return nil, nil, fmt.Errorf("read the targets: %w", err)
	}
	return nil, out, nil
}

// script runs a script of a tool, which ends by itself, and returns what it wrote.
func (s *server) script(ctx context.Context, req *sdk.CallToolRequest, host, name, script string, args ...string) (stdout, stderr string, err error) {
	p := purpose{Target: host, Name: name}
	l := p.line("run").word("-")
	for _, arg := range args {
		l.word(arg)
	}
	a := s.run(ctx, toolCall{req}, l.String(), strings.NewReader(script), patience(nil, defaultWait))
	all := a.sessions()
	if len(all) != 1 {
		return "", "", fmt.Errorf("%s (exit status %d)", strings.Join(a.notices, "; "), a.status)
	}
	one := all[0]
	stdout, stderr = text(one.Stdout, one.StdoutB64), text(one.Stderr, one.StderrB64)
	if one.Status != "done" {
		why := append([]string{strings.TrimSpace(stderr)}, a.notices...)
		shown, _ := window{limit: 2 << 10}.of("", "", strings.Join(why, "; "))
		return "", "", fmt.Errorf("%s: %s", one.Status, shown)
	}
	return stdout, stderr, nil
}

type readOutput struct {
	Path       string `json:"path"`
	Content    string `json:"content"`
	NextOffset *int64 `json:"next_offset,omitempty" jsonschema:"there is more: read on from here"`
}

func (s *server) readFile(ctx context.Context, req *sdk.CallToolRequest, in readInput) (*sdk.CallToolResult, *readOutput, error) {
	limit, offset := within(in.Limit, maxShown, maxRange), max(in.Offset, 0)
	stdout, stderr, err := s.script(ctx, req, in.Target, "read_file", readFileScript, in.Path, number(offset), number(limit))
	if err != nil {
		return nil, nil, err
	}
	var about struct{ More bool }
	if err := json.Unmarshal([]byte(stderr), &about); err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	out := &readOutput{Path: in.Path, Content: stdout}
	pieces := []sdk.Content{&sdk.TextContent{Text: stdout}}
	if about.More {
		next := offset + limit
		out.NextOffset = &next
		pieces = append(pieces, &sdk.TextContent{Text: fmt.Sprintf("there is more: read_file with offset %d", next)})
	}
	return &sdk.CallToolResult{Content: pieces}, out, nil
}

type entry struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Size     int64  `json:"size"`
	Mode     string `json:"mode,omitempty"`
	Modified string `json:"modified,omitempty"`
	To       string `json:"to,omitempty"`
}

type directoryOutput struct {
	Entries []entry `json:"entries"`
	Total   int     `json:"total" jsonschema:"entries that there are"`
}

func (s *server) listDirectory(ctx context.Context, req *sdk.CallToolRequest, in directoryInput) (*sdk.CallToolResult, *directoryOutput, error) {
	limit := number(within(in.Limit, 200, 1000))
	stdout, _, err := s.script(ctx, req, in.Target, "list_directory", listDirectoryScript, in.Path, limit)
	if err != nil {
		return nil, nil, err
	}
	out := &directoryOutput{}
	if err := json.Unmarshal([]byte(stdout), out); err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	return nil, out, nil
}

func (s *server) writeFile(ctx context.Context, req *sdk.CallToolRequest, in writeInput) (*sdk.CallToolResult, *outcome, error) {
	if in.Name == "" {
		in.Name = "write_file"
	}
	// What is written is in the script: a session that was parked has lost what its client sent beside that.
	script := writeFileHead + literal(in.Path) + "\nCONTENT = " + literal(in.Content) + "\n" + writeFileScript
	return ran(s.run(ctx, toolCall{req}, in.line("run").word("-").String(), strings.NewReader(script), patience(in.Wait, defaultWait)))
}

// writeFileHead begins the script of write_file.
const writeFileHead = "# write_file\nPATH = "

// literal is a string of Python: JSON's strings are, where no character outside of Unicode's first plane is escaped.
func literal(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // a string can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

type policyOutput struct {
	Verdict string `json:"verdict" jsonschema:"allow, ask or deny"`
	Text    string `json:"text"`
}

func (s *server) explainPolicy(ctx context.Context, req *sdk.CallToolRequest, in policyInput) (*sdk.CallToolResult, *policyOutput, error) {
	a, err := s.plain(ctx, req, "policy -- "+in.Command)
	if err != nil {
		return nil, nil, err
	}
	verdict, _, _ := strings.Cut(string(a.stdout), " ")
	shown, _ := window{limit: maxShown}.of("", "", string(a.stdout))
	return nil, &policyOutput{verdict, shown}, nil
}
