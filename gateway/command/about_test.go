package command

import (
	"errors"
	"testing"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal/journaltest"
	"shannot-gateway/gateway/config"
)

func TestWhoami(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "whoami", stdout: []string{"claude (agent) SHA256:key\n"}},
		{by: approver, line: "whoami --json", stdout: []string{`"identity":"alice","role":"approver","key":"SHA256:alice","targets":["local"]`}},
		{name: "a word", by: agent, line: "whoami really", status: ExitUsage, stderr: []string{"really"}},
	})
}

func TestStatus(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "status", stdout: []string{"shannot-gateway 1.2.3, up 90s", "1 running, 2 held, 3 parked", "journal: ok"}},
		{by: approver, line: "status --json", stdout: []string{`"running":1,"held":2,"parked":3,"journal":"ok","audit":"ok"`, `"reload_refused":null`}},
		{name: "the journal fails", by: agent, line: "status", prepare: failing(errStuck), status: ExitFault, stdout: []string{"journal: the disk is full"}},
		{name: "the audit log fails", by: agent, line: "status", prepare: func(v *Verbs, _ *fakeService) {
			v.Audit = func() (bool, error) { return true, errors.New("read-only") }
		}, status: ExitFault, stdout: []string{"cannot be written, so nothing runs: read-only"}},
	})
}

func TestVersion(t *testing.T) {
	tryAll(t, []try{{by: agent, line: "version", stdout: []string{"shannot-gateway 1.2.3\n"}}, {by: approver, line: "version", stdout: []string{"1.2.3"}}})
}

// withWeb has a target that the caller is not given.
func withWeb(v *Verbs, _ *fakeService) {
	conf := *v.Config
	conf.Remotes = map[string]config.Remote{"web": {Host: "web.example.com", User: "ops"}}
	v.Config = &conf
}

func TestPolicy(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "policy -- df -h | wc", stdout: []string{"allow (safe): df -h | wc only looks\n"}},
		{name: "a target of theirs", by: agent, line: "policy --target local -- df", stdout: []string{"allow (safe): df only looks\n"}},
		{name: "a target that is not theirs", by: agent, line: "policy --target web -- df", prepare: withWeb, status: ExitNotPermitted, stderr: []string{"may not use the target web"}},
		{name: "no target", by: agent, line: "policy --target nowhere -- df", status: ExitUnreachable, stderr: []string{"there is no target nowhere"}},
		{name: "no target, for who decides", by: approver, line: "policy --target nowhere -- df", status: ExitUnreachable, stderr: []string{"there is no target nowhere"}},
		{name: "a target, for who decides, with its grants", by: approver, line: "policy --target web -- df -h", prepare: func(v *Verbs, f *fakeService) {
			withWeb(v, f)
			f.grants = nil
			for i, target := range []string{"local", "web"} {
				f.grants = append(f.grants, grants.Grant{N: 71 + i, Target: target, By: "alice", Argv: []string{"sh", "-c", "df -h"}})
			}
		}, stdout: []string{"ask (unknown): df -h on web\ngrant 72 by alice lets it run"}},
		{name: "no command", by: agent, line: "policy --", status: ExitUsage, stderr: []string{"policy"}},
		{name: "a command without its mark", by: agent, line: "policy --target local df", status: ExitUsage, stderr: []string{"write -- before the command"}},
		{name: "the rules", by: agent, line: "policy", stdout: []string{"run at once, where they only read: ", "never run: ", "scripts do not see: ", "everything else waits for a human"}},
		{name: "the rules for a target that is not theirs", by: agent, line: "policy --json --target web", prepare: withWeb, status: ExitNotPermitted, stderr: []string{"may not use the target web"}},
	})
}

func TestWatch(t *testing.T) {
	events := func(_ *Verbs, f *fakeService) {
		f.events = []events.Event{
			{At: journaltest.Time, Session: waitingID, Kind: events.Waiting}, {At: journaltest.Time, Session: "zzzz2345", Kind: events.Waiting},
		}
	}
	over := []string{"the gateway is shutting down"} // the service has closed the events
	tryAll(t, []try{
		{name: "lines", by: approver, line: "watch", prepare: events, stdout: []string{"2031-03-04T03:00:00Z abcd2345  waiting: operation 1 (caution): summary\n"}, stderr: over},
		{name: "JSON", by: approver, line: "watch --json", prepare: events, stdout: []string{
			`{"v":1,"seq":1,"at":"2031-03-04T03:00:00Z","session":"abcd2345","kind":"waiting"`, `"waiting_digest":"` + waitingDigest() + `"`, `"operation":{"n":1,"kind":"command"`,
		}, stderr: over},
		{name: "a word", by: approver, line: "watch all", status: ExitUsage, stderr: []string{"all"}},
	})
}
