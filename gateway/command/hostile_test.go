package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/internal/turns"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
	"shannot-gateway/targets/local"
)

// hostileText is what a terminal would obey: escapes of both kinds, a title, what goes back in a line, bidi, blanks that are none, and
// a line that looks like one of the gateway's own.
const hostileText = "a\x1b[2J\x1b]0;x\x07\r\nshannot: approved \u009b31m\u202e\u2066\u2028\u200b\x7f\x08 \xff\xc2"

// askEverything asks about every command.
type askEverything struct{}

func (askEverything) Argv([]string, policy.Context) policy.Decision {
	return policy.Decision{Verdict: policy.Ask, Risk: policy.Unknown, Reason: "not known: " + hostileText}
}

func (a askEverything) Shell(string, policy.Context) policy.Decision {
	return a.Argv(nil, policy.Context{})
}

// hostileHouse has sessions of an agent whose every text is hostile: one that is held, one that has ended.
type hostileHouse struct {
	verbs       *Verbs
	manager     *approvals.Manager
	held, ended string
	group       string
}

var (
	hostileAgent = journal.Identity{Name: "claude", Role: journal.Agent, Fingerprint: "SHA256:claude"}
	approver     = journal.Identity{Name: "alice", Role: journal.Approver, Fingerprint: "SHA256:alice"}
)

