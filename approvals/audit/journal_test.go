package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/policy"
)

func TestEveryStepOfASessionIsTold(t *testing.T) {
	at := time.Unix(1, 0)
	one := 1
	op := func(d approvals.Decision, by string) approvals.Operation {
		return approvals.Operation{N: 1, Kind: approvals.CommandKind, Summary: "x", Verdict: policy.Ask, Decision: d, By: by, Digest: "d"}
	}
	started, finished := op(approvals.Approved, "alice"), op(approvals.Approved, "alice")
	started.Started = at
	finished.Started, finished.Finished, finished.ExitCode = at, at, &one
	undone := finished
	undone.Kind = approvals.RollbackKind
	conflicted := finished
	conflicted.Decision, conflicted.Reason = approvals.Conflicted, "it holds something else by now"
	unknown := started
	unknown.Decision = approvals.Unknown
	allowed := op(approvals.Allowed, "policy")
	allowed.Started = at
	session := func(status approvals.Status, ops ...approvals.Operation) *approvals.Session {
		return &approvals.Session{ID: "s", Identity: "claude", Status: status, Operations: ops}
	}
	for _, c := range []struct {
		what          string
		before, after *approvals.Session
		want          string
	}{
		{"a session", nil, session(approvals.StatusRunning), "session"},
		{"an operation that waits", session(approvals.StatusRunning), session(approvals.StatusHeld, op(approvals.Waiting, "")), "operation:waiting status:held"},
		{"one that is allowed", session(approvals.StatusRunning), session(approvals.StatusRunning, allowed), "operation:allowed execution"},
		{"one that is denied", session(approvals.StatusRunning), session(approvals.StatusRunning, op(approvals.Denied, "policy")), "operation:denied"},
		{"an approval", session(approvals.StatusHeld, op(approvals.Waiting, "")), session(approvals.StatusRunning, op(approvals.Approved, "alice")), "decision:approved:alice status:running"},
		{"a rejection", session(approvals.StatusHeld, op(approvals.Waiting, "")), session(approvals.StatusRunning, op(approvals.Rejected, "alice")), "decision:rejected:alice status:running"},
		{"a start", session(approvals.StatusRunning, op(approvals.Approved, "alice")), session(approvals.StatusRunning, started), "execution:alice"},
		{"a result", session(approvals.StatusRunning, started), session(approvals.StatusRunning, finished), "result"},
		{"a conflict", session(approvals.StatusRunning, started), session(approvals.StatusRunning, conflicted), "result:conflict"},
		{"an end", session(approvals.StatusRunning, finished), session(approvals.StatusDone, finished), "ended:done"},
		{"a crash", session(approvals.StatusRunning, started), session(approvals.StatusFailed, unknown), "decision:unknown ended:failed"},
		{"a parking", session(approvals.StatusHeld, op(approvals.Waiting, "")), session(approvals.StatusParked, op(approvals.Waiting, "")), "status:parked"},
		{"an expiry", session(approvals.StatusParked, op(approvals.Waiting, "")), session(approvals.StatusExpired, op(approvals.Expired, "")), "decision:expired ended:expired"},
		{"a rollback", session(approvals.StatusDone, finished), session(approvals.StatusRolledBack, finished), "rollback:rolled_back"},
		{"a decision in the same breath", session(approvals.StatusRunning), session(approvals.StatusRunning, op(approvals.Approved, "alice")), "operation decision:approved:alice"},
		{"a step of a rollback", session(approvals.StatusDone), session(approvals.StatusDone, undone), "operation:alice decision:approved:alice execution:alice result"},
		{"nothing", session(approvals.StatusRunning), session(approvals.StatusRunning), ""},
	} {
		var got []string
		for _, e := range (&Log{}).change(approvals.Revision{Before: c.before, After: c.after}) {
			text := e.Event
			for _, more := range []string{e.Decision, e.Status} {
				if more != "" {
					text += ":" + more
				}
			}
			if e.Identity != "" && e.Identity != "claude" && e.Identity != "policy" {
				text += ":" + e.Identity
			}
			got = append(got, text)
			if e.Session != "s" {
				t.Errorf("%s: of session %q", c.what, e.Session)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestCommandIsToldWithoutSecretsAndValuesOfVariables(t *testing.T) {
	b := newBook(t, func(o *Options) {
		var err error
		if o.Redact, err = NewRedactor(nil); err != nil {
			t.Fatal(err)
		}
	})
	argv := approvals.Strings{"tool", "--password", "hunter 2", "\x1b[31m"}
	c := &approvals.Command{Path: "/usr/bin/tool", Argv: argv, Dir: "/srv", RunAs: "ops", EnvChanges: approvals.Strings{"-HOME", "A=hunter 2"}}
	o := approvals.Operation{N: 1, Summary: `tool --password 'hunter 2' '\x1b[31m'`, Command: c, Why: "--password=hunter2 is not known"}
	err := b.Record([]approvals.Revision{{After: &approvals.Session{ID: "s", Operations: []approvals.Operation{o}, Analysis: "token: hunter2"}}})
	if err != nil {
		t.Fatal(err)
	}
	lines := b.lines()
	all := fmt.Sprintf("%+v", lines)
	if strings.Contains(all, "hunter") {
		t.Errorf("a secret is in the log: %s", all)
	}
	if l := lines[2]; l.RunAs != "ops" || l.Path != "/usr/bin/tool" || fmt.Sprint(l.Env) != "[-HOME A]" || !strings.HasPrefix(l.Summary, "tool --password ") {
		t.Errorf("%+v", l)
	}
}
