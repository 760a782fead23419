package command

import "testing"

func TestScreen(t *testing.T) {
	tryAll(t, []try{
		{name: "at a terminal", by: approver, line: "approve", terminal: true, did: []string{"screen "}},
		{name: "of a session", by: approver, line: "approve " + waitingID, terminal: true, did: []string{"screen abcd2345"}},
		{name: "a connection that says nothing", by: approver, line: "", terminal: true, did: []string{"screen "}},
		{name: "in lines", by: approver, line: "approve --plain --undo 0s", did: []string{"plain  0s"}},
		{name: "without a terminal", by: approver, line: "approve", status: ExitUsage, stderr: []string{"ssh -t HOST approve"}},
		{name: "colours that nobody has", by: approver, line: "approve --colors 17", terminal: true, status: ExitUsage, stderr: []string{"--colors"}},
		{name: "an undo without end", by: approver, line: "approve --undo 24h", terminal: true, status: ExitUsage, stderr: []string{"--undo"}},
		{name: "it breaks", by: approver, line: "approve", terminal: true, prepare: failing(errStuck), status: ExitFault, stderr: []string{"the disk is full"}, did: []string{"screen "}},
	})
}
