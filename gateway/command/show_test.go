package command

import (
	"testing"

	"shannot-gateway/approvals/output"
)

func TestShow(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "show " + waitingID, stdout: []string{
			"session abcd2345: held\n", "operation 1: waiting\n", "policy      ask (caution): it changes the system\n", "as user     ops on prod\n",
			"runs        tool --do it\n", "  details:\n  executable  /usr/bin/tool\n", "directory   /srv\n", "stdin 2     two\n", "env         ",
		}},
		{by: approver, line: "show " + waitingID, stdout: []string{"approve abcd2345 --digest " + waitingDigest()[:32]}},
		{by: admin, line: "show --json " + waitingID, stdout: []string{`{"v":1,"session":"abcd2345","status":"held"`, `"argv":["tool","--do","it"]`, `"stdin":"one\ntwo\n"`}},
		{name: "somebody else's", by: other, line: "show " + waitingID, status: ExitUsage, stderr: []string{"there is no session abcd2345 that you may see"}},
		{name: "no id", by: agent, line: "show", status: ExitUsage, stderr: []string{"show"}},
		{name: "two ids", by: agent, line: "show " + waitingID + " more", status: ExitUsage, stderr: []string{"more"}},
		{name: "a flag that it does not have", by: agent, line: "show " + waitingID + " --wrong", status: ExitUsage, stderr: []string{"--wrong"}},
		{name: "a quote that is not closed", by: agent, line: "show '" + waitingID, status: ExitUsage, stderr: []string{"quote"}},
	})
}

// atTerminal makes the waiting session one at a terminal.
func atTerminal(_ *Verbs, f *fakeService) {
	for i := range f.sessions {
		f.sessions[i].Interactive = true
	}
	f.chunks = []output.Chunk{
		{Stream: output.Stdout, Data: []byte("\r>>> lx\x1b[K\b\x1b[Ks\r\n\x1b]0;title\x07\u202eevil\r\n")},
		{Stream: output.Notice, Data: []byte("a notice")},
		{Stream: output.State, Data: []byte("held")},
	}
}

func TestShowOfATerminal(t *testing.T) {
	tryAll(t, []try{
		{by: approver, line: "show " + waitingID, prepare: atTerminal, stdout: []string{"on its terminal", "     1 ~>>> ls\n     2  \\u202eevil\n"}},
		{by: approver, line: "show --json " + waitingID, prepare: atTerminal, stdout: []string{`"transcript":{"lines":[{"text":">>> ls","edited":true},{"text":"\\u202eevil"}]}`}},
	})
}

func TestCancel(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "cancel " + waitingID, stderr: []string{"session abcd2345: cancelled"}, did: []string{"cancel abcd2345 by claude"}},
		{by: approver, line: "cancel " + waitingID, stderr: []string{"session abcd2345: cancelled"}, did: []string{"cancel abcd2345 by alice"}},
		{name: "somebody else's", by: other, line: "cancel " + waitingID, status: ExitUsage, stderr: []string{"there is no session"}},
		{name: "no id", by: agent, line: "cancel", status: ExitUsage, stderr: []string{"cancel"}},
		{name: "the service fails", by: agent, line: "cancel " + waitingID, prepare: failing(errStuck), status: ExitFault, stderr: []string{"the disk is full"}, did: []string{"cancel abcd2345 by claude"}},
	})
}
