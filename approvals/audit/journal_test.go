package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

func TestEveryStepOfASessionIsTold(t *testing.T) {
	at := time.Unix(1, 0)
	one := 1
	op := func(d journal.Decision, by string) journal.Operation {
		return journal.Operation{N: 1, Kind: journal.CommandKind, Summary: "x", Verdict: policy.Ask, Decision: d, By: by, Digest: "d"}
	}
	started, finished := op(journal.Approved, "alice"), op(journal.Approved, "alice")
	started.Started = at
	finished.Started, finished.Finished, finished.ExitCode = at, at, &one
	undone := finished
	undone.Kind = journal.RollbackKind
	conflicted := finished
	conflicted.Decision, conflicted.Reason = journal.Conflicted, "it holds something else by now"
	unknown := started
	unknown.Decision = journal.Unknown
	allowed := op(journal.Allowed, "policy")
	allowed.Started = at
	session := func(status journal.Status, ops ...journal.Operation) *journal.Session {
		return &journal.Session{ID: "s", Identity: "claude", Status: status, Operations: ops}
	}
	for _, c := range []struct {
		what          string
		before, after *journal.Session
		want          string
	}{
		{"a session", nil, session(journal.StatusRunning), "session"},
		{"an operation that waits", session(journal.StatusRunning), session(journal.StatusHeld, op(journal.Waiting, "")), "operation:waiting status:held"},
		{"one that is allowed", session(journal.StatusRunning), session(journal.StatusRunning, allowed), "operation:allowed execution"},
		{"one that is denied", session(journal.StatusRunning), session(journal.StatusRunning, op(journal.Denied, "policy")), "operation:denied"},
		{"an approval", session(journal.StatusHeld, op(journal.Waiting, "")), session(journal.StatusRunning, op(journal.Approved, "alice")), "decision:approved:alice status:running"},
		{"a rejection", session(journal.StatusHeld, op(journal.Waiting, "")), session(journal.StatusRunning, op(journal.Rejected, "alice")), "decision:rejected:alice status:running"},
		{"a start", session(journal.StatusRunning, op(journal.Approved, "alice")), session(journal.StatusRunning, started), "execution:alice"},
		{"a result", session(journal.StatusRunning, started), session(journal.StatusRunning, finished), "result"},
		{"a conflict", session(journal.StatusRunning, started), session(journal.StatusRunning, conflicted), "result:conflict"},
		{"an end", session(journal.StatusRunning, finished), session(journal.StatusDone, finished), "ended:done"},
		{"a crash", session(journal.StatusRunning, started), session(journal.StatusFailed, unknown), "decision:unknown ended:failed"},
		{"a parking", session(journal.StatusHeld, op(journal.Waiting, "")), session(journal.StatusParked, op(journal.Waiting, "")), "status:parked"},
		{"an expiry", session(journal.StatusParked, op(journal.Waiting, "")), session(journal.StatusExpired, op(journal.Expired, "")), "decision:expired ended:expired"},
		{"a rollback", session(journal.StatusDone, finished), session(journal.StatusRolledBack, finished), "rollback:rolled_back"},
		{"a decision in the same breath", session(journal.StatusRunning), session(journal.StatusRunning, op(journal.Approved, "alice")), "operation decision:approved:alice"},
		{"a step of a rollback", session(journal.StatusDone), session(journal.StatusDone, undone), "operation:alice decision:approved:alice execution:alice result"},
		{"nothing", session(journal.StatusRunning), session(journal.StatusRunning), ""},
	} {
		var got []string
		for _, e := range (&Log{}).change(journal.Revision{Before: c.before, After: c.after}) {
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
	argv := journal.Strings{"tool", "--password", "hunter 2", "\x1b[31m"}
	c := &journal.Command{Path: "/usr/bin/tool", Argv: argv, Dir: "/srv", RunAs: "ops", EnvChanges: journal.Strings{"-HOME", "A=hunter 2"}}
	o := journal.Operation{N: 1, Summary: `tool --password 'hunter 2' '\x1b[31m'`, Command: c, Why: "--password=hunter2 is not known"}
	err := b.Record([]journal.Revision{{After: &journal.Session{ID: "s", Operations: []journal.Operation{o}, Analysis: "token: hunter2"}}})
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