func newHostileHouse(t *testing.T) *hostileHouse {
	t.Helper()
	dir := t.TempDir()
	s, err := store.OpenUnsynced(filepath.Join(dir, "gateway.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	host, err := local.New(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := approvals.New(approvals.Config{Store: s, Blobs: s, Grants: s, Judge: askEverything{}, Dir: filepath.Join(dir, "outputs")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	c.Warnings = []string{hostileText}
	h := &hostileHouse{manager: m, verbs: &Verbs{
		Answers:  &turns.Turns{},
		Sessions: m, Runner: noRunner{}, Targets: []targets.Target{host}, Config: c, Version: "test", Now: time.Now, Started: time.Now(),
		Starts: func() *sandbox.Starts { return nil }, Verified: func() (string, []string) { return hostileText, []string{hostileText} },
		Engine: func(context.Context, string) error { return errors.New(hostileText) },
		Audit:  func() (bool, error) { return true, errors.New(hostileText) },
		Reload: func() *Refusal { return &Refusal{time.Now(), hostileText} },
		Fronts: Fronts{
			Screen: func(context.Context, tui.Options) error { return errors.New(hostileText) },
			Plain:  func(context.Context, tui.Options) error { return errors.New(hostileText) },
		},
	}}
	if h.group, err = m.NewGroup(); err != nil {
		t.Fatal(err)
	}
	h.held, h.ended = h.session(t, host), h.session(t, host)
	if _, err := m.Cancel(t.Context(), h.ended, hostileAgent); err != nil {
		t.Fatal(err)
	}
	ended := slices.IndexFunc(h.sessions(t), func(s journal.Session) bool { return s.ID == h.ended && s.Status.Final() })
	for ended < 0 {
		ended = slices.IndexFunc(h.sessions(t), func(s journal.Session) bool { return s.ID == h.ended && s.Status.Final() })
	}
	return h
}

func (h *hostileHouse) sessions(t *testing.T) []journal.Session {
	t.Helper()
	all, err := h.verbs.Sessions.Sessions(approver, approvals.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// session begins one that waits with a command, after it has said something.
func (h *hostileHouse) session(t *testing.T, target targets.Target) string {
	t.Helper()
	m := h.manager
	feed := m.Subscribe(t.Context(), approver)
	l, err := m.Begin(context.Background(), approvals.Request{
		Identity: hostileAgent, Target: target, Script: "# " + hostileText, Args: []string{"-", hostileText}, Name: hostileText, Analysis: hostileText,
		Env: target.Account().Env("dumb"), Group: h.group,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.Writer{l.Stdout(), l.Stderr()} {
		if _, err := io.WriteString(w, hostileText+"\nshannot: forged\n"+hostileText); err != nil {
			t.Fatal(err)
		}
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = l.Start(l.Context(), gate.Start{
			Argv: []string{"true", hostileText}, Executables: []string{"/bin/true", "/usr/bin/true"}, Dir: "/", Input: "data", Content: []byte(hostileText), Stdin: strings.NewReader(hostileText),
			Env: append(target.Account().Env("dumb"), "X="+strings.ReplaceAll(hostileText, "\x00", "")), Stdout: io.Discard, Stderr: io.Discard,
		})
		l.End(gate.Outcome{Status: journal.StatusFailed, ExitCode: 1, Reason: hostileText})
	}()
	t.Cleanup(func() {
		_, _ = m.Cancel(context.Background(), l.ID(), hostileAgent)
		<-over
	})
	for e := range feed {
		if e.Session == l.ID() && e.Kind == events.Waiting {
			break
		}
	}
	return l.ID()
}

// noRunner starts nothing.
type noRunner struct{}

func (noRunner) Start(context.Context, approvals.Request, io.Reader) (string, func(), error) {
	return "", nil, errors.New(hostileText)
}

func (noRunner) Interact(context.Context, approvals.Request, *Terminal, io.Reader) (string, func(), error) {
	return "", nil, errors.New(hostileText)
}

// call runs a line as somebody and returns what it printed.
func (h *hostileHouse) call(ctx context.Context, by journal.Identity, line string) (stdout, stderr string) {
	var out, complaints bytes.Buffer
	h.verbs.Run(ctx, &Call{Identity: by, Targets: []string{"local"}, Line: line, Stdin: strings.NewReader(hostileText), Stdout: &out, Stderr: &complaints})
	return out.String(), complaints.String()
}

// obeyed finds what a terminal obeys or hides.
func obeyed(text string) (string, bool) {
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		if r == '\n' || r >= 0x20 && r < 0x7f {
			continue
		}
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) || !unicode.IsPrint(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return text[max(0, i-40):min(len(text), i+40)], true
		}
	}
	return "", false
}

// Every verb that there is, with all that can be said to it, over sessions whose every text is hostile. A verb that is new in the
// table needs lines here.
func TestNoVerbPrintsWhatATerminalObeys(t *testing.T) {
	h := newHostileHouse(t)
	odd := "'" + strings.ReplaceAll(hostileText, "'", "") + "'"
	lines := map[string][]string{
		"run":      {"run", "run -c " + odd, "run --engine " + odd + " -c 1", "run --target " + odd + " -c 1", "run " + odd, "run --name " + odd + " -c 1"},
		"exec":     {"exec", "exec --target " + odd + " -- true", "exec -- " + odd, "exec " + odd, "exec --" + odd},
		"list":     {"list", "list --all", "list --json", "list --all --json", "list " + odd, "list --" + odd},
		"show":     {"show HELD", "show ENDED", "show GROUP", "show HELD --json", "show ENDED --json", "show GROUP --json", "show HELD --reads", "show HELD --reads --json", "show " + odd, "show HELD " + odd},
		"wait":     {"wait ENDED", "wait HELD --wait 0s", "wait ENDED --json", "wait ENDED --json-stream", "wait HELD --wait 0s --json-stream", "wait HELD --wait 0s --json", "wait " + odd, "wait HELD --wait " + odd, "wait ENDED --raw --json"},
		"cancel":   {"cancel " + odd, "cancel ENDED", "cancel HELD " + odd, "cancel " + odd + " --json"},
		"approve":  {"approve HELD", "approve GROUP", "approve HELD --digest 000000000000", "approve GROUP --digest 000000000000", "approve HELD --digest " + odd, "approve HELD --op " + odd, "approve " + odd, "approve --plain", "approve --alert " + odd, "approve HELD --digest 000000000000 --grant " + odd, "approve HELD --digest 000000000000 --grant shape --vary 1", "approve HELD --digest 000000000000 --danger " + odd},
		"reject":   {"reject HELD", "reject " + odd + " --reason x", "reject HELD --op 99 --reason " + odd, "reject ENDED --reason " + odd, "reject HELD --op " + odd},
		"grants":   {"grants", "grants --all", "grants --json", "grants --all --json", "grants " + odd},
		"revoke":   {"revoke", "revoke 99", "revoke " + odd},
		"targets":  {"targets", "targets --json", "targets " + odd},
		"status":   {"status", "status --json", "status " + odd},
		"whoami":   {"whoami", "whoami --json", "whoami " + odd},
		"policy":   {"policy -- " + hostileText, "policy", "policy --json", "policy --" + odd, "policy -- true", "policy --json -- true", "policy --json -- " + hostileText, "policy --target " + odd},
		"watch":    {"watch " + odd}, // and below
		"help":     {"help", "help wait", "help --json", "help wait --json", "help --json " + odd, "help " + odd, "help " + hostileText},
		"version":  {"version", "version --json", "version " + odd},
		"rollback": {"rollback ENDED", "rollback HELD", "rollback ENDED --plan", "rollback " + odd},
		"rehearse": {"rehearse HELD", "rehearse ENDED", "rehearse HELD --json", "rehearse HELD --op " + odd, "rehearse " + odd},
		"mcp":      {"mcp", "mcp " + odd},
		"skill":    {"skill", "skill " + odd},
	}
	names := map[string]bool{}
	for _, v := range table() {
		names[v.name] = true
		if lines[v.name] == nil {
			t.Errorf("the verb %s is not tried", v.name)
		}
	}
	lines["a shell's line"] = []string{hostileText, "ls " + odd, "python3 -c " + odd, "python3 - " + odd, "'", "scp " + odd}
	for _, by := range []journal.Identity{approver, hostileAgent, {Name: "root", Role: journal.Admin, Fingerprint: "SHA256:root"}} {
		for name, all := range lines {
			for _, line := range all {
				if name == "wait" && by.Name == hostileAgent.Name {
					continue // its own output, as it is
				}
				line = strings.NewReplacer("HELD", h.held, "ENDED", h.ended, "GROUP", h.group).Replace(line)
				stdout, stderr := h.call(t.Context(), by, line)
				for stream, text := range map[string]string{"stdout": stdout, "stderr": stderr} {
					if where, bad := obeyed(text); bad {
						t.Errorf("%s (%s) %q prints on %s: %q", by.Name, by.Role, line, stream, where)
					}
					forged(t, line, text)
				}
			}
		}
	}
	h.watches(t)
}

// forged fails where a line looks like one of the gateway's own that the gateway has not made: the texts here say "approved" and
// "forged" behind its mark.
func forged(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		// Anywhere in a line: a terminal breaks a long one, and any part of it may stand at the beginning of a row.
		if strings.Contains(line, "shannot: approved") || strings.Contains(line, "shannot: forged") {
			t.Errorf("%q prints a line of the gateway's: %q", what, line)
		}
	}
}

// watches makes events while somebody watches.
func (h *hostileHouse) watches(t *testing.T) {
	t.Helper()
	for _, line := range []string{"watch", "watch --json"} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &untilWritten{want: "decided", full: cancel}
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.verbs.Run(ctx, &Call{Identity: approver, Line: line, Stdin: strings.NewReader(""), Stdout: out, Stderr: out})
		}()
		for ctx.Err() == nil { // until it listens
			id := h.session(t, h.verbs.Targets[0])
			if _, err := h.verbs.Sessions.Reject(t.Context(), id, approver, nil, "no "+strings.ToValidUTF8(hostileText, "")); err != nil {
				t.Fatal(err)
			}
		}
		<-done
		if where, bad := obeyed(out.text.String()); bad {
			t.Errorf("%s prints %q", line, where)
		}
		forged(t, line, out.text.String())
	}
}

// untilWritten calls full once something has been written to it.
type untilWritten struct {
	text bytes.Buffer
	want string
	full func()
}

func (u *untilWritten) Write(p []byte) (int, error) {
	n, err := u.text.Write(p)
	if strings.Contains(u.text.String(), u.want) {
		u.full()
	}
	return n, err
}

func TestForeignOutputIsMarkedLineByLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"plain\n", "| plain\n"},
		{"no end", "| no end\n"},
		{"a\n\nb\n", "| a\n| \n| b\n"},
		{"shannot: x\n", `| shannot\x3a x` + "\n"},
		{"SHANNOT: x Shannot: y\n", `| SHANNOT\x3a x Shannot\x3a y` + "\n"},
		{"\x1b[1;1Hshannot: x\r\n", `| \x1b[1;1Hshannot\x3a x\r` + "\n"},
		{"trailing \n", `| trailing\x20` + "\n"},
		{"back\\slash\n", `| back\\slash` + "\n"},
		{strings.Repeat("x", maxMarkedLine) + "yy\nz\n", "| " + strings.Repeat("x", maxMarkedLine) + "yy\n| z\n"},
	} {
		var out bytes.Buffer
		f := &foreign{to: &out}
		for _, b := range []byte(tt.in) { // as it may come
			if _, err := f.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		f.end()
		if len(tt.in) < maxMarkedLine && out.String() != tt.want {
			t.Errorf("%q is shown as %q, want %q", tt.in, out.String(), tt.want)
		}
		if strings.Count(out.String(), "\n") != strings.Count(out.String(), "\n| ")+min(1, out.Len()) {
			t.Errorf("%q: a line has no mark: %q", tt.in, out.String())
		}
	}
}

