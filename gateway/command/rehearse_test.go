package command

import (
	"fmt"
	"testing"

	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/targets"
)

func oneRehearsal() *rehearsal.Result {
	was := &targets.State{Mode: 0o100644, Size: 4}
	return &rehearsal.Result{
		Session: waitingID, Digest: "00", Target: "local", Absent: []string{"/mnt: \x1b[2J"},
		Operations: []rehearsal.Operation{{N: 1, Summary: "sed", Effect: targets.Effect{
			Exit: targets.Exit{Code: 3}, Stdout: []byte("out\x1b[2J\nchanges     none\n"), Stderr: []byte("approve x"), Refused: []targets.Attempt{{What: "connect", About: "@\x1b[2J", Times: 2}}, Left: []string{"sl\x1beep"},
			Changes: []targets.RehearsedChange{
				{Kind: targets.Changed, Path: "/srv/a\x1b[2J", Was: was, Is: was, Before: []byte("one\n"), After: []byte("t\x1bwo\n"), Contents: true},
				{Kind: targets.Made, Path: "/srv/l", Is: &targets.State{Mode: 0o120777, Link: "to\x1b"}},
				{Kind: targets.Deleted, Path: "/srv/d", Was: &targets.State{Mode: 0o040755}, Files: 7, Bytes: 9, Counted: true},
				{Kind: targets.Renamed, Path: "/srv/n", From: "/srv/o\x1b", Was: was, Is: was},
			},
		}}},
	}
}

// TestARehearsalIsRendered: nothing that a command has made reaches a terminal as it is.
func TestARehearsalIsRendered(t *testing.T) {
	ready := func(_ *Verbs, f *fakeService) { f.rehearsal = oneRehearsal() }
	did := []string{"rehearse " + waitingID + " n=0"}
	tryAll(t, []try{
		{by: approver, line: "rehearse " + waitingID, prepare: ready, did: did, stdout: []string{
			"exit status 3", "\n     1  out\\x1b[2J\n     2  changes     none\n", "\n     1  approve x\n", "could not   connect @\\x1b[2J (2 times)", "left running sl\\x1beep", "changed     /srv/a\\x1b[2J", "+t\\x1bwo", "-one", "a link to to\\x1b",
			"7 files and directories below it, 9 bytes", "from      /srv/o\\x1b", "not there   /mnt: \\x1b[2J", "more than change files",
		}},
		{by: approver, line: "rehearse " + waitingID + " --json --op 2", prepare: ready, did: []string{"rehearse " + waitingID + " n=2"}, stdout: []string{
			`"v":1,"session":"` + waitingID + `","digest":"00"`, `"n":1,"exit_code":3`, `"refused":[{"what":"connect"`, `"kind":"changed"`, `"diff":"@@ -1,1 +1,1 @@`,
		}},
		{name: "off", by: approver, line: "rehearse " + waitingID, prepare: failing(rehearsal.ErrOff), status: ExitNotPermitted, stderr: []string{"switched off"}, did: did},
		{name: "none", by: approver, line: "rehearse " + waitingID, prepare: failing(fmt.Errorf("%w: x", targets.ErrNoRehearsal)), status: ExitUnreachable, stderr: []string{"cannot be rehearsed"}, did: did},
		{name: "nothing", by: approver, line: "rehearse " + waitingID, prepare: failing(rehearsal.ErrNothing), status: ExitUsage, stderr: []string{"nothing to rehearse"}, did: did},
		{name: "busy", by: approver, line: "rehearse " + waitingID, prepare: failing(rehearsal.ErrBusy), status: ExitBusy, stderr: []string{"try again"}, did: did},
		{name: "an agent", by: agent, line: "rehearse " + waitingID, status: ExitNotPermitted, stderr: []string{"rehearse"}},
		{name: "no id", by: approver, line: "rehearse", status: ExitUsage, stderr: []string{"rehearse"}},
		{name: "bad number", by: approver, line: "rehearse --op -1 " + waitingID, status: ExitUsage, stderr: []string{"numbered from 1"}},
	})
}
