package command

import (
	"errors"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/targets"
	"shannot-gateway/targets/local"
)

// onThisHost gives the verbs this host as their only target, on which nothing runs.
func onThisHost(t *testing.T, also func(*Verbs, *fakeService)) func(*Verbs, *fakeService) {
	return func(v *Verbs, f *fakeService) {
		host, err := local.New(local.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v.Targets = []targets.Target{host}
		if also != nil {
			also(v, f)
		}
	}
}

func TestRun(t *testing.T) {
	done, waits := onThisHost(t, ended(journal.StatusDone, 0)), onThisHost(t, nil)
	tryAll(t, []try{
		{name: "a script", by: agent, line: "run -", stdin: "print(1)", prepare: done, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "a script and no words", by: agent, line: "", stdin: "print(1)", prepare: done, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "code", by: admin, line: "run -c 'print(1)'", prepare: done, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "its exit status", by: agent, line: "run -c 'exit(3)'", prepare: onThisHost(t, ended(journal.StatusFailed, 3)), status: 3, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "in JSON", by: agent, line: "run --json -c 'print(1)'", prepare: done, stdout: []string{`{"v":1,"session":"abcd2345","status":"done"`, `"stdout":"said\n"`}},
		{name: "it waits", by: agent, line: "run -c 'print(1)'", prepare: waits, status: ExitWaiting, stderr: []string{"come back with: wait abcd2345"}},
		{name: "nothing", by: agent, line: "run -", prepare: done, status: ExitNotAScript, stderr: []string{"the script is empty"}},
		{name: "no text", by: agent, line: "run -", stdin: "\xff", prepare: done, status: ExitNotAScript, stderr: []string{"not UTF-8"}},
		{name: "no such target", by: agent, line: "run --target mars -c 'print(1)'", prepare: done, status: ExitUnreachable, stderr: []string{"there is no target mars"}},
		{name: "a flag that it does not have", by: agent, line: "run --wrong -c 'print(1)'", prepare: done, status: ExitUsage, stderr: []string{"--wrong"}},
		{name: "no place", by: agent, line: "run -c 'print(1)'", prepare: onThisHost(t, func(v *Verbs, _ *fakeService) {
			v.Runner = &fakeRunner{fails: journal.ErrTooMany}
		}), status: ExitBusy, stderr: []string{"busy"}},
		{name: "it cannot be started", by: agent, line: "run -c 'print(1)'", prepare: onThisHost(t, func(v *Verbs, _ *fakeService) {
			v.Runner = &fakeRunner{fails: errors.New("no interpreter")}
		}), status: ExitFault, stderr: []string{"start the session: no interpreter"}},
	})
}

func TestExec(t *testing.T) {
	done := onThisHost(t, ended(journal.StatusDone, 0))
	tryAll(t, []try{
		{name: "a command", by: agent, line: "exec -- df -h", prepare: done, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "a line that is no verb", by: agent, line: "df -h /", prepare: done, stdout: []string{"said\n"}, stderr: []string{"complained\n"}},
		{name: "in JSON", by: admin, line: "exec --json -- df -h", prepare: done, stdout: []string{`"stderr":"complained\n"`}},
		{name: "no command", by: agent, line: "exec --", prepare: done, status: ExitUsage, stderr: []string{"exec"}},
	})
}

func TestRunAsksForWhatTheLineSays(t *testing.T) {
	v, f, r := fakeVerbs(t)
	onThisHost(t, ended(journal.StatusDone, 0))(v, f)
	for _, line := range []string{"run --name check --analysis 'only looks' --plan -c 'print(1)' one", "df -h | wc"} {
		c := &Call{Identity: agent, Targets: []string{"local"}, Line: line, Stdin: empty{}, Stdout: empty{}, Stderr: empty{}}
		if status := v.Run(t.Context(), c); status != ExitOK {
			t.Fatalf("%s: %d", line, status)
		}
	}
	script, shell := r.asked[0], r.asked[1]
	if script.Script != "print(1)" || script.Shell || script.Name != "check" || script.Analysis != "only looks" || !script.Plan || script.Identity != agent || script.Target.Name() != "local" {
		t.Errorf("the script became %+v", script)
	}
	if shell.Script != "df -h | wc" || !shell.Shell || shell.Plan {
		t.Errorf("the command became %+v", shell)
	}
}
