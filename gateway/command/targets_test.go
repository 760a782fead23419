package command

import "testing"

func TestTargets(t *testing.T) {
	here := onThisHost(t, nil)
	tryAll(t, []try{
		{by: agent, line: "targets", prepare: here, stdout: []string{"local", "commands run as"}},
		{by: approver, line: "targets --json", prepare: here, stdout: []string{`"target":"local"`, `"reachable":true`}},
		{name: "none works", by: agent, line: "targets --json", stdout: []string{"[]\n"}},
		{name: "a word", by: agent, line: "targets local", prepare: here, status: ExitUsage, stderr: []string{"local"}},
	})
}
