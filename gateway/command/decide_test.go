package command

import (
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
	"shannot-gateway/approvals/policy"
)

// waitingDigest is the digest of what waits.
func waitingDigest() string {
	s := journaltest.Session(journaltest.Operations()[1].Op)
	return s.WaitingDigest()
}

// dangerous makes what waits dangerous.
func dangerous(_ *Verbs, f *fakeService) { f.sessions[0].Operations[0].Risk = policy.Danger }

func TestApprove(t *testing.T) {
	d := waitingDigest()
	tryAll(t, []try{
		{by: approver, line: "approve " + waitingID + " --digest " + d, stderr: []string{"operation 1: approved"}, did: []string{"approve abcd2345 [] []"}},
		{by: admin, line: "approve --digest " + d[:12] + " " + waitingID + " --op 1", stderr: []string{"operation 1: approved"}, did: []string{"approve abcd2345 [1] []"}},
		{
			name: "danger with the target's name", by: approver, line: "approve " + waitingID + " --digest " + d + " --danger prod", prepare: dangerous,
			stderr: []string{"operation 1: approved"}, did: []string{"approve abcd2345 [] [prod]"},
		},
		{
			name: "danger without it", by: approver, line: "approve " + waitingID + " --digest " + d, prepare: dangerous,
			status: ExitUsage, stdout: []string{"--danger prod"}, stderr: []string{"nothing was decided"},
		},
		{
			name: "without a digest", by: approver, line: "approve " + waitingID, status: ExitUsage,
			stdout: []string{"operation 1: waiting", "approve abcd2345 --digest " + d[:32]}, stderr: []string{"nothing was decided"},
		},
		{
			name: "another digest", by: approver, line: "approve " + waitingID + " --digest 000000000000", status: ExitConflict,
			stdout: []string{"approve abcd2345 --digest " + d[:32]}, stderr: []string{"nothing was decided"},
		},
		{name: "a short digest", by: approver, line: "approve " + waitingID + " --digest " + d[:11], status: ExitUsage, stderr: []string{"approve"}},
		{name: "no such session", by: approver, line: "approve zzzz2345 --digest " + d, status: ExitUsage, stderr: []string{"there is no session zzzz2345"}},
		{name: "a bad id", by: approver, line: "approve ../x --digest " + d, status: ExitUsage, stderr: []string{"is not a session's id"}},
		{name: "a bad number", by: approver, line: "approve " + waitingID + " --digest " + d + " --op none", status: ExitUsage, stderr: []string{"none"}},
		{
			name: "the service fails", by: approver, line: "approve " + waitingID + " --digest " + d, prepare: failing(errStuck), status: ExitFault,
			stderr: []string{"the disk is full"}, did: []string{"approve abcd2345 [] []"},
		},
		{
			name: "an obstacle", by: approver, line: "approve " + waitingID + " --digest " + d, prepare: failing(journal.ErrObstacle), status: ExitUnreachable,
			stderr: []string{"cannot be approved"}, did: []string{"approve abcd2345 [] []"},
		},
	})
}

func TestReject(t *testing.T) {
	tryAll(t, []try{
		{by: approver, line: "reject " + waitingID + " --reason no", stderr: []string{"operation 1: rejected"}, did: []string{"reject abcd2345 [] no"}},
		{by: approver, line: "reject " + waitingID + " --op 1 --reason not at night", stderr: []string{"operation 1: rejected"}, did: []string{"reject abcd2345 [1] not at night"}},
		{name: "no reason", by: approver, line: "reject " + waitingID, status: ExitUsage, stderr: []string{"--reason"}},
		{name: "no id", by: approver, line: "reject --reason no", status: ExitUsage, stderr: []string{"reject"}},
		{name: "no such session", by: approver, line: "reject zzzz2345 --reason no", status: ExitUsage, stderr: []string{"there is no session"}},
		{
			name: "nothing waits", by: approver, line: "reject " + waitingID + " --reason no", prepare: failing(journal.ErrNotWaiting), status: ExitUsage,
			stderr: []string{"nothing waits"}, did: []string{"reject abcd2345 [] no"},
		},
	})
}
