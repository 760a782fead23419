package command

import (
	"testing"

	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal/journaltest"
)

// granted puts a grant into force.
func granted(_ *Verbs, f *fakeService) {
	f.grants = []grants.Grant{{
		N: 7, Kind: grants.Exact, Session: waitingID, Identity: "claude", Target: "prod", RunAs: "ops", Path: "/usr/bin/tool", Dir: "/srv",
		Argv: []string{"tool", "--do", "it"}, By: "alice", Created: journaltest.Time,
	}}
}

func TestGrants(t *testing.T) {
	tryAll(t, []try{
		{name: "none", by: agent, line: "grants", stderr: []string{"no grant is in force"}},
		{name: "none in JSON", by: agent, line: "grants --json", stdout: []string{"[]\n"}},
		{by: approver, line: "grants", prepare: granted, stdout: []string{"grant 7 by alice", "tool --do it"}},
		{by: approver, line: "grants --json", prepare: granted, stdout: []string{`"grant":7,"kind":"exact"`}},
		{name: "a word", by: approver, line: "grants 7", status: ExitUsage, stderr: []string{"7"}},
	})
}

func TestRevoke(t *testing.T) {
	tryAll(t, []try{
		{by: approver, line: "revoke 7", prepare: granted, stderr: []string{"revoked grant 7"}, did: []string{"revoke 7"}},
		{name: "none of that number", by: approver, line: "revoke 8", prepare: granted, status: ExitUsage, stderr: []string{"see: grants"}, did: []string{"revoke 8"}},
		{name: "no number", by: approver, line: "revoke", status: ExitUsage, stderr: []string{"revoke"}},
		{name: "no number at all", by: approver, line: "revoke all", status: ExitUsage, stderr: []string{"all"}},
	})
}
