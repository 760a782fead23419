package command

import (
	"testing"

	"shannot-gateway/approvals/journal"
)

func TestWait(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "wait " + waitingID, prepare: ended(journal.StatusFailed, 3), status: 3, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "somebody else's output is marked", by: approver, line: "wait " + waitingID, prepare: ended(journal.StatusDone, 0), stdout: []string{"| said\n"}, stderr: []string{"| complained\n"}},
		{name: "in JSON", by: agent, line: "wait --json " + waitingID, prepare: ended(journal.StatusDone, 0), stdout: []string{`"exit_code":0,"stdout":"said\n","stderr":"complained\n"`}},
		{name: "it waits", by: agent, line: "wait " + waitingID, status: ExitWaiting, stderr: []string{"waits for a human (held): operation 1", "wait abcd2345"}},
		{name: "rejected", by: agent, line: "wait " + waitingID, prepare: func(v *Verbs, f *fakeService) {
			f.sessions[0].Status, f.sessions[0].Reason = journal.StatusRejected, "rejected by alice: not now"
		}, status: ExitNotPermitted, stderr: []string{"rejected: rejected by alice: not now"}},
		{name: "no such session", by: other, line: "wait " + waitingID, status: ExitUsage, stderr: []string{"there is no session"}},
		{name: "two answers", by: agent, line: "wait --raw --json " + waitingID, status: ExitUsage, stderr: []string{"--raw"}},
		{name: "a bad duration", by: agent, line: "wait --wait soon " + waitingID, status: ExitUsage, stderr: []string{"soon"}},
	})
}
