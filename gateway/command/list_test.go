package command

import (
	"testing"

	"shannot-gateway/approvals/journal"
)

func TestList(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "list", stdout: []string{"SESSION", waitingID, "90s", "held", "claude", "prod", "summary"}},
		{by: approver, line: "list", stdout: []string{waitingID}},
		{by: approver, line: "list --json", stdout: []string{`[{"v":1,"session":"abcd2345"`, `"waiting_digest":"` + waitingDigest()}},
		{name: "none", by: other, line: "list", stderr: []string{"nothing runs or waits"}},
		{name: "none in JSON", by: other, line: "list --json", stdout: []string{"[]\n"}},
		{name: "ended", by: agent, line: "list", prepare: ended(journal.StatusDone, 0), stderr: []string{"list --all"}},
		{name: "all", by: agent, line: "list --all", prepare: ended(journal.StatusDone, 0), stdout: []string{waitingID, "done"}},
		{name: "a word", by: agent, line: "list everything", status: ExitUsage, stderr: []string{"everything"}},
		{name: "the service fails", by: agent, line: "list", prepare: failing(errStuck), status: ExitFault, stderr: []string{"the disk is full"}},
	})
}