func FuzzForeign(f *testing.F) {
	f.Add([]byte(hostileText), 3)
	f.Add([]byte("shannot: \xe2\x84\xaa shannot:shannot:"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var out bytes.Buffer
		shown := &foreign{to: &out}
		for part := range slices.Chunk(text, max(1, piece%64+1)) {
			if n, err := shown.Write(part); err != nil || n != len(part) {
				t.Fatal(n, err)
			}
		}
		shown.end()
		if where, bad := obeyed(out.String()); bad {
			t.Errorf("%q is shown with %q", text, where)
		}
		if strings.Contains(strings.ToLower(out.String()), gatewayMark) {
			t.Errorf("%q is shown as %q", text, out.String())
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if out.Len() > 0 && !strings.HasPrefix(line, foreignMark) {
				t.Errorf("%q: a line has no mark: %q", text, line)
			}
		}
	})
}

func TestJSONMeansWhatWasSaidAndLooksLikeNoLineOfTheGateways(t *testing.T) {
	for _, said := range []string{"shannot: a SHANNOT: b", `\shannot:`, "shannot:shannot:", "a: b", ""} {
		var out bytes.Buffer
		if err := writeJSON(&out, said); err != nil {
			t.Fatal(err)
		}
		var read string
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || read != said {
			t.Errorf("%q is read as %q, %v", said, read, err)
		}
		if strings.Contains(strings.ToLower(out.String()), gatewayMark) {
			t.Errorf("%q is written as %s", said, out.String())
		}
	}
}
